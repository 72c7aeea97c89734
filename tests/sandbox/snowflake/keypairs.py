# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named key pairs: ADD, ROTATE, MODIFY and REMOVE KEY PAIR. Texts and numbers of the refusals are (unverified)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from tests.sandbox.snowflake import errors, keys
from tests.sandbox.snowflake.alter import read_value
from tests.sandbox.snowflake.sql import Statement
from tests.sandbox.snowflake.users import KeyPair, User

LIMIT = 10
SLOT_NAMES = {"PUBLIC_KEY_1": "rsa_public_key", "PUBLIC_KEY_2": "rsa_public_key_2"}
_DEFAULT_HOURS = 24

_OPTIONS: dict[str, dict[str, str]] = {
    "ADD KEY PAIR": {"PUBLIC_KEY": "key", "ROLE_RESTRICTION": "name", "DAYS_TO_EXPIRY": "int", "COMMENT": "text"},
    "ROTATE KEY PAIR": {"PUBLIC_KEY": "key", "EXPIRE_ROTATED_KEY_PAIR_AFTER_HOURS": "int"},
    "MODIFY KEY PAIR": {"DISABLED": "bool", "COMMENT": "text"},
    "REMOVE KEY PAIR": {},
}


def change(user: User, statement: Statement, now: dt.datetime, actor: str) -> None:
    """Carry out one KEY PAIR statement on a draft of the user."""
    options = _options(statement)
    name = statement.item
    if name in SLOT_NAMES:
        raise errors.key_pair_refused(f"Key pair name '{name}' is reserved.")
    if statement.action == "ADD KEY PAIR":
        _add(user, name, options, now, actor)
        return
    if name not in user.key_pairs:
        raise errors.no_such("Key pair", name)
    if statement.action == "ROTATE KEY PAIR":
        _rotate(user, user.key_pairs[name], options, now, actor)
    elif statement.action == "MODIFY KEY PAIR":
        for option, value in options.items():
            setattr(user.key_pairs[name], option.lower(), value)
    else:
        del user.key_pairs[name]


def _options(statement: Statement) -> dict[str, t.Any]:
    known = _OPTIONS[statement.action]
    for name in statement.values:
        if name not in known:
            raise errors.invalid_property(name)
    options = {name: read_value(name, value, known[name]) for name, value in statement.values.items()}
    if "PUBLIC_KEY" in known and not options.get("PUBLIC_KEY"):
        raise errors.invalid_value("PUBLIC_KEY")
    return options


def _check_key(user: User, text: str, now: dt.datetime) -> None:
    keys.load(text)
    wanted = keys.fingerprint(text)
    if any(keys.fingerprint(active) == wanted for active, _source in user.active_keys(now)):
        raise errors.key_pair_refused("The public key is already in use by another active key pair of the user.")


def _check_room(user: User) -> None:
    if len(user.key_pairs) >= LIMIT:
        raise errors.key_pair_refused(f"The user has reached the maximum number of key pairs ({LIMIT}).")


def _expiry(now: dt.datetime, days: int | None) -> dt.datetime | None:
    return now + dt.timedelta(days=days) if days else None


def _add(user: User, name: str, options: dict[str, t.Any], now: dt.datetime, actor: str) -> None:
    if name in user.key_pairs:
        raise errors.already_exists("Key pair", name)
    _check_room(user)
    _check_key(user, options["PUBLIC_KEY"], now)
    days = options.get("DAYS_TO_EXPIRY")
    user.key_pairs[name] = KeyPair(
        name=name,
        public_key=options["PUBLIC_KEY"],
        created_on=now,
        created_by=actor,
        role_restriction=options.get("ROLE_RESTRICTION"),
        comment=options.get("COMMENT"),
        days_to_expiry=days,
        expires_at=_expiry(now, days),
    )


def _rotate(user: User, old: KeyPair, options: dict[str, t.Any], now: dt.datetime, actor: str) -> None:
    if old.rotated_to is not None:
        raise errors.key_pair_refused(f"Key pair '{old.name}' was rotated and cannot be rotated again.")
    _check_room(user)
    _check_key(user, options["PUBLIC_KEY"], now)
    asked = options.get("EXPIRE_ROTATED_KEY_PAIR_AFTER_HOURS")
    ends = now + dt.timedelta(hours=_DEFAULT_HOURS if asked is None else asked)
    if old.expires_at is not None and ends > old.expires_at:
        if asked:
            raise errors.invalid_value("EXPIRE_ROTATED_KEY_PAIR_AFTER_HOURS")
        ends = min(ends, old.expires_at)
    new = dataclasses.replace(
        old,
        public_key=options["PUBLIC_KEY"],
        created_on=now,
        created_by=actor,
        expires_at=_expiry(now, old.days_to_expiry),
        last_used_on=None,
    )
    old.name = f"{new.name}_ROTATED_{int(now.timestamp() * 1000)}"
    old.expires_at = ends
    old.rotated_to = new.name
    user.key_pairs[new.name] = new
    user.key_pairs[old.name] = old
