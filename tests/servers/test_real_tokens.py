# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Recipes of rest_token_rotate on real servers, and the server itself judges which tokens work."""

from __future__ import annotations

import secrets
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._rest.rest_token_rotate import run
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import TOKEN_SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.token_options import fresh_name
from tests import recipes
from tests.integration.support import call_logic
from tests.servers.catalogue import start
from tests.servers.token_scenes import SCENES, Entry

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]


def shown(entry: Entry) -> Entry:
    """Without the token, for assertions."""
    return {key: value for key, value in entry.items() if key not in ("token", "diff")}


@pytest.mark.parametrize("name", SCENES)
def test_rotates_tokens(name: str, record_property: t.Callable[[str, object], None]) -> None:
    with start(name) as server:
        scene = SCENES[name](server)
        recipe = recipes.recipe(name, recipes.TOKENS)
        secret_names = recipes.given(name, recipes.TOKENS) & server.secrets.keys()

        def ask(check_mode: bool = False, **options: t.Any) -> Entry:
            variables = {**recipe.get("vars", {}), **server.vars, **scene.vars}
            given = {
                **recipe,
                "url": server.url,
                "vars": {key: value for key, value in variables.items() if key != "admin_password"},
                "secrets": {key: server.secrets[key] for key in secret_names},
                "username": scene.user,
                "password": scene.password,
                **options,
            }
            return t.cast(Entry, call_logic(TOKEN_SPEC, run, check_mode=check_mode, **given)["rotations"][0])

        def mint(**options: t.Any) -> Entry:
            made = ask(**{"announced": fresh_name("KEYTURN"), **options})
            assert (made["failed"], made["changed"], made["verified"]) == (False, True, True), made.get("msg")
            assert scene.accepts(made["token_name"], made["token"])
            return made

        def works(entry: Entry) -> bool:
            return scene.accepts(entry["token_name"], entry["token"])

        foreseen = ask(check_mode=True, announced="KEYTURN_CHECK")
        assert foreseen["changed"], foreseen["msg"]
        first = mint()
        second = mint(current_token_name=first["token_name"])
        assert works(first) and second["previous_token_name"] == first["token_name"]
        in_use = {"token": second["token"], "current_token_name": second["token_name"]}
        grace = ask(**in_use, previous_token_names=[first["token_name"]], retire_previous_after="1h")
        assert (grace["changed"], grace["verified"], grace["in_force"]) == (False, True, True), shown(grace)
        assert works(first)
        retired = ask(**in_use, previous_token_names=[first["token_name"]], retire_previous_after="0h")
        assert retired["retired_token_names"] == [first["token_name"]] and retired["verified"], shown(retired)
        assert works(second) and not works(first)

        # A run that is killed after the minting leaves a token whose secret nobody has.
        announced = fresh_name("KEYTURN")
        known = [entry["name"] for entry in retired["tokens"]]
        lost = mint(announced=announced, current_token_name=second["token_name"])
        third = mint(announced=announced, current_token_name=second["token_name"], recovered=True, known=known)
        assert third["removed_orphans"] == [lost["token_name"]], shown(third)
        assert works(second) and works(third) and not works(lost)

        gone = ask(token=first["token"], current_token_name=first["token_name"])
        assert (gone["error_code"], "in_force" in gone) == ("not_found", False), shown(gone)
        wrong = secrets.token_urlsafe(18)
        refused = ask(**({"password": wrong} if scene.own else {"secrets": dict.fromkeys(secret_names, wrong)}))
        assert (refused["error_code"], refused["changed"]) == ("auth_failed", False), shown(refused)
        nobody = ask(username=server.name("nobody"))
        assert (nobody["error_code"], nobody["changed"]) == (scene.no_user, False), shown(nobody)
        record_property(
            "real server", f"{name:<12}{server.version:<11}tokens: 4 minted, 4 proved, 1 retired, 1 orphan revoked"
        )
