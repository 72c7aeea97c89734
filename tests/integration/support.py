# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running real ansible-playbook as users do, with its output, results and traces in the test's hands."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import threading
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.module import Run as Logic
from tests.sandbox.processes import kill_tree

REPOSITORY = Path(__file__).resolve().parents[2]
_LONGEST_RUN = 240


@dataclasses.dataclass
class Run:
    """One finished ansible-playbook. results: what the tasks registered as ``result…`` hold, written by ``save``."""

    returncode: int
    stdout: str
    stderr: str
    results: dict[str, t.Any]

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def answers(self) -> list[dict[str, t.Any]]:
        """What the tasks of ``Ansible.calls`` returned, in order."""
        return [self.results[f"result{number}"] for number in range(len(self.results))]


# Another spelling of the same interpreter: Ansible then starts it for each module, as it does on other hosts.
_OTHER = Path(sys.executable).with_name("python" if Path(sys.executable).name == "python3" else "python3")
AS_MODULES = ("-e", f"ansible_python_interpreter={_OTHER}")
# How this run of the tests has it (make test-modules).
_WAY = AS_MODULES if "KEYTURN_AS_MODULES" in os.environ else ()


@dataclasses.dataclass
class Call:
    """One task with a module of ours. environment: of the task; keywords: further ones, such as ``check_mode``."""

    options: dict[str, t.Any]
    environment: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    keywords: dict[str, t.Any] = dataclasses.field(default_factory=dict)


class Ansible:
    """Runs playbooks in ``directory``, with a private home.

    environment: added to every run, for example the sandbox's REQUESTS_CA_BUNDLE.
    """

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        # Not below the directory: ansible-core 2.21 binds a socket in there, whose path may have about 100 characters.
        self._private = tempfile.TemporaryDirectory(prefix="kt-", ignore_cleanup_errors=True)
        self.home, self.temporary = Path(self._private.name, "home"), Path(self._private.name, "tmp")
        self.home.mkdir()
        self.temporary.mkdir()
        self.environment = environment
        self._count = 0

    def environ(self, extra: dict[str, str]) -> dict[str, str]:
        """The environment of a run: nothing of the user's own Ansible, Snowflake and Keeper settings."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANSIBLE_", "SNOWFLAKE_", "KSM_", "REQUESTS_CA", "CURL_CA", "PYTEST_"))
        }
        return {
            **inherited,
            "HOME": str(self.home),
            "ANSIBLE_HOME": str(self.home / ".ansible"),
            # Otherwise it is in the real home of whoever runs the tests.
            "ANSIBLE_REMOTE_TMP": str(self.home / ".ansible" / "tmp"),
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get(
                "ANSIBLE_COLLECTIONS_PATH", str(REPOSITORY / ".cache" / "collections")
            ),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_ACTION_PLUGINS": str(Path(__file__).parent / "plugins" / "action"),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
            "ANSIBLE_PIPELINING": "True",
            "LC_ALL": "C.UTF-8",
            "NO_PROXY": "127.0.0.1,localhost",
            "TMPDIR": str(self.temporary),
            "PATH": str(Path(sys.executable).parent) + os.pathsep + inherited.get("PATH", ""),
            **self.environment,
            **extra,
        }

    def start(
        self, playbook: str | list[dict[str, t.Any]], variables: dict[str, t.Any], *arguments: str, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a playbook by FQCN or path, or plays given as data. Variables go by a 0600 file."""
        self._count += 1
        if not isinstance(playbook, str):
            path = self.directory / f"playbook-{self._count}.json"
            path.write_text(json.dumps(playbook))
            playbook = str(path)
        extra = self.directory / f"variables-{self._count}.json"
        extra.touch(mode=0o600)
        extra.write_text(json.dumps(variables))
        program = str(Path(sys.executable).parent / "ansible-playbook")
        command = [program, playbook, "-e", f"@{extra}", *_WAY, *arguments]
        return subprocess.Popen(
            command,
            env=self.environ(environment),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> Run:
        """Wait for it; one that does not end is killed with all it has started, and the test fails."""
        guard = threading.Timer(_LONGEST_RUN, kill_tree, [process.pid])
        guard.start()
        try:
            stdout, stderr = process.communicate()
        finally:
            guard.cancel()
        results = self.directory / "results.json"
        saved = json.loads(results.read_text()) if results.exists() else {}
        results.unlink(missing_ok=True)
        return Run(process.returncode, stdout, stderr, saved)

    def run(
        self, playbook: str | list[dict[str, t.Any]], variables: dict[str, t.Any], *arguments: str, **environment: str
    ) -> Run:
        return self.finish(self.start(playbook, variables, *arguments, **environment))

    def module(self, name: str, options: dict[str, t.Any], *arguments: str, **environment: str) -> Run:
        """One task with one module of ours; ``results["result"]`` holds what it returned, failed or not.

        Options are handed over as unsafe variables, so that braces in a password are no template.
        """
        task = {
            "name": "Call the module",
            f"keyturn.credentials.{name}": {option: f"{{{{ given.{option} }}}}" for option in options},
            "register": "result",
            "ignore_errors": True,
            "no_log": True,
        }
        return self.run([self.play(task, self.save("result"))], {"given": unsafe(options)}, *arguments, **environment)

    def alone(self, name: str, options: dict[str, t.Any], *, check_mode: bool = False) -> dict[str, t.Any]:
        """What the module returns in a process of its own, as Ansible starts it, without Ansible around it.

        A fifth of what a playbook costs. What reaches the output must be tested with one.
        """
        process = self.start_alone(name)
        given = json.dumps({**options, "_ansible_check_mode": check_mode})
        stdout, stderr = process.communicate(given, timeout=_LONGEST_RUN)
        assert stdout, stderr
        return {"failed": False, "changed": False, **json.loads(stdout.splitlines()[-1])}

    def start_alone(self, name: str) -> subprocess.Popen[str]:
        """The process of C(alone), which waits for its options."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.integration.run_module", name],
            env={**self.environ({}), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            cwd=self.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def calls(self, name: str, calls: t.Sequence[Call], *arguments: str, **environment: str) -> Run:
        """Many tasks in one play, censored by nothing but the module; ``answers`` holds what they returned."""
        plays, variables = self.plays(name, calls)
        return self.run(plays, variables, *arguments, **environment)

    def by_runner(self, name: str, calls: t.Sequence[Call]) -> tuple[str, Path]:
        """The same by ansible-runner, as AWX starts it: what it printed, and the folder of its artifacts."""
        plays, variables = self.plays(name, calls)
        folder = self.directory / "runner"
        (folder / "project").mkdir(parents=True)
        given = self.directory / "given.json"
        given.touch(mode=0o600)
        given.write_text(json.dumps(variables))
        project = folder / "project" / "play.json"
        project.write_text(json.dumps([{**play, "vars_files": [str(given)]} for play in plays]))
        words = ["-p", project.name, "-vvvv", *(["--cmdline", shlex.join(_WAY)] if _WAY else [])]
        finished = subprocess.run(
            [sys.executable, "-m", "ansible_runner", "run", str(folder), *words],
            env=self.environ({}),
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_RUN,
        )
        return finished.stdout + finished.stderr, folder / "artifacts"

    def plays(self, name: str, calls: t.Sequence[Call]) -> tuple[list[dict[str, t.Any]], dict[str, t.Any]]:
        """The play of ``calls`` and its variables, for other launchers."""
        names = [f"result{number}" for number in range(len(calls))]
        tasks = [
            {
                "name": f"Call number {number}",
                f"keyturn.credentials.{name}": {
                    option: f"{{{{ given[{number}].{option} }}}}" for option in calls[number].options
                },
                "environment": f"{{{{ environments[{number}] }}}}",
                "register": register,
                "ignore_errors": True,
                **calls[number].keywords,
            }
            for number, register in enumerate(names)
        ]
        variables = {
            "given": unsafe([call.options for call in calls]),
            "environments": unsafe([call.environment for call in calls]),
        }
        return [self.play(*tasks, self.save(*names))], variables

    def play(self, *tasks: dict[str, t.Any]) -> dict[str, t.Any]:
        return {
            "name": "Test",
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": list(tasks),
        }

    def save(self, *names: str) -> dict[str, t.Any]:
        """A task that writes registered variables into the file from which ``results`` is read."""
        content = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} }}"
        return {
            "name": "Save what was registered",
            "save_registered": {"content": content, "dest": str(self.directory / "results.json")},
            "check_mode": False,
            "diff": False,
            "no_log": True,
        }


def variants(values: t.Iterable[t.Any], *quick: t.Any) -> list[t.Any]:
    """Parameters of a test, of which only the quick ones run outside the long campaigns."""
    return [value if value in quick else pytest.param(value, marks=pytest.mark.slow) for value in values]


def unsafe(value: t.Any) -> t.Any:
    """Texts at any depth marked as no templates, in the form that Ansible reads from JSON."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    return value


def call_logic(spec: ArgumentSpec, logic: Logic, *, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """A module's logic after Ansible's own argument validation, in this process."""
    arguments = spec.module_arguments()
    result = ArgumentSpecValidator(
        arguments["argument_spec"],
        mutually_exclusive=arguments["mutually_exclusive"],
        required_one_of=arguments["required_one_of"],
        required_together=arguments["required_together"],
        required_by=arguments["required_by"],
    ).validate(options)
    assert result.error_messages == [], result.error_messages
    return logic(result.validated_parameters, check_mode)


_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+.*failed=(\d+)", re.MULTILINE)


def recap(run: Run, host: str = "localhost") -> tuple[int, int]:
    """How many tasks changed and failed."""
    found = {name: (int(changed), int(failed)) for name, _ok, changed, failed in _RECAP.findall(run.stdout)}
    assert host in found, run.output
    return found[host]


def says(run: Run, text: str) -> bool:
    return " ".join(text.split()) in " ".join(run.stdout.split())


# With one of these, the administrator's password is not filled in.
SECRET_OPTIONS = ("login_private_key", "login_private_key_path", "login_token")


class Decide(t.Protocol):
    """What a module decides for these options, in this process; ``check`` is check mode."""

    def __call__(self, **options: t.Any) -> dict[str, t.Any]: ...
