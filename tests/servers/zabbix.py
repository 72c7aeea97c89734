# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Zabbix' frontend with its API, from Debian, with a PostgreSQL of its own."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import typing as t
from pathlib import Path

from tests.servers.launch import Launch, launched
from tests.servers.server import AWKWARD_NAMES, Server, call, done

_FRONTEND = Path("/usr/share/zabbix")
_TABLES = Path("/usr/share/zabbix-server-pgsql")
# What an empty Zabbix has; the rest of its data are templates of hosts, which take half a minute.
_DATA = "role|role_rule|users|hstgrp|usrgrp|users_groups|config"
_SETTINGS = """\
<?php
$DB = ['TYPE' => 'POSTGRESQL', 'SERVER' => '{directory}', 'DATABASE' => 'postgres', 'USER' => 'postgres'];
"""
_START = """\
set -e
PATH={programs}:$PATH
initdb --username=postgres --auth=trust --no-sync --encoding=UTF8 data >initdb.log
postgres -D data -k {directory} -c listen_addresses= -c fsync=off >postgres.log 2>&1 &
until pg_isready -q -h {directory}; do sleep 0.1; done
{{ zcat {tables}/schema.sql.gz; zcat {tables}/data.sql.gz | grep -E '^INSERT INTO ({data}) '; }} >tables.sql
psql -q -h {directory} -U postgres -v ON_ERROR_STOP=1 -f tables.sql
exec php -d display_errors=0 -d max_execution_time=300 -d post_max_size=16M -S 127.0.0.1:{port} -t frontend
"""


def _database() -> str:
    return str(max(Path("/usr/lib/postgresql").glob("*/bin"), default=""))


def absent() -> str:
    there = _FRONTEND.exists() and _TABLES.exists() and shutil.which("php") and _database()
    return (
        "" if there else "Zabbix is not installed (Debian: zabbix-frontend-php zabbix-server-pgsql postgresql php-cli)"
    )


def _prepare(directory: Path, ports: list[int]) -> Launch:
    """Where its settings are is written in the frontend itself, so it is a copy."""
    frontend = directory / "frontend"
    shutil.copytree(_FRONTEND, frontend, ignore_dangling_symlinks=True)
    settings = directory / "zabbix.conf.php"
    settings.write_text(_SETTINGS.format(directory=directory))
    place = frontend / "include" / "classes" / "core" / "CConfigFile.php"
    place.write_text(re.sub(r"(CONFIG_FILE_PATH = )'[^']*'", rf"\1'{settings}'", place.read_text()))
    script = _START.format(directory=directory, programs=_database(), tables=_TABLES, data=_DATA, port=ports[0])

    def ready() -> bool:
        return "result" in _ask(ports[0], "apiinfo.version", {}).json()

    return Launch(["sh", "-c", script], ready, user="postgres" if os.geteuid() == 0 else "")


def _ask(port: int, method: str, params: t.Any, token: str | None = None) -> t.Any:
    body = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1, "auth": token}
    return call("POST", f"http://127.0.0.1:{port}/api_jsonrpc.php", json=body)


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    with launched(_prepare, ports=1) as ports:
        admin = ("Admin", secrets.token_urlsafe())

        def ask(method: str, params: t.Any, token: str | None = None) -> t.Any:
            return done(_ask(ports[0], method, params, token), 200).json()["result"]

        def login(name: str, password: str) -> t.Any:
            return _ask(ports[0], "user.login", {"user": name, "password": password}).json()

        def as_admin(method: str, params: t.Any) -> t.Any:
            return ask(method, params, login(*admin)["result"])

        def add_user(name: str, password: str) -> None:
            user = {"username": name, "passwd": password, "roleid": "1", "usrgrps": [{"usrgrpid": "8"}], "url": "/x"}
            as_admin("user.create", user)

        def identity(name: str) -> dict[str, t.Any]:
            (found,) = as_admin(
                "user.get", {"filter": {"username": name}, "output": "extend", "selectUsrgrps": "extend"}
            )
            return t.cast("dict[str, t.Any]", found)

        def accepts(name: str, password: str) -> bool:
            answer = login(name, password)
            if "result" in answer:
                return True
            assert "Incorrect user name or password" in answer["error"]["data"], "neither a yes nor a no"
            return False

        def whole(name: str) -> bool:
            found = identity(name)
            return bool(found["url"] == "/x" and [group["usrgrpid"] for group in found["usrgrps"]] == ["8"])

        def disable(name: str) -> None:
            as_admin("user.update", {"userid": identity(name)["userid"], "usrgrps": [{"usrgrpid": "9"}]})

        # As it comes, the database has a well-known administrator.
        token = login("Admin", "zabbix")["result"]
        ask("user.update", {"userid": "1", "passwd": admin[1]}, token)
        yield Server(
            version=ask("apiinfo.version", {}),
            url=f"http://127.0.0.1:{ports[0]}",
            vars={"admin_username": admin[0]},
            secrets={"admin_password": admin[1]},
            add_user=add_user,
            accepts=accepts,
            names=AWKWARD_NAMES,
            whole=whole,
            disable=disable,
        )
