# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rotation does to a record: its own fields, and not one byte of anybody else's."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Ambiguous, Refused
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record

NOW = dt.datetime(2026, 1, 31, 23, 59, 59, tzinfo=dt.UTC)
PASSWORD, KEY_PAIR = record.Place("password"), record.Place("key_pair")
MARK = record.Marker(rotation_id="id", run="run", credential="password", started=NOW)

_TAKEN = {record.plain(label) for label in (*record.OWN_FIELDS, "privatePEMKey", "extra", "password")}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
_FOREIGN = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["url", "text", "secret", "note", "oneTimeCode", "host"]),
        "value": st.lists(_JSON, max_size=3),
    },
    optional={
        "label": st.text(max_size=12).filter(lambda label: record.plain(label) not in _TAKEN),
        "required": st.booleans(),
        "privacyScreen": st.booleans(),
    },
)
_PASSWORD = st.builds(lambda value: {"type": "password", "value": value}, st.lists(st.text(min_size=1), max_size=1))
_OTHER_TOP = st.dictionaries(st.text(max_size=6).filter(lambda key: key not in ("fields", "custom")), _JSON, max_size=3)


@st.composite
def records(draw: st.DrawFn, field: st.SearchStrategy[dict[str, t.Any]] = _PASSWORD) -> record.Data:
    """A record of somebody's own making, with one field for the secret."""
    fields = draw(st.lists(_FOREIGN, max_size=3))
    fields.insert(draw(st.integers(0, len(fields))), draw(field))
    data = {**draw(_OTHER_TOP), "title": draw(st.text(max_size=8)), "type": "login", "fields": fields}
    custom = draw(st.none() | st.lists(_FOREIGN, max_size=3) | st.just("absent"))
    return data if custom == "absent" else {**data, "custom": custom}


def _without_own(data: record.Data) -> record.Data:
    """The record as if no rotation had ever been; a custom section that is empty is as good as none."""
    kept = copy.deepcopy(data)
    for section in ("fields", "custom"):
        kept[section] = [
            field for field in kept.get(section) or [] if field.get("label") not in (*record.OWN_FIELDS, "extra")
        ]
    return kept


@given(data=records(), secret=st.text(min_size=1))
def test_staging_and_discarding_leave_everything_else_as_it_was(data: record.Data, secret: str) -> None:
    before = copy.deepcopy(data)
    staged = record.staged(data, PASSWORD, secret, MARK)
    assert record.pending(staged) == secret
    mark = record.marker(staged)
    assert mark is not None and dataclasses.replace(mark, place=None, login=None, value=None) == MARK
    assert record.changed_since(staged, PASSWORD, mark) is None
    assert record.live_secret(staged, PASSWORD) == record.live_secret(before, PASSWORD)
    assert _without_own(staged) == _without_own(before)
    discarded = record.discarded(staged)
    assert record.pending(discarded) is None and record.marker(discarded) is None
    assert _without_own(discarded) == _without_own(before)
    assert record.discarded(discarded) == discarded
    assert data == before, "what was read stays as it was read"


@given(data=records(), secret=st.text(min_size=1))
def test_committing_moves_exactly_the_value(data: record.Data, secret: str) -> None:
    staged = record.staged(data, PASSWORD, secret, MARK)
    kept = copy.deepcopy(staged)
    done = record.committed(staged, PASSWORD, secret, None, NOW, {"extra": "more"})
    assert staged == kept
    assert record.live_secret(done, PASSWORD) == secret
    assert record.pending(done) is None and record.marker(done) is None
    assert record.rotated_at(record.text(done, record.ROTATED_AT), NOW) == (NOW, None)
    assert record.last_committed(done) == MARK.rotation_id
    assert record.text(done, "extra") == "more"
    field = record.locate(done, kind="password")
    assert field is not None and field.pop("value") == [secret]
    expected = _without_own(data)
    t.cast(record.Data, record.locate(expected, kind="password")).pop("value")
    assert _without_own(done) == expected


@given(data=records(), secret=st.text(min_size=1), other=st.text(min_size=1))
def test_our_fields_are_used_again_wherever_they_are(data: record.Data, secret: str, other: str) -> None:
    once = record.discarded(record.staged(data, PASSWORD, other, MARK))
    again = record.staged(once, PASSWORD, secret, MARK)
    labels = [field.get("label") for field in again["custom"]]
    assert labels.count(record.PENDING) == labels.count(record.STATE) == 1
    assert record.pending(again) == secret


def test_a_pending_value_is_kept_in_a_field_that_keeper_hides() -> None:
    staged = record.staged({"fields": []}, PASSWORD, "x", MARK)
    kinds = {field["label"]: field["type"] for field in staged["custom"]}
    assert kinds == {record.PENDING: "secret", record.STATE: "text"}


KEY_FIELDS: list[tuple[str, list[dict[str, t.Any]], list[dict[str, t.Any]] | None]] = [
    ("keyPair", [{"type": "keyPair", "value": [{"publicKey": "old", "privateKey": "old"}]}], None),
    ("keyPair, empty", [{"type": "keyPair", "value": []}], None),
    (
        "both empty",
        [{"type": "keyPair", "value": []}],
        [{"type": "secret", "label": "privatePEMKey", "value": []}],
    ),
    ("privatePEMKey", [], [{"type": "secret", "label": "privatePEMKey", "value": ["old"]}]),
    ("neither", [{"type": "password", "value": ["mine"]}], None),
]


@pytest.mark.parametrize(("fields", "custom"), [case[1:] for case in KEY_FIELDS], ids=[case[0] for case in KEY_FIELDS])
def test_a_private_key_goes_where_the_record_has_a_place_for_it(
    fields: list[dict[str, t.Any]], custom: list[dict[str, t.Any]] | None
) -> None:
    data: record.Data = {"fields": fields, **({"custom": custom} if custom is not None else {})}
    done = record.committed(record.staged(data, KEY_PAIR, "new", MARK), KEY_PAIR, "new", "public", NOW, {})
    assert record.live_secret(done, KEY_PAIR) == "new"
    pair = record.first_value(record.locate(done, kind="keyPair"))
    if any(field["type"] == "keyPair" for field in fields):
        assert pair == {"publicKey": "public", "privateKey": "new"}
    else:
        field = record.locate(done, "privatePEMKey")
        assert field is not None and (field["type"], field["value"]) == ("secret", ["new"])
    if any(field["type"] == "password" for field in fields):
        assert record.live_secret(done, PASSWORD) == "mine"


def test_a_field_of_ones_own_choice_takes_the_private_key_and_spares_the_others() -> None:
    data = {
        "fields": [{"type": "keyPair", "value": [{"privateKey": "other"}]}],
        "custom": [{"type": "secret", "label": "deploy key", "value": ["old"]}],
    }
    place = record.Place("key_pair", "deploy key")
    assert record.live_secret(data, place) == "old"
    done = record.committed(record.staged(data, place, "new", MARK), place, "new", "public", NOW, {})
    assert record.live_secret(done, place) == "new"
    assert record.live_secret(done, KEY_PAIR) == "other"
    added = record.committed(data, record.Place("key_pair", "another"), "new", None, NOW, {})
    assert record.locate(added, "another") == {"type": "secret", "label": "another", "value": ["new"]}


@pytest.mark.parametrize(("place", "label"), [(KEY_PAIR, "privatePEMKey"), (record.Place("key_pair", "mine"), "Mine")])
def test_no_further_field_can_overwrite_the_secret(place: record.Place, label: str) -> None:
    data = {"fields": [{"type": "secret", "label": label, "value": ["old"]}], "custom": []}
    done = record.committed(record.staged(data, place, "new", MARK), place, "new", None, NOW, {label: "not a secret"})
    assert record.live_secret(done, place) == "new"


def of(kind: str, label: str | None, *value: t.Any) -> dict[str, t.Any]:
    return {"type": kind, "value": list(value), **({} if label is None else {"label": label})}


@pytest.mark.parametrize(
    ("data", "place", "labels", "named"),
    [
        ([of("password", None, "a"), of("host", "account", {"hostName": "h"})], PASSWORD, ["account"], "account"),
        ([of("password", None, "a"), of("date", "rotated_at", 1)], PASSWORD, [], "rotated_at"),
        ([of("password", None, "a"), of("checkbox", "Rotation Pending", True)], PASSWORD, [], "Rotation Pending"),
        ([of("fileRef", "privatePEMKey", "uid")], KEY_PAIR, [], "privatePEMKey"),
        ([of("login", "deploy key", "me")], record.Place("key_pair", "deploy key"), [], "deploy key"),
        ([of("password", "Password", "a")], PASSWORD, ["password"], "Password"),
        ([of("password", None, "a"), of("text", "rotation_pending", ["a", "b"])], PASSWORD, [], "rotation_pending"),
    ],
)
def test_a_field_of_somebody_else_is_never_written(
    data: list[record.Data], place: record.Place, labels: list[str], named: str
) -> None:
    with pytest.raises(Refused, match=named):
        record.check({"fields": data}, place, labels)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ([of("password", None, "a"), of("password", "other system", "b")], PASSWORD),
        ([of("password", None, "a"), of("secret", "Password", "b")], PASSWORD),
        ([of("login", None, "a"), of("text", "Username", "b"), of("password", None, "p")], PASSWORD),
        ([of("keyPair", None, {"privateKey": "a"}), of("secret", "privatePEMKey", "b")], KEY_PAIR),
        # Written, these would differ.
        ([of("password", None, "a"), of("password", None, "a")], PASSWORD),
        ([of("password", None, "a"), of("text", "rotated_at", "x"), of("text", "Rotated At", "x")], PASSWORD),
        # The one that is filled is somebody else's.
        ([of("password", None), of("password", "other system", "b")], PASSWORD),
    ],
)
def test_two_places_of_which_either_may_be_meant_are_ambiguous(data: list[record.Data], place: record.Place) -> None:
    with pytest.raises(Ambiguous):
        record.check({"fields": data}, place, [])


@pytest.mark.parametrize(
    "data",
    [
        [of("password", "", "a"), of("login", "", "me")],
        [of("password", " PASSWORD ", "a"), of("text", "User-name", "me")],
        [of("password", None), of("secret", "password", "a"), of("login", None), of("text", "Login", "me")],
        [of("secret", "password", "a"), of("email", "username", "me")],
        [of("password", "of this system", "a"), of("login", "name there", "me")],
        [of("password", None, "a"), of("login", None, "me"), of("login", "another system", "you")],
        [of("password", None, "a"), of("login", None, "me"), of("text", "Username", "me"), of("text", "", "you")],
    ],
)
def test_the_filled_field_is_meant_however_it_is_labelled(data: list[record.Data]) -> None:
    content: record.Data = {"fields": data}
    record.check(content, PASSWORD, ["account"])
    assert (record.live_secret(content, PASSWORD), record.login(content)) == ("a", "me")
    done = record.committed(record.staged(content, PASSWORD, "new", MARK), PASSWORD, "new", None, NOW, {})
    assert record.live_secret({"fields": [field for field in done["fields"] if field["value"] == ["new"]]}, PASSWORD)


@pytest.mark.parametrize("label", ["--", "\U0001f511", "account"])
def test_only_the_spellings_of_a_label_are_alike(label: str) -> None:
    """A label without a letter is no blank one, and C(account #) not the field C(account)."""
    mine = [of("text", "", "a"), of("text", "__", "b"), of("text", "account #", "c")]
    content: record.Data = {"custom": copy.deepcopy(mine)}
    record.put_custom(content, label, "new")
    assert content["custom"][:3] == mine and record.text(content, label) == "new"


def test_numbers_count_as_text() -> None:
    content: record.Data = {"fields": [of("password", None, 12345678), of("login", None, 7)]}
    assert (record.live_secret(content, PASSWORD), record.login(content)) == ("12345678", "7")


def test_the_last_committed_rotation_outlives_the_next_one_until_its_own_commit() -> None:
    once = record.committed(record.staged({"fields": []}, KEY_PAIR, "a", MARK), KEY_PAIR, "a", None, NOW, {})
    again = record.staged(once, KEY_PAIR, "b", record.Marker("next", "run", "key_pair", NOW))
    assert (record.last_committed(once), record.last_committed(again)) == ("id", "id")
    assert record.marker(once) is None and record.last_committed(record.discarded(again)) == "id"
    assert record.last_committed(record.committed(again, KEY_PAIR, "b", None, NOW, {})) == "next"


@pytest.mark.parametrize(
    ("told", "moment", "note"),
    [
        ("2026-01-30", dt.datetime(2026, 1, 30, tzinfo=dt.UTC), None),
        ("2026-01-30T12:00:00", dt.datetime(2026, 1, 30, 12, tzinfo=dt.UTC), None),
        ("2026-01-30T12:00:00+02:00", dt.datetime(2026, 1, 30, 10, tzinfo=dt.UTC), None),
        ("soon", None, "cannot be read"),
        ("2999-01-01", None, "future"),
        ("9999-12-31T23:59:59-23:00", None, "cannot be read"),
        ("0001-01-01T00:00:00+23:00", None, "cannot be read"),
        ("", None, None),
    ],
)
def test_when_it_was_rotated(told: str, moment: dt.datetime | None, note: str | None) -> None:
    found, said = record.rotated_at(record.text({"custom": [of("text", "Rotated At", told)]}, record.ROTATED_AT), NOW)
    assert found == moment and (said is None if note is None else note in str(said))


@pytest.mark.parametrize("field", [None, {}, {"value": None}, {"value": []}, {"value": [""]}, {"value": [None]}])
def test_an_empty_field_holds_nothing(field: record.Data | None) -> None:
    assert record.first_value(field) is None


@pytest.mark.parametrize(
    "state", [None, "", "garbage", "[]", "7", "null", '"text"', "{", '{"run": "of nothing known"}']
)
def test_a_state_that_is_unreadable_is_none(state: str | None) -> None:
    data = {"custom": [{"type": "text", "label": record.STATE, "value": [] if state is None else [state]}]}
    assert record.marker(data) is None


def test_a_state_with_gaps_is_read_as_far_as_it_goes() -> None:
    state = '{"run": 7, "started": "soon", "credential": "token"}'
    data = {"custom": [{"type": "text", "label": record.STATE, "value": [state]}]}
    assert record.marker(data) == record.Marker(rotation_id="", run="7", credential="token", started=None)


@pytest.mark.parametrize("data", [{}, {"fields": None, "custom": None}, {"fields": [None, "x"], "custom": [7]}])
def test_odd_records_are_read_as_empty_ones(data: record.Data) -> None:
    assert record.login(data) == ""
    assert record.pending(data) is None
    assert record.live_secret(data, PASSWORD) is None
    assert record.live_secret(data, KEY_PAIR) is None


@pytest.mark.parametrize("value", [{"a": 1}, ["a", "b"], True])
@pytest.mark.parametrize("kind", ["password", "login"])
def test_a_value_that_is_no_text_is_not_the_same_as_none(kind: str, value: t.Any) -> None:
    data = {"fields": [of(other, None, value if other == kind else "x") for other in ("password", "login")]}
    with pytest.raises(Refused, match=f"'{kind}' holds no text"):
        record.check(data, PASSWORD, [])


@pytest.mark.parametrize(
    "field",
    [
        {"type": "password", "value": ["one", "two"]},
        {"type": "secret", "label": record.PENDING, "value": ["one", "two"]},
        {"type": "text", "label": "extra", "value": ["one", "two"]},
    ],
)
def test_a_field_of_several_values_is_refused(field: dict[str, t.Any]) -> None:
    """A write would leave one of them."""
    with pytest.raises(Refused, match="several values"):
        record.check({"fields": [field]}, PASSWORD, ["extra"])


def test_a_second_key_pair_in_the_field_is_refused() -> None:
    pairs = [{"publicKey": "", "privateKey": name} for name in ("one", "two")]
    with pytest.raises(Refused, match="several values"):
        record.check({"fields": [{"type": "keyPair", "value": pairs}]}, KEY_PAIR, [])


@pytest.mark.parametrize("section", ["a text", {"an": "object"}, 5])
def test_what_is_no_list_of_fields_is_refused(section: t.Any) -> None:
    with pytest.raises(Refused, match="no list of fields"):
        record.check({"fields": [{"type": "password", "value": ["live"]}], "custom": section}, PASSWORD, [])


def test_what_is_nested_deeply_is_nobody_elses_business() -> None:
    deep: t.Any = []
    for _level in range(5000):
        deep = [deep]
    data = {"fields": [{"type": "password", "value": ["live"]}, {"type": "json", "value": deep}], "more": deep}
    staged = record.staged(data, PASSWORD, "new", MARK)
    done = record.committed(staged, PASSWORD, "new", None, NOW, {})
    assert record.live_secret(done, PASSWORD) == "new" and done["fields"][1]["value"] is deep


@pytest.mark.parametrize("state", ["[" * 50_000, "[]", "5", "{"])
def test_a_state_that_nobody_can_read_is_none(state: str) -> None:
    data: record.Data = {"fields": []}
    record.put_custom(data, record.STATE, state)
    assert record.marker(data) is None and record.last_committed(data) is None
