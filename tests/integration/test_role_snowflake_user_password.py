# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and its playbook by their full names: one account's records, from the vault to Snowflake and back."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.conftest import ADMIN, fresh_password, somebody_elses_login
from tests.integration.scenes import PLAYBOOK
from tests.integration.scenes import SnowflakeScene as Scene
from tests.integration.support import recap, says, variants
from tests.leaks import leaks, leaks_below
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.processes import kill_tree
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox

Entry = dict[str, t.Any]

WRONG_PASSWORD = 390100


@pytest.fixture
def scene(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> Scene:
    """Users A, B and C."""
    return Scene(tmp_path, snowflake, vault, "A", "B", "C")


@pytest.fixture
def single(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> Scene:
    """User A, and a service that is given up after three seconds."""
    return Scene(tmp_path, snowflake, vault, "A", login_timeout=3)


# -- the way it should go


@pytest.mark.core
def test_many_records_in_one_run(scene: Scene) -> None:
    """Calls are shared, new values go in without a probe, and the second run changes nothing."""
    run = scene.run()
    assert run.returncode == 0, run.output
    assert says(run, "3 rotated, 0 recovered, 0 not due, 0 failed")
    assert all(scene.settled(name) for name in scene.uids)
    assert not any(scene.snowflake.accepts(name, old) for name, old in scene.old.items())
    # The administrator's record, what is due, then for each phase one read, one save for each record, one reading back.
    assert len(scene.vault.journal.labels()) == 6 + 2 * 3
    # One session checks before anything is staged, and one works; the proofs run together.
    before, working, *proofs = [name for name, _method, _answer in scene.snowflake.logins]
    assert (before, working, sorted(proofs)) == (ADMIN, ADMIN, ["A", "B", "C"])
    assert {answer for _name, _method, answer in scene.snowflake.logins} == {"ok"}
    assert scene.snowflake.open_sessions() == 0

    assert "Everybody on this machine" not in run.output

    passwords = {name: scene.password(name) for name in scene.uids}
    scene.config.chmod(0o644)
    run = scene.run()
    assert run.returncode == 0 and recap(run) == (0, 0)
    assert run.output.count("Everybody on this machine") == 1
    assert says(run, "0 rotated, 0 recovered, 3 not due, 0 failed")
    assert scene.snowflake.journal.labels() == []
    assert [label.split()[0] for label in scene.vault.journal.labels()] == ["get_secret"] * 2
    assert {name: scene.password(name) for name in scene.uids} == passwords


def test_one_record_costs_eight_calls(single: Scene) -> None:
    run = single.run()
    assert run.returncode == 0 and recap(run)[0] > 0
    endpoints = [label.split()[0] for label in single.vault.journal.labels()]
    assert endpoints == ["get_secret", "get_secret", *["get_secret", "update_secret", "get_secret"] * 2]
    assert single.settled("A") and single.failed_logins("A") == 0


def test_twenty_records_cost_two_logins_of_the_administrator(
    tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox
) -> None:
    names = [f"USER_{number}" for number in range(20)]
    scene = Scene(tmp_path, snowflake, vault, *names)
    run = scene.run()
    assert run.returncode == 0 and all(scene.settled(name) for name in names)
    assert len(vault.journal.labels()) == 6 + 2 * 20
    assert len(snowflake.journal.labels("login ROTATOR")) == 2


@pytest.mark.slow
def test_records_by_title(scene: Scene) -> None:
    run = scene.run(records=["Record of B"])
    assert run.returncode == 0 and scene.settled("B") and not scene.snowflake.accepts("B", scene.old["B"])
    assert scene.snowflake.accepts("A", scene.old["A"])


def test_recovered_values_are_set_again_and_cost_no_failed_login(scene: Scene) -> None:
    """One of a run that died before the change, one of a run that died after it, and a fresh one."""
    before, after = scene.stage("A"), scene.stage("B")
    scene.snowflake.user("B").password = after
    run = scene.run()
    assert run.returncode == 0 and says(run, "1 rotated, 2 recovered, 0 not due, 0 failed")
    assert (scene.password("A"), scene.password("B")) == (before, after)
    assert all(scene.settled(name) for name in scene.uids)
    assert [scene.failed_logins(name) for name in "ABC"] == [0, 0, 0]


def test_max_age_and_force(single: Scene) -> None:
    assert single.run().returncode == 0
    first = single.password("A")
    assert single.run(max_age="1h").returncode == 0 and single.password("A") == first
    assert single.run(force=True).returncode == 0
    assert single.password("A") != first and single.settled("A")


@pytest.mark.core
def test_check_mode_writes_nothing(scene: Scene) -> None:
    before = {uid: scene.vault.record(uid) for uid in scene.uids.values()}
    run = scene.run("--check", "--diff")
    assert run.returncode == 0 and says(run, "check mode: 3 due")
    assert {uid: scene.vault.record(uid) for uid in scene.uids.values()} == before
    # The administrator logs in, and the users are described.
    labels = scene.snowflake.journal.labels("^(login|DESCRIBE|ALTER)")
    assert labels == ["login ROTATOR password", *[f"DESCRIBE USER {name}" for name in "ABC"]]
    assert [label.split()[0] for label in scene.vault.journal.labels()] == ["get_secret"] * 2


def test_check_mode_tells_what_would_fail(scene: Scene) -> None:
    scene.snowflake.user("B").type = "SERVICE_AGENT"
    run = scene.run("--check")
    assert run.returncode == 2 and says(run, "check mode: 2 due, 0 not due, 1 failed")
    assert says(run, "TYPE=SERVICE_AGENT")


# -- definite refusals


def test_definite_refusals_are_discarded_and_the_others_go_on(scene: Scene) -> None:
    scene.add("GONE")
    scene.snowflake.user("B").type = "SERVICE"
    del scene.snowflake.account.users["GONE"]
    run = scene.run()
    assert run.returncode == 2 and recap(run)[1] == 1
    assert says(run, "2 rotated, 0 recovered, 0 not due, 2 failed")
    assert says(run, "TYPE=SERVICE") and says(run, "does not exist") and not says(run, "still pending")
    assert scene.settled("A") and scene.settled("C") and not scene.snowflake.accepts("A", scene.old["A"])
    for name in ("B", "GONE"):
        assert scene.pending(name) is None and scene.password(name) == scene.old[name]
        # The check has found it before anything was staged.
        assert scene.vault.field(scene.uids[name], "rotation_state") is None


@pytest.mark.slow
def test_a_refusal_by_policy_is_discarded(single: Scene) -> None:
    single.snowflake.account.password_policy.min_length = 64
    run = single.run()
    assert run.returncode == 2 and says(run, "PASSWORD_TOO_SHORT")
    assert single.pending("A") is None and single.settled("A") and single.password("A") == single.old["A"]
    single.snowflake.account.password_policy.min_length = 8
    assert single.run().returncode == 0 and single.settled("A")


def test_an_administrator_without_the_privilege(single: Scene) -> None:
    single.snowflake.add_role("OTHER_ADMINS")
    single.snowflake.user("A").owner = "OTHER_ADMINS"
    run = single.run()
    assert run.returncode == 2
    assert single.pending("A") is None and single.settled("A") and single.password("A") == single.old["A"]


@pytest.mark.slow
def test_a_recovered_value_that_is_refused_and_does_not_log_in(single: Scene) -> None:
    """The probe has shown that it is not live, so it may go."""
    pending = single.stage("A")
    single.snowflake.account.password_policy.min_length = 64
    run = single.run()
    assert run.returncode == 2 and single.pending("A") is None and single.failed_logins("A") == 1
    single.snowflake.account.password_policy.min_length = 8
    assert single.run().returncode == 0 and single.settled("A") and single.password("A") != pending


# -- failures that leave open what happened


def ambiguous(kind: str, snowflake: SnowflakeSandbox) -> None:
    rejected = snowflake.login_failure(WRONG_PASSWORD, "Incorrect username or password was specified.")
    faults = {
        # The check before staging has its answers.
        "silent service": [Fault("USER A|login A", skip=1, times=99, hang="before")],
        "silent after the change": [Fault("ALTER USER A", hang="after"), Fault("login A", times=99, hang="before")],
        "dropped answers": [Fault("ALTER USER A|login A", times=99, drop="after")],
        "dropped requests": [Fault("ALTER USER A", times=99, drop="before")],
        "proof fails": [Fault("login A", response=rejected)],
        "proof is silent": [Fault("login A", times=99, hang="before")],
        "administrator refused": [Fault("login ROTATOR", skip=1, response=rejected)],
        "no login at all": [Fault("login", skip=1, times=99, hang="before")],
    }
    for fault in faults[kind]:
        snowflake.faults.add(fault)


@pytest.mark.parametrize(
    "kind",
    variants(
        [
            "silent service",
            "silent after the change",
            "dropped answers",
            "dropped requests",
            "proof fails",
            "proof is silent",
            "administrator refused",
            "no login at all",
        ],
        "proof fails",
    ),
)
def test_ambiguous_failures_keep_the_value(single: Scene, kind: str) -> None:
    """The play fails and says that something is pending; the next run ends it with that very value."""
    ambiguous(kind, single.snowflake)
    run = single.run()
    assert run.returncode == 2 and recap(run)[1] == 1
    assert says(run, "0 rotated, 0 recovered, 0 not due, 1 failed")
    assert says(run, "still pending in the record") and says(run, single.uids["A"])
    assert single.live_is_known("A") and single.failed_logins("A") <= 1
    pending = single.pending("A")
    assert pending is not None and single.password("A") == single.old["A"]
    assert leaks(run.output, *single.secrets()) == []

    single.snowflake.faults.clear()
    run = single.run()
    assert run.returncode == 0 and says(run, "0 rotated, 1 recovered, 0 not due, 0 failed")
    assert single.settled("A") and single.password("A") == pending and single.failed_logins("A") <= 1


@pytest.mark.slow
def test_a_lost_answer_that_a_login_decides(single: Scene) -> None:
    single.snowflake.faults.add(Fault("ALTER USER A", times=99, hang="after"))
    run = single.run()
    assert run.returncode == 0 and single.settled("A") and single.failed_logins("A") == 0


@pytest.mark.parametrize("passcode_first", variants([True, False], True))
@pytest.mark.parametrize("live", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_recovered_value_of_a_user_with_mfa(single: Scene, passcode_first: bool, live: bool) -> None:
    """A login that asks for a second factor may not have looked at the password, so it is set once more."""
    pending = single.stage("A")
    user = single.snowflake.user("A")
    user.mfa_required = True
    single.snowflake.account.mfa_before_password = passcode_first
    if live:
        user.password = pending
    run = single.run()
    assert run.returncode == 0, run.output
    assert user.password == single.password("A") == pending and single.pending("A") is None


@pytest.mark.parametrize("side", [pytest.param("before", marks=pytest.mark.slow), "after"])
@pytest.mark.slow
def test_a_vault_that_is_down_at_the_commit(single: Scene, side: t.Literal["before", "after"]) -> None:
    """Tried three times; then the new password is live and waits in the pending field."""
    single.vault.faults.add(Fault("secret", skip=5, times=99, drop=side))
    run = single.run()
    assert run.returncode == 2 and says(run, "still pending in the record") and says(run, single.uids["A"])
    assert single.snowflake.accepts("A", str(single.pending("A"))) and single.password("A") == single.old["A"]
    single.vault.faults.clear()
    run = single.run()
    assert run.returncode == 0 and says(run, "1 recovered") and single.settled("A") and single.failed_logins("A") == 0


@pytest.mark.slow
def test_a_commit_that_fails_once_is_repeated(single: Scene) -> None:
    single.vault.faults.add(Fault("update_secret", skip=1, drop="before"))
    run = single.run()
    assert run.returncode == 0 and single.settled("A")


def change_user(scene: Scene, condition: str) -> None:
    user = scene.snowflake.user("A")
    if condition == "disabled":
        user.disabled = True
    elif condition == "locked":
        user.locked_until = scene.snowflake.account.clock().replace(year=2200)
    elif condition == "absent":
        del scene.snowflake.account.users["A"]
    elif condition == "not permitted":
        scene.snowflake.add_role("OTHER_ADMINS")
        user.owner = "OTHER_ADMINS"
    elif condition == "service":
        user.type = "SERVICE"
    else:
        # Without the right role the administrator sees nobody.
        scene.connection["login_role"] = "PUBLIC"


@pytest.mark.parametrize("condition", variants(["absent", "not permitted", "must change role"], "not permitted"))
@pytest.mark.parametrize("live", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_recovered_value_that_may_be_live_is_kept(single: Scene, condition: str, live: bool) -> None:
    """That the administrator cannot see the user says nothing about what an earlier run has set."""
    pending = single.stage("A")
    user = single.snowflake.user("A")
    if live:
        user.password = pending
    change_user(single, condition)
    run = single.run()
    assert run.returncode == 2 and single.pending("A") == pending, run.stdout
    assert says(run, "still pending in the record") and single.password("A") == single.old["A"]

    user.owner = "SECURITYADMIN"
    single.snowflake.account.users["A"] = user
    single.connection.pop("login_role", None)
    run = single.run()
    assert run.returncode == 0 and single.settled("A") and single.password("A") == pending
    assert single.failed_logins("A") == 0


@pytest.mark.parametrize("condition", variants(["disabled", "locked"], "disabled"))
@pytest.mark.parametrize("live", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("verify", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_recovered_value_of_a_user_that_cannot_log_in(
    single: Scene, condition: str, live: bool, verify: bool
) -> None:
    """It is set again, or Snowflake says that it has had it; nothing waits for the user to be enabled."""
    single.connection["verify"] = verify
    pending = single.stage("A")
    if live:
        single.snowflake.user("A").password = pending
    change_user(single, condition)
    run = single.run()
    assert run.returncode == 0 and says(run, f"recovered, not proved (user_{condition})"), run.stdout
    assert single.snowflake.user("A").password == single.password("A") == pending and single.pending("A") is None


def test_a_recovered_value_of_a_user_that_cannot_have_one_is_discarded(single: Scene) -> None:
    single.stage("A")
    change_user(single, "service")
    run = single.run()
    assert run.returncode == 2 and says(run, "TYPE=SERVICE") and single.pending("A") is None


@pytest.mark.connector
@pytest.mark.parametrize("code", variants([394508, 394507, 390190, 390422, 394777], 394508, 394777))
@pytest.mark.parametrize("pending", [True, False])
def test_a_login_that_says_neither_ends_no_rotation(single: Scene, code: int, pending: bool) -> None:
    """Whatever the code: an acknowledged password is committed, and told as not proved."""
    text = {
        394508: "MFA with TOTP is required. Log in with an authenticator app.",
        394507: "Multi-factor authentication is required. Enroll with Duo.",
        390190: "There was an error related to the SAML Identity Provider account parameter.",
        390422: "Incoming request with IP/Token 192.0.2.1 is not allowed to access Snowflake.",
    }.get(code, "A reason that nobody has listed.")
    staged = single.stage("A") if pending else None
    single.snowflake.faults.add(Fault("login A", times=99, response=single.snowflake.login_failure(code, text)))
    run = single.run()
    assert run.returncode == 0 and says(run, "not proved ("), run.stdout
    assert single.pending("A") is None and single.snowflake.user("A").password == single.password("A")
    assert staged in (None, single.password("A"))


@pytest.mark.slow
@pytest.mark.parametrize("why", ["policy", "privilege"])
def test_ten_failing_runs_lock_nobody_out(single: Scene, why: str) -> None:
    """The first one finds out about what was pending by one login; from then on there is nothing to try."""
    single.stage("A")
    refusal = single.snowflake.statement_failure(3001 if why == "privilege" else 3002, "Reason: 'PASSWORD_TOO_SHORT'")
    single.snowflake.faults.add(Fault("ALTER USER A", times=99, response=refusal))
    strikes = 0
    for _run in range(10):
        assert single.run().returncode == 2 and single.pending("A") is None
        strikes += single.failed_logins("A")
    assert strikes == 1 and single.snowflake.accepts("A", single.old["A"])


@pytest.mark.slow
def test_a_password_of_former_times_is_discarded_after_one_failed_login(single: Scene) -> None:
    """Prior use, and a login that it fails: the value is certainly not in force, so the next run makes another."""
    pending = single.stage("A")
    single.snowflake.account.password_policy.history = 5
    single.snowflake.user("A").password_history = [pending]
    run = single.run()
    assert run.returncode == 2 and says(run, "PRIOR_USE") and single.pending("A") is None
    assert single.failed_logins("A") == 1
    assert single.run().returncode == 0 and single.settled("A") and single.password("A") != pending


def test_the_administrators_own_record_is_refused_up_front(single: Scene) -> None:
    own = single.add_record(ADMIN, password=str(single.snowflake.user(ADMIN).password))
    run = single.run(records=[own, single.admin_uid, single.uids["A"]])
    assert run.returncode == 2 and says(run, "1 rotated, 0 recovered, 0 not due, 2 failed")
    assert says(run, "It is the administrator's own") and single.settled("A")
    assert single.vault.field(own, "rotation_pending") is None


def test_one_bad_entry_fails_itself_only(scene: Scene) -> None:
    odd = scene.add_record('bad"quote', password=fresh_password())
    blank = scene.add_record(" B", password=fresh_password())
    put_pending(scene, "C", "Aa1-xyz")
    run = scene.run(records=[odd, blank, *scene.uids.values(), scene.uids["A"]])
    assert run.returncode == 2 and scene.settled("A") and scene.settled("B"), run.stdout
    assert says(run, "with a blank at an end") and says(run, "' B'")
    assert says(run, "8 to 256 characters") and scene.vault.field(odd, "rotation_pending") is None


def put_pending(scene: Scene, name: str, value: str) -> None:
    """What a person or a broken program has left."""
    pending = {"type": "secret", "label": "rotation_pending", "value": [value]}
    scene.vault.edit(scene.uids[name], lambda content: content["custom"].append(pending))


@pytest.mark.connector
def test_the_environment_is_no_part_of_a_login_by_record(single: Scene) -> None:
    """A role, a host and a passphrase of somebody else's would make the login another one."""
    run = single.run(environment=somebody_elses_login())
    assert run.returncode == 0 and single.settled("A"), run.output


@pytest.mark.parametrize("mistake", variants(["password", "account", "option"], "password"))
def test_a_mistake_in_the_configuration_leaves_nothing_pending(single: Scene, mistake: str) -> None:
    if mistake == "password":
        single.connection["login_password"] = fresh_password()
    elif mistake == "account":
        single.connection["account"] = "no such account"
    else:
        single.connection["login_timeout"] = "soon"
    run = single.run()
    assert run.returncode == 2 and single.pending("A") is None
    assert "update_secret" not in " ".join(single.vault.journal.labels())


# -- records that cannot be rotated


@pytest.mark.parametrize("twin", ["A", pytest.param("a", marks=pytest.mark.slow), '"A"'])
@pytest.mark.parametrize("recovered", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_records_of_one_user(single: Scene, twin: str, recovered: bool) -> None:
    """Refused before anything is staged, however the user is spelt: one record would end up wrong."""
    if recovered:
        single.stage("A")
    second = single.add_record(twin, password=single.old["A"])
    run = single.run(records=[single.uids["A"], second])
    assert run.returncode == 2, run.stdout
    # What an earlier run has left comes to its end all the same.
    assert len(single.snowflake.journal.labels("^ALTER")) == int(recovered)
    assert single.snowflake.accepts("A", single.password("A")) and single.pending("A") is None
    assert says(run, "The same user is in") and single.vault.field(second, "rotation_pending") is None
    assert leaks(run.output, *single.secrets()) == []


@pytest.mark.slow
def test_a_record_without_a_login(scene: Scene) -> None:
    nameless = scene.vault.add_record(title="Nobody's", fields={"password": fresh_password()})
    run = scene.run(records=[scene.uids["A"], nameless])
    assert run.returncode == 2 and says(run, "Nobody's") and says(run, "has no login") and scene.settled("A")
    assert says(run, nameless) and scene.vault.field(nameless, "rotation_pending") is None
    scene.vault.edit(nameless, lambda content: content["fields"].append({"type": "login", "value": ["B"]}))
    assert scene.run(records=[scene.uids["A"], nameless]).returncode == 0
    assert scene.snowflake.accepts("B", str(scene.vault.field(nameless, "password")))


def test_records_that_are_missing_or_read_only(scene: Scene) -> None:
    scene.vault.revoke_edit(scene.uids["B"])
    run = scene.run(records=[*scene.uids.values(), "No such title"])
    assert run.returncode == 2 and says(run, "2 rotated, 0 recovered, 0 not due, 2 failed")
    assert says(run, "read-only") and says(run, "No such title")
    assert all(scene.settled(name) for name in scene.uids) and scene.password("B") == scene.old["B"]
    assert scene.snowflake.journal.labels("USER B") == []


@pytest.mark.core
@pytest.mark.parametrize("value", variants([None, "not a list of anything {{", []], None))
def test_bad_variables(single: Scene, value: t.Any) -> None:
    run = single.run(records=value)
    assert run.returncode == 2 and single.snowflake.journal.labels() == []
    assert "update_secret" not in " ".join(single.vault.journal.labels())


# -- the administrator


@pytest.mark.parametrize("by", variants(["uid", "title"], "uid"))
def test_another_admin_record(single: Scene, by: str) -> None:
    uid = single.add_admin_record("Rotation admin")
    single.vault.remove(single.admin_uid)
    single.admin_uid = uid
    assert single.run(admin_record=uid if by == "uid" else "Rotation admin").returncode == 0
    assert single.settled("A")


def test_an_admin_record_that_is_missing(single: Scene) -> None:
    run = single.run(admin_record="No such record")
    assert run.returncode == 2 and single.pending("A") is None
    assert single.snowflake.journal.labels() == [] and "update_secret" not in " ".join(single.vault.journal.labels())


def key_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, base64.b64encode(der).decode()


@pytest.mark.parametrize("how", variants(["record", "path", "option"], "record"))
def test_an_administrator_with_a_private_key(single: Scene, how: str) -> None:
    """From the record if that has no password, or as the connection says, which replaces the record's password."""
    pem, public = key_pair()
    single.snowflake.user(ADMIN).rsa_public_key = public
    if how == "record":

        def replace(content: Entry) -> None:
            content["fields"] = [field for field in content["fields"] if field["type"] != "password"]
            content["custom"].append({"type": "secret", "label": "privatePEMKey", "value": [pem]})

        single.vault.edit(single.admin_uid, replace)
    elif how == "path":
        path = single.directory / "admin.p8"
        path.touch(mode=0o600)
        path.write_text(pem)
        single.connection["login_private_key_path"] = str(path)
    else:
        single.connection["login_private_key"] = pem
    run = single.run("-vvvv", connection=single.connection)
    assert run.returncode == 0, run.output
    assert single.settled("A") and (ADMIN, "key_pair", "ok") in single.snowflake.logins
    assert leaks(run.output, *single.secrets(), pem) == []


def test_the_administrators_record_may_hold_any_option(single: Scene) -> None:
    """As for the Gateway's script; the role's connection wins."""
    field = {"type": "text", "label": "Verify", "value": ["no"]}
    single.vault.edit(single.admin_uid, lambda content: content["custom"].append(field))
    run = single.run()
    assert run.returncode == 0 and says(run, "verify_disabled") and single.settled("A"), run.output
    single.connection["verify"] = True
    run = single.run(force=True)
    assert run.returncode == 0 and not says(run, "verify_disabled") and single.settled("A"), run.output


@pytest.mark.slow
def test_an_option_that_does_not_exist_is_no_doubt_about_the_service(single: Scene) -> None:
    single.connection["unheard_of"] = 1
    run = single.run()
    assert run.returncode == 2 and says(run, "unheard_of") and says(run, "Nothing was changed. [invalid_input]"), (
        run.output
    )
    assert single.pending("A") is None and single.settled("A")


def test_the_connection_wins(single: Scene) -> None:
    """Another administrator with another role, though the record has its own login."""
    password = fresh_password()
    single.snowflake.add_user("SECOND", password=password, default_role="PUBLIC", roles=["USERADMIN", "PUBLIC"])
    single.snowflake.user("A").owner = "USERADMIN"
    single.connection.update(login_user="SECOND", login_password=password, login_role="USERADMIN")
    run = single.run("-vvvv")
    assert run.returncode == 0 and single.settled("A"), run.output
    assert ("SECOND", "password", "ok") in single.snowflake.logins
    assert single.snowflake.journal.labels("login ROTATOR") == []
    assert leaks(run.output, *single.secrets(), password) == []


# -- the vault's configuration


@pytest.mark.core
@pytest.mark.parametrize(
    "form", variants(["KSM_CONFIG", "KSM_CONFIG_FILE", "base64", "json", "mapping"], "KSM_CONFIG", "mapping")
)
def test_configuration(single: Scene, form: str) -> None:
    text = single.config.read_text()
    packed = base64.b64encode(text.encode()).decode()
    environment = {"KSM_CONFIG": packed, "KSM_CONFIG_FILE": str(single.config)}
    values = {"base64": packed, "json": text, "mapping": json.loads(text)}
    given = {form: environment[form]} if form in environment else {}
    config = {} if form in environment else {"keeper_config": values[form]}
    run = single.run("-vvvv", environment=given, keeper_config_file=None, **config)
    assert run.returncode == 0 and single.settled("A"), run.output
    assert not single.snowflake.accepts("A", single.old["A"])
    assert leaks(run.output, *single.secrets(), packed) == []
    assert single.config.read_text() == text


# -- nothing leaks


@pytest.mark.core
@pytest.mark.parametrize(
    "outcome",
    variants(["success", "refused", "verify_failed", "vault down", "recovered", "check"], "refused", "recovered"),
)
def test_no_secret_is_shown_or_left(scene: Scene, outcome: str) -> None:
    """stdout, stderr, the log, Ansible's home and the temporary folder, at the highest verbosity."""
    if outcome == "refused":
        scene.snowflake.account.password_policy.min_length = 64
    elif outcome == "verify_failed":
        ambiguous("proof fails", scene.snowflake)
    elif outcome == "vault down":
        scene.vault.faults.add(Fault("update_secret", times=99, drop="after"))
    elif outcome == "recovered":
        scene.stage("A")
    before = scene.secrets()
    log = scene.directory / "logs" / "ansible.log"
    log.parent.mkdir()
    values: set[str] = set()
    scene.snowflake.faults.add(Fault("logout", before=lambda: values.update(scene.secrets())))
    arguments = ["-vvvv", "--diff", *(["--check"] if outcome == "check" else [])]
    run = scene.run(*arguments, environment={"ANSIBLE_LOG_PATH": str(log)})
    assert run.returncode == (2 if outcome in ("refused", "verify_failed", "vault down") else 0), run.output
    found = before | scene.secrets() | values
    assert outcome in ("check", "refused") or len(found) > len(before)
    assert leaks(run.output, *found) == []
    assert leaks(log.read_text(), *found) == []
    assert leaks_below(scene.ansible.home, *found) == [] and leaks_below(scene.ansible.temporary, *found) == []


@pytest.mark.parametrize("step", variants(["get_secret", "update_secret", "ALTER USER A"], "ALTER USER A"))
def test_a_killed_run_leaves_no_secret_in_files(single: Scene, step: str) -> None:
    """Also where Ansible is configured without pipelining: the role asks for it itself."""
    started: list[subprocess.Popen[str]] = []
    server = single.snowflake if "USER" in step else single.vault
    skip = 1 if step == "get_secret" else 0
    server.faults.add(Fault(step, skip=skip, before=lambda: kill_tree(started[0].pid), drop="before"))
    started.append(single.start(environment={"ANSIBLE_PIPELINING": "False"}))
    assert single.ansible.finish(started[0]).returncode < 0
    found = single.secrets()
    assert leaks_below(single.ansible.home, *found) == [] and leaks_below(single.ansible.temporary, *found) == []
    run = single.run(environment={"ANSIBLE_PIPELINING": "False"})
    assert run.returncode == 0 and single.settled("A")


def test_no_secret_in_arguments_or_environment(single: Scene) -> None:
    """Of any process that the run has started, at the moment of the change."""
    seen: list[str] = []

    def look() -> None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if process.stat().st_uid == os.getuid() and int(process.name) != os.getpid():
                    seen.append((process / "cmdline").read_text(errors="replace"))
                    seen.append((process / "environ").read_text(errors="replace"))
            except OSError:
                continue

    if not Path("/proc/self/environ").exists():
        pytest.skip("this system has no /proc")
    single.snowflake.faults.add(Fault("ALTER USER A", before=look))
    single.vault.faults.add(Fault("update_secret", times=2, before=look))
    known: set[str] = set()
    single.snowflake.faults.add(Fault("login A", before=lambda: known.update(single.secrets())))
    assert single.run().returncode == 0 and seen
    assert leaks("\n".join(seen), *known, *single.secrets()) == []


# -- a fleet


@pytest.mark.slow
def test_several_accounts(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> None:
    """Every host is an account of its own, and one that is down stops only itself."""
    with SnowflakeSandbox(account="ab67890") as second, SnowflakeSandbox(account="cd13579") as gone:
        second.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        gone.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        hosts: dict[str, Entry] = {}
        scenes: dict[str, Scene] = {}
        for host, sandbox, user in (("one", snowflake, "A"), ("two", second, "B"), ("three", gone, "C")):
            folder = tmp_path / host
            folder.mkdir()
            scenes[host] = Scene(folder, sandbox, vault, user)
            scenes[host].admin_uid = scenes[host].add_admin_record(f"Admin of {host}")
            hosts[host] = scenes[host].variables(admin_record=f"Admin of {host}")
        gone.close()
        inventory = tmp_path / "inventory.json"
        inventory.touch(mode=0o600)
        local = {"ansible_connection": "local"}
        inventory.write_text(json.dumps({"accounts": {"hosts": {name: {**v, **local} for name, v in hosts.items()}}}))
        ansible = scenes["one"].ansible
        run = ansible.run(PLAYBOOK, {"keyturn_hosts": "accounts"}, "-i", str(inventory), "-vvvv")
        assert run.returncode == 2, run.output
        assert [recap(run, host)[1] for host in hosts] == [0, 0, 1]
        assert scenes["one"].settled("A") and scenes["two"].settled("B")
        assert not snowflake.accepts("A", scenes["one"].old["A"])
        # The administrator's login is looked at before anything is staged.
        assert scenes["three"].pending("C") is None and scenes["three"].password("C") == scenes["three"].old["C"]
        assert leaks(run.output, *set().union(*(scene.secrets() for scene in scenes.values()))) == []


@pytest.mark.slow
def test_the_role_in_a_playbook_of_ones_own(single: Scene) -> None:
    """As roles: in a play without our settings; the role brings its own pipelining."""
    play = {
        "name": "Mine",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "roles": [{"role": "keyturn.credentials.snowflake_user_password", "vars": single.variables()}],
    }
    run = single.ansible.run([play], {}, "-vvvv", ANSIBLE_PIPELINING="False")
    assert run.returncode == 0 and single.settled("A") and leaks(run.output, *single.secrets()) == []
