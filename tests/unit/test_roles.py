# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every role must do alike, read from its tasks."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (REPOSITORY / "roles").iterdir() if path.is_dir())
SHARED = REPOSITORY / "playbooks" / "tasks" / "rotation.yml"


def tasks_of(entries: list[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks_of(entry.get(part) or [])


def tasks_in(file: Path) -> list[dict[str, t.Any]]:
    return list(tasks_of(yaml.safe_load(file.read_text())))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_is_the_shared_tasks_and_its_own_name(role: Path) -> None:
    (task,) = tasks_in(role / "tasks" / "main.yml")
    assert (role / "tasks" / task["ansible.builtin.import_tasks"]).resolve() == SHARED
    assert task["vars"] == {"keyturn_kind_of_role": role.name}
    said = yaml.safe_load((role / "vars" / "main.yml").read_text())
    assert {f"{role.name}_{name}" for name in ("login", "role", "vault")} <= said.keys()


@pytest.mark.parametrize("file", sorted(SHARED.parent.glob("*.yml")), ids=lambda path: path.name)
def test_tasks_that_touch_a_secret_are_not_shown(file: Path) -> None:
    ours = [task for task in tasks_in(file) for name in task if name.startswith("keyturn.credentials.")]
    assert all(task["no_log"] is True for task in ours)


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_ansible_doc_shows_the_example_of_the_readme(role: Path) -> None:
    (spec,) = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"].values()
    assert f"```yaml\n{spec['examples']}```" in (role / "README.md").read_text()
    (play,) = yaml.safe_load(spec["examples"])
    (given,) = play["roles"]
    assert given["vars"].keys() <= {*spec["options"]}
