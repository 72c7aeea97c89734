# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rotation costs beside its peers, and beside a former build: ratios of one run, rounds interleaved.

``python -m benchmarks.bench --base COMMIT --cisco DIR`` (``make bench``); DIR is of tests/sandbox/cisco_collection.py.
With ``--write`` the page docs/docsite/rst/performance.rst and its picture are written.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import typing as t
from importlib import metadata
from pathlib import Path

from benchmarks import bench_page
from benchmarks.fleet import per_credential
from benchmarks.measure import Row, Work, checkout, rounds, row
from benchmarks.memory import Memory, peak
from tests.integration.conftest import ACCOUNT, ADMIN, fresh_password
from tests.integration.scenes import MerakiScene, SnowflakeScene
from tests.integration.support import AS_MODULES, Ansible, Run, unsafe
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.meraki.sandbox import NETWORK
from tests.sandbox.rest import RestSandbox
from tests.sandbox.server import Fault, Faults
from tests.sandbox.snowflake import SnowflakeSandbox

Play = tuple[list[dict[str, t.Any]], dict[str, t.Any]]


class Bench:
    """The servers and what runs against them. base: collections of the former build; cisco: of Cisco's, or None."""

    def __init__(self, stack: contextlib.ExitStack, base: Path, cisco: Path | None) -> None:
        self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keyturn-bench-")))
        self.snowflake = stack.enter_context(SnowflakeSandbox(account=ACCOUNT))
        self.meraki = stack.enter_context(MerakiSandbox())
        self.rest = stack.enter_context(RestSandbox())
        self.vault = stack.enter_context(KeeperSandbox())
        self.base = {"ANSIBLE_COLLECTIONS_PATH": str(base)}
        self.cisco = cisco.resolve() if cisco else None
        self.key = self.meraki.add_key(secrets.token_hex(20))
        self.meraki.rate = None
        password = fresh_password()
        self.snowflake.add_user(ADMIN, password=password, default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        self.ansible = Ansible(self.folder("ansible"), self.vault.environment())

    def folder(self, name: str) -> Path:
        made = self.directory / name
        made.mkdir()
        return made

    def empty(self) -> Run:
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": []}
        return self.ansible.run([play], {})

    # -- roles

    def roles(self, number: int) -> list[Row]:
        snowflake = SnowflakeScene(self.folder("s"), self.snowflake, self.vault, "S")
        meraki = MerakiScene(self.folder("m"), self.meraki, self.vault, "m@example.com")

        def rotated(scene: t.Any, **more: t.Any) -> Run:
            return t.cast(Run, scene.run(admin_record=scene.admin_uid, **more))

        found = rounds(
            number,
            {
                "empty": self.empty,
                "snowflake": functools.partial(rotated, snowflake, force=True),
                "snowflake, before": functools.partial(rotated, snowflake, force=True, environment=self.base),
                "nothing due": functools.partial(rotated, snowflake, max_age="30d"),
                "meraki": functools.partial(rotated, meraki, force=True),
            },
        )
        empty = "empty playbook"
        return [
            row(found, "snowflake", "empty", "Snowflake role, one record rotated", empty, 2.4),
            row(found, "nothing due", "empty", "Snowflake role, nothing due", empty, 1.7),
            row(found, "meraki", "empty", "Meraki role, one record rotated", empty, 2.2),
            row(found, "snowflake", "snowflake, before", "Snowflake role, one record rotated", "former build", None),
        ]

    # -- one Meraki user, and many

    def meraki_play(self, names: t.Sequence[str]) -> Play:
        """Our module, one task."""
        users = [{"email": name, "password": secrets.token_urlsafe(24)} for name in names]
        given = {"api_url": self.meraki.url, "api_key": self.key, "network_id": NETWORK, "requests_per_second": 1000}
        task = {"name": "Rotate", "keyturn.credentials.meraki_vpn_user_password": "{{ given }}", "no_log": True}
        return [self.ansible.play(task)], {"given": unsafe({**given, "users": users})}

    def meraki_users(self, names: t.Sequence[str], **environment: str) -> Run:
        plays, variables = self.meraki_play(names)
        return self.ansible.run(plays, variables, **environment)

    def cisco_users(self, names: t.Sequence[str]) -> Run:
        task = {
            "name": "Rotate",
            "cisco.meraki.networks_meraki_auth_users": {
                "state": "present",
                "networkId": NETWORK,
                "name": "{{ item.name }}",
                "merakiAuthUserId": "{{ item.id }}",
                "password": "{{ item.password }}",
                "meraki_api_key": "{{ key }}",
                "meraki_base_url": self.meraki.url + ("" if self.meraki.url.endswith("/api/v1") else "/api/v1"),
                "meraki_suppress_logging": True,
            },
            "loop": "{{ wanted }}",
            "loop_control": {"label": "{{ item.name }}"},
            "no_log": True,
        }
        wanted = [
            {"name": name, "id": self.meraki.user(name).id, "password": secrets.token_urlsafe(24)} for name in names
        ]
        variables = {"key": unsafe(self.key), "wanted": unsafe(wanted)}
        return self.ansible.run([self.ansible.play(task)], variables, ANSIBLE_COLLECTIONS_PATH=str(self.cisco))

    def users(self, number: int) -> list[str]:
        names = [f"user{each}-{number}@example.com" for each in range(number)]
        for name in names:
            self.meraki.add_user(NETWORK, name, secrets.token_urlsafe(24), name=name)
        return names

    def against_cisco(self, number: int, most: int) -> tuple[list[Row], dict[str, dict[int, float]]]:
        """The rows, and CPU by the number of users, of ours, of the former build's and of Cisco's."""
        rows, curves = [], {"keyturn": {}, "former build": {}, "cisco.meraki, loop": {}}  # type: ignore[var-annotated]
        goals = {1: 0.75, 100: 0.15, 1000: 0.04}
        for count in (each for each in (1, 10, 100, 1000) if each <= most):
            names = self.users(count)
            works: dict[str, Work] = {
                "keyturn": functools.partial(self.meraki_users, names),
                "former build": functools.partial(self.meraki_users, names, **self.base),
            }
            if self.cisco is not None:
                works["cisco.meraki, loop"] = functools.partial(self.cisco_users, names)
            found = rounds(number if count < 100 else 1, works)
            for name, costs in found.items():
                curves[name][count] = statistics.median(each.cpu for each in costs)
            if self.cisco is not None:
                what = f"{count} Meraki user{'s, one task' if count > 1 else ''}"
                rows.append(row(found, "keyturn", "cisco.meraki, loop", what, "cisco.meraki", goals.get(count)))
            for name in names:
                self.meraki.network.users.pop(self.meraki.user(name).id)
        return rows, curves

    # -- REST

    def rest_users(self, numbers: t.Sequence[int], **more: t.Any) -> Run:
        """Users that are named by their numbers, without a lookup."""
        given = {
            "url": self.rest.url,
            "users": [{"username": str(number), "password": fresh_password()} for number in numbers],
            "secrets": {"admin_token": self.rest.token},
            "auth": {"type": "bearer", "token": "${admin_token}"},
            "change": {
                "method": "PUT",
                "path": "/users/${username}",
                "body": {"password": "${password}"},
                "status": [204],
            },
            "verify": {
                "path": "/whoami",
                "auth": {"type": "basic", "username": "${username}", "password": "${password}"},
            },
            "update_password": "always",
            **more,
        }
        task = {"name": "Rotate", "keyturn.credentials.rest_password_rotate": "{{ given }}", "no_log": True}
        return self.ansible.run([self.ansible.play(task)], {"given": unsafe(given)})

    def uri_user(self) -> Run:
        def ask(**options: t.Any) -> dict[str, t.Any]:
            common = {"status_code": [200, 204], "url": self.rest.url + options.pop("path")}
            return {"name": "Ask", "ansible.builtin.uri": {**common, **options}, "no_log": True}

        password = fresh_password()
        tasks = (
            ask(
                path="/users/1",
                method="PUT",
                headers={"Authorization": "Bearer {{ token }}"},
                body_format="json",
                body={"password": "{{ new }}"},
            ),
            ask(path="/whoami", force_basic_auth=True, url_username="1", url_password="{{ new }}"),
        )
        variables = {"token": unsafe(self.rest.token), "new": unsafe(password)}
        return self.ansible.run([self.ansible.play(*tasks)], variables)

    def against_uri(self, number: int) -> list[Row]:
        self.rest.add_user("1", fresh_password())
        found = rounds(number, {"keyturn": functools.partial(self.rest_users, [1]), "uri": self.uri_user})
        return [row(found, "keyturn", "uri", "one REST user", "two uri tasks", 0.4)]

    # -- distant services

    def distant_rest(self, number: int, count: int) -> list[Row]:
        users = [int(self.rest.add_user(str(len(self.rest.users) + 1), fresh_password()).id) for _each in range(count)]
        self.rest.faults.add(Fault("", times=10**9, delay=0.05))
        four = functools.partial(self.rest_users, users, verify_parallel=4)
        found = rounds(number, {"four": four, "one": functools.partial(self.rest_users, users)})
        self.rest.faults.clear()
        what = f"REST, {count} users at 50 ms, verify_parallel 4, wall"
        return [row(found, "four", "one", what, "verify_parallel 1", None, wall=True)]

    def snowflake_play(self, names: t.Sequence[str]) -> Play:
        users = [{"name": name, "password": fresh_password()} for name in names]
        given = {
            **self.snowflake.settings(),
            "login_user": ADMIN,
            "login_password": self.snowflake.user(ADMIN).password,
            "users": users,
            "update_password": "always",
        }
        task = {"name": "Rotate", "keyturn.credentials.snowflake_user_password": "{{ given }}", "no_log": True}
        return [self.ansible.play(task)], {"given": unsafe(given)}

    def snowflake_users(self, names: t.Sequence[str], **environment: str) -> Run:
        plays, variables = self.snowflake_play(names)
        return self.ansible.run(plays, variables, **environment)

    def distant(self, number: int, count: int) -> list[Row]:
        names = [f"D{each}" for each in range(count)]
        for name in names:
            self.snowflake.add_user(name, password=fresh_password())
        self.snowflake.faults.add(Fault("", times=10**9, delay=0.05))
        found = rounds(
            number,
            {
                "ours": functools.partial(self.snowflake_users, names),
                "before": functools.partial(self.snowflake_users, names, **self.base),
            },
        )
        self.snowflake.faults.clear()
        what = f"Snowflake, {count} users with proofs at 50 ms, wall"
        return [row(found, "ours", "before", what, "former build", 0.4, wall=True)]

    # -- memory

    def memory(self, number: int) -> list[Row]:
        """Of a task with one user: of the process in which the module runs, and of the whole run."""
        self.snowflake.add_user("M", password=fresh_password())
        snowflake = self._memory("Snowflake", self.snowflake.faults, lambda: self.snowflake_play(["M"]), number)
        self.meraki.add_user(NETWORK, "m1@example.com", secrets.token_urlsafe(24))
        play = functools.partial(self.meraki_play, ["m1@example.com"])
        return snowflake + self._memory("Meraki", self.meraki.faults, play, number)

    def _memory(self, title: str, faults: Faults, play: t.Callable[[], Play], number: int) -> list[Row]:
        def middle(*words: str, **environment: str) -> Memory:
            def start() -> subprocess.Popen[str]:
                plays, variables = play()
                return self.ansible.start(plays, variables, *words, **environment)

            found = [peak(self.ansible, faults, start) for _round in range(number)]
            return Memory(*(statistics.median(column) for column in zip(*map(dataclasses.astuple, found), strict=True)))

        ours, modules, before = middle(), middle(*AS_MODULES), middle(**self.base)

        def line(what: str, peer: str, one: float, other: float, goal: float | None = None) -> Row:
            return Row(f"{title}, one user, memory of {what}", peer, one / other, goal, one, other, "MiB")

        return [
            line("the task's process", "former build", ours.task, before.task, 1.2),
            line("the task's process", "this build's module process", ours.task, modules.task),
            line("the task's process, what it shares counted in full", "former build", ours.task_rss, before.task_rss),
            line("all processes", "former build", ours.run, before.run),
        ]


def versions() -> str:
    names = ("ansible-core", "snowflake-connector-python", "keeper-secrets-manager-core", "requests", "meraki")
    found = []
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return f"Python {platform.python_version()}, {', '.join(found)}, {os.cpu_count()} cores"


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument("--base", required=True, metavar="COMMIT", help="the former build")
    parser.add_argument("--cisco", type=Path, metavar="DIR", help="a collections path with cisco.meraki")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--most", type=int, default=1000, help="the longest list of Meraki users")
    parser.add_argument("--write", action="store_true", help="write the page and the picture")
    chosen = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        bench = Bench(stack, stack.enter_context(checkout(chosen.base)), chosen.cisco)
        rows: list[Row] = []

        def add(more: list[Row]) -> None:
            for each in more:
                print(each.line(), flush=True)
            rows.extend(more)

        add(bench.roles(chosen.rounds))
        add(bench.memory(min(2, chosen.rounds)))
        against, curves = bench.against_cisco(chosen.rounds, chosen.most)
        add(against)
        add(bench.against_uri(chosen.rounds))
        add(bench.distant(max(1, chosen.rounds // 2), min(100, chosen.most)))
        add(bench.distant_rest(max(1, chosen.rounds // 2), min(50, chosen.most)))
        # Half an hour for 200 accounts, see benchmarks/fleet.py; what all share weighs little from here on.
        add([per_credential(bench.base["ANSIBLE_COLLECTIONS_PATH"], min(8, chosen.most), 10)])
    print(versions())
    if chosen.write:
        bench_page.write(rows, curves, versions(), chosen.base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
