# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many Snowflake accounts with their records in one vault, and the inventory that names them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t
from pathlib import Path

from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.keeper.vault import write_private
from tests.sandbox.scenery import ADMIN, ROLE, fresh_key, fresh_password
from tests.sandbox.snowflake import SnowflakeSandbox

KIND = "snowflake_user_password"
KEY_KIND = "snowflake_user_keypair"


@dataclasses.dataclass
class Account:
    """One account: its server, the administrator's record, and its users' records {user: uid}."""

    name: str
    snowflake: SnowflakeSandbox
    admin_uid: str
    uids: dict[str, str] = dataclasses.field(default_factory=dict)

    def rotation(self, **more: t.Any) -> dict[str, t.Any]:
        """The entry of keyturn_rotations for all users; None takes a key away."""
        entry = {
            "kind": KIND,
            "admin_record": self.admin_uid,
            "records": list(self.uids.values()),
            "connection": self.connection(),
            **more,
        }
        return {key: value for key, value in entry.items() if value is not None}

    def connection(self) -> dict[str, t.Any]:
        return {name: value for name, value in self.snowflake.settings().items() if name != "account"}


class Fleet:
    """Accounts named account_000, account_001, …, each with the same number of users. marked: with marker fields."""

    def __init__(self, vault: KeeperSandbox, *, accounts: int, users: int, marked: bool = False) -> None:
        self.vault = vault
        self._marked = marked
        self._poll = min(0.5, 0.01 * accounts)
        with contextlib.ExitStack() as stack:
            self.accounts = [self._add(stack, f"account_{number:03}", users) for number in range(accounts)]
            # Only what is complete is closed later, by ``with``.
            self._stack = stack.pop_all()

    def _add(self, stack: contextlib.ExitStack, name: str, users: int) -> Account:
        snowflake = stack.enter_context(SnowflakeSandbox(account=name.replace("_", ""), poll=self._poll))
        password = fresh_password()
        snowflake.add_role(ROLE)
        snowflake.add_user(ADMIN, password=password, default_role=ROLE, type="LEGACY_SERVICE")
        admin_uid = self.vault.add_record(
            title=name,
            fields={"login": ADMIN, "password": password},
            custom=[{"type": "text", "label": "snowflake_account_name", "value": [snowflake.account.name]}],
        )
        account = Account(name, snowflake, admin_uid)
        for number in range(users):
            self.add_user(account, f"USER_{number:03}")
        return account

    def add_user(self, account: Account, user: str, **fields: str) -> str:
        """A user with its record; returns the record's UID. fields: custom text fields besides the marker's."""
        password = fresh_password()
        account.snowflake.add_user(user, password=password, owner=ROLE, type="LEGACY_SERVICE")
        marker = {"rotation_module": KIND, "rotation_admin_record": account.admin_uid} if self._marked else {}
        account.uids[user] = self.vault.add_record(
            title=f"{account.name} {user}",
            type="pamUser",
            fields={"login": user, "password": password},
            custom=[{"type": "text", "label": name, "value": [value]} for name, value in {**marker, **fields}.items()],
        )
        return account.uids[user]

    def add_key_user(self, account: Account, user: str) -> str:
        """A service user with a key in its first slot and in its record; returns the record's UID."""
        private, public = fresh_key()
        account.snowflake.add_user(user, owner=ROLE, type="SERVICE", public_key=public)
        return self.vault.add_record(
            title=f"{account.name} {user}",
            type="pamUser",
            fields={"login": user},
            custom=[{"type": "secret", "label": "privatePEMKey", "value": [private]}],
        )

    def settled(self, account: Account, user: str) -> bool:
        """Whether the record holds the live password and nothing is pending."""
        uid = account.uids[user]
        state = json.loads(self.vault.field(uid, "rotation_state") or "{}")
        settled = self.vault.field(uid, "rotation_pending") is None and "run" not in state
        return settled and account.snowflake.accepts(user, str(self.vault.field(uid, "password")))

    def write_inventory(
        self, path: Path, hosts: dict[str, t.Any] | None = None, *, of: t.Sequence[Account] | None = None
    ) -> Path:
        """An inventory file, as JSON, which YAML includes.

        of: its accounts, else all. hosts: the variables of some hosts, instead of the usual ones.
        """
        accounts = self.accounts if of is None else of
        usual = {account.name: {"keyturn_rotations": [account.rotation()]} for account in accounts}
        return write_private(path, json.dumps({"all": {"hosts": {**usual, **(hosts or {})}}}))

    def secrets(self) -> set[str]:
        """Every password that is in a record now."""
        uids = [
            uid
            for account in self.accounts
            for uid in (account.admin_uid, *account.uids.values())
            if uid in self.vault.records
        ]
        found = {self.vault.field(uid, key) for uid in uids for key in ("password", "rotation_pending")}
        return {value for value in found if value}

    @property
    def errors(self) -> list[Exception]:
        """Bugs of the sandboxes themselves."""
        return [error for account in self.accounts for error in account.snowflake.errors]

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()
