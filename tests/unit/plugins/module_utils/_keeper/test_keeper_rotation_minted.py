# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that a service mints: announced, saved, committed."""

from __future__ import annotations

import copy
import datetime as dt
import json
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Unreachable
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_plan import Minted
from tests.unit.plugins.module_utils._keeper.conftest import LIVE, PASSWORD, UID, FakeVault, Task, _other_login

ENDS = "2026-12-31T00:00:00Z"


def _save(
    task: Task, rotation_id: str | None, secret: str, expires_at: str | None = None, token_name: str | None = None
) -> dict[str, t.Any]:
    (entry,) = task("saved", rotation_id=rotation_id, minted={UID: Minted(secret, expires_at, token_name)})
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
    other = _save(task, announced["rotation_id"], "another")
    assert (other["error_code"], other["left"], other["pending"]) == ("busy", "untouched", True)
    assert "The record is as it was." in other["msg"] and fields.pending(vault.data) == "minted"


def _then(vault: FakeVault, act: t.Callable[[], object]) -> None:
    """Once, right after the next save."""
    save = vault.save

    def saved(record: Record, data: fields.Data) -> None:
        vault.save = save  # type: ignore[method-assign]
        save(record, data)
        act()

    vault.save = saved  # type: ignore[method-assign]


@pytest.mark.parametrize("ended", [True, False])
def test_what_was_sent_may_be_in_use_by_the_run_that_took_it_over(vault: FakeVault, task: Task, ended: bool) -> None:
    """So that nobody takes it for a secret that is lost, in this attempt or in the next."""
    (announced,) = task("announced")

    def taken_over() -> None:
        (recovered,) = task("announced")
        if ended:
            task("committed", rotation_id=recovered["rotation_id"])

    _then(vault, taken_over)
    first = _save(task, announced["rotation_id"], "minted", token_name=announced["token_name"])
    assert (first["failed"], first["left"]) == (True, "unknown" if ended else "staged")
    again = _save(task, announced["rotation_id"], "minted", token_name=announced["token_name"])
    assert (again["error_code"], again["pending"]) == ("busy", not ended) and "taken this secret over" in again["msg"]
    assert "revoked" not in first["msg"] + again["msg"] and "forgotten" not in {**first, **again}


def _written_over(vault: FakeVault, before: fields.Data) -> None:
    """By a run that had read the record before, and announces its own token now."""
    now = copy.deepcopy(before)
    fields.put_custom(now, fields.STATE, json.dumps({"run": "r", "credential": "token", "token_name": "THEIRS"}))
    vault.edit(UID, lambda _now: now)


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_no_record_tells_any_more_is_forgotten(vault: FakeVault, task: Task, when: str) -> None:
    before = vault.data
    (announced,) = task("announced")
    if when == "before":
        _written_over(vault, before)
    else:
        _then(vault, lambda: _written_over(vault, before))
    first = _save(task, announced["rotation_id"], "minted", token_name=announced["token_name"])
    assert first["error_code"] == "busy" and first["left"] == "untouched"
    again = _save(task, announced["rotation_id"], "minted", token_name=announced["token_name"])
    assert (again["error_code"], again["pending"], again["forgotten"]) == ("busy", False, True)
    assert "It is to be revoked at the service." in again["msg"]


def test_what_may_still_arrive_is_not_forgotten(vault: FakeVault, task: Task) -> None:
    before = vault.data
    (announced,) = task("announced")
    vault.before = [Unreachable("No answer.")]
    entry = _save(task, announced["rotation_id"], "minted", token_name=announced["token_name"])
    assert (entry["error_code"], entry["left"]) == ("unreachable", "unknown") and "forgotten" not in entry
    vault.before, vault.edits = [Unreachable("No answer.")], [lambda _now: before]
    entry = _save(task, announced["rotation_id"], "minted", token_name=announced["token_name"])
    assert entry["failed"] and "forgotten" not in entry


def test_what_the_record_holds_is_not_forgotten_whatever_it_is_called(vault: FakeVault, task: Task) -> None:
    entry = _save(task, None, LIVE, token_name="KEYTURN_1")
    assert entry["error_code"] == "busy" and "forgotten" not in entry


def test_a_name_that_the_service_gives_again_is_saved(vault: FakeVault, task: Task) -> None:
    """What tells one announcement from another is the name that was announced."""
    for _each in range(2):
        (announced,) = task("announced")
        minted = {UID: Minted("minted", token_name="2", announced=announced["token_name"])}
        (saved,) = task("saved", rotation_id=announced["rotation_id"], minted=minted)
        assert not saved["failed"], saved
        task("discarded", rotation_id=announced["rotation_id"])
        assert "2" in fields.names(vault.data, "orphans")


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
