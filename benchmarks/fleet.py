# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet costs, against another build.

``python -m benchmarks.fleet --base COMMIT [--accounts 200]``: CPU for each credential, of Snowflake accounts with ten
users each, all in one run with either build, in turn. The goal is for 200 accounts, which take half an hour; what is
shared by all of them weighs little from some dozens on.

``python -m benchmarks.fleet [--against COLLECTIONS]``: a fleet of several kinds. First three accounts of three kinds,
each with a service that takes 3 s for its one change, against the slowest of them alone. Then 30 accounts of three
kinds with 10 forks, in turn with the build in the folder of collections that is named, for example of a git worktree of
the commit before.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from benchmarks.measure import Row, checkout, cost
from tests.integration.support import Ansible, Run
from tests.sandbox.fleet import KEY_KIND, Fleet
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import Authorization, MerakiSandbox
from tests.sandbox.scenery import fresh_password
from tests.sandbox.server import Fault

Hosts = dict[str, dict[str, t.Any]]

SECONDS = 3.0
ALONE, BEFORE, CREDENTIAL = 1.5, 0.5, 0.5


class Scene:
    """Accounts whose kind changes from one to the next; ``accounts`` of them."""

    def __init__(self, directory: Path, vault: KeeperSandbox, fleet: Fleet, meraki: MerakiSandbox) -> None:
        self.directory, self.vault, self.meraki = directory, vault, meraki
        self.config = vault.write_client_config(directory / "ksm-config.json")
        self.hosts: Hosts = {}
        for number, account in enumerate(fleet.accounts):
            kind = number % 3
            if kind == 0:
                account.snowflake.faults.add(Fault("ALTER USER", times=1_000_000, delay=SECONDS))
                rotations = [account.rotation()]
            elif kind == 1:
                account.snowflake.faults.add(Fault("ALTER USER", times=1_000_000, delay=SECONDS))
                record = fleet.add_key_user(account, "PIPELINE")
                rotations = [account.rotation(kind=KEY_KIND, records=[record])]
            else:
                rotations = [self._vpn(number)]
            self.hosts[account.name] = {"keyturn_rotations": rotations}
        meraki.faults.add(Fault("PUT", times=1_000_000, delay=SECONDS))

    def _vpn(self, number: int) -> dict[str, t.Any]:
        email, password, key = f"user{number}@example.com", fresh_password(), secrets.token_hex(20)
        self.meraki.add_key(key)
        self.meraki.add_user(self.meraki.network.id, email, password, authorizations=[Authorization()])
        network = {"type": "text", "label": "network_id", "value": [self.meraki.network.id]}
        admin = self.vault.add_record(title=f"Meraki {number}", fields={"password": key}, custom=[network])
        record = self.vault.add_record(title=email, fields={"login": email, "password": password})
        return {
            "kind": "meraki_vpn_user_password",
            "admin_record": admin,
            "records": [record],
            "connection": {"api_url": self.meraki.url},
        }

    def wall(self, collections: str, forks: int, *, only: str | None = None) -> float:
        """Seconds of one run in which every credential is rotated. Raises RuntimeError if one is not."""
        ansible = Ansible(self.directory, {**self.vault.environment(), "ANSIBLE_COLLECTIONS_PATH": collections})
        os.environ["ANSIBLE_COLLECTIONS_PATH"] = collections
        inventory = self.directory / "inventory.json"
        inventory.touch(0o600)
        inventory.write_text(json.dumps({"all": {"hosts": self.hosts}}))
        given = {"keeper_config_file": str(self.config), "keyturn_force": True}
        limit = ["--limit", only] if only else []
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        run = ansible.run("keyturn.credentials.rotate", given, "-i", str(inventory), "--forks", str(forks), *limit)
        if run.returncode:
            raise RuntimeError(run.output[-4000:])
        wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"  {only or len(self.hosts)}: {wall:.1f} s, CPU {cpu:.1f} s", flush=True)
        return wall


class Credentials:
    """A fleet of one kind, all of whose credentials are rotated in each run."""

    def __init__(self, directory: Path, vault: KeeperSandbox, fleet: Fleet, forks: int) -> None:
        self._ansible = Ansible(directory, vault.environment())
        self._fleet, self._forks = fleet, forks
        self._inventory = fleet.write_inventory(directory / "inventory.json")
        self._given = {
            "keeper_config_file": str(vault.write_client_config(directory / "ksm-config.json")),
            "keyturn_force": True,
        }

    def _run(self, collections: str, *words: str) -> Run:
        """However long it takes."""
        words = ("-i", str(self._inventory), "--forks", str(self._forks), *words)
        environment = {"ANSIBLE_COLLECTIONS_PATH": collections}
        process = self._ansible.start("keyturn.credentials.rotate", self._given, *words, **environment)
        stdout, stderr = process.communicate()
        return Run(process.returncode, stdout, stderr, {})

    def milliseconds(self, collections: str) -> float:
        """CPU for each credential."""
        # What is compiled once is compiled now.
        cost(lambda: self._run(collections, "--limit", self._fleet.accounts[0].name))
        taken = cost(lambda: self._run(collections))
        credentials = sum(len(account.uids) for account in self._fleet.accounts)
        print(f"  CPU {taken.cpu:.0f} s, wall {taken.wall:.0f} s with {collections}", flush=True)
        return 1000 * taken.cpu / credentials


def per_credential(base: str, accounts: int, users: int, *, forks: int = 5, rounds: int = 1) -> Row:
    """base: the folder with the collections of the former build."""
    with (
        tempfile.TemporaryDirectory(prefix="keyturn-fleet-") as directory,
        KeeperSandbox() as vault,
        Fleet(vault, accounts=accounts, users=users) as fleet,
    ):
        credentials = Credentials(Path(directory), vault, fleet, forks)
        here = os.environ["ANSIBLE_COLLECTIONS_PATH"]
        pairs = [(credentials.milliseconds(here), credentials.milliseconds(base)) for _round in range(rounds)]
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    work = f"fleet, {accounts} accounts with {users} credentials, for each credential"
    return Row(work, "former build", ratio, CREDENTIAL, ours, theirs, "CPU ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="the folder with the collections of another build")
    parser.add_argument("--base", metavar="COMMIT", help="CPU for each credential, against this build")
    parser.add_argument("--accounts", type=int, default=60)
    parser.add_argument("--users", type=int, default=10, help="of each account")
    parser.add_argument("--forks", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=None, help="1 with --base, else 2")
    options = parser.parse_args()
    if options.base:
        with checkout(options.base) as base:
            counts = {"forks": options.forks, "rounds": options.rounds or 1}
            row = per_credential(str(base), options.accounts, options.users, **counts)
        print(row.line())
        return 0 if row.ratio <= CREDENTIAL else 1
    kinds(options.against, options.rounds or 2)
    return 0


def kinds(against: str | None, rounds: int) -> None:
    """Accounts of three kinds beside each other."""
    here = os.environ["ANSIBLE_COLLECTIONS_PATH"]
    for accounts in (3, 30):
        with (
            tempfile.TemporaryDirectory() as directory,
            KeeperSandbox() as vault,
            MerakiSandbox() as meraki,
            Fleet(vault, accounts=accounts, users=1) as fleet,
        ):
            scene = Scene(Path(directory), vault, fleet, meraki)
            if accounts == 3:
                alone = max(scene.wall(here, 5, only=name) for name in scene.hosts)
                together = min(scene.wall(here, 5) for _round in range(rounds))
                print(
                    f"three kinds: together {together:.1f} s, slowest alone {alone:.1f} s, ratio {together / alone:.2f}"
                )
                print(f"  bound {ALONE}: {'kept' if together <= ALONE * alone else 'BROKEN'}")
                continue
            walls = {here: 0.0} | ({against: 0.0} if against else {})
            for collections in walls:
                walls[collections] = min(scene.wall(collections, 10) for _round in range(rounds))
                print(f"30 mixed accounts, forks 10: {walls[collections]:.1f} s with {collections}", flush=True)
            if against:
                ratio = walls[here] / walls[against]
                print(f"  ratio {ratio:.2f}, bound {BEFORE}: {'kept' if ratio <= BEFORE else 'BROKEN'}")


if __name__ == "__main__":
    sys.exit(main())
