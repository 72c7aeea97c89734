# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One user's password against an account in memory, in every state and with every fault of an ALTER at once."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput, RotationError
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import rotate
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import snowflake_user_password
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import (
    ACCEPTED,
    LoginAnswer,
    statement_refusal,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.client import Client, NoAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.connection import Login
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.password_plan import Options, Wanted
from tests.sandbox.snowflake.lexer import tokenize

OLD, WANTED, EARLIER = "old-password", "wanted-password", "earlier-password"
REJECTED = LoginAnswer("rejected", "wrong_secret", 390100)
NO_ANSWER = LoginAnswer("silent", "no_answer")


@dataclasses.dataclass
class Account:
    """One user.

    fault: what becomes of the first ALTER with a password: "before" and "after" lose the answer on either side of the
    commit, "repeated" is the connector's own repetition after that, which the policy refuses for the reason "again".
    right: what a login with the right password gets.
    """

    live: str = OLD
    used: tuple[str, ...] = (OLD,)
    kind: str = "PERSON"
    disabled: bool = False
    locked: bool = False
    flag: bool = False
    shows_time: bool = True
    fault: str = ""
    again: str = "PRIOR_USE"
    right: LoginAnswer = ACCEPTED
    wrong: LoginAnswer = REJECTED
    time: int = 1
    logins: list[str] = dataclasses.field(default_factory=list)
    alters: list[dict[str, str]] = dataclasses.field(default_factory=list)

    @contextlib.contextmanager
    def session(self, login: Login) -> t.Iterator[None]:
        yield

    def try_login(self, user: str, credentials: dict[str, t.Any]) -> LoginAnswer:
        assert user == "LOGIN"
        assert not self.disabled and not self.locked, "a needless login"
        self.logins.append(credentials["password"])
        return self.right if credentials["password"] == self.live else self.wrong

    def execute(self, sql: str, subject: str) -> list[dict[str, t.Any]]:
        tokens = [token.text for token in tokenize(sql)]
        assert tokens[1:3] == ["USER", "U"]
        if tokens[0] == "DESCRIBE":
            return self._describe()
        properties = dict(zip(tokens[4:-1:3], tokens[6:-1:3], strict=True))
        self.alters.append(properties)
        fault = self.fault if "PASSWORD" in properties else ""
        self.fault = "" if fault else self.fault
        if fault == "before":
            raise NoAnswer("Lost.", unanswered=1)
        self._alter(properties)
        if fault == "after":
            raise NoAnswer("Lost.", unanswered=1)
        if fault == "repeated":
            raise _policy(self.again)
        return []

    def _describe(self) -> list[dict[str, t.Any]]:
        shown = {
            "LOGIN_NAME": "LOGIN",
            "TYPE": self.kind,
            "DISABLED": str(self.disabled),
            "SNOWFLAKE_LOCK": str(self.locked),
            "MUST_CHANGE_PASSWORD": str(self.flag),
            "PASSWORD_LAST_SET_TIME": str(self.time) if self.shows_time else "null",
        }
        return [{"property": name, "value": value} for name, value in shown.items()]

    def _alter(self, properties: dict[str, str]) -> None:
        assert properties.keys() <= {"PASSWORD", "MUST_CHANGE_PASSWORD", "MINS_TO_UNLOCK"}
        password = properties.get("PASSWORD")
        if password in self.used:
            raise _policy("PRIOR_USE")
        if password is not None:
            self.live, self.used, self.time = password, (*self.used, password), self.time + 1
        if "MUST_CHANGE_PASSWORD" in properties:
            self.flag = properties["MUST_CHANGE_PASSWORD"] == "TRUE"
        if "MINS_TO_UNLOCK" in properties:
            self.locked = False


def _policy(reason: str) -> RotationError:
    refusal = statement_refusal(3002, f"Reason: '{reason}'.", "Setting")
    assert refusal is not None
    return refusal


def _run(
    account: Account,
    options: Options,
    *,
    check_mode: bool = False,
    recovered: bool = False,
    password: str | None = WANTED,
) -> dict[str, t.Any]:
    login = Login(user="ADMIN", role=None, credentials={})
    rotator = snowflake_user_password.PasswordRotator(t.cast(Client, account), login, options, check_mode=check_mode)
    item = Wanted("u", password, recovered)
    entry = rotate(rotator, [item], check_mode=check_mode)[0].entry()
    # The engine would hide what the account above objects to.
    assert "Internal error" not in entry.get("msg", "")
    return entry


def _options(**given: t.Any) -> Options:
    return Options(**{"always": False, "verify": True, "must_change_password": None, "unlock": False, **given})


ACCOUNTS = st.builds(
    Account,
    live=st.sampled_from([OLD, WANTED]),
    used=st.sampled_from([(OLD, WANTED), (OLD,), (OLD, EARLIER), (OLD, WANTED, EARLIER)]),
    kind=st.sampled_from(["PERSON", "PERSON", "SERVICE"]),
    disabled=st.sampled_from([False, False, False, True]),
    locked=st.sampled_from([False, False, False, True]),
    flag=st.booleans(),
    shows_time=st.sampled_from([True, True, False]),
    fault=st.sampled_from(["", "", "before", "after", "repeated"]),
    again=st.sampled_from(["PRIOR_USE", "MIN_AGE"]),
    right=st.sampled_from([ACCEPTED, ACCEPTED, LoginAnswer("blocked", "mfa_required", 394509), NO_ANSWER]),
    wrong=st.sampled_from([REJECTED, REJECTED, REJECTED, LoginAnswer("unknown", "user_locked", 390102), NO_ANSWER]),
).filter(lambda account: account.live in account.used)
OPTIONS = st.builds(
    Options,
    always=st.booleans(),
    verify=st.booleans(),
    must_change_password=st.sampled_from([None, False, True]),
    unlock=st.booleans(),
)
# What says that the password is certainly not in force because of this run.
DEFINITE = ("refused", "not_found", "not_permitted", "ambiguous", "invalid_input", "unreachable")


def _check_claims(account: Account, options: Options) -> None:
    before = dataclasses.replace(account)
    entry = _run(account, options)
    moved = account.live != before.live
    if entry["verified"]:
        assert account.live == WANTED and WANTED in account.logins and account.right == ACCEPTED
    if not entry["failed"]:
        assert account.live == WANTED
        assert options.must_change_password in (None, account.flag)
        assert entry["verified"] or entry["verify_skipped_reason"]
        if account.shows_time:
            seen = (moved, account.flag != before.flag, account.locked != before.locked)
            assert entry["changed"] is any(seen)
    elif entry["error_code"] in DEFINITE and not entry["changed"]:
        assert not moved
    if moved and entry["failed"]:
        assert entry["changed"] or entry["error_code"] == "unknown_outcome"
    if "in_force" in entry and account.kind != "SERVICE":
        assert entry["in_force"] is (account.live == WANTED)
    if entry["failed"] and entry["error_code"] in ("unknown_outcome", "unreachable", "verify_failed"):
        assert entry["retry_safe"]


@given(account=ACCOUNTS, options=OPTIONS)
def test_nothing_is_claimed_that_is_not_so(account: Account, options: Options) -> None:
    _check_claims(account, options)


HISTORIES = {"new": (OLD, (OLD,)), "set already": (WANTED, (OLD, WANTED)), "an earlier one": (OLD, (OLD, WANTED))}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("fault", ["", "before", "after", "repeated"])
@pytest.mark.parametrize("state", ["", "locked", "disabled"])
def test_nor_where_the_answer_to_the_change_goes_astray(history: str, fault: str, state: str) -> None:
    live, used = HISTORIES[history]
    choices = itertools.product([True, False], [True, False], [None, True], ["PRIOR_USE", "MIN_AGE"])
    for shows_time, always, flag, again in choices:
        account = Account(live=live, used=used, shows_time=shows_time, fault=fault, again=again)
        account.locked, account.disabled = state == "locked", state == "disabled"
        _check_claims(account, _options(always=always, must_change_password=flag))


@given(account=ACCOUNTS, options=OPTIONS)
def test_a_user_is_never_brought_nearer_to_the_lock_than_by_two_logins(account: Account, options: Options) -> None:
    before = dataclasses.replace(account)
    _run(account, options)
    assert len(account.logins) <= 2 and set(account.logins) <= {WANTED}
    passwords = [properties for properties in account.alters if "PASSWORD" in properties]
    assert len(passwords) <= 1
    if not passwords:
        assert len(account.logins) <= 1
    if options.always:
        assert len(account.logins) <= 1
    if before.kind == "SERVICE":
        assert not account.logins and not account.alters


@given(account=ACCOUNTS, options=OPTIONS)
def test_check_mode_only_looks(account: Account, options: Options) -> None:
    before = dataclasses.replace(account)
    entry = _run(account, options, check_mode=True)
    assert account.alters == [] and not entry["verified"]
    assert (account.live, account.flag, account.locked) == (before.live, before.flag, before.locked)
    assert len(account.logins) <= (0 if options.always else 1)


@given(account=ACCOUNTS, options=OPTIONS)
def test_a_second_run_changes_nothing(account: Account, options: Options) -> None:
    account.fault = ""
    if _run(account, options)["failed"] or options.always or account.right.verdict == "silent":
        return
    again = _run(account, options)
    if not (account.disabled or account.locked):
        assert (again["changed"], again["failed"]) == (False, False)


@pytest.mark.parametrize(
    ("account", "options", "logins"),
    [
        (Account(), _options(), 2),
        (Account(), _options(verify=False), 1),
        (Account(), _options(always=True), 1),
        (Account(), _options(always=True, verify=False), 0),
        (Account(live=WANTED, used=(WANTED,)), _options(), 1),
        # The probe has said no already, and Snowflake shows that nothing has changed since.
        (Account(used=(OLD, WANTED)), _options(), 1),
        (Account(fault="before"), _options(), 1),
        (Account(fault="after"), _options(), 2),
        (Account(fault="repeated"), _options(), 2),
        (Account(fault="repeated", again="MIN_AGE"), _options(), 2),
        (Account(locked=True), _options(always=True), 0),
        (Account(disabled=True), _options(always=True), 0),
        (Account(locked=True, disabled=True, fault="after"), _options(always=True), 0),
        (Account(locked=True), _options(), 0),
        (Account(locked=True), _options(unlock=True), 2),
    ],
)
def test_no_login_is_made_that_cannot_tell_anything_new(account: Account, options: Options, logins: int) -> None:
    account = dataclasses.replace(account, logins=[], alters=[])
    _run(account, options)
    assert len(account.logins) == logins


def test_a_refusal_tells_that_the_password_is_not_in_force() -> None:
    entry = _run(Account(used=(OLD, WANTED)), _options())
    assert (entry["error_code"], entry["refusal_reason"], entry["in_force"]) == ("refused", "PRIOR_USE", False)
    assert not entry["changed"]


UNKNOWN = LoginAnswer("unknown", "other", 394777)
RECOVERED = st.builds(
    Account,
    live=st.sampled_from([OLD, WANTED]),
    used=st.sampled_from([(OLD, WANTED), (OLD,), (WANTED,)]),
    kind=st.sampled_from(["PERSON", "PERSON", "PERSON", "SERVICE_AGENT"]),
    disabled=st.sampled_from([False, False, False, True]),
    locked=st.sampled_from([False, False, False, True]),
    shows_time=st.sampled_from([True, True, False]),
    fault=st.sampled_from(["", "", "before", "after", "repeated"]),
    again=st.sampled_from(["PRIOR_USE", "MIN_AGE"]),
    right=st.sampled_from([ACCEPTED, UNKNOWN, NO_ANSWER, REJECTED]),
    wrong=st.sampled_from([REJECTED, UNKNOWN, NO_ANSWER]),
).filter(
    # That a person has set the old password again is seen only where a login tells it.
    lambda account: (
        account.live in account.used
        and (
            account.live == WANTED
            or WANTED not in account.used
            or (account.wrong is REJECTED and not account.locked and not account.disabled)
        )
    )
)


@given(account=RECOVERED, options=OPTIONS, runs=st.integers(1, 10))
def test_what_an_earlier_run_left_comes_to_an_end(account: Account, options: Options, runs: int) -> None:
    """Once the answers arrive, one run ends it; none brings the user nearer to the lock than by one failed login."""
    for number in range(runs):
        account.logins.clear()
        entry = _run(account, options, recovered=True)
        failed = [login for login in account.logins if account.right is REJECTED or login != account.live]
        assert len(failed) <= 1 and len(account.logins) <= 2
        known = entry.get("in_force")
        if known is not None and account.kind == "PERSON" and account.right is not REJECTED:
            assert known is (account.live == WANTED)
        if entry["verified"]:
            assert account.live == WANTED and account.right is ACCEPTED
        ended = not entry["failed"] or known is not None
        lost = number == 0 and entry["error_code"] in ("unknown_outcome", "unreachable") if entry["failed"] else False
        # Nobody answers any login, or the time that would tell is not shown: then the value is kept, and that is right.
        silent = NO_ANSWER in (account.right, account.wrong) or not account.shows_time
        waits = entry["failed"] and (account.locked or account.disabled or account.wrong is not REJECTED)
        assert ended or lost or silent or waits, entry


@pytest.mark.parametrize("answer", [UNKNOWN, NO_ANSWER, LoginAnswer("blocked", "must_change_password", 390106)])
@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("verify", [True, False])
def test_an_acknowledged_value_counts_whatever_the_login_says(answer: LoginAnswer, always: bool, verify: bool) -> None:
    account = Account(right=answer, wrong=answer)
    entry = _run(account, _options(always=always, verify=verify), recovered=True)
    assert (entry["failed"], entry["changed"], entry["in_force"], entry["verified"]) == (False, True, True, False)
    assert entry["verify_skipped_reason"] and len(account.alters) == 1


def test_a_value_that_was_acknowledged_twice_is_not_tried_a_third_time() -> None:
    account = Account(right=REJECTED)
    entry = _run(account, _options(always=True), recovered=True)
    assert (entry["error_code"], entry["changed"], entry["in_force"]) == ("verify_failed", True, True)
    assert len(account.logins) == 1


def test_prior_use_without_a_login_that_could_tell_is_the_services_own_word() -> None:
    account = Account(live=WANTED, used=(OLD, WANTED), right=UNKNOWN, wrong=UNKNOWN)
    entry = _run(account, _options(always=True), recovered=True)
    assert (entry["failed"], entry["changed"], entry["in_force"]) == (False, False, True)


def test_a_fresh_value_with_a_login_that_says_neither_is_set_and_not_proved() -> None:
    entry = _run(Account(right=UNKNOWN), _options(always=True))
    assert (entry["failed"], entry["changed"], entry["verified"]) == (False, True, False)
    assert (entry["verify_skipped_reason"], entry["in_force"]) == ("other", True)


def test_what_is_still_to_be_made_is_described_and_not_tried() -> None:
    account = Account()
    entry = _run(account, _options(), check_mode=True, password=None)
    assert (entry["failed"], entry["changed"], account.logins, account.alters) == (False, True, [], [])
    assert _run(Account(kind="SERVICE"), _options(), check_mode=True, password=None)["error_code"] == "refused"
    assert _run(Account(), _options(), password=None)["error_code"] == "invalid_input"


def test_a_probe_before_an_alter_that_came_through_says_nothing_of_it() -> None:
    """The connector sent it twice, and Snowflake took the first and refused the second; no time shows it."""
    account = Account(fault="repeated", shows_time=False)
    entry = _run(account, _options(), recovered=True)
    assert account.live == WANTED and entry.get("in_force") is not False


ANSWERS = {"right": ACCEPTED, "rejected": REJECTED, "unknown": UNKNOWN, "silent": NO_ANSWER}


def _refusing(account: Account, refusal: RotationError, statement: str = "ALTER") -> Account:
    """The account, which refuses such statements; what the last one said stays with its refusal."""
    execute = account.execute

    def refuse(sql: str, subject: str) -> list[dict[str, t.Any]]:
        if sql.startswith(statement):
            raise type(refusal)(refusal.msg, evidence=dict(refusal.evidence))
        return execute(sql, subject)

    account.execute = refuse  # type: ignore[method-assign]
    return account


def _number(errno: int) -> RotationError:
    refusal = statement_refusal(errno, "", "Asking")
    assert refusal is not None
    return refusal


@pytest.mark.parametrize(
    ("reason", "answer", "failed", "in_force"),
    [
        ("PRIOR_USE", "right", None, True),
        ("PRIOR_USE", "rejected", "refused", False),
        ("PRIOR_USE", "unknown", None, True),
        ("PRIOR_USE", "silent", "unknown_outcome", None),
        ("MIN_AGE", "right", None, True),
        ("MIN_AGE", "rejected", "refused", False),
        ("MIN_AGE", "unknown", "refused", None),
        ("MIN_AGE", "silent", "unknown_outcome", None),
    ],
)
@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("verify", [True, False])
def test_a_refused_recovered_password_is_decided_by_one_login(
    reason: str, answer: str, failed: str | None, in_force: bool | None, always: bool, verify: bool
) -> None:
    said = ANSWERS[answer]
    account = _refusing(Account(live=WANTED if said.right else OLD, right=said, wrong=said), _policy(reason))
    entry = _run(account, _options(always=always, verify=verify), recovered=True)
    assert (entry.get("error_code"), entry.get("in_force"), entry["changed"]) == (failed, in_force, False)
    assert len(account.logins) == 1 and entry["verified"] is said.right


@pytest.mark.parametrize("number", [2003, 3001])
@pytest.mark.parametrize("live", [OLD, WANTED])
def test_nothing_is_said_and_nobody_tried_where_the_user_cannot_be_described(number: int, live: str) -> None:
    """The name with which the user logs in is not known: a refused login would be a strike, and prove nothing."""
    account = _refusing(Account(live=live), _number(number), "DESCRIBE")
    entry = _run(account, _options(always=True), recovered=True)
    assert entry["failed"] and "in_force" not in entry and account.logins == []


def test_that_the_flag_is_refused_does_not_make_a_password_that_was_seen_less_right() -> None:
    account = _refusing(Account(live=WANTED, used=(WANTED,)), _number(3001))
    entry = _run(account, _options(must_change_password=True), recovered=True)
    assert (entry["error_code"], entry["in_force"]) == ("not_permitted", True)


@pytest.mark.parametrize("shows_time", [True, False])
@pytest.mark.parametrize("refusal", [_policy("INSUFFICIENT_NUMERIC_CHARS"), _number(3001), _number(2003)])
def test_ten_refusals_of_new_passwords_lock_nobody_out(shows_time: bool, refusal: RotationError) -> None:
    """A refusal that a repeated ALTER does not explain needs no login, whatever DESCRIBE shows."""
    account = _refusing(Account(shows_time=shows_time), refusal)
    for _number_of_run in range(10):
        assert _run(account, _options(always=True))["error_code"] == refusal.error_code
    assert account.logins == []


def _silent_after_a_write(account: Account) -> Account:
    """DESCRIBE gets no answer once something was written."""
    describe = account._describe

    def once() -> list[dict[str, t.Any]]:
        if account.alters:
            raise NoAnswer("Lost.", unanswered=1)
        return describe()

    account._describe = once  # type: ignore[method-assign]
    return account


def test_silence_after_the_acknowledgement_does_not_fail_a_recovered_password() -> None:
    account = _silent_after_a_write(Account())
    entry = _run(account, _options(always=True), recovered=True)
    assert (entry["failed"], entry["changed"], entry["verified"], entry["in_force"]) == (False, True, False, True)


def test_only_what_was_asked_for_is_written() -> None:
    account = Account(disabled=True, locked=True)
    _run(account, _options(always=True))
    assert account.alters == [{"PASSWORD": WANTED}]
    assert account.disabled and account.locked


def test_an_unlocked_user_whose_state_cannot_be_read_again_has_been_changed() -> None:
    account = _silent_after_a_write(Account(locked=True))
    entry = _run(account, _options(unlock=True))
    assert entry["failed"] and entry["changed"] and not account.locked


def test_a_login_that_is_refused_after_a_clean_change_rolls_nothing_back() -> None:
    account = Account()
    execute = account.execute

    def spoil(sql: str, subject: str) -> list[dict[str, t.Any]]:
        answer = execute(sql, subject)
        account.right = REJECTED
        return answer

    account.execute = spoil  # type: ignore[method-assign]
    entry = _run(account, _options(always=True))
    assert (entry["error_code"], entry["changed"], entry["verified"]) == ("verify_failed", True, False)
    assert account.live == WANTED and len(account.alters) == 1


@pytest.mark.parametrize("password", ["", "short", "x" * 257, "nul\0inside-it"])
def test_a_password_that_snowflake_cannot_take_is_refused_without_quoting_it(password: str) -> None:
    rotator = snowflake_user_password.PasswordRotator(t.cast(Client, Account()), Login("A", None, {}), _options())
    with pytest.raises(InvalidInput) as raised:
        rotator.check(Wanted("u", password))
    assert not password or password not in raised.value.msg
    # No user can have it, so a role may throw it away, also one that an earlier run has left.
    assert raised.value.in_force is False
    assert password not in repr(Wanted("u", password)) or not password
