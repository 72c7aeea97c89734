# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles' work without Ansible: the same modules' logic in the same order, in a process forked for each run.

Twenty times as quick as ansible-playbook, and killed by the same signals. What Ansible does itself is not tested so.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import keeper_rotation, rotation_options
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _rotate
from ansible_collections.keyturn.credentials.plugins.plugin_utils._fate import Role
from tests.integration.support import REPOSITORY, call_logic

Entry = dict[str, t.Any]

_PATIENCE = 60
_LOGIC = "ansible_collections.keyturn.credentials.plugins.module_utils"
# Where a module's options and logic are.
_SERVICES = {
    "snowflake_user_password": ("_snowflake.snowflake_user_password", "_snowflake.snowflake_user_password"),
    "snowflake_user_keypair": ("_snowflake.key_options", "_snowflake.snowflake_user_keypair"),
    "snowflake_user_token": ("_snowflake.snowflake_user_token", "_snowflake.snowflake_user_token"),
    "meraki_vpn_user_password": ("_meraki.meraki_vpn_user_password", "_meraki.meraki_vpn_user_password"),
    "rest_password_rotate": ("_rest.spec", "_rest.rest_password_rotate"),
}


def role_of(kind: str, **more: t.Any) -> Entry:
    """How the role speaks of its records, as its own variables say; C(more) is what they make of the role's options."""
    variables = yaml.safe_load((REPOSITORY / "roles" / kind / "vars" / "main.yml").read_text(encoding="utf-8"))
    said = variables[f"{kind}_role"]
    same = {name: said[name] for name in ("columns", "names", "mints", "options") if name in said}
    return {**same, **more}


def _answer(spec: t.Any, run: t.Any, options: Entry, *, check_mode: bool) -> Entry:
    """What a task with the module registers, failed or not."""
    try:
        return call_logic(spec, run, check_mode=check_mode, **options)
    except RotationError as error:
        return {"failed": True, "msg": error.msg, "error_code": error.error_code, "retry_safe": error.retry_safe}


def rotate(job: Entry) -> list[Entry]:
    """What the action plugin rotation does; what became of each record.

    job: C(kind), C(records), C(role), C(login) and C(vault) (options of the service's module and of keeper_rotation),
    C(staging) (those of staging alone), C(check_mode).
    """
    kind = job["kind"]
    where, logic = (importlib.import_module(f"{_LOGIC}.{name}") for name in _SERVICES[kind])
    role = Role(**job["role"])

    def vault(state: str, records: t.Sequence[str], *, check_mode: bool = False, **options: t.Any) -> Entry:
        options.pop("account", None)
        options = {"state": state, "records": list(records), **job["vault"], **options}
        return _answer(rotation_options.SPEC, keeper_rotation.run, options, check_mode=check_mode)

    def service(users: t.Sequence[Entry], *, check_mode: bool) -> Entry:
        options = {"users": list(users), **role.options, **job["login"]}
        return _answer(where.SPEC, logic.run, options, check_mode=check_mode)

    check_mode = bool(job.get("check_mode"))
    return _rotate.rotate(role, job["records"], vault, service, staging=job["staging"], check_mode=check_mode).records()


def serve() -> None:
    """The process that forks: one run for each line of standard input.

    It has everything imported but the services' own libraries, whose threads do not survive a fork.
    """
    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                told = rotate(json.loads(line))
                with os.fdopen(writing, "w") as answer:
                    json.dump(told, answer)
                status = 2 if any(entry["outcome"] == "failed" for entry in told) else 0
            finally:
                os._exit(status)
        os.close(writing)
        print(pid, flush=True)
        with os.fdopen(reading) as answer:
            said = answer.read()
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps({"status": ended, "records": json.loads(said or "[]")}), flush=True)


class Forked:
    """One run after another. environment: what the runs see; directory: their own, made here.

    serving: the module with the ``serve`` of the process that forks. errors: where its standard error goes.
    records: what became of each record of the last run; empty if it was killed.
    """

    def __init__(
        self,
        environment: t.Mapping[str, str],
        directory: Path,
        *,
        serving: str = __name__,
        errors: t.IO[bytes] | None = None,
    ) -> None:
        self.records: list[Entry] = []
        directory.mkdir(mode=0o700)
        paths = os.pathsep.join(path for path in sys.path if path)
        self._server = subprocess.Popen(
            [sys.executable, "-c", f"import {serving} as serving; serving.serve()"],
            env={**environment, "TMPDIR": str(directory), "SNOWFLAKE_HOME": str(directory), "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def _line(self) -> str:
        assert self._server.stdout is not None
        return self._server.stdout.readline()

    def start(self, job: Entry) -> int:
        """The process that works on it."""
        assert self._server.stdin is not None
        self.records = []
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        return int(self._line())

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def finish(self) -> int:
        """The exit status, negative for a signal: 0 if no record failed."""
        answer = json.loads(self._line())
        self.records = answer["records"]
        return int(answer["status"])

    def run(self, job: Entry) -> int:
        self.start(job)
        return self.finish()

    def close(self) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(_PATIENCE)
        self._server.stdout.close()
