# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SIGKILL at every request of a rotation behind an API: the next run ends with the vault equal to the service.

Once for a service that can be asked whether a password is right, and once for one that cannot.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from tests.integration.kill import Point, check_converges, in_short, journal, points, vault_phase
from tests.integration.scenes import RestScene as Scene
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.rest import RestSandbox

Kind = t.Literal["asked", "write-only"]
KINDS: tuple[Kind, ...] = ("asked", "write-only")


def requests_of(kind: Kind) -> list[str]:
    """The requests of a clean run for user A, in order, and who gets them."""
    asked = ["rest whoami A"] if kind == "asked" else []
    service = [*asked, "rest POST /login", "rest users", "rest change A", *asked]
    check = ["vault get_secret", "rest POST /login", "rest users"]
    return ["vault get_secret", *check, *vault_phase("A"), *service, *vault_phase("A")]


def cases() -> t.Iterator[t.Any]:
    for kind in KINDS:
        for point in points(requests_of(kind)):
            yield pytest.param(kind, point, marks=in_short(point).marks, id=f"{kind}-{point}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_matrix_is_complete(kind: Kind, tmp_path: Path, rest: RestSandbox, vault: KeeperSandbox) -> None:
    """A clean run makes exactly the requests that the matrix kills at."""
    scene = Scene(tmp_path, rest, vault, "A", verify=kind == "asked")
    run = scene.run()
    assert run.returncode == 0, run.output
    assert journal(scene) == requests_of(kind)


@pytest.mark.parametrize(("kind", "point"), list(cases()))
def test_killed_run(
    kind: Kind,
    point: Point,
    tmp_path: Path,
    rest: RestSandbox,
    vault: KeeperSandbox,
    table: t.Callable[[str], None],
) -> None:
    scene = Scene(tmp_path, rest, vault, "A", verify=kind == "asked")
    check_converges(scene, point, lambda line: table(f"{kind:<10} {line}"))
