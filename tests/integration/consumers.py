# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests of consumers share: consumers that write down what they are told, and what a record remembers of them."""

from __future__ import annotations

import json
import subprocess
import time
import typing as t
from pathlib import Path

import yaml

from tests.campaigns.keypair import KeyScene
from tests.integration.kill import PATIENCE
from tests.integration.scenes import SnowflakeScene as Scene


class Consumers:
    """Consumers that write a line each; one that is told to fail does so after its line."""

    def __init__(self, directory: Path, *names: str) -> None:
        self.folder, self.log, self.broken = directory / "consumers", directory / "told.log", directory / "broken"
        self.folder.mkdir()
        for name in names:
            self._write(name)

    def _write(self, name: str) -> None:
        line = f"{name} {{{{ keyturn_login }}}} {{{{ keyturn_record_uid }}}} {{{{ keyturn_rotation_id }}}}"
        tasks: list[dict[str, t.Any]] = [
            {
                "name": "Write a line",
                "ansible.builtin.shell": f"echo {line} >> {self.log}",
                "changed_when": True,
            },
            {
                "name": "Reload",
                "ansible.builtin.command": f"test ! -e {self.broken}-{name}",
                "changed_when": False,
            },
        ]
        (self.folder / f"{name}.yml").write_text(yaml.safe_dump(tasks, width=10_000))

    def told(self) -> list[tuple[str, str]]:
        """(consumer, rotation) in order."""
        lines = self.log.read_text().split("\n") if self.log.exists() else []
        return [(line.split()[0], line.split()[3]) for line in lines if line]

    def hang(self, name: str) -> t.Callable[[], None]:
        """From now on this one does not come to its end after its line; returns what makes it well again."""
        path = self.folder / f"{name}.yml"
        well = path.read_text()
        path.write_text(well.replace(f"test ! -e {self.broken}-{name}", "sleep 60"))
        return lambda: t.cast(None, path.write_text(well))

    def breaks(self, name: str) -> Path:
        return Path(f"{self.broken}-{name}")


def state(scene: Scene | KeyScene) -> dict[str, t.Any]:
    found: dict[str, t.Any] = json.loads(scene.vault.field(scene.uids["A"], "rotation_state") or "{}")
    return found


def wait_until(seen: t.Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 3 * PATIENCE
    while not seen() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
