# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine's promises, with a service that does what a script says and keeps a journal."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    AuthFailed,
    InvalidInput,
    NotFound,
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
    VerifyFailed,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import Outcome, module_result
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import Rotator, rotate

CANARY = "text-that-may-hold-a-secret"


class Unprintable(Exception):
    """An exception whose text cannot even be made."""

    def __str__(self) -> str:
        raise RuntimeError(CANARY)


@dataclasses.dataclass(frozen=True)
class Item:
    """steps: writes before the proof; later: writes that only the proof calls for."""

    name: str
    secret: str = "s"
    steps: int = 1
    later: int = 0


@dataclasses.dataclass(frozen=True)
class State:
    written: int = 0
    proven: bool = False


class Script(Rotator[Item, State, int]):
    """faults: (verb, name) → what that verb raises; ``apply2`` is the second write."""

    def __init__(self, faults: dict[tuple[str, str], BaseException] | None = None) -> None:
        self.faults = faults or {}
        self.journal: list[tuple[str, str]] = []

    def _do(self, verb: str, name: str = "") -> None:
        self.journal.append((verb, name))
        if (verb, name) in self.faults:
            raise self.faults[verb, name]

    def asked(self, *verbs: str) -> list[str]:
        return [name for verb, name in self.journal if verb in verbs]

    def identity(self, item: Item) -> dict[str, str]:
        return {"name": item.name}

    def called(self, item: Item) -> str:
        return item.name.upper()

    def check(self, item: Item) -> None:
        if ("check", item.name) in self.faults:
            raise self.faults["check", item.name]

    def same_secret(self, one: Item, other: Item) -> bool:
        return one.secret == other.secret

    @contextlib.contextmanager
    def session(self) -> t.Iterator[None]:
        self._do("session")
        yield
        self.journal.append(("closed", ""))

    def observe(self, item: Item) -> State:
        self._do("observe", item.name)
        return State()

    def plan(self, item: Item, state: State) -> t.Sequence[int]:
        if ("plan", item.name) in self.faults:
            raise self.faults["plan", item.name]
        return range(state.written, item.steps + (item.later if state.proven else 0))

    def apply(self, item: Item, state: State, step: int) -> State:
        assert step == state.written, "the first of the steps that are left"
        self._do("apply" if step == 0 else f"apply{step + 1}", item.name)
        return dataclasses.replace(state, written=step + 1)

    def prove(self, item: Item, state: State) -> State:
        self._do("prove", item.name)
        return dataclasses.replace(state, proven=True)

    def proven(self, state: State) -> bool:
        return state.proven

    def report(self, item: Item, state: State, outcome: Outcome) -> None:
        outcome.changed = state.written > 0
        outcome.verified = state.proven
        outcome.facts = {"written": state.written}

    def expected(self, item: Item, state: State, steps: t.Sequence[int], outcome: Outcome) -> None:
        outcome.facts = {"written": state.written}


def _items(names: str, **values: t.Any) -> list[Item]:
    return [Item(name, **values) for name in names]


EXCEPTIONS: list[t.Callable[[], BaseException]] = [
    lambda: NotFound("Absent."),
    lambda: Refused("No.", retry_safe=True),
    lambda: VerifyFailed("No."),
    lambda: InvalidInput("Wrong."),
    lambda: ValueError(CANARY),
    lambda: KeyError(CANARY),
    lambda: OSError(5, CANARY),
    lambda: RecursionError(CANARY),
    lambda: StopIteration(CANARY),
    lambda: AssertionError(CANARY),
    Unprintable,
]


@given(
    faults=st.dictionaries(
        st.tuples(st.sampled_from(["observe", "plan", "apply", "apply2", "prove"]), st.sampled_from("abcdef")),
        st.sampled_from(EXCEPTIONS),
    ),
    check_mode=st.booleans(),
)
def test_one_items_failure_never_stops_another(
    faults: dict[tuple[str, str], t.Callable[[], BaseException]], check_mode: bool
) -> None:
    script = Script({where: make() for where, make in faults.items()})
    items = _items("abcdef", steps=2)
    outcomes = rotate(script, items, check_mode=check_mode)
    reached = {"observe", "plan"} if check_mode else {"observe", "plan", "apply", "apply2", "prove"}
    failing = {name for verb, name in faults if verb in reached}
    assert [outcome.identity["name"] for outcome in outcomes] == list("abcdef")
    assert {outcome.identity["name"] for outcome in outcomes if outcome.failed} == failing
    for outcome in outcomes:
        if outcome.identity["name"] not in failing:
            assert (outcome.changed, outcome.verified) == (True, not check_mode)
    result = json.dumps(module_result(outcomes, single=False, noun="user"))
    assert CANARY not in result
    assert script.journal[-1] == ("closed", "")


@pytest.mark.parametrize("make", EXCEPTIONS[4:])
def test_what_nobody_foresaw_is_an_unknown_outcome_named_by_its_type_alone(make: t.Callable[[], BaseException]) -> None:
    (outcome,) = rotate(Script({("apply", "a"): make()}), _items("a"), check_mode=False)
    assert isinstance(outcome.error, UnknownOutcome) and outcome.error.retry_safe
    assert type(make()).__name__ in outcome.error.msg and CANARY not in outcome.error.msg


@pytest.mark.parametrize(("verb", "written"), [("observe", 0), ("plan", 0), ("apply", 0), ("apply2", 1), ("prove", 2)])
@pytest.mark.parametrize("error", [Refused("No."), ValueError(CANARY)])
def test_changed_tells_of_every_write_before_the_failure(verb: str, written: int, error: Exception) -> None:
    (outcome,) = rotate(Script({(verb, "a"): error}), _items("a", steps=2), check_mode=False)
    assert outcome.failed
    assert outcome.changed is (written > 0)
    assert outcome.facts.get("written", 0) == written


def test_an_error_may_know_of_a_change_that_the_state_does_not_show() -> None:
    script = Script({("apply", "a"): UnknownOutcome("Lost.", left="changed")})
    assert rotate(script, _items("a"), check_mode=False)[0].changed


@pytest.mark.parametrize(
    ("verb", "steps", "left"),
    [
        ("observe", 1, "untouched"),
        ("plan", 1, "untouched"),
        ("apply", 1, "unknown"),
        ("apply2", 2, "unknown"),
        ("prove", 1, "unknown"),
    ],
)
def test_only_a_write_leaves_what_nobody_saw(verb: str, steps: int, left: str) -> None:
    outcome = rotate(Script({(verb, "a"): UnknownOutcome("Lost.")}), [Item("a", steps=steps)], check_mode=False)[0]
    assert (outcome.left, outcome.entry()["left"]) == (left, left)


@pytest.mark.parametrize(("verb", "left"), [("apply", "untouched"), ("apply2", "changed"), ("prove", "changed")])
def test_what_was_done_before_a_refusal_is_left(verb: str, left: str) -> None:
    script = Script({(verb, "a"): Refused("No.")})
    outcome = rotate(script, [Item("a", steps=2)], check_mode=False)[0]
    assert (outcome.left, outcome.msg) == (left, "No. Nothing was changed." if left == "untouched" else "No.")


def test_an_interrupt_is_nobodys_outcome() -> None:
    with pytest.raises(KeyboardInterrupt):
        rotate(Script({("apply", "a"): KeyboardInterrupt()}), _items("ab"), check_mode=False)


# -- the order


def test_every_item_is_written_one_write_at_a_time_before_the_first_is_proved() -> None:
    script = Script()
    rotate(script, [Item("a", steps=2), Item("b", steps=0), Item("c")], check_mode=False)
    assert script.journal == [
        ("session", ""),
        ("observe", "a"),
        ("apply", "a"),
        ("apply2", "a"),
        ("observe", "b"),
        ("observe", "c"),
        ("apply", "c"),
        ("prove", "a"),
        ("prove", "b"),
        ("prove", "c"),
        ("closed", ""),
    ]


def test_steps_that_the_proof_calls_for_come_after_it_and_only_if_it_succeeds() -> None:
    script = Script({("prove", "b"): VerifyFailed("No.")})
    outcomes = rotate(script, _items("ab", later=2), check_mode=False)
    assert script.journal[5:-1] == [("prove", "a"), ("apply2", "a"), ("apply3", "a"), ("prove", "b")]
    assert [outcome.facts["written"] for outcome in outcomes] == [3, 1]


def test_what_was_done_after_the_proof_is_told_when_the_rest_of_it_fails() -> None:
    (outcome,) = rotate(Script({("apply3", "a"): Refused("No.")}), _items("a", later=2), check_mode=False)
    assert (outcome.failed, outcome.changed, outcome.verified) == (True, True, True)
    assert outcome.facts["written"] == 2


# -- check mode


@given(st.lists(st.builds(Item, name=st.sampled_from("abc"), steps=st.integers(0, 2)), min_size=1, max_size=5))
def test_check_mode_neither_writes_nor_proves_and_foresees_the_change(items: list[Item]) -> None:
    # One account named twice wants the same here.
    items = [next(first for first in items if first.name == item.name) for item in items]
    script = Script()
    outcomes = rotate(script, items, check_mode=True)
    assert {verb for verb, _name in script.journal} == {"session", "observe", "closed"}
    for number, (item, outcome) in enumerate(zip(items, outcomes, strict=True)):
        first = item not in items[:number]
        assert outcome.changed is (first and item.steps > 0)
        assert (outcome.verified, outcome.verify_skipped_reason) == (False, "check_mode")


# -- input that cannot be used


def test_one_account_with_two_secrets_fails_its_own_entries_only() -> None:
    script = Script()
    items = [Item("a", "one"), Item("b", "x"), Item("A", "two")]
    outcomes = rotate(script, items, check_mode=False)
    assert script.asked("observe", "apply") == ["b", "b"]
    assert [outcome.error.error_code if outcome.error else "" for outcome in outcomes] == [
        "invalid_input",
        "",
        "invalid_input",
    ]
    assert [outcome.changed for outcome in outcomes] == [False, True, False]
    said = " ".join(outcome.error.msg for outcome in outcomes if outcome.error)
    assert "2 times" in said and "one" not in said and "two" not in said


def test_one_invalid_entry_fails_itself_only() -> None:
    script = Script({("check", "b"): InvalidInput("Empty.")})
    outcomes = rotate(script, _items("abc"), check_mode=False)
    assert script.asked("observe") == ["a", "c"]
    assert [outcome.error.msg if outcome.error else "" for outcome in outcomes] == ["", "Empty.", ""]


def test_nothing_is_asked_where_every_entry_is_invalid() -> None:
    script = Script({("check", name): InvalidInput("Empty.") for name in "ab"})
    assert all(outcome.failed for outcome in rotate(script, _items("ab"), check_mode=False))
    assert script.journal == []


def test_an_account_that_only_the_session_can_name_fails_its_entry() -> None:
    class Vault(Script):
        def called(self, item: Item) -> str:
            assert ("session", "") in self.journal
            if item.name == "b":
                raise NotFound("No such record.")
            return super().called(item)

    outcomes = rotate(Vault(), _items("abc"), check_mode=False)
    assert [outcome.error.error_code if outcome.error else "" for outcome in outcomes] == ["", "not_found", ""]


def test_the_administrator_itself_comes_last_and_its_outcome_stays_in_place() -> None:
    class WithAdministrator(Script):
        def last(self, item: Item) -> bool:
            return item.name == "a"

    script = WithAdministrator()
    outcomes = rotate(script, _items("abc"), check_mode=False)
    assert script.asked("apply") == ["b", "c", "a"]
    assert [outcome.identity["name"] for outcome in outcomes] == ["a", "b", "c"]


@pytest.mark.parametrize("error", [None, Refused("No.", retry_safe=True)])
def test_one_account_twice_with_one_secret_is_worked_on_once(error: Refused | None) -> None:
    script = Script({("apply", "a"): error} if error else None)
    first, other, again = rotate(script, _items("abA"), check_mode=False)
    assert script.asked("observe") == ["a", "b"]
    assert again.identity == {"name": "A"}
    assert (again.changed, again.verified, again.error, again.facts) == (
        False,
        first.verified,
        first.error,
        first.facts,
    )
    assert other.changed and not other.failed


# -- a session that is not to be had, or goes away


def test_every_item_carries_the_error_of_the_session() -> None:
    script = Script({("session", ""): AuthFailed("Refused.")})
    outcomes = rotate(script, _items("abc"), check_mode=False)
    assert script.journal == [("session", "")]
    assert [outcome.error.error_code for outcome in outcomes if outcome.error] == ["auth_failed"] * 3
    assert not any(outcome.changed for outcome in outcomes)


def _silence() -> Unreachable:
    return Unreachable("No answer.", unanswered=1)


@pytest.mark.parametrize("verb", ["observe", "apply"])
def test_two_open_questions_in_a_row_are_enough(verb: str) -> None:
    script = Script({(verb, "b"): _silence(), (verb, "c"): _silence()})
    outcomes = rotate(script, _items("abcdef"), check_mode=False)
    assert script.asked("observe") == ["a", "b", "c"]
    codes = [outcome.error.error_code if outcome.error else "" for outcome in outcomes]
    assert codes[1:] == ["unreachable"] * 5
    assert all(outcome.error.retry_safe for outcome in outcomes if outcome.error)


def test_one_error_can_stand_for_two_open_questions() -> None:
    script = Script({("apply", "a"): UnknownOutcome("Lost.", unanswered=2)})
    rotate(script, _items("abc"), check_mode=False)
    assert script.asked("observe") == ["a"]


@pytest.mark.parametrize("between", [None, NotFound("Absent."), Refused("No.")])
def test_an_answer_in_between_shows_that_the_service_lives(between: RotationError | None) -> None:
    faults: dict[tuple[str, str], BaseException] = {("observe", "a"): _silence(), ("observe", "c"): _silence()}
    if between is not None:
        faults["observe", "b"] = between
    script = Script(faults)
    rotate(script, _items("abcd"), check_mode=False)
    assert script.asked("observe") == list("abcd")


def test_a_dead_service_is_not_asked_for_the_proofs_either_and_what_was_written_is_still_told() -> None:
    script = Script({("prove", "a"): _silence(), ("prove", "b"): _silence()})
    outcomes = rotate(script, _items("abc"), check_mode=False)
    assert script.asked("prove") == ["a", "b"]
    assert outcomes[2].failed and outcomes[2].changed and not outcomes[2].verified


def test_an_item_that_was_written_is_not_called_not_attempted() -> None:
    script = Script({("observe", "b"): _silence(), ("observe", "c"): _silence()})
    written = rotate(script, _items("abc"), check_mode=False)[0]
    assert written.changed and written.error is not None
    assert not written.error.msg.startswith("Not attempted")


def test_an_item_that_needed_no_write_is_not_called_changed() -> None:
    items = [Item("a"), Item("b", steps=0), Item("c"), Item("d")]
    script = Script({("observe", "c"): _silence(), ("observe", "d"): _silence()})
    changed, unchanged = rotate(script, items, check_mode=False)[:2]
    assert changed.error is not None and changed.error.msg.startswith("Changed, but not proved")
    assert unchanged.error is not None and unchanged.error.msg.startswith("Not proved")
    assert not unchanged.changed


class Together(Script):
    """Each proof waits until as many are under way as may be; counts how many there are at the same time."""

    proofs_at_once = 3

    def __init__(self, faults: dict[tuple[str, str], BaseException] | None = None) -> None:
        super().__init__(faults)
        self.meeting = threading.Barrier(self.proofs_at_once)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def prove(self, item: Item, state: State) -> State:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self.meeting.wait(timeout=30)
            return super().prove(item, state)
        finally:
            with self.lock:
                self.now -= 1


def test_proofs_run_together_and_outcomes_keep_their_order() -> None:
    names = list("abcdef")
    script = Together({("prove", "b"): VerifyFailed("no"), ("prove", "e"): UnknownOutcome("no answer", unanswered=1)})
    outcomes = rotate(script, [Item(name) for name in names], check_mode=False)
    assert script.most == 3
    assert [outcome.identity["name"] for outcome in outcomes] == names
    assert [outcome.failed for outcome in outcomes] == [name in "be" for name in names]
    assert script.journal[-1] == ("closed", ""), "the session is open until the last proof has ended"


def test_two_proofs_that_fail_at_the_same_time_are_no_service_that_has_fallen_silent() -> None:
    names = list("abcdef")
    script = Together({("prove", name): UnknownOutcome("no answer", unanswered=1) for name in "ab"})
    outcomes = rotate(script, [Item(name) for name in names], check_mode=False)
    assert [outcome.failed for outcome in outcomes] == [name in "ab" for name in names]


def test_a_service_that_falls_silent_is_not_asked_for_every_proof() -> None:
    names = [f"u{number}" for number in range(30)]
    script = Script({("prove", name): UnknownOutcome("no answer", unanswered=1) for name in names})
    script.proofs_at_once = 3
    outcomes = rotate(script, [Item(name) for name in names], check_mode=False)
    assert all(outcome.failed for outcome in outcomes)
    assert len(script.asked("prove")) <= 2 * script.proofs_at_once
