# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Keeper Gateway does, for the tests: payloads as it documents them, and the pipe into the script."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import typing as t
from pathlib import Path

from tests.sandbox.processes import kill_tree

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPT = REPOSITORY / "extensions" / "keeper_gateway" / "post_rotation.py"
CONFIGURATION, USER = "kA1bC2dE3fG4hI5jK6lM7n", "uQ9wE8rT7yU6iO5pA4sD3f"
_LONGEST_RUN = 200

Fields = dict[str, t.Any]


def fresh_secret() -> str:
    """A password with all that trips over quoting, different each time; both halves are random."""
    return f"Aa1{secrets.token_hex(8)}{{{{ 7*7 }}}}'\"\\ % $x{secrets.token_hex(8)}"


def encode(value: t.Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


@dataclasses.dataclass
class Payload:
    """One rotation event. admin: the record attached as rotation credential; keys: of the outer object."""

    admin: Fields | None
    user: str
    new: str = dataclasses.field(default_factory=fresh_secret)
    old: str = ""
    own: Fields = dataclasses.field(default_factory=dict)
    more: tuple[Fields, ...] = ()
    keys: Fields = dataclasses.field(default_factory=dict)

    def value(self) -> Fields:
        own = {"uid": USER, "title": f"Record of {self.user}", "login": self.user, "password": self.old, "NOOP": "True"}
        records = [{"uid": CONFIGURATION, "title": "Lab configuration"}, *([self.admin] if self.admin else [])]
        value = {
            "providerRecordUid": CONFIGURATION,
            "resourceRecordUid": "",
            "userRecordUid": USER,
            "user": self.user,
            "oldPassword": self.old,
            "newPassword": self.new,
            "records": encode([*records, *self.more, {**own, **self.own}]),
        }
        return {name: given for name, given in {**value, **self.keys}.items() if given is not None}

    def line(self) -> bytes:
        return encode(self.value()).encode() + b"\n"

    def secrets(self) -> list[str]:
        found = [self.new, self.old]
        for record in (self.admin or {}, *self.more):
            values = record.get("password", "")
            found += values if isinstance(values, list) else [values]
        return [secret for secret in found if len(secret) > 3]


@dataclasses.dataclass
class Result:
    returncode: int
    stdout: str
    stderr: str

    @property
    def ending(self) -> str:
        """For the table."""
        found = re.search(r"code=(\w+)", self.stderr)
        return f"{self.returncode:3} | {found[1] if found else '-':<18}"

    @property
    def code(self) -> str:
        """The error code of the line on stderr."""
        found = re.fullmatch(r"ROTATE FAIL code=(\w+) module=[\w-]+ uid=[\w-]+ run=\w+: [^\n]+\n", self.stderr)
        assert found, self.stderr
        return found[1]


class Gateway:
    """Runs the script in ``directory``, with a TMPDIR of its own that must be empty afterwards."""

    def __init__(self, directory: Path, *arguments: str, python: str = sys.executable) -> None:
        self.directory = directory
        # Not below the directory: the script leaves a TMPDIR with a path that is too long for ansible-core 2.21.
        self._private = tempfile.TemporaryDirectory(prefix="kt-", ignore_cleanup_errors=True)
        self.temporary = Path(self._private.name)
        self.arguments = arguments
        self.python = python
        self.results: list[Result] = []

    def environment(self) -> dict[str, str]:
        """A host that has Ansible, and settings of its own that must not reach our run."""
        venv = str(Path(sys.executable).parent)
        collections = os.environ.get("ANSIBLE_COLLECTIONS_PATH", str(REPOSITORY / ".cache" / "collections"))
        return {
            "ANSIBLE_COLLECTIONS_PATH": collections,
            "ANSIBLE_DEBUG": "1",
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_LOG_PATH": str(self.directory / "ansible.log"),
            "HOME": str(self.directory),
            "NO_PROXY": "127.0.0.1,localhost",
            "PATH": os.pathsep.join([venv, "/usr/local/bin", "/usr/bin", "/bin"]),
            "TMPDIR": str(self.temporary),
        }

    def start(
        self,
        line: bytes,
        *arguments: str,
        environment: dict[str, str] | None = None,
        around: str = "cat | {script}",
        **options: t.Any,
    ) -> subprocess.Popen[bytes]:
        """``around`` is the shell's command line; its $0 is the Python and $1 the script. ``environment`` replaces."""
        command = around.format(script='"$0" "$@"')
        words = ["/bin/bash", "-c", command, self.python, str(SCRIPT), *self.arguments, *arguments]
        process = subprocess.Popen(
            words,
            cwd=options.pop("cwd", self.directory),
            env=self.environment() if environment is None else environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **options,
        )
        assert process.stdin is not None
        with contextlib.closing(process.stdin):
            process.stdin.write(line)
        process.stdin = None
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> Result:
        guard = threading.Timer(_LONGEST_RUN, kill_tree, [process.pid])
        guard.start()
        try:
            stdout, stderr = process.communicate()
        finally:
            guard.cancel()
        result = Result(process.returncode, stdout.decode(), stderr.decode())
        self.results.append(result)
        return result

    def run(self, line: bytes, *arguments: str, **options: t.Any) -> Result:
        return self.finish(self.start(line, *arguments, **options))

    def leftovers(self) -> list[str]:
        """Files that should be gone; the log is one that should never have been."""
        return [path.name for path in [*self.temporary.iterdir(), *self.directory.glob("ansible.log")]]

    def fake_ansible(self, body: str) -> str:
        """The option that names a program in place of ansible-playbook: ``given`` is what it got through the pipe."""
        path = self.directory / "fake-ansible-playbook"
        path.write_text(
            f"#!{sys.executable} -S\n"
            "import json, os, signal, subprocess, sys, time\n"
            "def plain(value):\n"
            "    if isinstance(value, dict):\n"
            "        return value.get('__ansible_unsafe', {key: plain(item) for key, item in value.items()})\n"
            "    return [plain(item) for item in value] if isinstance(value, list) else value\n"
            "def receipt(**fields):\n"
            "    head = {name: given[name] for name in ('run_id', 'explain')}\n"
            "    head |= {'module': 'snowflake_user_password', 'check_mode': '--check' in sys.argv}\n"
            "    text = json.dumps({**head, 'done': True, 'changed': True, 'verified': True, **fields})\n"
            "    open(given['receipt'], 'w').write(text)\n"
            "def read():\n"
            "    given = plain(json.load(open(sys.argv[sys.argv.index('-e') + 1][1:])))['keyturn_gateway']\n"
            "    return {**given, **json.loads(given['payload'])}\n" + body
        )
        path.chmod(0o700)
        return f"--ansible-playbook={path}"


SNOWFLAKE, CISCO = "Snowflake Authentication Record", "Cisco Authentication Record"
PASSWORD, KEYPAIR = "snowflake_user_password", "snowflake_user_keypair"
ADMIN = "sN0wF1aK2eA3dM4iN5rE6c"


def admin(title: str | None = SNOWFLAKE, **fields: t.Any) -> Fields:
    account = {"snowflake_account_name": "xy12345"}
    return {"uid": ADMIN, "title": title, "login": "ROTATOR", "password": fresh_secret()} | (account | fields)


BAD = {
    "nothing": (b"", "stdin is empty"),
    "blanks": (b" \r\n", "stdin is empty"),
    "not base64": (b"no base64!", "stdin is not base64"),
    "half base64": (b"abcde", "stdin is not base64"),
    "not JSON": (base64.b64encode(b"{"), "not of JSON"),
    "not UTF-8": (base64.b64encode(b'{"a": "\xff"}'), "not of JSON"),
    "no object": (encode([1]).encode(), "no object"),
    "deep": (base64.b64encode(b"[" * 100_000), "not of JSON"),
    "a key twice": (base64.b64encode(b'{"userRecordUid": "u", "user": "a", "user": "b"}'), "the key user twice"),
    "no UID": (Payload(admin(), "SVC", keys={"userRecordUid": ""}).line(), "userRecordUid"),
    "records not base64": (Payload(admin(), "SVC", keys={"records": "ä!"}).line(), "records is not base64"),
}


PARTS: dict[str, tuple[Fields, str]] = {
    "no administrator": ({"admin": None}, "Snowflake Authentication Record"),
    "title null": ({"admin": admin(None)}, "Snowflake Authentication Record"),
    "two administrators": ({"more": (admin() | {"uid": "other"},)}, f"Record {ADMIN} and Record other could both"),
    "two kinds": ({"more": (admin(CISCO) | {"uid": "other"},)}, "name the module"),
    "unknown module": ({"admin": admin(rotation_module="rotate_all")}, "rotation_module"),
    "two modules": ({"admin": admin(rotation_module=PASSWORD), "own": {"rotation_module": KEYPAIR}}, "rotation_module"),
    "two logins": ({"admin": admin(login_2="OTHER")}, "several values for login"),
    "two spellings": ({"admin": admin(Login="OTHER")}, "several values for login"),
    "two passwords": ({"admin": admin(password=["one-1234", "two-1234"])}, "several values for password"),
    "newPassword missing": ({"keys": {"newPassword": None}}, "newPassword"),
    "newPassword empty": ({"new": ""}, "newPassword"),
    "newPassword short": ({"new": "o"}, "newPassword in the payload is missing, or shorter than 4 characters"),
    "newPassword null": ({"keys": {"newPassword": [None]}}, "newPassword"),
    "newPassword number": ({"keys": {"newPassword": 12345678}}, "newPassword"),
    "two newPasswords": ({"keys": {"newPassword": ["a-123456", "b-123456"]}}, "newPassword"),
    "oldPassword object": ({"keys": {"oldPassword": {"a": "b"}}}, "oldPassword"),
    "no user": ({"user": ""}, "user"),
    "records missing": ({"records": None}, "records"),
    "records empty": ({"records": []}, "records"),
    "records no list": ({"records": {"a": 1}}, "records"),
    "records of texts": ({"records": ["a"]}, "there is something else"),
}
