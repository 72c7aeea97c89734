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


def _run(account: Account, options: Options, *, check_mode: bool = False) -> dict[str, t.Any]:
    login = Login(user="ADMIN", role=None, credentials={})
    rotator = snowflake_user_password.PasswordRotator(t.cast(Client, account), login, options)
    item = Wanted("u", WANTED)
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
    # A role throws a secret away that was seen not to be live.
    if entry.get("probe") == "rejected":
        assert account.live != WANTED
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


def test_a_refusal_tells_what_the_login_before_it_had_said() -> None:
    entry = _run(Account(used=(OLD, WANTED)), _options())
    assert (entry["error_code"], entry["refusal_reason"], entry["probe"]) == ("refused", "PRIOR_USE", "rejected")
    assert not entry["changed"]


def test_only_what_was_asked_for_is_written() -> None:
    account = Account(disabled=True, locked=True)
    _run(account, _options(always=True))
    assert account.alters == [{"PASSWORD": WANTED}]
    assert account.disabled and account.locked


def test_an_unlocked_user_whose_state_cannot_be_read_again_has_been_changed() -> None:
    account = Account(locked=True)
    describe = account._describe

    def once() -> list[dict[str, t.Any]]:
        if account.alters:
            raise NoAnswer("Lost.", unanswered=1)
        return describe()

    account._describe = once  # type: ignore[method-assign]
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
    assert password not in repr(Wanted("u", password)) or not password
