# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""2, 4 and 8 runs of one record that meet at one request, where the vault checks revisions and where it does not.

They are forked, so that they really meet; test_kill_matrix.py and its neighbours have such runs of ansible-playbook.
"""

from __future__ import annotations

import contextlib
import json
import threading
import typing as t
from pathlib import Path

import pytest

from tests.integration.forked import Forked
from tests.integration.kill import Meeting
from tests.integration.kinds import finished, holds, is_known, published, start
from tests.leaks import leaks
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault

# The service, and the label of what changes a secret there.
WRITES = {
    "snowflake_password": ("snowflake", "^ALTER USER"),
    "snowflake_key": ("snowflake", "^ALTER USER"),
    "snowflake_token": ("snowflake", "^ALTER USER.* ADD"),
    "meraki": ("meraki", "^PUT"),
    "rest": ("rest", "^change"),
}
_WHERE = ("get_secret", "update_secret", "write")


def _cases() -> t.Iterator[t.Any]:
    """For every change, the worst: eight that meet before they save, without revisions."""
    for kind in WRITES:
        for runs in (2, 4, 8):
            for where in _WHERE:
                for revisions in (True, False):
                    quick = (runs, where, revisions) == (8, "update_secret", False) and kind != "snowflake_key"
                    name = f"{kind}-{runs}-{where}-{'revisions' if revisions else 'no revisions'}"
                    yield pytest.param(
                        kind, runs, where, revisions, id=name, marks=() if quick else (pytest.mark.slow,)
                    )


@pytest.mark.parametrize(("kind", "runs", "where", "revisions"), list(_cases()))
def test_runs_that_meet(kind: str, runs: int, where: str, revisions: bool, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        vault = stack.enter_context(KeeperSandbox())
        vault.enforce_revisions = revisions
        scene, job = start(kind, tmp_path, stack, vault, 1)
        job["staging"] = {"max_age": "30d"}
        (name,) = scene.uids
        every = [Forked(scene.ansible.environ({}), tmp_path / f"run-{number}") for number in range(runs)]
        for one in every:
            stack.callback(one.close)
        server, label = WRITES[kind] if where == "write" else ("vault", where)
        Meeting(scene.servers[server], runs, label)
        for one in every:
            one.start(job)
        codes = [one.finish() for one in every]
        told = [record for one in every for record in one.records]

        assert set(codes) <= {0, 2}, told
        assert published(scene, name) == "" or is_known(scene, name), told
        succeeded = [record for record in told if record["outcome"] in ("rotated", "recovered")]
        assert not succeeded or holds(scene, name, published(scene, name)), told
        assert leaks(json.dumps(told), *scene.secrets()) == []
        scene.servers[server].faults.clear()
        for _repeat in range(2):
            assert every[0].run(job) == 0, every[0].records
        assert finished(scene, name), told


def _tell(here: threading.Event, there: threading.Event) -> t.Callable[[], object]:
    """Says that a request has come, and lets it wait for what is told elsewhere."""

    def hook() -> None:
        here.set()
        there.wait(20)

    return hook


def test_a_token_whose_announcement_another_run_wrote_over(tmp_path: Path) -> None:
    """The first run minted for a name that no record tells any more, so nobody but itself could ever revoke it."""
    with contextlib.ExitStack() as stack:
        vault = stack.enter_context(KeeperSandbox())
        vault.enforce_revisions = False
        scene, job = start("snowflake_token", tmp_path, stack, vault, 1)
        (name,) = scene.uids
        late, first = (Forked(scene.ansible.environ({}), tmp_path / each) for each in ("late", "first"))
        for one in (late, first):
            stack.callback(one.close)
        held, minting, over = (threading.Event() for _each in range(3))
        faults = scene.servers["vault"].faults
        faults.add(Fault("update_secret", before=_tell(held, minting), after=over.set))
        scene.servers["snowflake"].faults.add(Fault("^ALTER USER.* ADD", before=_tell(minting, over)))
        late.start(job)
        assert held.wait(20)
        assert first.run(job) == 2
        assert late.finish() == 0, late.records
        (lost,) = first.records
        assert lost["error_code"] == "busy" and "was revoked" in lost["msg"], lost
        assert leaks(json.dumps(first.records), *scene.secrets()) == []
        # The one before is retired when the new one has logged in once more.
        assert late.run({**job, "staging": {"max_age": "30d"}}) == 0, late.records
        assert finished(scene, name), first.records
