# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OpenStack Keystone, from the Python package index."""

from __future__ import annotations

import contextlib
import secrets
import typing as t
from pathlib import Path

from tests.servers import venvs
from tests.servers.launch import Launch, launched, private
from tests.servers.server import AWKWARD_NAMES, Server, call, done, yes_or_no


def absent() -> str:
    return venvs.absent("keystone")


def _prepare(directory: Path, ports: list[int], password: str) -> Launch:
    secret = private(directory / "administrator", password)
    python = str(venvs.program("keystone", "python"))

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/v3").status_code == 200

    return Launch([python, "-m", "tests.servers.programs.keystone_server", str(ports[0]), str(secret)], ready)


def _login(user: dict[str, t.Any], scope: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, **({"scope": scope} if scope else {})}}


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    password = secrets.token_urlsafe()
    with launched(lambda directory, ports: _prepare(directory, ports, password), ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        domain = {"domain": {"id": "default"}}

        def authenticate(name: str, password: str, scope: dict[str, t.Any] | None = None) -> t.Any:
            body = _login({"name": name, "password": password, **domain}, scope)
            return call("POST", f"{url}/v3/auth/tokens", json=body)

        def as_admin(method: str, path: str, status: int, **arguments: t.Any) -> t.Any:
            token = done(authenticate("admin", password, {"project": {"name": "admin", **domain}}), 201)
            headers = {"X-Auth-Token": token.headers["X-Subject-Token"]}
            return done(call(method, url + path, headers=headers, **arguments), status).json()

        def add_user(name: str, given: str) -> None:
            body = {"user": {"name": name, "password": given, "domain_id": "default"}}
            as_admin("POST", "/v3/users", 201, json=body)

        def disable(name: str) -> None:
            (user,) = as_admin("GET", "/v3/users", 200, params={"name": name})["users"]
            as_admin("PATCH", f"/v3/users/{user['id']}", 200, json={"user": {"enabled": False}})

        yield Server(
            version=venvs.version("keystone"),
            url=url,
            vars={},
            secrets={"admin_password": password},
            add_user=add_user,
            accepts=lambda name, given: yes_or_no(authenticate(name, given), yes=201, no=401),
            names=AWKWARD_NAMES,
            disable=disable,
        )
