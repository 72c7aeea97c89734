# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many client VPN users against a server that enforces Meraki's rate limit: requests, answers 429, seconds.

``python -m benchmarks.meraki_pacing --users 300``. With ``--compare N --cisco DIR`` the collection cisco.meraki (see
tests/sandbox/cisco_collection.py), and with it the package meraki, gets N users in the same run, and so do we.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import secrets
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from tests.integration.support import Ansible, Run, unsafe
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.meraki.sandbox import NETWORK

_PACE = 8
_SLACK = 1.15


@dataclasses.dataclass
class Result:
    """requests: that arrived. limited: how many got 429. at_server: seconds from the first request to the last."""

    users: int
    requests: int
    limited: int
    seconds: float
    at_server: float

    def line(self, name: str) -> str:
        return (
            f"{name}: {self.users} users, {self.requests} requests, {self.limited} answers 429, "
            f"{self.seconds:.1f} s in all, {self.at_server:.1f} s between the first request and the last"
        )


def measure(number: int, work: t.Callable[[Ansible, MerakiSandbox, str, list[dict[str, str]]], Run]) -> Result:
    """A fresh dashboard without burst: no second ever holds more than 10 requests."""
    with MerakiSandbox() as dashboard, tempfile.TemporaryDirectory() as directory:
        dashboard.burst = False
        key = dashboard.add_key(secrets.token_hex(20))
        wanted = [{"email": f"user{each}@example.com", "password": secrets.token_urlsafe(24)} for each in range(number)]
        for user in wanted:
            dashboard.add_user(NETWORK, user["email"], secrets.token_urlsafe(24), name=user["email"])
        began = time.monotonic()
        run = work(Ansible(Path(directory), {}), dashboard, key, wanted)
        seconds = time.monotonic() - began
        if run.returncode != 0:
            raise SystemExit(run.output)
        assert all(dashboard.accepts(user["email"], user["password"]) for user in wanted)
        entries = dashboard.journal.entries()
        return Result(number, len(entries), dashboard.limited_answers, seconds, entries[-1].at - entries[0].at)


def ours(ansible: Ansible, dashboard: MerakiSandbox, key: str, wanted: list[dict[str, str]]) -> Run:
    given = {**dashboard.settings(key), "users": wanted}
    task = {
        "name": "Set the passwords",
        "keyturn.credentials.meraki_vpn_user_password": {option: f"{{{{ given.{option} }}}}" for option in given},
        "no_log": True,
    }
    return ansible.run([ansible.play(task)], {"given": unsafe(given)})


def cisco(ansible: Ansible, dashboard: MerakiSandbox, key: str, wanted: list[dict[str, str]], folder: str) -> Run:
    """As its documentation has it: a task for each user, by name."""
    task = {
        "name": "Set the password",
        "cisco.meraki.networks_meraki_auth_users": {
            "state": "present",
            "meraki_api_key": "{{ key }}",
            "meraki_base_url": dashboard.url,
            "networkId": NETWORK,
            "name": "{{ item.email }}",
            "password": "{{ item.password }}",
        },
        "loop": "{{ wanted }}",
        "no_log": True,
    }
    path = os.pathsep.join([folder, ansible.environ({})["ANSIBLE_COLLECTIONS_PATH"]])
    return ansible.run([ansible.play(task)], {"wanted": unsafe(wanted), "key": key}, ANSIBLE_COLLECTIONS_PATH=path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.meraki_pacing", description=__doc__)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--compare", type=int, default=0, metavar="N")
    parser.add_argument("--cisco", metavar="DIR", help="a collections path with cisco.meraki")
    options = parser.parse_args()
    result = measure(options.users, ours)
    limit = _SLACK * options.users / _PACE
    print(result.line("ours"), f"(limit {limit:.1f} s)", flush=True)
    if options.compare:
        folder = str(Path(options.cisco).resolve())
        one = measure(options.compare, ours)
        other = measure(options.compare, functools.partial(cisco, folder=folder))
        print(one.line("ours"))
        print(other.line("cisco.meraki"))
        print(
            f"ratio cisco.meraki to ours: requests {other.requests / one.requests:.2f}, "
            f"seconds {other.seconds / one.seconds:.2f}"
        )
    return 1 if result.limited or result.seconds > limit or result.requests != options.users + 1 else 0


if __name__ == "__main__":
    sys.exit(main())
