# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sliced fleet job: the slices that AWX cuts, each through AWX's runner chain."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("awx_plugins", reason="make judge-awx installs AWX's code")

from tests.awx_judged.conftest import AWX, COLLECTIONS  # noqa: E402
from tests.awx_judged.kept import assert_nothing_kept  # noqa: E402
from tests.leaks import leaks_below  # noqa: E402
from tests.sandbox.awx import job  # noqa: E402
from tests.sandbox.fleet import KIND, Fleet  # noqa: E402
from tests.sandbox.keeper import KeeperSandbox  # noqa: E402
from tests.sandbox.server import Fault  # noqa: E402

Variables = dict[str, t.Any]


@pytest.fixture
def fleet() -> t.Iterator[Fleet]:
    """Three accounts with one user each, whose records say so."""
    with KeeperSandbox() as vault, Fleet(vault, accounts=3, users=1, marked=True) as fleet:
        yield fleet
        assert fleet.errors == vault.errors == []


class Awx:
    """Launches jobs that share a Keeper credential."""

    def __init__(self, directory: Path, fleet: Fleet, keeper: Variables) -> None:
        self.directory = directory
        config = fleet.vault.client_config()
        self.hidden = {config["privateKey"], config["appKey"]}
        self.credentials = [(keeper, {"keeper_config": json.dumps(config)})]
        home = directory / "home"
        home.mkdir(mode=0o700)
        self.environment = {
            **fleet.vault.environment(),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
        }

    def launch(self, **given: t.Any) -> job.Outcome:
        given = {
            "project": AWX / "project",
            "credentials": self.credentials,
            "environment": self.environment,
            **given,
        }
        return job.run(job.Job(**given), self.directory)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 200, 300])
def test_a_host_is_in_exactly_one_slice(count: int) -> None:
    hosts = [f"account_{number:03}" for number in range(200)]
    slices = [job.sliced(hosts, number, count) for number in range(1, count + 1)]
    assert sorted(name for one in slices for name in one) == hosts
    sizes = [len(one) for one in slices]
    assert max(sizes) - min(sizes) <= 1


def synced(awx: Awx, fleet: Fleet) -> dict[str, Variables]:
    """The hosts that the inventory source gives AWX, with their variables."""
    outcome = awx.launch(inventory_source="inventory/keeper.yml")
    assert outcome.status == "successful", outcome.stdout
    assert leaks_below(outcome.artifacts, *awx.hidden, *fleet.secrets()) == []
    assert not outcome.worker.exists()
    found = json.loads((outcome.artifacts / "output.json").read_text())
    return t.cast("dict[str, Variables]", found["_meta"]["hostvars"])


@pytest.mark.connector
def test_slices_rotate_every_account_of_the_vault_once(
    fleet: Fleet, types: dict[str, Variables], tmp_path: Path
) -> None:
    awx = Awx(tmp_path, fleet, types["keeper"])
    canaries = awx.hidden | fleet.secrets()
    hosts = synced(awx, fleet)
    assert hosts.keys() == {account.name for account in fleet.accounts}
    for account in fleet.accounts:
        # Where the sandbox is; a real account needs no such variable.
        hosts[account.name]["keyturn_connections"] = {KIND: account.connection()}
    seen: list[str] = []
    for number in (1, 2):
        outcome = awx.launch(playbook="rotate.yml", hosts=hosts, slice=(number, 2), arguments=("--forks=5",))
        assert outcome.status == "successful", outcome.stdout
        seen += outcome.stats()["ok"].keys() - {"localhost"}
        assert_nothing_kept(outcome, canaries | fleet.secrets())
    assert sorted(seen) == sorted(hosts)
    assert all(fleet.settled(account, user) for account in fleet.accounts for user in account.uids)
    alters = [account.snowflake.journal.labels("^ALTER USER .* SET PASSWORD") for account in fleet.accounts]
    assert [len(labels) for labels in alters] == [1] * 3


def test_a_vault_that_does_not_answer_fails_the_sync(fleet: Fleet, types: dict[str, Variables], tmp_path: Path) -> None:
    """So AWX keeps the inventory that it has."""
    fleet.vault.faults.add(Fault("get_secret", times=99, drop="before"))
    outcome = Awx(tmp_path, fleet, types["keeper"]).launch(inventory_source="inventory/keeper.yml")
    assert outcome.status == "failed"
    assert "no answer from Keeper" in outcome.stdout
    assert not (outcome.artifacts / "output.json").exists()


def test_an_empty_inventory_fails_the_job(fleet: Fleet, types: dict[str, Variables], tmp_path: Path) -> None:
    outcome = Awx(tmp_path, fleet, types["keeper"]).launch(playbook="rotate.yml", hosts={})
    assert outcome.status == "failed"
    assert "The inventory has no hosts, so nothing was rotated" in outcome.stdout
