# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which slot or named pair gets the new key, over every combination of what can be in the slots."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Refused, RotationError, SlotsFull
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import ACCEPTED, LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.clock import parse_time
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_material import KeyMaterial
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_plan import (
    MOST_PAIRS,
    AddPair,
    MakeKeyFile,
    Options,
    Pair,
    RemovePair,
    Retire,
    RotatePair,
    SetSlot,
    State,
    Write,
    is_tombstone_name,
    plan,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User, parse

NOW = dt.datetime(2026, 6, 15, 12, 0, tzinfo=dt.UTC)
OLD = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
OLDER, NEWER = "2026-01-31 10:00:00.000", "2026-02-01 09:59:59.999"
CONTENTS = ("empty", "in use", "new", "orphan", "foreign", "admin")
OPTIONS = Options(named=False, expiry_hours=24, replace_oldest=False, retire_after=None, verify=True, key_size=2048)


def fingerprint(name: str) -> str:
    return "SHA256:" + name.replace(" ", "_").ljust(43, "x") + "="


def user(first: str, second: str, times: tuple[str | None, str | None] = (OLDER, NEWER)) -> User:
    """A user as DESCRIBE shows it; an emptied slot keeps its time."""
    rows: dict[str, str | None] = {"RSA_PUBLIC_KEY_LAST_SET_TIME": times[0], "RSA_PUBLIC_KEY_2_LAST_SET_TIME": times[1]}
    for name, content in (("RSA_PUBLIC_KEY", first), ("RSA_PUBLIC_KEY_2", second)):
        rows[name] = "null" if content == "empty" else f"key {content}"
        rows[f"{name}_FP"] = "null" if content == "empty" else fingerprint(content)
    return parse("ETL", [{"property": name, "value": value} for name, value in rows.items()])


NEW = KeyMaterial(fingerprint("new"), "bare base64", b"private")


def decide(options: Options, state: State) -> list[Write] | RotationError:
    try:
        return plan(options, state, NOW)
    except RotationError as error:
        return error


# -- the choice of a slot

# Line: slot 1; column: slot 2, both in the order of CONTENTS. 1, 2: this slot is set. -: nothing to do.
# !: slots_full. o: the slot that was set first, slots_full if that is not known. From the contract, by hand.
GRIDS: dict[tuple[str | None, bool], str] = {
    ("in use", False): """
        1 1 - 1 1 1
        2 2 - 2 2 !
        - - - - - -
        2 1 - 2 ! !
        2 1 - ! 2 !
        2 ! - ! ! 2
        """,
    (None, False): """
        1 1 - 1 1 1
        2 2 - ! ! !
        - - - - - -
        2 ! - 2 ! !
        2 ! - ! 2 !
        2 ! - ! ! 2
        """,
    ("admin", False): """
        1 1 - 1 1 1
        2 2 - ! ! 1
        - - - - - -
        2 ! - 2 ! 1
        2 ! - ! 2 1
        2 2 - 2 2 2
        """,
    ("elsewhere", False): """
        1 1 - 1 1 1
        2 2 - ! ! !
        - - - - - -
        2 ! - 2 ! !
        2 ! - ! 2 !
        2 ! - ! ! 2
        """,
    ("in use", True): """
        1 1 - 1 1 1
        2 2 - 2 2 !
        - - - - - -
        2 1 - 2 o 1
        2 1 - o 2 1
        2 ! - 2 2 2
        """,
    (None, True): """
        1 1 - 1 1 1
        2 2 - o o 1
        - - - - - -
        2 o - 2 o 1
        2 o - o 2 1
        2 2 - 2 2 2
        """,
    ("admin", True): """
        1 1 - 1 1 1
        2 2 - o o 1
        - - - - - -
        2 o - 2 o 1
        2 o - o 2 1
        2 2 - 2 2 2
        """,
    ("elsewhere", True): """
        1 1 - 1 1 1
        2 2 - o o 1
        - - - - - -
        2 o - 2 o 1
        2 o - o 2 1
        2 2 - 2 2 2
        """,
}
# Times of the two slots, and what "o" means with them.
TIMES: dict[str, tuple[str | None, str | None, str]] = {
    "slot 1 older": (OLDER, NEWER, "1"),
    "slot 2 older": (NEWER, OLDER, "2"),
    "equal": (OLDER, OLDER, "!"),
    "slot 1 unknown": (None, OLDER, "!"),
    "slot 2 unknown": (OLDER, None, "!"),
    "both unknown": (None, None, "!"),
}


def expected(first: str, second: str, named: str | None, replace: bool, times: str) -> str:
    lines = [line.split() for line in GRIDS[named, replace].strip().splitlines()]
    sign = lines[CONTENTS.index(first)][CONTENTS.index(second)]
    return TIMES[times][2] if sign == "o" else sign


def test_every_combination_is_there() -> None:
    assert set(GRIDS) == set(itertools.product(("in use", None, "admin", "elsewhere"), (False, True)))
    assert all(len(grid.strip().splitlines()) == 6 for grid in GRIDS.values())
    assert all(len(line.split()) == 6 for grid in GRIDS.values() for line in grid.strip().splitlines())


@pytest.mark.parametrize("named", ["in use", None, "admin", "elsewhere"])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("times", TIMES)
def test_every_combination(named: str | None, replace: bool, times: str) -> None:
    wrong = []
    for first, second in itertools.product(CONTENTS, CONTENTS):
        state = State(
            user=user(first, second, TIMES[times][:2]),
            new=NEW,
            pair_name=None,
            in_use=fingerprint(named) if named else None,
            admin=fingerprint("admin"),
        )
        answer = decide(dataclasses.replace(OPTIONS, replace_oldest=replace), state)
        sign = "?"
        if isinstance(answer, SlotsFull):
            sign = "!"
        elif answer == []:
            sign = "-"
        elif isinstance(answer, list) and len(answer) == 1 and isinstance(answer[0], SetSlot):
            sign = str(answer[0].slot.number)
        if sign != expected(first, second, named, replace, times):
            wrong.append((first, second, sign))
    assert wrong == []


@pytest.mark.parametrize("named", ["in use", None, "admin", "elsewhere"])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("times", TIMES)
def test_what_never_happens(named: str | None, replace: bool, times: str) -> None:
    """The key in use and the administrator's own stay in at least one slot, whatever is asked."""
    for first, second in itertools.product(CONTENTS, CONTENTS):
        state = State(
            user=user(first, second, TIMES[times][:2]),
            new=NEW,
            pair_name=None,
            in_use=fingerprint(named) if named else None,
            admin=fingerprint("admin"),
        )
        answer = decide(dataclasses.replace(OPTIONS, replace_oldest=replace), state)
        slots: dict[int, str] = {1: first, 2: second}
        for step in answer if isinstance(answer, list) else []:
            assert isinstance(step, SetSlot)
            slots[step.slot.number] = "new"
        for precious in {named, "admin"} & {first, second}:
            assert precious in slots.values(), (first, second)
        assert "new" in slots.values() or isinstance(answer, SlotsFull), (first, second)
        # Two keys are valid afterwards wherever two were before.
        assert "empty" in (first, second) or "empty" not in slots.values()


@pytest.mark.parametrize("first", ["orphan", "foreign"])
def test_another_users_administrator_has_no_key_here(first: str) -> None:
    """Without a key of the administrator on this user, nothing is spared for it."""
    state = State(user=user(first, "admin"), new=NEW, pair_name=None, in_use=fingerprint(first))
    assert decide(OPTIONS, state) == [SetSlot(state.user.slots[1])]


@pytest.mark.parametrize("named", ["elsewhere", None])
def test_slots_full_says_what_is_there(named: str | None) -> None:
    state = State(
        user=user("orphan", "foreign", (OLDER, None)),
        new=NEW,
        pair_name=None,
        in_use=fingerprint(named) if named else None,
    )
    answer = decide(OPTIONS, state)
    assert isinstance(answer, SlotsFull) and answer.error_code == "slots_full" and not answer.retry_safe
    for text in ("slot 1", "slot 2", fingerprint("orphan"), fingerprint("foreign"), OLDER, "unknown time", "ETL"):
        assert text in answer.msg
    assert answer.left == "untouched"
    assert ("in neither" in answer.msg) == (named is not None)
    assert ("not named" in answer.msg) == (named is None)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("named", [None, "in use"])
def test_two_keys_without_fingerprints_are_not_two_copies(replace: bool, named: str | None) -> None:
    """An account that shows keys and no fingerprints: nothing says that both slots hold the same one."""
    rows = [{"property": "RSA_PUBLIC_KEY", "value": "one"}, {"property": "RSA_PUBLIC_KEY_2", "value": "another"}]
    state = State(user=parse("ETL", rows), new=NEW, pair_name=None, in_use=fingerprint(named) if named else None)
    assert isinstance(decide(dataclasses.replace(OPTIONS, replace_oldest=replace), state), SlotsFull)


def test_a_key_that_cannot_be_named_still_fills_its_slot() -> None:
    rows = [{"property": "RSA_PUBLIC_KEY", "value": "one"}]
    state = State(user=parse("ETL", rows), new=NEW, pair_name=None)
    assert decide(OPTIONS, state) == [SetSlot(state.user.slots[1])]


@pytest.mark.parametrize("first", [content for content in CONTENTS if content != "new"])
@pytest.mark.parametrize("second", [content for content in CONTENTS if content != "new"])
def test_a_missing_key_file_is_made_first_and_only_if_there_is_a_place(first: str, second: str) -> None:
    state = State(user=user(first, second), new=None, pair_name=None, in_use=fingerprint("in use"))
    answer = decide(OPTIONS, state)
    if isinstance(answer, list):
        assert [type(step) for step in answer] == [MakeKeyFile, SetSlot]
    else:
        assert isinstance(answer, SlotsFull) and "in use" not in (first, second)


# -- retiring

LOGINS: dict[str, LoginAnswer | None] = {
    "none": None,
    "accepted": ACCEPTED,
    "blocked": LoginAnswer("blocked", "role_not_granted", 390189),
    "rejected": LoginAnswer("rejected", "wrong_key", 394304),
    "unknown": LoginAnswer("unknown", "user_locked", 390102),
    "silent": LoginAnswer("silent", "no_answer"),
}
WEEK = dt.timedelta(days=7)
AGES: dict[str, str | None] = {
    "unknown": None,
    "no time": "yesterday",
    "an hour": "2026-06-15 11:00:00.000",
    "not quite a week": "2026-06-08 12:00:00.001",
    "a week": "2026-06-08 12:00:00.000",
    "a week, with a zone": "2026-06-08 05:00:00.000-07:00",
    "a year": "2025-06-15 12:00:00.000",
    "the future": "2026-06-16 12:00:00.000",
}
OLD_ENOUGH = {"a week", "a week, with a zone", "a year"}


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize("other", CONTENTS)
@pytest.mark.parametrize("swapped", [False, True])
def test_every_retirement(login: str, other: str, swapped: bool) -> None:
    """Only with a login of this run, only when asked and old enough, and never the last key or the administrator's."""
    for after, age in itertools.product((None, dt.timedelta(0), WEEK), AGES):
        times = ("2020-01-01 00:00:00.000", AGES[age]) if swapped else (AGES[age], "2020-01-01 00:00:00.000")
        seen = user(other, "new", times) if swapped else user("new", other, times)
        state = State(
            user=seen,
            new=NEW,
            pair_name=None,
            in_use=fingerprint("in use"),
            admin=fingerprint("admin"),
            login=LOGINS[login],
        )
        answer = decide(dataclasses.replace(OPTIONS, retire_after=after), state)
        due = after == dt.timedelta(0) or (after == WEEK and age in OLD_ENOUGH)
        allowed = login == "accepted" and other not in ("empty", "new", "admin")
        assert answer == ([Retire(seen.slots[0 if swapped else 1])] if due and allowed else []), (after, age)


@pytest.mark.parametrize("later", [dt.timedelta(milliseconds=1), NOW - OLD + dt.timedelta(seconds=5)])
@pytest.mark.parametrize("after", [dt.timedelta(0), WEEK])
def test_a_key_that_was_set_later_is_no_previous_key(after: dt.timedelta, later: dt.timedelta) -> None:
    """Another run has just placed it, and will commit it; it may have done so since the clock was asked."""
    seen = user("new", "orphan", (f"{OLD:%F %T.000}", f"{OLD + later:%F %T.%f}"))
    state = State(user=seen, new=NEW, pair_name=None, login=ACCEPTED)
    assert decide(dataclasses.replace(OPTIONS, retire_after=after), state) == []


def test_retiring_never_comes_in_one_plan_with_setting() -> None:
    """The key is placed, then it logs in, and only then is there something to retire."""
    options = dataclasses.replace(OPTIONS, retire_after=dt.timedelta(0))
    state = State(user=user("in use", "orphan"), new=NEW, pair_name=None, in_use=fingerprint("in use"), login=ACCEPTED)
    assert decide(options, state) == [SetSlot(state.user.slots[1])]


@pytest.mark.parametrize("text", ["2026-06-08 12:00:00.000", "2026-06-08T12:00:00Z", " 2026-06-08 12:00:00+00:00 "])
def test_times_are_utc(text: str) -> None:
    assert parse_time(text) == dt.datetime(2026, 6, 8, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", [None, "", "null", "soon", "2026-13-01 00:00:00"])
def test_no_times(text: str | None) -> None:
    assert parse_time(text) is None


# -- named key pairs

NAMED = dataclasses.replace(OPTIONS, named=True)


def pair(name: str, key: str, status: str = "ACTIVE", **fields: t.Any) -> Pair:
    given = {"expires_at": None, "created_on": OLDER, "rotated_to": None} | fields
    return Pair(name=name, fingerprint=fingerprint(key), status=status, **given)


def tombstone(number: int, status: str = "EXPIRED") -> Pair:
    return pair(f"ETL_ROTATED_{number}", f"old {number}", status, created_on=f"2026-01-{number:02}", rotated_to="ETL")


def named(*pairs: Pair, new: KeyMaterial | None = NEW) -> list[Write] | RotationError:
    # What is in the slots does not matter here.
    return decide(NAMED, State(user=user("in use", "foreign"), new=new, pair_name="ETL", pairs=pairs))


def test_a_pair_that_is_not_there_is_added() -> None:
    assert named() == [AddPair()]
    assert named(pair("OTHER", "foreign")) == [AddPair()]


def test_a_pair_with_another_key_is_rotated() -> None:
    assert named(pair("ETL", "in use")) == [RotatePair()]
    assert named(pair("ETL", "in use", "EXPIRED")) == [RotatePair()]


def test_a_pair_with_the_key_is_left_alone() -> None:
    assert named(pair("ETL", "new")) == []


def test_an_expired_pair_with_the_key_does_not_count_as_done() -> None:
    assert named(pair("ETL", "new", "EXPIRED")) == [RotatePair()]


@pytest.mark.parametrize("key", ["new", "in use"])
def test_a_disabled_pair_is_refused(key: str) -> None:
    answer = named(pair("ETL", key, "DISABLED"))
    assert isinstance(answer, Refused) and "ETL" in answer.msg and answer.left == "untouched"
    # Enabled again, the pair has the new key in force, and nobody else would have it.
    assert answer.in_force is (None if key == "new" else False)


@pytest.mark.parametrize("status", ["ACTIVE", "DISABLED"])
@pytest.mark.parametrize("here", [True, False])
def test_a_key_under_another_name_is_refused(status: str, here: bool) -> None:
    answer = named(pair("OTHER", "new", status), *([pair("ETL", "in use")] if here else []))
    assert isinstance(answer, Refused)
    assert NEW.fingerprint in answer.msg and "OTHER" in answer.msg and status in answer.msg


def test_a_key_that_has_expired_under_another_name_may_come_back() -> None:
    assert named(pair("OTHER", "new", "EXPIRED")) == [AddPair()]


@pytest.mark.parametrize("count", range(MOST_PAIRS + 3))
@pytest.mark.parametrize("here", [True, False])
def test_expired_tombstones_go_only_when_the_limit_is_in_the_way(count: int, here: bool) -> None:
    """As many as needed, the oldest first; the others stay as evidence."""
    answer = named(*([pair("ETL", "in use")] if here else []), *reversed([tombstone(n) for n in range(1, count + 1)]))
    removed = max(0, count + here - MOST_PAIRS + 1)
    last = RotatePair() if here else AddPair()
    assert answer == [*[RemovePair(f"ETL_ROTATED_{number}") for number in range(1, removed + 1)], last]


@pytest.mark.parametrize("status", ["ACTIVE", "DISABLED"])
def test_what_is_no_expired_tombstone_stays(status: str) -> None:
    others = [tombstone(number, status) for number in range(1, 6)]
    expired = [pair(f"OTHER_{number}", f"other {number}", "EXPIRED") for number in range(1, 5)]
    answer = named(pair("ETL", "in use"), *others, *expired)
    assert isinstance(answer, SlotsFull) and answer.error_code == "slots_full"
    for one in (*others, *expired):
        assert one.name in answer.msg and str(one.fingerprint) in answer.msg
    assert answer.left == "untouched"


def test_one_expired_tombstone_among_others_is_enough() -> None:
    pairs = [pair("ETL", "in use"), *[tombstone(number, "ACTIVE") for number in range(1, 9)], tombstone(9)]
    assert named(*pairs) == [RemovePair("ETL_ROTATED_9"), RotatePair()]


def test_a_full_list_does_not_matter_to_a_key_that_is_there() -> None:
    assert named(pair("ETL", "new"), *[tombstone(number) for number in range(1, 10)]) == []


def test_a_missing_key_file_comes_before_everything() -> None:
    assert named(new=None) == [MakeKeyFile(), AddPair()]
    many = [tombstone(number) for number in range(1, 10)]
    answer = named(pair("ETL", "in use"), *many, new=None)
    assert answer == [MakeKeyFile(), RemovePair("ETL_ROTATED_1"), RotatePair()]
    full = named(pair("ETL", "in use"), *[tombstone(number, "ACTIVE") for number in range(1, 10)], new=None)
    assert isinstance(full, SlotsFull)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("ETL_ROTATED_1781524800000", True), ("ETL", False), ("ETL_ROTATED_", False), ("ETL_ROTATED_1_X", False)],
)
def test_tombstone_names(name: str, is_one: bool) -> None:
    assert is_tombstone_name(name) == is_one
    assert pair(name, "old").is_tombstone == is_one
    assert pair(name, "old", rotated_to="ETL").is_tombstone


# -- what the roles ask for besides


def state_of(first: str, second: str, **fields: t.Any) -> State:
    return State(user=user(first, second), new=NEW, pair_name=None, **fields)


def test_a_key_that_must_be_in_place_already_is_never_installed() -> None:
    for first, second in itertools.product(CONTENTS, repeat=2):
        ending = decide(OPTIONS, state_of(first, second, install=False))
        if "new" in (first, second):
            assert ending == []
        else:
            assert isinstance(ending, Refused) and ending.retry_safe and "not retired" in ending.msg


def test_a_key_that_stands_nowhere_is_proof_that_it_is_not_in_force() -> None:
    ending = decide(OPTIONS, state_of("orphan", "foreign"))
    assert isinstance(ending, SlotsFull) and ending.in_force is False


@pytest.mark.parametrize(("status", "in_force"), [("ACTIVE", True), ("DISABLED", None)])
def test_a_key_that_stands_under_another_name_is_in_force_if_it_is_active(status: str, in_force: bool | None) -> None:
    ending = named(pair("OTHER", "new", status))
    assert isinstance(ending, Refused) and ending.in_force is in_force


def test_a_key_that_is_still_to_be_made_needs_no_file() -> None:
    steps = decide(OPTIONS, dataclasses.replace(state_of("empty", "in use"), new=None, makes_file=False))
    assert isinstance(steps, list) and [type(step) for step in steps] == [SetSlot]


@pytest.mark.parametrize("which", [0, 1])
def test_times_in_the_future_count_as_unreadable(which: int) -> None:
    """A clock that was wrong must neither hurry a retirement nor forbid it for ever."""
    future = "2026-07-01 00:00:00.000"
    times = ("2026-01-31 10:00:00.000", future) if which else (future, "2026-01-31 10:00:00.000")
    shown = user("new", "in use", times)
    state = dataclasses.replace(state_of("new", "in use"), user=shown, login=ACCEPTED)
    steps = decide(dataclasses.replace(OPTIONS, retire_after=WEEK), state)
    assert steps == ([Retire(shown.slots[1])] if which else [])
