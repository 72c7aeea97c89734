# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way in which a network can fail, under each client's write: what is told is so, and the next run ends it.

The clients are those of the vault, of Snowflake, of Meraki and of REST; their runs are the roles' tasks in a forked
process with short timeouts.
"""

from __future__ import annotations

import contextlib
import copy
import json
import time
import typing as t
from pathlib import Path

import pytest

from tests.campaigns.soak import SILENCE, hurry
from tests.integration.forked import Entry, Forked
from tests.integration.kinds import finished, holds, is_known, published, start
from tests.integration.scene import Scene
from tests.leaks import leaks
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault

# Each client: whose it is, the server that it asks, and the label of its write.
CLIENTS = {
    "vault": ("meraki", "vault", "^update_secret"),
    "snowflake": ("snowflake_password", "snowflake", "^ALTER USER"),
    "meraki": ("meraki", "meraki", "^PUT"),
    "rest": ("rest", "rest", "^change"),
}
_ALWAYS = 99
_LONGEST = 30
_UNDER_WAY: dict[str, t.Callable[[str], Fault]] = {
    "refused": lambda match: Fault(match, drop="before", deaf=3 * SILENCE),
    "reset": lambda match: Fault(match, times=_ALWAYS, drop="before"),
    "answer lost": lambda match: Fault(match, times=_ALWAYS, drop="after"),
    "half an answer": lambda match: Fault(match, times=_ALWAYS, half=True),
    "silent": lambda match: Fault(match, times=_ALWAYS, hang="before"),
    "silent, done": lambda match: Fault(match, times=_ALWAYS, hang="after"),
    "slow bytes": lambda match: Fault(match, times=_ALWAYS, drip=0.1),
}
# Where no request gets through at all.
_NOBODY = ("unknown host", "no TLS")
_CODES = {"unreachable", "unknown_outcome", "vault_error"}


class Place(t.NamedTuple):
    """Two users of a kind, and how a run of theirs is started."""

    scene: Scene
    job: Entry
    runs: Forked
    directory: Path


def _astray(place: Place, client: str, how: str) -> Entry:
    """The job with an address at which nobody is, or one that does not speak TLS or not with a name that we trust."""
    job = copy.deepcopy(place.job)
    if client == "vault":
        if how == "no TLS":
            with KeeperSandbox() as other:
                certificate = place.directory / "of-another.pem"
                certificate.write_bytes(other.ca_path.read_bytes())
            job["vault"]["ca_path"] = str(certificate)
            return job
        config = json.loads(place.scene.config.read_text()) | {"hostname": "no-such-host.invalid"}
        job["vault"] |= {"keeper_config": json.dumps(config), "keeper_config_file": None}
    elif client == "snowflake":
        job["login"] |= {"login_protocol": "https"}
        job["login"] |= {"login_host": "no-such-host.invalid"} if how == "unknown host" else {}
    else:
        option = "api_url" if client == "meraki" else "url"
        https = job["login"][option].replace("http://", "https://")
        job["login"][option] = https if how == "no TLS" else https.replace("127.0.0.1", "no-such-host.invalid")
    return job


def _cases() -> t.Iterator[t.Any]:
    """One of each fault, and one of each client, are quick enough for every change."""
    quick = dict(zip((*_UNDER_WAY, *_NOBODY), [*CLIENTS, *CLIENTS, "vault"], strict=True))
    for client in CLIENTS:
        for how in (*_UNDER_WAY, *_NOBODY):
            yield pytest.param(client, how, marks=() if quick[how] == client else (pytest.mark.slow,))


@pytest.mark.flaky(reruns=1)  # of a machine that is too slow for the short timeouts
@pytest.mark.parametrize(("client", "how"), list(_cases()))
def test_a_network_that_fails(client: str, how: str, tmp_path: Path) -> None:
    kind, server, write = CLIENTS[client]
    with contextlib.ExitStack() as stack:
        vault = stack.enter_context(KeeperSandbox())
        scene, job = start(kind, tmp_path, stack, vault, 2)
        hurry(job)
        runs = Forked(scene.ansible.environ({}), tmp_path / "child", serving="tests.campaigns.soak")
        stack.callback(runs.close)
        before = {name: published(scene, name) for name in scene.uids}
        began = time.monotonic()
        if how in _NOBODY:
            assert runs.run(_astray(Place(scene, job, runs, tmp_path), client, how)) == 2
            assert {name: published(scene, name) for name in scene.uids} == before
            # A write elsewhere that was not needed was not made.
            assert client != "vault" or scene.servers[kind].journal.labels() == []
            assert all(scene.pending(name) is None for name in scene.uids)
        else:
            fault = scene.servers[server].faults.add(_UNDER_WAY[how](write))
            assert runs.run(job) in (0, 2)
            assert fault.over.wait(_LONGEST)
        assert time.monotonic() - began < _LONGEST
        _told_as_it_is(scene, runs)
        scene.servers[server].faults.clear()
        assert runs.run({**job, "staging": {"max_age": "30d"}}) == 0, runs.records
        assert all(finished(scene, name) for name in scene.uids)


def _told_as_it_is(scene: Scene, runs: Forked) -> None:
    """What failed says how, and may be run again; what did not is in force; nothing is lost, and nothing leaks."""
    assert runs.records
    for record in runs.records:
        if record["outcome"] == "failed":
            assert record["error_code"] in _CODES and record["retry_safe"] is not None, record
        else:
            (name,) = [name for name, uid in scene.uids.items() if uid == record["record_uid"]]
            assert holds(scene, name, published(scene, name)), record
    assert all(is_known(scene, name) for name in scene.uids)
    assert leaks(json.dumps(runs.records), *scene.secrets()) == []
