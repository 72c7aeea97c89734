# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The source of events for ansible-rulebook, as that runs it, against the sandbox's vault."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import runpy
import typing as t
from pathlib import Path

import pytest

from tests.integration.inventory import Scene
from tests.integration.support import REPOSITORY, Ansible
from tests.sandbox.fleet import KIND
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault, Response

Event = dict[str, t.Any]

SOURCE = REPOSITORY / "extensions" / "eda" / "plugins" / "event_source" / "accounts.py"
NOW = dt.datetime(2026, 5, 10, tzinfo=dt.UTC)
DAY = 86400.0


def module() -> dict[str, t.Any]:
    """As ansible-rulebook loads it, without any other file of ours."""
    return runpy.run_path(str(SOURCE))


async def heard(number: int, args: dict[str, t.Any]) -> list[Event]:
    """The first so many events; then the source is cancelled, as at the end of a rulebook."""
    queue: asyncio.Queue[Event] = asyncio.Queue()
    task = asyncio.create_task(module()["main"](queue, args))
    getting = asyncio.gather(*(queue.get() for _each in range(number)))
    await asyncio.wait({task, getting}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return await asyncio.wait_for(getting, 1)


@pytest.fixture
def scene(tmp_path: Path, vault: KeeperSandbox, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """An inventory of four accounts, in the environment that a rulebook would have."""
    vault.write_client_config(tmp_path / "ksm-config.json")
    scene = Scene(tmp_path, vault, Ansible(tmp_path, vault.environment()))
    for name in [name for name in os.environ if name not in scene.ansible.environ({})]:
        monkeypatch.delenv(name)
    for name, value in scene.ansible.environ({}).items():
        monkeypatch.setenv(name, value)
    return scene


def account(scene: Scene, name: str, rotated: dt.timedelta | None, **custom: str) -> None:
    """An account with one record that was rotated so long ago."""
    admin = scene.add(name, "ROTATOR")
    told = {} if rotated is None else {"rotated_at": (dt.datetime.now(dt.UTC) - rotated).isoformat()}
    scene.add(f"of {name}", "A", rotation_module=KIND, rotation_admin_record=admin, **told, **custom)


def test_what_is_due_is_heard_each_time_and_no_failure_ends_it(scene: Scene) -> None:
    account(scene, "fresh", dt.timedelta(days=1))
    account(scene, "new", None)
    account(scene, "late", dt.timedelta(days=31))
    account(scene, "overdue", dt.timedelta(days=33))
    account(scene, "stuck", dt.timedelta(days=1), rotation_pending="x")
    expected = [("late", "due"), ("new", "due"), ("overdue", "overdue"), ("stuck", "pending")]
    # The second look finds Keeper out of order, the third one finds all as it was.
    scene.vault.faults.add(Fault("get_secret", skip=1, times=1, response=Response(403, b"{}")))
    told = [each["keyturn"] for each in asyncio.run(heard(9, {"inventory": str(scene.source()), "interval": 0.05}))]
    states = [(each.get("host"), each["state"]) for each in told]
    assert states == [*expected, (None, "unreadable"), *expected]
    assert told[2]["kinds"] == [KIND] and told[1]["due_since"] is None
    since = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(told[2]["due_since"])
    assert since.days == 3
    assert str(scene.directory) in told[4]["msg"]
    scene.assert_no_secret(json.dumps(told))


@pytest.mark.parametrize("setting", ["ANSIBLE_VERBOSITY", "ANSIBLE_DEBUG"])
def test_settings_that_make_ansible_say_more_hide_nothing(
    setting: str, tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither does what somebody has written in an inventory for one of the accounts."""
    monkeypatch.setenv(setting, "1")
    hosts = {"a": {"keyturn_rotations": "{{ elsewhere }}"}, "b": {"keyturn_rotations": [{"kind": KIND}, "x"]}}
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"keyturn_due": {"hosts": hosts}}))
    told = [each["keyturn"] for each in asyncio.run(heard(2, {"inventory": str(inventory), "interval": 99}))]
    assert [(each["host"], each["state"], each["kinds"]) for each in told] == [("a", "due", []), ("b", "due", [KIND])]


@pytest.mark.parametrize(
    "args", [{}, {"inventory": "x", "interval": 0}, {"inventory": "x", "overdue_after": "2d"}], ids=str
)
def test_arguments_that_cannot_be_are_refused(args: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match="inventory is missing|must be a number of seconds"):
        asyncio.run(module()["main"](asyncio.Queue(), args))


def test_nothing_due_is_no_event() -> None:
    listed = {"keyturn_not_due": {"hosts": ["a"]}, "_meta": {"hostvars": {"a": {"keyturn_rotations": []}}}}
    assert module()["events"](listed, DAY, NOW) == []
