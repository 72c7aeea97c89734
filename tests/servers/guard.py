# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps a server alive only as long as its test: python -m tests.servers.guard DIRECTORY USER COMMAND …

The command runs in the directory, as the user (empty: as whoever runs this). When standard input ends, because the test
closed it or died in whatever way, everything that the command has started is killed, daemons too (on Linux), and the
directory is removed. If the command ends first, so does this, and leaves the directory to the test.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
import typing as t

from tests.sandbox.processes import descendants, kill_tree

_PR_SET_CHILD_SUBREAPER = 36


def _adopt_orphans() -> None:
    """Make daemons that leave their parent our children, where the kernel can (Linux, prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap() -> bool:
    """Collect what has ended; whether children are left."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def _kill_all() -> None:
    while _reap():
        for child in descendants(os.getpid()):
            kill_tree(child)
        time.sleep(0.01)


def main() -> t.NoReturn:
    directory, user, *command = sys.argv[1:]
    _adopt_orphans()
    account: dict[str, t.Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    child = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, **account)
    test_ended = threading.Event()

    def wait_for_the_test() -> None:
        sys.stdin.buffer.read()
        test_ended.set()
        kill_tree(child.pid)

    threading.Thread(target=wait_for_the_test, daemon=True).start()
    code = child.wait()
    _kill_all()
    if test_ended.is_set():
        shutil.rmtree(directory, ignore_errors=True)
    os._exit(code)


if __name__ == "__main__":
    main()
