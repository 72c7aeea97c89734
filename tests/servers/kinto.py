# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinto with its accounts, from the Python package index."""

from __future__ import annotations

import contextlib
import secrets
import typing as t
import urllib.parse
from pathlib import Path

from tests.servers import venvs
from tests.servers.launch import Launch, launched, private
from tests.servers.server import Server, call, done

_SETTINGS = """\
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.userid_hmac_secret = {key}
kinto.includes = kinto.plugins.accounts
multiauth.policies = account
multiauth.policy.account.use = kinto.plugins.accounts.AccountsPolicy
kinto.account_create_principals = system.Everyone
kinto.account_write_principals = account:admin
kinto.account_read_principals = account:admin
"""


def absent() -> str:
    return venvs.absent("kinto")


def _prepare(directory: Path, ports: list[int]) -> Launch:
    settings = private(directory / "kinto.ini", _SETTINGS.format(port=ports[0], key=secrets.token_hex()))

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/v1/").status_code == 200

    return Launch([str(venvs.program("kinto", "kinto")), "start", "--ini", str(settings)], ready)


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    with launched(_prepare, ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        admin = ("admin", secrets.token_urlsafe())

        def path(name: str) -> str:
            return f"{url}/v1/accounts/{urllib.parse.quote(name, safe='')}"

        def add_user(name: str, password: str) -> None:
            done(call("PUT", path(name), json={"data": {"password": password, "team": "blue"}}), 201)

        def accepts(name: str, password: str) -> bool:
            user = done(call("GET", f"{url}/v1/", basic=(name, password)), 200).json().get("user")
            assert user is None or user["id"] == f"account:{name}"
            return user is not None

        def whole(name: str) -> bool:
            return bool(done(call("GET", path(name), basic=admin), 200).json()["data"]["team"] == "blue")

        done(call("PUT", path(admin[0]), json={"data": {"password": admin[1]}}), 201)
        yield Server(
            version=venvs.version("kinto"),
            url=url,
            vars={"admin_username": admin[0]},
            secrets={"admin_password": admin[1]},
            add_user=add_user,
            accepts=accepts,
            names=("na-me_x@example.com",),
            # What is longer is answered with 500.
            fits=lambda given: given.encode()[:72].decode(errors="ignore"),
            whole=whole,
        )
