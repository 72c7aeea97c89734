# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Ansible-native scenarios of targets/, each run as the role that ansible-test takes it for."""

from __future__ import annotations

import typing as t

import pytest
import yaml

from tests.integration.conftest import fresh_password
from tests.integration.support import REPOSITORY, Ansible, Run, unsafe
from tests.leaks import leaks
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.rest import RECIPE, TOKEN_RECIPE, RestSandbox
from tests.sandbox.scenery import fresh_key
from tests.sandbox.snowflake import SnowflakeSandbox

TARGETS = REPOSITORY / "tests" / "integration" / "targets"


def run_target(ansible: Ansible, name: str, variables: dict[str, t.Any], *arguments: str) -> Run:
    play: dict[str, t.Any] = {**ansible.play(), "roles": [name]}
    return ansible.run([play], unsafe(variables), *arguments, ANSIBLE_ROLES_PATH=str(TARGETS))


@pytest.mark.core
@pytest.mark.connector
def test_snowflake_user_password(snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]) -> None:
    snowflake.add_user("ETL", password=fresh_password())
    snowflake.add_user("SVC", type="SERVICE")
    passwords = [fresh_password(), fresh_password()]
    scenery = {"login": login, "user": "etl", "service_user": "svc", "passwords": passwords}
    run = run_target(ansible, "snowflake_user_password", {"snowflake_sandbox": scenery})
    assert run.returncode == 0, run.output
    assert run.stdout.count("All assertions passed") == 2
    assert snowflake.accepts("ETL", passwords[1])
    assert not any(password in run.output for password in passwords)


@pytest.mark.core
@pytest.mark.connector
def test_snowflake_user_keypair(snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]) -> None:
    snowflake.add_user("PIPELINE", type="SERVICE")
    keys = [fresh_key()[0] for _number in range(2)]
    scenery = {"login": login, "user": "pipeline", "private_keys": keys}
    run = run_target(ansible, "snowflake_user_keypair", {"snowflake_sandbox": scenery}, "-vvvv")
    assert run.returncode == 0, run.output
    assert run.stdout.count("All assertions passed") == 2
    assert not any(line in run.output for key in keys for line in key.splitlines() if not line.startswith("-----"))


@pytest.mark.core
@pytest.mark.connector
def test_snowflake_user_token(snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]) -> None:
    snowflake.add_role("PIPELINE_ROLE")
    snowflake.add_user("PIPELINE", type="SERVICE", roles=["PIPELINE_ROLE"])
    scenery = {"login": login, "user": "pipeline", "role": "pipeline_role"}
    run = run_target(ansible, "snowflake_user_token", {"snowflake_sandbox": scenery}, "-vvvv")
    assert run.returncode == 0, run.output
    assert run.stdout.count("All assertions passed") == 1 and "censored" in run.stdout
    (token,) = snowflake.user("PIPELINE").pats.values()
    assert token.secret not in run.output and login["login_password"] not in run.output


@pytest.mark.core
def test_meraki_vpn_user_password(meraki: MerakiSandbox, ansible: Ansible) -> None:
    login = meraki.settings(meraki.add_key(fresh_password()))
    meraki.add_user(meraki.network.id, "ann@example.com", fresh_password())
    meraki.add_user(meraki.network.id, "admin@example.com", fresh_password(), is_admin=True)
    passwords = [fresh_password(), fresh_password()]
    scenery = {"login": login, "user": "ann@example.com", "administrator": "admin@example.com", "passwords": passwords}
    run = run_target(ansible, "meraki_vpn_user_password", {"meraki_sandbox": scenery})
    assert run.returncode == 0, run.output
    assert run.stdout.count("All assertions passed") == 2
    assert meraki.accepts("ann@example.com", passwords[1])
    assert not any(password in run.output for password in passwords)


@pytest.mark.core
def test_rest_password_rotate(rest: RestSandbox, ansible: Ansible) -> None:
    """At the highest verbosity, where Ansible shows the arguments of modules."""
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    passwords = [f'{fresh_password()}"ä{{{{ x }}}}${{username}}' for _number in range(3)]
    rest.add_user("ann", passwords[0])
    login = {
        "url": rest.url,
        "secrets": {"admin_password": rest.admin_password},
        "vars": {"admin_username": rest.admin, "realm": "users"},
        "auth": recipe.pop("auth"),
    }
    scenery = {"login": login, "steps": recipe, "user": "ann", "passwords": passwords}
    run = run_target(ansible, "rest_password_rotate", {"rest_sandbox": scenery}, "-vvvv")
    assert run.returncode == 0, run.output
    assert run.stdout.count("All assertions passed") == 1
    assert rest.accepts("ann", passwords[2])
    assert leaks(run.output, *passwords, rest.admin_password, rest.token) == []


def test_every_target_is_run_here() -> None:
    run_here = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.name for path in TARGETS.iterdir()} <= run_here


def test_rest_token_rotate(rest: RestSandbox, ansible: Ansible) -> None:
    user = rest.add_user("alice", fresh_password())
    secrets = {"admin_password": rest.admin_password}
    login = {"url": rest.url, "vars": {"admin_username": rest.admin}, "secrets": secrets}
    steps = yaml.safe_load(TOKEN_RECIPE.read_text(encoding="utf-8"))
    scenery = {"login": login, "steps": steps, "user": "alice", "wrong": fresh_password()}
    run = run_target(ansible, "rest_token_rotate", {"rest_sandbox": scenery}, "-vvvv")
    assert run.returncode == 0, run.output
    assert run.stdout.count("All assertions passed") == 1 and rest.tokens.names(user.id) == ["KEYTURN_2"]
    held = {token.secret for tokens in rest.tokens.held.values() for token in tokens}
    assert leaks(run.output, *held, rest.admin_password) == []
