# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter with which the roles of this collection look at a rotation after its deliveries."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.plugin_utils._rotate import after_deliveries


class FilterModule:
    """The roles' filter."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rotation_delivered": after_deliveries}
