# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A forked child: what it says is kept, its end is noticed, and it never outlives who asked for it."""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import resource
import signal
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.keyturn.credentials.plugins.plugin_utils._in_process import in_child, preload


def test_what_it_writes_comes_back() -> None:
    assert in_child(lambda: print("ä" * 200_000)) == (1, ("ä" * 200_000 + "\n").encode())


@pytest.mark.parametrize("code", [0, 1, 7])
def test_its_exit_code_comes_back(code: int) -> None:
    assert in_child(lambda: sys.exit(code)) == (code, b"")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_crash_is_a_negative_code(number: signal.Signals) -> None:
    assert in_child(lambda: os.kill(os.getpid(), number)) == (-number, b"")


def test_at_its_end_it_tidies_up_what_is_its_own(tmp_path: Path) -> None:
    theirs, own = tmp_path / "theirs", tmp_path / "own"
    atexit.register(theirs.touch)

    def work() -> None:
        atexit.register(own.touch)

    assert in_child(work) == (1, b"")
    atexit.unregister(theirs.touch)
    assert list(tmp_path.iterdir()) == [own]


def test_an_exception_shows_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        os.write(2, b"native words")
        raise ValueError("of its own")

    assert in_child(work) == (1, b"")
    assert capfd.readouterr() == ("", "")


def test_a_crash_leaves_no_picture_of_its_memory() -> None:
    assert in_child(lambda: print(*resource.getrlimit(resource.RLIMIT_CORE))) == (1, b"0 0\n")


class Late(BaseException):
    """As Ansible's for a task's timeout."""


def test_an_exception_in_who_waits_ends_it() -> None:
    def late(_number: int, frame: t.Any) -> None:
        # Python drops what is raised elsewhere, as while it warns of a fork.
        if frame.f_code.co_name == "_read" and not raised:
            raised.append(True)
            raise Late

    def work() -> None:
        while True:
            os.kill(os.getppid(), signal.SIGUSR1)
            time.sleep(0.05)

    raised: list[bool] = []
    before = signal.signal(signal.SIGUSR1, late)
    try:
        with pytest.raises(Late):
            in_child(work)
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_it_ends_with_who_waits() -> None:
    end, other = os.pipe()

    def worker() -> None:
        def work() -> None:
            os.write(other, b"x")
            signal.pause()

        in_child(work)

    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.close(end)
            worker()
        os._exit(1)
    os.close(other)
    assert os.read(end, 1) == b"x"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    # The end of the pipe: no process is left that could write to it.
    assert os.read(end, 1) == b""
    os.close(end)


def test_what_starts_threads_is_not_imported_before_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def remember(name: str) -> None:
        asked.append(name)
        raise ImportError

    monkeypatch.setattr(importlib, "import_module", remember)
    preload("snowflake.connector", "requests")
    assert "snowflake.connector" not in asked
    assert {"google.protobuf.internal.builder", "requests"} <= set(asked)


def test_in_what_is_imported_before_a_fork_nobody_looks_for_garbage() -> None:
    gc.unfreeze()
    preload("json")
    assert gc.get_freeze_count() > 1000
    gc.unfreeze()
