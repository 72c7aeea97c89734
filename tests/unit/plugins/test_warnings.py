# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible prints the warnings and deprecations of a task with no_log in clear, so nothing near a secret gives any.

Action plugins run where secrets are, too: they may warn, but only with a text that is written down as it is.
"""

from __future__ import annotations

import ast
import pathlib
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
_SPEAKERS = ("warn", "deprecate", "warning", "deprecated")
_RESULTS = ("warnings", "deprecations")


def faults(source: str, *, fixed_texts: bool) -> list[int]:
    """The lines that warn. fixed_texts: a text that cannot change is no fault."""
    return [
        t.cast(ast.expr, node).lineno for node in ast.walk(ast.parse(source)) if _warns(node, fixed_texts=fixed_texts)
    ]


def _warns(node: ast.AST, *, fixed_texts: bool) -> bool:
    if isinstance(node, ast.Call):
        return _speaks(node) and not (fixed_texts and _is_fixed(node))
    if isinstance(node, ast.keyword):
        return node.arg in _RESULTS
    return isinstance(node, ast.Constant) and node.value in _RESULTS


def _speaks(call: ast.Call) -> bool:
    return getattr(call.func, "attr", getattr(call.func, "id", "")) in _SPEAKERS


def _is_fixed(call: ast.Call) -> bool:
    """One argument: a literal, or a constant by its name."""
    if len(call.args) != 1 or call.keywords:
        return False
    (argument,) = call.args
    name = str(getattr(argument, "attr", getattr(argument, "id", "")))
    return isinstance(argument, ast.Constant) or (name != "" and name == name.upper())


@pytest.mark.parametrize("folder", ["modules", "module_utils", "action", "plugin_utils"])
def test_nothing_near_a_secret_warns(folder: str) -> None:
    files = sorted((ROOT / "plugins" / folder).rglob("*.py"))
    assert files
    assert {
        path.relative_to(ROOT): found
        for path in files
        if (found := faults(path.read_text("utf-8"), fixed_texts=folder == "action"))
    } == {}


@pytest.mark.parametrize(
    "source",
    [
        "module.warn('x')",
        "module.deprecate('x', version='9')",
        "warn('x')",
        "display.warning(text)",
        "display.warning(f'{text}')",
        "display.deprecated('x', version='9')",
        "module.exit_json(warnings=['x'])",
        "result['warnings'] = []",
    ],
)
def test_it_sees_every_way_to_warn(source: str) -> None:
    assert faults(source, fixed_texts=False) == [1]
    assert faults(source, fixed_texts=True) == ([] if source.endswith("warn('x')") else [1])
    assert faults("display.warning(words.FIXED)", fixed_texts=True) == []
