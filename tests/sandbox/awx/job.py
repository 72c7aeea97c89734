# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One job as AWX runs it (awx/main/tasks/jobs.py and receptor.py), by AWX's own libraries, without AWX and a container.

AWX fills a private data directory, lets awx-plugins-core inject the credentials, sends it through ``ansible-runner
transmit`` to ``ansible-runner worker --delete``, and takes what comes back through ``ansible-runner process``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import types
import typing as t
from pathlib import Path

import ansible_runner
import yaml
from awx_plugins.interfaces import _temporary_private_container_api as container
from awx_plugins.interfaces._temporary_private_credential_api import Credential
from awx_plugins.interfaces._temporary_private_inject_api import build_safe_env, inject_credential

_LONGEST_RUN = 240
# STANDARD_INVENTORY_UPDATE_ENV in awx/main/constants.py.
_INVENTORY_UPDATE = {
    "ANSIBLE_INVENTORY_EXPORT": "True",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
    "ANSIBLE_VERBOSE_TO_STDERR": "True",
    "ANSIBLE_HOST_PATTERN_MISMATCH": "error",
}

Variables = dict[str, t.Any]


@dataclasses.dataclass
class Job:
    """What AWX launches.

    playbook, or else inventory_source: relative to the project. credentials: pairs of a type (as in our files) and its
    inputs. survey: what goes into extra variables. hosts: name: variables. slice: (number, count).
    environment: what the execution environment and AWX's setting AWX_TASK_ENV bring.
    """

    project: Path
    playbook: str | None = None
    inventory_source: str | None = None
    credentials: list[tuple[Variables, Variables]] = dataclasses.field(default_factory=list)
    survey: Variables = dataclasses.field(default_factory=dict)
    hosts: Variables = dataclasses.field(default_factory=lambda: {"localhost": {"ansible_connection": "local"}})
    slice: tuple[int, int] = (1, 1)
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    arguments: tuple[str, ...] = ()


@dataclasses.dataclass
class Outcome:
    """What AWX has afterwards.

    events: the processed ones, as AWX stores them. job_env: what it stores of the environment. returned: every byte
    that came back from the worker. artifacts: the processed ones. injected: the worker's paths of injected files.
    """

    status: str
    events: list[Variables]
    job_env: dict[str, str]
    returned: bytes
    artifacts: Path
    worker: Path
    injected: list[str]

    @property
    def stdout(self) -> str:
        return "\n".join(event.get("stdout", "") for event in self.events)

    def stats(self) -> Variables:
        (stats,) = [event["event_data"] for event in self.events if event["event"] == "playbook_on_stats"]
        return t.cast(Variables, stats)


def sliced(hosts: t.Iterable[str], number: int, count: int) -> list[str]:
    """The hosts of a slice, by name and in turn, as get_sliced_hosts in awx/main/models/inventory.py takes them."""
    ordered = sorted(hosts)
    return ordered[number - 1 :: count] if count > 1 and number > 0 else ordered


class _Unsafe(yaml.SafeDumper):
    """AWX marks the texts of extra variables, which come from people, as no templates (awx/main/utils/safe_yaml.py)."""


_Unsafe.add_representer(str, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


def _inventory_script(job: Job) -> str:
    chosen = sliced(job.hosts, *job.slice)
    data = {"all": {"hosts": chosen}, "_meta": {"hostvars": {name: job.hosts[name] for name in chosen}}}
    return f"#! /usr/bin/env python3\nprint({json.dumps(data)!r})\n"


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    path.touch(mode=mode)
    path.write_text(text, encoding="utf-8")


def _arguments(job: Job, worker: Path) -> list[str]:
    if job.inventory_source is None:
        return ["-u", "root", *job.arguments]
    source = worker / "project" / job.inventory_source
    output = worker / "artifacts" / "1" / "output.json"
    return ["--list", "--export", "-i", str(source), "--output", str(output), "--playbook-dir", str(source.parent)]


@contextlib.contextmanager
def _mounted_at(worker: Path) -> t.Iterator[None]:
    """AWX mounts the private data directory into a container, at /runner; here, it is where the worker has it."""
    usual = container.CONTAINER_ROOT
    container.CONTAINER_ROOT = str(worker)
    try:
        yield
    finally:
        container.CONTAINER_ROOT = usual


def _inject(job: Job, private: Path, env: dict[str, str], arguments: list[str]) -> dict[str, str]:
    """Lets awx-plugins-core inject; returns what it says may be stored of the environment."""
    safe: dict[str, str] = {}
    for kind, inputs in job.credentials:
        managed = types.SimpleNamespace(
            name=kind["name"],
            kind=kind["kind"],
            namespace=None,
            managed=False,
            inputs=kind["inputs"],
            injectors=kind["injectors"],
            custom_injectors=None,
        )
        inject_credential(t.cast(t.Any, managed), Credential(dict(inputs)), env, safe, arguments, str(private))
    return safe


def run(job: Job, directory: Path) -> Outcome:
    """Run it; everything is below ``directory``."""
    private = Path(tempfile.mkdtemp(prefix="awx_1_", dir=directory))
    worker = Path(tempfile.mkdtemp(prefix="runner_", dir=directory))
    for folder in ("inventory", "env"):
        (private / folder).mkdir(mode=0o700)
    shutil.copytree(job.project, private / "project")
    _write(private / "env" / "extravars", yaml.dump({**job.survey, "awx_job_id": 1}, Dumper=_Unsafe))
    settings = {"job_timeout": 0, "suppress_ansible_output": True, "suppress_output_file": True}
    _write(private / "env" / "settings", json.dumps(settings))
    env = {**job.environment, "JOB_ID": "1", "INVENTORY_ID": "1", "ANSIBLE_RETRY_FILES_ENABLED": "False"}
    if job.inventory_source is not None:
        env |= {"INVENTORY_UPDATE_ID": "1", **_INVENTORY_UPDATE}
    safe_env = build_safe_env(t.cast(t.Any, env))
    arguments = _arguments(job, worker)
    before = set((private / "env").iterdir())
    with _mounted_at(worker):
        safe_env.update(_inject(job, private, env, arguments))
    injected = [str(worker / "env" / path.name) for path in (private / "env").iterdir() if path not in before]
    params: dict[str, t.Any] = {
        "ident": 1,
        "private_data_dir": str(private),
        "suppress_env_files": True,
        "envvars": env,
        "fact_cache_type": "",
    }
    if job.inventory_source is None:
        _write(private / "env" / "cmdline", ansible_runner.utils.args2cmdline(*arguments))
        _write(private / "inventory" / "hosts", _inventory_script(job), 0o700)
        # AWX names the inventory, too, but in a container the runner takes the whole folder.
        params |= {"playbook": job.playbook}
    else:
        _write(private / "args", " ".join(["ansible-inventory", *arguments]))
    with tempfile.TemporaryFile() as sent:
        ansible_runner.interface.run(streamer="transmit", _output=sent, **params)
        sent.seek(0)
        returned = _work(sent.read(), worker)
    return _process(params, returned, private, worker, injected, safe_env)


def _work(sent: bytes, worker: Path) -> bytes:
    command = [
        str(Path(sys.executable).parent / "ansible-runner"),
        "worker",
        f"--private-data-dir={worker}",
        "--delete",
    ]
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "KSM_", "SNOWFLAKE_"))
    }
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}"
    done = subprocess.run(
        command, input=sent, stdout=subprocess.PIPE, env=environ, cwd="/", check=False, timeout=_LONGEST_RUN
    )
    return done.stdout


def _process(
    params: Variables, returned: bytes, private: Path, worker: Path, injected: list[str], safe_env: t.Any
) -> Outcome:
    """What AWX's callbacks keep: the events, and the environment with its own values over the injected ones."""
    events: list[Variables] = []
    job_env: dict[str, str] = {}

    def status(data: Variables, runner_config: t.Any) -> None:
        if data["status"] == "starting":
            job_env.update({name: safe_env.get(name, value) for name, value in data["env"].items()})

    def event(data: Variables) -> bool:
        events.append(data)
        return True

    result = ansible_runner.interface.run(
        streamer="process",
        quiet=True,
        _input=io.BytesIO(returned),
        event_handler=event,
        status_handler=status,
        **params,
    )
    return Outcome(
        status=result.status,
        events=events,
        job_env=job_env,
        returned=returned,
        artifacts=private / "artifacts" / "1",
        worker=worker,
        injected=injected,
    )
