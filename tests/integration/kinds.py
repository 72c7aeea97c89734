# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each kind of rotation with its users, their records, and a job for a forked run; what is live, for all of them."""

from __future__ import annotations

import contextlib
import functools
import typing as t
from pathlib import Path

from tests.campaigns.keypair import KeyScene, read_key
from tests.campaigns.token import TokenScene
from tests.integration.conftest import ACCOUNT, ADMIN, fresh_password
from tests.integration.forked import Entry, role_of
from tests.integration.scene import Scene
from tests.integration.scenes import RECIPE, MerakiScene, RestScene, SnowflakeScene
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.rest import RestSandbox
from tests.sandbox.snowflake import SnowflakeSandbox

# The directory, what ends with the test, the vault, how many users: the scene, and the job without its records.
Start = t.Callable[[Path, contextlib.ExitStack, KeeperSandbox, int], tuple[Scene, Entry]]

# The administrator's record is none of those that rotate.
_FAR = {"uid": "", "login": ""}


def _account(stack: contextlib.ExitStack) -> SnowflakeSandbox:
    snowflake = stack.enter_context(SnowflakeSandbox(account=ACCOUNT))
    snowflake.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
    return snowflake


def _snowflake_login(snowflake: SnowflakeSandbox) -> Entry:
    secret = snowflake.user(ADMIN).password
    return {**snowflake.settings(), "login_user": ADMIN, "login_password": secret, "login_timeout": 4}


def _names(users: int) -> list[str]:
    return [f"USER{number}" for number in range(users)]


def snowflake_password(
    directory: Path, stack: contextlib.ExitStack, vault: KeeperSandbox, users: int, *, verify: bool = True
) -> tuple[Scene, Entry]:
    snowflake = _account(stack)
    scene = SnowflakeScene(directory, snowflake, vault, *_names(users))
    login = {**_snowflake_login(snowflake), "verify": verify}
    return scene, {"kind": scene.role, "role": role_of(scene.role, administrator=_FAR), "login": login, "vault": {}}


def snowflake_key(
    directory: Path, stack: contextlib.ExitStack, vault: KeeperSandbox, users: int
) -> tuple[Scene, Entry]:
    snowflake = _account(stack)
    scene = KeyScene(directory, snowflake, vault, *_names(users))
    role, login = role_of(scene.role, common={}), _snowflake_login(snowflake)
    return scene, {"kind": scene.role, "role": role, "login": login, "vault": {"credential": "key_pair"}}


def snowflake_token(
    directory: Path, stack: contextlib.ExitStack, vault: KeeperSandbox, users: int
) -> tuple[Scene, Entry]:
    snowflake = _account(stack)
    scene = TokenScene(directory, snowflake, vault, *_names(users), retire_previous_after="0h")
    login = {**scene.connection, **_snowflake_login(snowflake)}
    return scene, {"kind": scene.role, "role": role_of(scene.role, settled={}), "login": login, "vault": {}}


def meraki(directory: Path, stack: contextlib.ExitStack, vault: KeeperSandbox, users: int) -> tuple[Scene, Entry]:
    dashboard = stack.enter_context(MerakiSandbox())
    dashboard.rate = None
    emails = [f"{name.lower()}@example.com" for name in _names(users)]
    scene = MerakiScene(directory, dashboard, vault, *emails)
    login = {"api_key": scene.key, "network_id": dashboard.network.id, "api_url": dashboard.url}
    role = role_of(scene.role, administrator=_FAR)
    return scene, {"kind": scene.role, "role": role, "login": {**login, "max_retries": 0, "timeout": 3}, "vault": {}}


def rest(directory: Path, stack: contextlib.ExitStack, vault: KeeperSandbox, users: int) -> tuple[Scene, Entry]:
    service = stack.enter_context(RestSandbox())
    scene = RestScene(directory, service, vault, *_names(users))
    login = {
        **RECIPE,
        # A 200 alone could be anything that stands in between.
        "verify": {**RECIPE["verify"], "accepted_if": "name != null"},
        "url": service.url,
        "vars": {"admin_username": service.admin, "realm": "users"},
        "secrets": {"admin_password": service.admin_password},
        "max_retries": 0,
        "timeout": 3,
    }
    role = role_of(scene.role, administrator=_FAR)
    return scene, {"kind": scene.role, "role": role, "login": login, "vault": {}}


KINDS: dict[str, Start] = {
    "snowflake_password": snowflake_password,
    "snowflake_unverified": functools.partial(snowflake_password, verify=False),
    "snowflake_key": snowflake_key,
    "snowflake_token": snowflake_token,
    "meraki": meraki,
    "rest": rest,
}


def start(
    kind: str, directory: Path, stack: contextlib.ExitStack, vault: KeeperSandbox, users: int
) -> tuple[Scene, Entry]:
    """The scene and a whole job: every record, due or not."""
    scene, job = KINDS[kind](directory, stack, vault, users)
    job["records"] = list(scene.uids.values())
    certificate = vault.environment()["REQUESTS_CA_BUNDLE"]
    job["vault"] |= {"keeper_config_file": str(scene.config), "ca_path": certificate}
    job["staging"] = {"force": True}
    return scene, job


def published(scene: Scene, name: str) -> str:
    """What a reader of the record takes for the secret."""
    return str((scene.key(name) if isinstance(scene, KeyScene) else scene.password(name)) or "")


def holds(scene: Scene, name: str, secret: str) -> bool:
    """Whether the service holds this secret for the user, whatever else it would say to a login."""
    if isinstance(scene, KeyScene):
        return "PRIVATE KEY" in secret and scene.snowflake.accepts_key(name, read_key(secret)[1])
    if isinstance(scene, SnowflakeScene) and not isinstance(scene, TokenScene):
        return scene.snowflake.user(name).password == secret
    return scene.accepts(name, secret)


def finished(scene: Scene, name: str) -> bool:
    """Nothing is pending, the record's secret is in force, and of tokens no other is left."""
    if scene.pending(name) is not None or not holds(scene, name, published(scene, name)):
        return False
    return not isinstance(scene, TokenScene) or len(scene.tokens(name)) == 1


def is_known(scene: Scene, name: str) -> bool:
    """Keys and tokens live side by side, so that the published one must work at any time; a password changes."""
    values = [published(scene, name)]
    if not isinstance(scene, (KeyScene, TokenScene)):
        values.append(scene.pending(name) or "")
    return any(value and holds(scene, name, value) for value in values)
