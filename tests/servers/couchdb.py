# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The users of CouchDB, as pouchdb-server keeps them; from npm."""

from __future__ import annotations

import contextlib
import json
import secrets
import typing as t
import urllib.parse
from pathlib import Path

from tests.servers import npm
from tests.servers.launch import Launch, launched, private
from tests.servers.server import AWKWARD_NAMES, Server, call, done, yes_or_no


def absent() -> str:
    return npm.absent("couchdb")


def _prepare(directory: Path, ports: list[int], password: str) -> Launch:
    settings = private(directory / "config.json", json.dumps({"admins": {"root": password}}))
    program = str(npm.program("couchdb", "pouchdb-server"))
    options = ("--host", "127.0.0.1", "--port", str(ports[0]), "--in-memory", "--config", str(settings))

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/").status_code == 200

    return Launch([program, *options, "--no-stdout-logs"], ready)


def _path(name: str) -> str:
    return "/_users/" + urllib.parse.quote(f"org.couchdb.user:{name}", safe="")


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    admin = ("root", secrets.token_urlsafe())
    with launched(lambda directory, ports: _prepare(directory, ports, admin[1]), ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"

        def add_user(name: str, password: str) -> None:
            body = {"name": name, "password": password, "type": "user", "roles": ["reader"], "team": "blue"}
            done(call("PUT", url + _path(name), json=body, basic=admin), 201)

        def accepts(name: str, password: str) -> bool:
            answer = call("POST", f"{url}/_session", json={"name": name, "password": password})
            return yes_or_no(answer, yes=200, no=401)

        def whole(name: str) -> bool:
            found = done(call("GET", url + _path(name), basic=admin), 200).json()
            return bool(found["roles"] == ["reader"] and found["team"] == "blue" and found["type"] == "user")

        yield Server(
            version=npm.version("couchdb"),
            url=url,
            vars={"admin_username": admin[0]},
            secrets={"admin_password": admin[1]},
            add_user=add_user,
            accepts=accepts,
            names=AWKWARD_NAMES,
            whole=whole,
        )
