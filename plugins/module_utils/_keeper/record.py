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
import functools
import json
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Ambiguous, Refused

Data = dict[str, t.Any]
Credential = t.Literal["password", "key_pair"]

PENDING = "rotation_pending"
STATE = "rotation_state"
ROTATED_AT = "rotated_at"
CONSUMERS = "rotation_consumers"
OWN_FIELDS = (PENDING, STATE, ROTATED_AT)
PRIVATE_KEY_LABEL = "privatePEMKey"
_STATE_VERSION = 1
# Types whose value is a text, which people and programs choose between as they like.
_TEXT_TYPES = ("text", "secret", "multiline", "note", "")


@dataclasses.dataclass(frozen=True)
class Marker:
    """The C(rotation_state) of a staged value. run: random, tells one staging from another with the same id."""

    rotation_id: str
    run: str
    credential: str
    started: dt.datetime | None


@functools.lru_cache(maxsize=1024)
def plain(label: str) -> str:
    """The same for all spellings of a label: case, blanks, C(-) and C(_) make no difference. Empty for a blank one."""
    return re.sub(r"[\s_-]+", "", label).casefold() or label.strip()


def _all_fields(data: Data) -> t.Iterator[Data]:
    for section in ("fields", "custom"):
        found = data.get(section)
        yield from (field for field in (found if isinstance(found, list) else []) if isinstance(field, dict))


def locate(data: Data, *labels: str, kind: str | None = None, types: t.Sequence[str] = _TEXT_TYPES) -> Data | None:
    """The one field that is meant: with one of the labels, or without a label and of the type C(kind).

    Where none has such a label, the one of that type counts, however it is labelled. Of two, the filled one is meant.
    Raises Refused for a label on a field of a type that is none of C(types), which belongs to somebody else, and
    Ambiguous for two that are filled: written, they would differ, and one may be another system's.
    """
    named, others = _candidates(data, {plain(label) for label in labels}, kind, types)
    filled = [field for field in (*named, *others) if first_value(field) is not None]
    if len(filled) > 1 or (named and filled and filled[0] not in named):
        places = [*named[:1], *filled] if len(filled) == 1 else filled
        names = " and ".join(repr(field.get("label") or field.get("type")) for field in places)
        raise Ambiguous(f"Of its fields {names}, it is not certain which is meant.")
    return next(iter(filled or named or others), None)


def _candidates(
    data: Data, wanted: set[str], kind: str | None, types: t.Sequence[str]
) -> tuple[list[Data], list[Data]]:
    """The fields that are named as wanted, or of the type and not named; and those of the type with another name."""
    named, others = [], []
    for field in _all_fields(data):
        own, of = plain(str(field.get("label") or "")), str(field.get("type") or "")
        if own and own in wanted and of != kind and of not in types:
            raise Refused(f"Its field {field['label']!r} is of type {of}, which is not what a rotation keeps there.")
        if (own and own in wanted) or (of == kind and not own):
            named.append(field)
        elif of == kind:
            others.append(field)
    return named, others


def first_value(field: Data | None) -> t.Any:
    """The field's first value; None where there is no field, no value or an empty one."""
    values = field.get("value") if field else None
    if isinstance(values, list):
        values = values[0] if values else None
    if isinstance(values, dict) and "privateKey" in values:
        return values if values["privateKey"] else None
    return values if values not in ("", None, [], {}) else None


def _text(field: Data | None) -> str | None:
    """The field's text; numbers count as such, because programs store them so. Raises Refused for anything else."""
    value = first_value(field)
    if isinstance(value, dict) and field is not None and field.get("type") == "keyPair":
        value = value.get("privateKey")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if field is not None and value is not None and not isinstance(value, str):
        raise Refused(f"Its field {field.get('label') or field.get('type')!r} holds no text.")
    return t.cast("str | None", value)


def text(data: Data, label: str) -> str | None:
    return _text(locate(data, label))


def login(data: Data) -> str:
    """The user's name. It is never written, so the same one twice does no harm."""
    named, others = _candidates(data, {"login", "username"}, "login", (*_TEXT_TYPES, "email"))
    found = {value for value in map(_text, named) if value} or {value for value in map(_text, others) if value}
    if len(found) > 1:
        raise Ambiguous("Its fields for the login are filled with different values.")
    return next(iter(found), "")


def put_custom(data: Data, label: str, value: str | None, *, kind: str = "text") -> None:
    """Set the field with this label, in place; one that is missing is added to the custom fields. None empties it."""
    field = locate(data, label)
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
        """Raises Refused and Ambiguous as C(locate)."""
        if self.credential == "password":
            return locate(data, "password", kind="password")
        if self.key_field is not None:
            return locate(data, self.key_field, types=(*_TEXT_TYPES, "keyPair"))
        return locate(data, PRIVATE_KEY_LABEL, kind="keyPair")

    @property
    def label(self) -> str:
        """The label of the field that is added to a record without one."""
        return self.key_field or PRIVATE_KEY_LABEL


def check(data: Data, place: Place, labels: t.Iterable[str]) -> None:
    """Raise Refused or Ambiguous unless all that a rotation reads and writes is there once, of the type it must be.

    labels: of further fields that a commit writes.
    """
    for label in (*OWN_FIELDS, *labels):
        text(data, label)
    login(data)
    live_secret(data, place)


def live_secret(data: Data, place: Place) -> str | None:
    """The secret in the normal field: a password, or a private key in PEM form."""
    return _text(place.field(data))


def pending(data: Data) -> str | None:
    return text(data, PENDING)


def _state(data: Data) -> dict[str, t.Any]:
    try:
        state = json.loads(text(data, STATE) or "")
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def marker(data: Data) -> Marker | None:
    """The state that belongs to the pending value; None when it is absent or unreadable."""
    state = _state(data)
    if "run" not in state:
        return None
    return Marker(
        rotation_id=str(state.get("rotation_id", "")),
        run=str(state["run"]),
        credential=str(state.get("credential", "")),
        started=duration.parse_rfc3339(str(state.get("started", ""))),
    )


def last_committed(data: Data) -> str | None:
    """The name of the rotation that was committed last; None where nobody has kept it."""
    name = _state(data).get("committed")
    return name if isinstance(name, str) else None


def consumers(data: Data, further: t.Sequence[str]) -> list[str]:
    """Who is told of a new secret: those, and the record's own, separated by commas or blanks."""
    own = re.split(r"[\s,]+", text(data, CONSUMERS) or "")
    return list(dict.fromkeys(name for name in (*further, *own) if name))


def undelivered(data: Data) -> list[str]:
    """The consumers that have not yet been told of the rotation that was committed last."""
    names = _state(data).get("undelivered")
    return [str(name) for name in names] if isinstance(names, list) else []


def delivered(data: Data, consumer: str) -> Data:
    """The record without this consumer among those that are to be told; whatever is pending stays."""
    data = copy.deepcopy(data)
    state = {**_state(data), "undelivered": [name for name in undelivered(data) if name != consumer]}
    if not state["undelivered"]:
        del state["undelivered"]
    put_custom(data, STATE, json.dumps(state, sort_keys=True))
    return data


def rotated_at(told: str | None, now: dt.datetime) -> tuple[dt.datetime | None, str | None]:
    """The moment that C(rotated_at) tells, None for never; and a word about a time that counts as never."""
    moment = duration.parse_time(told)
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    if moment is None:
        return None, "Its rotated_at cannot be read, so it counts as never rotated." if told else None
    if moment > now:
        return None, "Its rotated_at lies in the future, so it counts as never rotated."
    return moment, None


def staged(data: Data, secret: str, mark: Marker) -> Data:
    """The record with the pending value and its state, both in one."""
    data = copy.deepcopy(data)
    state = {
        **_kept(last_committed(data), undelivered(data)),
        "rotation_id": mark.rotation_id,
        "run": mark.run,
        "credential": mark.credential,
        "started": duration.rfc3339(mark.started or duration.now()),
    }
    put_custom(data, PENDING, secret, kind="secret")
    put_custom(data, STATE, json.dumps(state, sort_keys=True))
    return data


def _kept(committed: str | None, consumers: t.Sequence[str]) -> dict[str, t.Any]:
    """What the state holds besides a staged value; the consumers are those of what was committed last."""
    known = {"committed": committed, "undelivered": list(consumers)}
    return {"v": _STATE_VERSION, **{name: value for name, value in known.items() if value}}


def discarded(data: Data) -> Data:
    """The record without a pending value."""
    return _ended(data, last_committed(data), undelivered(data))


def _ended(data: Data, committed: str | None, consumers: t.Sequence[str]) -> Data:
    data = copy.deepcopy(data)
    put_custom(data, PENDING, None)
    put_custom(data, STATE, None if committed is None else json.dumps(_kept(committed, consumers), sort_keys=True))
    return data


def committed(
    data: Data,
    place: Place,
    secret: str,
    public: str | None,
    when: dt.datetime,
    extra: t.Mapping[str, str],
    tell: t.Sequence[str] = (),
) -> Data:
    """The record with the pending value in the normal field, its time, the extra fields, and nothing pending.

    tell: the consumers that are to be told, from now on.
    """
    mark = marker(data)
    data = _ended(data, mark.rotation_id if mark is not None else None, tell)
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
