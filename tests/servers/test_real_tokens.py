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
from tests.servers.server import Server, call, done
from tests.servers.test_real_servers import password, start

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

Entry = dict[str, t.Any]
USER = "robot"


class Scene:
    """One user of a server, who has its own password and no tokens yet."""

    # Whose wrong password the administrator's is, and what a user who does not exist is called then.
    own = False
    no_user = "not_found"
    vars: t.ClassVar[Entry] = {}

    def __init__(self, server: Server) -> None:
        self.server = server
        self.user = server.name(USER)
        self.password = password()
        server.add_user(self.user, self.password)

    def accepts(self, name: str, token: str) -> bool:
        """Whether the server lets the token in, asked with nothing of the code under test."""
        path, prefix, no = self.whoami
        answer = call("GET", self.server.url + path, headers={"Authorization": f"{prefix} {token}"})
        return done(answer, 200, *no).status_code == 200

    # Path, prefix, and the statuses of a token that is wrong.
    whoami: t.ClassVar[tuple[str, str, tuple[int, ...]]]


class Verdaccio(Scene):
    own = True
    no_user = "auth_failed"
    whoami = ("/-/npm/v1/user", "Bearer", (401, 403))


class Synapse(Scene):
    whoami = ("/_matrix/client/v3/account/whoami", "Bearer", (401,))


class JupyterHub(Scene):
    whoami = ("/hub/api/user", "token", (403,))

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        # To the hub itself a user exists from the first login on.
        assert server.accepts(self.user, self.password)


class Keystone(Scene):
    own = True
    no_user = "auth_failed"
    vars: t.ClassVar[Entry] = {"project": "admin"}

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        domain = {"domain": {"id": "default"}}
        admin = {"name": "admin", "password": server.secrets["admin_password"], **domain}
        answer = self._authenticate("password", {"user": admin}, {"project": {"name": "admin", **domain}})
        headers = {"X-Auth-Token": done(answer, 201).headers["X-Subject-Token"]}

        def the(kind: str, name: str) -> str:
            found = call("GET", f"{server.url}/v3/{kind}", params={"name": name}, headers=headers)
            return str(done(found, 200).json()[kind][0]["id"])

        path = f"/v3/projects/{the('projects', 'admin')}/users/{the('users', USER)}/roles/{the('roles', 'member')}"
        done(call("PUT", server.url + path, headers=headers), 204)

    def _authenticate(self, method: str, given: Entry, scope: Entry | None = None) -> t.Any:
        body = {"auth": {"identity": {"methods": [method], method: given}, **({"scope": scope} if scope else {})}}
        return call("POST", f"{self.server.url}/v3/auth/tokens", json=body)

    def accepts(self, name: str, token: str) -> bool:
        user = {"name": USER, "domain": {"id": "default"}}
        answer = self._authenticate("application_credential", {"name": name, "user": user, "secret": token})
        return done(answer, 201, 401).status_code == 201


SCENES: dict[str, type[Scene]] = {
    "verdaccio": Verdaccio,
    "synapse": Synapse,
    "jupyterhub": JupyterHub,
    "keystone": Keystone,
}


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
