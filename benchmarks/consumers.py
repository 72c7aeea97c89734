# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CPU and Keeper calls of a rotation without consumers, against the build from before there were any; interleaved.

``python -m benchmarks.consumers``; both through ansible-playbook and the same local servers. The older build is checked
out of git into a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import typing as t
from pathlib import Path

from benchmarks.measure import checkout, cost
from tests.campaigns.keypair import KeyScene
from tests.integration.conftest import ACCOUNT, ADMIN, fresh_password
from tests.integration.scene import Scene as AnyScene
from tests.integration.scenes import SnowflakeScene as Scene
from tests.integration.support import REPOSITORY
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.snowflake import SnowflakeSandbox

GOAL = 1.03
# The last one without consumers.
BEFORE = "2f38912"


def _cost(scene: AnyScene, collections: Path) -> tuple[float, list[str]]:
    """CPU seconds of a run that rotates the one record, and what it asked of Keeper."""
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    taken = cost(lambda: scene.run(force=True, admin_record=scene.admin_uid, environment=environment))
    return taken.cpu, [label.split()[0] for label in scene.vault.journal.labels()]


def measure(kind: type[Scene], rounds: int, collections: t.Sequence[Path], directory: Path) -> list[list[float]]:
    """CPU seconds of each round, after one to warm up, in the order of the builds. Their Keeper calls must be equal."""
    with contextlib.ExitStack() as stack:
        snowflake = stack.enter_context(SnowflakeSandbox(account=ACCOUNT))
        snowflake.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        scene = kind(directory, snowflake, stack.enter_context(KeeperSandbox()), "A")
        found = []
        for number in range(rounds + 1):
            # The first of two has colder caches, so they take turns.
            order = collections if number % 2 else list(reversed(collections))
            costs = {path: _cost(scene, path) for path in order}
            calls = [costs[path][1] for path in collections]
            assert calls[0] == calls[1], calls
            if number:
                found.append([costs[path][0] for path in collections])
        print(f"{kind.role}: Keeper calls of a run: {len(calls[0])} and {len(calls[1])}, the same ones")
        return found


def main(arguments: t.Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.consumers")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--before", default=BEFORE, help="the commit to compare with (default: %(default)s)")
    given = parser.parse_args(arguments)
    here = Path(os.environ.get("ANSIBLE_COLLECTIONS_PATH", REPOSITORY / ".cache" / "collections"))
    good = True
    with checkout(given.before) as before:
        for kind in (Scene, KeyScene):
            with tempfile.TemporaryDirectory(prefix="keyturn-bench-") as directory:
                found = measure(kind, given.rounds, [before, here], Path(directory))
            medians = [statistics.median(column) for column in zip(*found, strict=True)]
            ratio = statistics.median(now / then for then, now in found)
            print(f"{given.rounds} rounds, CPU of a run (median): before {medians[0]:.2f} s, now {medians[1]:.2f} s")
            print(f"ratio {ratio:.3f} (goal: at most {GOAL})", flush=True)
            good = good and ratio <= GOAL
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
