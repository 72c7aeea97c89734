# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is decided for every state of a user, and for a value that an earlier run may have set."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from tests.integration.conftest import fresh_password, survives_crashes
from tests.integration.snowflake_user_password.conftest import MODULE, UNLISTED, failed_logins, logins, writes
from tests.integration.support import Ansible, Call, Decide
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.account import PLAIN_LOGIN_CODES

pytestmark = [
    pytest.mark.connector,
    survives_crashes,
    # Of the threads in which calls are left behind that have no bound of their own.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


# -- helpers


def lock(snowflake: SnowflakeSandbox, name: str) -> None:
    user = snowflake.user(name)
    user.failed_logins = snowflake.account.lockout_failures
    user.locked_until = snowflake.account.clock() + dt.timedelta(minutes=15)


# -- kinds of users


@pytest.mark.parametrize("codes", ["own", "plain"])
@pytest.mark.parametrize("mode", ["if_different", "always"])
def test_service_users_cannot_hold_a_password(
    snowflake: SnowflakeSandbox, decide: Decide, mode: str, codes: str
) -> None:
    if codes == "plain":
        snowflake.account.login_codes.update(PLAIN_LOGIN_CODES)
    wanted, old = fresh_password(), fresh_password()
    snowflake.add_user("SVC", type="SERVICE", password=old)
    snowflake.add_user("LEGACY", type="LEGACY_SERVICE", password=old)
    snowflake.add_user("JO", type="PERSON", password=old)
    users = [{"name": name, "password": wanted} for name in ("svc", "legacy", "jo")]
    answer = decide(users=users, update_password=mode)
    assert [(e.get("error_code"), e["changed"], e["user_type"]) for e in answer["rotations"]] == [
        ("refused", False, "SERVICE"),
        (None, True, "LEGACY_SERVICE"),
        (None, True, "PERSON"),
    ]
    assert logins(snowflake, "SVC") == [] and not snowflake.journal.labels("^ALTER USER SVC")
    assert answer["rotations"][0]["retry_safe"] is False


@pytest.mark.parametrize("state", ["disabled", "locked"])
def test_users_that_cannot_be_asked(snowflake: SnowflakeSandbox, decide: Decide, old: str, state: str) -> None:
    user, wanted = snowflake.user("ETL"), fresh_password()
    if state == "disabled":
        user.disabled = True
    else:
        lock(snowflake, "ETL")
    answer = decide(name="etl", password=wanted)
    assert (answer["error_code"], answer["retry_safe"], answer["changed"]) == ("refused", True, False)
    assert writes(snowflake) == [] and user.password == old
    answer = decide(name="etl", password=wanted, update_password="always")
    assert (answer["changed"], answer["failed"], answer["verified"]) == (True, False, False)
    assert answer["verify_skipped_reason"] == f"user_{state}"
    assert logins(snowflake, "ETL") == [] and user.password == wanted
    # Nothing else was touched.
    assert user.disabled is (state == "disabled")
    assert user.locked(snowflake.account.clock()) is (state == "locked")


@pytest.mark.parametrize("codes", ["own", "plain"])
@pytest.mark.parametrize("reason", ["locked", "disabled"])
def test_users_that_describe_does_not_show_as_closed(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, reason: str, codes: str
) -> None:
    """The login says it where DESCRIBE did not: closed in between, or seen with few privileges."""
    if codes == "plain":
        snowflake.account.login_codes.update(PLAIN_LOGIN_CODES)
    snowflake.account.desc_omits = {"DISABLED", "SNOWFLAKE_LOCK", "MINS_TO_UNLOCK", "LOCK_DETAILS"}
    if reason == "locked":
        lock(snowflake, "ETL")
    else:
        snowflake.user("ETL").disabled = True
    answer = decide(name="etl", password=fresh_password())
    assert (answer["error_code"], answer["retry_safe"], answer["changed"]) == ("refused", True, False)
    assert f"user_{reason}" in answer["msg"]
    assert writes(snowflake) == [] and len(logins(snowflake, "ETL")) == 1


@pytest.mark.parametrize("codes", ["own", "plain"])
@pytest.mark.parametrize("order", ["password first", "mfa first"])
def test_a_person_with_multi_factor_authentication(
    snowflake: SnowflakeSandbox, decide: Decide, order: str, codes: str
) -> None:
    snowflake.account.mfa_before_password = order == "mfa first"
    if codes == "plain":
        snowflake.account.login_codes.update(PLAIN_LOGIN_CODES)
    present, wanted = fresh_password(), fresh_password()
    snowflake.add_user("JO", password=present, mfa_required=True)
    # Nobody knows whether the password was looked at, so nothing is claimed of it.
    answer = decide(name="jo", password=present)
    assert (answer["changed"], answer["error_code"]) == (False, "unknown_outcome") and "mfa_required" in answer["msg"]
    assert writes(snowflake) == []
    answer = decide(name="jo", password=wanted, update_password="always")
    assert (answer["changed"], answer["failed"], answer["verified"]) == (True, False, False)
    assert answer["verify_skipped_reason"] == "mfa_required"
    assert snowflake.user("JO").password == wanted


@pytest.mark.parametrize("reason", ["must_change_password", "role_not_granted"])
def test_a_right_password_of_a_user_who_may_not_work(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, reason: str
) -> None:
    if reason == "must_change_password":
        snowflake.user("ETL").must_change_password = True
    else:
        text = "Role 'GONE' specified in the connect string is not granted to this user."
        snowflake.faults.add(Fault("^login ETL", response=snowflake.login_failure(390189, text)))
    answer = decide(name="etl", password=old)
    assert (answer["changed"], answer["failed"], answer["verified"]) == (False, False, False)
    assert answer["verify_skipped_reason"] == reason
    assert writes(snowflake) == []


@pytest.mark.parametrize("codes", ["own", "plain"])
@pytest.mark.parametrize("present, wanted", [(False, None), (True, None), (False, True), (True, False), (True, True)])
def test_must_change_password_changes_only_a_differing_flag(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, present: bool, wanted: bool | None, codes: str
) -> None:
    if codes == "plain":
        snowflake.account.login_codes.update(PLAIN_LOGIN_CODES)
    user = snowflake.user("ETL")
    user.must_change_password = present
    differs = wanted is not None and wanted != present
    # With the present password, the flag is the only thing to write.
    answer = decide(name="etl", password=old, must_change_password=wanted)
    assert (answer["changed"], answer["failed"]) == (differs, False)
    assert writes(snowflake) == ["ALTER USER ETL SET MUST_CHANGE_PASSWORD"] * differs
    assert user.must_change_password is (present if wanted is None else wanted)
    # With another one, both are one statement.
    user.must_change_password = present
    snowflake.journal.clear()
    answer = decide(name="etl", password=fresh_password(), must_change_password=wanted)
    assert (answer["changed"], answer["failed"]) == (True, False)
    assert writes(snowflake) == [f"ALTER USER ETL SET {'MUST_CHANGE_PASSWORD ' * differs}PASSWORD"]
    assert answer["verified"] is not user.must_change_password
    assert user.must_change_password is (present if wanted is None else wanted)


def test_unlock_comes_first(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    lock(snowflake, "ETL")
    wanted = fresh_password()
    foreseen = decide(name="etl", password=wanted, unlock=True, check=True)
    assert (foreseen["changed"], foreseen["verified"]) == (True, False)
    assert writes(snowflake) == [] and logins(snowflake, "ETL") == []
    answer = decide(name="etl", password=wanted, unlock=True)
    assert (answer["changed"], answer["verified"]) == (True, True)
    assert writes(snowflake) == ["ALTER USER ETL SET MINS_TO_UNLOCK", "ALTER USER ETL SET PASSWORD"]
    assert logins(snowflake, "ETL") == ["390100", "ok"]
    assert answer["diff"]["before"]["locked"] is True and answer["diff"]["after"]["locked"] is False


def test_unlock_alone_is_a_change_and_needed_only_for_the_locked(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    lock(snowflake, "ETL")
    answer = decide(name="etl", password=old, unlock=True)
    assert (answer["changed"], answer["verified"], writes(snowflake)) == (
        True,
        True,
        ["ALTER USER ETL SET MINS_TO_UNLOCK"],
    )
    snowflake.journal.clear()
    answer = decide(name="etl", password=old, unlock=True)
    assert (answer["changed"], answer["verified"], writes(snowflake)) == (False, True, [])


def test_unlock_enables_nobody(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    snowflake.user("ETL").disabled = True
    lock(snowflake, "ETL")
    answer = decide(name="etl", password=fresh_password(), unlock=True)
    assert (answer["error_code"], answer["changed"]) == ("refused", False)
    assert snowflake.user("ETL").disabled and writes(snowflake) == []
    answer = decide(name="etl", password=fresh_password(), unlock=True, update_password="always")
    assert (answer["changed"], answer["verify_skipped_reason"]) == (True, "user_disabled")
    assert snowflake.user("ETL").disabled


@pytest.mark.parametrize("step", ["MINS_TO_UNLOCK", "PASSWORD"])
def test_an_unlocked_user_is_reported_as_changed_whatever_follows(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, step: str
) -> None:
    lock(snowflake, "ETL")
    if step == "MINS_TO_UNLOCK":  # the DESCRIBE after it
        snowflake.faults.add(Fault("^DESCRIBE", skip=1, response=snowflake.statement_failure(1003, "no")))
    else:
        snowflake.faults.add(Fault("SET PASSWORD", response=snowflake.statement_failure(1003, "no")))
    answer = decide(name="etl", password=fresh_password(), unlock=True)
    assert (answer["failed"], answer["changed"]) == (True, True)
    assert not snowflake.user("ETL").locked(snowflake.account.clock())


def test_an_account_that_describes_little(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    snowflake.account.desc_null = None
    snowflake.account.desc_omits = {
        "TYPE",
        "PASSWORD_LAST_SET_TIME",
        "LOCK_DETAILS",
        "MUST_CHANGE_PASSWORD",
        "LOGIN_NAME",
    }
    wanted = fresh_password()
    for changed in (True, False):
        answer = decide(name="etl", password=wanted)
        assert (answer["changed"], answer["verified"], answer["password_last_set_time"]) == (changed, True, None)


# -- what Snowflake refuses


def test_prior_use_after_a_probe_costs_no_second_login(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    prior = fresh_password()
    snowflake.account.password_policy.history = 5
    snowflake.user("ETL").password_history = [prior]
    answer = decide(name="etl", password=prior)
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("refused", False, False)
    assert (answer["refusal_reason"], answer["in_force"]) == ("PRIOR_USE", False)
    assert logins(snowflake, "ETL") == ["390100"]
    assert snowflake.accepts("ETL", old)


def test_prior_use_without_a_probe_is_decided_by_one_login(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    prior = fresh_password()
    snowflake.account.password_policy.history = 5
    snowflake.user("ETL").password_history = [prior]
    answer = decide(name="etl", password=old, update_password="always")
    assert (answer["changed"], answer["failed"], answer["verified"]) == (False, False, True)
    assert logins(snowflake, "ETL") == ["ok"]
    snowflake.logins.clear()
    answer = decide(name="etl", password=prior, update_password="always")
    assert (answer["error_code"], answer["changed"], answer["refusal_reason"]) == ("refused", False, "PRIOR_USE")
    assert logins(snowflake, "ETL") == ["390100"]
    assert snowflake.accepts("ETL", old)


@pytest.mark.parametrize(
    "password, reason", [("aa1-bbbbbb", "INSUFFICIENT_UPPER_CASE_CHARS"), ("Aa-bbbbbb", "INSUFFICIENT_NUMERIC_CHARS")]
)
def test_a_weak_password_is_refused(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, password: str, reason: str
) -> None:
    answer = decide(name="etl", password=password)
    assert (answer["error_code"], answer["changed"], answer["refusal_reason"]) == ("refused", False, reason)
    assert answer["in_force"] is False and reason in answer["msg"]
    assert logins(snowflake, "ETL") == ["390100"]
    assert snowflake.accepts("ETL", old)


def test_an_answer_that_tells_nothing_is_not_guessed_at(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    text = "IP 192.0.2.1 is not allowed to access Snowflake. Contact your local security administrator."
    snowflake.faults.add(Fault("^login ETL", times=99, response=snowflake.login_failure(390422, text)))
    answer = decide(name="etl", password=fresh_password())
    assert (answer["error_code"], answer["changed"]) == ("unknown_outcome", False)
    assert writes(snowflake) == []
    answer = decide(name="etl", password=fresh_password(), update_password="always")
    assert (answer["failed"], answer["changed"], answer["verified"]) == (False, True, False)
    assert answer["verify_skipped_reason"] == "network_policy"
    assert len(snowflake.journal.labels("^login ETL")) == 2


@pytest.mark.parametrize("mode", ["if_different", "always"])
def test_a_password_that_does_not_log_in_after_a_clean_change(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, mode: str
) -> None:
    wanted, other = fresh_password(), fresh_password()

    def meddle() -> None:
        snowflake.user("ETL").password = other

    snowflake.faults.add(Fault("^ALTER", after=meddle))
    snowflake.add_user("BI", password=fresh_password())
    users = [{"name": name, "password": wanted} for name in ("etl", "bi")]
    answer = decide(users=users, update_password=mode)
    first, second = answer["rotations"]
    assert (first["error_code"], first["changed"], first["verified"]) == ("verify_failed", True, False)
    assert (second["failed"], second["changed"], second["verified"]) == (False, True, True)
    assert answer["error_code"] == "verify_failed" and answer["changed"]
    # Nothing was rolled back, and nothing was tried again.
    assert len(writes(snowflake)) == 2 and snowflake.user("ETL").password == other


# -- recovered passwords


@pytest.mark.parametrize(("code", "text"), UNLISTED)
@pytest.mark.parametrize("mode", ["if_different", "always"])
@pytest.mark.parametrize("verify", [True, False])
def test_no_answer_that_nobody_listed_wedges_a_recovered_password(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, code: int, text: str, mode: str, verify: bool
) -> None:
    wanted = fresh_password()
    snowflake.faults.add(Fault("^login ETL", times=99, response=snowflake.login_failure(code, text)))
    for changed in (True, False):
        answer = decide(name="etl", password=wanted, recovered=True, update_password=mode, verify=verify)
        assert (answer["failed"], answer["changed"], answer["verified"]) == (False, changed, False)
        assert answer["in_force"] and snowflake.user("ETL").password == wanted
    assert len(snowflake.journal.labels("^login ETL")) <= 2


def test_ten_failing_runs_lock_nobody_out(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    """As a role runs it: a value that is certainly not in force is thrown away, a doubtful one is recovered."""
    snowflake.account.password_policy.history = 5
    snowflake.user("ETL").password_history = [prior := fresh_password()]
    recovered = True
    for _run in range(10):
        answer = decide(name="etl", password=prior, recovered=recovered, update_password="always")
        assert answer["error_code"] == "refused"
        recovered = recovered and answer.get("in_force") is not False
        prior = prior if recovered else "too-weak"
    assert failed_logins(snowflake, "ETL") == ["390100"] and snowflake.accepts("ETL", old)


def test_check_mode_describes_users_whose_password_is_still_to_be_made(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any], old: str
) -> None:
    snowflake.add_user("AGENT", type="SERVICE_AGENT")
    users = [{"name": name} for name in ("etl", "agent", "nobody", 'bad"quote', " etl")]
    options = {**login, "users": users, "update_password": "always"}
    checked, real = ansible.calls(MODULE, [Call(options, keywords={"check_mode": True}), Call(options)]).answers
    foreseen = [(entry["changed"], entry.get("error_code")) for entry in checked["rotations"]]
    bad = (False, "invalid_input")
    assert foreseen[:3] == [(True, None), (False, "refused"), (False, "not_found")] and foreseen[4] == bad
    assert "' etl'" in checked["rotations"][4]["msg"]
    assert [(entry["changed"], entry["error_code"]) for entry in real["rotations"]] == [bad] * 5
    assert real["rotations"][0]["left"] == "untouched"
    assert writes(snowflake) == [] and logins(snowflake, "ETL") == []
