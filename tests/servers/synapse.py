# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Synapse, the Matrix server, from the Python package index."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import secrets
import typing as t
from pathlib import Path

from tests.servers import venvs
from tests.servers.launch import Launch, launched, private
from tests.servers.server import Server, call, done, yes_or_no

_DOMAIN = "test.example"


def absent() -> str:
    return venvs.absent("synapse")


def _settings(directory: Path, port: int, registration: str, limited: bool) -> dict[str, t.Any]:
    settings: dict[str, t.Any] = {
        "server_name": _DOMAIN,
        "report_stats": False,
        "pid_file": str(directory / "synapse.pid"),
        "signing_key_path": str(directory / "signing.key"),
        "media_store_path": str(directory / "media"),
        "trusted_key_servers": [],
        "database": {"name": "sqlite3", "args": {"database": str(directory / "synapse.db")}},
        "listeners": [
            {
                "port": port,
                "type": "http",
                "bind_addresses": ["127.0.0.1"],
                "resources": [{"names": ["client"], "compress": False}],
            }
        ],
        "registration_shared_secret": registration,
        # Otherwise each login costs a quarter of a second.
        "bcrypt_rounds": 4,
    }
    if not limited:
        freely = {"per_second": 1000, "burst_count": 1000}
        settings["rc_login"] = {"address": freely, "account": freely, "failed_attempts": freely}
    return settings


def _prepare(directory: Path, ports: list[int], registration: str, limited: bool) -> Launch:
    settings = private(directory / "homeserver.yaml", json.dumps(_settings(directory, ports[0], registration, limited)))
    server = f"{venvs.program('synapse', 'python')} -m synapse.app.homeserver --config-path {settings}"

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/_matrix/client/versions").status_code == 200

    return Launch(["sh", "-c", f"{server} --generate-keys && exec {server}"], ready)


@contextlib.contextmanager
def start(*, limited: bool = False) -> t.Iterator[Server]:
    """limited: with the limits of logins that Synapse comes with."""
    registration, password = secrets.token_urlsafe(), secrets.token_urlsafe()
    with launched(lambda directory, ports: _prepare(directory, ports, registration, limited), ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"

        def register(name: str, password: str, *, admin: bool = False) -> None:
            """name: the local part, or the whole Matrix ID."""
            name = name.removeprefix("@").partition(":")[0]
            nonce = done(call("GET", f"{url}/_synapse/admin/v1/register"), 200).json()["nonce"]
            text = "\0".join([nonce, name, password, "admin" if admin else "notadmin"])
            mac = hmac.new(registration.encode(), text.encode(), hashlib.sha1).hexdigest()
            body = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac}
            done(call("POST", f"{url}/_synapse/admin/v1/register", json=body), 200)

        def accepts(name: str, password: str) -> bool:
            identifier = {"type": "m.id.user", "user": name}
            body = {"type": "m.login.password", "identifier": identifier, "password": password}
            return yes_or_no(call("POST", f"{url}/_matrix/client/v3/login", json=body), yes=200, no=403)

        def disable(name: str) -> None:
            identifier = {"type": "m.id.user", "user": "admin"}
            body = {"type": "m.login.password", "identifier": identifier, "password": password}
            token = done(call("POST", f"{url}/_matrix/client/v3/login", json=body), 200).json()["access_token"]
            where = f"{url}/_synapse/admin/v1/deactivate/{name}"
            done(call("POST", where, json={}, headers={"Authorization": f"Bearer {token}"}), 200)

        register("admin", password, admin=True)
        yield Server(
            version=venvs.version("synapse"),
            url=url,
            vars={"admin_username": "admin"},
            secrets={"admin_password": password},
            add_user=register,
            accepts=accepts,
            names=(f"@na.me=x/y_z-:{_DOMAIN}",),
            name=lambda name: f"@{name}:{_DOMAIN}",
            disable=disable,
        )
