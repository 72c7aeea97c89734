# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about all recipes, made from the recipes and from what roles/…/meta/recipes.yml says about them."""

from __future__ import annotations

import re
import textwrap
import typing as t

from tests import recipes

PATH = recipes.REPOSITORY / "docs" / "docsite" / "rst" / "rest_recipes.rst"

_HEAD = """\
..
  SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
  SPDX-License-Identifier: GPL-3.0-or-later

..
  Made by python -m tests.recipes from roles/rest_password_rotate; edit the recipes instead.

.. _ansible_collections.keyturn.credentials.docsite.rest_recipes:

Recipes for REST services
=========================

What :ansplugin:`keyturn.credentials.rest_password_rotate#module` and the role of that name know about these services.
:ref:`ansible_collections.keyturn.credentials.docsite.guide_rest_recipe` shows how to write another one.

Each recipe says how far it can be trusted. *Tested* means that this collection's tests start that server and rotate
passwords on it through the recipe. *Written from its documentation* means just that: try it with a user of no
importance first.

.. contents::
   :local:
   :depth: 1

"""


def _cell(text: t.Any) -> str:
    """Ansible's C(…) as a literal."""
    return re.sub(r"C\(([^()]*)\)", r"``\1``", str(text))


def _table(*rows: tuple[str, ...], widths: str) -> str:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for first, *others in rows:
        lines += [f"   * - {_cell(first)}", *(f"     - {_cell(other)}".rstrip() for other in others)]
    return "\n".join(lines)


def _wrapped(text: str, first: str = "", then: str = "") -> str:
    return textwrap.fill(_cell(text), 120, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)


def _trust(about: dict[str, t.Any]) -> str:
    if "tested" in about:
        return f"**Tested** with {about['tested']['server']} {about['tested']['version']}."
    source = about["written_from"]
    return (
        f"**Written from its documentation**, `{source['title']} <{source['url']}>`__, and not tested with the service."
    )


def _kind(name: str) -> str:
    if name in ("url", "username", "old_password"):
        return "option"
    return "secret" if recipes.is_secret(name) else "variable"


def _needs(recipe: recipes.Recipe, about: dict[str, t.Any]) -> str:
    defaults = recipe.get("vars", {})
    rows = [
        (f"C({name})", _kind(name), f"C({defaults[name]})" if name in defaults else "", meaning)
        for name, meaning in about["needs"].items()
    ]
    return _table(("what it needs", "kind", "default", "meaning"), *rows, widths="20 10 20 50")


def _statuses(found: t.Sequence[int]) -> str:
    return ", ".join(map(str, found))


def _yes(step: dict[str, t.Any], default: t.Sequence[int]) -> str:
    unless = f", unless ``{step['fail_if']}``" if "fail_if" in step else ""
    return _statuses(step.get("status", default)) + unless


def _requests(recipe: recipes.Recipe) -> str:
    rows = []
    auth, lookup, change, verify = (recipe.get(key) for key in ("auth", "lookup", "change", "verify"))
    rows += [("before the login", step, "GET", [200, 201, 204], "") for step in (auth or {}).get("before", [])]
    if auth and auth["type"] == "login":
        rows.append(("the administrator's login", auth, "POST", [200, 201], ""))
    if auth and auth["type"] == "oauth2_client_credentials":
        rows.append(("the client's token", {"path": auth["token_url"]}, "POST", [200, 201], ""))
    for step in lookup if isinstance(lookup, list) else [lookup] if lookup else []:
        rows.append(("find the user", step, "GET", [200], ""))
    if change:
        rows.append(("change the password", change, "", [], ""))
    rows += [("before the user's login", step, "GET", [200, 201, 204], "") for step in (verify or {}).get("before", [])]
    if verify:
        rows.append(("log in as the user", verify, "GET", [200], _statuses(verify.get("rejected", [401]))))
    return _table(
        ("step", "request", "yes", "wrong password"),
        *(
            (what, f"C({step.get('method', method)} {step.get('path') or 'url'})", _yes(step, default), no)
            for what, step, method, default, no in rows
        ),
        widths="20 45 20 15",
    )


def _section(name: str, about: dict[str, t.Any]) -> str:
    recipe = recipes.recipe(name)
    parts = [
        f".. _ansible_collections.keyturn.credentials.docsite.rest_recipes.{name}:",
        f"{about['title']}\n{'-' * len(about['title'])}",
        f"Recipe ``{name}``. {_trust(about)}",
        _needs(recipe, about),
        _requests(recipe),
    ]
    if "verify" not in recipe:
        parts.append("Without a login there is no proof: ``verified`` is always false.")
    parts.append("\n".join(_wrapped(note, "* ", "  ") for note in about.get("notes", [])))
    text = recipes.source(name).partition("---\n")[2]
    parts.append(".. code-block:: yaml\n\n" + textwrap.indent(text, "   ").rstrip())
    return "\n\n".join(part for part in parts if part) + "\n"


def render() -> str:
    return _HEAD + "\n".join(_section(name, about) for name, about in recipes.about().items())
