# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for a password, over every combination of what can be seen and wanted."""

from __future__ import annotations

import itertools
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import ACCEPTED, LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.password_plan import (
    Options,
    SetProperties,
    State,
    Unlock,
    Wanted,
    Write,
    plan,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User, parse

PROBES: dict[str, LoginAnswer | None] = {
    "none": None,
    "accepted": ACCEPTED,
    "blocked": LoginAnswer("blocked", "must_change_password", 390106),
    "rejected": LoginAnswer("rejected", "wrong_secret", 390100),
    "unknown": LoginAnswer("unknown", "network_policy", 390422),
    "locked": LoginAnswer("unknown", "user_locked", 390102),
    "silent": LoginAnswer("silent", "no_answer"),
}


class Case(t.NamedTuple):
    """One combination; flag and has_flag are must_change_password as wanted and as described."""

    kind: str | None
    disabled: bool
    locked: bool
    unlock: bool
    always: bool
    probe: str
    flag: bool | None
    has_flag: bool | None
    password_set: bool
    unlocked: bool

    @property
    def user(self) -> User:
        rows = {
            "TYPE": self.kind,
            "DISABLED": str(self.disabled).lower(),
            "SNOWFLAKE_LOCK": str(self.locked).lower(),
            "MUST_CHANGE_PASSWORD": None if self.has_flag is None else str(self.has_flag).lower(),
        }
        return parse("U", [{"property": name, "value": value} for name, value in rows.items()])

    @property
    def steps(self) -> list[Write]:
        return self.planned(recovered=False)

    def planned(self, *, recovered: bool, password: str | None = "wanted-password") -> list[Write]:
        """What is planned; raises as the plan does."""
        options = Options(always=self.always, verify=True, must_change_password=self.flag, unlock=self.unlock)
        state = State(
            user=self.user,
            probe=PROBES[self.probe],
            password_set=self.password_set,
            password_changed=self.password_set,
            flag_set=self.password_set and self.flag is not None,
            unlocked=self.unlocked,
        )
        return plan(options, Wanted("u", password, recovered), state)

    @property
    def ending(self) -> RotationError | list[Write]:
        try:
            return self.steps
        except RotationError as error:
            return error


def _all() -> t.Iterator[Case]:
    both = (False, True)
    maybe = (None, False, True)
    for values in itertools.product(
        (None, "PERSON", "LEGACY_SERVICE", "SERVICE", "service_agent"),
        both,
        both,
        both,
        both,
        PROBES,
        maybe,
        maybe,
        both,
        both,
    ):
        case = Case(*values)
        # Nobody is probed whose answer is not needed or cannot tell; everybody else is, exactly once.
        probed = not case.always and not case.disabled and not case.locked
        if (case.probe != "none") == probed and (case.unlock or not case.unlocked):
            yield case


CASES = list(_all())


def _where(**wanted: t.Any) -> list[Case]:
    found = [case for case in CASES if all(getattr(case, name) == value for name, value in wanted.items())]
    assert found
    return found


NO_SERVICE = [case for case in CASES if (case.kind or "").upper() not in ("SERVICE", "SERVICE_AGENT")]


def _fresh(cases: t.Iterable[Case]) -> list[Case]:
    return [case for case in cases if not case.password_set and not case.unlocked and case in NO_SERVICE]


def _writes(ending: RotationError | list[Write]) -> list[SetProperties]:
    return [] if isinstance(ending, RotationError) else [step for step in ending if isinstance(step, SetProperties)]


def _sets_password(case: Case) -> bool:
    return any(step.password for step in _writes(case.ending))


def test_a_service_user_is_refused_whatever_else_holds() -> None:
    for case in CASES:
        if case not in NO_SERVICE:
            error = case.ending
            assert isinstance(error, Refused) and not error.retry_safe and error.in_force is False, case
    assert not isinstance(_where(kind="LEGACY_SERVICE", probe="rejected", password_set=False)[0].ending, RotationError)


def test_there_is_never_more_than_one_write_of_each_kind_and_unlocking_is_first() -> None:
    for case in CASES:
        ending = case.ending
        if not isinstance(ending, RotationError):
            assert len(_writes(ending)) <= 1, case
            assert [step for step in ending if isinstance(step, Unlock)] in ([], [ending[0] if ending else None]), case
            assert all(step.password or step.must_change_password is not None for step in _writes(ending)), case


def test_a_password_that_was_set_is_not_set_again() -> None:
    for case in _where(password_set=True):
        assert not _sets_password(case), case


@pytest.mark.parametrize(
    ("probe", "error"), [("unknown", UnknownOutcome), ("silent", Unreachable), ("locked", Refused)]
)
def test_an_answer_that_says_neither_is_never_guessed_at(probe: str, error: type[RotationError]) -> None:
    for case in _fresh(_where(probe=probe)):
        ending = case.ending
        assert isinstance(ending, error) and ending.retry_safe, case
        # Whoever did not answer must not be asked for hundreds of other users.
        assert ending.unanswered == (1 if probe == "silent" else 0)


@pytest.mark.parametrize(("probe", "due"), [("rejected", True), ("accepted", False), ("blocked", False)])
def test_the_probe_decides(probe: str, due: bool) -> None:
    for case in _fresh(_where(probe=probe)):
        assert _sets_password(case) is due, case
        assert not isinstance(case.ending, RotationError), case


def test_always_sets_the_password_without_asking() -> None:
    for case in _fresh(_where(always=True)):
        assert _sets_password(case), case


def test_a_disabled_or_locked_user_is_refused_where_no_login_can_tell() -> None:
    for case in _fresh(_where(always=False)):
        if case.disabled or (case.locked and not case.unlock):
            ending = case.ending
            assert isinstance(ending, Refused), case
            assert ending.retry_safe and ending.left == "untouched"
            assert ("disabled" in ending.msg) is case.disabled


def test_nobody_is_unlocked_without_being_locked_and_without_the_wish() -> None:
    for case in NO_SERVICE:
        ending = case.ending
        if not isinstance(ending, RotationError):
            unlocks = any(isinstance(step, Unlock) for step in ending)
            assert unlocks is (case.locked and case.unlock), case


def test_with_if_different_a_locked_user_is_unlocked_before_anything_is_decided() -> None:
    for case in _fresh(_where(locked=True, unlock=True, always=False, disabled=False)):
        assert isinstance(case.steps[0], Unlock) and not _sets_password(case), case


def test_unlocking_that_did_not_help_is_not_repeated() -> None:
    for case in _where(locked=True, unlocked=True):
        assert isinstance(case.ending, Refused), case


def test_the_flag_is_written_only_if_it_was_asked_for_and_differs_and_never_twice() -> None:
    for case in NO_SERVICE:
        flags = [step.must_change_password for step in _writes(case.ending)]
        asked = case.flag is not None and case.flag != case.has_flag and not case.password_set
        if not isinstance(case.ending, RotationError):
            assert [flag for flag in flags if flag is not None] == ([case.flag] if asked else []), case


def test_what_an_earlier_run_may_have_set_is_set_again_unless_it_has_opened_a_session() -> None:
    """Whatever the login said, and where none could be made; only a lock that is to be opened comes first."""
    for case in _fresh(_where(always=False)):
        waits = case.probe == "none" and case.locked and case.unlock and not case.disabled
        sets = [step.password for step in _writes(case.planned(recovered=True)) if step.password]
        assert sets == ([] if waits or case.probe == "accepted" else [True]), case


def test_what_is_still_to_be_made_will_be_set() -> None:
    for case in _fresh(_where(probe="none")):
        assert any(step.password for step in _writes(case.planned(recovered=False, password=None))), case
