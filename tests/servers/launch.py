# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting a server on free loopback ports in a directory of its own, and ending it whatever happens."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import requests

REPOSITORY = Path(__file__).resolve().parents[2]
_ATTEMPTS = 3
# Seconds; a crowded machine is slow, and a server that has ended is noticed at once.
_PATIENCE = 240


@dataclasses.dataclass
class Launch:
    """How a server is started. ready: whether it answers; requests' exceptions count as not yet."""

    command: list[str]
    ready: t.Callable[[], bool]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    user: str = ""


# The server's directory, its ports → how to start it there.
Prepare = t.Callable[[Path, list[int]], Launch]


def private(path: Path, text: str) -> Path:
    """The file, which holds a secret."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


class NotStarted(Exception):
    """The server ended, or did not answer in time; the text is the end of its log."""


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _number in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait(guard: subprocess.Popen[bytes], launch: Launch, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while guard.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if launch.ready():
                return
        time.sleep(0.05)
    raise NotStarted("\n".join(log.read_text(errors="replace").splitlines()[-30:]))


@contextlib.contextmanager
def _guarded(prepare: Prepare, ports: list[int]) -> t.Iterator[Path]:
    # Not below pytest's directories, which other users may not enter.
    directory = Path(tempfile.mkdtemp(prefix="keyturn-server-"))
    log = directory / "output"
    try:
        launch = prepare(directory, ports)
        if launch.user:
            for path in (directory, *directory.rglob("*")):
                shutil.chown(path, launch.user, launch.user)
        with log.open("wb") as output:
            guard = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.guard", str(directory), launch.user, *launch.command],
                cwd=REPOSITORY,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY), **launch.environment},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                # Ctrl-C reaches the tests only, and they end it.
                start_new_session=True,
            )
        assert guard.stdin is not None
        try:
            _wait(guard, launch, log)
            yield directory
        finally:
            guard.stdin.close()
            guard.wait(60)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def launched(prepare: Prepare, *, ports: int) -> t.Iterator[list[int]]:
    """The server's ports, once it answers. Raises NotStarted after some attempts: a port may be taken meanwhile."""
    with contextlib.ExitStack() as stack:
        for attempt in range(_ATTEMPTS):
            numbers = _free_ports(ports)
            try:
                stack.enter_context(_guarded(prepare, numbers))
                break
            except NotStarted:
                if attempt == _ATTEMPTS - 1:
                    raise
        yield numbers
