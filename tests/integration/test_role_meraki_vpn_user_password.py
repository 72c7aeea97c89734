# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and its playbook by their full names: one network's records, from the vault to Meraki and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.scenes import MerakiScene as Scene
from tests.integration.support import recap, says
from tests.leaks import leaks, leaks_below
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.server import Fault, Response


@pytest.fixture
def scene(tmp_path: Path, meraki: MerakiSandbox, vault: KeeperSandbox) -> Scene:
    """Users a and b; no waits between tries."""
    return Scene(tmp_path, meraki, vault, "a@example.com", "b@example.com", max_retries=1)


def puts(scene: Scene) -> list[str]:
    return [label.split()[-1] for label in scene.meraki.journal.labels("^PUT")]


# -- the way it should go


@pytest.mark.core
def test_two_runs(scene: Scene) -> None:
    """Calls are shared, nothing leaks, the second run finds the records' own stamps and asks Meraki nothing."""
    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 0, run.output
    assert says(run, "2 rotated, 0 recovered, 0 not due, 0 failed")
    for name, old in scene.old.items():
        assert scene.settled(name) and not scene.accepts(name, old)
        assert scene.vault.field(scene.uids[name], "rotated_at") is not None
    network = scene.meraki.network.id
    # The check before staging looks at the list, too.
    assert scene.meraki.journal.labels() == [f"GET {network}"] * 2 + [f"PUT {network} {name}" for name in scene.uids]
    # The administrator's record, what is due, then for each phase one read, one save for each record, one reading back.
    assert len(scene.vault.journal.labels()) == 6 + 2 * 2
    found = scene.secrets()
    assert leaks(run.output, *found) == []
    assert leaks_below(scene.ansible.home, *found) + leaks_below(scene.ansible.temporary, *found) == []

    passwords = {name: scene.password(name) for name in scene.uids}
    run = scene.run()
    assert run.returncode == 0 and recap(run) == (0, 0)
    assert says(run, "0 rotated, 0 recovered, 2 not due, 0 failed")
    assert scene.meraki.journal.labels() == []
    assert {name: scene.password(name) for name in scene.uids} == passwords


@pytest.mark.core
def test_check_mode_writes_nothing(scene: Scene) -> None:
    before = {uid: scene.vault.record(uid) for uid in scene.uids.values()}
    run = scene.run("--check", "--diff")
    assert run.returncode == 0 and says(run, "check mode: 2 due")
    assert {uid: scene.vault.record(uid) for uid in scene.uids.values()} == before
    assert scene.meraki.journal.labels() == [f"GET {scene.meraki.network.id}"]


@pytest.mark.slow
def test_recovered_values_are_set_again(scene: Scene) -> None:
    """One of a run that died before the change, one of a run that died after it, and a fresh one."""
    a, b = scene.uids
    scene.add("c@example.com")
    before, after = scene.stage(a), scene.stage(b)
    scene.meraki.user(b).password = after
    run = scene.run()
    assert run.returncode == 0 and says(run, "1 rotated, 2 recovered, 0 not due, 0 failed"), run.output
    assert (scene.password(a), scene.password(b)) == (before, after)
    assert all(scene.settled(name) for name in scene.uids)
    assert sorted(puts(scene)) == sorted(scene.uids)


# -- what goes wrong, many users at once


def test_definite_refusals_are_discarded_and_the_others_go_on(scene: Scene) -> None:
    scene.add("gone@example.com")
    scene.add("admin@example.com", is_admin=True)
    scene.add("idle@example.com", authorizations=[])
    scene.add("simple@example.com")
    live = scene.old["gone@example.com"]
    gone = scene.meraki.network.users.pop(scene.meraki.user("gone@example.com").id)
    refusal = Response(400, b'{"errors": ["Password is too simple"]}')
    scene.meraki.faults.add(Fault("PUT .*simple@", response=refusal))
    run = scene.run()
    assert run.returncode == 2 and says(run, "2 rotated, 0 recovered, 0 not due, 4 failed"), run.output
    assert says(run, "administrator") and says(run, "is not authorized") and says(run, "too simple")
    assert not says(run, "Still pending")
    scene.meraki.network.users[gone.id] = gone
    for name in ("gone@example.com", "admin@example.com", "idle@example.com", "simple@example.com"):
        assert scene.kept(name)
        assert scene.vault.field(scene.uids[name], "rotation_state") is None
    assert gone.password == live and scene.settled("a@example.com") and scene.settled("b@example.com")


def test_failures_that_leave_it_open_keep_the_value(scene: Scene) -> None:
    """The play fails and says what is pending; the next run ends it with that very value."""
    a, b = scene.uids
    scene.meraki.faults.add(Fault(f"PUT .*{a}", times=99, response=Response(503)))
    scene.meraki.faults.add(Fault(f"PUT .*{b}", times=99, drop="after"))
    run = scene.run()
    assert run.returncode == 2 and says(run, "0 rotated, 0 recovered, 0 not due, 2 failed"), run.output
    assert says(run, "unknown_outcome") and says(run, "still pending in the record") and says(run, scene.uids[a])
    pending = {name: scene.pending(name) for name in scene.uids}
    assert scene.accepts(a, scene.old[a]) and scene.accepts(b, str(pending[b]))
    assert all(scene.password(name) == scene.old[name] for name in scene.uids)
    scene.meraki.faults.clear()

    # Meanwhile something else stands in the way: that says nothing about what was set before.
    scene.meraki.user(a).is_admin = True
    scene.meraki.faults.add(Fault(f"PUT .*{b}", response=Response(400)))
    run = scene.run()
    assert run.returncode == 2 and says(run, "still pending in the record")
    assert {name: scene.pending(name) for name in scene.uids} == pending
    scene.meraki.user(a).is_admin = False

    run = scene.run()
    assert run.returncode == 0 and says(run, "0 rotated, 2 recovered, 0 not due, 0 failed")
    assert all(scene.settled(name) and scene.password(name) == pending[name] for name in scene.uids)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        # The check before staging has its answer.
        (Fault("^GET", skip=1, times=99, response=Response(429, headers={"Retry-After": "3600"})), "rate_limited"),
        (Fault("^GET", skip=1, response=Response(401)), "auth_failed"),
    ],
    ids=["rate limited", "wrong key"],
)
def test_failures_of_the_whole_service_keep_the_values(scene: Scene, fault: Fault, code: str) -> None:
    scene.meraki.faults.add(fault)
    run = scene.run()
    assert run.returncode == 2 and says(run, code) and puts(scene) == []
    assert all(scene.pending(name) and scene.password(name) == scene.old[name] for name in scene.uids)


@pytest.mark.slow
def test_a_vault_that_is_down_at_the_commit(scene: Scene) -> None:
    a = next(iter(scene.uids))
    scene.vault.faults.add(Fault("secret", skip=5, times=99, drop="before"))
    run = scene.run(records=[scene.uids[a]])
    assert run.returncode == 2 and says(run, "still pending in the record")
    assert scene.accepts(a, str(scene.pending(a))) and scene.password(a) == scene.old[a]
    scene.vault.faults.clear()
    run = scene.run(records=[scene.uids[a]])
    assert run.returncode == 0 and says(run, "1 recovered") and scene.settled(a)


# -- records that cannot be used


def test_two_records_of_one_user(scene: Scene) -> None:
    """Refused before anything is staged, however the email is spelt: one record would end up wrong."""
    a = next(iter(scene.uids))
    second = scene.add_record(a.upper(), password=scene.old[a])
    run = scene.run(records=[scene.uids[a], second])
    assert run.returncode == 2 and says(run, "The same user is in") and puts(scene) == []
    assert scene.accepts(a, scene.old[a]) and leaks(run.output, *scene.secrets()) == []


@pytest.mark.slow
def test_an_admin_record_without_a_network(scene: Scene) -> None:
    """The connection can name it; without, Meraki is not asked and nothing is staged."""
    a = next(iter(scene.uids))
    scene.vault.remove(scene.admin_uid)
    scene.admin_uid = scene.add_admin_record("Another title", scene.key, None)
    run = scene.run(records=[scene.uids[a]], admin_record="Another title")
    assert run.returncode == 2 and says(run, "network_id") and scene.meraki.journal.labels() == []
    assert scene.pending(a) is None
    scene.connection["network_id"] = scene.meraki.network.id
    run = scene.run("-vvvv", records=[scene.uids[a]], admin_record=scene.admin_uid)
    assert run.returncode == 0 and scene.settled(a), run.output
    assert leaks(run.output, *scene.secrets()) == []
