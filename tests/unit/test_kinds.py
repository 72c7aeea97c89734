# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every place where a kind of rotation must be declared; a forgotten one is named."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

from ansible_collections.keyturn.credentials.plugins.plugin_utils._fleet import KINDS

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
# Each exists for a kind ...
FILES = (
    "plugins/modules/{}.py",
    "roles/{}/tasks/main.yml",
    "roles/{}/vars/main.yml",
    "roles/{}/defaults/main.yml",
    "roles/{}/meta/argument_specs.yml",
    "roles/{}/README.md",
    "playbooks/{}.yml",
    "extensions/awx/project/{}.yml",
    "extensions/molecule/{}/molecule.yml",
    "tests/integration/targets/{}/tasks/main.yml",
)
# ... and each of these names it.
NAMING = (
    "meta/runtime.yml",
    "playbooks/tasks/rotate_kind.yml",
    "extensions/awx/config/job_templates.yml",
    "tests/sandbox/scenery.py",
    "README.md",
)


def _missing(kind: str) -> set[str]:
    files = {place.format(kind) for place in FILES}
    absent = {place for place in files if not (REPOSITORY / place).exists()}
    word = re.compile(rf"\b{kind}(?:_connection)?\b")
    return absent | {place for place in NAMING if not word.search((REPOSITORY / place).read_text(encoding="utf-8"))}


def test_every_role_is_a_kind() -> None:
    """Another one would be no fleet's: it would end well, and never rotate it."""
    assert {path.name for path in (REPOSITORY / "roles").iterdir()} == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_is_declared_everywhere(kind: str) -> None:
    assert sorted(_missing(kind)) == []


@pytest.mark.parametrize("what", ["password", "token"])
def test_awx_offers_every_recipe(what: str) -> None:
    templates = yaml.safe_load((REPOSITORY / "extensions/awx/config/job_templates.yml").read_text(encoding="utf-8"))
    (survey,) = [
        template["survey_spec"]["spec"]
        for template in templates["controller_templates"]
        if template["name"] == f"keyturn REST {what}s"
    ]
    recipes = sorted(path.stem for path in (REPOSITORY / f"roles/rest_{what}_rotate/vars/recipes").glob("*.yml"))
    (question,) = [question for question in survey if "choices" in question]
    assert question["choices"] == recipes and question["default"] in recipes
