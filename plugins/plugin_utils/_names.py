# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""When two logins are one user."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.sql import exact_name


def _sql_name(login: str) -> str:
    """The name as Snowflake stores it; one that cannot be a name stands for itself, and is refused later."""
    try:
        return exact_name(login)
    except InvalidInput:
        return login


# What a service makes of a login, by the rule that its names follow.
CANONICAL: dict[str, t.Callable[[str], str]] = {"sql": _sql_name, "email": str.lower, "exact": str}
