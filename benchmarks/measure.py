# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the benchmarks measure with: CPU and wall of whole runs, in turn, and a former build to compare with.

CPU is user and system time with all children. A ratio is the median of the rounds' own ratios.
"""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from tests.integration.support import REPOSITORY, Run

Work = t.Callable[[], Run]


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds."""

    cpu: float
    wall: float


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. goal: the most that the ratio should be, None where there is none."""

    work: str
    peer: str
    ratio: float
    goal: float | None
    ours: float
    theirs: float
    unit: str = "CPU s"

    def line(self) -> str:
        verdict = "" if self.goal is None else f" goal {self.goal:g}: {'met' if self.ratio <= self.goal else 'MISSED'}"
        return f"{self.work} / {self.peer}: {self.ratio:.2f} ({self.ours:.2f} / {self.theirs:.2f} {self.unit}){verdict}"


def cost(work: Work) -> Cost:
    """What one run took; it must succeed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = work()
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        raise RuntimeError(run.output)
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def rounds(number: int, works: t.Mapping[str, Work]) -> dict[str, list[Cost]]:
    """The costs of each work, all in turn, after a round to warm up."""
    found: dict[str, list[Cost]] = {name: [] for name in works}
    for each in range(number + 1):
        for name, work in works.items():
            taken = cost(work)
            if each:
                found[name].append(taken)
    return found


def row(
    found: dict[str, list[Cost]],
    ours: str,
    theirs: str,
    work: str,
    peer: str,
    goal: float | None,
    *,
    wall: bool = False,
) -> Row:
    name = "wall" if wall else "cpu"
    pairs = [(getattr(one, name), getattr(other, name)) for one, other in zip(found[ours], found[theirs], strict=True)]
    ratio = statistics.median(one / other for one, other in pairs)
    one, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(work, peer, ratio, goal, one, other, "s" if wall else "CPU s")


@contextlib.contextmanager
def checkout(commit: str) -> t.Iterator[Path]:
    """The collections path of a former build."""
    with tempfile.TemporaryDirectory(prefix="keyturn-base-") as directory:
        tree = Path(directory, "ansible_collections", "keyturn", "credentials")
        tree.mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], cwd=REPOSITORY, check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
        subprocess.run([sys.executable, "-m", "tests.sandbox.keeper_collection", directory], check=True)
        yield Path(directory)
