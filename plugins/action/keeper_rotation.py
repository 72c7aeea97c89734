# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.keyturn.credentials.plugins.plugin_utils._censor import CensoringModule


class ActionModule(CensoringModule):
    """keeper_rotation returns secrets, so no callback may show its result."""

    MODULE = "keeper_rotation"
    LIBRARIES = ("requests", "keeper_secrets_manager_core", "cryptography.hazmat.primitives.asymmetric.rsa")
