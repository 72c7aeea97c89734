# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The options of snowflake_user_keypair, and what they mean for each user."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration, keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import connection, key_material, sql
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_material import KeyMaterial
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_plan import Options, is_tombstone_name

RESERVED_PAIRS = ("PUBLIC_KEY_1", "PUBLIC_KEY_2")
_NEW_KEY = ("private_key", "private_key_path", "public_key")
_CURRENT_KEY = ("current_private_key", "current_public_key", "current_fingerprint")

USER_OPTIONS: dict[str, dict[str, t.Any]] = {
    "private_key": {"type": "str", "no_log": True},
    "private_key_path": {"type": "path", "no_log": False},
    "public_key": {"type": "str", "no_log": False},
    "private_key_passphrase": {"type": "str", "no_log": True},
    "current_private_key": {"type": "str", "no_log": True},
    "current_private_key_passphrase": {"type": "str", "no_log": True},
    "current_public_key": {"type": "str", "no_log": False},
    "current_fingerprint": {"type": "str", "no_log": False},
    "key_pair_name": {"type": "str", "no_log": False},
    "recovered": {"type": "bool", "default": False, "no_log": False},
    "install": {"type": "bool", "default": True, "no_log": False},
}
# Those that say something of themselves, so that users excludes them at the top.
_OF_ONE_USER = [name for name, option in USER_OPTIONS.items() if "default" not in option]
_RETIRE: dict[str, t.Any] = {"retire_previous_after": {"type": "str", "no_log": False}}
_EXCLUSIVE = [_NEW_KEY, _CURRENT_KEY]

SPEC = connection.CONNECTION_SPEC.merged(
    ArgumentSpec(
        options={
            "name": {"type": "str", "no_log": False},
            **USER_OPTIONS,
            "users": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {"name": {"type": "str", "required": True, "no_log": False}, **USER_OPTIONS, **_RETIRE},
                "mutually_exclusive": _EXCLUSIVE,
            },
            "method": {"type": "str", "choices": ["slots", "named"], "default": "slots", "no_log": False},
            "rotated_key_expiry_hours": {"type": "int", "default": 24, "no_log": False},
            "on_slots_full": {
                "type": "str",
                "choices": ["fail", "replace_oldest"],
                "default": "fail",
                "no_log": False,
            },
            **_RETIRE,
            "verify": {"type": "bool", "default": True, "no_log": False},
            "key_size": {"type": "int", "default": 2048, "no_log": False},
        },
        mutually_exclusive=[*_EXCLUSIVE, *((name, "users") for name in ("name", *_OF_ONE_USER))],
        required_one_of=[("name", "users")],
        required_by={name: ("name",) for name in _NEW_KEY},
    )
)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One user and the key that it shall have.

    new: None where the key is still to be made. current: the fingerprint of the key in use, None if not named.
    recovered: an earlier run may have placed it. install: whether it may be placed, or must be there already.
    retire_after: overrules the task's. unusable: why the options cannot be used.
    """

    name: str
    new: KeyMaterial | None = None
    current: str | None = None
    path: str | None = None
    passphrase: str | None = dataclasses.field(default=None, repr=False)
    pair_name: str | None = None
    recovered: bool = False
    install: bool = True
    retire_after: dt.timedelta | None = None
    unusable: InvalidInput | None = None


def read_item(params: t.Mapping[str, t.Any]) -> Wanted:
    """The item from its options. Reads the key file if there is one."""
    try:
        return Wanted(
            name=params["name"],
            new=key_material.wanted_key(params),
            current=key_material.current_fingerprint(params),
            path=params["private_key_path"],
            passphrase=params["private_key_passphrase"],
            pair_name=params["key_pair_name"],
            recovered=params["recovered"],
            install=params["install"],
            retire_after=_duration(params.get("retire_previous_after")),
        )
    except InvalidInput as error:
        unusable = InvalidInput(f"User {params['name']}: {error.msg}", in_force=error.in_force)
        return Wanted(name=params["name"], unusable=unusable)


def _duration(text: str | None) -> dt.timedelta | None:
    return None if text is None else duration.parse_duration(text, option="retire_previous_after")


def check_pair_name(user: str, name: str | None) -> None:
    if not name:
        raise InvalidInput(f"{user}: method=named needs key_pair_name.")
    stored = sql.exact_name(name)
    if stored in RESERVED_PAIRS:
        raise InvalidInput(f"{user}: the key pair name {stored} is reserved for the slots.")
    if is_tombstone_name(stored):
        raise InvalidInput(f"{user}: {stored} is the name of a rotated key pair, which cannot be rotated again.")


def read_options(params: t.Mapping[str, t.Any]) -> Options:
    """What holds for all users. Raises InvalidInput for what contradicts itself."""
    named = params["method"] == "named"
    retiring = [params, *(params["users"] or [])]
    if any(item["retire_previous_after"] is not None for item in retiring):
        if named:
            raise InvalidInput(
                "retire_previous_after goes with method=slots; named pairs have rotated_key_expiry_hours."
            )
        if not params["verify"]:
            raise InvalidInput(
                "retire_previous_after needs verify: a key is retired only after the new one has logged in."
            )
    if params["rotated_key_expiry_hours"] < 0:
        raise InvalidInput("rotated_key_expiry_hours cannot be negative.")
    if params["key_size"] < keys.SMALLEST_RSA_KEY:
        raise InvalidInput(f"key_size must be at least {keys.SMALLEST_RSA_KEY}.")
    return Options(
        named=named,
        expiry_hours=params["rotated_key_expiry_hours"],
        replace_oldest=params["on_slots_full"] == "replace_oldest",
        retire_after=_duration(params["retire_previous_after"]),
        verify=params["verify"],
        key_size=params["key_size"],
    )
