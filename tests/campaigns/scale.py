# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m tests.campaigns.scale``: 200 accounts with 50 credentials each, of which three are broken, in many ways.

Every run rotates all of them by ansible-playbook, with other forks or as slices that run at the same time, as AWX makes
them. Printed are wall time, CPU and memory of Ansible, and what Keeper was asked; checked is that every credential is
accounted for, in the report and in the vault.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from tests.integration.support import Ansible
from tests.sandbox.fleet import Account, Fleet
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.scenery import fresh_password
from tests.sandbox.server import Fault

PLAYBOOK = "keyturn.credentials.rotate"
_FOREVER = 1_000_000
# Seconds between two signs of life.
_PROGRESS = 30
# Published limits: Keeper Secrets Manager, 100 requests in 10 s for each client and endpoint; Meraki, 10 requests per
# second for each organization.
_KEEPER_LIMIT = (100, 10.0)
_MERAKI_PER_SECOND = 10
_UPDATES_PER_CREDENTIAL = 2
_MUCH = 100_000


@dataclasses.dataclass(frozen=True)
class Setup:
    """How the fleet is run: so many ansible-playbook at once, each with its slice and its forks."""

    forks: int
    slices: int

    def __str__(self) -> str:
        return f"forks {self.forks:2}, slices {self.slices}"


@dataclasses.dataclass
class Cost:
    """What a run took. wall, cpu: seconds; memory: MiB of the largest process; calls: Keeper's requests by endpoint."""

    wall: float
    cpu: float
    memory: float
    calls: collections.Counter[str]


def break_three(fleet: Fleet) -> list[Account]:
    """One account that never answers, one whose administrator's password is wrong, one whose record is gone."""
    silent, locked, lost = fleet.accounts[1], fleet.accounts[len(fleet.accounts) // 2], fleet.accounts[-1]
    silent.snowflake.faults.add(Fault("", times=_FOREVER, hang="before"))
    locked.snowflake.user("ROTATOR").password = fresh_password()
    fleet.vault.remove(lost.admin_uid)
    return [silent, locked, lost]


class Campaign:
    """One fleet and what it takes to rotate it again and again."""

    def __init__(self, directory: Path, fleet: Fleet, broken: list[Account]) -> None:
        self.directory, self.fleet, self.broken = directory, fleet, broken
        self.ansible = Ansible(directory, fleet.vault.environment())
        self.config = fleet.vault.write_client_config(directory / "ksm-config.json")
        self.good = [account for account in fleet.accounts if account not in broken]
        self._passwords: dict[str, str | None] = {}

    def run(self, setup: Setup) -> tuple[Cost, list[Path]]:
        """All slices at once, as AWX starts them. Returns the directories of their reports, too."""
        self.fleet.vault.journal.clear()
        self._passwords = self._in_vault()
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        reports = [self.directory / f"report-{number}" for number in range(setup.slices)]
        processes = [self._start(setup, number, report) for number, report in enumerate(reports)]
        threads = [threading.Thread(target=self._drain, args=(process,)) for process in processes]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_PROGRESS)
                asked = len(self.fleet.vault.journal.entries())
                print(f"  {setup}: {time.monotonic() - started:.0f} s, Keeper was asked {asked} times", flush=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        calls = collections.Counter(label.split()[0] for label in self.fleet.vault.journal.labels())
        wrong = [process.returncode for process in processes if process.returncode not in (0, 2)]
        check(not wrong, f"ansible-playbook ended with {wrong}")
        check(any(process.returncode == 2 for process in processes) or not self.broken, "no run says that it failed")
        return Cost(time.monotonic() - started, cpu, after.ru_maxrss / 1024, calls), reports

    def _start(self, setup: Setup, number: int, report: Path) -> subprocess.Popen[str]:
        # AWX: the hosts by name, every slice_count-th of them.
        mine = self.fleet.accounts[number :: setup.slices]
        inventory = self.fleet.write_inventory(self.directory / f"inventory-{number}.json", of=mine)
        variables = {
            "keeper_config_file": str(self.config),
            "keyturn_report_dir": str(report),
            "keyturn_force": True,
        }
        return self.ansible.start(PLAYBOOK, variables, "-i", str(inventory), "--forks", str(setup.forks))

    @staticmethod
    def _drain(process: subprocess.Popen[str]) -> None:
        process.communicate()

    def account_for(self, reports: list[Path]) -> None:
        """Every credential is in a report once; those of good accounts are rotated there, in the vault, and in fact."""
        told = {
            row["record"]: row["outcome"]
            for report in reports
            for account in json.loads((report / "rotation.json").read_text("utf-8"))["accounts"]
            for row in account["credentials"]
        }
        expected = {
            uid: "failed" if account in self.broken else "rotated"
            for account in self.fleet.accounts
            for uid in account.uids.values()
        }
        different = {uid for uid in expected.keys() | told.keys() if expected.get(uid) != told.get(uid)}
        check(not different, f"{len(different)} credentials are not told as they are")
        unsettled = [user for account in self.good for user in account.uids if not self.fleet.settled(account, user)]
        check(not unsettled, f"{len(unsettled)} records do not hold the live password")
        same = {uid for uid, password in self._in_vault().items() if password == self._passwords[uid]}
        check(not same, f"{len(same)} records hold the password of the run before")

    def _in_vault(self) -> dict[str, str | None]:
        uids = [uid for account in self.good for uid in account.uids.values()]
        return {uid: self.fleet.vault.field(uid, "password") for uid in uids}


def check(condition: bool, otherwise: str) -> None:
    if not condition:
        raise SystemExit(f"FAILED: {otherwise}")


def line(setup: Setup, cost: Cost, fleet: Fleet, broken: int) -> str:
    accounts = len(fleet.accounts)
    credentials = sum(len(account.uids) for account in fleet.accounts)
    total = sum(cost.calls.values())
    return (
        f"{setup}: {accounts - broken} accounts done, {broken} failed, {credentials} of {credentials} credentials "
        f"accounted for; wall {cost.wall:6.1f} s, CPU {cost.cpu:6.1f} s ({1000 * cost.cpu / credentials:.0f} ms per "
        f"credential), memory {cost.memory:.0f} MiB, Keeper {total} calls ({total / accounts:.1f} per account: "
        + ", ".join(f"{count / accounts:.1f} {name}" for name, count in sorted(cost.calls.items()))
        + ")"
    )


def calculation(cpu_per_credential: float) -> list[str]:
    """What 100,000 credentials take, by the limits that the services publish. No run of ours has shown it."""
    most, seconds = _KEEPER_LIMIT
    keeper = _MUCH * _UPDATES_PER_CREDENTIAL / (most / seconds)
    cpu = _MUCH * cpu_per_credential
    meraki = _MUCH / _MERAKI_PER_SECOND
    return [
        f"Calculated for {_MUCH} credentials, not measured:",
        f"  Keeper: {_UPDATES_PER_CREDENTIAL} updates each, {most} in {seconds:.0f} s for each client: "
        f"{keeper / 3600:.1f} h with one client, {keeper / 3600 / 8:.1f} h with eight slices and a client for each",
        f"  Meraki: 1 PUT each, {_MERAKI_PER_SECOND} per second for each organization: "
        f"{meraki / 3600:.1f} h in one organization, {meraki / 3600 / 20:.2f} h in twenty at once",
        f"  CPU: {cpu / 3600:.1f} h on one core, {cpu / 3600 / 8:.2f} h on eight",
    ]


def campaign(accounts: int, users: int, setups: t.Sequence[Setup]) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="keyturn-scale-") as directory,
        KeeperSandbox() as vault,
        Fleet(vault, accounts=accounts, users=users) as fleet,
    ):
        broken = break_three(fleet)
        runs = Campaign(Path(directory), fleet, broken)
        costs = []
        for setup in setups:
            cost, reports = runs.run(setup)
            runs.account_for(reports)
            costs.append(cost)
            print(line(setup, cost, fleet, len(broken)), flush=True)
        check(fleet.errors + vault.errors == [], "the sandbox itself has failed")
        best = min(cost.cpu for cost in costs) / (accounts * users)
        print("\n".join(calculation(best)))


def parse_setups(text: str) -> list[Setup]:
    """``1x1,5x1,5x4``: forks, then slices."""
    pairs = [word.split("x") for word in text.split(",")]
    return [Setup(int(forks), int(slices)) for forks, slices in pairs]


def main(arguments: t.Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--users", type=int, default=50, help="of each account")
    parser.add_argument("--setups", type=parse_setups, default="1x1,5x1,10x1,5x2,5x4", help="forks x slices, ...")
    options = parser.parse_args(arguments)
    campaign(options.accounts, options.users, options.setups)


if __name__ == "__main__":
    main(sys.argv[1:])
