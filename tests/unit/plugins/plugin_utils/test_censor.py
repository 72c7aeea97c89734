# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No callback sees what a censored module returns; the registered variable does."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.plugin_utils._censor import censor


@pytest.mark.parametrize("failed", [False, True])
def test_the_result_and_every_entry_are_marked_and_keep_their_values(failed: bool) -> None:
    rotations = [{"password": "x"}, {"password": "y"}]
    result = censor({"password": "x", "rotations": rotations, "failed": failed})
    assert result["_ansible_no_log"] is True
    assert [entry["_ansible_no_log"] for entry in result["rotations"]] == [True, True]
    assert [entry["password"] for entry in result["rotations"]] == ["x", "y"]


@pytest.mark.parametrize("answer", [{}, {"rotations": None}, {"msg": "x", "failed": True}])
def test_a_result_without_entries_is_marked_too(answer: dict[str, t.Any]) -> None:
    assert censor(answer)["_ansible_no_log"] is True
