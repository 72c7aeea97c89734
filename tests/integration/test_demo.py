# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``make demo`` and ``make sandbox`` run: that it tells the truth, no secret, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import keeper_secrets_manager_core
import keeper_secrets_manager_core.storage
import pytest

from tests.integration.support import REPOSITORY
from tests.sandbox.demo import Screen, marks, width
from tests.sandbox.processes import descendants, kill_tree

pytestmark = pytest.mark.slow

SUMMARY = "3 rotated, 0 changed on re-run, 1 recovered after SIGKILL"


class Program:
    """A module of ours as its own process, whose temporary files all go to one folder."""

    def __init__(self, temporary: Path, *arguments: str) -> None:
        temporary.mkdir()
        self.temporary = temporary
        self.output = ""
        self.seen: set[int] = set()
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=REPOSITORY,
            # What a user's shell may hold must not matter.
            env={
                **os.environ,
                "TMPDIR": str(temporary),
                "PYTHONIOENCODING": "utf-8",
                "ANSIBLE_STDOUT_CALLBACK": "nonsense",
                "KSM_CONFIG": "nonsense",
                "SNOWFLAKE_PASSWORD": "nonsense",
                "HTTPS_PROXY": "http://127.0.0.1:9",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def read_until(self, start: str) -> None:
        """Read up to the first line that starts so."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if line.startswith(start):
                return
        pytest.fail(f"no line {start!r} in:\n{self.output}")

    def wait_for_descendants(self, count: int) -> None:
        while len(found := descendants(self.process.pid)) < count:
            assert self.process.poll() is None, self.output
            time.sleep(0.05)
        self.seen.update(found)

    def finish(self) -> int:
        assert self.process.stdout is not None
        self.output += self.process.stdout.read()
        return self.process.wait()

    def assert_nothing_left(self) -> None:
        assert list(self.temporary.iterdir()) == []
        deadline = time.monotonic() + 10
        while running := [pid for pid in self.seen if _runs(pid)]:
            assert time.monotonic() < deadline, running
            time.sleep(0.05)

    @property
    def directory(self) -> Path:
        (directory,) = self.temporary.iterdir()
        return directory


def _runs(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


@pytest.fixture
def start() -> t.Iterator[t.Callable[..., Program]]:
    programs: list[Program] = []
    # Short, because ansible-core 2.21 binds a socket below TMPDIR.
    with tempfile.TemporaryDirectory(prefix="kt-") as short:

        def launch(*arguments: str) -> Program:
            programs.append(Program(Path(short, str(len(programs))), *arguments))
            return programs[-1]

        yield launch
        for program in programs:
            if program.process.poll() is None:
                kill_tree(program.process.pid)
                program.finish()


def secrets_in(directory: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the records hold now, as any client of Keeper reads it, and the client's own secrets."""
    (ca_file,) = directory.glob("*/ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
    config = (directory / "ksm-config.json").read_text()
    storage = keeper_secrets_manager_core.storage.InMemoryKeyValueStorage(config)
    found = {value for name, value in json.loads(config).items() if name in ("privateKey", "appKey")}
    for record in keeper_secrets_manager_core.SecretsManager(config=storage).get_secrets():
        with contextlib.suppress(ValueError):
            found.add(record.field("password", single=True))
        for label in ("rotation_pending", "privatePEMKey"):
            with contextlib.suppress(ValueError):
                found.add(record.custom_field(label, single=True))
    return {value for value in found if isinstance(value, str) and value}


@pytest.mark.connector
def test_the_demo_keeps_its_word(start: t.Callable[..., Program], monkeypatch: pytest.MonkeyPatch) -> None:
    demo = start("tests.sandbox.demo", "--verbose")
    secrets: set[str] = set()
    for heading in ("1. ", "2. ", "4. "):
        demo.read_until(heading)
        secrets |= secrets_in(demo.directory, monkeypatch)
    assert demo.finish() == 0, demo.output
    # Two of the client, three administrators', the key, two tokens, Meraki's and the API's, and of the users that the
    # demo rotates the first, the rotated, and the one that the kill left pending.
    assert len(secrets) == 2 + 3 + 1 + 2 + 4 + 3 + 3 + 1
    assert [secret for secret in secrets if secret in demo.output] == []
    assert demo.output.splitlines()[-1] == SUMMARY
    assert "✗" not in demo.output
    demo.assert_nothing_left()


def test_marks_are_ascii_where_the_output_is() -> None:
    assert marks("utf-8") == ("✓", "✗")
    assert marks("ascii") == marks("latin-1") == marks(None) == ("ok", "NO")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("terminal", "environ", "colour"),
    [(True, {}, True), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False), (False, {}, False)],
)
def test_colour_and_a_clock_are_for_terminals(terminal: bool, environ: dict[str, str], colour: bool) -> None:
    stream = Terminal(terminal)
    screen = Screen(stream, environ)
    with screen.waiting():
        time.sleep(0.7)
    assert ("running, 1 s" in stream.getvalue()) is (terminal and "TERM" not in environ)
    assert (screen.yes != "✓") is colour and width(screen.yes) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(start: t.Callable[..., Program], number: signal.Signals) -> None:
    demo = start("tests.sandbox.demo")
    demo.read_until("   $ ansible-playbook")
    # The judge, ansible-playbook, and at least one process that works for it.
    demo.wait_for_descendants(3)
    os.killpg(demo.process.pid, number)
    assert demo.finish() == 128 + number, demo.output
    assert "Traceback" not in demo.output
    demo.assert_nothing_left()


def test_the_sandbox_can_be_used_as_it_says(
    start: t.Callable[..., Program], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "ready.json"
    sandbox = start("tests.sandbox", "--ready-file", str(ready))
    sandbox.read_until("All that the commands are told")
    settings = json.loads(ready.read_text())
    assert ready.stat().st_mode & 0o777 == 0o600
    assert sandbox.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in sandbox.directory.glob("*.json")} == {0o600}
    secrets = secrets_in(sandbox.directory, monkeypatch)
    assert set(json.loads(Path(settings["passwords_file"]).read_text()).values()) < secrets

    pasted = "\n".join(line for line in sandbox.output.splitlines() if line.startswith(("export ", "/")))
    shell = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    run = subprocess.run(
        ["bash", "-ec", pasted], cwd=REPOSITORY, env=shell, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for counted in (
        "1 rotated, 0 recovered, 0 not due, 0 failed",
        "2 rotated, 0 recovered, 0 not due, 0 failed",
        "3 rotated, 0 recovered, 0 not due, 0 failed",
        "8 not due",
    ):
        assert counted in run.stdout, run.stdout
    look = run.stdout[run.stdout.rindex("API Access Details") :]
    for title in ("Snowflake PIPELINE", "Meraki ann@example.com", "Cisco Authentication Record"):
        assert f"  {title}" in sandbox.output and f"\n{title}\n" in look
    secrets |= secrets_in(sandbox.directory, monkeypatch)
    assert [secret for secret in secrets if secret in sandbox.output + run.stdout + run.stderr + str(settings)] == []

    sandbox.process.send_signal(signal.SIGTERM)
    assert sandbox.finish() == 0, sandbox.output
    assert not ready.exists()
    sandbox.assert_nothing_left()
