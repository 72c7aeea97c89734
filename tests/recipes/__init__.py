# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recipes of the REST roles as data, for the tests and for the page in the documentation."""

from __future__ import annotations

import json
import re
import textwrap
import typing as t
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
ROLE = REPOSITORY / "roles" / "rest_password_rotate"
TOKENS = REPOSITORY / "roles" / "rest_token_rotate"

Recipe = dict[str, t.Any]

_PLACEHOLDER = re.compile(r"(?<!\$)\$\{([^}|]+)")


def names(role: Path = ROLE) -> list[str]:
    return sorted(path.stem for path in (role / "vars" / "recipes").glob("*.yml"))


def path(name: str, role: Path = ROLE) -> Path:
    return role / "vars" / "recipes" / f"{name}.yml"


def source(name: str, role: Path = ROLE) -> str:
    return path(name, role).read_text(encoding="utf-8")


def recipe(name: str, role: Path = ROLE) -> Recipe:
    return t.cast(Recipe, yaml.safe_load(source(name, role)))


def about(role: Path = ROLE) -> dict[str, dict[str, t.Any]]:
    """What a recipe cannot say itself, by its name; in the order of the documentation."""
    return t.cast(
        "dict[str, dict[str, t.Any]]", yaml.safe_load((role / "meta" / "recipes.yml").read_text(encoding="utf-8"))
    )


def schema() -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads((ROLE / "meta" / "recipe.schema.json").read_text(encoding="utf-8")))


def in_guide(name: str) -> str:
    """The file of this name that the guide shows."""
    guide = (REPOSITORY / "docs" / "docsite" / "rst" / "guide_rest_recipe.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"^\.\. code-block:: yaml\n\n((?:   .*\n|\n)+)", guide, re.MULTILINE)
    (found,) = [textwrap.dedent(block) for block in blocks if block.startswith(f"   # {name}\n")]
    return found


def placeholders(value: t.Any) -> set[str]:
    """The names in ${…} at any depth."""
    if isinstance(value, str):
        return set(_PLACEHOLDER.findall(value))
    if isinstance(value, dict):
        return placeholders(list(value.values()))
    if isinstance(value, list):
        return set().union(*map(placeholders, value))
    return set()


def is_secret(name: str) -> bool:
    """Whether the value belongs into the module's secrets."""
    return name.rpartition("_")[2] in ("password", "token", "secret")


def given(name: str, role: Path = ROLE) -> set[str]:
    """The placeholders that neither the recipe nor the module fills itself."""
    found = recipe(name, role)
    steps = {key: value for key, value in found.items() if key != "vars"}
    return placeholders(steps) - {"username", "password", "token", "token_name", "current_token"} - _set(steps)


def _set(value: t.Any) -> set[str]:
    """The names that steps set, at any depth."""
    if isinstance(value, list):
        return set().union(*map(_set, value))
    if isinstance(value, dict):
        return _set(list(value.values())) | set(value.get("set", {}))
    return set()
