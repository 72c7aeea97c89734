# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No callback sees what a censored module returns; the registered variable does."""

from __future__ import annotations

import typing as t

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.keyturn.credentials.plugins.plugin_utils import _censor


class Plugin(_censor.CensoringActionModule):
    """Returns what it is told to."""

    answer: t.ClassVar[dict[str, t.Any]] = {}
    asked = 0

    def outcome(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        type(self).asked += 1
        return dict(self.answer)


def _run(monkeypatch: pytest.MonkeyPatch, answer: dict[str, t.Any]) -> dict[str, t.Any]:
    monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
    monkeypatch.setattr(Plugin, "answer", answer)
    monkeypatch.setattr(Plugin, "asked", 0)
    plugin = Plugin.__new__(Plugin)
    return plugin.run(task_vars={})


@pytest.mark.parametrize("failed", [False, True])
def test_the_result_and_every_entry_are_marked_and_keep_their_values(
    monkeypatch: pytest.MonkeyPatch, failed: bool
) -> None:
    rotations = [{"password": "x"}, {"password": "y"}]
    result = _run(monkeypatch, {"password": "x", "rotations": rotations, "failed": failed})
    assert result["_ansible_no_log"] is True
    assert [entry["_ansible_no_log"] for entry in result["rotations"]] == [True, True]
    assert [entry["password"] for entry in result["rotations"]] == ["x", "y"]


@pytest.mark.parametrize("answer", [{}, {"rotations": None}, {"msg": "x", "failed": True}])
def test_a_result_without_entries_is_marked_too(monkeypatch: pytest.MonkeyPatch, answer: dict[str, t.Any]) -> None:
    assert _run(monkeypatch, answer)["_ansible_no_log"] is True
