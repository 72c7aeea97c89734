# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What SET and UNSET do to a user."""

from __future__ import annotations

import datetime as dt
import typing as t

from tests.sandbox.snowflake import errors, keys
from tests.sandbox.snowflake.account import Account
from tests.sandbox.snowflake.properties import NOT_ON, PROPERTIES
from tests.sandbox.snowflake.sql import Value
from tests.sandbox.snowflake.users import User

_BOOLEANS = {"TRUE": True, "FALSE": False}
_TYPES = ("PERSON", "SERVICE", "SERVICE_AGENT", "LEGACY_SERVICE")


def check_known(names: t.Iterable[str]) -> None:
    for name in names:
        if name not in PROPERTIES:
            raise errors.invalid_property(name)


def apply(account: Account, user: User, values: dict[str, Value]) -> None:
    """Set properties of a draft; the draft is worthless after SqlError."""
    read = {name: read_value(name, value, PROPERTIES[name]) for name, value in values.items()}
    if "TYPE" in read:
        user.type = read.pop("TYPE")
    for name in read:
        if user.type is not None and name in NOT_ON.get(user.type, ()) and not _is_null(values[name]):
            raise errors.not_on_service_user(name, user.type)
    for name, value in read.items():
        setter = _SETTERS.get(name)
        if setter is None:
            setattr(user, name.lower(), value)
        else:
            setter(account, user, value)


def read_value(name: str, value: Value, kind: str) -> t.Any:
    """A written value as Python's, or None for NULL; SqlError if it does not fit the kind."""
    if _is_null(value):
        return False if kind == "bool" else None
    if kind == "bool" and value.text.upper() in _BOOLEANS and value.kind in ("word", "string"):
        return _BOOLEANS[value.text.upper()]
    if kind == "int" and value.kind in ("number", "string") and value.text.isdigit():
        return int(value.text)
    if kind in ("text", "key") and value.kind == "string":
        return value.text
    if kind == "type" and value.text.upper() in _TYPES and value.kind in ("word", "string"):
        return value.text.upper()
    if kind == "name" and value.kind in ("word", "quoted", "string"):
        return value.text.upper() if value.kind == "word" else value.text
    if kind == "list" and value.kind == "list":
        return value.text.upper()
    raise errors.invalid_value(name)


def _is_null(value: Value) -> bool:
    return value.kind == "word" and value.text.upper() == "NULL"


def _set_password(account: Account, user: User, password: str | None) -> None:
    if password is None:
        user.password = None
        return
    account.password_policy.check(user, password)
    if user.password is not None:
        user.password_history.insert(0, user.password)
    user.password = password
    user.password_last_set_time = account.clock()
    if account.password_change_unlocks:
        _set_lock(account, user, 0)


def _set_lock(account: Account, user: User, minutes: int | None) -> None:
    user.failed_logins = 0
    user.locked_until = account.clock() + dt.timedelta(minutes=minutes) if minutes else None


def _set_expiry(account: Account, user: User, days: int | None) -> None:
    user.expires_at = account.clock() + dt.timedelta(days=days) if days else None


def _set_login_name(account: Account, user: User, login_name: str | None) -> None:
    wanted = login_name or user.name
    holder = account.by_login_name(wanted)
    if holder is not None and holder.name != user.name:
        raise errors.already_exists("Login name", wanted)
    user.login_name = wanted.upper()


def _slot_setter(attribute: str) -> t.Callable[[Account, User, str | None], None]:
    def set_slot(account: Account, user: User, text: str | None) -> None:
        if not text:
            # The set time stays: it tells when a key was last set, not when it was removed.
            setattr(user, attribute, None)
            return
        keys.load(text)
        setattr(user, attribute, text)
        setattr(user, f"{attribute}_last_set_time", account.clock())

    return set_slot


def _set_disabled(account: Account, user: User, disabled: bool) -> None:
    """The tokens of a disabled user are disabled, too, and stay so."""
    user.disabled = disabled
    for token in user.pats.values():
        token.disabled = token.disabled or disabled


_SETTERS: dict[str, t.Callable[[Account, User, t.Any], None]] = {
    "PASSWORD": _set_password,
    "DISABLED": _set_disabled,
    "MINS_TO_UNLOCK": _set_lock,
    "DAYS_TO_EXPIRY": _set_expiry,
    "LOGIN_NAME": _set_login_name,
    "RSA_PUBLIC_KEY": _slot_setter("rsa_public_key"),
    "RSA_PUBLIC_KEY_2": _slot_setter("rsa_public_key_2"),
}
