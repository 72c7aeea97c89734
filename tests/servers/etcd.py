# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""etcd, from Debian."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import typing as t
from pathlib import Path

from tests.servers.launch import Launch, launched
from tests.servers.server import AWKWARD_NAMES, Server, call, done, yes_or_no


def absent() -> str:
    return "" if shutil.which("etcd") else "etcd is not installed (Debian: etcd-server)"


def _prepare(directory: Path, ports: list[int]) -> Launch:
    client, peer = (f"http://127.0.0.1:{port}" for port in ports)
    options = {
        "data-dir": "data",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
    }

    def ready() -> bool:
        return call("GET", f"{client}/health").text.count("true") == 1

    return Launch(["etcd", *(f"--{name}={value}" for name, value in options.items())], ready)


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    with launched(_prepare, ports=2) as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        admin = {"name": "root", "password": secrets.token_urlsafe()}

        def ask(operation: str, body: dict[str, str], **headers: str) -> t.Any:
            return done(call("POST", f"{url}/v3/auth/{operation}", json=body, headers=headers), 200).json()

        def accepts(name: str, password: str) -> bool:
            body = {"name": name, "password": password}
            return yes_or_no(call("POST", f"{url}/v3/auth/authenticate", json=body), yes=200, no=400)

        def add_user(name: str, password: str) -> None:
            ask("user/add", {"name": name, "password": password}, Authorization=ask("authenticate", admin)["token"])

        ask("user/add", admin)
        ask("role/add", {"name": "root"})
        ask("user/grant", {"user": "root", "role": "root"})
        ask("enable", {})
        yield Server(
            version=call("GET", f"{url}/version").json()["etcdserver"],
            url=url,
            vars={"admin_username": admin["name"]},
            secrets={"admin_password": admin["password"]},
            add_user=add_user,
            accepts=accepts,
            names=AWKWARD_NAMES,
        )
