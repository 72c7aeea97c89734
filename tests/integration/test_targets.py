# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Ansible-native scenarios of targets/, each run as the role that ansible-test takes it for."""

from __future__ import annotations

import typing as t

import pytest

from tests.integration.conftest import fresh_password
from tests.integration.support import REPOSITORY, Ansible, Run, unsafe
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.snowflake import SnowflakeSandbox

TARGETS = REPOSITORY / "tests" / "integration" / "targets"


def run_target(ansible: Ansible, name: str, variables: dict[str, t.Any]) -> Run:
    play: dict[str, t.Any] = {**ansible.play(), "roles": [name]}
    return ansible.run([play], unsafe(variables), ANSIBLE_ROLES_PATH=str(TARGETS))


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


def test_every_target_is_run_here() -> None:
    run_here = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.name for path in TARGETS.iterdir()} <= run_here
