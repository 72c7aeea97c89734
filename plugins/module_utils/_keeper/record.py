# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""A Keeper record's plain data, {title, type, fields, custom}, and the fields that a rotation uses. Pure.

A field is {type, label?, value: [...]}; fields of the record's type are in C(fields), the user's own in C(custom).
"""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import json
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration

Data = dict[str, t.Any]
Credential = t.Literal["password", "key_pair"]

PENDING = "rotation_pending"
STATE = "rotation_state"
ROTATED_AT = "rotated_at"
OWN_FIELDS = (PENDING, STATE, ROTATED_AT)
PRIVATE_KEY_LABEL = "privatePEMKey"
_STATE_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Marker:
    """The C(rotation_state) of a staged value. run: random, tells one staging from another with the same id."""

    rotation_id: str
    run: str
    credential: str
    started: dt.datetime | None


def _all_fields(data: Data) -> t.Iterator[Data]:
    for section in ("fields", "custom"):
        yield from (field for field in data.get(section) or [] if isinstance(field, dict))


def find(data: Data, *, kind: str | None = None, label: str | None = None) -> Data | None:
    """The first field of this type, or with this label."""
    for field in _all_fields(data):
        if (kind is None or field.get("type") == kind) and (label is None or field.get("label") == label):
            return field
    return None


def first_value(field: Data | None) -> t.Any:
    """The field's first value; None where there is no field, no value or an empty one."""
    values = field.get("value") if field else None
    if isinstance(values, list):
        values = values[0] if values else None
    return values if values not in ("", None, []) else None


def text(data: Data, *, kind: str | None = None, label: str | None = None) -> str | None:
    value = first_value(find(data, kind=kind, label=label))
    return value if isinstance(value, str) else None


def login(data: Data) -> str:
    return text(data, kind="login") or ""


def put_custom(data: Data, label: str, value: str | None, *, kind: str = "text") -> None:
    """Set the field with this label, in place; one that is missing is added to the custom fields. None empties it."""
    field = find(data, label=label)
    if field is None:
        if value is None:
            return
        field = {"type": kind, "label": label}
        data.setdefault("custom", [])
        data["custom"] = [*(data["custom"] or []), field]
    field["value"] = [] if value is None else [value]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the live secret is kept.

    A password stands in the password field; a key pair in the field labelled C(key_field), else in the record's keyPair
    field, else in privatePEMKey.
    """

    credential: Credential
    key_field: str | None = None

    def field(self, data: Data) -> Data | None:
        if self.credential == "password":
            return find(data, kind="password")
        if self.key_field is not None:
            return find(data, label=self.key_field)
        return find(data, kind="keyPair") or find(data, label=PRIVATE_KEY_LABEL)

    @property
    def label(self) -> str:
        """The label of the field that is added to a record without one."""
        return self.key_field or PRIVATE_KEY_LABEL


def live_secret(data: Data, place: Place) -> str | None:
    """The secret in the normal field: a password, or a private key in PEM form."""
    value = first_value(place.field(data))
    if isinstance(value, dict):
        value = value.get("privateKey")
    return value if isinstance(value, str) and value else None


def pending(data: Data) -> str | None:
    return text(data, label=PENDING)


def marker(data: Data) -> Marker | None:
    """The state that belongs to the pending value; None when it is absent or unreadable."""
    try:
        state = json.loads(text(data, label=STATE) or "")
    except ValueError:
        return None
    if not isinstance(state, dict):
        return None
    return Marker(
        rotation_id=str(state.get("rotation_id", "")),
        run=str(state.get("run", "")),
        credential=str(state.get("credential", "")),
        started=duration.parse_rfc3339(str(state.get("started", ""))),
    )


def rotated_at(data: Data) -> dt.datetime | None:
    return duration.parse_rfc3339(text(data, label=ROTATED_AT))


def staged(data: Data, secret: str, mark: Marker) -> Data:
    """The record with the pending value and its state, both in one."""
    data = copy.deepcopy(data)
    state = {
        "v": _STATE_VERSION,
        "rotation_id": mark.rotation_id,
        "run": mark.run,
        "credential": mark.credential,
        "started": duration.rfc3339(mark.started or duration.now()),
    }
    put_custom(data, PENDING, secret, kind="secret")
    put_custom(data, STATE, json.dumps(state, sort_keys=True))
    return data


def discarded(data: Data) -> Data:
    """The record without a pending value."""
    data = copy.deepcopy(data)
    put_custom(data, PENDING, None)
    put_custom(data, STATE, None)
    return data


def committed(
    data: Data, place: Place, secret: str, public: str | None, when: dt.datetime, extra: t.Mapping[str, str]
) -> Data:
    """The record with the pending value in the normal field, its time, the extra fields, and nothing pending."""
    data = discarded(data)
    # First, so that none of them can overwrite what follows.
    for label, value in extra.items():
        put_custom(data, label, value)
    field = place.field(data)
    if field is None:
        put_custom(data, place.label, secret, kind="secret")
    elif field.get("type") == "keyPair":
        field["value"] = [{"publicKey": public or "", "privateKey": secret}]
    else:
        field["value"] = [secret]
    put_custom(data, ROTATED_AT, duration.rfc3339(when))
    return data
