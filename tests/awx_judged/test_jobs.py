# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Jobs as AWX runs them, with our project, credential types and surveys: they rotate, and no secret is kept."""

from __future__ import annotations

import json
import os
import secrets
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("awx_plugins", reason="make judge-awx installs AWX's code")

from tests.awx_judged.conftest import AWX, COLLECTIONS  # noqa: E402
from tests.awx_judged.kept import assert_nothing_kept, kept  # noqa: E402
from tests.integration.scene import Scene  # noqa: E402
from tests.integration.scenes import MerakiScene, RestScene  # noqa: E402
from tests.leaks import leaks, leaks_below  # noqa: E402
from tests.sandbox.awx import job  # noqa: E402
from tests.sandbox.keeper import KeeperSandbox  # noqa: E402
from tests.sandbox.meraki import MerakiSandbox  # noqa: E402
from tests.sandbox.rest import RestSandbox  # noqa: E402
from tests.sandbox.scenery import Scenery  # noqa: E402

Variables = dict[str, t.Any]
ADMIN_RECORD = "Snowflake Authentication Record"


def environment(scenery: Scenery) -> dict[str, str]:
    """What an administrator of AWX sets for all jobs, and what the execution environment brings."""
    home = scenery.directory / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return {
        **scenery.environment(),
        "ANSIBLE_HOME": str(home / ".ansible"),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
    }


def keeper(scenery: Scenery, types: dict[str, Variables]) -> tuple[Variables, Variables]:
    return types["keeper"], {"keeper_config": scenery.keeper_config_file.read_text()}


def passwords(scenery: Scenery) -> set[str]:
    """Every secret in the vault now."""
    found = set()
    for uid in scenery.vault.records:
        found |= {scenery.vault.field(uid, name) for name in ("password", "rotation_pending", "privatePEMKey")}
    return {str(value) for value in found if value}


def config_secrets(scenery: Scenery) -> set[str]:
    config = json.loads(scenery.keeper_config_file.read_text())
    return {config["privateKey"], config["appKey"]}


def run(scenery: Scenery, **given: t.Any) -> job.Outcome:
    given = {"project": AWX / "project", "environment": environment(scenery), **given}
    return job.run(job.Job(**given), scenery.directory)


@pytest.mark.connector
def test_password_role(scenery: Scenery, types: dict[str, Variables]) -> None:
    """By a survey: a UID, a title with a blank line after it, and a third that is not asked for."""
    before = passwords(scenery)
    first, second, third = scenery.entries
    outcome = run(
        scenery,
        playbook="snowflake_user_password.yml",
        credentials=[keeper(scenery, types)],
        survey={"keyturn_records": f"{first.uid}\n  {second.title}\n\n", "keyturn_admin_record": ADMIN_RECORD},
    )
    assert outcome.status == "successful", outcome.stdout
    assert "2 rotated, 0 recovered, 0 not due, 0 failed" in outcome.stdout
    for entry in (first, second):
        new = str(scenery.vault.field(entry.uid, "password"))
        assert new not in before and scenery.snowflake.accepts(entry.user, new)
    assert scenery.vault.field(third.uid, "password") in before
    assert len(outcome.injected) == 2, "the configuration and the extra variables with its path"
    assert_nothing_kept(outcome, before | passwords(scenery) | config_secrets(scenery))


@pytest.mark.connector
def test_key_pair_role(scenery: Scenery, types: dict[str, Variables]) -> None:
    before = passwords(scenery)
    outcome = run(
        scenery,
        playbook="snowflake_user_keypair.yml",
        credentials=[keeper(scenery, types)],
        survey={"keyturn_records": scenery.key_entry.uid, "keyturn_admin_record": ADMIN_RECORD},
    )
    assert outcome.status == "successful", outcome.stdout
    assert "1 rotated, 0 recovered, 0 not due, 0 failed" in outcome.stdout
    assert_nothing_kept(outcome, before | passwords(scenery) | config_secrets(scenery))


def rotated_by_template(scene: Scene, types: dict[str, Variables], directory: Path, **survey: str) -> None:
    """The role's template, given the records' UIDs, rotates them all and keeps no secret."""
    home = directory / "job-home"
    home.mkdir(mode=0o700)
    before = scene.secrets()
    known: dict[str, t.Any] = {
        "project": AWX / "project",
        "playbook": f"{scene.role}.yml",
        "credentials": [(types["keeper"], {"keeper_config": scene.config.read_text()})],
        "survey": {
            "keyturn_records": "\n".join(scene.uids.values()),
            "keyturn_admin_record": scene.admin_uid,
            # In AWX, an extra variable of the template: where the sandbox is.
            f"{scene.role}_connection": scene.connection,
            **survey,
        },
        "environment": {
            **scene.vault.environment(),
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(COLLECTIONS)),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
        },
    }
    outcome = job.run(job.Job(**known), directory)
    assert outcome.status == "successful", outcome.stdout
    assert f"{len(scene.uids)} rotated, 0 recovered, 0 not due, 0 failed" in outcome.stdout
    assert all(scene.settled(name) and not scene.accepts(name, old) for name, old in scene.old.items())
    assert_nothing_kept(outcome, before | scene.secrets())


def test_meraki_role(meraki: MerakiSandbox, vault: KeeperSandbox, types: dict[str, Variables], tmp_path: Path) -> None:
    scene = MerakiScene(tmp_path, meraki, vault, "a@example.com", "b@example.com")
    rotated_by_template(scene, types, tmp_path)


def test_rest_role(rest: RestSandbox, vault: KeeperSandbox, types: dict[str, Variables], tmp_path: Path) -> None:
    scene = RestScene(tmp_path, rest, vault, "A", "B")
    # AWX offers the names of recipes; the sandbox has none, but a file.
    rotated_by_template(scene, types, tmp_path, keyturn_recipe=scene.variables()["rest_password_rotate_recipe"])


@pytest.mark.connector
def test_failures_keep_nothing_either(scenery: Scenery, types: dict[str, Variables]) -> None:
    """An unknown record and an administrator whose password is wrong, at the highest verbosity."""
    admin = next(uid for uid in scenery.vault.records if scenery.vault.record(uid)["title"] == ADMIN_RECORD)
    wrong = f"Aa1-{secrets.token_urlsafe(18)}"
    before = passwords(scenery)
    scenery.vault.edit(admin, lambda record: record["fields"][1].update(value=[wrong]))
    assert wrong in passwords(scenery)
    outcome = run(
        scenery,
        playbook="snowflake_user_password.yml",
        credentials=[keeper(scenery, types)],
        survey={"keyturn_records": f"{scenery.entries[0].uid}\nnobody", "keyturn_admin_record": ADMIN_RECORD},
        arguments=("-vvvvv", "--diff"),
    )
    assert outcome.status == "failed"
    assert "auth_failed" in outcome.stdout and "nobody" in outcome.stdout
    assert_nothing_kept(outcome, before | passwords(scenery) | config_secrets(scenery))


def test_without_a_keeper_credential(scenery: Scenery) -> None:
    survey = {"keyturn_records": scenery.entries[0].uid, "keyturn_admin_record": ADMIN_RECORD}
    outcome = run(scenery, playbook="snowflake_user_password.yml", survey=survey)
    assert outcome.status == "failed"
    assert "No Keeper configuration" in outcome.stdout


def project_with(directory: Path, *tasks: Variables) -> Path:
    """A user's own project with one play."""
    project = directory / "own-project"
    project.mkdir()
    play = {
        "name": "Own playbook",
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", "ansible_pipelining": True},
        "tasks": list(tasks),
    }
    (project / "own.yml").write_text(json.dumps([play]))
    return project


def from_file(variable: str) -> str:
    """The expression that our guide gives for a secret in an injected file."""
    return "{{ lookup('ansible.builtin.file', lookup('ansible.builtin.env', '" + variable + "'), rstrip=false) }}"


@pytest.mark.connector
def test_own_playbook_with_the_snowflake_credential(scenery: Scenery, types: dict[str, Variables]) -> None:
    """The module alone, its administrator from the environment, with braces in the password."""
    admin = f"Aa1{{{{7*7}}}}-{secrets.token_urlsafe(18)} "
    scenery.snowflake.user("ROTATOR").password = admin
    new = f"Aa1-{secrets.token_urlsafe(18)}"
    task = {
        "name": "Set a password",
        "keyturn.credentials.snowflake_user_password": {
            **scenery.snowflake.settings(),
            "login_password": from_file("SNOWFLAKE_PASSWORD_FILE"),
            "name": scenery.entries[0].user,
            "password": from_file("REST_API_TOKEN_FILE"),
        },
    }
    outcome = run(
        scenery,
        project=project_with(scenery.directory, task),
        playbook="own.yml",
        credentials=[
            (types["snowflake"], {"account": "xy12345", "user": "ROTATOR", "password": admin}),
            (types["rest_token"], {"token": new}),
        ],
    )
    assert outcome.status == "successful", outcome.stdout
    assert scenery.snowflake.accepts(scenery.entries[0].user, new)
    assert_nothing_kept(outcome, {admin, new})


def test_the_hunt_finds_what_is_printed(scenery: Scenery, types: dict[str, Variables]) -> None:
    """Otherwise the tests above would prove nothing."""
    token = secrets.token_urlsafe(24)
    task = {"name": "Print it", "ansible.builtin.debug": {"msg": from_file("MERAKI_DASHBOARD_API_KEY_FILE")}}
    outcome = run(
        scenery,
        project=project_with(scenery.directory, task),
        playbook="own.yml",
        credentials=[(types["meraki"], {"api_key": token})],
    )
    assert outcome.status == "successful"
    assert leaks(kept(outcome), token) != []
    assert leaks_below(outcome.artifacts, token) != []


def test_a_secret_in_the_environment_would_be_kept(scenery: Scenery) -> None:
    """Why our types use files: ansible-runner stores the whole environment of a job."""
    token = secrets.token_urlsafe(24)
    field = {"id": "token", "label": "Token", "type": "string", "secret": True}
    by_env = {
        "name": "By environment",
        "kind": "cloud",
        "inputs": {"fields": [field]},
        "injectors": {"env": {"SOME_TOKEN": "{{ token }}"}},
    }
    outcome = run(
        scenery,
        project=project_with(scenery.directory, {"name": "Nothing", "ansible.builtin.meta": "noop"}),
        playbook="own.yml",
        credentials=[(by_env, {"token": token})],
    )
    assert outcome.status == "successful"
    assert any(found.startswith("command:") for found in leaks_below(outcome.artifacts, token))
