# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The memory that the processes of a run take at their most, looked at whenever a server is asked; Linux only.

A page that several processes share is counted for each of them by its part (PSS): a forked child is a copy of what
Ansible has loaded, of which only what it changes takes memory again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import subprocess
import threading
import typing as t
from pathlib import Path

from tests.integration.support import Ansible
from tests.sandbox.processes import descendants
from tests.sandbox.server import Fault, Faults

_FOREVER = 10**9


@dataclasses.dataclass(frozen=True)
class Memory:
    """MiB. task: of the process in which the module runs, by PSS; task_rss: with all that it shares; run: of all."""

    task: float
    task_rss: float
    run: float


def _of(pid: int) -> tuple[float, float]:
    """PSS and RSS of a process; nothing of one that has just ended."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace")
        found = {name: int(size) / 1024 for name, size in re.findall(r"^(Pss|Rss): +(\d+) kB", text, re.MULTILINE)}
        return found.get("Pss", 0.0), found.get("Rss", 0.0)
    return 0.0, 0.0


def peak(ansible: Ansible, faults: Faults, start: t.Callable[[], subprocess.Popen[str]]) -> Memory:
    """Of the run that is started, which must succeed. One module at a time asks the server that has these faults."""
    lock, started, looks = threading.Lock(), threading.Event(), list[Memory]()

    def look() -> None:
        started.wait()
        with lock:
            # A module starts nothing, so it is the last one below ansible-playbook.
            found = [_of(pid) for pid in (process.pid, *descendants(process.pid))]
            looks.append(Memory(*found[-1], sum(pss for pss, _rss in found)))

    faults.add(Fault("", times=_FOREVER, before=look))
    process = start()
    started.set()
    run = ansible.finish(process)
    faults.clear()
    if run.returncode != 0 or not looks:
        raise RuntimeError(run.output)
    return Memory(*(max(getattr(each, field.name) for each in looks) for field in dataclasses.fields(Memory)))
