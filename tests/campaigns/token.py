# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.campaigns.token --rotations 200``: token rotations that crash, and a client that must not notice.

Every rotation is killed with SIGKILL at a random request, before or after the server has acted, and run again until it
is over and the token before it is retired. At every request a client logs in with the token that the record publishes.
The runs are the same modules' logic and the role's filters in a forked process.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime as dt
import functools
import json
import random
import secrets
import signal
import sys
import tempfile
import typing as t
from pathlib import Path

from tests.campaigns.keypair import Crash, Reader, crashes, journal, run_clean, run_killed
from tests.integration.conftest import ACCOUNT, ADMIN, fresh_password
from tests.integration.forked import Forked, role_of
from tests.integration.scenes import SnowflakeScene as Scene
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.snowflake import SnowflakeSandbox

ROLE = "snowflake_user_token"
USER = "ETL"
LOADER = "LOADER"
FIRST = "MADE_BY_HAND"


class TokenScene(Scene):
    """Service users of one account with their records, each with a token that somebody has made."""

    role = ROLE

    def __init__(self, directory: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox, *names: str, **more: t.Any):
        snowflake.add_role(LOADER)
        super().__init__(directory, snowflake, vault, *names, **{"role_restriction": LOADER, **more})

    def add(self, name: str, **record: t.Any) -> str:
        self.snowflake.add_user(name, type="SERVICE", roles=[LOADER])
        self.old[name] = fresh_password()
        self.snowflake.add_pat(name, token=self.old[name], token_name=FIRST, age=dt.timedelta(days=2))
        self.uids[name] = self.add_token_record(name, self.old[name], FIRST, **record)
        return self.uids[name]

    def add_token_record(self, login: str, token: str, token_name: str | None, *, title: str | None = None) -> str:
        named = [{"type": "text", "label": "token_name", "value": [token_name]}] if token_name else []
        fields = {"login": login, "password": token}
        return self.vault.add_record(title=title or f"Record of {login}", type="pamUser", fields=fields, custom=named)

    def accepts(self, name: str, secret: str) -> bool:
        return self.snowflake.accepts_token(name, secret)

    def key(self, name: str) -> str:
        """The published token, under the name that the reader knows."""
        return self.password(name)

    def tokens(self, name: str) -> set[str]:
        return set(self.snowflake.user(name).pats)


class TokenReader(Reader):
    """A client that logs in with the token that a record publishes."""

    def __init__(self, scene: TokenScene, name: str) -> None:
        super().__init__(t.cast(t.Any, scene), name)
        self._login_name = scene.snowflake.user(name).login_name

    def _log_in(self, secret: str) -> None:
        data = {"LOGIN_NAME": self._login_name, "AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "TOKEN": secret}
        self._connection.request("POST", "/session/v1/login-request", json.dumps({"data": data}))
        answer = json.loads(self._connection.getresponse().read())
        self.logins += 1
        if not answer["success"]:
            self.refusals.append(str(answer["code"]))


class Child:
    """The modules' logic and the role's filters in a process that is forked for every run. staging: what is due."""

    name = "child"

    def __init__(self, scene: TokenScene, forked: Forked, staging: dict[str, t.Any]) -> None:
        self._scene, self._forked = scene, forked
        self._job = {
            "kind": ROLE,
            "records": list(scene.uids.values()),
            "role": role_of(ROLE, settled={}),
            "vault": {"keeper_config_file": str(scene.config)},
            "staging": staging,
            "login": {
                **scene.connection,
                **{"account": ACCOUNT, "login_user": ADMIN, "login_password": scene.snowflake.user(ADMIN).password},
            },
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


class Report(t.NamedTuple):
    """What a campaign has seen. left: names of tokens at the service in the end."""

    rotations: int
    states: collections.Counter[str]
    points: int
    logins: int
    refused: list[str]
    left: set[str]
    problems: list[str]

    @property
    def good(self) -> bool:
        return not self.refused and not self.problems and len(self.left) == 1

    def lines(self) -> t.Iterator[str]:
        yield f"{self.rotations} rotations, each killed at one of {self.points} points and run again"
        yield from (f"    killed when {state}: {count}" for state, count in sorted(self.states.items()))
        yield f"the client's logins with the published token: {self.logins}, refused: {len(self.refused)}"
        yield f"tokens at the service in the end: {len(self.left)}, of which orphans: {len(self.left) - 1}"
        yield from (f"PROBLEM {text}" for text in self.problems[:20])


def campaign(directory: Path, rotations: int, seed: int, *, show: t.Callable[[str], object] = print) -> Report:
    """So many rotations of one user's token."""
    chance = random.Random(seed)
    states: collections.Counter[str] = collections.Counter()
    problems: list[str] = []
    with contextlib.ExitStack() as stack:
        snowflake = stack.enter_context(SnowflakeSandbox(account=ACCOUNT))
        snowflake.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        vault = stack.enter_context(KeeperSandbox())
        scene = TokenScene(directory, snowflake, vault, USER, retire_previous_after="0h")
        forked = Forked(scene.ansible.environ({}), directory / "child")
        stack.callback(forked.close)
        forced, due = Child(scene, forked, {"force": True}), Child(scene, forked, {"max_age": "30d"})
        assert run_clean(scene, forced) == 0, forced.output
        points = crashes(journal(scene))
        reader = stack.enter_context(TokenReader(scene, USER))
        for number in range(rotations):
            crash = chance.choice(points)
            problems += _one(scene, forced, due, crash, reader, states)
            if (number + 1) % 20 == 0:
                show(f"{number + 1} rotations, {reader.logins} logins of the client, {len(reader.refusals)} refused")
        problems += [f"sandbox: {type(error).__name__} {error}" for error in snowflake.errors + vault.errors]
        return Report(rotations, states, len(points), reader.logins, reader.refusals, scene.tokens(USER), problems)


def _one(
    scene: TokenScene, forced: Child, due: Child, crash: Crash, reader: TokenReader, states: collections.Counter[str]
) -> t.Iterator[str]:
    """One rotation that dies, the run that finishes it, and the one that retires the token before."""
    before = scene.key(USER)
    status = run_killed(scene, forced, crash, reader.knock)
    if status != -signal.SIGKILL or journal(scene)[-1] != (crash.server, crash.label):
        yield f"not killed {crash}: {status}, {forced.output}"
    pending, changed = scene.pending(USER), scene.key(USER) != before
    state = scene.vault.field(scene.uids[USER], "rotation_state") or ""
    unfinished = "rotation_id" in state
    made = len(scene.tokens(USER)) > 1
    states[_state(changed, pending, made=made, unfinished=unfinished)] += 1
    for _run in range(2):
        if run_clean(scene, due, reader.knock) != 0:
            yield f"the run after a death {crash}: {due.output}"
    reader.knock()
    if not scene.settled(USER):
        yield f"not settled after a death {crash}"
    if pending is not None and scene.key(USER) != pending:
        yield f"the saved token was not used after a death {crash}"
    if unfinished and scene.key(USER) == before:
        yield f"the rotation was forgotten after a death {crash}"
    if len(scene.tokens(USER)) != 1:
        yield f"tokens left after a death {crash}: {sorted(scene.tokens(USER))}"


def _state(changed: bool, pending: str | None, *, made: bool, unfinished: bool) -> str:
    if changed:
        return "5 committed"
    if pending is not None:
        return "4 saved"
    if unfinished:
        return "3 minted, not saved" if made else "2 announced"
    return "1 nothing was announced"


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.token", description="Token rotations that crash, and are run again."
    )
    parser.add_argument("--rotations", type=int, default=200)
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it (default: a new one)")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="keyturn-campaign-") as directory:
        report = campaign(Path(directory), given.rotations, seed, show=functools.partial(print, flush=True))
    for line in report.lines():
        print(line)
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
