# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL at every request of a rotation at Meraki, and runs that meet; how is in ``kill``.

Meraki cannot be asked what it holds. So what an earlier run has staged is set again, and always the same value.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import typing as t
from pathlib import Path

import pytest

from tests.integration.conftest import fresh_password
from tests.integration.kill import (
    PATIENCE,
    Held,
    Meeting,
    Point,
    another,
    check_converges,
    finish_together,
    in_short,
    journal,
    kill_run,
    points,
    run_together,
    vault_phase,
)
from tests.integration.scenes import MerakiScene as Scene
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.meraki.sandbox import NETWORK
from tests.sandbox.server import Fault

ONE = ("a@x.org",)
THREE = ("a@x.org", "b@x.org", "c@x.org")
(A,) = ONE


def requests_of(names: t.Sequence[str]) -> list[str]:
    """The requests of a clean run for these users, in order, and who gets them."""
    phase = vault_phase(names)
    service = [f"meraki GET {NETWORK}", *[f"meraki PUT {NETWORK} {name}" for name in names]]
    check = ["vault get_secret", f"meraki GET {NETWORK}"]
    return ["vault get_secret", *check, *phase, *service, *phase]


def kill_points(names: t.Sequence[str], *, common: bool) -> list[Point]:
    """Those that only read the vault are the same for every service, and tested often in the role for Snowflake."""
    return [point for point in points(requests_of(names)) if (point.request == "vault get_secret") is common]


@pytest.mark.parametrize("names", [ONE, THREE], ids=["one", "three"])
def test_the_matrix_is_complete(
    names: tuple[str, ...], tmp_path: Path, meraki: MerakiSandbox, vault: KeeperSandbox
) -> None:
    """A clean run makes exactly the requests that the matrix kills at."""
    scene = Scene(tmp_path, meraki, vault, *names)
    run = scene.run()
    assert run.returncode == 0, run.output
    assert journal(scene) == requests_of(names)


@pytest.mark.parametrize("point", [in_short(point) for point in kill_points(ONE, common=False)])
def test_killed_run_of_one_record(
    point: Point, tmp_path: Path, meraki: MerakiSandbox, vault: KeeperSandbox, table: t.Callable[[str], None]
) -> None:
    check_converges(Scene(tmp_path, meraki, vault, *ONE), point, table)


@pytest.mark.slow
@pytest.mark.parametrize("point", kill_points(ONE, common=True), ids=str)
def test_killed_run_of_one_record_while_it_reads(
    point: Point, tmp_path: Path, meraki: MerakiSandbox, vault: KeeperSandbox, table: t.Callable[[str], None]
) -> None:
    check_converges(Scene(tmp_path, meraki, vault, *ONE), point, table)


@pytest.mark.slow
@pytest.mark.parametrize("point", points(requests_of(THREE)), ids=str)
@pytest.mark.parametrize("enforced", [True, False], ids=["revisions", "no-revisions"])
def test_killed_run_of_three_records(
    enforced: bool,
    point: Point,
    tmp_path: Path,
    meraki: MerakiSandbox,
    vault: KeeperSandbox,
    table: t.Callable[[str], None],
) -> None:
    vault.enforce_revisions = enforced
    check_converges(Scene(tmp_path, meraki, vault, *THREE), point, table)


@pytest.mark.slow
@pytest.mark.parametrize("second", ["vault update_secret", f"meraki PUT {NETWORK}"])
def test_killed_twice(
    second: str, tmp_path: Path, meraki: MerakiSandbox, vault: KeeperSandbox, table: t.Callable[[str], None]
) -> None:
    """The run that repairs is killed, too: the third one ends it, with the value of the first."""
    scene = Scene(tmp_path, meraki, vault, *ONE)
    kill_run(scene, meraki, "^PUT", "before")
    pending = scene.pending(A)
    target, _blank, label = second.partition(" ")
    kill_run(scene, scene.servers[target], label, "after")
    assert scene.live_is_known(A)
    run = scene.run()
    assert run.returncode == 0 and scene.settled(A) and scene.password(A) == pending
    table(f"killed twice, second after {second} | converged")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["^GET", "^PUT", "the end"])
def test_an_orphan_changes_the_password_late(
    moment: str, tmp_path: Path, meraki: MerakiSandbox, vault: KeeperSandbox, table: t.Callable[[str], None]
) -> None:
    """Only the controller dies; its module lives on, and its PUT takes effect at some moment of the next run.

    Both runs use one value, so it does not matter when.
    """
    scene = Scene(tmp_path, meraki, vault, *ONE)
    started: list[subprocess.Popen[str]] = []
    ready = threading.Event()

    def kill_controller() -> None:
        assert ready.wait(PATIENCE)
        os.kill(started[0].pid, signal.SIGKILL)

    orphan = Held(meraki, "^PUT", arrived=kill_controller)
    started.append(scene.start())
    ready.set()
    assert orphan.arrived.wait(PATIENCE)
    assert started[0].wait(PATIENCE) == -signal.SIGKILL
    pending = scene.pending(A)
    assert scene.accepts(A, scene.old[A]) and pending is not None

    if moment != "the end":
        meraki.faults.add(Fault(moment, before=orphan.release))
    scene.forget()
    run = another(scene, "next").run(scene.playbook, scene.variables())
    orphan.release()
    with contextlib.suppress(subprocess.TimeoutExpired):
        started[0].communicate(timeout=PATIENCE)
    assert run.returncode == 0, run.output
    assert scene.settled(A) and scene.password(A) == pending
    table(f"orphan's PUT takes effect before {moment} | converged")


@pytest.mark.slow
@pytest.mark.parametrize("label", ["update_secret", "^PUT"])
def test_runs_at_the_same_time(
    label: str, tmp_path: Path, meraki: MerakiSandbox, vault: KeeperSandbox, table: t.Callable[[str], None]
) -> None:
    """They meet before they save, or before they change the password."""
    scene = Scene(tmp_path, meraki, vault, *ONE)
    if label == "^PUT":
        scene.stage(A)
    Meeting(vault if "secret" in label else meraki, 2, label)
    done = run_together(scene, 2)
    assert any(run.returncode == 0 for run in done), [run.stdout for run in done]
    table(f"2 runs that meet at {label:<14} | {finish_together(scene, A, done)}")


@pytest.mark.slow
def test_a_foreign_password_is_overwritten(tmp_path: Path, meraki: MerakiSandbox, vault: KeeperSandbox) -> None:
    """Somebody changed the password by hand between a killed run and the next: the staged value wins, and is known."""
    scene = Scene(tmp_path, meraki, vault, *ONE)
    pending = scene.stage(A)
    meraki.user(A).password = fresh_password()
    assert scene.run().returncode == 0
    assert scene.settled(A) and scene.password(A) == pending
