# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""InfluxDB 1.x, from Debian."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import typing as t
from pathlib import Path

from tests.servers.launch import Launch, launched
from tests.servers.server import AWKWARD_NAMES, Server, call, done, yes_or_no

_SETTINGS = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "meta"
[data]
  dir = "data"
  wal-dir = "wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  auth-enabled = true
"""


def absent() -> str:
    return "" if shutil.which("influxd") else "influxd is not installed (Debian: influxdb)"


def _prepare(directory: Path, ports: list[int]) -> Launch:
    (directory / "influxdb.conf").write_text(_SETTINGS.format(http=ports[0], rpc=ports[1]))

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/ping").status_code == 204

    return Launch(["influxd", "-config", "influxdb.conf"], ready)


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n") + quote


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    with launched(_prepare, ports=2) as ports:
        url = f"http://127.0.0.1:{ports[0]}"
        admin = ("admin", secrets.token_urlsafe())

        def create(name: str, password: str, more: str = "", **arguments: t.Any) -> None:
            statement = f"CREATE USER {_quoted(name, chr(34))} WITH PASSWORD {_quoted(password, chr(39))}{more}"
            answer = done(call("POST", f"{url}/query", data={"q": statement}, **arguments), 200).json()
            assert "error" not in answer["results"][0], "the user was not created"

        def accepts(name: str, password: str) -> bool:
            answer = call("GET", f"{url}/query", params={"q": "SHOW DATABASES"}, basic=(name, password))
            return yes_or_no(answer, yes=200, no=401)

        create(*admin, " WITH ALL PRIVILEGES")
        yield Server(
            version=call("GET", f"{url}/ping").headers["X-Influxdb-Version"],
            url=url,
            vars={"admin_username": admin[0]},
            secrets={"admin_password": admin[1]},
            add_user=lambda name, password: create(name, password, basic=admin),
            accepts=accepts,
            names=AWKWARD_NAMES,
        )
