# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users of a service with their records in the vault, and a role's variables to rotate them."""

from __future__ import annotations

import abc
import json
import subprocess
import typing as t
from pathlib import Path

from tests.integration.support import Ansible, Run
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Faults, Journal


class Server(t.Protocol):
    """What a scene needs of a sandbox server."""

    journal: Journal
    faults: Faults


class Scene(abc.ABC):
    """A service, a vault, and in it one record for each user.

    servers: by the names that tables give them. uids, old: the users' records and first passwords, by user.
    connection: the role's variable of that name.
    """

    role: t.ClassVar[str]
    # How many logins with a new secret a run tries before it sets it; the service refuses them.
    probes_of_a_new_secret: t.ClassVar[int] = 0

    def __init__(self, directory: Path, vault: KeeperSandbox, **service: Server) -> None:
        self.directory, self.vault = directory, vault
        self.servers: dict[str, Server] = {"vault": vault, **service}
        self.ansible = Ansible(directory, vault.environment())
        self.config = vault.write_client_config(directory / "ksm-config.json")
        self.old: dict[str, str] = {}
        self.uids: dict[str, str] = {}
        self.admin_uid = ""
        self.connection: dict[str, t.Any] = {}

    @abc.abstractmethod
    def accepts(self, name: str, secret: str) -> bool:
        """Whether this is the user's live secret."""

    def failed_logins(self, name: str) -> int:
        """How often the user was refused a login; a service without logins refuses none."""
        return 0

    @property
    def playbook(self) -> str:
        return f"keyturn.credentials.{self.role}"

    def add_record(self, login: str, *, password: str, title: str | None = None) -> str:
        return self.vault.add_record(
            title=title or f"Record of {login}", type="pamUser", fields={"login": login, "password": password}
        )

    def variables(self, **more: t.Any) -> dict[str, t.Any]:
        """The role's variables; a name without the role's prefix gets it. None takes a variable away."""
        given = {"records": list(self.uids.values()), "connection": self.connection} | more
        named = {name if name.startswith("keeper_") else f"{self.role}_{name}": value for name, value in given.items()}
        named = {"keeper_config_file": str(self.config)} | named
        return {name: value for name, value in named.items() if value is not None}

    def start(self, *arguments: str, environment: dict[str, str] | None = None, **more: t.Any) -> subprocess.Popen[str]:
        """The journals afterwards hold this run's requests only."""
        self.forget()
        return self.ansible.start(self.playbook, self.variables(**more), *arguments, **(environment or {}))

    def run(self, *arguments: str, environment: dict[str, str] | None = None, **more: t.Any) -> Run:
        return self.ansible.finish(self.start(*arguments, environment=environment, **more))

    def forget(self) -> None:
        for server in self.servers.values():
            server.journal.clear()

    def stage(self, name: str, **options: t.Any) -> str:
        """What a run that died right after staging leaves; returns the pending secret."""
        given = {"record": self.uids[name], "state": "staged", "keeper_config_file": str(self.config), **options}
        run = self.ansible.module("keeper_rotation", given)
        assert run.results["result"]["changed"], run.output
        return t.cast(str, self.pending(name))

    def pending(self, name: str) -> str | None:
        return self.vault.field(self.uids[name], "rotation_pending")

    def password(self, name: str) -> str:
        return str(self.vault.field(self.uids[name], "password"))

    def settled(self, name: str) -> bool:
        """The record holds the live password and nothing is pending."""
        return self.pending(name) is None and self.accepts(name, self.password(name))

    def live_is_known(self, name: str) -> bool:
        """The invariant: at every instant, the live password is in the record."""
        kept = [value for value in (self.pending(name), self.password(name)) if value]
        return any(self.accepts(name, value) for value in kept)

    def secrets(self) -> set[str]:
        """Every secret that is or was in play, as far as the vault and this scene know."""
        config = json.loads(self.config.read_text())
        found = {*self.old.values(), config["privateKey"], config["appKey"]}
        for uid in (*self.uids.values(), self.admin_uid):
            found |= {
                str(self.vault.field(uid, key) or "") for key in ("password", "rotation_pending", "privatePEMKey")
            }
        return found - {""}
