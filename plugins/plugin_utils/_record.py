# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The one reader of records, for the gateway, the roles and the inventory: what a field means, however it is spelt.

A record is flat, {label: value or values}, as the gateway's payload and Keeper's own plugin give it, or the vault's own
JSON, {title, fields: [{type, label, value: [...]}], custom: [...]}. Values may be lists at any depth.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

# By what C(key) makes of a label: the values, each once; empty ones are left out.
Fields = dict[str, list[t.Any]]
Options = dict[str, t.Any]

MODULE = "rotation_module"
_PREFIX = "keyturn.credentials."
_MODULES = "ansible_collections.keyturn.credentials.plugins.modules"
# Labels that people and importers write for the same field; asked in this order.
_ALSO = {"login": ("username",), "url": ("websiteaddress", "website"), "uid": ("recorduid",)}
# Further fields of the same label or type are numbered by what makes a record flat.
_NUMBERED = re.compile(
    r"(uid|title|login|password|url|rotationmodule|recipe|snowflakeaccountname|networkid|privatepemkey|keypair)\d+\Z"
)
_STANDARD = ("login", "password", "url", "keyPair")
_BY_TYPE = "type:"
# What stands in such a field is an identifier of Keeper's own.
_REFERENCES = ("fileRef", "addressRef", "cardRef")


# Why: docs/decisions/10-labels-of-fields.md
@functools.lru_cache(maxsize=4096)
def key(label: str) -> str:
    """The same for all spellings of a label: case, blanks, C(-), C(_) and their like make no difference."""
    plain = re.sub(r"[\W_]+", "", label).casefold()
    numbered = _NUMBERED.match(plain)
    return numbered[1] if numbered else plain


def read(record: t.Any) -> Fields:
    """The record's fields. Raises InvalidInput for what is no record; whatever is strange in one is left out."""
    if not isinstance(record, t.Mapping):
        raise InvalidInput("Where a record should be, there is something else.")
    found: Fields = {}
    for label, value in _named(record):
        known = found.setdefault(key(label), [])
        known += [one for one in values(value) if one not in known]
    found.pop("", None)
    return found


def labels(record: t.Any) -> set[str]:
    """The labels of its fields that have a value, or their types where there is no label."""
    return {label for label, value in _named(record) if values(value) and not label.startswith(_BY_TYPE)}


def _named(record: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, t.Any]]:
    for label, value in record.items():
        if label not in ("fields", "custom") or not _is_section(value):
            yield str(label), value
            continue
        for field in value:
            kind, own = str(field.get("type") or ""), str(field.get("label") or "")
            if kind not in _REFERENCES:
                yield own if key(own) else kind, field.get("value")
                if kind in _STANDARD:
                    yield _BY_TYPE + kind, field.get("value")


def _is_section(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(field, t.Mapping) and "type" in field for field in value)


def values(value: t.Any) -> list[t.Any]:
    """The values in a field, lists at any depth undone; empty ones are left out."""
    if isinstance(value, (list, tuple)):
        return [one for item in value for one in values(item)]
    return [] if value is None or value in ("", {}) else [value]


def _one(fields: Fields, name: str, convert: t.Callable[[t.Any], t.Any]) -> t.Any:
    own = key(name)
    for place in (own, *_ALSO.get(own, ()), key(_BY_TYPE + own)):
        found = list(filter(None, map(convert, fields.get(place, []))))
        if any(value != found[0] for value in found):
            raise InvalidInput(f"{whose(fields)} has several values for {name}; leave the one that counts.")
        if found:
            return found[0]
    return None


def text(fields: Fields, name: str) -> str | None:
    """A field that is no secret, without the blanks around it. Raises InvalidInput if it has different values."""
    return t.cast("str | None", _one(fields, name, lambda value: _plain(value).strip()))


def secret(fields: Fields, name: str) -> str | None:
    """The same for a secret, of which no character is touched."""
    return t.cast("str | None", _one(fields, name, _plain))


def _plain(value: t.Any) -> str:
    """Numbers count as text; a mapping, such as a host's, is none."""
    return "" if isinstance(value, t.Mapping) else str(value)


def private_key(fields: Fields) -> str | None:
    """The key in C(privatePEMKey), else in the field of type C(keyPair), a mapping or its JSON."""
    return secret(fields, "privatePEMKey") or t.cast("str | None", _one(fields, "keyPair", _private_half))


def _private_half(value: t.Any) -> str:
    try:
        pair = value if isinstance(value, t.Mapping) else json.loads(value)
        return str(pair.get("privateKey") or "")
    except (AttributeError, TypeError, ValueError):
        return ""


def kind(fields: Fields) -> str:
    """What C(rotation_module) names, without the collection; empty if it names nothing."""
    return (text(fields, MODULE) or "").removeprefix(_PREFIX)


def whose(fields: Fields) -> str:
    """The record in words. A printable UID, or else nothing of it."""
    uid = fields.get(key("uid")) or [""]
    return f"Record {uid[0]}" if re.fullmatch(r"[\w.@-]{1,64}", str(uid[0])) else "The record"


def spec_of(module: str) -> ArgumentSpec:
    """The options of a module of this collection; the other modules are not imported."""
    found: ArgumentSpec = importlib.import_module(f"{_MODULES}.{module}").SPEC
    return found


def options(fields: Fields, spec: ArgumentSpec) -> Options:
    """The options of a module that fields of the same name set: no secrets, no mappings or lists, none of a user's."""
    of_users = spec.options.get("users", {}).get("options", {})
    of_one = {name for pair in spec.mutually_exclusive if "users" in pair for name in pair}
    of_one |= {name for name, option in of_users.items() if "default" in option}
    asked = [
        name
        for name, option in spec.options.items()
        if not option["no_log"] and option["type"] not in ("dict", "list") and name not in of_one
    ]
    found = {name: text(fields, name) for name in asked}
    return {name: value for name, value in found.items() if value is not None}


def filled(*layers: t.Mapping[str, t.Any]) -> Options:
    """The layers as one, the last wins; empty values are left out."""
    merged = {name: value for layer in layers for name, value in layer.items()}
    return {name: value for name, value in merged.items() if value not in (None, "")}
