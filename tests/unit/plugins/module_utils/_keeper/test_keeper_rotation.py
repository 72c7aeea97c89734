# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vault's half of a rotation over a vault in memory, with other people at work in it at the worst moments."""

from __future__ import annotations

import copy
import datetime as dt
import json
import time
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    RateLimited,
    RotationError,
    Unreachable,
    VaultError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record, Snapshot
from tests.unit.plugins.module_utils._keeper.conftest import (
    KEY_PAIR,
    LIVE,
    PASSWORD,
    UID,
    Edit,
    FakeVault,
    Target,
    Task,
    _field,
    _other_login,
)

RSA_KEY = keys.generate_rsa(2048)


def _note(text: str) -> Edit:
    def edit(data: fields.Data) -> fields.Data:
        fields.put_custom(data, "note", text)
        return data

    return edit


def _staged_by(run: str, secret: str, *, age: dt.timedelta = dt.timedelta(0)) -> Edit:
    started = dt.datetime.now(dt.UTC) - age
    return lambda data: fields.staged(data, PASSWORD, secret, fields.Marker(run, run, "password", started))


# -- one rotation


def test_a_rotation_from_beginning_to_end(vault: FakeVault, task: Task) -> None:
    (staged,) = task("staged", rotation_id="job")
    new = staged["password"]
    assert (staged["changed"], staged["due"], staged["recovered"], staged["verified"]) == (True, True, False, False)
    assert staged["old_password"] == LIVE == fields.live_secret(vault.data, PASSWORD)
    assert fields.pending(vault.data) == new != LIVE
    (committed,) = task("committed", rotation_id="job", extra={"account": "acc"})
    assert committed["changed"] and "password" not in committed
    assert fields.live_secret(vault.data, PASSWORD) == new
    assert fields.pending(vault.data) is None
    assert fields.text(vault.data, label="account") == "acc"
    assert fields.text(vault.data, label="note") == "theirs"
    (again,) = task("committed", rotation_id="job")
    assert not again["changed"] and fields.live_secret(vault.data, PASSWORD) == new
    (later,) = task("staged", max_age=dt.timedelta(days=1))
    assert (later["due"], later["changed"], "password" in later) == (False, False, False)


def test_the_pending_value_and_its_state_are_one_update(vault: FakeVault, task: Task) -> None:
    task("staged")
    assert vault.saves == 1
    task("committed")
    assert vault.saves == 2


def test_a_second_staging_finds_the_same_value_and_writes_nothing(vault: FakeVault, task: Task) -> None:
    (first,) = task("staged", rotation_id="job")
    (second,) = task("staged", rotation_id="job", max_age=dt.timedelta(days=999))
    assert (second["password"], second["changed"], second["recovered"]) == (first["password"], False, True)
    assert first["rotation_id"] == second["rotation_id"] == "job"
    assert vault.saves == 1


@pytest.mark.parametrize("target", ["committed", "discarded"])
def test_of_two_runs_without_a_name_the_later_one_ends_the_rotation(
    vault: FakeVault, task: Task, target: Target
) -> None:
    """The first may be refused and discard, while the second has just given the same value to the service."""
    (first,) = task("staged")
    (second,) = task("staged", max_age=dt.timedelta(days=999))
    assert (second["password"], second["changed"], second["recovered"]) == (first["password"], True, True)
    (late,) = task(target, rotation_id=first["rotation_id"])
    assert (late["error_code"], late["retry_safe"]) == ("busy", True)
    assert fields.pending(vault.data) == first["password"]
    assert task(target, rotation_id=second["rotation_id"])[0]["changed"]


def test_discarding_leaves_the_live_secret(vault: FakeVault, task: Task) -> None:
    task("staged")
    assert task("discarded")[0]["changed"]
    assert (fields.pending(vault.data), fields.live_secret(vault.data, PASSWORD)) == (None, LIVE)
    assert not task("discarded")[0]["changed"]


def test_a_key_pair_is_staged_and_moves_with_its_public_half(vault: FakeVault, task: Task) -> None:
    vault.add(fields=[{"type": "keyPair", "value": []}])
    (staged,) = task("staged", place=KEY_PAIR)
    key = keys.load_private_key(staged["private_key"])
    assert (staged["public_key"], staged["fingerprint"]) == (keys.public_base64(key), keys.fingerprint(key))
    assert staged["current_public_key"] is None
    task("committed", place=KEY_PAIR)
    field = fields.first_value(KEY_PAIR.field(vault.data))
    assert field == {"publicKey": staged["public_key"], "privateKey": staged["private_key"]}
    (next_one,) = task("staged", place=KEY_PAIR)
    assert next_one["current_public_key"] == staged["public_key"] != next_one["public_key"]


@pytest.mark.parametrize("target", ["staged", "committed", "discarded"])
def test_check_mode_saves_nothing_and_returns_no_secret(vault: FakeVault, task: Task, target: Target) -> None:
    task("staged")
    before = copy.deepcopy(vault.records)
    (entry,) = task(target, check_mode=True)
    assert vault.records == before
    assert entry["verify_skipped_reason"] == "check_mode"
    assert str(fields.pending(vault.data)) not in str(entry) and LIVE not in str(entry)


# -- others at work


@pytest.mark.parametrize("target", ["committed", "discarded"])
@pytest.mark.parametrize("conflicts", [1, 4])
def test_others_edits_are_kept_and_the_update_is_made_on_top(target: Target, conflicts: int) -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    (staged,) = task("staged")
    vault.edits = [_note(f"edit {number}") for number in range(conflicts)]
    (entry,) = task(target)
    assert not entry["failed"] and entry["changed"]
    assert fields.text(vault.data, label="note") == f"edit {conflicts - 1}"
    assert fields.pending(vault.data) is None
    assert fields.live_secret(vault.data, PASSWORD) == (staged["password"] if target == "committed" else LIVE)


def test_an_edit_while_staging_does_not_keep_it_from_staging() -> None:
    vault = FakeVault(edits=[_note("mine"), _note("mine too")])
    vault.add()
    (entry,) = Task(vault)("staged")
    assert entry["password"] == fields.pending(vault.data)
    assert fields.text(vault.data, label="note") == "mine too"


def test_five_conflicts_are_enough() -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    (staged,) = task("staged")
    vault.saves = 0
    vault.edits = [_note(str(number)) for number in range(99)]
    (entry,) = task("committed")
    assert (entry["error_code"], entry["retry_safe"], entry["changed"]) == ("vault_error", True, False)
    assert vault.saves == 5
    assert fields.pending(vault.data) == staged["password"], "the next run goes on with it"


def test_of_two_runs_that_stage_at_once_one_gives_way(vault: FakeVault, task: Task) -> None:
    if vault.enforced:
        vault.edits = [_staged_by("other", "theirs")]
        (entry,) = task("staged")
        assert (entry["error_code"], entry["retry_safe"], entry["changed"]) == ("busy", True, False)
        assert "password" not in entry
        assert fields.pending(vault.data) == "theirs"
    else:
        # Their save follows ours at once, before we have read back.
        save = vault.save

        def overtaken(record: Record, data: fields.Data) -> None:
            save(record, data)
            vault.edit(UID, lambda _now: _staged_by("other", "theirs")(copy.deepcopy(record.data)))

        vault.save = overtaken  # type: ignore[method-assign]
        (entry,) = task("staged")
        assert entry["error_code"] == "busy" and "password" not in entry
        assert fields.pending(vault.data) == "theirs"


def test_a_run_that_stages_first_is_not_overwritten_by_the_one_that_read_before(task: Task, vault: FakeVault) -> None:
    vault.edits = [_staged_by("other", "theirs")]
    (entry,) = task("staged", rotation_id="mine")
    # Without enforcement ours is the last: then it must be the one that is returned and pending.
    if entry["failed"]:
        assert (entry["error_code"], fields.pending(vault.data)) == ("busy", "theirs")
    else:
        assert entry["password"] == fields.pending(vault.data)


def test_anothers_value_is_taken_over_after_its_lease_and_stays_the_same(vault: FakeVault, task: Task) -> None:
    vault.edit(UID, _staged_by("other", "theirs", age=dt.timedelta(minutes=16)))
    assert task("staged", rotation_id="mine", lease=dt.timedelta(hours=1))[0]["error_code"] == "busy"
    (entry,) = task("staged", rotation_id="mine")
    assert (entry["password"], entry["recovered"], entry["changed"]) == ("theirs", True, True)
    mark = fields.marker(vault.data)
    assert mark is not None and mark.rotation_id == "mine"
    assert task("committed", rotation_id="other")[0]["error_code"] == "busy"
    assert fields.pending(vault.data) == "theirs"


def test_a_lease_that_begins_in_the_far_future_binds_nobody(vault: FakeVault, task: Task) -> None:
    """A clock that was wrong; one that is a little ahead is believed."""
    vault.edit(UID, _staged_by("other", "theirs", age=-dt.timedelta(minutes=1)))
    assert task("staged", rotation_id="mine")[0]["error_code"] == "busy"
    vault.edit(UID, _staged_by("other", "theirs", age=-dt.timedelta(days=400)))
    assert task("staged", rotation_id="mine")[0]["password"] == "theirs"


def test_an_edit_does_not_keep_a_left_value_from_being_taken_over() -> None:
    vault = FakeVault(edits=[_note("mine")])
    vault.add()
    vault.edit(UID, _staged_by("other", "theirs", age=dt.timedelta(hours=1)))
    (entry,) = Task(vault)("staged", rotation_id="mine")
    assert not entry["failed"], entry
    assert entry["password"] == "theirs" == fields.pending(vault.data)


def test_a_takeover_that_was_not_saved_says_why(vault: FakeVault, task: Task) -> None:
    vault.edit(UID, _staged_by("other", "theirs", age=dt.timedelta(hours=1)))
    vault.before = [Unreachable("No answer.")]
    (entry,) = task("staged", rotation_id="mine")
    assert entry["error_code"] == "unreachable", "nobody else is at work"
    assert fields.pending(vault.data) == "theirs"


@pytest.mark.parametrize("target", ["committed", "discarded"])
@pytest.mark.parametrize("rotation_id", ["mine", None])
def test_a_value_that_another_run_has_put_there_meanwhile_is_not_ended(target: Target, rotation_id: str | None) -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    task("staged", rotation_id="mine")
    vault.edits = [_staged_by("other", "theirs")]
    (entry,) = task(target, rotation_id=rotation_id)
    assert fields.pending(vault.data) == "theirs"
    assert fields.live_secret(vault.data, PASSWORD) == LIVE
    assert entry["failed"]


def _relabel(data: fields.Data) -> fields.Data:
    """A person decides that the password belongs to another system."""
    data["fields"][1].update(type="text", label="password of the old system")
    return data


def _replace_pending(data: fields.Data) -> fields.Data:
    fields.put_custom(data, fields.PENDING, "another value")
    return data


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_relabel, "the field for the secret"),
        (_replace_pending, "the pending value"),
        (_other_login, "the login"),
    ],
)
def test_what_was_edited_since_the_staging_is_not_committed(edit: Edit, words: str) -> None:
    """What the service was given is what was staged, for the login and the field that the record had then."""
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    (staged,) = task("staged")
    vault.edit(UID, edit)
    before = copy.deepcopy(vault.data)
    (entry,) = task("committed", rotation_id=staged["rotation_id"])
    assert (entry["error_code"], vault.data) == ("vault_error", before)
    assert words in entry["msg"] and staged["password"] not in entry["msg"]


def test_only_what_was_staged_is_discarded(vault: FakeVault, task: Task) -> None:
    """The service has refused that, and not what a person has put there since."""
    (staged,) = task("staged")
    vault.edit(UID, _replace_pending)
    (entry,) = task("discarded", rotation_id=staged["rotation_id"])
    assert (entry["error_code"], fields.pending(vault.data)) == ("vault_error", "another value")
    assert task("discarded")[0]["changed"] and fields.pending(vault.data) is None


@pytest.mark.parametrize("junk", [5, "abc", {"a": 1}, None])
def test_a_state_of_somebody_elses_making_is_no_internal_error(vault: FakeVault, task: Task, junk: t.Any) -> None:
    (staged,) = task("staged")
    state = json.loads(fields.text(vault.data, fields.STATE) or "")
    fields.put_custom(vault.data, fields.STATE, json.dumps({**state, "former_logins": junk, "orphans": junk}))
    (again,) = task("staged")
    assert (again["password"], again["recovered"]) == (staged["password"], True) and "former_logins" not in again


@pytest.mark.parametrize("rotation_id", [None, "job"])
@pytest.mark.parametrize("edit", [_replace_pending, _other_login])
def test_the_next_run_takes_over_what_was_edited(edit: Edit, rotation_id: str | None) -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    task("staged", rotation_id=rotation_id)
    vault.edit(UID, edit)
    (again,) = task("staged", rotation_id=rotation_id)
    assert (again["changed"], again["recovered"]) == (True, True)
    assert again.get("former_logins") == ([f"user-{UID}"] if edit is _other_login else None)
    (entry,) = task("committed", rotation_id=again["rotation_id"])
    assert not entry["failed"] and fields.live_secret(vault.data, PASSWORD) == again["password"]


def test_what_an_older_version_has_staged_is_committed(vault: FakeVault, task: Task) -> None:
    vault.edit(UID, _staged_by("older", "its value"))
    state = json.loads(fields.text(vault.data, fields.STATE) or "")
    older = {name: value for name, value in state.items() if name not in ("place", "login", "value", "former_logins")}
    fields.put_custom(vault.data, fields.STATE, json.dumps(older))
    (entry,) = task("committed", rotation_id="older")
    assert not entry["failed"] and fields.live_secret(vault.data, PASSWORD) == "its value"


def test_what_somebody_else_has_committed_meanwhile_is_unchanged() -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    (staged,) = task("staged")
    now = dt.datetime.now(dt.UTC)
    vault.edits = [lambda data: fields.committed(data, PASSWORD, staged["password"], None, now, {})]
    (entry,) = task("committed")
    assert not entry["failed"]
    assert fields.live_secret(vault.data, PASSWORD) == staged["password"]


@pytest.mark.parametrize(("max_age", "due"), [(dt.timedelta(days=1), False), (None, True)])
def test_what_was_committed_while_it_was_taken_over_is_not_recovered(max_age: dt.timedelta | None, due: bool) -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    (first,) = task("staged")
    now = dt.datetime.now(dt.UTC)
    vault.edits = [lambda data: fields.committed(data, PASSWORD, first["password"], None, now, {})]
    (entry,) = task("staged", max_age=max_age)
    assert (entry["failed"], entry["due"], entry["recovered"]) == (False, due, False)
    assert fields.live_secret(vault.data, PASSWORD) == first["password"]
    assert entry.get("password") == fields.pending(vault.data) != first["password"]


def test_anothers_value_in_the_normal_field_is_not_taken_for_ours() -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    task("staged")
    now = dt.datetime.now(dt.UTC)
    vault.edits = [lambda data: fields.committed(data, PASSWORD, "theirs", None, now, {})]
    (entry,) = task("committed")
    assert not entry["changed"]
    assert fields.live_secret(vault.data, PASSWORD) == "theirs"


# -- saves and reads that fail


@pytest.mark.parametrize("target", ["staged", "committed", "discarded"])
@pytest.mark.parametrize("error", [Unreachable("No answer."), VaultError("Error.")])
def test_a_save_whose_answer_was_lost_has_taken_effect(
    vault: FakeVault, task: Task, target: Target, error: RotationError
) -> None:
    if target != "staged":
        task("staged")
    vault.after = [error]
    (entry,) = task(target)
    assert not entry["failed"] and entry["changed"]
    assert (fields.pending(vault.data) is None) is (target != "staged")
    assert entry.get("password") == fields.pending(vault.data)


@pytest.mark.parametrize("target", ["staged", "committed", "discarded"])
@pytest.mark.parametrize("error", [Unreachable("No answer."), VaultError("Error."), RateLimited("Later.")])
def test_a_save_that_failed_is_told_and_nothing_is_returned(
    vault: FakeVault, task: Task, target: Target, error: RotationError
) -> None:
    if target != "staged":
        task("staged")
    before = copy.deepcopy(vault.records)
    vault.before = [error]
    (entry,) = task(target)
    assert (entry["error_code"], entry["changed"], entry["retry_safe"]) == (error.error_code, False, True)
    assert "password" not in entry
    assert vault.records == before


def test_a_save_that_vanished_is_noticed(vault: FakeVault, task: Task) -> None:
    vault.save = lambda record, data: None  # type: ignore[method-assign]
    (entry,) = task("staged")
    assert (entry["error_code"], entry["changed"]) == ("vault_error", False)
    assert "password" not in entry


def test_a_value_that_was_not_read_back_is_not_given_to_anybody(vault: FakeVault, task: Task) -> None:
    vault.reads_that_fail = [None, Unreachable("No answer.")]
    (entry,) = task("staged")
    assert (entry["error_code"], entry["retry_safe"]) == ("unknown_outcome", True)
    assert "password" not in entry
    (next_run,) = task("staged")
    assert next_run["password"] == fields.pending(vault.data) and next_run["recovered"]


def test_a_takeover_that_was_not_read_back_gives_the_value_to_nobody(vault: FakeVault, task: Task) -> None:
    vault.edit(UID, _staged_by("other", "theirs", age=dt.timedelta(hours=1)))
    vault.reads_that_fail = [None, Unreachable("No answer.")]
    (entry,) = task("staged", rotation_id="mine")
    assert (entry["error_code"], "password" in entry) == ("unknown_outcome", False)


def test_a_vault_that_is_away_fails_every_record_before_anything(vault: FakeVault, task: Task) -> None:
    vault.reads_that_fail = [Unreachable("No answer.")]
    entries = task("staged", records=[UID, "other"])
    assert [entry["error_code"] for entry in entries] == ["unreachable"] * 2
    assert vault.saves == 0


# -- reads that are old

OLD = 2.5


@pytest.mark.parametrize("target", ["staged", "committed", "discarded"])
def test_an_old_read_is_made_anew_before_a_save(vault: FakeVault, task: Task, target: Target) -> None:
    """Once for all records; what somebody has written meanwhile is there."""
    uids = [letter * 22 for letter in "ABC"]
    for uid in uids:
        vault.add(uid)
    if target != "staged":
        task("staged", records=uids, rotation_id="mine")
    vault.ages, vault.reads = [OLD], 0
    read = vault.read

    def changed_after(references: t.Sequence[str]) -> Snapshot:
        seen = read(references)
        if vault.reads == 1:
            vault.edit(uids[1], _note("meanwhile"))
        return seen

    vault.read = changed_after  # type: ignore[method-assign]
    entries = task(target, records=uids, rotation_id="mine")
    assert [entry["changed"] for entry in entries] == [True] * 3
    assert vault.reads == 3, "read, read again, read back"
    assert fields.text(vault.records[uids[1]][0], "note") == "meanwhile"


def test_what_an_old_read_did_not_show_is_planned_for_anew(vault: FakeVault, task: Task) -> None:
    vault.ages = [OLD]
    read = vault.read

    def staged_after(references: t.Sequence[str]) -> Snapshot:
        seen = read(references)
        if vault.reads == 1:
            vault.edit(UID, _staged_by("other", "theirs"))
        return seen

    vault.read = staged_after  # type: ignore[method-assign]
    (entry,) = task("staged", rotation_id="mine")
    assert (entry["error_code"], fields.pending(vault.data)) == ("busy", "theirs")
    (entry,) = task("staged")
    assert (entry["password"], entry["recovered"]) == ("theirs", True)


def test_a_record_that_is_gone_when_it_is_read_again_is_not_looked_for_for_ever(vault: FakeVault, task: Task) -> None:
    vault.add("other")
    vault.ages = [OLD]
    read = vault.read

    def gone_after(references: t.Sequence[str]) -> Snapshot:
        seen = read(references)
        vault.records.pop(UID, None)
        return seen

    vault.read = gone_after  # type: ignore[method-assign]
    gone, other = task("staged", records=[UID, "other"])
    assert (gone["error_code"], other["failed"]) == ("not_found", False)


def test_a_vault_that_is_gone_when_it_is_to_be_read_again_is_asked_once(vault: FakeVault, task: Task) -> None:
    uids = [letter * 22 for letter in "ABCDEFGH"]
    for uid in uids:
        vault.add(uid)
    vault.ages = [OLD]
    vault.reads_that_fail = [None, *[Unreachable("No answer.") for _each in uids]]
    entries = task("staged", records=uids)
    assert {entry["error_code"] for entry in entries} == {"unreachable"}
    assert (vault.reads, vault.saves) == (2, 0)


def test_making_a_key_takes_longer_than_a_read_stays_fresh(
    vault: FakeVault, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made once, before the age is looked at."""
    clock = [time.monotonic()]
    made = []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def slowly(size: int) -> t.Any:
        clock[0] += OLD
        made.append(size)
        return RSA_KEY

    monkeypatch.setattr(keys, "generate_rsa", slowly)
    (entry,) = task("staged", place=KEY_PAIR)
    assert not entry["failed"] and entry["private_key"] == fields.pending(vault.data)
    assert (len(made), vault.reads) == (1, 3)


@pytest.mark.parametrize("recovered", [True, False])
def test_check_mode_tells_the_public_facts_of_keys(vault: FakeVault, task: Task, recovered: bool) -> None:
    pem = keys.private_pem(RSA_KEY)
    vault.edit(UID, lambda data: {**data, "custom": [{"type": "secret", "label": "privatePEMKey", "value": [pem]}]})
    if recovered:
        (staged,) = task("staged", place=KEY_PAIR, rotation_id="mine")
    (entry,) = task("staged", place=KEY_PAIR, rotation_id="mine", check_mode=True)
    assert (entry["due"], entry["recovered"], "private_key" in entry) == (True, recovered, False)
    assert entry["current_public_key"] == keys.public_base64(RSA_KEY)
    if recovered:
        assert (entry["fingerprint"], entry["rotation_id"]) == (staged["fingerprint"], "mine")
    else:
        assert "fingerprint" not in entry and entry["rotation_id"] is None


def test_check_mode_tells_the_key_of_a_record_that_is_not_due(vault: FakeVault, task: Task) -> None:
    task("staged", place=KEY_PAIR)
    task("committed", place=KEY_PAIR)
    (entry,) = task("staged", place=KEY_PAIR, max_age=dt.timedelta(days=1), check_mode=True)
    live = keys.load_private_key(str(fields.live_secret(vault.data, KEY_PAIR)))
    assert (entry["due"], entry["fingerprint"]) == (False, keys.fingerprint(live))
    assert "private_key" not in entry


# -- a policy of the record's own


def _policy(text: str) -> Edit:
    return lambda data: {
        **data,
        "custom": [*data["custom"], {"type": "text", "label": "Rotation Password-Policy", "value": [text]}],
    }


@pytest.mark.parametrize("text", ['{"max_length": 16, "length": 20}', "short", '{"length": 300}'])
@pytest.mark.parametrize("check_mode", [True, False])
def test_a_policy_that_nothing_meets_fails_its_record_only(
    vault: FakeVault, task: Task, text: str, check_mode: bool
) -> None:
    vault.add("other")
    vault.edit(UID, _policy(text))
    first, second = task("staged", records=[UID, "other"], check_mode=check_mode)
    assert (first["error_code"], second["failed"]) == ("invalid_input", False)
    assert "policy" in first["msg"] and fields.pending(vault.data) is None


def test_a_policy_of_the_record_is_met_and_holds_back_nothing_that_is_pending(vault: FakeVault, task: Task) -> None:
    vault.edit(UID, _policy('{"max_length": 12, "special_characters": ""}'))
    (entry,) = task("staged")
    assert len(entry["password"]) == 12 and entry["password"].isalnum()
    vault.edit(UID, lambda data: {**data, "custom": [each for each in data["custom"] if "Policy" not in each["label"]]})
    vault.edit(UID, _policy("unreadable"))
    (again,) = task("staged")
    assert again["password"] == entry["password"] and not task("committed")[0]["failed"]


def test_keys_have_no_policy_of_passwords(vault: FakeVault, task: Task) -> None:
    vault.edit(UID, _policy("unreadable"))
    assert not task("staged", place=KEY_PAIR)[0]["failed"]


# -- consumers


def test_who_is_to_be_told_is_kept_until_told(vault: FakeVault, task: Task) -> None:
    vault.edit(UID, _field("rotation_consumers", "web, app"))
    (staged,) = task("staged", rotation_id="one", consumers=("app",))
    assert staged["consumers"] == ["app", "web"] and "undelivered" not in staged
    task("committed", rotation_id="one", consumers=("app",))
    (entry,) = task("staged", max_age=dt.timedelta(days=1), check_mode=True, consumers=("app",))
    assert (entry["undelivered"], entry["committed_id"], entry["due"]) == (["app", "web"], "one", False)
    for consumer, left in (("app", ["web"]), ("app", ["web"]), ("web", [])):
        (told,) = task("delivered", rotation_id="one", consumer=consumer)
        assert not told["failed"] and fields.undelivered(vault.data) == left
    assert fields.last_committed(vault.data) == "one"
    (again,) = task("committed", rotation_id="one", consumers=("app",))
    assert (again["failed"], again["changed"], fields.undelivered(vault.data)) == (False, False, [])


def test_an_older_rotations_delivery_is_no_news(vault: FakeVault, task: Task) -> None:
    for name in ("one", "two"):
        task("staged", rotation_id=name)
        task("committed", rotation_id=name, consumers=("app",))
    (told,) = task("delivered", rotation_id="one", consumer="app")
    assert (told["failed"], told["changed"], fields.undelivered(vault.data)) == (False, False, ["app"])


def test_what_is_pending_meanwhile_and_what_is_discarded_leave_deliveries_alone(vault: FakeVault, task: Task) -> None:
    task("staged", rotation_id="one")
    task("committed", rotation_id="one", consumers=("app", "web"))
    (staged,) = task("staged", rotation_id="two")
    (told,) = task("delivered", rotation_id="one", consumer="app")
    assert told["changed"] and fields.pending(vault.data) == staged["password"]
    assert fields.marker(vault.data) is not None and fields.undelivered(vault.data) == ["web"]
    task("discarded", rotation_id="two")
    assert (fields.undelivered(vault.data), fields.last_committed(vault.data)) == (["web"], "one")


def test_a_key_waits_for_the_consumers_of_the_one_before(vault: FakeVault, task: Task) -> None:
    task("staged", place=KEY_PAIR, rotation_id="one")
    task("committed", place=KEY_PAIR, rotation_id="one", consumers=("app",))
    (entry,) = task("staged", place=KEY_PAIR, check_mode=True)
    assert not entry["due"] and entry["waiting"].startswith("its consumers app") and entry["fingerprint"]
    assert task("staged", place=KEY_PAIR, force=True, check_mode=True)[0]["due"]
    task("delivered", place=KEY_PAIR, rotation_id="one", consumer="app")
    assert task("staged", place=KEY_PAIR, check_mode=True)[0]["due"]


# -- many records


def test_many_records_cost_two_reads(vault: FakeVault, task: Task) -> None:
    uids = [letter * 22 for letter in "ABCDE"]
    for uid in uids:
        vault.add(uid)
    entries = task("staged", records=[*uids, "absent", f"Title of {UID}"])
    assert [entry["record"] for entry in entries] == [*uids, "absent", f"Title of {UID}"]
    assert [entry.get("error_code") for entry in entries] == [None] * 5 + ["not_found", None]
    assert (vault.reads, vault.saves) == (2, 6)
    assert len({entry["password"] for entry in entries if not entry["failed"]}) == 6


def test_a_vault_that_goes_away_is_not_asked_again_for_each_of_many(vault: FakeVault, task: Task) -> None:
    uids = [letter * 22 for letter in "ABCDEFGH"]
    for uid in uids:
        vault.add(uid)
    vault.reads_that_fail = [None, *[Unreachable("No answer.") for _each in uids]]
    entries = task("staged", records=uids)
    assert all(entry["failed"] and entry["retry_safe"] for entry in entries)
    assert vault.reads - 1 <= 2, "each costs a whole timeout"


def test_one_record_under_two_names_is_worked_on_once(vault: FakeVault, task: Task) -> None:
    first, second = task("staged", records=[UID, f"Title of {UID}"])
    assert not first["failed"] and not second["failed"]
    assert (first["password"], first["record_uid"]) == (second["password"], second["record_uid"])
    assert vault.saves == 1


# -- whatever happens

_FAILURES = st.sampled_from([None, None, Unreachable("No answer."), VaultError("Error."), RateLimited("Later.")])

_RUN = st.fixed_dictionaries(
    {
        "target": st.sampled_from(["staged", "staged", "committed", "discarded"]),
        "rotation_id": st.sampled_from([None, "one", "two"]),
        "lease": st.sampled_from([dt.timedelta(0), dt.timedelta(minutes=15)]),
        "before": st.lists(_FAILURES, max_size=2),
        "after": st.lists(_FAILURES, max_size=2),
        "reads": st.lists(_FAILURES, max_size=2),
        "edits": st.integers(0, 2),
    }
)


@given(runs=st.lists(_RUN, min_size=1, max_size=8))
def test_a_pending_value_never_changes_and_is_never_lost(runs: list[dict[str, t.Any]]) -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    for number, run in enumerate(runs):
        before, live = fields.pending(vault.data), fields.live_secret(vault.data, PASSWORD)
        vault.before, vault.after, vault.reads_that_fail = list(run["before"]), list(run["after"]), list(run["reads"])
        vault.edits = [_note(f"{number}.{edit}") for edit in range(run["edits"])]
        (entry,) = task(run["target"], rotation_id=run["rotation_id"], lease=run["lease"])
        pending, now = fields.pending(vault.data), fields.live_secret(vault.data, PASSWORD)
        if run["target"] == "staged":
            assert now == live
            assert before is None or pending == before
            # What a role gives to the service is in the record, as it was read back.
            assert entry.get("password") in (None, pending)
        elif run["target"] == "committed":
            assert (pending, now) in [(before, live), (None, before or live)]
        else:
            assert now == live and pending in (before, None)
        if not entry["failed"] and run["target"] != "staged":
            assert pending is None
        if entry["changed"]:
            assert (pending, now) != (before, live) or run["target"] == "staged"
