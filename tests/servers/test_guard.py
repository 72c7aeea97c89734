# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real server never outlives its test, and neither does anything that it has started or written."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from tests.servers.guarded import started
from tests.servers.launch import REPOSITORY, Launch, NotStarted, launched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands over the orphans of a daemon")

# A test: it starts the server, says where it is, and waits for its end.
_TEST = """
import sys
from tests.servers.guarded import started
with started() as directory:
    print(directory, flush=True)
    sys.stdin.read()
"""


def pids(directory: Path) -> list[int]:
    return [int((directory / name).read_text()) for name in ("server", "daemon")]


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def wait_until(condition: t.Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_all_is_gone_at_the_end() -> None:
    with started() as directory:
        running = pids(directory)
        assert all(map(alive, running))
    assert not any(map(alive, running)) and not directory.exists()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_all_is_gone_when_the_test_dies(end: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    test = subprocess.Popen(
        [sys.executable, "-c", _TEST],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # Who starts the tests in the background may have switched this signal off.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert test.stdin is not None and test.stdout is not None
    with contextlib.closing(test.stdin), contextlib.closing(test.stdout):
        directory = Path(test.stdout.readline().strip())
        running = pids(directory)
        assert all(map(alive, running))
        # As a terminal or a timeout does it: the whole process group.
        os.killpg(test.pid, end)
        test.wait()
        assert wait_until(lambda: not any(map(alive, running)) and not directory.exists())


def test_a_server_that_ends_is_noticed() -> None:
    def prepare(_directory: Path, _ports: list[int]) -> Launch:
        return Launch([sys.executable, "-c", "print('no such option'); raise SystemExit(3)"], lambda: False)

    with pytest.raises(NotStarted, match="no such option"), launched(prepare, ports=1):
        pass
