# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and its playbook by their full names: tokens that an API mints, and that end in the record."""

from __future__ import annotations

import signal
import typing as t
from pathlib import Path

import pytest

from tests.integration.kill import kill_run
from tests.integration.scenes import RestScene as Scene
from tests.integration.scenes import token_settings as settings
from tests.integration.support import says, variants
from tests.leaks import leaks
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.rest import RestSandbox

FIRST = "MADE_BY_HAND"


class TokenScene(Scene):
    """Users of one service, each with a record that holds a token which somebody has made."""

    role = "rest_token_rotate"

    def __init__(self, directory: Path, rest: RestSandbox, vault: KeeperSandbox, *names: str) -> None:
        super().__init__(directory, rest, vault, *names)
        wanted = ("auth", "lookup", "mint", "list", "revoke", "verify")
        self.recipe = {name: told for name, told in settings(rest).items() if name in wanted}
        # As Keeper's guide has the administrator's record.
        self.recipe["auth"]["body"] = {"name": "${admin_username}", "password": "${admin_password}"}

    def add(self, name: str) -> str:
        user = self.rest.add_user(name, "")
        token = self.rest.tokens.add(user.id, FIRST)
        self.old[name] = token.secret
        self.uids[name] = self.add_record(name, password=token.secret)
        named = {"type": "text", "label": "token_name", "value": [FIRST]}
        self.vault.edit(self.uids[name], lambda content: content.setdefault("custom", []).append(named))
        return self.uids[name]

    def accepts(self, name: str, secret: str) -> bool:
        return self.rest.tokens.owner(secret) is not None

    def held(self, name: str) -> list[str]:
        (user,) = [user for user in self.rest.users.values() if user.name == name]
        return self.rest.tokens.names(user.id)

    def own(self, name: str) -> str:
        return str(self.vault.field(self.uids[name], "token_name"))


@pytest.fixture
def scene(tmp_path: Path, rest: RestSandbox, vault: KeeperSandbox) -> TokenScene:
    return TokenScene(tmp_path, rest, vault, "ann", "bob")


def test_first_rotation_second_and_retirement(scene: TokenScene) -> None:
    hidden = scene.secrets()
    run = scene.run("--check", "--diff")
    assert run.returncode == 0 and says(run, "check mode: 2 due") and scene.held("ann") == [FIRST], run.output
    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 0 and says(run, "2 rotated, 0 recovered, 0 not due, 0 failed"), run.output
    for name in scene.uids:
        assert scene.settled(name) and scene.held(name) == [FIRST, scene.own(name)]
    hidden |= scene.secrets()
    assert leaks(run.output, *hidden) == []
    scene.connection["retire_previous_after"] = "0h"
    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 0 and says(run, f"the previous token {FIRST} is retired"), run.output
    assert all(scene.held(name) == [scene.own(name)] and scene.settled(name) for name in scene.uids)
    assert leaks(run.output, *hidden) == []


@pytest.mark.parametrize("never", variants([0, -1, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-08:00", None], 0))
def test_a_token_that_does_not_end_is_not_due_for_ever(scene: TokenScene, never: t.Any) -> None:
    scene.recipe["list"]["expires"], scene.rest.tokens.expires = "expires", never
    run = scene.run()
    assert run.returncode == 0 and says(run, "2 rotated"), run.output
    run = scene.run()
    assert run.returncode == 0 and says(run, "0 rotated, 0 recovered, 2 not due, 0 failed"), run.output
    assert scene.held("ann") == [FIRST, scene.own("ann")]


def test_a_token_whose_secret_is_lost_is_revoked(scene: TokenScene) -> None:
    """Killed when the service had made it and nobody had heard: found by the name, and replaced."""
    run = kill_run(scene, scene.rest, "POST tokens", "after")
    assert run.returncode == -signal.SIGKILL and scene.pending("ann") is None
    run = scene.run()
    assert run.returncode == 0, run.output
    for name in scene.uids:
        assert scene.settled(name) and scene.held(name) == [FIRST, scene.own(name)]


@pytest.mark.parametrize("where", ["the record", "nowhere"])
def test_the_recipe_may_stand_in_the_administrators_record(scene: TokenScene, where: str) -> None:
    variables: dict[str, t.Any] = scene.variables(recipe=None)
    recipe = str(scene.directory / "recipe.yml")
    if where == "the record":
        field = {"type": "text", "label": "recipe", "value": [recipe]}
        scene.vault.edit(scene.admin_uid, lambda content: content["custom"].append(field))
    run = scene.ansible.run(scene.playbook, variables)
    if where == "the record":
        assert run.returncode == 0 and says(run, "2 rotated"), run.output
    else:
        assert run.returncode == 2 and says(run, "No recipe is named"), run.output
        assert scene.held("ann") == [FIRST]
