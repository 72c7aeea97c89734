# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The one engine: observe → plan → apply → prove, over a list of items."""

from __future__ import annotations

import abc
import concurrent.futures
import contextlib
import functools
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    SENTENCES,
    InvalidInput,
    RotationError,
    UnknownOutcome,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import CHECK_MODE, Outcome

Item = t.TypeVar("Item")
State = t.TypeVar("State")
Write = t.TypeVar("Write")
_Entry = t.TypeVar("_Entry")

# Each question left open costs a whole timeout, so a dead service must not be asked once for every item. Of those that
# are asked at the same time, all must have failed.
_PATIENCE = 2


class Rotator(abc.ABC, t.Generic[Item, State, Write]):
    """What a service provides. Every verb raises RotationError; only ``apply`` writes.

    A state is an immutable value: what has been seen of the service and done to it so far in this run.
    C(proofs_at_once) is how many items are proved at the same time; with more than one, C(prove, plan, apply, report)
    are called in threads, within C(proving). C(untouched) is the sentence for a failure that left nothing behind.
    """

    proofs_at_once = 1
    untouched = SENTENCES["untouched"]

    @abc.abstractmethod
    def identity(self, item: Item) -> dict[str, str]:
        """The item's own name as the user wrote it."""

    @abc.abstractmethod
    def called(self, item: Item) -> str:
        """What the service calls it, so that one user named twice is noticed. Asked in the session."""

    def last(self, item: Item) -> bool:
        """Whether it comes after all others: the administrator itself, whose session they need."""
        return False

    @abc.abstractmethod
    def check(self, item: Item) -> None:
        """Raise InvalidInput for what can be seen without asking the service."""

    @abc.abstractmethod
    def same_secret(self, one: Item, other: Item) -> bool:
        """Whether two items that name one user want the same; two secrets that are still to be made never do."""

    @abc.abstractmethod
    def session(self) -> contextlib.AbstractContextManager[None]:
        """The administrator's session that all items share."""

    @abc.abstractmethod
    def observe(self, item: Item) -> State:
        """Reads and probes only."""

    @abc.abstractmethod
    def plan(self, item: Item, state: State) -> t.Sequence[Write]:
        """The writes that are left; pure."""

    @abc.abstractmethod
    def apply(self, item: Item, state: State, step: Write) -> State:
        """One write, and the state that it leads to."""

    @abc.abstractmethod
    def prove(self, item: Item, state: State) -> State:
        """Log in with the new secret, or say in the state why not; afterwards ``proven(state)`` is true."""

    @abc.abstractmethod
    def proven(self, state: State) -> bool:
        """Whether ``prove`` has had its say."""

    def proving(self, item: Item) -> contextlib.AbstractContextManager[None]:
        """Around all that one item's proof does."""
        return contextlib.nullcontext()

    @abc.abstractmethod
    def report(self, item: Item, state: State, outcome: Outcome) -> None:
        """Fill in changed, verified, verify_skipped_reason, facts, before and after, as far as the state knows them;
        and left, where a write was sent that nobody has looked at yet.
        """

    @abc.abstractmethod
    def expected(self, item: Item, state: State, steps: t.Sequence[Write], outcome: Outcome) -> None:
        """Fill in facts, before and after for check mode, where the writes are not made."""


def rotate(rotator: Rotator[Item, State, Write], items: t.Sequence[Item], *, check_mode: bool) -> list[Outcome]:
    """Bring every item to its wanted state; one outcome per item, in order. One item's failure never stops another."""
    outcomes = [Outcome(identity=rotator.identity(item), untouched=rotator.untouched) for item in items]
    guard = _Guard()
    for item, outcome in zip(items, outcomes, strict=True):
        guard.run(outcome, "Not attempted", functools.partial(rotator.check, item))
    valid = [(item, outcome) for item, outcome in zip(items, outcomes, strict=True) if not outcome.failed]
    if not valid:
        return outcomes
    try:
        with rotator.session():
            _rotate_each(rotator, valid, check_mode=check_mode)
    except RotationError as error:
        # The session could not be opened: nothing was tried, and every item says so.
        error.everybody = True
        for _item, outcome in valid:
            outcome.error = outcome.error or error
    return outcomes


def _rotate_each(
    rotator: Rotator[Item, State, Write], entries: t.Sequence[tuple[Item, Outcome]], *, check_mode: bool
) -> None:
    """First every item up to its writes, then every proof, so that a service can read back for all of them at once."""
    written: list[tuple[Item, Outcome, State]] = []
    guard = _Guard()
    barred: list[RotationError] = []

    def write(item: Item, outcome: Outcome) -> None:
        if barred:
            raise barred[0]
        try:
            with _only_reading():
                state = rotator.observe(item)
            if check_mode:
                _foresee(rotator, item, state, outcome)
            else:
                written.append((item, outcome, _write(rotator, item, state, outcome)))
        except RotationError as error:
            if error.everybody:
                barred.append(error)
            raise

    def prove(entry: tuple[Item, Outcome, State]) -> None:
        item, outcome, state = entry
        left = "Changed, but not proved" if outcome.changed else "Not proved"
        proof = functools.partial(_prove, rotator, item, state, outcome)
        with rotator.proving(item):
            guard.run(outcome, left, proof, patience=max(_PATIENCE, rotator.proofs_at_once))

    users = _users(rotator, entries, guard)
    # The administrator itself is changed when all others are proved, who may need its session for that.
    for last in (False, True):
        written.clear()
        for item, outcome in (same[0] for same in users if rotator.last(same[0][0]) is last):
            guard.run(outcome, "Not attempted", functools.partial(write, item, outcome))
        # What needs no proof asks nobody, and so outlives a service that falls silent.
        _each(prove, [entry for entry in written if not rotator.proven(entry[2])], rotator.proofs_at_once)
    for (_item, first), *others in users:
        for _other, outcome in others:
            _repeat(first, outcome)


def _each(work: t.Callable[[_Entry], None], entries: t.Sequence[_Entry], at_once: int) -> None:
    """Do the work on each entry, so many at the same time."""
    if min(at_once, len(entries)) <= 1:
        for entry in entries:
            work(entry)
        return
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        # What a thread raises is raised here.
        list(pool.map(work, entries))


def _users(
    rotator: Rotator[Item, State, Write], entries: t.Sequence[tuple[Item, Outcome]], guard: _Guard
) -> list[list[tuple[Item, Outcome]]]:
    """The entries that may be tried, those of one user together. Entries of one user that differ all fail."""
    found: dict[str, list[tuple[Item, Outcome]]] = {}

    def sort_in(item: Item, outcome: Outcome) -> None:
        found.setdefault(rotator.called(item), []).append((item, outcome))

    for item, outcome in entries:
        guard.run(outcome, "Not attempted", functools.partial(sort_in, item, outcome))
    agreed = []
    for user, same in found.items():
        if all(rotator.same_secret(same[0][0], other) for other, _outcome in same[1:]):
            agreed.append(same)
            continue
        for _item, outcome in same:
            outcome.error = InvalidInput(f"{user} is named {len(same)} times with different secrets.")
    return agreed


class _Guard:
    """Turns an item's exception into its outcome, and stops asking a service that has stopped answering."""

    def __init__(self) -> None:
        self._unanswered = 0
        self._gave_up = False

    def run(self, outcome: Outcome, otherwise: str, work: t.Callable[[], None], *, patience: int = _PATIENCE) -> None:
        """Do the work, or say that it was left out; C(otherwise) says where that leaves the item.

        patience: after so many questions in a row that were left open, nothing more is asked.
        """
        if self._gave_up:
            # What was sent and not looked at is what the rotator has told of it.
            outcome.left = "changed" if outcome.changed else outcome.left
            kind = Unreachable if outcome.left == "untouched" else UnknownOutcome
            outcome.error = kind(f"{otherwise}, because the service had stopped answering before it.")
            outcome.in_force = None
            return
        try:
            work()
        except RotationError as error:
            outcome.error = error
            outcome.changed = outcome.changed or error.left == "changed"
            outcome.left = "changed" if outcome.changed and error.left == "untouched" else error.left
            outcome.in_force = error.in_force
            self._unanswered = self._unanswered + error.unanswered if error.unanswered else 0
            self._gave_up = self._gave_up or self._unanswered >= patience
        except Exception as error:  # a bug must not stop the other items, and its text may hold anything
            outcome.error = UnknownOutcome(f"Internal error: {type(error).__name__}. Please report it.")
            outcome.left = "unknown"
        else:
            self._unanswered = 0


@contextlib.contextmanager
def _only_reading() -> t.Iterator[None]:
    """Whatever fails in here has left the service as it was: only ``apply`` writes."""
    try:
        yield
    except RotationError as error:
        error.left = "untouched"
        raise


def _planned(rotator: Rotator[Item, State, Write], item: Item, state: State) -> t.Sequence[Write]:
    with _only_reading():
        return rotator.plan(item, state)


def _repeat(earlier: Outcome, outcome: Outcome) -> None:
    """The same user wanted twice with the same secret: the first entry did the work, the second shows it."""
    if outcome is earlier:
        return
    outcome.verified = earlier.verified
    outcome.verify_skipped_reason = earlier.verify_skipped_reason
    outcome.error, outcome.left = earlier.error, earlier.left
    outcome.in_force = earlier.in_force
    outcome.facts = earlier.facts


def _foresee(rotator: Rotator[Item, State, Write], item: Item, state: State, outcome: Outcome) -> None:
    steps = _planned(rotator, item, state)
    rotator.expected(item, state, steps, outcome)
    outcome.changed = bool(steps)
    outcome.verified = False
    outcome.verify_skipped_reason = CHECK_MODE


def _write(rotator: Rotator[Item, State, Write], item: Item, state: State, outcome: Outcome) -> State:
    """Do the planned writes, planning anew after each."""
    try:
        while steps := _planned(rotator, item, state):
            state = rotator.apply(item, state, steps[0])
    finally:
        rotator.report(item, state, outcome)
    return state


def _prove(rotator: Rotator[Item, State, Write], item: Item, state: State, outcome: Outcome) -> None:
    """Prove, and do what writes the proof calls for, until nothing is left."""
    try:
        while True:
            if not rotator.proven(state):
                state = rotator.prove(item, state)
            steps = rotator.plan(item, state)
            if steps:
                state = rotator.apply(item, state, steps[0])
            elif rotator.proven(state):
                return
    finally:
        rotator.report(item, state, outcome)
