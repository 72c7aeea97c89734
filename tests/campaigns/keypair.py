# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.campaigns.keypair --rotations 200``: key rotations that crash, and a client that must not notice.

Every rotation is killed with SIGKILL at a random request, before or after the server has acted, and run again. At every
request a client logs in with the key that the record publishes. One rotation in ten goes through ansible-playbook; the
others run the same modules' logic and the role's filters in a forked process, which is quicker.
"""

from __future__ import annotations

import argparse
import base64
import collections
import contextlib
import dataclasses
import functools
import http.client
import json
import random
import re
import secrets
import signal
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.integration.conftest import ACCOUNT, ADMIN, fresh_password
from tests.integration.forked import Forked, role_of
from tests.integration.scenes import SnowflakeScene as Scene
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.processes import kill_tree
from tests.sandbox.server import Fault, LoopbackServer
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.service import SnowflakeService

Entry = dict[str, t.Any]
Side = t.Literal["before", "after"]

PLAYBOOK = "keyturn.credentials.snowflake_user_keypair"
ROLE = "snowflake_user_keypair"
USER = "ETL"
KEY_FIELD = "privatePEMKey"
_EVERY = 1_000_000
_PATIENCE = 60
_ONE_IN = 10
_CHANGING = re.compile(r"(?<=RSA_PUBLIC_KEY)_2| KEYTURN_\w+")
_SIDES: tuple[Side, ...] = ("before", "after")


@functools.cache
def read_key(pem: str) -> tuple[rsa.RSAPrivateKey, str]:
    """The key and its fingerprint, with nothing of the collection in it."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return key, "SHA256:" + base64.b64encode(digest.finalize()).decode()


class KeyScene(Scene):
    """Service users of one account with their records, and the role's variables to rotate their keys."""

    role = ROLE

    def add(self, name: str, **record: t.Any) -> str:
        self.snowflake.add_user(name, type="SERVICE")
        self.uids[name] = self.add_key_record(name, **record)
        return self.uids[name]

    def add_key_record(self, login: str, *, title: str | None = None, custom: t.Sequence[Entry] = ()) -> str:
        return self.vault.add_record(
            title=title or f"Record of {login}", type="pamUser", fields={"login": login}, custom=custom
        )

    def stage(self, name: str, **options: t.Any) -> str:
        return super().stage(name, credential="key_pair", **options)

    def key(self, name: str, field: str = KEY_FIELD) -> str | None:
        """The published key: what a reader of the record finds."""
        return self.vault.field(self.uids[name], field)

    def accepts(self, name: str, secret: str | None) -> bool:
        return secret is not None and self.snowflake.accepts_key(name, read_key(secret)[1])

    def settled(self, name: str) -> bool:
        return self.pending(name) is None and self.accepts(name, self.key(name))

    def secrets(self) -> set[str]:
        found = super().secrets()
        for uid in self.uids.values():
            pair = self.vault.field(uid, "keyPair")
            found |= {json.loads(pair)["privateKey"]} if pair else set()
        return found


class Reader:
    """A client that logs in with the key that a record publishes, over a door of its own to the same account.

    It holds the key that it read the last time, logs in with that, reads again, and logs in with what it then finds.
    """

    def __init__(self, scene: KeyScene, name: str) -> None:
        self.logins = 0
        self.refusals: list[str] = []
        self._scene, self._name = scene, name
        self._door = LoopbackServer(SnowflakeService(scene.snowflake.account))
        self._lock = threading.Lock()
        self._held = scene.key(name)
        self._connection = http.client.HTTPConnection(self._door.host, self._door.port, timeout=_PATIENCE)

    def knock(self) -> None:
        with self._lock:
            if self._held is not None:
                self._log_in(self._held)
            published = self._scene.key(self._name)
            if published != self._held and published is not None:
                self._log_in(published)
            self._held = published

    def _log_in(self, secret: str) -> None:
        key, fingerprint = read_key(secret)
        user = self._scene.snowflake.user(self._name)
        subject = f"{self._scene.snowflake.account.name.upper()}.{user.login_name}"
        now = int(time.time())
        claims = {"iss": f"{subject}.{fingerprint}", "sub": subject, "iat": now, "exp": now + 59}
        signed = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "RS256", "typ": "JWT"}, claims)
        )
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        token = f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
        data = {"LOGIN_NAME": user.login_name, "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token}
        self._connection.request("POST", "/session/v1/login-request", json.dumps({"data": data}))
        answer = json.loads(self._connection.getresponse().read())
        self.logins += 1
        if not answer["success"]:
            self.refusals.append(f"{fingerprint}: {answer['code']}")

    def close(self) -> None:
        self._connection.close()
        self._door.close()

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def journal(scene: Scene) -> list[tuple[str, str]]:
    """All requests of a run in order of arrival, as (server, label); the slots take turns, so they count as one, and
    names of tokens are left out.
    """
    entries = [(entry.at, "vault", entry.label.split()[0]) for entry in scene.vault.journal.entries()]
    entries += [(entry.at, "snowflake", entry.label) for entry in scene.snowflake.journal.entries()]
    return [(server, _CHANGING.sub("", label)) for _at, server, label in sorted(entries)]


@dataclasses.dataclass(frozen=True)
class Crash:
    """Where a run is killed: at which request of which server, and on which side of what that server does."""

    server: str
    skip: int
    side: Side
    label: str

    def __str__(self) -> str:
        return f"{self.side} {self.server} {self.label}"


def crashes(requests: t.Sequence[tuple[str, str]]) -> list[Crash]:
    """Every point at which a run that makes these requests can die."""
    counted: collections.Counter[str] = collections.Counter()
    found = []
    for server, label in requests:
        found += [Crash(server, counted[server], side, label) for side in _SIDES]
        counted[server] += 1
    return found


class Runner(t.Protocol):
    """One way to rotate. start: the process to kill. finish: its exit status, negative for a signal.

    output: what the last run said.
    """

    name: str

    @property
    def output(self) -> str: ...

    def start(self) -> int: ...

    def kill(self, pid: int) -> None: ...

    def finish(self) -> int: ...


class ThroughRole:
    """The playbook, in a real ansible-playbook; the whole process tree is killed."""

    name = "role"

    def __init__(self, scene: Scene, **variables: t.Any) -> None:
        self._scene, self._variables = scene, variables
        self.output = ""

    def start(self) -> int:
        self._process = self._scene.start(**self._variables)
        return self._process.pid

    def kill(self, pid: int) -> None:
        kill_tree(pid)

    def finish(self) -> int:
        run = self._scene.ansible.finish(self._process)
        self.output = run.output
        return run.returncode


class InChild:
    """The modules' logic and the role's filters in a process that is forked for every run."""

    name = "child"

    def __init__(self, scene: KeyScene, directory: Path) -> None:
        self._scene = scene
        self._forked = Forked(scene.ansible.environ({}), directory)
        self._job = {
            "kind": ROLE,
            "records": list(scene.uids.values()),
            "role": role_of(ROLE, common={}),
            "vault": {"keeper_config_file": str(scene.config), "credential": "key_pair"},
            "staging": {"force": True},
            "login": {**scene.connection, "account": ACCOUNT, "login_user": ADMIN}
            | {"login_password": scene.snowflake.user(ADMIN).password},
        }

    @property
    def output(self) -> str:
        return str([record for record in self._forked.records if record["outcome"] == "failed"])

    def start(self) -> int:
        self._scene.forget()
        return self._forked.start(self._job)

    def kill(self, pid: int) -> None:
        self._forked.kill(pid)

    def finish(self) -> int:
        return self._forked.finish()

    def close(self) -> None:
        self._forked.close()


def run_clean(scene: Scene, runner: Runner, seen: t.Callable[[], object] | None = None) -> int:
    """A run to its end; seen: called at every request, when the server has acted."""
    servers = (scene.vault, scene.snowflake)
    if seen is not None:
        for server in servers:
            server.faults.add(Fault("", times=_EVERY, before=seen, after=seen))
    try:
        runner.start()
        return runner.finish()
    finally:
        for server in servers:
            server.faults.clear()


def run_killed(scene: Scene, runner: Runner, crash: Crash, seen: t.Callable[[], object]) -> int:
    """A run that dies at this point; seen: called at every request before, and there."""
    ready = threading.Event()
    process: list[int] = []

    def kill() -> None:
        assert ready.wait(_PATIENCE)
        runner.kill(process[0])
        seen()

    for name, server in (("vault", scene.vault), ("snowflake", scene.snowflake)):
        times = crash.skip if name == crash.server else _EVERY
        server.faults.add(Fault("", times=times, before=seen, after=seen))
        if name == crash.server:
            when: dict[str, t.Any] = {crash.side: kill}
            server.faults.add(Fault("", drop=crash.side, **when))
    try:
        process.append(runner.start())
        ready.set()
        return runner.finish()
    finally:
        for server in (scene.vault, scene.snowflake):
            server.faults.clear()


@dataclasses.dataclass
class Report:
    """What a campaign has seen."""

    seed: int
    rotations: int = 0
    by_runner: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    points: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    states: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    logged_in: int = 0
    client_logins: int = 0
    refusals: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not self.refusals and not self.problems and self.logged_in == self.rotations > 0

    def lines(self) -> t.Iterator[str]:
        runners = ", ".join(f"{count} {name}" for name, count in sorted(self.by_runner.items()))
        yield f"{self.rotations} rotations ({runners}), each killed at a random request and run again"
        for state, count in sorted(self.states.items()):
            yield f"    killed when {state}: {count}"
        yield f"{len(self.points)} different points of death"
        yield f"the client's logins with the published key: {self.client_logins}, refused: {len(self.refusals)}"
        yield f"the vault's key logs in after the second run: {self.logged_in} of {self.rotations}"
        yield from (f"REFUSED {text}" for text in self.refusals[:20])
        yield from (f"PROBLEM {text}" for text in self.problems[:20])
        yield f"seed {self.seed}, {self.seconds:.0f} s: {'passed' if self.good else 'FAILED'}"


def state_of(scene: KeyScene, before: str | None) -> str:
    """What a killed run has left."""
    pending = scene.pending(USER)
    if scene.key(USER) != before:
        return "4 committed"
    if pending is None:
        return "1 nothing was staged"
    return "3 set in Snowflake" if scene.accepts(USER, pending) else "2 staged"


def campaign(
    directory: Path, rotations: int, seed: int, *, through_role: int, show: t.Callable[[str], object] = print
) -> Report:
    """So many rotations of one user, of which so many through the role."""
    chance = random.Random(seed)
    report = Report(seed)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        snowflake = stack.enter_context(SnowflakeSandbox(account=ACCOUNT))
        snowflake.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        vault = stack.enter_context(KeeperSandbox())
        scene = KeyScene(directory, snowflake, vault, USER)
        child = InChild(scene, directory / "child")
        stack.callback(child.close)
        runners: list[Runner] = [child]
        if through_role:
            runners.append(ThroughRole(scene, force=True))
        points: dict[int, list[Crash]] = {}
        for number, runner in enumerate(runners):
            # The first two fill the slots; where a run can die is counted from one that overwrites the older key.
            assert [run_clean(scene, runner) for repeat in range(3)] == [0, 0, 0], runner.output
            points[number] = crashes(journal(scene))
        reader = stack.enter_context(Reader(scene, USER))
        chosen = set(chance.sample(range(rotations), through_role))
        for number in range(rotations):
            which = 1 if number in chosen else 0
            runner, crash = runners[which], chance.choice(points[which])
            before = scene.key(USER)
            _one(scene, runner, crash, reader, report)
            report.rotations += 1
            report.by_runner[runner.name] += 1
            report.points[f"{runner.name} {crash}"] += 1
            if scene.key(USER) == before:
                report.problems.append(f"rotation {number}: the record publishes the same key as before ({crash})")
            if (number + 1) % 20 == 0:
                show(f"{number + 1} rotations, {reader.logins} logins of the client, {len(reader.refusals)} refused")
        report.client_logins, report.refusals = reader.logins, reader.refusals
        report.problems += [f"sandbox: {type(error).__name__} {error}" for error in snowflake.errors + vault.errors]
    report.seconds = time.monotonic() - began
    return report


def _one(scene: KeyScene, runner: Runner, crash: Crash, reader: Reader, report: Report) -> None:
    """One rotation that dies, and the run that finishes it."""
    before = scene.key(USER)
    status = run_killed(scene, runner, crash, reader.knock)
    report.states[state_of(scene, before)] += 1
    if status != -signal.SIGKILL or journal(scene)[-1] != (crash.server, crash.label):
        report.problems.append(f"not killed {crash}: {status}, {runner.output}")
    pending = scene.pending(USER)
    reader.knock()
    status = run_clean(scene, runner, reader.knock)
    reader.knock()
    if status != 0 or not scene.settled(USER):
        report.problems.append(f"the run after a death {crash}: {status}, {runner.output}")
    if pending is not None and scene.key(USER) != pending:
        report.problems.append(f"the staged key was not used again after a death {crash}")
    seen, refused = reader.logins, len(reader.refusals)
    reader.knock()
    report.logged_in += reader.logins > seen and len(reader.refusals) == refused


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.keypair", description="Key rotations that crash, and are run again."
    )
    parser.add_argument("--rotations", type=int, default=200)
    parser.add_argument("--through-role", type=int, help="of these, through ansible-playbook (default: one in ten)")
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it (default: a new one)")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    through_role = -(-given.rotations // _ONE_IN) if given.through_role is None else given.through_role
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="keyturn-campaign-") as directory:
        report = campaign(
            Path(directory),
            given.rotations,
            seed,
            through_role=min(through_role, given.rotations),
            show=functools.partial(print, flush=True),
        )
    for line in report.lines():
        print(line)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())


def slots(scene: KeyScene, name: str = "A") -> list[str | None]:
    user = scene.snowflake.user(name)
    return [user.rsa_public_key_fp, user.rsa_public_key_2_fp]
