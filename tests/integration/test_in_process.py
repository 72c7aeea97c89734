# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A module in Ansible's process answers what it answers in one of its own, and its end is no worse there.

With KEYTURN_AS_MODULES in the environment, all other tests here show the second way.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from tests.integration.conftest import ADMIN, fresh_password
from tests.integration.support import AS_MODULES, Ansible, Call, Run, unsafe
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif("KEYTURN_AS_MODULES" in os.environ, reason="this run shows the other way"),
]


def both(ansible: Ansible, name: str, calls: t.Sequence[Call]) -> tuple[list[dict[str, t.Any]], Run]:
    """The answers of the two ways, which must be equal, and the run of the first."""
    runs = [ansible.calls(name, calls, "-vvvv", *arguments) for arguments in ((), AS_MODULES)]
    here, there = ([run.results[f"result{number}"] for number in range(len(calls))] for run in runs)
    assert here == there
    assert not re.search("AnsiballZ|EXEC ", runs[0].stdout) and re.search("EXEC ", runs[1].stdout)
    return here, runs[0]


def test_a_user_s_module_answers_the_same(
    ansible: Ansible, snowflake: SnowflakeSandbox, login: dict[str, t.Any]
) -> None:
    password = fresh_password()
    snowflake.add_user("A", password=password)
    given = {**login, "name": "A", "password": password}
    answers, _run = both(
        ansible,
        "snowflake_user_password",
        [
            Call(given),
            Call({**given, "name": "NOBODY"}),
            Call({**given, "users": []}),
            Call({**given, "unheard_of": 1}),
            Call({**given, "password": fresh_password()}, keywords={"check_mode": True, "diff": True}),
            Call({key: value for key, value in given.items() if key != "login_user"}, {"SNOWFLAKE_USER": ADMIN}),
            Call({**given, "login_password": fresh_password()}),
            Call(given, {"NUMBER": 8080, "FLAG": True, "EMPTY": None}),
        ],
    )
    assert [answer["failed"] for answer in answers] == [False, True, True, True, False, False, True, False]


def test_the_vault_s_module_answers_the_same(tmp_path: Path, vault: KeeperSandbox) -> None:
    uid = vault.add_record(title="One", fields={"login": "A", "password": fresh_password()})
    ansible = Ansible(tmp_path, vault.environment())
    given = {"keeper_config": vault.client_config_base64(), "state": "staged"}
    answers, _run = both(
        ansible,
        "keeper_rotation",
        [
            Call({**given, "record": uid}, keywords={"check_mode": True, "no_log": True}),
            Call({**given, "record": "Nobody's"}, keywords={"no_log": True}),
            Call({**given, "record": uid, "state": "nothing"}, keywords={"no_log": True}),
        ],
    )
    assert [answer["failed"] for answer in answers] == [False, True, True]


def test_a_crash_of_a_library_is_an_unknown_outcome(
    ansible: Ansible, tmp_path: Path, snowflake: SnowflakeSandbox, login: dict[str, t.Any]
) -> None:
    snowflake.add_user("A", password=fresh_password())
    library = tmp_path / "libraries" / "snowflake" / "connector"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    given = {**login, "name": "A", "password": fresh_password()}
    run = ansible.module("snowflake_user_password", given, PYTHONPATH=str(library.parents[1]))
    result = run.results["result"]
    assert (result["failed"], result["error_code"], result["retry_safe"]) == (True, "unknown_outcome", True)


def test_a_task_s_timeout_ends_the_module(
    ansible: Ansible, snowflake: SnowflakeSandbox, login: dict[str, t.Any]
) -> None:
    snowflake.add_user("A", password=fresh_password())
    snowflake.faults.add(Fault("^DESCRIBE", times=99, hang="before"))
    run = ansible.calls(
        "snowflake_user_password",
        [Call({**login, "name": "A", "password": fresh_password()}, keywords={"timeout": 1})],
    )
    assert run.results["result0"]["failed"]
    assert "rotations" not in run.results["result0"]


def test_it_leaves_nothing_behind(ansible: Ansible, login: dict[str, t.Any], snowflake: SnowflakeSandbox) -> None:
    snowflake.add_user("A", password=fresh_password())
    ansible.module("snowflake_user_password", {**login, "name": "A", "password": fresh_password()})
    assert list(ansible.temporary.rglob("*")) == []
    assert [path for path in ansible.home.rglob("*") if path.is_file() and "cp" not in path.parts] == []


def test_another_user_s_task_goes_the_usual_way(ansible: Ansible) -> None:
    call = Call({"url": "http://127.0.0.1:9/"}, keywords={"become": True, "become_method": "ansible.builtin.sudo"})
    run = ansible.calls("rest_password_rotate", [call], "-vvvv", ANSIBLE_BECOME_EXE=os.devnull)
    assert "EXEC " in run.stdout


def test_a_variable_that_a_new_process_reads_goes_the_usual_way(ansible: Ansible) -> None:
    call = Call({"url": "http://127.0.0.1:9/"}, {"PYTHONPATH": str(ansible.directory)})
    assert "EXEC " in ansible.calls("rest_password_rotate", [call], "-vvvv").stdout


def test_a_library_that_somebody_else_has_imported_too_early_is_no_trap(
    ansible: Ansible, tmp_path: Path, snowflake: SnowflakeSandbox, login: dict[str, t.Any]
) -> None:
    """Its threads would be missing in a child, and the login would wait for them."""
    lookups = tmp_path / "lookups"
    lookups.mkdir()
    (lookups / "early.py").write_text(
        "from ansible.plugins.lookup import LookupBase\n"
        "import snowflake.connector\n"
        "class LookupModule(LookupBase):\n"
        "    def run(self, terms, variables=None, **kwargs):\n"
        "        return terms\n"
    )
    snowflake.add_user("A", password=fresh_password())
    given = {**login, "password": fresh_password(), "name": "A"}
    task = {
        "name": "Call the module",
        "keyturn.credentials.snowflake_user_password": {
            **{option: f"{{{{ given.{option} }}}}" for option in given},
            "name": "{{ lookup('early', 'A') }}",
        },
        "register": "result",
        "no_log": True,
    }
    play = ansible.play(task, ansible.save("result"))
    run = ansible.run([play], {"given": unsafe(given)}, ANSIBLE_LOOKUP_PLUGINS=str(lookups))
    assert run.results["result"]["verified"], run.output


def imported(ansible: Ansible, *command: str) -> set[str]:
    """What a command of Ansible's imports."""
    program, *arguments = command
    process = subprocess.run(
        [sys.executable, "-X", "importtime", str(Path(sys.executable).with_name(program)), *arguments],
        env=ansible.environ({}),
        cwd=ansible.directory,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in process.stderr.splitlines() if line.startswith("import time:")}


def test_other_people_s_runs_import_nothing_of_ours(ansible: Ansible, tmp_path: Path) -> None:
    heavy = re.compile("keyturn|keeper_secrets_manager_core|snowflake|requests$")
    play = tmp_path / "play.json"
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [{"debug": {"msg": "x"}}]}]))
    for command in (
        ("ansible-playbook", "--help"),
        ("ansible-playbook", str(play)),
        ("ansible-doc", "keyturn.credentials.keeper_rotation"),
    ):
        names = imported(ansible, *command)
        assert len(names) > 100
        assert sorted(name for name in names if heavy.match(name)) == []
