# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flask-AppBuilder, whose users Superset has, from the Python package index."""

from __future__ import annotations

import contextlib
import json
import secrets
import typing as t
import urllib.parse
from pathlib import Path

from tests.servers import venvs
from tests.servers.launch import Launch, launched, private
from tests.servers.server import Server, call, done, yes_or_no


def absent() -> str:
    return venvs.absent("superset")


def _prepare(directory: Path, ports: list[int], password: str) -> Launch:
    secret = private(directory / "administrator", password)
    python = str(venvs.program("superset", "python"))

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/login/").status_code == 200

    return Launch([python, "-m", "tests.servers.programs.appbuilder_server", str(ports[0]), str(secret)], ready)


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    password = secrets.token_urlsafe()
    with launched(lambda directory, ports: _prepare(directory, ports, password), ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}/api/v1/security"

        def login(name: str, given: str) -> t.Any:
            body = {"username": name, "password": given, "provider": "db"}
            return call("POST", f"{url}/login", json=body)

        def ask(method: str, path: str, **arguments: t.Any) -> t.Any:
            token = done(login("admin", password), 200).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            return done(call(method, url + path, headers=headers, **arguments), 200, 201).json()

        def add_user(name: str, given: str) -> None:
            person = {"first_name": "Ä", "last_name": "B", "email": f"{secrets.token_hex(4)}@example.com"}
            ask("POST", "/users/", json={**person, "username": name, "password": given, "active": True, "roles": [2]})

        def find(name: str) -> dict[str, t.Any]:
            # It takes the percent signs off twice.
            asked = {"filters": [{"col": "username", "opr": "eq", "value": urllib.parse.quote(name, safe="")}]}
            (found,) = ask("GET", "/users/", params={"q": json.dumps(asked)})["result"]
            return t.cast("dict[str, t.Any]", found)

        def whole(name: str) -> bool:
            found = find(name)
            return bool(
                found["first_name"] == "Ä" and found["active"] and [role["id"] for role in found["roles"]] == [2]
            )

        yield Server(
            version=venvs.version("superset"),
            url=f"http://127.0.0.1:{ports[0]}",
            vars={"admin_username": "admin"},
            secrets={"admin_password": password},
            add_user=add_user,
            accepts=lambda name, given: yes_or_no(login(name, given), yes=200, no=401),
            names=("a'b é☃%41", "${password}", "first+last&co@example.com"),
            whole=whole,
            disable=lambda name: ask("PUT", f"/users/{find(name)['id']}", json={"active": False}),
        )
