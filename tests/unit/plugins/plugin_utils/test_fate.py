# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles ask, stage, commit, discard and say, for every answer that a module can give."""

from __future__ import annotations

import dataclasses
import itertools
import json
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import errors
from ansible_collections.keyturn.credentials.plugins.plugin_utils._fate import Role, Run, fate, with_administrator
from ansible_collections.keyturn.credentials.plugins.plugin_utils._rotate import after_deliveries, summary
from tests.unit.plugins.plugin_utils.answers import COLUMNS, answer, ended, failed, record, worked

Entry = dict[str, t.Any]

CODES = sorted(
    error.error_code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "error_code")
)
# After these, a service has certainly not taken the secret that was made in this run.
DEFINITE = {"refused", "not_found", "not_permitted", "ambiguous", "invalid_input"}
ROLE = Role(COLUMNS, names="sql")


def run(*records: Entry, role: Role = ROLE, **answers: t.Any) -> Run:
    """A run whose records have all passed the check, and were staged as found."""
    found = answer(*records)
    passed = answer(*(worked() for _each in role.asked(found)))
    return Run(role, found, **{"checked": passed, "staged": found, **answers})


def told_of(about: Run) -> tuple[list[str], list[str]]:
    return about.told(about.records())


def outcomes_of(*records: Entry, **answers: t.Any) -> dict[str, Entry]:
    return {told["record"]: told for told in run(*records, **answers).records()}


def test_a_refused_administrator_names_the_record_that_has_the_login() -> None:
    refused = failed("auth_failed", everybody=True)
    others = [worked(), failed("auth_failed"), failed("unreachable", everybody=True)]
    named, *rest = with_administrator(answer(refused, *others), {"title": "Admin", "uid": "UID"})["rotations"]
    assert named["msg"].endswith("It is auth_failed. The administrator's Keeper record is Admin (UID).")
    assert rest == others and with_administrator({"failed": True}, {}) == {"failed": True}


# -- the fate of one record

# Every way in which a user can end: without a failure, or with each code; changed or not; in force, not, or unknown.
WAYS = list(itertools.product([None, *CODES], (True, False), (True, False, None)))


def way(code: str | None, changed: bool, in_force: bool | None) -> Entry:
    known = {} if in_force is None else {"in_force": in_force}
    return {**(failed(code) if code else worked()), "changed": changed, **known}


def test_all_error_codes_are_there() -> None:
    assert len(CODES) == 15 and set(CODES) > DEFINITE


@pytest.mark.parametrize(("code", "changed", "in_force"), WAYS)
def test_a_recovered_secret(code: str | None, changed: bool, in_force: bool | None) -> None:
    """It goes only after a definite refusal and evidence that nobody has it."""
    expected = "keep"
    if code is None or in_force is True:
        expected = "commit"
    elif code in DEFINITE and in_force is False:
        expected = "discard"
    assert fate(record("A", "recovered"), way(code, changed, in_force)) == expected


@pytest.mark.parametrize(("code", "changed", "in_force"), WAYS)
def test_a_fresh_secret(code: str | None, changed: bool, in_force: bool | None) -> None:
    """Nobody can have it before it was set: a definite refusal without a change is evidence enough."""
    expected = "keep"
    if code is None:
        expected = "commit" if changed else "discard"
    elif in_force is True:
        expected = "commit"
    elif code in DEFINITE and (not changed or in_force is False):
        expected = "discard"
    assert fate(record("A"), way(code, changed, in_force)) == expected


@pytest.mark.parametrize("kind", ["fresh", "recovered"])
def test_what_was_not_reached_is_kept(kind: str) -> None:
    assert fate(record("A", kind), None) == "keep"


@pytest.mark.parametrize(("left", "expected"), [("untouched", "discard"), ("unknown", "keep")])
def test_a_refusal_that_left_nobody_knows_what_is_no_definite_one(left: str, expected: str) -> None:
    assert fate(record("A"), failed("refused", left=left)) == expected


# -- lists


WHOLE: list[dict[str, t.Any]] = [
    {},
    {"skipped": True},
    {"rotations": None},
    {"rotations": []},
    {"failed": True, "msg": "No module."},
]


@pytest.mark.parametrize("nothing", WHOLE)
def test_a_task_without_entries_decides_nothing(nothing: dict[str, t.Any]) -> None:
    """It was skipped, or it failed as a whole, so that nobody knows what it did."""
    about = run(record("A"), record("B", "recovered"), applied=nothing)
    assert (about.ending("commit"), about.ending("discard"), about.ending("keep")) == ([], [], ["A", "B"])


@pytest.mark.parametrize("nothing", WHOLE)
def test_without_the_check_nothing_is_staged(nothing: dict[str, t.Any]) -> None:
    assert run(record("A"), record("B", "recovered"), checked=nothing).to_stage() == []


@pytest.mark.parametrize("count", [0, 1, 3, 4])
@pytest.mark.parametrize("outcome", [worked(), failed("refused", in_force=False)])
@pytest.mark.parametrize("kind", ["fresh", "recovered"])
def test_misaligned_lists_give_nothing(count: int, outcome: Entry, kind: str) -> None:
    """With one answer too many or too few, nobody knows whose is whose."""
    about = run(record("A", kind), record("B", kind), applied=answer(*[outcome] * count))
    assert about.ending("keep") == ["A", "B"]


def test_answers_go_to_their_records() -> None:
    """Records that are left out, because they failed, have no login or are not due, do not shift the others."""
    about = run(
        record("X", "failed"),
        record("A"),
        record("I", "idle"),
        record("N", login=""),
        record("R", "recovered"),
        record("B"),
        applied=answer(worked(), failed("refused", in_force=False), failed("refused")),
    )
    assert (about.ending("commit"), about.ending("discard")) == (["A"], ["R", "B"])


def test_what_the_check_objects_to_is_not_staged_unless_it_must_come_to_an_end() -> None:
    checked = answer(failed("refused"), worked(), failed("refused"))
    about = run(record("A"), record("B"), record("R", "recovered"), checked=checked)
    assert about.to_stage() == ["B", "R"]


def test_a_login_that_the_administrator_was_refused_is_not_tried_twice() -> None:
    """Also where something is pending: each run would cost two strikes."""
    nobody = failed("auth_failed", everybody=True)
    about = run(record("A"), record("R", "recovered"), checked=answer(nobody, nobody), staged={})
    assert about.to_stage() == []
    told = {entry["record"]: entry for entry in about.records()}
    assert (told["R"]["error_code"], told["R"]["pending"], told["A"]["pending"]) == ("auth_failed", True, False)


def test_what_was_staged_for_another_login_is_never_discarded() -> None:
    """The user of now has not got it; the one whom the record named then may have."""
    gone = failed("not_found", in_force=False)
    moved = record("R", "recovered", former_logins=["user_before"])
    assert fate(moved, gone) == "keep" and fate(record("R", "recovered"), gone) == "discard"
    told = outcomes_of(moved, applied=answer(gone))["R"]
    assert told["pending"] and "user_before" in told["msg"]
    assert fate(moved, worked()) == "commit"


def test_an_update_that_nobody_could_look_at_may_be_pending() -> None:
    staged = answer(record("A", "failed", record_uid="A", error_code="unknown_outcome"))
    assert outcomes_of(record("A"), staged=staged)["A"]["pending"]


@pytest.mark.parametrize(
    ("kinds", "asked"),
    [
        (("fresh", "fresh"), []),
        (("fresh", "idle"), []),
        (("recovered", "fresh"), ["A"]),
        (("recovered", "idle"), ["A"]),
        (("recovered", "recovered"), []),
    ],
)
def test_two_records_of_one_user(kinds: tuple[str, str], asked: list[str]) -> None:
    """One would end up wrong, due or not; only what an earlier run may have set comes to its end."""
    found = answer(record("A", kinds[0]), record("B", kinds[1], login='"USER_A"'), record("C"))
    assert [entry["record_uid"] for entry in ROLE.asked(found)] == [*asked, "C"]
    told = {entry["record"]: entry for entry in Run(ROLE, found, check_mode=True).records()}
    assert (told["A"]["outcome"] == "failed") is (asked == [])
    assert (told["B"]["outcome"], told["B"]["error_code"]) == ("failed", "invalid_input")


def test_a_record_that_is_named_twice_is_asked_about_once() -> None:
    assert len(ROLE.asked(answer(record("A"), record("A", record="Title of A")))) == 1


# -- users


def test_users_of_the_module() -> None:
    role = Role(COLUMNS, common={"key_pair_name": "KEYTURN"}, settled={"install": False})
    found = answer(record("A"), record("R", "recovered"), record("I", "idle", private_key=None, public_key="public"))
    assert role.users(found) == [
        {"key_pair_name": "KEYTURN", "name": "user_A", "private_key": "secret of A", "recovered": False},
        {"key_pair_name": "KEYTURN", "name": "user_R", "private_key": "secret of R", "recovered": True},
        {"key_pair_name": "KEYTURN", "name": "user_I", "public_key": "public", "recovered": False, "install": False},
    ]


def test_records_that_are_not_due_are_asked_about_only_where_wanted() -> None:
    assert ROLE.users(answer(record("I", "idle"))) == []


def test_no_user_has_both_halves_of_a_key() -> None:
    (user,) = ROLE.users(answer(record("A", public_key="public")))
    assert "public_key" not in user


# -- secrets that the service mints

MINTING = Role(
    {"name": "login", "announced": "token_name", "token": "token"}, settled={"minted": True}, names="sql", mints=True
)


def minting(*records: Entry, **answers: t.Any) -> Run:
    """A run whose records were announced as found."""
    named = [{**entry, "token_name": f"KEYTURN_{entry['record']}", "fingerprint": None} for entry in records]
    return run(*named, role=MINTING, **answers)


def test_what_was_minted_is_saved_before_it_is_committed() -> None:
    applied = answer(worked(token="minted", expires_at="soon"), failed("unreachable"), worked(changed=False))
    about = minting(record("A"), record("B"), record("R", "recovered", token="left"), applied=applied)
    saving = {"secret": "minted", "announced": "KEYTURN_A", "expires_at": "soon", "token_name": None}
    assert about.minted() == {"A": saving}
    assert about.ending("commit") == ["R"], "nothing that is nowhere but in this run"
    saved = minting(record("A"), record("B"), record("R", "recovered"), applied=applied, saved=ended("A"))
    assert saved.ending("commit") == ["A", "R"]
    told = {entry["record"]: entry for entry in saved.records()}
    assert (told["B"]["pending"], told["B"]["outcome"]) == (False, "failed")


def test_a_minted_secret_that_was_not_proved_is_saved_and_not_committed() -> None:
    applied = answer(failed("verify_failed", changed=True, token="minted"))
    about = minting(record("A"), applied=applied, saved=ended("A"))
    assert list(about.minted()) == ["A"] and about.ending("commit") == about.ending("discard") == []
    (told,) = about.records()
    assert (told["error_code"], told["pending"]) == ("verify_failed", True)


def test_a_minted_secret_that_could_not_be_saved_is_a_failure_of_its_record() -> None:
    saved = answer({**failed("busy"), "record": "A", "record_uid": "A"})
    about = minting(record("A"), applied=answer(worked(token="minted")), saved=saved)
    assert about.ending("commit") == about.ending("discard") == []
    (told,) = about.records()
    assert (told["error_code"], told["pending"]) == ("busy", False)
    assert "minted" not in json.dumps(told)


def test_a_name_that_another_record_holds_is_not_retired() -> None:
    """As where somebody has made a second consumer's record by copying."""
    columns = {**MINTING.columns, "previous_token_names": "previous_token_names"}
    role = dataclasses.replace(MINTING, columns=columns)
    mine = record("A", "idle", fingerprint=None, token="x", minted=True, previous_token_names=["OLD", "SHARED"])
    other = record("B", "idle", fingerprint=None, current_token_name="SHARED")
    (user,) = role.users(answer(mine, other))
    assert user["previous_token_names"] == ["OLD"]
    # Nor where that other one was named, and is not what this is about.
    (user,) = role.users(answer(mine), among=answer(mine, record("B", "idle", current_token_name="OLD")))
    assert user["previous_token_names"] == ["SHARED"]


def test_without_a_token_of_its_own_nothing_of_a_record_goes() -> None:
    assert MINTING.users(answer(record("I", "idle", fingerprint=None, orphans=["KEYTURN_old"]))) == []


def test_what_a_record_has_left_of_former_times_names_no_rotation() -> None:
    staged = answer(record("I", "idle", rotation_id="old"), record("A", rotation_id="mine"))
    assert run(record("I", "idle"), record("A"), staged=staged).rotation_id() == "mine"


def test_a_token_that_is_certainly_wrong_is_discarded_whatever_the_login_was() -> None:
    """For a former user it is an orphan."""
    moved = record("R", "recovered", former_logins=["user_before"], token_name="KEYTURN_1")
    assert fate(moved, failed("refused", in_force=False)) == "discard"


def test_a_refusal_to_mint_discards_the_announcement() -> None:
    assert minting(record("A"), applied=answer(failed("refused", in_force=False))).ending("discard") == ["A"]


@pytest.mark.parametrize(("days", "refused"), [(None, False), (31, False), (30, True), (15, True)])
def test_a_token_that_ends_before_it_is_rotated_is_refused(days: int | None, refused: bool) -> None:
    role = dataclasses.replace(MINTING, days=days, max_age="30d")
    told = run(record("A"), role=role, staged={}, checked=answer(worked()), check_mode=True).records()[0]
    assert (told.get("error_code") == "invalid_input") is refused and (
        "days_to_expiry" in told.get("msg", "")
    ) is refused


def test_one_user_can_have_tokens_in_several_records() -> None:
    found = answer(record("A", fingerprint=None), record("B", login="USER_A", fingerprint=None))
    assert len(MINTING.asked(found)) == 2


@pytest.mark.parametrize("older", ["previous_token_names", "orphans"])
def test_a_record_with_tokens_of_former_times_is_looked_after(older: str) -> None:
    idle = record("I", "idle", fingerprint=None, token="present", minted=True)
    assert MINTING.users(answer(idle)) == []
    found = answer({**idle, older: ["KEYTURN_old"]})
    assert MINTING.users(found) == [{"name": "user_I", "token": "present", "minted": True}]
    retired = answer(worked(retired_token_names=["KEYTURN_old"]))
    lines, _failures = told_of(Run(MINTING, found, staged=found, applied=retired))
    assert any("the previous token KEYTURN_old is retired" in line for line in lines)


# -- refusals before anything is asked


def test_a_record_without_a_login() -> None:
    told = outcomes_of(record("A", login=""), staged={}, checked={})["A"]
    assert (told["outcome"], told["error_code"], told["pending"]) == ("failed", "invalid_input", False)
    assert "no login" in told["msg"]


@pytest.mark.parametrize("administrator", [{"uid": "A"}, {"login": '"USER_A"'}])
def test_the_administrators_own_record(administrator: dict[str, str]) -> None:
    """By its UID or, where logins tell it, by the user."""
    role = Role(COLUMNS, names="sql", administrator=administrator)
    about = run(record("A"), record("B"), role=role, staged={})
    assert about.to_stage() == ["B"]
    told = about.records()[0]
    assert (told["error_code"], told["retry_safe"]) == ("refused", False) and "administrator" in told["msg"]


def test_an_administrator_who_logs_in_by_another_name() -> None:
    """Only the service knows that the user is who the administrator logs in as."""
    role = Role(COLUMNS, names="sql", administrator={"login": "admin@example.com"})
    checked = answer(worked(login_name="ADMIN@EXAMPLE.COM"), worked(login_name="USER_B"))
    about = run(record("A", "recovered"), record("B"), role=role, checked=checked, staged={})
    assert about.to_stage() == ["B"]
    assert about.records()[0]["error_code"] == "refused"


# -- what is told


@pytest.mark.parametrize(("code", "changed", "in_force"), WAYS)
@pytest.mark.parametrize("kind", ["fresh", "recovered"])
def test_an_outcome_agrees_with_the_fate(code: str | None, changed: bool, in_force: bool | None, kind: str) -> None:
    """Told as rotated or recovered exactly if it was committed without a failure; pending exactly if it was kept."""
    applied = answer(way(code, changed, in_force))
    once = run(record("A", kind), applied=applied)
    committed, discarded = ended(*once.ending("commit")), ended(*once.ending("discard"))
    told = run(record("A", kind), applied=applied, committed=committed, discarded=discarded).records()[0]
    good = {"fresh": "rotated", "recovered": "recovered"}[kind]
    assert told["outcome"] == (good if code is None and once.ending("commit") else "failed")
    assert told["pending"] is bool(once.ending("keep"))
    if code is not None:
        assert told["error_code"] == code


def test_a_failure_whose_secret_was_committed_says_where_that_is() -> None:
    refused = answer(failed("verify_failed", changed=True, in_force=True))
    told = outcomes_of(record("A", "recovered"), applied=refused, committed=ended("A"))["A"]
    assert (told["outcome"], told["pending"]) == ("failed", False) and "The record holds the new secret" in told["msg"]
    kept = outcomes_of(record("A"), applied=answer(failed("verify_failed", changed=True)))["A"]
    assert kept["pending"] and "The record holds" not in kept["msg"]


def test_a_new_secret_that_logs_in_before_it_was_set_is_never_committed() -> None:
    """Nobody has it, so the login that accepts it accepts everything; what an earlier run left may be in force."""
    unchanged = answer(worked(changed=False), worked(changed=False))
    about = run(record("new"), record("left", "recovered"), applied=unchanged)
    assert (about.ending("commit"), about.ending("discard")) == (["left"], ["new"])
    told = outcomes_of(record("new"), record("left", "recovered"), applied=unchanged, committed=ended("left"))
    assert "proves nothing" in told["new"]["msg"] and told["left"]["outcome"] == "recovered"


def test_whatever_is_missing_a_due_record_without_a_commit_has_failed() -> None:
    told = outcomes_of(record("A"), record("I", "idle"), record("X", "failed"))
    assert (told["A"]["outcome"], told["A"]["pending"]) == ("failed", True)
    assert told["A"]["msg"].startswith("The run ended before it.")
    assert (told["I"]["outcome"], told["I"]["pending"]) == ("not_due", False)
    assert (told["X"]["outcome"], told["X"]["error_code"]) == ("failed", "vault_error")


@pytest.mark.parametrize("task", ["checked", "staged", "applied", "committed"])
def test_a_task_that_fails_as_a_whole_fails_the_records_it_was_for(task: str) -> None:
    broken = {"failed": True, "msg": "No library.", "error_code": "missing_dependency", "retry_safe": False}
    order = ["checked", "staged", "applied", "committed"]
    later: dict[str, t.Any] = {name: {} for name in order[order.index(task) :]}
    given = {"applied": answer(worked()), **later, task: broken}
    told = outcomes_of(record("A"), record("I", "idle"), **given)
    assert (told["A"]["error_code"], told["A"]["retry_safe"]) == ("missing_dependency", False)
    assert told["A"]["pending"] is (task in ("applied", "committed"))
    assert told["I"]["outcome"] == "not_due"


def test_a_task_that_fails_without_a_code_may_have_died_after_a_write() -> None:
    assert outcomes_of(record("A"), applied={"msg": "MODULE FAILURE"})["A"]["error_code"] == "unknown_outcome"


def test_a_commit_that_fails() -> None:
    commit = answer({"record": "A", "failed": True, "error_code": "unreachable", "msg": "No answer."})
    told = outcomes_of(record("A"), applied=answer(worked()), committed=commit)["A"]
    assert (told["outcome"], told["error_code"], told["pending"]) == ("failed", "unreachable", True)


def test_a_record_that_another_run_took_over() -> None:
    busy = record("A", failed=True, error_code="busy", msg="Another run has it.")
    told = outcomes_of(record("A"), staged=answer(busy))["A"]
    assert (told["error_code"], told["pending"]) == ("busy", False)


def test_a_record_that_waits_is_told_with_what_for() -> None:
    about = run(record("A", "idle", waiting="rotation_window is sat 01:00-02:00"), record("B"))
    (told, _other), lines = about.records(), told_of(about)[0]
    assert (told["outcome"], told["waiting"], told["pending"]) == (
        "waiting",
        "rotation_window is sat 01:00-02:00",
        False,
    )
    assert "0 not due, 1 waiting, 1 failed" in lines[0]
    assert lines[1] == "waiting (rotation_window is sat 01:00-02:00): Title of A (A), user user_A."


# -- consumers

TOLD = Role(COLUMNS, names="sql", settled={"install": False}, consumers={"app": "/c/app.yml", "web": "/c/web.yml"})


def deliveries(about: Run) -> list[tuple[str, str, str]]:
    return [(each["record_uid"], each["consumer"], each["rotation_id"]) for each in about.to_deliver()]


def test_what_was_committed_is_delivered_and_what_was_left_over() -> None:
    records = [
        record("A", consumers=["app", "web"], rotation_id="new"),
        record("A", consumers=["app", "web"], rotation_id="new"),
        record("B", consumers=["app"], rotation_id="new"),
        record("C", "idle", consumers=["app", "web"], undelivered=["web"], committed_id="old"),
        record("D", "idle", consumers=["app"]),
        record("E", consumers=["app"], undelivered=["app"], committed_id="old", rotation_id="new"),
    ]
    about = run(*records, role=TOLD, committed=ended("A"))
    assert deliveries(about) == [("A", "app", "new"), ("A", "web", "new"), ("C", "web", "old")]
    assert about.to_deliver()[0]["file"] == "/c/app.yml" and "private_key" not in about.to_deliver()[0]
    assert run(*records, role=TOLD, committed=ended("A"), check_mode=True).to_deliver() == []


def test_a_consumer_without_a_file_is_refused_before_staging_and_told_after() -> None:
    unknown: Entry = {"consumers": ["app", "../etc/x"]}
    about = run(record("A", **unknown), record("B", "recovered", **unknown), role=TOLD)
    assert [entry["record_uid"] for entry in TOLD.asked(about.found)] == ["B"]
    refused = run(record("A", **unknown), role=TOLD, staged={}).records()[0]
    assert refused["error_code"] == "invalid_input" and "../etc/x" in refused["msg"]
    left = run(record("C", "idle", undelivered=["gone"], committed_id="old"), role=TOLD).to_deliver()
    assert [(each["consumer"], each["file"]) for each in left] == [("gone", "")]


def test_a_delivery_that_failed_is_told_and_the_secret_stays() -> None:
    missed = [{"record_uid": "A", "consumer": "web", "msg": "its task failed: Reload"}]
    applied = answer(worked(), worked())
    found = answer(record("A"), record("B"))
    committed = ended("A", "B", rotated_at="now")
    ran = summary(Run(ROLE, found, checked=applied, staged=found, applied=applied, committed=committed))
    assert after_deliveries(ran, []) == ran
    ran = after_deliveries(ran, missed)
    first, second = ran["outcomes"]
    assert ran["told"][0] == "1 rotated, 0 recovered, 0 not due, 1 failed" and len(ran["failures"]) == 1
    assert first["rotated_at"] == "now"
    assert (first["outcome"], first["error_code"], first["retry_safe"]) == ("failed", "delivery_failed", True)
    assert "web (its task failed: Reload)" in first["msg"] and not first["pending"]
    assert second["outcome"] == "rotated"


def test_the_previous_key_stays_while_somebody_is_still_to_be_told() -> None:
    found = answer(record("A", "idle", undelivered=["app"]), record("B", "idle"))
    assert [entry["record_uid"] for entry in TOLD.asked(found)] == ["B"]


def test_keys_that_are_not_due() -> None:
    role = Role(COLUMNS, settled={"install": False})
    applied = answer(worked(changed=True, evicted_fingerprint="SHA256:old"), worked(changed=False), failed("refused"))
    about = run(record("A", "idle"), record("B", "idle"), record("C", "idle"), role=role, applied=applied)
    assert about.ending("commit") == about.ending("discard") == []
    retired, same, missing = about.records()
    assert (retired["outcome"], retired["retired"]) == ("not_due", "SHA256:old")
    assert (same["outcome"], "retired" in same) == ("not_due", False)
    assert (missing["outcome"], missing["error_code"]) == ("failed", "refused")


def test_check_mode() -> None:
    found = answer(record("A"), record("R", "recovered"), record("I", "idle"), record("X", "failed"), record("B"))
    checked = answer(worked(), worked(), failed("not_found"))
    about = Run(ROLE, found, checked=checked, check_mode=True)
    assert [told["outcome"] for told in about.records()] == ["due", "due", "not_due", "failed", "failed"]
    assert not any(told["pending"] for told in about.records())
    assert told_of(about)[0][0] == "check mode: 2 due, 1 not due, 2 failed"


# -- the lines


def test_every_record_has_a_line_and_every_failure_one() -> None:
    applied = answer(
        worked(), worked(verified=False, verify_skipped_reason="mfa_required"), failed("rate_limited"), worked()
    )
    about = run(
        *(record("A"), record("B"), record("C"), record("R", "recovered"), record("I", "idle")),
        applied=applied,
        committed=ended("A", "B", "R"),
    )
    told, failures = told_of(about)
    assert told == [
        "2 rotated, 1 recovered, 1 not due, 1 failed",
        "rotated: Title of A (A), user user_A.",
        "rotated, not proved (mfa_required): Title of B (B), user user_B.",
        "recovered: Title of R (R), user user_R.",
        "not due: Title of I (I), user user_I.",
    ]
    assert failures == [
        "failed: Title of C (C): It is rate_limited. Its new secret is still pending in the record, and the next run "
        "takes it up. [rate_limited]"
    ]


def test_a_failure_that_many_share_is_one_line() -> None:
    broken = {"failed": True, "msg": "The login was refused.", "error_code": "auth_failed"}
    _told, failures = told_of(run(record("A"), record("B"), checked=broken, staged={}))
    assert failures == ["failed: Title of A (A), Title of B (B): The login was refused. [auth_failed]"]


def test_a_vault_that_told_nothing() -> None:
    told, failures = told_of(Run(ROLE, {"failed": True, "msg": "No configuration.", "error_code": "invalid_input"}))
    assert told == ["0 rotated, 0 recovered, 0 not due, 1 failed"]
    assert failures == ["failed: No configuration. [invalid_input]"]


def test_a_vault_that_speaks_of_no_record_speaks_of_all() -> None:
    found = {"failed": False, "msg": "No configuration.", "error_code": "invalid_input", "left": "untouched"}
    about = summary(Run(ROLE, found, named=["A", "B"]))
    assert about["failures"] == ["failed: A, B: No configuration. [invalid_input]"]
    assert (about["stats"]["keyturn_failed"], about["stats"]["keyturn_failed_records"]) == (2, ["A", "B"])
    assert [(each["left"], each["pending"]) for each in about["outcomes"]] == [("untouched", False)] * 2
    assert Run(ROLE, {}, named=["A", "B"]).records() == []


def test_no_secret_is_said() -> None:
    found = answer(record("A"), record("B", "recovered"), record("I", "idle"), record("N", login=""))
    for code, changed, in_force in WAYS:
        applied = answer(way(code, changed, in_force), way(code, changed, in_force))
        said = summary(Run(ROLE, found, staged=found, checked=applied, applied=applied))
        assert "secret of" not in json.dumps(said)


def test_the_name_of_the_rotation_is_of_any_record_that_has_one() -> None:
    staged = answer(record("X", "failed"), record("I", "idle", rotation_id=None), record("A", rotation_id="run"))
    assert Run(ROLE, staged, staged=staged).rotation_id() == "run"
    assert Run(ROLE, {}).rotation_id() is None
