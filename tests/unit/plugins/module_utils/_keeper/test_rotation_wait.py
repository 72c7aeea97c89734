# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a record waits: for a time, for its hours, for another record."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Snapshot
from tests.unit.plugins.module_utils._keeper.conftest import UID, FakeVault, Task, _field


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
