# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""configure.yml with the real awx.awx modules against our API: what it makes, and that a second run changes nothing."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("awxkit", reason="make judge-awx installs AWX's code")

from tests.awx_judged.conftest import AWX, load  # noqa: E402
from tests.integration import support  # noqa: E402
from tests.integration.support import Ansible, Run  # noqa: E402
from tests.sandbox.awx import collection, rules  # noqa: E402
from tests.sandbox.awx.service import ENCRYPTED, PREFIX, Controller  # noqa: E402
from tests.sandbox.scenery import REPOSITORY  # noqa: E402
from tests.sandbox.server import LoopbackServer  # noqa: E402

Variables = dict[str, t.Any]
PROJECT = "extensions/awx/project"
TEMPLATES = {
    template["name"]: template["playbook"].rpartition("/")[2]
    for template in load(AWX / "config" / "job_templates.yml")["controller_templates"]
}


class Awx:
    """An AWX, and Ansible with awx.awx that is logged in to it."""

    def __init__(self, directory: Path, blocked: t.Collection[str]) -> None:
        self.token = secrets.token_urlsafe(24)
        playbooks = [f"{PROJECT}/{path}" for path in rules.offered_playbooks(REPOSITORY / PROJECT)]
        self.controller = Controller(self.token, playbooks=playbooks, blocked=blocked)
        self.server = LoopbackServer(self.controller)
        self.url = f"http://{self.server.host}:{self.server.port}"
        self.config = secrets.token_urlsafe(24)
        self.config_file = directory / "ksm-config.json"
        self.config_file.touch(mode=0o600)
        self.config_file.write_text(self.config)
        collections = REPOSITORY / ".cache" / "collections-awx"
        collection.install(collections)
        usual = os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")
        self.ansible = Ansible(directory, {"ANSIBLE_COLLECTIONS_PATH": f"{collections}{os.pathsep}{usual}"})
        login = self.ansible.home / ".tower_cli.cfg"
        login.touch(mode=0o600)
        login.write_text(f"host: {self.url}\noauth_token: {self.token}\n")

    def configure(self, *arguments: str, **variables: t.Any) -> tuple[Run, int, list[str]]:
        """The run, how many tasks changed something, and what was written."""
        self.server.journal.clear()
        run = self.ansible.run(str(AWX / "configure.yml"), variables, *arguments)
        recap = re.search(r"^localhost\s+: ok=\d+\s+changed=(\d+)", run.stdout, re.MULTILINE)
        assert recap, run.output
        return run, int(recap[1]), self.server.journal.labels("^(POST|PATCH|PUT|DELETE) ")

    def named(self, resource: str, name: str) -> Variables:
        return self.controller.named(resource, name)

    def number(self, resource: str, name: str) -> int:
        (number,) = [number for number, item in self.controller.items[resource].items() if item["name"] == name]
        return number


@pytest.fixture
def awx(tmp_path: Path, blocked: frozenset[str], monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Awx]:
    # A process for each of some twenty objects, on a busy machine.
    monkeypatch.setattr(support, "_LONGEST_RUN", 900)
    awx = Awx(tmp_path, blocked)
    with awx.server:
        yield awx
        assert awx.server.errors == []


@pytest.mark.timeout(2000)
def test_from_an_empty_awx_to_a_sliced_schedule_and_no_further(awx: Awx, types: dict[str, Variables]) -> None:
    url = f"https://hooks.example.com/{secrets.token_urlsafe(18)}"
    given = {"keyturn_awx_slices": 7, "keyturn_awx_notify_url": url}
    run, changed, written = awx.configure("-vv", keyturn_awx_keeper_config_file=str(awx.config_file), **given)
    assert run.returncode == 0, run.output
    assert changed > 0 and written
    assert awx.config not in run.output and url not in run.output
    judge_templates(awx)
    judge_the_rest(awx, types)
    judge_notifications(awx, url)

    judge_by_awxkit(awx)

    # The file with the configuration need not stay.
    awx.config_file.unlink()
    run, changed, written = awx.configure(**given)
    assert (run.returncode, changed, written) == (0, 0, []), run.output
    # One difference is one change.
    run, changed, written = awx.configure("--start-at-task", "Job templates", **(given | {"keyturn_awx_slices": 3}))
    template = f"{PREFIX}job_templates/{awx.number('job_templates', 'keyturn fleet')}/"
    assert (run.returncode, changed, written) == (0, 1, [f"PATCH {template}"]), run.output


def judge_templates(awx: Awx) -> None:
    assert {item["name"] for item in awx.controller.items["job_templates"].values()} == set(TEMPLATES)
    (credential,) = awx.controller.items["credentials"]
    for name, playbook in TEMPLATES.items():
        number, template = awx.number("job_templates", name), awx.named("job_templates", name)
        assert template["playbook"] == f"{PROJECT}/{playbook}"
        assert not any(
            template[option]
            for option in ("allow_simultaneous", "use_fact_cache", "ask_variables_on_launch", "diff_mode", "verbosity")
        )
        assert not (template["ask_verbosity_on_launch"] or template["ask_diff_mode_on_launch"])
        assert awx.controller.associated[f"job_templates/{number}/credentials"] == [credential]
        fleet = playbook == "rotate.yml"
        assert template["job_slice_count"] == (7 if name == "keyturn fleet" else 1)
        inventory = awx.controller.items["inventories"][template["inventory"]]
        assert inventory["name"] == ("keyturn accounts" if fleet else "keyturn localhost")
        survey = awx.controller.surveys.get(number, {"spec": []})
        assert template["survey_enabled"] == bool(survey["spec"])
        asked = {question["variable"]: question["type"] for question in survey["spec"]}
        assert asked.keys() <= {"keyturn_records", "keyturn_admin_record", "keyturn_recipe"}
        assert set(asked.values()) <= {"text", "textarea", "multiplechoice"}
        assert fleet or "keyturn_records" in asked
    recipes = sorted(path.stem for path in (REPOSITORY / "roles/rest_password_rotate/vars/recipes").glob("*.yml"))
    survey = awx.controller.surveys[awx.number("job_templates", "keyturn REST passwords")]
    assert [question["choices"] for question in survey["spec"] if "choices" in question] == [recipes]


def judge_the_rest(awx: Awx, types: dict[str, Variables]) -> None:
    for kind in types.values():
        stored = awx.named("credential_types", kind["name"])
        assert (stored["inputs"], stored["injectors"]) == (kind["inputs"], kind["injectors"]), "not templated"
    assert awx.named("credentials", "keyturn Keeper")["inputs"] == {"keeper_config": ENCRYPTED}
    assert list(awx.controller.secrets.values()) == [{"keeper_config": awx.config}]
    source = awx.named("inventory_sources", "keyturn Keeper")
    assert (REPOSITORY / source["source_path"]).is_file()
    assert source["credential"] == awx.number("credentials", "keyturn Keeper")
    assert source["update_on_launch"] is False, "otherwise every slice starts an update"
    host = awx.named("hosts", "localhost")
    assert json.loads(host["variables"])["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"
    assert {item["name"]: item["unified_job_template"] for item in awx.controller.items["schedules"].values()} == {
        "keyturn nightly sync": awx.number("inventory_sources", "keyturn Keeper"),
        "keyturn nightly rotation": awx.number("job_templates", "keyturn fleet"),
    }


def judge_notifications(awx: Awx, url: str) -> None:
    """A failure of each job template is told, and nothing else."""
    (number,) = awx.controller.items["notification_templates"]
    made = awx.controller.items["notification_templates"][number]
    assert made["notification_configuration"]["url"] == url
    assert "{{ job.status }}" in made["messages"]["error"]["body"], "not templated"
    told = {place: found for place, found in awx.controller.associated.items() if "notification_templates_" in place}
    templates = awx.controller.items["job_templates"]
    assert told == {f"job_templates/{each}/notification_templates_error": [number] for each in templates}


def judge_by_awxkit(awx: Awx) -> None:
    """The command line of AWX finds the templates."""
    command = [str(Path(sys.executable).parent / "awx"), "-f", "json", "job_templates", "list"]
    environment = {**awx.ansible.environ({}), "CONTROLLER_HOST": awx.url, "CONTROLLER_OAUTH_TOKEN": awx.token}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = {item["name"]: item["job_slice_count"] for item in json.loads(done.stdout)["results"]}
    assert listed == {name: 7 if name == "keyturn fleet" else 1 for name in TEMPLATES}


def test_without_the_keeper_credential_it_stops_and_says_why(awx: Awx) -> None:
    run, _changed, written = awx.configure()
    assert run.returncode == 2
    assert 'There is no credential "keyturn Keeper"' in run.output.replace("\\", "")
    assert {label.split()[1] for label in written} == {f"{PREFIX}credential_types/"}
    assert awx.controller.items["credentials"] == {}


def test_check_mode_writes_nothing(awx: Awx) -> None:
    _run, changed, written = awx.configure("--check", keyturn_awx_keeper_config_file=str(awx.config_file))
    assert changed > 0 and written == []


@pytest.mark.parametrize(
    "text",
    [
        "RRULE:FREQ=DAILY;INTERVAL=1",
        "DTSTART:20260101T020000 RRULE:FREQ=DAILY;INTERVAL=1",
        "DTSTART;TZID=UTC:20260101T020000",
        "DTSTART;TZID=UTC:20260101T020000 RRULE:FREQ=DAILY",
        "DTSTART;TZID=UTC:20260101T020000 RRULE:FREQ=SECONDLY;INTERVAL=1",
        "DTSTART;TZID=UTC:20260101T020000 RRULE:FREQ=SOMETIMES;INTERVAL=1",
    ],
)
def test_awx_rejects_such_schedules(text: str) -> None:
    with pytest.raises(rules.Rejected):
        rules.check_rrule(text)


def test_awx_rejects_such_notifications() -> None:
    webhook = {"url": "https://hooks.example.com", "headers": {}}
    good = {"error": {"body": '{"text": "{{ job.status }}"}'}}
    rules.check_notification("webhook", dict(webhook), good)
    assert webhook.keys() == {"url", "headers"}
    for configuration, messages in (
        ({"url": "https://hooks.example.com"}, good),
        ({**webhook, "http_method": "GET"}, good),
        ({**webhook, "headers": "{}"}, good),
        ({**webhook, "colour": "red"}, good),
        (webhook, {"failed": good["error"]}),
        (webhook, {"error": {"body": "{{ job.status }}"}}),
        (webhook, {"error": {"body": '{"text": "{{ job.secret }}"}'}}),
    ):
        with pytest.raises(rules.Rejected):
            rules.check_notification("webhook", dict(configuration), messages)


def test_awx_rejects_such_surveys() -> None:
    question = {"type": "text", "question_name": "Name", "variable": "name", "required": True}
    good = {"name": "x", "description": "", "spec": [question]}
    rules.check_survey(good)
    for bad in (
        {**good, "spec": []},
        {**good, "spec": [question, question]},
        {**good, "spec": [{**question, "type": "uid"}]},
        {**good, "spec": [{**question, "min": "1"}]},
        {**good, "spec": [{**question, "type": "multiplechoice"}]},
        {"name": "x", "spec": [question]},
    ):
        with pytest.raises(rules.Rejected):
            rules.check_survey(bad)
