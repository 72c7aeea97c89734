# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The core of Mailman 3, from Debian."""

from __future__ import annotations

import contextlib
import os
import secrets
import typing as t
import urllib.parse
from pathlib import Path

from tests.servers.launch import Launch, launched, private
from tests.servers.server import Server, call, done, yes_or_no

_PROGRAMS = Path("/usr/lib/mailman3/bin")
_SETTINGS = """\
[mailman]
layout: keyturn
[paths.keyturn]
var_dir: {directory}/var
[database]
url: sqlite:///{directory}/mailman.db
[webservice]
hostname: 127.0.0.1
port: {port}
admin_user: restadmin
admin_pass: {password}
workers: 1
"""


def absent() -> str:
    return "" if _PROGRAMS.exists() else f"{_PROGRAMS} is not there (Debian: mailman3)"


def _prepare(directory: Path, ports: list[int], password: str) -> Launch:
    settings = private(
        directory / "mailman.cfg", _SETTINGS.format(directory=directory, port=ports[0], password=password)
    )
    command = [str(_PROGRAMS / "runner"), "-C", str(settings), "--runner=rest:0:1"]

    def ready() -> bool:
        answer = call("GET", f"http://127.0.0.1:{ports[0]}/3.1/system", basic=("restadmin", password))
        return answer.status_code == 200

    return Launch(command, ready, user="list" if os.geteuid() == 0 else "")


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    admin = ("restadmin", secrets.token_urlsafe())
    with launched(lambda directory, ports: _prepare(directory, ports, admin[1]), ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"

        def add_user(name: str, password: str) -> None:
            body = {"email": name, "password": password, "display_name": "Ä User"}
            done(call("POST", f"{url}/3.1/users", json=body, basic=admin), 201)

        def accepts(name: str, password: str) -> bool:
            path = f"/3.1/users/{urllib.parse.quote(name, safe='')}/login"
            answer = call("POST", url + path, json={"cleartext_password": password}, basic=admin)
            return yes_or_no(answer, yes=204, no=403)

        system = done(call("GET", f"{url}/3.1/system/versions", basic=admin), 200).json()
        yield Server(
            version=system["mailman_version"].split()[2],
            url=url,
            vars={"admin_username": admin[0]},
            secrets={"admin_password": admin[1]},
            add_user=add_user,
            accepts=accepts,
            names=("na.me+x'y@example.com",),
            name=lambda name: f"{name}@example.com",
        )
