# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the last host of a run tells of the others; the rest is tested with the playbook."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible import constants

from ansible_collections.keyturn.credentials.plugins.action import fleet_report


class HostVars(dict[str, dict[str, t.Any]]):
    """As Ansible's."""

    def raw_get(self, name: str) -> dict[str, t.Any]:
        return self[name]


def test_a_host_that_ended_is_told_as_it_ended_whatever_a_task_of_another_one_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That task may have begun before, so that its variables are older."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    before: dict[str, t.Any] = {"keyturn_rotations": []}
    results: dict[str, t.Any] = {"0": {"outcomes": []}}
    fleet_report._hand_over("a/b", HostVars({"a/b": {**before, "keyturn_results": results, "keyturn_failure": {}}}))
    host = fleet_report._host("a/b", HostVars({"a/b": before}), {"a/b"})
    assert (host.results, host.done, host.failure) == (results, True, None)
    running = fleet_report._host("a/b", HostVars({"a/b": before}), set())
    assert (running.results, running.done) == ({}, False)
