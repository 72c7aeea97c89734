# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A vault, and a source of the inventory plugin that leads there."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import typing as t
from pathlib import Path

from tests.integration.conftest import fresh_password
from tests.integration.support import Ansible
from tests.sandbox.keeper import KeeperSandbox

Entry = dict[str, t.Any]


def _plain(value: Entry) -> t.Any:
    """Ansible marks texts that are no templates."""
    return value.get("__ansible_unsafe", value)


@dataclasses.dataclass
class Scene:
    """A vault and a source that leads there."""

    directory: Path
    vault: KeeperSandbox
    ansible: Ansible
    damaged: set[str] = dataclasses.field(default_factory=set)

    def source(self, **options: t.Any) -> Path:
        path = self.directory / "production.keeper.yml"
        given = {
            "plugin": "keyturn.credentials.keeper",
            "keeper_config_file": str(self.directory / "ksm-config.json"),
            **options,
        }
        path.write_text(json.dumps({name: value for name, value in given.items() if value is not None}))
        return path

    def list(self, source: Path, *arguments: str, **environment: str) -> tuple[Entry, str]:
        """The inventory, and what was written to stderr. Nothing of it may be a secret."""
        self.vault.journal.clear()
        program = str(Path(sys.executable).parent / "ansible-inventory")
        run = subprocess.run(
            [program, "-i", str(source), "--list", "--export", *arguments],
            env=self.ansible.environ(environment),
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        self.assert_no_secret(run.stdout, run.stderr)
        return t.cast(Entry, json.loads(run.stdout or "{}", object_hook=_plain)), run.stderr

    def assert_no_secret(self, *texts: str) -> None:
        found = {
            self.vault.field(uid, key)
            for uid in self.vault.records.keys() - self.damaged
            for key in ("password", "rotation_pending")
        }
        assert [secret for secret in found if secret and any(secret in text for text in texts)] == []

    def add(self, title: str, login: str, **custom: str) -> str:
        fields = [{"type": "text", "label": label, "value": [value]} for label, value in custom.items()]
        return self.vault.add_record(
            title=title, type="pamUser", fields={"login": login, "password": fresh_password()}, custom=fields
        )
