# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RabbitMQ with its management plugin, from Debian."""

from __future__ import annotations

import contextlib
import os
import secrets
import typing as t
import urllib.parse
from pathlib import Path

from tests.servers.launch import Launch, launched, private
from tests.servers.server import AWKWARD_NAMES, Server, call, done, yes_or_no

# The wrapper in /usr/sbin would insist on the machine's own directories.
_COMMAND = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_SETTINGS = """\
listeners.tcp.1 = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {http}
management.disable_stats = true
default_user = guest
default_pass = {password}
"""


def absent() -> str:
    return "" if _COMMAND.exists() else f"{_COMMAND} is not installed (Debian: rabbitmq-server)"


def _prepare(directory: Path, ports: list[int], password: str) -> Launch:
    http, amqp, distribution, names = ports
    settings = private(directory / "rabbitmq.conf", _SETTINGS.format(http=http, amqp=amqp, password=password))
    (directory / "enabled_plugins").write_text("[rabbitmq_management].\n")
    for name in ("log", "mnesia"):
        (directory / name).mkdir()
    environment = {
        "HOME": str(directory),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_CONFIG_FILE": str(settings),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_LOGS": str(directory / "log" / "rabbitmq.log"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_NODENAME": "keyturn@localhost",
        "RABBITMQ_NODE_PORT": str(amqp),
        "RABBITMQ_PID_FILE": str(directory / "rabbitmq.pid"),
    }

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{http}/api/whoami", basic=("guest", password)).status_code == 200

    return Launch([str(_COMMAND)], ready, environment, user="rabbitmq" if os.geteuid() == 0 else "")


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    admin = ("guest", secrets.token_urlsafe())
    with launched(lambda directory, ports: _prepare(directory, ports, admin[1]), ports=4) as ports:
        url = f"http://127.0.0.1:{ports[0]}"

        def add_user(name: str, password: str) -> None:
            path = urllib.parse.quote(name, safe="")
            body = {"password": password, "tags": "management,policymaker"}
            done(call("PUT", f"{url}/api/users/{path}", basic=admin, json=body), 201)

        def accepts(name: str, password: str) -> bool:
            return yes_or_no(call("GET", f"{url}/api/whoami", basic=(name, password)), yes=200, no=401)

        yield Server(
            version=call("GET", f"{url}/api/overview", basic=admin).json()["rabbitmq_version"],
            url=url,
            vars={"admin_username": admin[0]},
            secrets={"admin_password": admin[1]},
            add_user=add_user,
            accepts=accepts,
            names=AWKWARD_NAMES,
        )
