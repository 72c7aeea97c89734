# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Modules of this collection in Ansible's own process, where the task runs on the controller by Ansible's Python.

The module itself runs, with all that AnsibleModule does, in a forked child of Ansible's worker: no second interpreter,
no archive that is built and unpacked, and what is imported here, before Ansible forks its workers, is imported once.
Everywhere else (another host or interpreter, become, async) Ansible sends the module as it does with any other.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import resource
import select
import signal
import sys
import threading
import typing as t

from ansible import constants as C
from ansible.executor.module_common import _BuiltModule
from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action.normal import ActionModule as NormalActionModule

Variables = t.Mapping[str, t.Any]
_PROFILE = "legacy"
_CRASHED = {
    "failed": True,
    "msg": "The process of this task ended without a word, as after a fault in a native library. What was done until "
    "then is not known. Run the task again: it finds out.",
    "error_code": "unknown_outcome",
    "left": "unknown",
    "retry_safe": True,
}


# Why: docs/decisions/08-in-process.md
class InProcessActionModule(NormalActionModule):
    """The action plugin of a module; C(MODULE) is its name, C(LIBRARIES) the Python modules that it imports."""

    MODULE: t.ClassVar[str]
    LIBRARIES: t.ClassVar[tuple[str, ...]] = ()
    _here = False

    def __init_subclass__(cls) -> None:
        """Ansible loads action plugins in the process that forks its workers: what is imported now, they all have."""
        super().__init_subclass__()
        if hasattr(cls, "MODULE"):
            preload(_full_name(cls.MODULE), *cls.LIBRARIES)

    def _execute_module(self, *args: t.Any, **kwargs: t.Any) -> dict[str, t.Any]:
        self._here = self._is_here(kwargs.get("task_vars") or {})
        return t.cast("dict[str, t.Any]", super()._execute_module(*args, **kwargs))

    def _is_here(self, variables: Variables) -> bool:
        """Whether the module would run on this machine, as this user, by this interpreter."""
        task, connection = self._task, self._connection
        if connection.transport != "local" or connection.become is not None or task.async_val:
            return False
        # Somebody's lookup, say, may have imported here what must not be imported before a fork.
        if any(name in sys.modules for name in _INSTEAD):
            return False
        if any(name.startswith(_READ_AT_START) for name in self._environment()):
            return False
        if task.delegate_to:
            variables = variables.get("ansible_delegated_vars", {}).get(task.delegate_to, variables)
        wanted = self._templar.template(C.config.get_config_value("INTERPRETER_PYTHON", variables=variables))
        if str(wanted).startswith("auto"):
            # Nobody has chosen: it is this one, unless only another can have the libraries.
            return all(map(_is_installed, self.LIBRARIES))
        return bool(wanted == sys.executable)

    def _environment(self) -> dict[str, str]:
        """What the task sets; numbers and the like as the text that a shell would get of them."""
        environment: dict[str, t.Any] = {}
        self._compute_environment_string(environment)
        return {str(name): str(value) for name, value in environment.items()}

    # What follows is what Ansible would do on another host: no archive, no files there, and no command.

    def _is_pipelining_enabled(self, *args: t.Any, **kwargs: t.Any) -> bool:
        return self._here or bool(super()._is_pipelining_enabled(*args, **kwargs))

    def _configure_module(
        self, module_name: str, module_args: dict[str, t.Any], task_vars: Variables
    ) -> tuple[_BuiltModule, str]:
        if not self._here:
            return super()._configure_module(module_name, module_args, task_vars)
        encoder = get_module_encoder(_PROFILE, Direction.CONTROLLER_TO_MODULE)
        data = json.dumps({"ANSIBLE_MODULE_ARGS": module_args}, cls=encoder).encode()
        built = _BuiltModule(
            b_module_data=data, module_style="new", shebang=f"#!{sys.executable}", serialization_profile=_PROFILE
        )
        return built, _full_name(self.MODULE)

    def _low_level_execute_command(self, cmd: t.Any, *args: t.Any, **kwargs: t.Any) -> dict[str, t.Any]:
        if not self._here:
            return t.cast("dict[str, t.Any]", super()._low_level_execute_command(cmd, *args, **kwargs))
        environment, directory = self._environment(), self._loader.get_basedir()

        def work() -> None:
            os.environ.update(environment)
            os.chdir(directory)
            basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = kwargs["in_data"], _PROFILE
            importlib.import_module(_full_name(self.MODULE)).main()

        code, answer = in_child(work)
        stdout = answer.decode(errors="replace") if code >= 0 and answer else json.dumps(_CRASHED)
        return {"rc": code, "stdout": stdout, "stdout_lines": stdout.splitlines(), "stderr": "", "stderr_lines": []}


# Variables that only a process that starts takes notice of.
_READ_AT_START = ("LD_", "OPENSSL_", "PYTHON")
# Connector 5 starts threads when it is imported, and none of them would live in a child: there it would wait for ever.
# So its dependencies are imported in its stead, and a child needs a third of the time.
_INSTEAD = {
    "snowflake.connector": (
        *("asyncio", "cryptography.x509", "google.protobuf.internal.builder", "requests", "sortedcontainers"),
        *("OpenSSL", "filelock", "jwt", "platformdirs", "tomlkit"),
    )
}


def preload(*names: str) -> None:
    """Import what tasks will need, before they are forked. What is missing or broken, the module reports."""
    for name in names:
        for instead in _INSTEAD.get(name, (name,)):
            with contextlib.suppress(Exception):  # a broken native library raises anything
                importlib.import_module(instead)
    # Otherwise Python looks for garbage in all of it when the run ends, which takes as long as a task.
    gc.freeze()


def _full_name(module: str) -> str:
    return f"ansible_collections.keyturn.credentials.plugins.modules.{module}"


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:  # the package that it is in
        return False


def in_child(work: t.Callable[[], None]) -> tuple[int, bytes]:
    """Run C(work) in a forked child; its exit code, negative for a signal, and what it wrote to stdout.

    The child does not outlive this process, nor an exception in it, such as the task's timeout.
    """
    (answer, to_answer), (alive, to_alive) = os.pipe(), os.pipe()
    child, status, written = 0, None, b""
    try:
        child = os.fork()
        if child == 0:
            os.close(to_alive)
            os.close(answer)
            _be_child(work, to_answer, alive)
        os.close(to_answer)
        while chunk := _read(answer):
            written += chunk
        status = os.waitpid(child, 0)[1]
    finally:
        for descriptor in (answer, alive, to_alive):
            os.close(descriptor)
        if child and status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), written


def _read(descriptor: int) -> bytes:
    """The next piece, empty at the end."""
    waiting = select.poll()
    waiting.register(descriptor)
    # In a process with threads, the signal of a timeout may reach another one, and is noticed only between two calls.
    while not waiting.poll(1000):
        pass
    return os.read(descriptor, 1 << 16)


def _be_child(work: t.Callable[[], None], stdout: int, alive: int) -> t.NoReturn:
    code = 1
    try:
        # A crash would write the secrets to disk.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in (signal.SIGALRM, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for source, target in ((nothing, 0), (stdout, 1), (nothing, 2)):
            os.dup2(source, target)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
        # Nothing of the worker, whose copy this is, may be tidied up here.
        atexit._clear()
        work()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        try:
            sys.stdout.flush()
            atexit._run_exitfuncs()
        finally:
            os._exit(code)


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)
    os._exit(1)
