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

from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import sql

_TRUE = ("true", "1", "yes")


@dataclasses.dataclass(frozen=True)
class Slot:
    """One of the two RSA key slots. The time stays when a slot is emptied, so it says nothing of an empty one."""

    number: int
    fingerprint: str | None
    set_time: str | None

    @property
    def property_name(self) -> str:
        return "RSA_PUBLIC_KEY" if self.number == 1 else f"RSA_PUBLIC_KEY_{self.number}"


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
    slots: tuple[Slot, Slot]


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


def _slot(properties: t.Mapping[str, t.Any], number: int, name: str) -> Slot:
    fingerprint = _text(properties, f"{name}_FP")
    if fingerprint is None and _text(properties, name) is not None:
        # A key that cannot be named is a key all the same: the slot is not empty.
        fingerprint = f"unreadable in slot {number}"
    return Slot(number, fingerprint, _text(properties, f"{name}_LAST_SET_TIME"))


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
        slots=(_slot(properties, 1, "RSA_PUBLIC_KEY"), _slot(properties, 2, "RSA_PUBLIC_KEY_2")),
    )


def is_user(login: str | None, user: User) -> bool:
    """Whether who logs in by this name is this user; a login name ignores case."""
    return login is not None and sql.exact_name(login).upper() in (user.name.upper(), user.login_name.upper())
