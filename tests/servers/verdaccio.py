# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdaccio, from npm; users change their own passwords, and nobody else can."""

from __future__ import annotations

import contextlib
import json
import typing as t
import urllib.parse
from pathlib import Path

from tests.servers import npm
from tests.servers.launch import Launch, launched
from tests.servers.server import Server, call, done, yes_or_no


def absent() -> str:
    return npm.absent("verdaccio")


def _prepare(directory: Path, ports: list[int]) -> Launch:
    settings = directory / "config.yaml"
    settings.write_text(
        json.dumps(
            {
                "storage": str(directory / "storage"),
                "auth": {"htpasswd": {"file": str(directory / "htpasswd"), "rounds": 4}},
                "packages": {"**": {"access": "$authenticated", "publish": "$authenticated"}},
                "log": {"type": "stdout", "level": "error"},
                "web": {"enable": False},
                "userRateLimit": {"windowMs": 1000, "max": 10000},
            }
        )
    )
    command = [str(npm.program("verdaccio", "verdaccio")), "--config", str(settings)]

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/-/ping").status_code == 200

    return Launch([*command, "--listen", f"127.0.0.1:{ports[0]}"], ready, {"HOME": str(directory)})


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    with launched(_prepare, ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"

        def add_user(name: str, password: str) -> None:
            path = "/-/user/" + urllib.parse.quote(f"org.couchdb.user:{name}", safe="")
            done(call("PUT", url + path, json={"name": name, "password": password}), 201)

        def accepts(name: str, password: str) -> bool:
            return yes_or_no(call("GET", f"{url}/-/npm/v1/user", basic=(name, password)), yes=200, no=401)

        yield Server(
            version=npm.version("verdaccio"),
            url=url,
            vars={},
            secrets={},
            add_user=add_user,
            accepts=accepts,
            names=("na.me-x_y",),
            no_user="auth_failed",
            own=True,
        )
