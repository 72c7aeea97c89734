# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""devpi-server, from the Python package index."""

from __future__ import annotations

import contextlib
import secrets
import typing as t
from pathlib import Path

from tests.servers import venvs
from tests.servers.launch import Launch, launched
from tests.servers.server import Server, call, done, yes_or_no


def absent() -> str:
    return venvs.absent("devpi")


def _prepare(directory: Path, ports: list[int]) -> Launch:
    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/+api").status_code == 200

    # Deriving the key of its tokens takes many seconds with devpi's own settings.
    hasty = "--argon2-memory-cost 8 --argon2-parallelism 1 --argon2-time-cost 1"
    steps = (
        f"{venvs.program('devpi', 'devpi-init')} --serverdir {directory}/data --no-root-pypi",
        f"exec {venvs.program('devpi', 'devpi-server')} --serverdir {directory}/data {hasty} --offline-mode"
        f" --host 127.0.0.1 --port {ports[0]}",
    )
    return Launch(["sh", "-c", " && ".join(steps)], ready)


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    with launched(_prepare, ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        admin = ("root", secrets.token_urlsafe())

        def accepts(name: str, password: str) -> bool:
            answer = call("POST", f"{url}/+login", json={"user": name, "password": password})
            return yes_or_no(answer, yes=200, no=401)

        def add_user(name: str, password: str) -> None:
            body = {"password": password}
            done(call("PUT", f"{url}/{name}", basic=admin, json=body), 201)

        # A new server's root has an empty password.
        done(call("PATCH", f"{url}/root", basic=("root", ""), json={"password": admin[1]}), 200)
        answer = call("GET", f"{url}/+api", headers={"Accept": "application/json"})
        yield Server(
            version=answer.headers["X-DEVPI-SERVER-VERSION"],
            url=url,
            vars={"admin_username": admin[0]},
            secrets={"admin_password": admin[1]},
            add_user=add_user,
            accepts=accepts,
            names=("na.me-x_y", "name@example.com"),
            wrong_admin="not_permitted",
        )
