# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every role must do alike, read from its tasks."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).resolve().parents[2] / "roles").iterdir() if path.is_dir())
VAULT = "keyturn.credentials.keeper_rotation"


def tasks_of(entries: list[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks_of(entry.get(part) or [])


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_ends_only_its_own_rotation(role: Path) -> None:
    """Otherwise it could discard what another run has taken over and given to the service."""
    files = sorted(role.glob("tasks/*.yml"))
    tasks = [task for file in files for task in tasks_of(yaml.safe_load(file.read_text()))]
    ending = [task[VAULT] for task in tasks if task.get(VAULT, {}).get("state") in ("committed", "discarded")]
    assert {options["state"] for options in ending} == {"committed", "discarded"}
    assert [options.get("rotation_id") for options in ending] == [f"{{{{ {role.name}_verdict.rotation_id }}}}"] * 2
