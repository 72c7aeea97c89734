# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killing runs of a role at any of their requests, holding requests up, and letting runs meet; for every service alike.

Requests are written as in the tables: the server, then its label, with users' names instead of their records' UIDs.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import re
import signal
import subprocess
import threading
import typing as t

import pytest

from tests.integration.scene import Scene, Server
from tests.integration.support import Ansible, Run
from tests.sandbox.processes import kill_tree
from tests.sandbox.server import Fault

Side = t.Literal["before", "after"]

# For events in other threads and processes; far beyond what they take, so that a failure ends the test, and not a hang.
PATIENCE = 60
# What leaves a server as it was. Whatever else a service is asked, a new one too, counts as a write.
_READS = re.compile(r"get_secret|DESCRIBE|SHOW|GET |login ROTATOR|logout|POST /login|users|whoami")


@dataclasses.dataclass(frozen=True)
class Point:
    """Where a run is killed: at which of the requests of a clean run, and on which side of what the server does.

    among: what else the request may be by chance.
    """

    requests: tuple[str, ...] = dataclasses.field(repr=False)
    number: int
    side: Side
    among: tuple[str, ...] = dataclasses.field(repr=False, default=())

    @property
    def request(self) -> str:
        return self.requests[self.number]

    @property
    def server(self) -> str:
        return self.request.split()[0]

    @property
    def skip(self) -> int:
        """How many requests the same server gets before."""
        return [request.split()[0] for request in self.requests[: self.number]].count(self.server)

    def __str__(self) -> str:
        return f"{self.number:02}-{self.side}-{self.request.replace(' ', '-')}"


def in_short(point: Point) -> t.Any:
    """Only what is killed after a write or a proof; before a request and after a read, the servers are as they were."""
    short = point.side == "after" and not _READS.match(point.request.partition(" ")[2])
    return pytest.param(point, marks=() if short else (pytest.mark.slow,), id=str(point))


def points(requests: t.Sequence[str], together: range = range(0)) -> list[Point]:
    """together: the numbers of those that come in any order, because several users are proved at the same time."""
    sides: tuple[Side, ...] = ("before", "after")
    among = tuple(requests[number] for number in together)
    return [
        Point(tuple(requests), number, side, among if number in together else ())
        for number in range(len(requests))
        for side in sides
    ]


def vault_phase(names: t.Sequence[str]) -> list[str]:
    """What staging asks of the vault, and committing again."""
    return ["vault get_secret", *[f"vault update_secret {name}" for name in names], "vault get_secret"]


def _label_of(scene: Scene, label: str) -> str:
    if label.startswith("get_secret"):
        return "get_secret"
    for name, uid in scene.uids.items():
        label = label.replace(uid, name)
    return label


def journal(scene: Scene) -> list[str]:
    """All requests of a run, to all servers, in order of arrival."""
    entries = [
        (entry.at, f"{name} {_label_of(scene, entry.label)}")
        for name, server in scene.servers.items()
        for entry in server.journal.entries()
    ]
    return [label for _at, label in sorted(entries)]


def state(scene: Scene) -> str:
    """What a killed run left, for the table: for every user which values are there, and which one is live."""
    words = []
    for name in scene.uids:
        record = "old" if scene.password(name) == scene.old[name] else "new"
        live = "old" if scene.accepts(name, scene.old[name]) else "new"
        waiting = "+pending" if scene.pending(name) else ""
        words.append(f"{name}: record {record}{waiting}, live {live}")
    return "; ".join(words)


def another(scene: Scene, name: str) -> Ansible:
    """Ansible in a folder of its own, for a second run at the same time."""
    folder = scene.directory / name
    folder.mkdir()
    return Ansible(folder, scene.ansible.environment)


def kill_run(scene: Scene, server: Server, match: str, side: Side, *, skip: int = 0) -> Run:
    """A run that dies, with all its processes, at the request of this server that matches."""
    started: list[subprocess.Popen[str]] = []
    ready = threading.Event()

    def kill() -> None:
        assert ready.wait(PATIENCE)
        kill_tree(started[0].pid)

    when: dict[str, t.Any] = {side: kill}
    server.faults.add(Fault(match, skip=skip, drop=side, **when))
    started.append(scene.start())
    ready.set()
    run = scene.ansible.finish(started[0])
    assert run.returncode == -signal.SIGKILL, run.output
    return run


def kill_at(scene: Scene, point: Point) -> Run:
    """A run that dies at this point."""
    run = kill_run(scene, scene.servers[point.server], "", point.side, skip=point.skip)
    assert journal(scene)[-1] in (point.request, *point.among), journal(scene)
    return run


def check_converges(scene: Scene, point: Point, show: t.Callable[[str], None]) -> None:
    """The matrix's claim for one point: killed there, the next run, without anybody's help, ends it."""
    kill_at(scene, point)
    names = list(scene.uids)
    for name in names:
        assert scene.live_is_known(name), f"after the kill: {state(scene)}"
    assert all(scene.failed_logins(name) <= scene.probes_of_a_new_secret for name in names)
    after_kill = state(scene)
    staged = {name: scene.pending(name) for name in names}
    committed = {name: scene.password(name) for name in names}

    run = scene.run()
    assert run.returncode == 0, run.output
    for name in names:
        assert scene.settled(name), state(scene)
        assert scene.failed_logins(name) <= 1
        # Reused, not generated anew; a record that was committed already is left alone.
        if staged[name] is not None:
            assert scene.password(name) == staged[name]
        elif committed[name] != scene.old[name]:
            assert scene.password(name) == committed[name]
        assert not scene.accepts(name, scene.old[name])
    show(f"{point!s:<46} | {after_kill} | converged")


class Held:
    """Requests with this label wait at the server's door until they are released."""

    def __init__(self, server: Server, label: str, *, arrived: t.Callable[[], object] | None = None) -> None:
        self.arrived = threading.Event()
        self._released = threading.Event()
        self._passed = threading.Event()
        self._before = arrived

        def wait() -> None:
            if self._before is not None:
                self._before()
            self.arrived.set()
            assert self._released.wait(PATIENCE)

        server.faults.add(Fault(label, before=wait, after=self._passed.set))

    def release(self) -> None:
        """Let it through, and wait until the service has acted."""
        self._released.set()
        assert self._passed.wait(PATIENCE)


class Meeting:
    """Runs that wait for one another at a request, so that they do what follows at the same time."""

    def __init__(self, server: Server, runs: int, label: str) -> None:
        self._barrier = threading.Barrier(runs)
        server.faults.add(Fault(label, times=runs, before=self._meet))

    def _meet(self) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            # Runs that never come, because they lost earlier, are not waited for for long.
            self._barrier.wait(10)


def run_together(scene: Scene, runs: int, **variables: t.Any) -> list[Run]:
    scene.forget()
    every = [another(scene, f"run-{number}") for number in range(runs)]
    processes = [ansible.start(scene.playbook, scene.variables(**variables)) for ansible in every]
    return [ansible.finish(process) for ansible, process in zip(every, processes, strict=True)]


def finish_together(scene: Scene, name: str, runs: list[Run]) -> str:
    """Whatever happened, the live password is in the record, and one more run leaves nothing to do."""
    assert scene.live_is_known(name), state(scene)
    for run in runs:
        assert run.returncode in (0, 2), run.output
    codes = collections.Counter(run.returncode for run in runs)
    settled = scene.settled(name)
    if not settled:
        assert scene.pending(name) is not None
        last = scene.run()
        assert last.returncode == 0, last.output
        assert scene.failed_logins(name) <= 1
    assert scene.settled(name)
    return f"{codes[0]} ended well, {codes[2]} stepped back, {'settled' if settled else 'settled by one more run'}"
