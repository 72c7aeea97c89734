# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ending a process with everything that it has started: Ansible's workers leave the process group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess


def _children() -> dict[int, list[int]]:
    """Every process's children, from ps, which Linux and macOS both have."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in listing.splitlines():
        pid, parent = (int(number) for number in line.split())
        children.setdefault(parent, []).append(pid)
    return children


def descendants(pid: int) -> list[int]:
    """The process's children, their children, and so on."""
    children = _children()
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.append(child)
            waiting.append(child)
    return found


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_tree(pid: int) -> None:
    """SIGKILL the process and all its descendants, stopping each first so that none can start another meanwhile."""
    stopped: set[int] = set()
    while remaining := {pid, *descendants(pid)} - stopped:
        for member in remaining:
            _send(member, signal.SIGSTOP)
        stopped |= remaining
    for member in stopped:
        _send(member, signal.SIGKILL)
