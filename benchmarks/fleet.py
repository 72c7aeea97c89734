# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m benchmarks.fleet [--against COLLECTIONS]``: what a fleet of several kinds costs, against another build.

First three accounts of three kinds, each with a service that takes 3 s for its one change, against the slowest of them
alone. Then 30 accounts of three kinds with 10 forks, in turn with the build in the folder of collections that is named,
for example of a git worktree of the commit before.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import tempfile
import time
import typing as t
from pathlib import Path

from tests.integration.support import Ansible
from tests.sandbox.fleet import KEY_KIND, Fleet
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import Authorization, MerakiSandbox
from tests.sandbox.scenery import fresh_password
from tests.sandbox.server import Fault

Hosts = dict[str, dict[str, t.Any]]

SECONDS = 3.0
ALONE, BEFORE = 1.5, 0.5


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="the folder with the collections of another build")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
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
                together = min(scene.wall(here, 5) for _round in range(options.rounds))
                print(
                    f"three kinds: together {together:.1f} s, slowest alone {alone:.1f} s, ratio {together / alone:.2f}"
                )
                print(f"  bound {ALONE}: {'kept' if together <= ALONE * alone else 'BROKEN'}")
                continue
            walls = {here: 0.0} | ({options.against: 0.0} if options.against else {})
            for collections in walls:
                walls[collections] = min(scene.wall(collections, 10) for _round in range(options.rounds))
                print(f"30 mixed accounts, forks 10: {walls[collections]:.1f} s with {collections}", flush=True)
            if options.against:
                ratio = walls[here] / walls[options.against]
                print(f"  ratio {ratio:.2f}, bound {BEFORE}: {'kept' if ratio <= BEFORE else 'BROKEN'}")


if __name__ == "__main__":
    main()
