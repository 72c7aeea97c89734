# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""A Keeper record's plain data, {title, type, fields, custom}, and the fields that a rotation uses. Pure.

A field is {type, label?, value: [...]}; fields of the record's type are in C(fields), the user's own in C(custom).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
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
TOKEN_NAME = "token_name"
TOKEN_EXPIRES_AT = "token_expires_at"
CONSUMERS = "rotation_consumers"
OWN_FIELDS = (PENDING, STATE, ROTATED_AT)
TOKEN_FIELDS = (TOKEN_NAME, TOKEN_EXPIRES_AT)
# Names are unique, so that old ones do no harm; only the newest can still be at the service.
_MOST_NAMES = 20
PRIVATE_KEY_LABEL = "privatePEMKey"
_STATE_VERSION = 1
# Types whose value is a text, which people and programs choose between as they like.
_TEXT_TYPES = ("text", "secret", "multiline", "note", "")


_TOLD = ("place", "login", "value", "token_name", "expires_at", "of")
_CREDENTIALS = ("password", "key_pair", "token")


@dataclasses.dataclass(frozen=True)
class Marker:
    """The C(rotation_state) of a staged value. run: random, tells one staging from another with the same id.

    place, login, value: what the value was staged for, and its digest, so that a later edit is noticed; None where the
    state does not tell. former_logins: whom it may have been given to before the record's login was changed.
    token_name: of the token that was announced before a service was asked for it. expires_at: of that token. of: whose
    the names of tokens are, as C(owner) tells.
    """

    rotation_id: str
    run: str
    credential: str
    started: dt.datetime | None
    place: str | None = None
    login: str | None = None
    value: str | None = None
    former_logins: tuple[str, ...] = ()
    token_name: str | None = None
    expires_at: str | None = None
    of: str | None = None


@functools.lru_cache(maxsize=1024)
def plain(label: str) -> str:
    """The same for all spellings of a label: case, blanks, C(-) and C(_) make no difference. Empty for a blank one."""
    return re.sub(r"[\s_-]+", "", label).casefold() or label.strip()


def _all_fields(data: Data) -> t.Iterator[Data]:
    """Raises Refused for sections that are no list of fields: what cannot be read cannot be kept either."""
    for section in ("fields", "custom"):
        found = data.get(section) or []
        if not isinstance(found, list):
            raise Refused(f"Its section {section} is no list of fields.")
        yield from (field for field in found if isinstance(field, dict))


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
    """The field's text; numbers count as such, because programs store them so. Raises Refused for anything else.

    Several values are refused, because a write would leave one.
    """
    value = first_value(field)
    values = field.get("value") if field else None
    if field is not None and isinstance(values, list) and len([one for one in values if one not in ("", None)]) > 1:
        raise Refused(f"Its field {field.get('label') or field.get('type')!r} holds several values.")
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

    It stands in the field labelled C(key_field), if one is named; else a password in the password field, and a key pair
    in the record's keyPair field, else in privatePEMKey.
    """

    credential: Credential
    key_field: str | None = None

    def field(self, data: Data) -> Data | None:
        """Raises Refused and Ambiguous as C(locate)."""
        if self.key_field is not None:
            own = "keyPair" if self.credential == "key_pair" else "password"
            return locate(data, self.key_field, types=(*_TEXT_TYPES, own))
        if self.credential == "password":
            return locate(data, "password", kind="password")
        return locate(data, PRIVATE_KEY_LABEL, kind="keyPair")

    def describe(self, data: Data) -> str:
        """Which field it is, so that another one in its place is noticed; empty where it is still to be added."""
        field = self.field(data)
        return "" if field is None else f"{field.get('type') or ''}:{plain(str(field.get('label') or ''))}"

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
    except (ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}


def marker(data: Data) -> Marker | None:
    """The state that belongs to the pending value; None when it is absent or unreadable."""
    state = _state(data)
    if "run" not in state or state.get("credential") not in _CREDENTIALS:
        return None
    return Marker(
        rotation_id=str(state.get("rotation_id", "")),
        run=str(state["run"]),
        credential=str(state.get("credential", "")),
        started=duration.parse_rfc3339(str(state.get("started", ""))),
        **{name: str(state[name]) for name in _TOLD if state.get(name) is not None},
        former_logins=tuple(_listed(state, "former_logins")),
    )


def changed_since(data: Data, place: Place, mark: Marker) -> str | None:
    """What of the record is no longer as it was when the pending value was staged, in words; None for nothing."""
    now = _seal(data, place, pending(data), mark.run)
    names = {"place": "the field for the secret", "login": "the login", "value": "the pending value"}
    changed = [words for name, words in names.items() if getattr(mark, name) not in (None, now[name])]
    return " and ".join(changed) or None


def _seal(data: Data, place: Place, secret: str | None, run: str) -> dict[str, str | None]:
    """What a pending value is meant for, and what it is, without saying it. An announced one has no value yet."""
    value = None if secret is None else _digest(run, secret)
    return {"place": place.describe(data), "login": login(data), "value": value}


def _digest(salt: str | None, secret: str) -> str:
    return hashlib.sha256(f"{salt}\0{secret}".encode(errors="surrogatepass")).hexdigest()


def owner(data: Data, uid: str) -> str:
    """Whose the names of tokens are: this record's, for this login; another spelling may be another user."""
    return f"{uid}/{login(data)}"


def own(data: Data, uid: str) -> Data:
    """The record without names of tokens that are another record's, of which it is a copy, or another user's.

    Whoever removed a token by such a name would take it from those who use it.
    """
    state = _state(data)
    if state.get("of") in (None, owner(data, uid)):
        return data
    data = _copied(data)
    foreign = ("of", "held", "previous", "orphans", "token_name", "expires_at")
    put_custom(data, STATE, json.dumps({name: told for name, told in state.items() if name not in foreign}))
    put_custom(data, TOKEN_NAME, None)
    return data


def holds(data: Data, live: str | None) -> bool:
    """Whether the live token is the one that was committed last, and not one that a person has put there since."""
    held = _state(data).get("held")
    return live is not None and held in (None, _digest(last_committed(data), live))


def last_committed(data: Data) -> str | None:
    """The name of the rotation that was committed last; None where nobody has kept it."""
    name = _state(data).get("committed")
    return name if isinstance(name, str) else None


def aware(moment: dt.datetime) -> dt.datetime:
    """A time without a zone is UTC."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def consumers(data: Data, further: t.Sequence[str]) -> list[str]:
    """Who is told of a new secret: those, and the record's own, separated by commas or blanks."""
    own = re.split(r"[\s,]+", text(data, CONSUMERS) or "")
    return list(dict.fromkeys(name for name in (*further, *own) if name))


def undelivered(data: Data) -> list[str]:
    """The consumers that have not yet been told of the rotation that was committed last."""
    return _listed(_state(data), "undelivered")


def delivered(data: Data, consumer: str) -> Data:
    """The record without this consumer among those that are to be told; whatever is pending stays."""
    data = _copied(data)
    state = {**_state(data), "undelivered": [name for name in undelivered(data) if name != consumer]}
    if not state["undelivered"]:
        del state["undelivered"]
    put_custom(data, STATE, json.dumps(state, sort_keys=True))
    return data


def rotated_at(told: str | None, now: dt.datetime) -> tuple[dt.datetime | None, str | None]:
    """The moment that C(rotated_at) tells, None for never; and a word about a time that counts as never."""
    read = duration.parse_time(told)
    if read is None:
        return None, "Its rotated_at cannot be read, so it counts as never rotated." if told else None
    moment = aware(read)
    if moment > now:
        return None, "Its rotated_at lies in the future, so it counts as never rotated."
    return moment, None


def under_way(data: Data) -> bool:
    """Whether a rotation is unfinished: it has a pending value, or has announced one."""
    mark = marker(data)
    return pending(data) is not None or (mark is not None and mark.token_name is not None)


def is_over(last: dt.datetime | None, age: dt.timedelta | None, ends: str | None, now: dt.datetime) -> bool:
    """Whether a secret is due that was rotated last then: never, or so long ago, or a quarter of its life is left.

    age: None for any. ends: a time as somebody has written it, None for a secret that does not end. One that nobody can
    read may be near.
    """
    if last is None or age is None or now - last >= age:
        return True
    end = duration.parse_time(ends)
    return ends is not None and (end is None or now >= last + (aware(end) - last) * 0.75)


def staged(data: Data, place: Place, secret: str | None, mark: Marker) -> Data:
    """The record with the pending value and its state, both in one. Without a value it is announced only."""
    before, data = marker(data), _copied(data)
    seal = _seal(data, place, secret, mark.run)
    left = before is not None and (before.token_name is not None or pending(data) is not None)
    former = [*before.former_logins, before.login or ""] if before is not None and left else []
    state = {
        **_kept(data, last_committed(data), besides=mark.token_name),
        **seal,
        "rotation_id": mark.rotation_id,
        "run": mark.run,
        "credential": mark.credential,
        "started": duration.rfc3339(mark.started or duration.now()),
        "former_logins": sorted({name for name in former if name} - {seal["login"] or ""}),
        "token_name": mark.token_name,
        "expires_at": mark.expires_at,
        "of": mark.of,
    }
    if secret is not None:
        put_custom(data, PENDING, secret, kind="secret")
    put_custom(data, STATE, json.dumps({name: told for name, told in state.items() if told}, sort_keys=True))
    return data


def _copied(data: Data) -> Data:
    """As deep as a rotation writes; what lies deeper belongs to others, however deep it is."""
    sections = {name: data[name] for name in ("fields", "custom") if data.get(name)}
    return {
        **data,
        **{
            name: [dict(field) if isinstance(field, dict) else field for field in section]
            for name, section in sections.items()
        },
    }


def names(data: Data, which: t.Literal["previous", "orphans"]) -> list[str]:
    """Names of tokens, the newest last: those that this record held before, and those that it never came to hold."""
    return _listed(_state(data), which)


def _listed(state: t.Mapping[str, t.Any], name: str) -> list[str]:
    """The names in the state; none where somebody has put anything else there."""
    told = state.get(name)
    return [str(each) for each in told] if isinstance(told, list) else []


def _kept(data: Data, committed: str | None, besides: str | None = None) -> dict[str, t.Any]:
    """What the state holds besides a staged value; whom to tell is about what was committed last.

    besides: the token that is under way, which is no orphan yet.
    """
    mark = marker(data)
    orphans = names(data, "orphans")
    if mark is not None and mark.token_name is not None and mark.token_name != besides:
        orphans.append(mark.token_name)
    kept = {
        "committed": committed,
        "undelivered": undelivered(data),
        "previous": names(data, "previous"),
        "orphans": orphans[-_MOST_NAMES:],
        **{name: _state(data).get(name) for name in ("of", "held")},
    }
    return {"v": _STATE_VERSION, **{name: told for name, told in kept.items() if told}}


def discarded(data: Data) -> Data:
    """The record without a pending value, and without an announced one."""
    return _ended(data, _kept(data, last_committed(data)))


def _ended(data: Data, kept: dict[str, t.Any]) -> Data:
    data = _copied(data)
    put_custom(data, PENDING, None)
    put_custom(data, STATE, json.dumps(kept, sort_keys=True) if len(kept) > 1 else None)
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
    tokens: dict[str, str | None] = {}
    kept = _kept(data, None) if mark is None else _kept(data, mark.rotation_id, besides=mark.token_name)
    if mark is not None and mark.token_name is not None:
        replaced = text(data, TOKEN_NAME)
        kept["previous"] = [*names(data, "previous"), *([replaced.strip()] if replaced else [])][-_MOST_NAMES:]
        tokens = {TOKEN_NAME: mark.token_name, TOKEN_EXPIRES_AT: mark.expires_at}
        kept |= {"of": mark.of, "held": _digest(mark.rotation_id, secret)}
    kept["undelivered"] = list(tell)
    data = _ended(data, {name: told for name, told in kept.items() if told})
    # First, so that none of them can overwrite what follows.
    for label, value in {**extra, **tokens}.items():
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
