# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A short soak of each kind (the long one is tests/campaigns/soak.py), and that a soak sees what it must see."""

from __future__ import annotations

import contextlib
import random
import typing as t
from pathlib import Path

import pytest

from tests.campaigns.soak import SOAKED, Enough, Lane, Weather, lane
from tests.integration.conftest import fresh_password
from tests.integration.support import variants
from tests.sandbox.server import Fault, Response

SEED = 7


@pytest.mark.flaky(reruns=1)  # of a machine that is too slow for the short timeouts
@pytest.mark.parametrize("kind", variants(SOAKED, "rest", "meraki"))
def test_rotations_in_bad_weather(kind: str) -> None:
    report = lane(kind, Enough(30), 0.05, 0.005, SEED, 6)
    assert report.divergences == []
    assert report.rotations >= 30 and report.faults.total() > 0


@pytest.fixture
def calm(tmp_path: Path) -> t.Iterator[Lane]:
    """Two users of a service with an API, rotated once, without any fault."""
    with contextlib.ExitStack() as stack:
        chance = random.Random(SEED)
        yield Lane("rest", tmp_path, stack, chance, Weather(chance, 0, 0), 2)


# What nothing of ours does, and somebody else does here.
def _another_password(calm: Lane, name: str) -> None:
    calm.scene.rest.user(name).password = fresh_password()  # type: ignore[attr-defined]


def _a_file(calm: Lane, name: str) -> None:
    (calm.private / "left behind").write_text(calm.scene.password(name))


def _no_custom_field(calm: Lane, name: str) -> None:
    calm.vault.edit(calm.scene.uids[name], lambda content: content["custom"].clear())


def _a_service_that_is_broken(calm: Lane, name: str) -> None:
    calm.vault.edit(calm.scene.uids[name], lambda content: content["custom"].clear())
    calm.scene.servers["rest"].faults.add(Fault("", times=999, response=Response(500)))


SEEN = {
    "lost": _another_password,
    "leaked": _a_file,
    "foreign field changed": _no_custom_field,
    "stuck": _a_service_that_is_broken,
}


@pytest.mark.parametrize("what", SEEN)
def test_a_soak_sees(what: str, calm: Lane) -> None:
    calm.calm()
    assert calm.report.divergences == []
    SEEN[what](calm, next(iter(calm.scene.uids)))
    calm.calm()
    assert calm.report.seen[what] >= 1


def test_a_soak_sees_what_is_told_and_not_so(calm: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.campaigns.soak.holds", lambda scene, name, secret: False)
    calm.run({"force": True}, weather=False)
    assert calm.report.seen["false success"] == 2
