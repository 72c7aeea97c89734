# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenes of the services: users with their records, as the tests of the roles need them."""

from __future__ import annotations

import secrets
import typing as t
from pathlib import Path

import yaml

from tests.integration.conftest import ADMIN, fresh_password
from tests.integration.scene import Scene
from tests.sandbox import rest as sandbox
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.rest import RestSandbox
from tests.sandbox.snowflake import SnowflakeSandbox

ROLE = "snowflake_user_password"
PLAYBOOK = f"keyturn.credentials.{ROLE}"
SNOWFLAKE_ADMIN = "Snowflake Authentication Record"


class SnowflakeScene(Scene):
    """Users of one account with their records."""

    role = ROLE

    def __init__(
        self, directory: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox, *names: str, **connection: t.Any
    ) -> None:
        super().__init__(directory, vault, snowflake=snowflake)
        self.snowflake = snowflake
        for name in names:
            self.add(name)
        self.admin_uid = self.add_admin_record(SNOWFLAKE_ADMIN)
        self.connection = {**snowflake.settings(), **connection}
        # The record knows the account.
        self.connection.pop("account")

    def accepts(self, name: str, secret: str) -> bool:
        return self.snowflake.accepts(name, secret)

    def add(self, name: str, **record: t.Any) -> str:
        """A user and its record."""
        self.old[name] = fresh_password()
        self.snowflake.add_user(name, password=self.old[name])
        self.uids[name] = self.add_record(name, password=self.old[name], **record)
        return self.uids[name]

    def add_admin_record(self, title: str, **fields: t.Any) -> str:
        return self.vault.add_record(
            title=title,
            fields={"login": ADMIN, "password": str(self.snowflake.user(ADMIN).password)} | fields,
            custom=[
                {"type": "text", "label": "snowflake_account_name", "value": [self.snowflake.account.name]},
            ],
        )

    def forget(self) -> None:
        super().forget()
        self.snowflake.logins.clear()

    def failed_logins(self, name: str) -> int:
        return len([answer for user, _method, answer in self.snowflake.logins if user == name and answer != "ok"])


MERAKI_ADMIN = "Cisco Authentication Record"


class MerakiScene(Scene):
    """Users of one network with their records; a user's name is its email."""

    role = "meraki_vpn_user_password"

    def __init__(
        self, directory: Path, meraki: MerakiSandbox, vault: KeeperSandbox, *names: str, **connection: t.Any
    ) -> None:
        super().__init__(directory, vault, meraki=meraki)
        self.meraki = meraki
        self.key = meraki.add_key(secrets.token_hex(20))
        for name in names:
            self.add(name)
        self.admin_uid = self.add_admin_record(MERAKI_ADMIN, self.key, meraki.network.id)
        self.connection = {"api_url": meraki.url, **connection}

    def accepts(self, name: str, secret: str) -> bool:
        return self.meraki.accepts(name, secret)

    def add(self, name: str, **user: t.Any) -> str:
        """A user and its record."""
        self.old[name] = fresh_password()
        self.meraki.add_user(self.meraki.network.id, name, self.old[name], **user)
        self.uids[name] = self.add_record(name, password=self.old[name])
        return self.uids[name]

    def add_admin_record(self, title: str, key: str, network_id: str | None) -> str:
        """As Keeper's guide has it: the API key as the password, the network as a custom field."""
        custom = [{"type": "text", "label": "network_id", "value": [network_id]}] if network_id else []
        return self.vault.add_record(title=title, fields={"password": key}, custom=custom)

    def kept(self, name: str) -> bool:
        """Whether the old password is in force and in the record, and nothing is pending."""
        return self.settled(name) and self.password(name) == self.old[name]


REST_ADMIN = "API Access Details"


RECIPE: dict[str, t.Any] = yaml.safe_load(sandbox.RECIPE.read_text(encoding="utf-8"))


class RestScene(Scene):
    """Users of one service with their records, and a recipe in a file, with or without verify."""

    role = "rest_password_rotate"
    probes_of_a_new_secret = 1

    def __init__(
        self, directory: Path, rest: RestSandbox, vault: KeeperSandbox, *names: str, verify: bool = True
    ) -> None:
        super().__init__(directory, vault, rest=rest)
        self.rest = rest
        self.recipe = {key: value for key, value in RECIPE.items() if verify or key != "verify"}
        for name in names:
            self.add(name)
        self.admin_uid = self.add_admin_record(REST_ADMIN)
        self.connection = {"timeout": 3, "max_retries": 0}

    def accepts(self, name: str, secret: str) -> bool:
        return self.rest.accepts(name, secret)

    def add(self, name: str) -> str:
        """A user and its record."""
        self.old[name] = fresh_password()
        self.rest.add_user(name, self.old[name])
        self.uids[name] = self.add_record(name, password=self.old[name])
        return self.uids[name]

    def add_admin_record(self, title: str, **fields: t.Any) -> str:
        """As Keeper's guide has it, and a field that the recipe needs in a path."""
        known = {"login": self.rest.admin, "password": self.rest.admin_password, "url": self.rest.url + "/"}
        custom = [{"type": "text", "label": "Realm", "value": ["users"]}]
        return self.vault.add_record(title=title, fields=known | fields, custom=custom)

    def variables(self, **more: t.Any) -> dict[str, t.Any]:
        recipe = self.directory / "recipe.yml"
        recipe.write_text(yaml.safe_dump(self.recipe))
        return super().variables(**{"recipe": str(recipe), **more})

    def forget(self) -> None:
        super().forget()
        self.rest.logins.clear()
        self.rest.requests.clear()

    def failed_logins(self, name: str) -> int:
        return self.rest.logins.count((name, False))

    def secrets(self) -> set[str]:
        return super().secrets() | {self.rest.token}


TOKENS_PATH = "/users/${id}/tokens"


def token_settings(rest: RestSandbox) -> dict[str, t.Any]:
    return {
        "url": rest.url,
        "username": "bob",
        "secrets": {"admin_password": rest.admin_password},
        "vars": {"admin": rest.admin},
        "timeout": 3,
        "max_retries": 0,
        "auth": {
            "type": "login",
            "path": "/login",
            "body": {"name": "${admin}", "password": "${admin_password}"},
            "token_path": "token",
            "prefix": "Bearer",
        },
        "lookup": {"path": "/users", "items": "users", "match": {"name": "${username}"}, "set": {"id": "id"}},
        "mint": {"path": TOKENS_PATH, "body": {"name": "${token_name}"}, "token": "token"},
        "list": {"path": TOKENS_PATH, "items": "tokens", "created": "created", "set": {"number": "id"}},
        "revoke": {"path": TOKENS_PATH + "/${number}"},
        "verify": {"path": "/me", "auth": {"type": "bearer", "token": "${token}"}},
    }
