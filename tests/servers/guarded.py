# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that does nothing, with a daemon of its own, to see who ends them."""

from __future__ import annotations

import contextlib
import sys
import typing as t
from pathlib import Path

from tests.servers.launch import Launch, launched

# A server with a daemon, as RabbitMQ has one: the daemon leaves its parent, its process group and its session.
_SERVER = """
import os, sys, time
from pathlib import Path
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        Path("daemon").write_text(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
Path("server").write_text(str(os.getpid()))
time.sleep(600)
"""


@contextlib.contextmanager
def started() -> t.Iterator[Path]:
    found: list[Path] = []

    def prepare(directory: Path, _ports: list[int]) -> Launch:
        found[:] = [directory]
        names = ("server", "daemon")
        return Launch(
            [sys.executable, "-c", _SERVER],
            lambda: all((directory / name).exists() and (directory / name).read_text() for name in names),
        )

    with launched(prepare, ports=1):
        yield found[0]
