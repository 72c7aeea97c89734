# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The options of keeper_rotation, and what they mean together."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration, keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import windows
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.connection import CONNECTION_SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.password_policy import policy_from
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_plan import Minted, Options

# Without defaults, so that what nobody has asked for gives way to what somebody has.
_POLICY: dict[str, t.Any] = {
    "type": "dict",
    "no_log": False,
    "options": {
        "length": {"type": "int", "no_log": False},
        "max_length": {"type": "int", "no_log": False},
        "min_upper": {"type": "int", "no_log": False},
        "min_lower": {"type": "int", "no_log": False},
        "min_digits": {"type": "int", "no_log": False},
        "min_special": {"type": "int", "no_log": False},
        "special_characters": {"type": "str", "no_log": False},
    },
}

SPEC = CONNECTION_SPEC.merged(
    ArgumentSpec(
        options={
            "record": {"type": "str", "no_log": False},
            "records": {"type": "list", "elements": "str", "no_log": False},
            "state": {
                "type": "str",
                "choices": ["announced", "staged", "committed", "discarded", "delivered"],
                "required": True,
                "no_log": False,
            },
            "credential": {
                "type": "str",
                "choices": ["password", "key_pair"],
                "default": "password",
                "no_log": False,
            },
            "secret": {"type": "str", "no_log": True},
            "expires_at": {"type": "str", "no_log": False},
            "token_name": {"type": "str", "no_log": False},
            "secrets": {"type": "dict", "no_log": True},
            "token_prefix": {"type": "str", "default": "KEYTURN", "no_log": False},
            "password_policy": _POLICY,
            "service_password_policy": _POLICY,
            "key_size": {"type": "int", "default": 2048, "no_log": False},
            "key_field": {"type": "str", "no_log": False},
            "max_age": {"type": "str", "no_log": False},
            "force": {"type": "bool", "default": False, "no_log": False},
            **{label: {"type": "str", "no_log": False} for label in windows.LABELS},
            "consumers": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "consumer": {"type": "str", "no_log": False},
            "rotation_id": {"type": "str", "no_log": False},
            "lease": {"type": "str", "default": "15m", "no_log": False},
            "fields": {"type": "dict", "default": {}, "no_log": False},
        },
        mutually_exclusive=[("record", "records"), ("secret", "secrets"), ("secret", "records"), ("secrets", "record")],
        required_one_of=[("record", "records")],
    )
)

# What a rotation reads and writes itself, however it is spelt.
_TAKEN = {fields.plain(label) for label in (*fields.OWN_FIELDS, *fields.TOKEN_FIELDS, "login", "username", "password")}
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,30}\Z")


def read_options(params: t.Mapping[str, t.Any]) -> Options:
    """What holds for all records. Raises InvalidInput for what cannot be used."""
    if params["key_size"] < keys.SMALLEST_RSA_KEY:
        raise InvalidInput(f"key_size must be at least {keys.SMALLEST_RSA_KEY}.")
    if params["rotation_id"] is not None and not params["rotation_id"].strip():
        raise InvalidInput("rotation_id is empty; leave it out instead.")
    if params["state"] == "delivered" and not (params["consumer"] and params["rotation_id"]):
        raise InvalidInput("state=delivered needs consumer and rotation_id.")
    key_field = (params["key_field"] or "").strip() or None
    if key_field is not None and fields.plain(key_field) in _TAKEN:
        raise InvalidInput(f"key_field cannot be {key_field}, which stands for something else.")
    minted = _minted(params)
    if params["credential"] == "key_pair" and (params["state"] == "announced" or minted):
        raise InvalidInput("A key pair is made here and not by a service, so it is neither announced nor given.")
    if not _PREFIX.match(params["token_prefix"]):
        raise InvalidInput("token_prefix must be a letter, and then up to 30 letters, digits and _.")
    policies = (params["password_policy"], params["service_password_policy"])
    policy_from(*policies)
    windows.held(params[windows.NOT_BEFORE], params[windows.WINDOW], duration.now())
    return Options(
        target="saved" if minted else params["state"],
        token_prefix=params["token_prefix"],
        minted=minted,
        place=fields.Place(params["credential"], key_field),
        rotation_id=params["rotation_id"],
        max_age=None if params["max_age"] is None else duration.parse_duration(params["max_age"], option="max_age"),
        force=params["force"],
        lease=duration.parse_duration(params["lease"], option="lease"),
        extra_fields=_extra_fields(params["fields"], key_field),
        policies=policies,
        consumers=tuple(params["consumers"]),
        consumer=params["consumer"] or "",
        waits={label: params[label] for label in windows.LABELS},
    )


def _minted(params: t.Mapping[str, t.Any]) -> dict[str, Minted]:
    """{record: what a service has minted for it}."""
    given = params["secrets"] or {}
    if params["secret"] is not None:
        given = {params["record"]: {name: params[name] for name in ("secret", "expires_at", "token_name")}}
    if (params["secrets"] is not None or given) and params["state"] != "staged":
        raise InvalidInput("secret and secrets go with state=staged.")
    bad = [record for record, told in given.items() if not isinstance(told, dict) or not told.get("secret")]
    if bad or params["secrets"] == {}:
        raise InvalidInput("secrets needs for each record a dictionary with secret, which is not empty.")
    return {
        record: Minted(str(told["secret"]), *map(told.get, ("expires_at", "token_name", "announced")))
        for record, told in given.items()
    }


def _extra_fields(given: t.Mapping[str, t.Any], key_field: str | None) -> dict[str, str]:
    taken = _TAKEN | {fields.plain(label) for label in (fields.PRIVATE_KEY_LABEL, key_field) if label}
    own = [label for label in given if fields.plain(label) in taken]
    if own:
        raise InvalidInput(f"fields cannot set {', '.join(sorted(own))}: a rotation uses these itself.")
    bad = [label for label, value in given.items() if isinstance(value, (dict, list)) or not label.strip()]
    if bad or len({fields.plain(label) for label in given}) < len(given):
        raise InvalidInput("fields takes names, each once in whatever spelling, and plain values only.")
    return {label: "" if value is None else str(value) for label, value in given.items()}
