# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for a record, over every combination of what it holds and what is wanted."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Busy,
    NotPermitted,
    Refused,
    RotationError,
    VaultError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_plan import (
    MOST_ROUNDS,
    Adopt,
    Commit,
    Discard,
    Options,
    Stage,
    State,
    plan,
)

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
PLACE = fields.Place("password")
LEASE = dt.timedelta(minutes=15)
AGES = {"none": None, "young": dt.timedelta(days=29), "exactly": dt.timedelta(days=30), "old": dt.timedelta(days=31)}
STARTED: dict[str, dt.datetime | None] = {
    "just now": NOW,
    "within the lease": NOW - LEASE + dt.timedelta(seconds=1),
    "at its end": NOW - LEASE,
    "long ago": NOW - dt.timedelta(days=3),
    "unreadable": None,
}


class Case(t.NamedTuple):
    """pending: whose value, with what state; wanted: the rotation_id of the task."""

    pending: str
    started: str
    wanted: str | None
    age: str
    max_age: bool
    force: bool

    def ending(self, target: t.Any, *, editable: bool = True, rounds: int = 0) -> t.Any:
        data: fields.Data = {"title": "T", "fields": [{"type": "password", "value": ["live"]}], "custom": []}
        age = AGES[self.age]
        if age is not None:
            fields.put_custom(data, fields.ROTATED_AT, (NOW - age).isoformat())
        if self.pending == "unmarked":
            fields.put_custom(data, fields.PENDING, "value")
        elif self.pending != "nothing":
            mark = fields.Marker("mine", "run", self.pending, STARTED[self.started])
            data = fields.staged(data, PLACE, "value", mark)
            if mark.started is None:
                state = json.loads(fields.text(data, fields.STATE) or "")
                fields.put_custom(data, fields.STATE, json.dumps({**state, "started": "yesterday"}))
        options = Options(
            target=target,
            place=PLACE,
            rotation_id=self.wanted,
            max_age=dt.timedelta(days=30) if self.max_age else None,
            force=self.force,
            lease=LEASE,
            extra_fields={},
        )
        record = Record(uid="U" * 22, data=data, revision=1, editable=editable, handle=None)
        try:
            steps = plan(options, State(record=record, rounds=rounds), NOW)
        except RotationError as error:
            return type(error)
        assert len(steps) <= 1
        return type(steps[0]) if steps else None


BOTH = (False, True)
CASES = [
    Case(*values)
    for values in itertools.product(
        ("nothing", "unmarked", "password", "key_pair"),
        STARTED,
        (None, "mine", "other"),
        AGES,
        BOTH,
        BOTH,
    )
]


def _where(**wanted: t.Any) -> list[Case]:
    found = [case for case in CASES if all(getattr(case, name) == value for name, value in wanted.items())]
    assert found
    return found


@pytest.mark.parametrize("age", AGES)
def test_without_a_pending_value_the_age_decides(age: str) -> None:
    for case in _where(pending="nothing", age=age):
        due = case.force or not case.max_age or age in ("none", "exactly", "old")
        assert case.ending("staged") is (Stage if due else None), case


def test_a_pending_value_is_never_made_anew_whatever_the_age() -> None:
    for case in CASES:
        if case.pending != "nothing":
            assert case.ending("staged") is not Stage, case


def test_ones_own_pending_value_is_used_as_it_is() -> None:
    for case in _where(pending="password", wanted="mine"):
        assert case.ending("staged") is None, case


def test_a_run_without_a_name_takes_a_pending_value_over_at_once() -> None:
    """So that whoever staged it can no longer discard what this run is about to give to the service."""
    for case in _where(pending="password", wanted=None):
        assert case.ending("staged") is Adopt, case


@pytest.mark.parametrize(
    ("started", "ending"),
    [("just now", Busy), ("within the lease", Busy), ("at its end", Adopt), ("long ago", Adopt), ("unreadable", Adopt)],
)
def test_anothers_pending_value_is_left_alone_until_its_lease_is_over(started: str, ending: type) -> None:
    for case in _where(pending="password", wanted="other", started=started):
        assert case.ending("staged") is ending, case


def test_a_pending_value_whose_state_is_lost_is_taken_over_and_can_be_ended() -> None:
    for case in _where(pending="unmarked"):
        assert case.ending("staged") is Adopt
        assert case.ending("committed") is Commit
        assert case.ending("discarded") is Discard


@pytest.mark.parametrize("target", ["staged", "committed", "discarded"])
def test_a_pending_key_is_no_password(target: str) -> None:
    for case in _where(pending="key_pair"):
        foreign = target != "staged" and case.wanted == "other"
        assert case.ending(target) in ((Busy,) if foreign else (Refused,)), case


@pytest.mark.parametrize(("target", "step"), [("committed", Commit), ("discarded", Discard)])
def test_only_the_rotation_that_staged_it_ends_it(target: str, step: type) -> None:
    for case in _where(pending="password"):
        # The lease does not matter here: whoever asks has the name of a rotation that is not this one.
        assert case.ending(target) is (Busy if case.wanted == "other" else step), case


def test_with_nothing_pending_there_is_nothing_to_discard_and_nobody_knows_what_was_committed() -> None:
    for case in _where(pending="nothing"):
        assert case.ending("discarded") is None, case
        assert case.ending("committed") is VaultError, case


@pytest.mark.parametrize(("wanted", "done"), [("mine", True), ("other", False), (None, False)])
def test_with_nothing_pending_only_the_last_rotation_is_committed_already(wanted: str | None, done: bool) -> None:
    data: fields.Data = {"fields": [{"type": "password", "value": ["live"]}], "custom": []}
    mark = fields.Marker("mine", "run", "password", NOW)
    data = fields.committed(fields.staged(data, PLACE, "new", mark), PLACE, "new", None, NOW, {})
    record = Record(uid="U" * 22, data=data, revision=1, editable=True, handle=None)
    options = Options("committed", PLACE, wanted, None, False, LEASE, {})
    if done:
        assert plan(options, State(record=record), NOW) == []
    else:
        with pytest.raises(VaultError, match="committed last"):
            plan(options, State(record=record), NOW)


@pytest.mark.parametrize("key", ["-----BEGIN nothing", "x" * 40])
@pytest.mark.parametrize("label", ["privatePEMKey", "rotation_pending"])
def test_a_key_that_cannot_be_read_is_not_the_same_as_none(key: str, label: str) -> None:
    """It can be discarded, and replaced by one that is in force."""
    data: fields.Data = {"fields": [], "custom": [{"type": "secret", "label": label, "value": [key]}]}
    record = Record(uid="U" * 22, data=data, revision=1, editable=True, handle=None)
    targets: tuple[t.Literal["staged", "committed", "discarded"], ...] = ("staged", "committed", "discarded")
    for target in targets:
        options = Options(target, fields.Place("key_pair"), None, None, True, LEASE, {})
        if target == "discarded" or (target, label) == ("committed", "privatePEMKey"):
            with contextlib.suppress(VaultError):
                assert plan(options, State(record=record), NOW) in ([Discard()], [])
        else:
            with pytest.raises(Refused, match="cannot be used"):
                plan(options, State(record=record), NOW)


@pytest.mark.parametrize("target", ["staged", "committed", "discarded"])
def test_a_record_that_is_read_only_is_never_written(target: str) -> None:
    for case in CASES:
        ending = case.ending(target)
        steps = (Stage, Adopt, Commit, Discard)
        assert case.ending(target, editable=False) is (NotPermitted if ending in steps else ending), case


def test_others_edits_are_given_way_to_five_times() -> None:
    case = _where(pending="password", wanted="mine")[0]
    assert MOST_ROUNDS == 5
    assert case.ending("committed", rounds=4) is Commit
    assert case.ending("committed", rounds=5) is VaultError


def test_nothing_is_planned_while_an_update_is_on_its_way() -> None:
    record = Record(uid="U" * 22, data={"fields": []}, revision=1, editable=True, handle=None)
    options = Options("staged", PLACE, None, None, True, LEASE, {})
    assert plan(options, State(record=record, wrote=Stage()), NOW) == []


def test_a_password_needs_a_password_field() -> None:
    record = Record(uid="U" * 22, data={"title": "T", "fields": []}, revision=1, editable=True, handle=None)
    with pytest.raises(Refused):
        plan(Options("staged", PLACE, None, None, True, LEASE, {}), State(record=record), NOW)
    assert plan(
        Options("staged", fields.Place("key_pair"), None, None, True, LEASE, {}), State(record=record), NOW
    ) == [Stage()]


@pytest.mark.parametrize("text", ["never", "2999-05-30", ""])
def test_an_unreadable_time_counts_as_never(text: str) -> None:
    data: fields.Data = {"fields": [{"type": "password", "value": []}], "custom": []}
    fields.put_custom(data, fields.ROTATED_AT, text)
    record = Record(uid="U" * 22, data=data, revision=1, editable=True, handle=None)
    options = Options("staged", PLACE, None, dt.timedelta(days=9999), False, LEASE, {})
    assert plan(options, State(record=record), NOW) == [Stage()]
