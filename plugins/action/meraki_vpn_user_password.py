# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.keyturn.credentials.plugins.plugin_utils._in_process import InProcessActionModule


class ActionModule(InProcessActionModule):
    """Runs the module in Ansible's process, where it may."""

    MODULE = "meraki_vpn_user_password"
    LIBRARIES = ("requests",)
