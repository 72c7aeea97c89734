# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ejabberd with mod_admin_extra and mod_http_api, from Debian."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import typing as t
from pathlib import Path

from tests.servers.launch import Launch, launched
from tests.servers.server import Server, call, done

_HOST = "localhost"
_ADMIN = f"admin@{_HOST}"


def absent() -> str:
    return "" if shutil.which("ejabberdctl") else "ejabberd is not installed (Debian: ejabberd)"


def _settings(port: int) -> dict[str, t.Any]:
    return {
        "hosts": [_HOST],
        "loglevel": "warning",
        "auth_password_format": "scram",
        "listen": [
            {
                "port": port,
                "ip": "127.0.0.1",
                "module": "ejabberd_http",
                "request_handlers": {"/api": "mod_http_api"},
            }
        ],
        "acl": {"admin": {"user": [_ADMIN]}},
        "api_permissions": {
            "administrators": {
                "from": ["mod_http_api"],
                "who": {"access": {"allow": {"acl": "admin"}}},
                "what": ["*"],
            },
            # How the test makes its users, and the server its first one.
            "registration": {"from": ["mod_http_api"], "who": {"ip": "127.0.0.1/32"}, "what": ["register", "status"]},
        },
        "modules": {"mod_admin_extra": {}, "mod_http_api": {}},
    }


def _prepare(directory: Path, ports: list[int]) -> Launch:
    settings = directory / "ejabberd.yml"
    settings.write_text(json.dumps(_settings(ports[0])))
    (directory / "data").mkdir()
    environment = {
        "HOME": str(directory),
        "EJABBERD_CONFIG_PATH": str(settings),
        "EJABBERD_LOG_PATH": str(directory / "ejabberd.log"),
        "ERL_CRASH_DUMP_BYTES": "0",
        "ERL_LIBS": str(next(Path("/usr/lib").glob("*/ejabberd-*")).parent),
    }

    def ready() -> bool:
        return call("POST", f"http://127.0.0.1:{ports[0]}/api/status", json={}).status_code == 200

    # Without a name, so that no other program has to know it: no epmd.
    command = ["erl", "-noinput", "-mnesia", "dir", f'"{directory}/data"', "-s", "ejabberd"]
    return Launch(command, ready, environment, user="ejabberd" if os.geteuid() == 0 else "")


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    with launched(_prepare, ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        password = secrets.token_urlsafe()

        def add_user(name: str, given: str) -> None:
            body = {"user": name, "host": _HOST, "password": given}
            done(call("POST", f"{url}/api/register", json=body), 200)

        def accepts(name: str, given: str) -> bool:
            body = {"user": name, "host": _HOST, "password": given}
            answer = call("POST", f"{url}/api/check_password", json=body, basic=(_ADMIN, password))
            return {0: True, 1: False}[done(answer, 200).json()]

        add_user("admin", password)
        status = done(call("POST", f"{url}/api/status", json={}), 200).json()
        yield Server(
            version=status.partition("ejabberd ")[2].split()[0],
            url=url,
            vars={"admin_username": _ADMIN, "host": _HOST},
            secrets={"admin_password": password},
            add_user=add_user,
            accepts=accepts,
            names=("na.me-x_y", "%41${password}", "é☃"),
            # It takes what stringprep (RFC 4013) of Unicode 3.2 takes.
            fits=lambda given: given.translate(dict.fromkeys(map(ord, "\n\t😀"))),
        )
