# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module snowflake_user_token against the sandbox: through real ansible-playbook, then in process."""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deps
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput, MissingDependency
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import client
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_token import SPEC, run
from tests.integration.conftest import ADMIN, fresh_password, survives_crashes
from tests.integration.support import Ansible, Call, Decide, variants
from tests.leaks import leaks, leaks_below
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.account import MODIFY_METHODS, PLAIN_LOGIN_CODES

pytestmark = [pytest.mark.connector, survives_crashes]

MODULE = "snowflake_user_token"
NEW, OLD, OLDER = "KEYTURN_NEW", "KEYTURN_OLD", "KEYTURN_OLDER"
ROLE = "ETL_ROLE"
Answer = dict[str, t.Any]
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
# Which of the two depends on whether the connector still has an attempt under way.
SILENT = ("unreachable", "unknown_outcome")


@pytest.fixture
def decide(decider: t.Callable[..., Decide]) -> Decide:
    return decider(SPEC, run, name="etl", login_timeout=2, role_restriction=ROLE)


@pytest.fixture
def etl(snowflake: SnowflakeSandbox) -> SnowflakeSandbox:
    """The account with the service user ETL, who has a role and a network policy, and no token yet."""
    snowflake.add_role(ROLE)
    snowflake.add_user("ETL", login_name="etl@example.com", type="SERVICE", roles=[ROLE])
    return snowflake


def held(snowflake: SnowflakeSandbox, user: str = "ETL") -> set[str]:
    return set(snowflake.user(user).pats)


def add(
    snowflake: SnowflakeSandbox, name: str, age: dt.timedelta | None = None, user: str = "ETL", **fields: t.Any
) -> str:
    """A token that was made as long ago as its name says."""
    secret = secrets.token_urlsafe(40)
    age = {NEW: 2 * DAY, OLD: 3 * DAY}.get(name, 4 * DAY) if age is None else age
    snowflake.add_pat(user, token=secret, token_name=name, age=age, role_restriction=ROLE, **fields)
    return secret


def writes(snowflake: SnowflakeSandbox) -> list[str]:
    return snowflake.journal.labels("^ALTER ")


def proofs(snowflake: SnowflakeSandbox) -> list[str]:
    return [code for login, method, code in snowflake.logins if method == "programmatic_access_token"]


def later(snowflake: SnowflakeSandbox, elapsed: dt.timedelta) -> None:
    moment = snowflake.account.clock() + elapsed
    snowflake.account.clock = lambda: moment


# -- the front door


@pytest.mark.core
def test_two_rotations_and_a_retirement_through_ansible(etl: SnowflakeSandbox, ansible: Ansible, login: Answer) -> None:
    given = {**login, "name": "etl", "role_restriction": "etl_role", "days_to_expiry": 30, "comment": "it's {{ ours }}"}
    first = ansible.calls(MODULE, [Call({**given, "announced": OLD})]).answers[0]
    assert not first["failed"] and first["changed"] and first["verified"] and first["in_force"]
    assert (first["token_name"], first["login_name"]) == (OLD, "ETL@EXAMPLE.COM")
    made = etl.user("ETL").pats[OLD]
    assert (made.role_restriction, made.comment, made.days_to_expiry) == (ROLE, "it's {{ ours }}", 30)
    second = {**given, "announced": NEW, "current_token_name": OLD}
    foreseen, answer = ansible.calls(MODULE, [Call(second, keywords={"check_mode": True}), Call(second)]).answers
    assert foreseen["changed"] and not foreseen["verified"] and "token" not in foreseen
    assert answer["previous_token_name"] == OLD and etl.accepts_token("ETL", answer["token"])
    assert etl.accepts_token("ETL", first["token"])
    settled = {**given, "token": answer["token"], "current_token_name": NEW, "previous_token_names": [OLD]}
    calls = [Call(settled), Call({**settled, "retire_previous_after": "0h"}), Call(settled)]
    early, retired, again = ansible.calls(MODULE, calls).answers
    assert not early["changed"] and early["verified"] and early["retired_token_names"] == []
    assert retired["changed"] and retired["retired_token_names"] == [OLD]
    assert not again["changed"] and again["verified"] and held(etl) == {NEW}
    assert proofs(etl) == ["ok"] * 5 and etl.open_sessions() == 0


def front_door(snowflake: SnowflakeSandbox) -> tuple[list[Call], list[tuple[str | None, ...]], list[str]]:
    """Tasks for every outcome that matters, the error codes that each may have, and the secrets they handle."""
    password, wrong = fresh_password(), fresh_password()
    snowflake.user(ADMIN).password = password
    login = {**snowflake.settings(), "login_user": ADMIN, "login_password": password, "login_timeout": 2}
    calls: list[Call] = []
    codes: list[tuple[str | None, ...]] = []
    hidden = [password, wrong]

    def task(*code: str | None, fault: Fault | None = None, **options: t.Any) -> None:
        name = f"U{len(calls)}"
        snowflake.add_user(name, type="SERVICE", roles=[ROLE])
        if fault is not None:
            fault.match = fault.match.replace("*", name)
            snowflake.faults.add(fault)
        if options.get("token") == "own":
            options["token"] = add(snowflake, NEW, user=name)
            add(snowflake, OLD, user=name)
        hidden.extend(filter(None, [options.get("token")]))
        calls.append(Call({**login, "name": name, "role_restriction": ROLE, **options}))
        codes.append(code)

    echo = f"ALTER USER ADD PAT {password} {wrong}"
    settled: Answer = {"token": "own", "current_token_name": NEW, "previous_token_names": [OLD]}
    task(None)
    task(None, announced=NEW)
    task(None, **settled)
    task(None, **settled, retire_previous_after="0h")
    task("verify_failed", token=wrong, current_token_name=NEW, fault=Fault("SHOW USER PATS", before=lambda: None))
    task("refused", announced=NEW, fault=Fault("ALTER USER * ", response=snowflake.statement_failure(3002, echo)))
    task("verify_failed", announced=NEW, fault=Fault("login *", response=snowflake.login_failure(394400, echo)))
    task("unknown_outcome", announced=NEW, fault=Fault("ALTER USER * ADD", times=9, hang="after"))
    task(*SILENT, announced=NEW, fault=Fault("login *", times=99, drop="before"))
    task("auth_failed", login_password=wrong)
    task("invalid_input", announced="no name")
    add(snowflake, NEW, user="U4")
    return calls, codes, hidden


def test_no_token_is_shown_or_left(etl: SnowflakeSandbox, tmp_path: Path) -> None:
    """At the highest verbosity: output, diff, log and temporary files, for every outcome."""
    left = tmp_path / "left"
    left.mkdir()
    calls, codes, hidden = front_door(etl)
    ansible = Ansible(tmp_path, {"ANSIBLE_LOG_PATH": str(left / "ansible.log"), "ANSIBLE_STDOUT_CALLBACK": "default"})
    finished = ansible.calls(MODULE, calls, "-vvvv", "--diff")
    found = [answer.get("error_code") for answer in finished.answers]
    assert all(code in allowed for code, allowed in zip(found, codes, strict=True)), found
    made = [answer["token"] for answer in finished.answers if "token" in answer]
    assert len(made) == 4
    assert leaks(finished.output, *hidden, *made) == []
    assert leaks_below(left, *hidden, *made) + leaks_below(ansible.home, *hidden, *made) == []
    assert (left / "ansible.log").stat().st_size > 1000 and "ALTER USER" not in finished.output
    # What the user registers holds the token that was made, once per entry, and no other secret.
    for answer in finished.answers:
        entry = {**answer, "rotations": [{**one, "token": ""} for one in answer.get("rotations", [])], "token": ""}
        assert leaks(json.dumps(entry), *hidden, *made) == []
    assert leaks(json.dumps(etl.journal.labels()), *hidden, *made) == []


# -- minting


def test_a_new_token_stands_next_to_the_old_one(etl: SnowflakeSandbox, decide: Decide) -> None:
    old = add(etl, OLD)
    answer = decide(current_token_name=OLD)
    assert not answer["failed"] and answer["verified"] and answer["previous_token_name"] == OLD
    assert answer["token_name"].startswith("KEYTURN_2") and held(etl) == {OLD, answer["token_name"]}
    assert etl.accepts_token("ETL", old) and etl.accepts_token("ETL", answer["token"])
    times = [dt.datetime.fromisoformat(answer[name]) for name in ("created_at", "expires_at")]
    assert times[1] - times[0] == 15 * DAY and proofs(etl) == ["ok"]
    assert len(etl.journal.labels("^ALTER")) == 1


def test_many_users_with_one_login(etl: SnowflakeSandbox, decide: Decide) -> None:
    etl.add_role("OTHER")
    etl.add_user("SVC", type="SERVICE", roles=["OTHER"])
    users = [{"name": "etl"}, {"name": "nobody"}, {"name": "svc", "role_restriction": "other", "days_to_expiry": 90}]
    answer = decide(users=users)
    one, nobody, other = answer["rotations"]
    assert one["verified"] and other["verified"] and nobody["error_code"] == "not_found"
    assert etl.user("SVC").pats[other["token_name"]].days_to_expiry == 90
    assert [user for user, method, _code in etl.logins if method == "password"] == [ADMIN]
    same = decide(users=[{"name": "etl"}, {"name": "ETL"}])
    assert same["error_code"] == "invalid_input" and held(etl) == {one["token_name"]}


@pytest.mark.parametrize("supported", [True, False])
def test_privileges(etl: SnowflakeSandbox, decide: Decide, supported: bool) -> None:
    """MODIFY PROGRAMMATIC AUTHENTICATION METHODS is enough, MONITOR is not."""
    etl.add_role("ROTATORS")
    etl.user(ADMIN).roles, etl.user(ADMIN).default_role = {"ROTATORS"}, "ROTATORS"
    etl.grant(MODIFY_METHODS if supported else "MONITOR", "ETL", "ROTATORS")
    answer = decide()
    assert (answer.get("error_code"), answer["changed"]) == (None if supported else "not_permitted", supported)


@pytest.mark.parametrize("role", ["etl_role", "ETL_ROLE", '"Mixed Role"', '"a""b\'c"'])
def test_roles_are_named_as_in_sql(etl: SnowflakeSandbox, decide: Decide, role: str) -> None:
    for name in ("Mixed Role", "a\"b'c"):
        etl.account.roles[name] = {"PUBLIC"}
        etl.user("ETL").roles.add(name)
    answer = decide(role_restriction=role)
    assert answer["verified"], answer
    assert answer["tokens"][0]["role_restriction"] in etl.user("ETL").roles


def test_check_mode_writes_and_proves_nothing(etl: SnowflakeSandbox, decide: Decide) -> None:
    secret = add(etl, OLD)
    add(etl, OLDER)
    fresh = decide(check=True, current_token_name=OLD, orphans=[OLDER])
    assert fresh["changed"] and not fresh["verified"] and fresh["removed_orphans"] == [OLDER]
    assert {"planned": "Mint", "name": None} in fresh["diff"]["after"]["tokens"]
    due = decide(check=True, token=secret, current_token_name=OLD, previous_token_names=[OLDER])
    assert due["changed"] and due["retired_token_names"] == [OLDER]
    assert writes(etl) == [] and proofs(etl) == [] and held(etl) == {OLD, OLDER}


def test_the_diff_shows_names_and_no_secret(etl: SnowflakeSandbox, decide: Decide) -> None:
    answer = decide(announced=NEW)
    assert answer["diff"]["before"] == {"tokens": []} and answer["diff"]["after"]["tokens"][0]["name"] == NEW
    assert answer["token"] not in json.dumps(answer["diff"])


# -- what Snowflake refuses


@pytest.mark.parametrize("says_why", [True, False])
def test_what_a_service_user_lacks_is_told(etl: SnowflakeSandbox, decide: Decide, says_why: bool) -> None:
    etl.account.tokens_say_why = says_why
    no_role = decide(role_restriction=None)
    etl.add_role("FOREIGN")
    foreign = decide(role_restriction="FOREIGN")
    etl.user("ETL").network_policy = False
    no_policy = decide()
    for answer, word in ((no_role, "role_restriction"), (foreign, "FOREIGN"), (no_policy, "network policy")):
        assert (answer["error_code"], answer["in_force"], answer["changed"]) == ("refused", False, False)
        assert word in answer["msg"] and answer["refusal_code"] == etl.account.token_code
    assert held(etl) == set()


def test_a_role_that_does_not_exist(etl: SnowflakeSandbox, decide: Decide) -> None:
    answer = decide(role_restriction="NO_SUCH_ROLE")
    assert answer["error_code"] == "not_found" and "role_restriction" in answer["msg"]
    assert answer["in_force"] is False and held(etl) == set()


def test_a_policy_may_lift_what_a_service_user_needs(etl: SnowflakeSandbox, decide: Decide) -> None:
    etl.account.tokens_need_network_policy = etl.account.tokens_need_role_restriction = False
    etl.user("ETL").network_policy = False
    assert decide(role_restriction=None)["verified"]


@pytest.mark.parametrize("codes", ["modern", "plain"])
def test_a_person_without_a_network_policy_is_not_proved(etl: SnowflakeSandbox, decide: Decide, codes: str) -> None:
    if codes == "plain":
        etl.account.login_codes = dict(PLAIN_LOGIN_CODES)
    etl.user("ETL").type, etl.user("ETL").network_policy = "PERSON", False
    answer = decide(announced=NEW)
    assert not answer["failed"] and not answer["verified"] and answer["in_force"] and answer["token"]
    assert answer["verify_skipped_reason"] == "network_policy_required"


@pytest.mark.parametrize("as_password", [False, True])
@pytest.mark.parametrize("change", ["others", "none", "all"])
def test_no_token_in_a_session_of_the_same_users_token(
    etl: SnowflakeSandbox, decide: Decide, change: t.Any, as_password: bool
) -> None:
    """With the token as a password nobody but Snowflake can tell."""
    etl.account.token_sessions_change = change
    etl.user("ETL").roles.add("SECURITYADMIN")
    secret = add(etl, OLD)
    etl.user("ETL").pats[OLD].role_restriction = "SECURITYADMIN"
    add(etl, OLDER)
    way: Answer = {"login_token": secret, "login_authenticator": "programmatic_access_token"}
    way = {"login_password": secret} if as_password else way
    answer = decide(login_user="etl@example.com", **way, announced=NEW, orphans=[OLDER])
    if as_password and change == "all":
        assert answer["verified"]
        return
    assert answer["error_code"] == "refused" and answer["in_force"] is False and held(etl) == {OLD, OLDER}
    if as_password:
        return
    assert "session" in answer["msg"] and writes(etl) == []
    settled = {"token": secret, "current_token_name": OLD, "previous_token_names": [OLDER]}
    kept = decide(login_user="etl@example.com", **way, **settled, retire_previous_after="0h")
    assert not kept["failed"] and kept["retired_token_names"] == [] and writes(etl) == []


def test_a_token_of_another_user_opens_the_session(etl: SnowflakeSandbox, decide: Decide) -> None:
    secret = secrets.token_urlsafe(30)
    etl.add_pat(ADMIN, token=secret)
    assert decide(login_token=secret, login_authenticator="programmatic_access_token")["verified"]


def test_a_disabled_user_is_given_none(etl: SnowflakeSandbox, decide: Decide) -> None:
    etl.user("ETL").disabled = True
    answer = decide()
    assert answer["error_code"] == "refused" and "disabled" in answer["msg"] and writes(etl) == []


@pytest.mark.parametrize("counted", [False, True])
def test_a_full_user_evicts_nothing(etl: SnowflakeSandbox, decide: Decide, counted: bool) -> None:
    """Disabled tokens count, and whether expired ones do only Snowflake can tell."""
    etl.account.expired_tokens_count = counted
    for number in range(13):
        add(etl, f"T{number}", disabled=number == 0)
    for number in (13, 14):
        add(etl, f"T{number}", age=20 * DAY)
    before = held(etl)
    answer = decide(announced=NEW, previous_token_names=["T1"], current_token_name="T2")
    if not counted:
        assert answer["verified"]
        add(etl, "MORE")
        answer = decide(announced="KEYTURN_NEWER")
        before |= {NEW, "MORE"}
    assert (answer["error_code"], answer["in_force"], answer["changed"]) == ("slots_full", False, False)
    assert "T12" in answer["msg"] and held(etl) == before
    with_orphan = decide(announced="KEYTURN_NEWER", orphans=["T3"])
    assert with_orphan["verified"] and with_orphan["removed_orphans"] == ["T3"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"days_to_expiry": 1}, "longer than retire_previous_after"),
        ({"retire_previous_after": "15d"}, "longer than retire_previous_after"),
        ({"days_to_expiry": 366}, "between 1 and 365"),
        ({"days_to_expiry": 0}, "between 1 and 365"),
        ({"announced": "a b"}, "letters, digits"),
        ({"announced": "1st"}, "letters, digits"),
        ({"role_restriction": ' "x'}, "role name"),
        ({"token": "x"}, "current_token_name"),
        ({"recovered": True}, "recovered"),
        ({"comment": "\0"}, "NUL"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_asked(
    etl: SnowflakeSandbox, decide: Decide, options: Answer, word: str
) -> None:
    answer = decide(**options)
    assert answer["error_code"] == "invalid_input" and word in answer["msg"] and etl.journal.labels() == []


def test_bad_options_of_the_task(etl: SnowflakeSandbox, decide: Decide) -> None:
    bad: tuple[Answer, ...] = ({"token_name": "a b"}, {"retire_previous_after": "soon"}, {"users": []})
    for options in bad:
        with pytest.raises(InvalidInput):
            decide(**options)
    one, other = decide(users=[{"name": "etl", "retire_previous_after": "20d"}, {"name": "etl2"}])["rotations"]
    assert one["error_code"] == "invalid_input" and other["error_code"] == "not_found"


def test_an_old_connector_is_told_before_anything_is_asked(
    etl: SnowflakeSandbox, decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deps, "installed_version", lambda package: "3.12.4")
    with pytest.raises(MissingDependency, match="3.13 or newer"):
        decide()
    assert etl.journal.labels() == []


# -- names that are taken, answers that do not come


def test_a_name_that_is_taken_is_refused(etl: SnowflakeSandbox, decide: Decide) -> None:
    add(etl, NEW, age=20 * DAY)
    answer = decide(announced=NEW.lower())
    assert (answer["error_code"], answer["in_force"]) == ("refused", False) and writes(etl) == []


def test_a_name_that_is_taken_meanwhile_is_nobodys_to_remove(etl: SnowflakeSandbox, decide: Decide) -> None:
    etl.faults.add(Fault("ALTER USER ETL ADD", before=lambda: add(etl, NEW) and None))
    answer = decide(announced=NEW)
    assert answer["error_code"] == "unknown_outcome" and answer["retry_safe"] and held(etl) == {NEW}
    assert "token" not in answer


DROPS: list[Answer] = [{"drop": "before"}, {"drop": "after"}]
HANGS: list[Answer] = [{"hang": "before"}, {"hang": "after"}]
LOST = [(fault, times, dedup) for fault in (*DROPS, *HANGS) for times in (1, 99) for dedup in (True, False)]


@pytest.mark.parametrize(
    ("fault", "times", "dedup"),
    [
        pytest.param(
            *case, marks=[] if case[0] in DROPS and case[1] == 1 or case[1:] == (99, True) else pytest.mark.slow
        )
        for case in LOST
    ],
)
def test_a_lost_answer_to_the_minting(
    etl: SnowflakeSandbox, decide: Decide, fault: Answer, times: int, dedup: bool
) -> None:
    """Whatever the connector repeats: no token is left whose secret nobody has, or the next run removes it."""
    etl.account.request_id_dedup = dedup
    etl.faults.add(Fault("ALTER USER ETL ADD", times=times, **fault))
    answer = decide(announced=NEW)
    if not answer["failed"]:
        # The connector has asked again with success.
        assert etl.accepts_token("ETL", answer["token"]) and held(etl) == {NEW}
        return
    assert answer["error_code"] in SILENT and answer["retry_safe"] and "token" not in answer
    if answer.get("in_force") is False:
        assert held(etl) == set()
    etl.faults.clear()
    again = decide(announced=NEW, recovered=True)
    assert again["verified"] and held(etl) == {NEW} and etl.accepts_token("ETL", again["token"])


def test_an_answer_without_the_secret(etl: SnowflakeSandbox, decide: Decide, monkeypatch: pytest.MonkeyPatch) -> None:
    """As IF NOT EXISTS is answered, which the module never sends; an entry of the same name appears meanwhile."""
    real = client.Client.execute

    def execute(self: client.Client, statement: str, subject: str) -> list[Answer]:
        if " ADD PROGRAMMATIC" not in statement:
            return real(self, statement, subject)
        assert "IF NOT EXISTS" not in statement
        add(etl, NEW)
        return real(self, statement.replace(" TOKEN ", " TOKEN IF NOT EXISTS "), subject)

    monkeypatch.setattr(client.Client, "execute", execute)
    answer = decide(announced=NEW)
    assert (answer["error_code"], answer["in_force"]) == ("unknown_outcome", False) and held(etl) == set()


def test_a_list_that_does_not_show_the_new_token(etl: SnowflakeSandbox, decide: Decide) -> None:
    unseen = etl.statement_failure(604, "cancelled")
    etl.faults.add(Fault("SHOW USER PATS", skip=1, times=9, response=unseen))
    answer = decide(announced=NEW)
    assert answer["verified"] and answer["created_at"] is None and etl.accepts_token("ETL", answer["token"])


@pytest.mark.parametrize("verb", ["DESCRIBE USER ETL", "SHOW USER PATS ETL"])
def test_a_service_that_falls_silent_before_anything_was_done(etl: SnowflakeSandbox, decide: Decide, verb: str) -> None:
    etl.faults.add(Fault(verb, times=99, drop="before"))
    answer = decide(announced=NEW)
    assert answer["error_code"] in SILENT and answer["retry_safe"] and writes(etl) == []


# -- orphans


def test_an_announced_token_whose_secret_is_lost_is_replaced(etl: SnowflakeSandbox, decide: Decide) -> None:
    lost, other = add(etl, NEW), add(etl, OLD)
    answer = decide(announced=NEW, recovered=True, current_token_name=OLD, orphans=[OLDER])
    assert answer["removed_orphans"] == [NEW] and answer["verified"]
    assert not etl.accepts_token("ETL", lost) and etl.accepts_token("ETL", other)


@pytest.mark.parametrize("fault", [*DROPS, {"hang": "after"}])
@pytest.mark.parametrize("times", [1, 99])
def test_a_lost_answer_to_a_removal(etl: SnowflakeSandbox, decide: Decide, fault: Answer, times: int) -> None:
    add(etl, OLDER)
    etl.faults.add(Fault("ALTER USER ETL REMOVE", times=times, **fault))
    answer = decide(announced=NEW, orphans=[OLDER])
    if answer["failed"]:
        assert answer["error_code"] in SILENT and answer["retry_safe"] and answer["in_force"] is False
        assert NEW not in held(etl) and fault != {"hang": "after"}
        etl.faults.clear()
        answer = decide(announced=NEW, orphans=[OLDER])
    assert answer["verified"] and held(etl) == {NEW}


def test_a_removal_that_is_refused_is_told(etl: SnowflakeSandbox, decide: Decide) -> None:
    add(etl, OLDER)
    etl.faults.add(Fault("ALTER USER ETL REMOVE", response=etl.statement_failure(3001, "no")))
    answer = decide(announced=NEW, orphans=[OLDER])
    assert (answer["error_code"], answer["in_force"]) == ("not_permitted", False) and held(etl) == {OLDER}


# -- the proof


def test_a_token_that_does_not_log_in_yet(etl: SnowflakeSandbox, decide: Decide) -> None:
    """The run that made it keeps it; the next one proves it, with one login each."""
    etl.account.token_delay = HOUR
    first = decide(announced=NEW)
    assert (first["error_code"], first["changed"], first["retry_safe"]) == ("verify_failed", True, True)
    assert first["token"] and "in_force" not in first
    later(etl, 2 * HOUR)
    pending = {"token": first["token"], "current_token_name": NEW, "recovered": True}
    second = decide(**pending)
    assert second["verified"] and not second["changed"] and second["in_force"]
    assert proofs(etl) == ["394400", "ok"]


def test_a_token_that_never_logs_in_is_given_up_and_removed(etl: SnowflakeSandbox, decide: Decide) -> None:
    etl.account.token_delay = 99 * DAY
    first = decide(announced=OLDER)
    second = decide(token=first["token"], current_token_name=OLDER, recovered=True)
    assert (second["error_code"], second["in_force"], second["changed"]) == ("refused", False, False)
    etl.account.token_delay = dt.timedelta(0)
    third = decide(announced=NEW, orphans=[OLDER])
    assert third["verified"] and held(etl) == {NEW}


@pytest.mark.parametrize("fields", [{"disabled": True}, {"age": 16 * DAY}])
def test_a_pending_token_that_cannot_work_any_more(etl: SnowflakeSandbox, decide: Decide, fields: Answer) -> None:
    secret = add(etl, NEW, **fields)
    add(etl, OLDER)
    answer = decide(token=secret, current_token_name=NEW, recovered=True, previous_token_names=[OLDER])
    assert (answer["error_code"], answer["in_force"]) == ("refused", False) and writes(etl) == []


def test_a_token_that_is_gone(etl: SnowflakeSandbox, decide: Decide) -> None:
    answer = decide(token=secrets.token_urlsafe(20), current_token_name=NEW)
    # A list may be behind, so that is no proof.
    assert (answer["error_code"], "in_force" in answer) == ("not_found", False) and proofs(etl) == []


@pytest.mark.parametrize("mint", [True, False])
def test_a_proof_without_an_answer(etl: SnowflakeSandbox, decide: Decide, mint: bool) -> None:
    secret = add(etl, OLD)
    etl.faults.add(Fault("login ETL@EXAMPLE.COM", times=99, drop="before"))
    answer = decide(**({"announced": NEW} if mint else {"token": secret, "current_token_name": OLD}))
    assert answer["error_code"] == "unreachable" and answer["in_force"] and answer["changed"] is mint
    assert ("token" in answer) is mint


def test_without_verify_nobody_logs_in_and_nothing_is_retired(etl: SnowflakeSandbox, decide: Decide) -> None:
    answer = decide(announced=NEW, verify=False)
    assert answer["token"] and answer["verify_skipped_reason"] == "verify_disabled"
    add(etl, OLD)
    options = {"token": answer["token"], "current_token_name": NEW, "previous_token_names": [OLD]}
    assert not decide(**options, verify=False, retire_previous_after="0h")["changed"]
    assert proofs(etl) == [] and held(etl) == {NEW, OLD}


# -- retiring


def test_the_previous_tokens_go_after_the_grace_by_snowflakes_clock(etl: SnowflakeSandbox, decide: Decide) -> None:
    secret = add(etl, NEW, age=dt.timedelta(0))
    for name in (OLD, OLDER, "FOREIGN"):
        add(etl, name, age=DAY)
    options = {"token": secret, "current_token_name": NEW, "previous_token_names": [OLD, OLDER, "GONE"]}
    later(etl, 24 * HOUR - dt.timedelta(minutes=5))
    assert not decide(**options)["changed"]
    later(etl, dt.timedelta(minutes=10))
    answer = decide(**options)
    assert answer["retired_token_names"] == [OLD, OLDER] and held(etl) == {NEW, "FOREIGN"}
    assert answer["verified"] and not decide(**options)["changed"]


@pytest.mark.parametrize("times", ["timestamp", "text"])
@pytest.mark.parametrize("zone", ["session", "utc"])
def test_times_are_read_in_every_form(etl: SnowflakeSandbox, decide: Decide, times: t.Any, zone: t.Any) -> None:
    etl.account.show_times, etl.account.desc_times = times, zone
    secret = add(etl, NEW, age=3 * HOUR)
    add(etl, OLD)
    options = {"token": secret, "current_token_name": NEW, "previous_token_names": [OLD]}
    assert not decide(**options, retire_previous_after="4h")["changed"]
    assert decide(**options, retire_previous_after="2h")["retired_token_names"] == [OLD]


def test_a_retirement_that_is_refused_leaves_the_token_in_force(etl: SnowflakeSandbox, decide: Decide) -> None:
    secret = add(etl, NEW)
    add(etl, OLD)
    etl.faults.add(Fault("ALTER USER ETL REMOVE", response=etl.statement_failure(3002, "no")))
    answer = decide(token=secret, current_token_name=NEW, previous_token_names=[OLD])
    assert (answer["error_code"], answer["in_force"], answer["verified"]) == ("refused", True, True)


def test_a_previous_token_that_was_made_anew_is_another_one(etl: SnowflakeSandbox, decide: Decide) -> None:
    """Between the first look and the last one before the removal."""
    secret = add(etl, NEW)
    add(etl, OLD)
    etl.faults.add(Fault("SHOW USER PATS", skip=1, before=lambda: add(etl, OLD, age=HOUR) and None))
    answer = decide(token=secret, current_token_name=NEW, previous_token_names=[OLD])
    assert not answer["changed"] and not answer["failed"] and held(etl) == {NEW, OLD}


def test_an_administrator_rotates_its_own_token_with_a_password(etl: SnowflakeSandbox, decide: Decide) -> None:
    users = [{"name": ADMIN}, {"name": "etl", "role_restriction": ROLE}]
    answer = decide(users=users, role_restriction="SECURITYADMIN")
    assert [entry["verified"] for entry in answer["rotations"]] == [True, True]
    assert [label.split()[2] for label in writes(etl)] == ["ETL", ADMIN]


# -- kills


# Of a run that finds a lost token: the requests from the first look at the user on.
STEPS = ("DESCRIBE", "SHOW", "SHOW", "REMOVE", "SHOW", "ADD", "SHOW", "login ETL")
KILLS = [(number, side) for number in range(len(STEPS)) for side in ("before", "after")]


@pytest.mark.parametrize("point", variants(KILLS, (3, "after"), (5, "before"), (5, "after"), (7, "after")))
def test_killed_anywhere_no_orphan_is_left(
    etl: SnowflakeSandbox, ansible: Ansible, login: Answer, point: tuple[int, str]
) -> None:
    """SIGKILL at each request; the vault's part, which knows the announced name, is played by the options."""
    number, side = point
    used = add(etl, OLD)
    add(etl, NEW)
    options = {**login, "name": "etl", "role_restriction": ROLE, "current_token_name": OLD}
    options |= {"announced": NEW, "recovered": True}
    seen = re.compile("DESCRIBE|SHOW|ALTER|login ETL")
    process = ansible.start_alone(MODULE)
    fault = Fault(seen.pattern, skip=number)
    setattr(fault, side, process.kill)
    etl.faults.add(fault)
    process.communicate(json.dumps(options), timeout=60)
    labels = etl.journal.labels(seen.pattern)
    assert process.returncode == -signal.SIGKILL and len(labels) == number + 1 and STEPS[number] in labels[-1]
    assert etl.accepts_token("ETL", used)
    answer = ansible.alone(MODULE, options)
    assert answer["verified"] and held(etl) == {OLD, NEW}
    assert etl.accepts_token("ETL", answer["token"]) and etl.accepts_token("ETL", used)
