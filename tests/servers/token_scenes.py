# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users of real servers whose tokens are rotated, and how each server is asked whether a token works."""

from __future__ import annotations

import typing as t

from tests.servers.server import Server, call, done, password

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
