# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gateway's script as a process: whatever it runs and however it ends, nothing survives and nothing is claimed.

A small program stands in for ansible-playbook, so that every moment can be met; test_gateway.py has the real one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from tests.gateway import SCRIPT, Gateway, Payload, Result, fresh_secret
from tests.leaks import leaks
from tests.sandbox.processes import descendants

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the script is for Linux")

# Far beyond what anything here takes.
_PATIENCE = 60


@pytest.fixture
def payload() -> Payload:
    admin = {
        "uid": "sN0wF1aK2eA3dM4iN5rE6c",
        "title": "Snowflake Authentication Record",
        "login": "ROTATOR",
        "password": fresh_secret(),
        "snowflake_account_name": "xy12345",
    }
    return Payload(admin, "SVC", old=fresh_secret())


def check_failure(result: Result, returncode: int, code: str, payload: Payload) -> None:
    assert (result.returncode, result.code) == (returncode, code), result.stderr
    assert result.stdout == ""
    assert leaks(result.stderr, *payload.secrets()) == []


# -- what is handed over

FACTS = """
given = read()
folder = os.path.dirname(given['receipt'])
facts = {
    'given': given,
    'environment': dict(os.environ),
    'arguments': sys.argv,
    'mode': oct(os.stat(folder).st_mode)[-3:],
    'files': sorted(os.listdir(folder)),
    'cwd': os.getcwd(),
    'stdin': os.readlink('/proc/self/fd/0'),
}
json.dump(facts, open(FILE, 'w'))
receipt()
"""


def test_variables_arrive_exactly_and_only_through_the_pipe(gateway: Gateway, payload: Payload) -> None:
    body = FACTS.replace("FILE", repr(str(gateway.directory / "facts")))
    result = gateway.run(payload.line(), gateway.fake_ansible(body))
    assert (result.returncode, result.stderr) == (0, "")
    facts = json.loads((gateway.directory / "facts").read_text())
    assert payload.admin is not None
    given, environment = facts["given"], facts["environment"]
    assert (given["newPassword"], given["oldPassword"]) == (payload.new, payload.old)
    assert payload.admin in given["records"]
    assert leaks("\n".join([*environment.values(), *facts["arguments"]]), *payload.secrets()) == []
    assert (facts["mode"], facts["cwd"], facts["stdin"]) == ("700", "/", "/dev/null")
    assert facts["files"] == ["ansible.cfg", "collections", "tmp", "variables.json"]
    assert not environment.keys() & {"ANSIBLE_DEBUG", "ANSIBLE_KEEP_REMOTE_FILES", "ANSIBLE_LOG_PATH"}
    assert environment["ANSIBLE_PIPELINING"] == "1" and environment["LC_ALL"] == "C.UTF-8"
    private = str(gateway.temporary / "keyturn-")
    for name in ("HOME", "TMPDIR", "ANSIBLE_HOME", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TEMP"):
        assert environment[name].startswith(private)


def test_more_than_a_pipe_holds_arrives(gateway: Gateway, payload: Payload) -> None:
    payload.new = fresh_secret() * 20_000
    body = f"given = read()\nassert len(given['newPassword']) == {len(payload.new)}\nreceipt()\n"
    assert gateway.run(payload.line(), gateway.fake_ansible(body)).returncode == 0


@pytest.mark.parametrize(
    ("body", "returncode", "code"),
    [
        ("sys.exit(3)\n", 6, "no_receipt"),
        ("open(sys.argv[sys.argv.index('-e') + 1][1:]).read(10)\nsys.exit(1)\n", 6, "no_receipt"),
        ("given = read()\n", 6, "no_receipt"),
        ("given = read()\nos.kill(os.getpid(), signal.SIGKILL)\n", 6, "no_receipt"),
        ("given = read()\nreceipt()\nsys.exit(2)\n", 3, "unknown_outcome"),
        ("given = read()\nreceipt(run_id='other')\n", 6, "no_receipt"),
        ("given = read()\nreceipt(check_mode=True)\n", 6, "no_receipt"),
        (
            "given = read()\nreceipt(done=False, error_code='refused', msg='no: ' + given['newPassword'])\n",
            2,
            "refused",
        ),
        ("given = read()\nreceipt(done=False, error_code='busy', msg=given['oldPassword'])\nsys.exit(2)\n", 4, "busy"),
        ("given = read()\nprint('[ERROR]: ' + given['newPassword'], file=sys.stderr)\nsys.exit(4)\n", 6, "no_receipt"),
        ("given = read()\nprint('x' * 10_000_000, file=sys.stderr)\nprint('y' * 10_000_000)\n", 6, "no_receipt"),
    ],
)
def test_whatever_it_does_one_line_says_so(
    body: str, returncode: int, code: str, gateway: Gateway, payload: Payload
) -> None:
    # More than the pipe holds, for one that stops reading.
    payload.new = fresh_secret() * (3000 if "read(10)" in body else 1)
    check_failure(gateway.run(payload.line(), gateway.fake_ansible(body)), returncode, code, payload)


def test_programs_that_cannot_start(gateway: Gateway, payload: Payload) -> None:
    broken = gateway.directory / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o700)
    for path in (broken, gateway.directory / "absent"):
        result = gateway.run(payload.line(), f"--ansible-playbook={path}")
        check_failure(result, 6, "environment", payload)
        assert "ansible-playbook" in result.stderr


def test_what_is_not_found_is_named(gateway: Gateway, payload: Payload) -> None:
    environment = {**gateway.environment(), "PATH": "/nowhere", "ANSIBLE_COLLECTIONS_PATH": "/nowhere"}
    python = str(Path(sys.executable).resolve())
    bare = Gateway(gateway.directory, python=python)
    command = "/bin/cat | {script}"
    result = bare.run(payload.line(), environment=environment, around=command)
    assert result.code == "environment" and "ansible-playbook" in result.stderr
    result = gateway.run(payload.line(), "--playbook=absent.yml")
    assert result.code == "environment" and "absent.yml" in result.stderr
    for arguments in (["everything"], ["--timeout=0"], ["--timeout=x"], ["--unknown"], ["a", "b"]):
        result = gateway.run(payload.line(), *arguments)
        assert (result.returncode, result.code) == (1, "invalid_input")


def test_the_folder_that_is_named_holds_the_collection_or_nothing_does(gateway: Gateway, payload: Payload) -> None:
    """By collections/, by its root, by its playbooks/; never another copy, such as the script's own."""
    body = "given = read()\nhere = os.environ['ANSIBLE_COLLECTIONS_PATH'].split(':')[0]\n"
    body += "there = os.path.realpath(here + '/ansible_collections/keyturn/credentials')\n"
    body += "receipt(verified=False, verify_skipped_reason=there)\n"
    option = gateway.fake_ansible(body)
    home = gateway.directory / "home"
    root = home / "collections" / "ansible_collections" / "keyturn" / "credentials"
    (root / "playbooks").mkdir(parents=True)
    empty = gateway.run(payload.line(), option, f"--playbook-dir={home}")
    check_failure(empty, 6, "environment", payload)
    assert f"was not found in {home}" in empty.stderr
    (root / "playbooks" / "post_rotation.yml").touch()
    for folder in (home, home / "collections", root, root / "playbooks"):
        found = gateway.run(payload.line(), option, f"--playbook-dir={folder}")
        assert found.returncode == 0 and f"not verified ({root})" in found.stdout, found
        environment = {**gateway.environment(), "KEYTURN_PLAYBOOK_DIR": str(folder)}
        assert f"({root})" in gateway.run(payload.line(), option, environment=environment).stdout


def test_the_environment_is_made_from_a_list(gateway: Gateway, payload: Payload) -> None:
    """A bundle's own libraries made Ansible's ssl fail; some variables write secrets to files, or run programs."""
    file = gateway.directory / "facts"
    option = gateway.fake_ansible(f"given = read()\njson.dump(dict(os.environ), open({str(file)!r}, 'w'))\nreceipt()\n")
    evil = (
        "SSLKEYLOGFILE",
        "BASH_ENV",
        "ENV",
        "PYTHONSTARTUP",
        "PYTHONPATH",
        "ANSIBLE_STRATEGY",
        "LD_PRELOAD",
        "NEW_ONE",
    )
    kept = {name: "x" for name in ("https_proxy", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "KSM_CONFIG_FILE")}
    bundle = {"LD_LIBRARY_PATH": "/bundle", "LD_LIBRARY_PATH_ORIG": "/usr/own"}
    environment = {**gateway.environment(), **dict.fromkeys(evil, "/x"), **kept, **bundle}
    assert gateway.run(payload.line(), option, environment=environment).returncode == 0
    seen = json.loads(file.read_text())
    assert not seen.keys() & {*evil, "LD_LIBRARY_PATH_ORIG"} and seen["LD_LIBRARY_PATH"] == "/usr/own"
    assert {name: seen[name] for name in kept} == kept
    del environment["LD_LIBRARY_PATH_ORIG"]
    assert gateway.run(payload.line(), option, environment=environment).returncode == 0
    assert "LD_LIBRARY_PATH" not in json.loads(file.read_text())


def test_what_a_task_says_before_the_receipt_is_in_the_line(gateway: Gateway, payload: Payload) -> None:
    """Ansible prints task errors to stdout; a part of a password, in another case, in hex or reversed is not shown."""
    body = "given = read()\nnew = given['newPassword']\n"
    body += (
        "print('[ERROR]: Task failed: no ssl,', new[3:12], new.upper(), new.encode().hex(), new[::-1])\nsys.exit(2)\n"
    )
    result = gateway.run(payload.line(), gateway.fake_ansible(body))
    check_failure(result, 6, "no_receipt", payload)
    assert "[ERROR]: Task failed: no ssl, ******** ******** ******** ********" in result.stderr


def test_explain_and_check_end_in_a_code_of_their_own(gateway: Gateway, payload: Payload) -> None:
    """Attached by mistake, 0 would make Keeper store a password that nobody has set."""
    option = gateway.fake_ansible("given = read()\nreceipt(lines=['module  x', 'problem ' + given['newPassword']])\n")
    result = gateway.run(payload.line(), "--explain", option)
    assert (result.returncode, result.stderr) == (7, "") and result.stdout.startswith("module x\nproblem ********\n")
    result = gateway.run(payload.line(), "--check", option)
    assert (result.returncode, result.stderr) == (7, "") and "ROTATE CHECK" in result.stdout
    assert leaks(result.stdout, *payload.secrets()) == []
    version = subprocess.run([sys.executable, str(SCRIPT), "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("post_rotation.py 1.")


# -- nothing survives

# A worker that has left the session, with a child that nobody waits for, and both ignore signals.
FAMILY = """
given = read()
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for level in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
        os._exit(0) if level else time.sleep(600)
open(os.path.join(os.path.dirname(given['receipt']), 'family'), 'w').write('')
"""


class Family:
    """A run in the middle, with all its processes."""

    def __init__(self, gateway: Gateway, payload: Payload, *arguments: str, after: str = "time.sleep(600)\n") -> None:
        self.gateway = gateway
        option = gateway.fake_ansible(FAMILY + after)
        # exec: the process that is started is the script itself.
        self.process = gateway.start(payload.line(), option, *arguments, around="exec {script}")
        self._wait(lambda: list(gateway.temporary.glob("*/family")) != [])
        # Three pairs, of which two have lost a parent; the stand-in, and the process between it and the script.
        self._wait(lambda: len(descendants(self.process.pid)) >= 6)
        self.members = descendants(self.process.pid)
        self.supervisor = next(pid for pid in self.members if parent(pid) == self.process.pid)

    def _wait(self, condition: t.Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.02)

    def gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while any(alive(pid) for pid in self.members) or self.gateway.leftovers():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid: int) -> bool:
    """Not gone, and no zombie that only its new parent has not reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything(number: signal.Signals, gateway: Gateway, payload: Payload) -> None:
    family = Family(gateway, payload)
    family.process.send_signal(number)
    family.process.send_signal(number)
    result = gateway.finish(family.process)
    check_failure(result, 3, "unknown_outcome", payload)
    assert number.name in result.stderr
    assert family.gone_within(0.5)


@pytest.mark.parametrize("whom", ["script", "group"])
def test_sigkill_of_the_script_leaves_nothing(whom: str, gateway: Gateway, payload: Payload) -> None:
    family = Family(gateway, payload)
    (os.kill if whom == "script" else os.killpg)(family.process.pid, signal.SIGKILL)
    assert gateway.finish(family.process).returncode == -signal.SIGKILL
    assert family.gone_within(5)
    assert gateway.run(payload.line(), gateway.fake_ansible("given = read()\nreceipt()\n")).returncode == 0


def test_sigkill_of_the_process_in_between(gateway: Gateway, payload: Payload) -> None:
    family = Family(gateway, payload)
    os.kill(family.supervisor, signal.SIGKILL)
    check_failure(gateway.finish(family.process), 3, "unknown_outcome", payload)
    assert family.gone_within(0.5)


def test_the_deadline_ends_everything(gateway: Gateway, payload: Payload) -> None:
    family = Family(gateway, payload, "--timeout=5")
    result = gateway.finish(family.process)
    check_failure(result, 3, "unknown_outcome", payload)
    assert "deadline" in result.stderr and family.gone_within(0.5)


def test_a_program_that_never_reads_is_ended_by_the_deadline(gateway: Gateway, payload: Payload) -> None:
    result = gateway.run(payload.line(), gateway.fake_ansible("time.sleep(600)\n"), "--timeout=1")
    check_failure(result, 3, "unknown_outcome", payload)


def test_what_a_finished_run_leaves_behind_is_ended(gateway: Gateway, payload: Payload) -> None:
    """Detached processes that hold on to stderr neither delay the verdict nor live on."""
    body = FAMILY + f"open({str(gateway.directory / 'pids')!r}, 'w').write(str(os.getpid()))\nreceipt()\n"
    started = time.monotonic()
    result = gateway.run(payload.line(), gateway.fake_ansible(body))
    assert result.returncode == 0, result.stderr
    assert time.monotonic() - started < _PATIENCE
    assert not [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if runs(pid, gateway.directory)]


def runs(pid: int, directory: Path) -> bool:
    with contextlib.suppress(OSError):
        return str(directory).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def test_four_at_a_time(gateway: Gateway, payload: Payload) -> None:
    option = gateway.fake_ansible("given = read()\ntime.sleep(0.3)\nreceipt()\n")
    processes = [gateway.start(payload.line(), option) for _number in range(4)]
    assert [gateway.finish(process).returncode for process in processes] == [0] * 4


# -- odd surroundings


@pytest.mark.parametrize(
    "around",
    [
        "cat | {script} >&-",
        "cat | {script} >/dev/full",
        "cat | {script} | true; exit ${{PIPESTATUS[1]}}",
        "cat | env -i {script}",
        "mkdir gone && cd gone && cat | (rmdir ../gone && exec {script})",
        "mkdir -p 'a b' && cat | TMPDIR='a b' {script}",
        "cat | TMPDIR=/nonexistent {script}",
        "cat | env -u HOME LC_ALL=C {script}",
        "cat | LC_ALL=en_XX.UTF-8 PYTHONPATH=/nonexistent PYTHONINSPECT=1 {script}",
        "trap '' CHLD PIPE; cat | {script}",
        "history -c && echo $(cat) | {script}",
        "umask 777; cat | {script}",
        "ulimit -n 20; cat | {script}",
    ],
)
def test_success_whatever_is_around(around: str, gateway: Gateway, payload: Payload) -> None:
    collections = gateway.environment()["ANSIBLE_COLLECTIONS_PATH"]
    option = gateway.fake_ansible("given = read()\nprint('x' * 100_000)\nreceipt()\n")
    result = gateway.run(payload.line(), option, f"--playbook-dir={collections}", around=around)
    assert (result.returncode, result.stderr) == (0, "")
    assert not (gateway.directory / "a b").exists() or list((gateway.directory / "a b").iterdir()) == []


@pytest.mark.parametrize("around", ["{script} <&-", "{script} </dev/null", "true | {script}", "{script} <&- >&-"])
def test_no_stdin(around: str, gateway: Gateway, payload: Payload) -> None:
    result = gateway.run(b"", around=around)
    assert (result.returncode, result.code) == (1, "invalid_input") and "stdin" in result.stderr


def test_closed_stderr(gateway: Gateway, payload: Payload) -> None:
    assert gateway.run(b"", around="cat | {script} 2>&-").returncode == 1
    result = gateway.run(
        payload.line(), gateway.fake_ansible("given = read()\nreceipt()\n"), around="{script} 2>&- >&-"
    )
    assert result.returncode == 0


@pytest.mark.parametrize("lines", [1, 5])
def test_stdin_that_never_ends(lines: int, gateway: Gateway, payload: Payload) -> None:
    """The first line is enough, or all lines of a wrapped one; a line that is no payload is not waited on for ever."""
    option = gateway.fake_ansible("given = read()\nreceipt()\n")
    line = payload.line().strip()
    size = -(-len(line) // lines)
    for text in (b"\n".join(line[start : start + size] for start in range(0, len(line), size)), b"no base64!"):
        reader, writer = os.pipe()
        with open(writer, "wb") as file:
            file.write(text + b"\n")
            file.flush()
            command = [sys.executable, str(SCRIPT), option]
            environment = gateway.environment()
            done = subprocess.run(
                command, stdin=reader, capture_output=True, text=True, env=environment, timeout=_PATIENCE, check=False
            )
        os.close(reader)
        assert done.returncode == (1 if text == b"no base64!" else 0), done.stderr
