# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vault's half of a rotation over a vault in memory, with other people at work in it at the worst moments."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import json
import time
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
    RateLimited,
    RotationError,
    Unreachable,
    VaultError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import keeper_rotation, rotation_options
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record, Snapshot, Vault
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_plan import Minted, Options
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import rotate

UID = "U" * 22
RSA_KEY = keys.generate_rsa(2048)
LIVE = "live-password"
PASSWORD, KEY_PAIR = fields.Place("password"), fields.Place("key_pair")
Target = t.Literal["announced", "staged", "saved", "committed", "discarded", "delivered"]
Edit = t.Callable[[fields.Data], fields.Data]


@dataclasses.dataclass
class FakeVault:
    """enforced: an update with a stale revision is refused, as the service does; else the last writer wins.

    edits: what somebody else does to the record between our read and our save, one per save. before and after: what a
    save raises, before and after it has taken effect; one per save.
    """

    enforced: bool = True
    edits: list[Edit] = dataclasses.field(default_factory=list)
    before: list[RotationError | None] = dataclasses.field(default_factory=list)
    after: list[RotationError | None] = dataclasses.field(default_factory=list)
    reads_that_fail: list[RotationError | None] = dataclasses.field(default_factory=list)
    records: dict[str, tuple[fields.Data, int]] = dataclasses.field(default_factory=dict)
    reads: int = 0
    saves: int = 0
    # How long ago each read seems to be, in seconds, and what a save takes.
    ages: list[float] = dataclasses.field(default_factory=list)
    slow: float = 0

    def add(self, uid: str = UID, **more: t.Any) -> None:
        data = {
            "title": f"Title of {uid}",
            "type": "login",
            "fields": [{"type": "login", "value": [f"user-{uid}"]}, {"type": "password", "value": [LIVE]}],
            "custom": [{"type": "text", "label": "note", "value": ["theirs"]}],
            **more,
        }
        self.records[uid] = (data, 1)

    @property
    def data(self) -> fields.Data:
        return self.records[UID][0]

    def edit(self, uid: str, change: Edit) -> None:
        data, revision = self.records[uid]
        self.records[uid] = (change(copy.deepcopy(data)), revision + 1)

    def read(self, references: t.Sequence[str]) -> Snapshot:
        self.reads += 1
        if self.reads_that_fail and (error := self.reads_that_fail.pop(0)):
            raise error
        read_at = time.monotonic() - (self.ages.pop(0) if self.ages else 0)
        return Snapshot(
            {
                uid: Record(uid, copy.deepcopy(data), revision, editable=True, handle=None, read_at=read_at)
                for uid, (data, revision) in self.records.items()
            }
        )

    def read_all(self) -> Snapshot:
        return self.read(list(self.records))

    def save(self, record: Record, data: fields.Data) -> None:
        self.saves += 1
        assert time.monotonic() - record.read_at <= 2.0, "nothing is saved on a stale read"
        if self.edits:
            self.edit(record.uid, self.edits.pop(0))
        if self.before and (error := self.before.pop(0)):
            raise error
        if self.enforced and self.records[record.uid][1] != record.revision:
            raise VaultError("Conflict.")
        self.edit(record.uid, lambda _now: copy.deepcopy(data))
        if self.after and (error := self.after.pop(0)):
            raise error


@pytest.fixture(params=[True, False], ids=["enforced", "last writer wins"])
def vault(request: pytest.FixtureRequest) -> FakeVault:
    fake = FakeVault(enforced=request.param)
    fake.add()
    return fake


class Task:
    """One run of the module, without its front door."""

    def __init__(self, vault: FakeVault) -> None:
        self.vault = vault

    def __call__(
        self,
        target: Target,
        *,
        records: t.Sequence[str] = (UID,),
        place: fields.Place = PASSWORD,
        rotation_id: str | None = None,
        max_age: dt.timedelta | None = None,
        lease: dt.timedelta = dt.timedelta(minutes=15),
        extra: dict[str, str] | None = None,
        minted: dict[str, Minted] | None = None,
        waits: dict[str, str | None] | None = None,
        force: bool = False,
        consumers: tuple[str, ...] = (),
        consumer: str = "",
        check_mode: bool = False,
    ) -> list[dict[str, t.Any]]:
        options = Options(
            target=target,
            place=place,
            rotation_id=rotation_id,
            max_age=max_age,
            force=force,
            lease=lease,
            extra_fields=extra or {},
            minted=minted or {},
            waits=waits or {},
            consumers=consumers,
            consumer=consumer,
        )
        client = t.cast(Vault, self.vault)
        rotator = keeper_rotation.VaultRotator(client, records, options, 2048)
        return [outcome.entry() for outcome in rotate(rotator, records, check_mode=check_mode)]


@pytest.fixture
def task(vault: FakeVault) -> Task:
    return Task(vault)


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


def _other_login(data: fields.Data) -> fields.Data:
    data["fields"][0]["value"] = ["other-user"]
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


# -- when


def _field(label: str, text: str) -> Edit:
    return lambda data: {**data, "custom": [*data["custom"], {"type": "text", "label": label, "value": [text]}]}


def _shut() -> str:
    """A window that is over on every day of this week."""
    hour = (dt.datetime.now(dt.UTC).hour + 12) % 24
    return f"{hour:02}:00-{hour:02}:01"


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_record_waits_and_its_neighbour_does_not(vault: FakeVault, task: Task, check_mode: bool) -> None:
    vault.add("other")
    vault.edit(UID, _field("rotation_window", _shut()))
    first, second = task("staged", records=[UID, "other"], check_mode=check_mode)
    assert (first["due"], first["failed"], second["due"]) == (False, False, True)
    assert first["waiting"] == f"rotation_window is {_shut()}" and "waiting" not in second
    assert fields.pending(vault.data) is None and "password" not in first


def test_the_records_own_field_wins_over_the_option(task: Task, vault: FakeVault) -> None:
    waits: dict[str, str | None] = {"rotation_not_before": "2999-01-01"}
    assert task("staged", waits=waits, check_mode=True)[0]["waiting"] == "rotation_not_before is 2999-01-01"
    vault.edit(UID, _field("Rotation Not Before", "2020-01-01"))
    assert task("staged", waits=waits)[0]["due"]


def test_a_pending_value_is_never_held_back(vault: FakeVault, task: Task) -> None:
    (staged,) = task("staged")
    for label, text in (("rotation_window", "unreadable"), ("rotation_not_before", "2999"), ("rotation_after", UID)):
        vault.edit(UID, _field(label, text))
    (entry,) = task("staged")
    assert (entry["due"], entry["recovered"], entry["password"]) == (True, True, staged["password"])
    assert not task("committed")[0]["failed"]


@pytest.mark.parametrize(
    ("label", "text"),
    [("rotation_window", "at night"), ("rotation_not_before", "soon"), ("rotation_after", "no such record")]
    + [("rotation_after", UID)],
)
def test_a_time_that_cannot_be_used_fails_its_record_only(vault: FakeVault, task: Task, label: str, text: str) -> None:
    vault.add("other")
    vault.edit(UID, _field(label, text))
    first, second = task("staged", records=[UID, "other"])
    assert (first["error_code"], second["failed"]) == ("invalid_input", False) and first["left"] == "untouched"
    assert fields.pending(vault.data) is None


def test_force_overrules_times_and_not_the_pair(vault: FakeVault, task: Task) -> None:
    vault.add("other")
    vault.edit(UID, _field("rotation_window", _shut()))
    assert task("staged", force=True, check_mode=True)[0]["due"]
    vault.edit(UID, _field("rotation_after", "other"))
    long_ago = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2)).isoformat()
    vault.edit("other", _field("rotated_at", long_ago))
    first, second = task("staged", records=[UID, "other"], force=True, check_mode=True)
    assert (first["due"], second["due"]) == (False, True) and "rotate first" in first["waiting"]
    assert task("staged", force=True, max_age=dt.timedelta(days=30), check_mode=True)[0]["due"]


def test_a_pair_rotates_one_after_the_other(vault: FakeVault, task: Task) -> None:
    age = dt.timedelta(days=30)
    vault.add("other")
    vault.edit(UID, _field("rotation_after", "Title of other"))
    both = [UID, "other"]
    assert [entry["due"] for entry in task("staged", records=both, max_age=age)] == [False, True]
    assert "unfinished" in task("staged", max_age=age)[0]["waiting"]
    task("committed", records=["other"])
    assert "just rotated" in task("staged", max_age=age)[0]["waiting"]
    earlier = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)).isoformat()
    vault.edit("other", lambda data: {**data, "custom": []})
    vault.edit("other", _field("rotated_at", earlier))
    assert [entry["due"] for entry in task("staged", records=both, max_age=age)] == [True, False]


def test_records_that_wait_for_one_another(vault: FakeVault, task: Task) -> None:
    names = [UID, "second", "third"]
    for name in names[1:]:
        vault.add(name)
    for name, after in zip(names, [*names[1:], UID], strict=True):
        vault.edit(name, _field("rotation_after", after))
    assert {entry["error_code"] for entry in task("staged", records=names)} == {"invalid_input"}
    assert vault.saves == 0


def test_only_a_record_that_waits_for_one_that_is_not_shown_costs_a_read(vault: FakeVault, task: Task) -> None:
    vault.add("other")
    everything = vault.read
    vault.read = lambda references: Snapshot(  # type: ignore[method-assign]
        {uid: record for uid, record in everything(references).records.items() if uid in references}
    )
    task("staged", check_mode=True)
    assert vault.reads == 1
    vault.edit(UID, _field("rotation_after", "other"))
    assert "rotate first" in task("staged", check_mode=True)[0]["waiting"]
    assert vault.reads == 3


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


# -- what the module takes


def _params(**given: t.Any) -> dict[str, t.Any]:
    defaults = {name: option.get("default") for name, option in rotation_options.SPEC.options.items()}
    return {**defaults, "record": UID, "state": "staged", **given}


@pytest.mark.parametrize(
    "given",
    [
        {"record": None, "records": []},
        {"record": " "},
        {"key_size": 1024},
        {"rotation_id": ""},
        {"state": "delivered", "rotation_id": "one"},
        {"state": "delivered", "consumer": "app"},
        {"rotation_id": " "},
        {"max_age": ""},
        {"max_age": "a month"},
        {"lease": "soon"},
        {"fields": {"rotation_pending": "x"}},
        {"fields": {"Rotation-Pending": "x"}},
        {"fields": {"password": "x"}},
        {"fields": {"Login": "x"}},
        {"fields": {"private PEM key": "x"}},
        {"fields": {"deploy-key": "x"}, "key_field": "Deploy Key"},
        {"fields": {"account": "x", "Account": "y"}},
        {"key_field": "rotation_pending"},
        {"fields": {"rotation_state": "x"}},
        {"fields": {"rotated_at": "x"}},
        {"fields": {"a": ["x"]}},
        {"fields": {" ": "x"}},
        {"password_policy": {"length": 7}},
    ],
)
def test_input_that_cannot_be_used_is_refused_before_anything_is_saved(
    monkeypatch: pytest.MonkeyPatch, vault: FakeVault, given: dict[str, t.Any]
) -> None:
    monkeypatch.setattr(keeper_rotation, "vault", lambda params, environ: vault)
    try:
        result = keeper_rotation.run(_params(**given), False)
    except InvalidInput as error:
        result = {"error_code": error.error_code}
    assert result["error_code"] == "invalid_input"
    assert vault.saves == 0


def test_the_module_returns_what_the_engine_found(monkeypatch: pytest.MonkeyPatch, vault: FakeVault) -> None:
    monkeypatch.setattr(keeper_rotation, "vault", lambda params, environ: vault)
    result = keeper_rotation.run(_params(rotation_id="job"), False)
    assert result["password"] == result["rotations"][0]["password"] == fields.pending(vault.data)
    result = keeper_rotation.run(_params(state="committed", fields={"port": 443, "none": None}), False)
    assert fields.text(vault.data, label="port") == "443" and result["changed"]


# -- secrets that a service mints: announced, saved, committed

ENDS = "2026-12-31T00:00:00Z"


def _save(task: Task, rotation_id: str | None, secret: str, expires_at: str | None = None) -> dict[str, t.Any]:
    (entry,) = task("saved", rotation_id=rotation_id, minted={UID: Minted(secret, expires_at)})
    return entry


def _rotate_token(task: Task, secret: str) -> str:
    (announced,) = task("announced")
    assert not _save(task, announced["rotation_id"], secret, ENDS)["failed"]
    (committed,) = task("committed", rotation_id=announced["rotation_id"])
    assert committed["changed"]
    return str(announced["token_name"])


def test_a_token_from_its_announcement_to_the_end(vault: FakeVault, task: Task) -> None:
    (announced,) = task("announced")
    name = announced["token_name"]
    assert (announced["due"], announced["recovered"], announced.get("token")) == (True, False, None)
    assert name.startswith("KEYTURN_") and fields.pending(vault.data) is None
    saved = _save(task, announced["rotation_id"], "minted", ENDS)
    assert saved["changed"] and "token" not in saved and fields.pending(vault.data) == "minted"
    (committed,) = task("committed", rotation_id=announced["rotation_id"])
    assert committed["changed"] and fields.live_secret(vault.data, PASSWORD) == "minted"
    told = {label: fields.text(vault.data, label=label) for label in fields.TOKEN_FIELDS}
    assert told == {"token_name": name, "token_expires_at": ENDS}
    assert fields.pending(vault.data) is None and fields.names(vault.data, "orphans") == []
    second = _rotate_token(task, "minted later")
    (idle,) = task("announced", max_age=dt.timedelta(days=1), check_mode=False)
    assert (idle["due"], idle["token"], idle["current_token_name"]) == (False, "minted later", second)
    assert idle["previous_token_names"] == [name] and "orphans" not in idle


def test_the_name_that_the_service_has_given_counts(vault: FakeVault, task: Task) -> None:
    """As with Meraki's keys, which are listed by their last characters."""
    (announced,) = task("announced")
    task("saved", rotation_id=announced["rotation_id"], minted={UID: Minted("minted", token_name="nted")})
    (again,) = task("announced")
    assert (again["token"], again["current_token_name"]) == ("minted", "nted")
    task("committed", rotation_id=again["rotation_id"])
    assert fields.text(vault.data, label="token_name") == "nted" and fields.pending(vault.data) is None


def test_check_mode_announces_nothing_and_shows_no_token(vault: FakeVault, task: Task) -> None:
    (entry,) = task("announced", check_mode=True)
    assert (entry["due"], entry["changed"], vault.saves) == (True, True, 0) and "token_name" not in entry
    name = _rotate_token(task, "minted")
    (idle,) = task("announced", max_age=dt.timedelta(days=1), check_mode=True)
    assert (idle["due"], idle["current_token_name"], "token" in idle) == (False, name, False)


def test_what_was_announced_and_not_saved_is_an_orphan_of_the_next_run(vault: FakeVault, task: Task) -> None:
    """Its secret is lost, if there ever was one; and the name is not used again, because it may come to be late."""
    (first,) = task("announced")
    (second,) = task("announced", max_age=dt.timedelta(days=999))
    assert (second["due"], second["recovered"], second["orphans"]) == (True, True, [first["token_name"]])
    assert second["token_name"] != first["token_name"]
    late = _save(task, first["rotation_id"], "of the first run")
    assert (late["error_code"], fields.pending(vault.data)) == ("busy", None)
    assert not _save(task, second["rotation_id"], "of the second")["failed"]
    task("committed", rotation_id=second["rotation_id"])
    (idle,) = task("announced", max_age=dt.timedelta(days=1))
    assert idle["orphans"] == [first["token_name"]] and idle["token"] == "of the second"


def test_the_same_rotation_never_gets_its_name_twice(vault: FakeVault, task: Task) -> None:
    """Else the second of two overlapping runs would revoke what the first has just committed."""
    (first,) = task("announced", rotation_id="job")
    (again,) = task("announced", rotation_id="job")
    assert again["token_name"] != first["token_name"] and again["orphans"] == [first["token_name"]]
    late = Minted("of the first", token_name=first["token_name"])
    assert task("saved", rotation_id="job", minted={UID: late})[0]["error_code"] == "busy"
    mine = Minted("of the second", token_name=again["token_name"])
    assert task("saved", rotation_id="job", minted={UID: mine})[0]["changed"]
    assert fields.pending(vault.data) == "of the second"
    (other,) = task("announced", rotation_id="other")
    assert other["error_code"] == "busy"


OTHER = "O" * 22


def _copy(vault: FakeVault) -> None:
    """As Keeper's "duplicate" makes it: with the state, under another UID."""
    vault.records[OTHER] = (copy.deepcopy(vault.data), 1)


def test_a_copied_record_removes_nothing_of_the_original(vault: FakeVault, task: Task) -> None:
    _rotate_token(task, "first")
    _rotate_token(task, "second")
    task("announced")
    _copy(vault)
    (entry,) = task("announced", records=[OTHER])
    names = [entry.get(name) for name in ("previous_token_names", "orphans", "current_token_name")]
    assert names == [None, None, None] and not entry["recovered"]


def test_a_copied_pending_token_is_refused(vault: FakeVault, task: Task) -> None:
    (announced,) = task("announced")
    _save(task, announced["rotation_id"], "minted")
    _copy(vault)
    (entry,) = task("announced", records=[OTHER])
    assert entry["error_code"] == "refused" and "Discard it" in entry["msg"]
    task("discarded", records=[OTHER])
    assert "orphans" not in task("announced", records=[OTHER])[0]


@pytest.mark.parametrize(
    ("login", "kept"), [(f"user-{UID}", True), ("other-user", False), (f"USER-{UID}", False), (f'"user-{UID}"', False)]
)
def test_names_of_tokens_are_of_one_user(vault: FakeVault, task: Task, login: str, kept: bool) -> None:
    """Another user may have tokens of the same names, and another spelling may be another user."""
    first = _rotate_token(task, "first")
    second = _rotate_token(task, "second")

    def edit(data: fields.Data) -> fields.Data:
        data["fields"][0]["value"] = [login]
        return data

    vault.edit(UID, edit)
    (entry,) = task("announced", max_age=dt.timedelta(days=1))
    told = (entry.get("previous_token_names"), entry.get("current_token_name"))
    assert told == (([first], second) if kept else (None, None))


def test_a_token_that_a_person_has_put_there_proves_nothing(vault: FakeVault, task: Task) -> None:
    """The name says another one than the field holds."""
    _rotate_token(task, "first")
    _rotate_token(task, "second")
    vault.data["fields"][1]["value"] = ["first"]
    (entry,) = task("announced", max_age=dt.timedelta(days=1))
    assert "minted" not in entry and "token" not in entry and not entry["due"]


def test_a_pending_value_without_a_state_is_no_ones_token(vault: FakeVault, task: Task) -> None:
    task("staged")
    fields.put_custom(vault.data, fields.STATE, None)
    before = copy.deepcopy(vault.data)
    assert task("announced")[0]["error_code"] == "refused"
    assert _save(task, None, "minted")["error_code"] == "refused" and vault.data == before
    assert task("staged")[0]["recovered"], "the password's own role goes on with it"


def test_what_was_saved_is_never_minted_again(vault: FakeVault, task: Task) -> None:
    (first,) = task("announced")
    _save(task, first["rotation_id"], "minted")
    (again,) = task("announced")
    assert (again["token"], again["token_name"], again["recovered"]) == ("minted", first["token_name"], True)
    assert "orphans" not in again
    (discarded,) = task("discarded", rotation_id=again["rotation_id"])
    assert discarded["changed"] and fields.names(vault.data, "orphans") == [first["token_name"]]
    assert fields.live_secret(vault.data, PASSWORD) == LIVE


def test_saving_twice_is_once_and_saving_another_is_busy(vault: FakeVault, task: Task) -> None:
    (announced,) = task("announced")
    _save(task, announced["rotation_id"], "minted")
    assert not _save(task, announced["rotation_id"], "minted")["changed"]
    assert _save(task, announced["rotation_id"], "another")["error_code"] == "busy"
    assert fields.pending(vault.data) == "minted"


def test_nothing_is_saved_that_was_not_announced(vault: FakeVault, task: Task) -> None:
    assert _save(task, None, "minted")["error_code"] == "vault_error" and vault.saves == 0


def test_an_announcement_alone_is_not_committed_and_can_be_discarded(vault: FakeVault, task: Task) -> None:
    (announced,) = task("announced")
    (entry,) = task("committed", rotation_id=announced["rotation_id"])
    assert entry["error_code"] == "vault_error" and fields.live_secret(vault.data, PASSWORD) == LIVE
    assert task("discarded", rotation_id=announced["rotation_id"])[0]["changed"]
    assert fields.marker(vault.data) is None
    assert not task("discarded")[0]["changed"]


def test_a_token_and_a_password_do_not_mix(vault: FakeVault, task: Task) -> None:
    task("staged")
    assert task("announced")[0]["error_code"] == "refused"
    task("discarded")
    task("announced")
    assert task("staged")[0]["error_code"] == "refused"
    assert vault.saves == 3


def test_a_token_for_another_login_is_not_saved(vault: FakeVault, task: Task) -> None:
    (announced,) = task("announced")
    vault.edit(UID, _other_login)
    assert _save(task, announced["rotation_id"], "minted")["error_code"] == "vault_error"
    assert fields.pending(vault.data) is None


@pytest.mark.parametrize(("lived", "left", "due"), [(30, 11, False), (30, 9, True), (30, -1, True), (1, 40, False)])
def test_a_token_is_due_when_a_quarter_of_its_life_is_left(lived: int, left: int, due: bool) -> None:
    vault = FakeVault()
    vault.add()
    task = Task(vault)
    _rotate_token(task, "minted")
    now = dt.datetime.now(dt.UTC)
    for label, moment in (("rotated_at", -lived), ("token_expires_at", left)):
        fields.put_custom(vault.data, label, (now + dt.timedelta(days=moment)).isoformat())
    (entry,) = task("announced", max_age=dt.timedelta(days=365))
    assert entry["due"] is due


def test_an_end_that_nobody_can_read_may_be_near(vault: FakeVault, task: Task) -> None:
    _rotate_token(task, "minted")
    fields.put_custom(vault.data, "token_expires_at", "next spring")
    assert task("announced", max_age=dt.timedelta(days=365))[0]["due"]


def test_a_lost_answer_to_an_announcement_is_decided_by_reading() -> None:
    vault = FakeVault(after=[Unreachable("Nothing.")])
    vault.add()
    (entry,) = Task(vault)("announced")
    assert (entry["failed"], entry["token_name"] in json.dumps(vault.data)) == (False, True)


def test_a_field_of_ones_own_for_the_token(vault: FakeVault, task: Task) -> None:
    place = fields.Place("password", "api token")
    assert task("announced", place=place)[0]["error_code"] == "refused"
    vault.edit(UID, lambda data: {**data, "custom": [{"type": "secret", "label": "API-Token", "value": ["old"]}]})
    (announced,) = task("announced", place=place)
    task("saved", place=place, rotation_id=announced["rotation_id"], minted={UID: Minted("minted")})
    task("committed", place=place, rotation_id=announced["rotation_id"])
    assert (fields.live_secret(vault.data, place), fields.live_secret(vault.data, PASSWORD)) == ("minted", LIVE)
