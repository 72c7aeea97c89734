# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.campaigns.soak --rotations 10000 --faults 0.05``: rotations in bad weather.

Every request to a service or to the vault may meet a fault, and every run may be killed with SIGKILL at any of them.
The runs are the modules' logic and the roles' filters in forked processes, each for many users; each kind of rotation
has a service, a vault and a process of its own. After each run is looked, past all that it said, whether the service
holds a secret that nobody has, whether something was told that is not so, whether a secret has got out, and every few
runs, without any fault, whether all comes to its end. The seed repeats what is drawn, not the order in which requests
arrive.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import multiprocessing
import random
import secrets
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import client
from tests.integration import forked
from tests.integration.kinds import KINDS, finished, holds, is_known, published, start
from tests.leaks import leaks, leaks_below
from tests.sandbox.keeper import KeeperSandbox, error_response
from tests.sandbox.server import Fault, Response

# Those that a soak has; a password that is not proved differs little from one that is.
SOAKED = tuple(kind for kind in KINDS if kind != "snowflake_unverified")
USERS = 20
_CALM_EVERY = 10
_CALM_RUNS = 3
# Runs without any progress, after which the lane is given up; seconds after which a run is.
_FRUITLESS = 100
_LONGEST_RUN = 180
# For how long a server may be silent for a run (seconds), and what part of their length its waits have.
SILENCE = 1
_HURRY = 20
_MOST_DIVERGENCES = 20
_PROGRESS = 30

_RUBBISH = (b"", b"{}", b"[]", b"null", b"7", b"<html>Welcome to the hotel</html>", b'{"data": {"tok')
_JSON = {"Content-Type": "application/json"}


def serve() -> None:
    """The process that forks, for runs whose timeouts and waits are short; see ``forked.serve``."""
    for name in ("_CONNECT_TIMEOUT", "_READ_TIMEOUT", "_REQUEST_TIMEOUT"):
        setattr(client, name, SILENCE)
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(float(seconds) / _HURRY)
    forked.serve()


def hurry(job: forked.Entry) -> None:
    """The options of the service's module that go with ``serve``."""
    short = {"timeout": SILENCE, "login_timeout": SILENCE, "max_retries": 1}
    job["login"] |= {name: value for name, value in short.items() if name in job["login"]}


class Weather:
    """What requests meet. counted: by the kind of fault, with how often a run was killed. chance: draws."""

    def __init__(self, chance: random.Random, faults: float, kills: float) -> None:
        self.counted: collections.Counter[str] = collections.Counter()
        self._chance, self._faults, self._kills = chance, faults, kills
        self._lock = threading.Lock()
        # Which request met what, in the present run.
        self.story: list[str] = []
        self._kill: t.Callable[[], object] | None = None
        self._met: list[Fault] = []

    def begin(self, kill: t.Callable[[], object]) -> None:
        """From now on, requests meet it. kill: ends the run."""
        self._kill, self.story = kill, []

    def end(self) -> None:
        """Calm again, when all that was held up has acted and all servers listen."""
        with self._lock:
            self._kill, met, self._met = None, self._met, []
        for fault in met:
            assert fault.over.wait(_LONGEST_RUN)

    def over(self, server: str) -> t.Callable[[str], Fault | None]:
        """For ``Faults.chance`` of this server."""

        def draw(label: str) -> Fault | None:
            with self._lock:
                before = self.counted.copy()
                fault = self._draw(server)
                self.story += [f"{label}: {name}" for name in self.counted - before]
                self._met += [fault] if fault is not None else []
                return fault

        return draw

    def _draw(self, server: str) -> Fault | None:
        drawn = self._chance.random()
        if self._kill is None or drawn >= self._faults + self._kills:
            return None
        side: t.Literal["before", "after"] = self._chance.choice(("before", "after"))
        if drawn < self._kills:
            kill, self._kill = self._kill, None
            self.counted["the run is killed"] += 1
            return Fault("", drop=side, before=kill) if side == "before" else Fault("", drop=side, after=kill)
        name = self._chance.choice(sorted(_MISHAPS))
        self.counted[name] += 1
        return _MISHAPS[name](self._chance, server)


def _rubbish(chance: random.Random) -> Response:
    return Response(200, chance.choice(_RUBBISH), _JSON)


def _error(chance: random.Random) -> Response:
    return Response(chance.choice((500, 502, 503)), b"<html>Sorry</html>", {"Content-Type": "text/html"})


def _too_many(server: str) -> Response:
    """As each service words it."""
    if server == "vault":
        return error_response(403, "throttled", "Too many requests")
    return Response(429, b'{"errors": ["Too many requests"]}', {**_JSON, "Retry-After": "1"})


_MISHAPS: dict[str, t.Callable[[random.Random, str], Fault]] = {
    "connections are refused": lambda chance, server: Fault("", drop="before", deaf=chance.uniform(0.05, 0.5)),
    "reset before it acts": lambda chance, server: Fault("", drop="before"),
    "answer lost": lambda chance, server: Fault("", drop="after"),
    "half an answer": lambda chance, server: Fault("", half=True),
    "slow bytes": lambda chance, server: Fault("", drip=0.05),
    "rubbish, nothing done": lambda chance, server: Fault("", response=_rubbish(chance)),
    "rubbish, done": lambda chance, server: Fault("", instead=_rubbish(chance)),
    "5xx, nothing done": lambda chance, server: Fault("", response=_error(chance)),
    "5xx, done": lambda chance, server: Fault("", instead=_error(chance)),
    "silent, nothing done": lambda chance, server: Fault("", hang="before"),
    "silent, done": lambda chance, server: Fault("", hang="after"),
    "silent, done later": lambda chance, server: Fault("", delay=1.5 * SILENCE),
    "too many requests": lambda chance, server: Fault("", response=_too_many(server)),
}


@dataclasses.dataclass
class Report:
    """What was seen. kinds: rotations of each; told: outcomes in the runs' reports; seen: divergences by what they are.

    calm: how many runs without faults brought all to its end. crashes: of runs that nobody killed.
    """

    rotations: int = 0
    kinds: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    runs: int = 0
    requests: int = 0
    kills: int = 0
    crashes: int = 0
    faults: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    told: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    calm: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    seen: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    divergences: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def diverges(self, what: str, text: str) -> None:
        self.seen[what] += 1
        self.divergences.append(f"{what}: {text}")

    def add(self, other: Report) -> None:
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def lines(self) -> t.Iterator[str]:
        yield f"{self.rotations} rotations in {self.runs} runs with {self.requests} requests"
        yield from (f"    {name}: {count}" for name, count in sorted(self.kinds.items()))
        yield f"{sum(self.faults.values())} faults, {self.kills} runs killed, {self.crashes} that crashed by themselves"
        yield from (f"    {name}: {count}" for name, count in sorted(self.faults.items()))
        yield "told: " + ", ".join(f"{count} {name}" for name, count in sorted(self.told.items()))
        yield "calm runs until nothing was left to do: " + ", ".join(
            f"{count} times {name}" for name, count in sorted(self.calm.items())
        )
        yield ", ".join(f"{what} {self.seen[what]}" for what in DIVERGENCES)
        yield from (f"DIVERGENCE {text}" for text in self.divergences)


DIVERGENCES = ("lost", "false success", "leaked", "stuck", "broken", "foreign field changed")


class Enough:
    """When all kinds together have made so many rotations: those that are quick make more of them."""

    def __init__(self, rotations: int) -> None:
        self._left = multiprocessing.get_context("spawn").Value("i", rotations)

    def after(self, rotations: int) -> bool:
        with self._left.get_lock():
            self._left.value -= rotations
            return self._left.value <= 0


class Lane:
    """One kind of rotation with its servers, run after run."""

    def __init__(
        self,
        kind: str,
        directory: Path,
        stack: contextlib.ExitStack,
        chance: random.Random,
        weather: Weather,
        users: int,
    ) -> None:
        self.kind, self.chance, self.weather, self.report = kind, chance, weather, Report()
        self.vault = stack.enter_context(KeeperSandbox())
        self.scene, self.job = start(kind, directory, stack, self.vault, users)
        hurry(self.job)
        for name, server in self.scene.servers.items():
            server.faults.chance = weather.over(name)
        for uid in self.scene.uids.values():
            self.vault.edit(uid, lambda content: content["custom"].append(_memo()))
        self._memos = {uid: self.vault.field(uid, "memo") for uid in self.scene.uids.values()}
        self._errors = stack.enter_context((directory / "errors").open("w+b"))
        self.private = directory / "child"
        environment = self.scene.ansible.environ({})
        self._forked = forked.Forked(environment, self.private, serving="tests.campaigns.soak", errors=self._errors)
        stack.callback(self._forked.close)

    def soak(self, enough: Enough, show: t.Callable[[str], object]) -> Report:
        began = shown = time.monotonic()
        self.calm()
        fruitless = 0
        done = 0
        while not enough.after(self.report.rotations - done) and len(self.report.divergences) < _MOST_DIVERGENCES:
            done = self.report.rotations
            self.run({"force": True}, weather=True)
            fruitless = fruitless + 1 if self.report.rotations == done else 0
            if fruitless > _FRUITLESS:
                self._diverges("stuck", f"no rotation in {fruitless} runs")
                break
            if self.report.runs % _CALM_EVERY == 0:
                self.calm()
            if time.monotonic() - shown > _PROGRESS:
                shown = time.monotonic()
                show(f"{self.kind}: {self.report.rotations} rotations, {self.report.runs} runs, {shown - began:.0f} s")
        self.calm()
        for server in self.scene.servers.values():
            for error in t.cast("t.Any", server).errors:
                self._diverges("broken", f"the sandbox: {type(error).__name__} {error}")
        self.report.kinds[self.kind] = self.report.rotations
        self.report.faults = self.weather.counted
        self.report.kills = self.report.faults.pop("the run is killed", 0)
        self.report.seconds = time.monotonic() - began
        return self.report

    def _diverges(self, what: str, text: str) -> None:
        self.report.diverges(what, f"{self.kind}, run {self.report.runs}: {text}")

    # -- one run

    def run(self, staging: forked.Entry, *, weather: bool) -> int:
        """One run, and what must hold after it."""
        before = {name: published(self.scene, name) for name in self.scene.uids}
        known = self._secrets()
        self.vault.enforce_revisions = self.chance.random() < 0.5
        self.scene.forget()
        status = self._start({**self.job, "staging": staging}, weather=weather)
        self.report.runs += 1
        self.report.requests += sum(len(server.journal.entries()) for server in self.scene.servers.values())
        self.report.rotations += sum(published(self.scene, name) != secret for name, secret in before.items())
        self._check(status, before)
        self._hunt(known | self._secrets())
        return status

    def _start(self, job: forked.Entry, *, weather: bool) -> int:
        process: list[int] = []
        ready = threading.Event()

        def kill() -> None:
            assert ready.wait(_LONGEST_RUN)
            self._forked.kill(process[0])

        def give_up() -> None:
            self._diverges("stuck", f"no end after {_LONGEST_RUN} s")
            kill()

        guard = threading.Timer(_LONGEST_RUN, give_up)
        guard.start()
        if weather:
            self.weather.begin(kill)
        killed = self.weather.counted["the run is killed"]
        try:
            process.append(self._forked.start(job))
            ready.set()
            status = self._forked.finish()
        finally:
            guard.cancel()
            self.weather.end()
        if status not in (0, 2) and self.weather.counted["the run is killed"] == killed:
            self.report.crashes += 1
            # The connector's native part can crash where a call was left behind; an exception of ours ends with 1.
            if status > 0:
                self._diverges("broken", f"the run ended with {status}")
        return status

    def _secrets(self) -> set[str]:
        found = self.scene.secrets() | {published(self.scene, name) for name in self.scene.uids}
        login = self.job["login"]
        found |= {login.get("login_password", ""), login.get("api_key", ""), *login.get("secrets", {}).values()}
        return found - {""}

    # -- what must hold

    def _check(self, status: int, before: t.Mapping[str, str]) -> None:
        told = {entry["record_uid"]: entry for entry in self._forked.records if entry.get("record_uid")}
        for name, uid in self.scene.uids.items():
            if not is_known(self.scene, name):
                told_of_it = told.get(uid, {}).get("msg") or told.get(uid, {}).get("outcome")
                met = [each for each in self.weather.story if name in each or uid in each]
                self._diverges("lost", f"{name}: the service accepts nothing of the record ({told_of_it}; {met})")
            entry = told.get(uid, {})
            self.report.told[entry.get("outcome", "nothing")] += 1
            success = entry.get("outcome") in ("rotated", "recovered")
            if success and not holds(self.scene, name, published(self.scene, name)):
                self._diverges("false success", f"{name}: {entry['outcome']}, and the vault's secret is refused")
            if entry.get("outcome") == "rotated" and published(self.scene, name) == before[name]:
                self._diverges("false success", f"{name}: rotated, and the vault's secret is the one before")
            if "Internal error" in entry.get("msg", ""):
                self._diverges("broken", f"{name}: {entry['msg']}")
            if self.vault.field(uid, "memo") != self._memos[uid]:
                self._diverges("foreign field changed", name)
        if status == 0 and any(entry["outcome"] == "failed" for entry in told.values()):
            self._diverges("false success", "exit status 0 with a failed record")

    def _hunt(self, known: set[str]) -> None:
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace")
        self._errors.truncate(0)
        found = leaks(json.dumps(self._forked.records) + said, *known) + leaks_below(self.private, *known)
        if found:
            self._diverges("leaked", ", ".join(found[:5]))
        elif said:
            self._diverges("broken", f"standard error: {said[-2000:]}")

    def calm(self) -> None:
        """Without any fault, everything comes to its end: nothing is pending, nothing is left at the service."""
        for number in range(1, _CALM_RUNS + 1):
            status = self.run({"max_age": "30d"}, weather=False)
            left = [name for name in self.scene.uids if not finished(self.scene, name)]
            if status == 0 and not left:
                self.report.calm[f"{number}"] += 1
                return
        failed = [entry.get("msg") for entry in self._forked.records if entry["outcome"] == "failed"]
        self._diverges("stuck", f"after {_CALM_RUNS} calm runs: {status}, {left}, {failed[:3]}")


def _memo() -> forked.Entry:
    return {"type": "text", "label": "memo", "value": [secrets.token_hex(8)]}


def lane(kind: str, enough: Enough, faults: float, kills: float, seed: int, users: int) -> Report:
    """Rotations of one kind."""
    chance = random.Random(f"{seed} {kind}")
    with tempfile.TemporaryDirectory(prefix="kt-soak-") as directory, contextlib.ExitStack() as stack:
        weather = Weather(random.Random(f"{seed} {kind} weather"), faults, kills)
        here = Lane(kind, Path(directory), stack, chance, weather, users)
        return here.soak(enough, lambda text: print(text, flush=True))


def _share(enough: Enough) -> None:
    """In a new process, because only so can it inherit what all of them count together."""
    global _enough
    _enough = enough


_enough: Enough


def _lane(kind: str, *rest: t.Any) -> Report:
    return lane(kind, _enough, *rest)


def soak(
    rotations: int, faults: float, seed: int, *, kills: float, kinds: t.Sequence[str] = SOAKED, users: int = USERS
) -> Report:
    """All kinds at the same time, each in a process of its own, because a server has threads and waits."""
    began, whole, enough = time.monotonic(), Report(), Enough(rotations)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(len(kinds), spawn, _share, (enough,)) as pool:
        for report in [pool.submit(_lane, kind, faults, kills, seed, users) for kind in kinds]:
            whole.add(report.result())
    whole.seconds = time.monotonic() - began
    return whole


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.soak", description="Rotations of all kinds, with faults and deaths at random."
    )
    parser.add_argument("--rotations", type=int, default=10_000, help="at least, all kinds together")
    parser.add_argument("--faults", type=float, default=0.05, help="the chance of each request to meet one")
    parser.add_argument("--kills", type=float, default=0.002, help="the chance of each request to be the run's last")
    parser.add_argument("--seed", type=int, help="of an earlier soak (default: a new one)")
    parser.add_argument("--users", type=int, default=USERS, help="of each kind, all in each run")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=SOAKED)
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    report = soak(given.rotations, given.faults, seed, kills=given.kills, kinds=given.kinds, users=given.users)
    for line in report.lines():
        print(line)
    print(f"{report.seconds:.0f} s: {len(report.divergences)} divergences")
    if given.json:
        given.json.write_text(json.dumps({"seed": seed, "chance": given.faults, **vars(report)}))
    return 1 if report.divergences else 0


if __name__ == "__main__":
    sys.exit(main())
