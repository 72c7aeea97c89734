# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What DESCRIBE USER says of a user (docs.snowflake.com, "DESCRIBE USER")."""

from __future__ import annotations

import dataclasses
import json
import typing as t

_TRUE = ("true", "1", "yes")


@dataclasses.dataclass(frozen=True)
class User:
    """A user as read. Times are Snowflake's texts: they are compared with one another, never with a clock."""

    name: str
    login_name: str
    type: str | None
    disabled: bool
    locked: bool
    must_change_password: bool | None
    password_last_set_time: str | None


def _text(properties: t.Mapping[str, t.Any], name: str) -> str | None:
    """The value, where absent, empty and the text 'null' all mean nothing."""
    value = properties.get(name)
    if value is None or str(value).strip().lower() in ("", "null"):
        return None
    return str(value)


def _flag(properties: t.Mapping[str, t.Any], name: str) -> bool | None:
    value = _text(properties, name)
    return None if value is None else value.lower() in _TRUE


def _locked(properties: t.Mapping[str, t.Any]) -> bool:
    if _flag(properties, "SNOWFLAKE_LOCK"):
        return True
    minutes = _text(properties, "MINS_TO_UNLOCK")
    try:
        if minutes is not None and float(minutes) > 0:
            return True
    except ValueError:
        return True
    try:
        details = json.loads(_text(properties, "LOCK_DETAILS") or "{}")
    except ValueError:
        return True
    return isinstance(details, dict) and any(value is True for value in details.values())


def parse(stored: str, rows: t.Iterable[t.Mapping[str, t.Any]]) -> User:
    """The user from the rows {property, value, …}; rows that an older account lacks count as nothing."""
    properties = {str(row.get("property", "")).upper(): row.get("value") for row in rows}
    return User(
        name=stored,
        login_name=_text(properties, "LOGIN_NAME") or stored,
        type=_text(properties, "TYPE"),
        disabled=bool(_flag(properties, "DISABLED")),
        locked=_locked(properties),
        must_change_password=_flag(properties, "MUST_CHANGE_PASSWORD"),
        password_last_set_time=_text(properties, "PASSWORD_LAST_SET_TIME"),
    )
