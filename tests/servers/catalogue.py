# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which recipe has a real server."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from tests.servers import (
    couchdb,
    devpi,
    ejabberd,
    etcd,
    influxdb,
    jupyterhub,
    keystone,
    kinto,
    mailman,
    qbittorrent,
    rabbitmq,
    superset,
    synapse,
    verdaccio,
    zabbix,
)
from tests.servers.server import Kind, Server

SERVERS: dict[str, Kind] = {
    "influxdb": influxdb,
    "etcd": etcd,
    "rabbitmq": rabbitmq,
    "devpi": devpi,
    "keystone": keystone,
    "synapse": synapse,
    "ejabberd": ejabberd,
    "mailman": mailman,
    "couchdb": couchdb,
    "verdaccio": verdaccio,
    "qbittorrent": qbittorrent,
    "zabbix": zabbix,
    "jupyterhub": jupyterhub,
    "superset": superset,
    "kinto": kinto,
}


@contextlib.contextmanager
def start(name: str) -> t.Iterator[Server]:
    reason = SERVERS[name].absent()
    if reason:
        pytest.skip(reason)
    with SERVERS[name].start() as server:
        yield server
