# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the roles commit, discard and say, for every answer that a module can give; and the filters around it."""

from __future__ import annotations

import itertools
import json
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.filter import rotation, snowflake_login
from ansible_collections.keyturn.credentials.plugins.module_utils._core import errors
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.sql import exact_name
from ansible_collections.keyturn.credentials.plugins.plugin_utils._verdict import Verdict, chosen, namesakes, users

Entry = dict[str, t.Any]

CODES = sorted(
    error.error_code for error in vars(errors).values() if isinstance(error, type) and hasattr(error, "error_code")
)
# After these, a service has certainly not taken the secret that was made in this run.
DEFINITE = {"refused", "not_found", "not_permitted", "ambiguous", "invalid_input"}


def record(uid: str, kind: str = "fresh", **fields: t.Any) -> Entry:
    """An entry of keeper_rotation's answer; kind: fresh, recovered, idle or failed."""
    if kind == "failed":
        return {"record": uid, "failed": True, "error_code": "vault_error", "msg": f"{uid} cannot be read.", **fields}
    return {
        "record_uid": uid,
        "title": f"Title of {uid}",
        "login": f"user_{uid}",
        "failed": False,
        "due": kind != "idle",
        "recovered": kind == "recovered",
        "private_key": f"secret of {uid}",
        **fields,
    }


def answer(*entries: Entry) -> dict[str, t.Any]:
    return {"rotations": list(entries), "changed": any(entry.get("changed") for entry in entries)}


def worked(changed: bool = True, verified: bool = True) -> Entry:
    return {"failed": False, "changed": changed, "verified": verified}


def failed(code: str, **fields: t.Any) -> Entry:
    return {"failed": True, "changed": False, "verified": False, "error_code": code, "msg": f"It is {code}.", **fields}


# Every way in which an entry can end: changed and verified, or the error, with what a probe had said before.
OUTCOMES: dict[str, Entry] = {
    **{
        f"{'changed' if changed else 'unchanged'}, {'verified' if verified else 'unverified'}": worked(
            changed, verified
        )
        for changed, verified in itertools.product((True, False), repeat=2)
    },
    **{code: failed(code) for code in CODES},
    **{f"{code}, seen {probe}": failed(code, probe=probe) for code in CODES for probe in ("accepted", "rejected")},
    **{f"{code}, changed": {**failed(code), "changed": True} for code in CODES},
}


def test_all_error_codes_are_there() -> None:
    assert len(CODES) == 14 and set(CODES) > DEFINITE


@pytest.mark.parametrize("kind", OUTCOMES)
def test_a_fresh_secret(kind: str) -> None:
    """Committed if the module did not fail, discarded only after a definite no, else kept."""
    outcome = OUTCOMES[kind]
    verdict = Verdict(answer(record("A")), fresh=answer(outcome))
    assert verdict.commit == ([] if outcome["failed"] else ["A"])
    assert verdict.discard == (["A"] if outcome.get("error_code") in DEFINITE and not outcome["changed"] else [])
    assert verdict.unproved == []
    assert verdict.pending == ["Title of A (A)"]


def test_a_recovered_secret_that_was_set_before_is_kept() -> None:
    """PRIOR_USE of a value that an earlier run made says that it was set once; it may be in force all the same."""
    refused = {**failed("refused", probe="rejected"), "refusal_reason": "PRIOR_USE"}
    assert Verdict(answer(record("A", "recovered")), recovered=answer(refused)).discard == []


def test_keys_that_are_seen_need_no_login() -> None:
    staged, outcome = answer(record("A", "recovered")), answer(worked(changed=False, verified=False))
    assert Verdict(staged, recovered=outcome, by_fingerprint=True).commit == ["A"]


def test_only_keys_that_are_in_place_are_proved_and_retired() -> None:
    staged = answer(record("A", "idle", private_key="key"), record("B", "idle", private_key="key"))
    idle = answer(worked(changed=False, verified=False), worked(changed=True, verified=False))
    verdict = Verdict(staged, idle=idle)
    assert [entry["record_uid"] for entry in verdict.in_place] == ["A"]
    assert len(verdict.failures) == 1 and "(B)" in verdict.failures[0]


def test_a_record_without_a_usable_key_stops_no_other() -> None:
    staged = answer(record("A", private_key="key", password=None), record("B", private_key=None, password=None))
    verdict = Verdict(staged, fresh=answer(worked()))
    assert verdict.commit == ["A"]
    assert len(verdict.failures) == 1 and "(B)" in verdict.failures[0]


@pytest.mark.parametrize("kind", OUTCOMES)
def test_a_recovered_secret(kind: str) -> None:
    """Committed if it was set or proved in this run, discarded only if it was seen not to log in, else kept."""
    outcome = OUTCOMES[kind]
    staged = answer(record("A", "recovered"))
    verdict = Verdict(staged, recovered=answer(outcome))
    sure = outcome["changed"] or outcome["verified"]
    assert verdict.commit == (["A"] if not outcome["failed"] and sure else [])
    assert verdict.discard == (
        ["A"] if outcome.get("error_code") in DEFINITE and outcome.get("probe") == "rejected" else []
    )
    assert [entry["record_uid"] for entry in verdict.unproved] == (["A"] if not outcome["failed"] and not sure else [])


@pytest.mark.parametrize("kind", OUTCOMES)
def test_a_recovered_secret_that_was_set_again(kind: str) -> None:
    """The second answer counts for what no login could tell, and only for that."""
    outcome = OUTCOMES[kind]
    staged = answer(record("A", "recovered"))
    verdict = Verdict(staged, recovered=answer(worked(changed=False, verified=False)), again=answer(outcome))
    assert verdict.commit == ([] if outcome["failed"] else ["A"])
    assert verdict.discard == (
        ["A"] if outcome.get("error_code") in DEFINITE and outcome.get("probe") == "rejected" else []
    )
    # Without a doubt there is nothing to set again, so an answer belongs to nobody.
    verdict = Verdict(staged, recovered=answer(worked()), again=answer(outcome))
    assert verdict.commit == ["A"] and verdict.discard == []


@pytest.mark.parametrize("one", OUTCOMES)
def test_a_secret_is_never_committed_and_discarded(one: str) -> None:
    staged = answer(record("A"), record("B", "recovered"), record("C"), record("D", "recovered"))
    for other in OUTCOMES:
        fresh, recovered = answer(OUTCOMES[one], OUTCOMES[other]), answer(OUTCOMES[other], OUTCOMES[one])
        verdict = Verdict(staged, fresh=fresh, recovered=recovered)
        assert not set(verdict.commit) & set(verdict.discard)
        assert len(set(verdict.commit)) == len(verdict.commit) and len(set(verdict.discard)) == len(verdict.discard)


def test_nothing_was_asked_yet() -> None:
    verdict = Verdict(answer(record("A"), record("B", "recovered"), record("C", "idle")))
    assert (verdict.commit, verdict.discard, verdict.unproved, verdict.failures) == ([], [], [], [])
    assert verdict.pending == ["Title of A (A)", "Title of B (B)"]


WHOLE: list[dict[str, t.Any] | None] = [
    None,
    {},
    {"skipped": True},
    {"rotations": None},
    {"rotations": []},
    {"failed": True, "msg": "No module."},
]


@pytest.mark.parametrize("nothing", WHOLE)
def test_a_task_without_entries_decides_nothing(nothing: dict[str, t.Any] | None) -> None:
    """It was skipped, or it failed as a whole, so that nobody knows what it did."""
    staged = answer(record("A"), record("B", "recovered"))
    verdict = Verdict(staged, fresh=nothing, recovered=nothing, again=nothing, committed=nothing, discarded=nothing)
    assert (verdict.commit, verdict.discard) == ([], [])
    assert verdict.failures == (["No module."] if nothing and nothing.get("msg") else [])
    assert Verdict(nothing or {}).summary()[0].startswith("0 rotated, 0 recovered, 0 not due")


@pytest.mark.parametrize("count", [0, 1, 3, 4])
@pytest.mark.parametrize("outcome", [worked(), failed("refused", probe="rejected")])
@pytest.mark.parametrize("kind", ["fresh", "recovered"])
def test_misaligned_lists_give_nothing(count: int, outcome: Entry, kind: t.Literal["fresh", "recovered"]) -> None:
    """With one answer too many or too few, nobody knows whose is whose."""
    staged = answer(record("A", kind), record("B", kind))
    outcomes: dict[str, t.Any] = {kind: answer(*[outcome] * count)}
    verdict = Verdict(staged, **outcomes)
    assert (verdict.commit, verdict.discard, verdict.unproved) == ([], [], [])
    unsure = answer(worked(changed=False, verified=False), worked(changed=False, verified=False))
    assert Verdict(staged, recovered=unsure, again=answer(*[outcome] * count)).commit == []


def test_answers_go_to_their_records() -> None:
    """Records that are left out, because they failed, have no login or are not due, do not shift the others."""
    staged = answer(
        record("X", "failed"),
        record("A"),
        record("I", "idle"),
        record("N", login=""),
        record("R", "recovered"),
        record("B"),
        record("S", "recovered"),
        record("C"),
    )
    verdict = Verdict(
        staged,
        fresh=answer(worked(), failed("refused"), failed("unreachable")),
        recovered=answer(failed("refused", probe="rejected"), worked()),
    )
    assert sorted(verdict.commit) == ["A", "S"] and sorted(verdict.discard) == ["B", "R"]
    assert [entry["record_uid"] for entry in chosen(staged, "fresh")] == ["A", "B", "C"]
    assert [entry["record_uid"] for entry in chosen(staged, "recovered")] == ["R", "S"]
    assert [entry["record_uid"] for entry in chosen(staged, "idle")] == ["I"]
    assert "Keeper record Title of N (N) has no login." in verdict.failures and "X cannot be read. [vault_error]" in (
        verdict.failures
    )


def test_what_was_set_again_goes_to_its_records() -> None:
    staged = answer(*[record(uid, "recovered") for uid in "ABCD"])
    unsure = worked(changed=False, verified=False)
    recovered = answer(unsure, worked(), unsure, failed("unreachable"))
    again = answer(failed("refused"), worked())
    assert [entry["record_uid"] for entry in Verdict(staged, recovered=recovered).unproved] == ["A", "C"]
    assert sorted(Verdict(staged, recovered=recovered, again=again).commit) == ["B", "C"]


# -- what is said


def test_the_counts() -> None:
    """Rotated is what was committed, not what was meant to be."""
    staged = answer(*[record(uid) for uid in "AB"], record("R", "recovered"), record("I", "idle"))
    done = [{"record_uid": "A", "failed": False}, {"record_uid": "R", "failed": False}]
    missed = {"record_uid": "B", "failed": True, "error_code": "vault_error", "msg": "Keeper is down."}
    verdict = Verdict(
        staged,
        fresh=answer(worked(), worked()),
        recovered=answer(worked(changed=False)),
        committed={"rotations": [*done, missed]},
    )
    assert verdict.summary() == [
        "1 rotated, 1 recovered, 1 not due, 1 failed",
        "Keeper is down. [vault_error]",
        "Still pending in Keeper, and taken up by the next run: Title of B (B).",
    ]


def test_what_was_discarded_is_not_pending() -> None:
    verdict = Verdict(
        answer(record("A")),
        fresh=answer(failed("refused")),
        discarded={"rotations": [{"record_uid": "A", "failed": False}]},
    )
    assert verdict.pending == [] and verdict.summary() == [
        "0 rotated, 0 recovered, 0 not due, 1 failed",
        "It is refused. [refused]",
    ]


def test_the_counts_in_check_mode() -> None:
    staged = answer(record("A"), record("R", "recovered"), record("I", "idle"), record("X", "failed"))
    assert Verdict(staged, check_mode=True).summary() == [
        "check mode: 2 due, 1 not due, 1 failed",
        "X cannot be read. [vault_error]",
    ]


def test_failures_of_other_tasks_are_said_once() -> None:
    gone = answer(failed("unreachable"), failed("unreachable"))
    whole = {"msg": "No vault.", "error_code": "invalid_input"}
    verdict = Verdict(answer(record("A", "idle")), others=[gone, {}, {"msg": "It broke."}, whole])
    assert verdict.failures == ["It is unreachable. [unreachable]", "It broke.", "No vault. [invalid_input]"]


def test_no_secret_is_said() -> None:
    staged = answer(record("A"), record("B", "recovered"), record("I", "idle"), record("N", login=""))
    for outcome in OUTCOMES.values():
        said = rotation.rotation_verdict(staged, fresh=answer(outcome), recovered=answer(outcome))
        assert "secret of" not in json.dumps(said)
        assert set(said) == {"commit", "discard", "failures", "namesakes", "outcomes", "rotation_id", "summary"}


def test_the_name_of_the_rotation_is_of_any_record_that_has_one() -> None:
    staged = answer(record("X", "failed"), record("I", "idle", rotation_id=None), record("A", rotation_id="run"))
    assert Verdict(staged).rotation_id == "run"
    assert Verdict(answer(record("I", "idle", rotation_id=None))).rotation_id is None
    assert Verdict({}).rotation_id is None


# -- namesakes


@pytest.mark.parametrize(
    ("logins", "same"),
    [
        (["a", "b"], []),
        (["etl", "ETL"], ["ETL"]),
        (["etl", "other", "Etl", "OTHER"], ["ETL", "OTHER"]),
        (["", ""], []),
    ],
)
def test_records_of_one_user(logins: list[str], same: list[str]) -> None:
    staged = answer(*[record(str(number), login=login) for number, login in enumerate(logins)], record("X", "failed"))
    assert namesakes(staged, exact_name) == same


def test_quotes_do_not_make_another_user() -> None:
    """C("ETL") is the user that C(etl) is."""
    staged = answer(record("A", login="etl"), record("B", "recovered", login='"ETL"'))
    assert namesakes(staged, exact_name) == ["ETL"]


def test_a_record_that_is_not_due_counts_as_well() -> None:
    assert namesakes(answer(record("A", login="etl"), record("B", "idle", login="ETL")), exact_name) == ["ETL"]


def test_names_in_quotes_that_differ_in_case_are_two_users() -> None:
    assert namesakes(answer(record("A", login='"etl"'), record("B", login='"ETL"')), exact_name) == []


# -- the filters


def test_users_of_a_module() -> None:
    staged = answer(
        record("A", current_public_key="public", login="a"),
        record("B", current_public_key=None, login="b"),
        record("R", "recovered", login="r"),
        record("I", "idle", login="i"),
    )
    columns = {"name": "login", "private_key": "private_key", "current_public_key": "current_public_key"}
    assert rotation.rotation_users(staged, "fresh", {"key_pair_name": "KEYTURN"}, **columns) == [
        {"key_pair_name": "KEYTURN", "name": "a", "private_key": "secret of A", "current_public_key": "public"},
        {"key_pair_name": "KEYTURN", "name": "b", "private_key": "secret of B"},
    ]
    assert rotation.rotation_users(staged, "recovered", None, **columns) == [
        {"name": "r", "private_key": "secret of R"}
    ]
    assert rotation.rotation_users(staged, "idle", {}, name="login") == [{"name": "i"}]
    assert rotation.rotation_users({}, "fresh", name="login") == []
    assert users([], {"name": "login"}) == []


def test_the_users_that_are_set_again() -> None:
    staged = answer(record("A", "recovered"), record("B", "recovered"))
    unsure = worked(changed=False, verified=False)
    columns = {"name": "login", "private_key": "private_key"}
    assert rotation.rotation_unproved(staged, answer(worked(), unsure), **columns) == [
        {"name": "user_B", "private_key": "secret of B"}
    ]


def test_every_filter_has_its_name() -> None:
    found = {**rotation.FilterModule().filters(), **snowflake_login.FilterModule().filters()}
    assert sorted(found) == [
        "rotation_in_place",
        "rotation_unproved",
        "rotation_users",
        "rotation_verdict",
        "snowflake_login",
    ]
    assert found["rotation_verdict"](answer(record("A")), fresh=answer(worked()))["commit"] == ["A"]


RECORD = {"login": ["ROTATOR"], "snowflake_account_name": ["xy12345"]}
BASE = {"login_user": "ROTATOR", "account": "xy12345"}


@pytest.mark.parametrize(
    ("fields", "secret"),
    [
        ({"password": ["pw"]}, {"login_password": "pw"}),
        ({"password": "pw"}, {"login_password": "pw"}),
        ({"password": ["pw"], "privatePEMKey": ["key"]}, {"login_password": "pw"}),
        ({"password": [], "privatePEMKey": ["key"]}, {"login_private_key": "key"}),
        ({"password": [""], "privatePEMKey": ["key"]}, {"login_private_key": "key"}),
        ({"keyPair": [{"publicKey": "public", "privateKey": "key"}]}, {"login_private_key": "key"}),
        ({"keyPair": [{"publicKey": "", "privateKey": ""}], "privatePEMKey": ["key"]}, {"login_private_key": "key"}),
        ({"keyPair": []}, {}),
        ({}, {}),
    ],
)
def test_the_administrators_record(fields: dict[str, t.Any], secret: dict[str, str]) -> None:
    assert snowflake_login.snowflake_login({**RECORD, **fields}, {}) == {**BASE, **secret}
    more = {"login_role": "USER_ROTATOR", "login_timeout": 5, "login_private_key_passphrase": "pw"}
    assert snowflake_login.snowflake_login({**RECORD, **fields}, more) == {**BASE, **secret, **more}


@pytest.mark.parametrize(
    "way", ["login_password", "login_private_key", "login_private_key_path", "login_token", "login_authenticator"]
)
@pytest.mark.parametrize("fields", [{"password": ["pw"]}, {"privatePEMKey": ["key"]}])
def test_a_way_to_log_in_replaces_the_records_secret(way: str, fields: dict[str, t.Any]) -> None:
    """Two ways at once would be refused by the module, or worse, the wrong one would be taken."""
    assert snowflake_login.snowflake_login({**RECORD, **fields}, {way: "given"}) == {**BASE, way: "given"}


def test_the_connection_wins_and_empty_values_go() -> None:
    connection = {"account": "ab67890", "login_user": "SECOND", "login_role": "", "login_host": None}
    given = snowflake_login.snowflake_login({**RECORD, "password": ["pw"]}, connection)
    assert given == {"account": "ab67890", "login_user": "SECOND", "login_password": "pw"}


def test_one_answer_for_new_and_recovered_secrets_is_taken_apart() -> None:
    """As a service is asked once for both: what is certain of a new secret is not certain of a recovered one."""
    staged = answer(record("a"), record("b", "recovered"), record("c"), record("d", "recovered"), record("e", "idle"))
    assert [entry["record_uid"] for entry in chosen(staged, "due")] == ["a", "b", "c", "d"]
    verdict = Verdict(staged, due=answer(worked(), worked(), failed("refused"), failed("refused")))
    assert verdict.commit == ["a", "b"] and verdict.discard == ["c"]
    assert len(verdict.failures) == 1
    done = Verdict(staged, due=answer(worked(), worked()), committed=answer(record("a"), record("b")))
    # One outcome for each record, or none at all.
    assert done.commit == [] and done.summary()[0].startswith("0 rotated, 0 recovered")


@pytest.mark.parametrize(("status", "discarded"), [(400, True), (404, True), (200, False), (204, False), (302, False)])
def test_an_unexpected_answer_of_http_is_no_definite_refusal(status: int, discarded: bool) -> None:
    staged = answer(record("a"))
    verdict = Verdict(staged, due=answer(failed("refused", status=status)))
    assert verdict.discard == (["a"] if discarded else []) and verdict.commit == []


# -- the outcomes for reports


def ended(*uids: str, **fields: t.Any) -> dict[str, t.Any]:
    return answer(*({"record_uid": uid, "failed": False, "changed": True, **fields} for uid in uids))


@pytest.mark.parametrize("kind", OUTCOMES)
def test_an_outcome_agrees_with_the_commit(kind: str) -> None:
    """A record is told as rotated or recovered exactly if it was committed; else as failed, with the service's code."""
    outcome = OUTCOMES[kind]
    staged = answer(record("A"), record("B", "recovered"))
    once = Verdict(staged, fresh=answer(outcome), recovered=answer(outcome), again=answer(worked()))
    uids = once.commit
    verdict = Verdict(
        staged,
        fresh=answer(outcome),
        recovered=answer(outcome),
        again=answer(worked()),
        committed=ended(*uids, rotated_at="2026-05-01T00:00:00Z") if uids else None,
        discarded=ended(*once.discard) if once.discard else None,
    )
    fresh, recovered = verdict.outcomes
    for told, good in ((fresh, "rotated"), (recovered, "recovered")):
        assert told["outcome"] == (good if told["record_uid"] in uids else "failed")
        assert told["pending"] is (told["record_uid"] not in {*uids, *once.discard})
        if told["outcome"] == "failed":
            assert told["error_code"] == outcome["error_code"] and told["msg"] == outcome["msg"]
        else:
            assert told["rotated_at"] == "2026-05-01T00:00:00Z" and isinstance(told["verified"], bool)


def test_outcomes_of_what_was_not_reached() -> None:
    """Whatever is missing among the answers, a due record without a commit has failed, and is still pending."""
    staged = answer(record("A"), record("I", "idle", rotated_at="2026-05-01T00:00:00Z"), record("X", "failed"))
    broken = {"failed": True, "msg": "The module could not start.", "error_code": "missing_dependency"}
    for fresh, message in ((None, "The run ended before it."), (broken, "The module could not start.")):
        due, idle, unread = Verdict(staged, fresh=fresh).outcomes
        assert (due["outcome"], due["pending"]) == ("failed", True) and due["msg"].startswith(message)
        assert (idle["outcome"], idle["pending"], idle["rotated_at"]) == ("not_due", False, "2026-05-01T00:00:00Z")
        assert (unread["outcome"], unread["error_code"], unread["record"]) == ("failed", "vault_error", "X")


def test_outcomes_when_the_commit_fails() -> None:
    commit = answer({"record_uid": "A", "failed": True, "error_code": "unreachable", "msg": "No answer."})
    (told,) = Verdict(answer(record("A")), fresh=answer(worked()), committed=commit).outcomes
    assert (told["outcome"], told["error_code"], told["pending"]) == ("failed", "unreachable", True)


def test_outcomes_of_damaged_and_nameless_records_and_in_check_mode() -> None:
    staged = answer(record("A", login=""), record("B", private_key=None), record("I", "idle"))
    nameless, damaged, _idle = Verdict(staged).outcomes
    assert "has no login" in nameless["msg"] and "cannot be read" in damaged["msg"]
    told = Verdict(answer(record("A", private_key=None), record("I", "idle")), check_mode=True).outcomes
    assert [(each["outcome"], each["pending"]) for each in told] == [("due", False), ("not_due", False)]


def test_outcomes_of_keys_that_are_not_due() -> None:
    """One that the service was found not to hold is no success, though nothing was to be done."""
    (told,) = Verdict(answer(record("I", "idle")), idle=answer(failed("verify_failed"))).outcomes
    assert (told["outcome"], told["error_code"]) == ("failed", "verify_failed")


def test_a_new_secret_that_logs_in_before_it_was_set_is_never_committed() -> None:
    """Nobody has it, so the login that accepts it accepts everything; what an earlier run left may be in force."""
    staged = answer(record("new"), record("left", "recovered"))
    verdict = Verdict(staged, due=answer(worked(changed=False), worked(changed=False)))
    assert verdict.commit == ["left"] and verdict.discard == ["new"]
    assert len(verdict.failures) == 1 and "(new)" in verdict.failures[0] and "proves nothing" in verdict.failures[0]
    told = Verdict(staged, due=answer(worked(changed=False), worked(changed=False)), discarded=answer(record("new")))
    assert told.outcomes[0]["outcome"] == "failed" and told.outcomes[0]["error_code"] == "invalid_input"
