# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPU of one record's rotation: the role of Snowflake tokens against that of Snowflake passwords, rounds interleaved.

``python -m benchmarks.token_role``; both through ansible-playbook and the same local servers.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import statistics
import tempfile
import typing as t
from pathlib import Path

from tests.campaigns.token import TokenScene
from tests.integration.conftest import ACCOUNT, ADMIN, fresh_password
from tests.integration.scenes import SnowflakeScene as Scene
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.snowflake import SnowflakeSandbox

GOAL = 1.15


def cpu() -> float:
    """CPU seconds of all ended children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cost(scene: Scene) -> float:
    """CPU seconds of a run that rotates the one record."""
    before = cpu()
    run = scene.run(force=True, admin_record=scene.admin_uid)
    assert run.returncode == 0, run.output
    return cpu() - before


def measure(rounds: int, directory: Path) -> list[tuple[float, float]]:
    """CPU seconds (password, token) of each round, after one to warm up."""
    with contextlib.ExitStack() as stack:
        snowflake = stack.enter_context(SnowflakeSandbox(account=ACCOUNT))
        snowflake.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        vault = stack.enter_context(KeeperSandbox())
        folders = [directory / name for name in ("password", "token")]
        for folder in folders:
            folder.mkdir()
        scenes: list[t.Any] = [
            Scene(folders[0], snowflake, vault, "P"),
            TokenScene(folders[1], snowflake, vault, "T", retire_previous_after="0h"),
        ]
        found = []
        for number in range(rounds + 1):
            costs = [_cost(scene) for scene in scenes]
            # Untimed, so that the tokens of former rounds do not fill the account.
            assert scenes[1].run(admin_record=scenes[1].admin_uid).returncode == 0
            if number:
                found.append((costs[0], costs[1]))
        return found


def main(arguments: t.Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.token_role")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args(arguments).rounds
    with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as directory:
        found = measure(rounds, Path(directory))
    password, token = (statistics.median(column) for column in zip(*found, strict=True))
    ratio = statistics.median(each / base for base, each in found)
    print(
        f"{rounds} rounds, CPU of a role run with one record (median): password {password:.2f} s, token {token:.2f} s"
    )
    print(f"ratio {ratio:.2f} (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
