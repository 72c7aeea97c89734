# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leak hunt: canaries go through every outcome, and nothing that Ansible leaves behind may hold one in any form."""

from __future__ import annotations

import base64
import dataclasses
import importlib.util
import json
import os
import secrets
import typing as t
import urllib.parse
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Refused
from ansible_collections.keyturn.credentials.plugins.module_utils._core.module import run_module
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_password import SPEC
from ansible_collections.keyturn.credentials.plugins.modules import snowflake_user_password
from tests.integration.conftest import ADMIN, fresh_password
from tests.integration.support import AS_MODULES, Ansible, Call, unsafe, variants
from tests.leaks import Watcher, canary, leaks, leaks_below
from tests.sandbox.server import Fault, Response
from tests.sandbox.snowflake import SnowflakeSandbox

MODULE = "snowflake_user_password"
connector = pytest.mark.connector
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


# -- canaries and how to find them


@pytest.mark.parametrize(
    "write",
    [
        str,
        repr,
        json.dumps,
        urllib.parse.quote_plus,
        lambda text: urllib.parse.quote(text, safe=""),
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.b64encode(b"x" + text.encode() + b"y").decode(),
        lambda text: base64.b64encode(f"name:{text}".encode()).decode(),
        lambda text: base64.urlsafe_b64encode(b"xx" + text.encode()).decode(),
        lambda text: text.encode().hex(),
        lambda text: text[::-1],
        lambda text: text.replace("\n", "\n    "),
        lambda text: text.splitlines()[0],
    ],
)
def test_the_hunt_finds_every_form(write: t.Callable[[str], str]) -> None:
    secret = canary()
    assert leaks(f"before {write(secret)} after", secret)
    assert not leaks(f"before {write(canary())} after", secret)


def test_the_hunt_finds_every_line_of_a_key(key: rsa.RSAPrivateKey) -> None:
    text = pem(key)
    for line in text.splitlines()[1:-1]:
        if len(line) > 16:
            assert leaks(f"before {line} after", text) and leaks(base64.b64encode(line.encode()).decode(), text)
    assert leaks(json.dumps(text), text) and not leaks(text.splitlines()[0], text)


def test_the_hunt_finds_a_short_secret_as_it_is_and_nothing_by_chance() -> None:
    assert leaks("it is a-b.", "a-b") and not leaks("nothing is here", "a-b")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey, passphrase: str | None = None) -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


# -- watching


# -- outcomes


@dataclasses.dataclass
class Outcomes:
    """Tasks for every outcome that matters, and the secrets that they handle."""

    calls: list[Call]
    codes: list[str | None]
    secrets: tuple[str, ...]


# Connector 4 repeats more statements than 5, and what it still repeats at the bound stays open.
LOST = "unreachable or unknown_outcome"


def settled(answer: dict[str, t.Any]) -> str | None:
    code: str | None = answer.get("error_code")
    return LOST if code in ("unreachable", "unknown_outcome") else code


def outcomes(snowflake: SnowflakeSandbox, key: rsa.RSAPrivateKey, *, slow: bool) -> Outcomes:
    """Success, refusals that echo the statement and the password, silence, refused administrators, unusable keys."""
    admin, pat, passphrase = canary(), secrets.token_urlsafe(30), canary()
    snowflake.user(ADMIN).password = admin
    snowflake.add_pat(ADMIN, token=pat)
    login = {**snowflake.settings(), "login_user": ADMIN, "login_password": admin, "login_timeout": 2}
    calls: list[Call] = []
    codes: list[str | None] = []
    used = [admin, pat, passphrase]

    def add(code: str | None, fault: t.Callable[[str, str], list[Fault]] | None = None, **options: t.Any) -> None:
        name, password = f"U{len(calls)}", canary()
        snowflake.add_user(name, password=fresh_password())
        used.append(password)
        for one in fault(name, password) if fault is not None else []:
            snowflake.faults.add(one)
        given = {**login, **options, "name": name, "password": password}
        calls.append(Call({option: value for option, value in given.items() if value is not None}))
        codes.append(code)

    def echo(match: str, code: int, **keywords: t.Any) -> t.Callable[[str, str], list[Fault]]:
        """A server that repeats what it was sent, as raw text, base64 and JSON."""

        def faults(name: str, password: str) -> list[Fault]:
            bare = base64.b64encode(password.encode()).decode()
            text = f"ALTER USER {name} SET PASSWORD = '{password}' Reason: '{password}' {bare} {json.dumps(password)}"
            make = snowflake.login_failure if match.startswith("login") else snowflake.statement_failure
            return [Fault(match.replace("*", name), times=99, response=make(code, text), **keywords)]

        return faults

    add(None)
    add("refused", echo("ALTER USER * ", 1003))
    add("refused", echo("ALTER USER * ", 3002))
    add("not_permitted", echo("ALTER USER * ", 3001))
    add("refused", echo("DESCRIBE USER *$", 1003))
    add(LOST, echo("login * ", 390999))
    add("verify_failed", echo("login * ", 390100, skip=1))
    add(
        LOST,
        lambda name, password: [Fault(f"ALTER USER {name} ", times=9, response=Response(400, password.encode()))],
    )
    users = [{"name": "nobody", "password": canary()}, {"name": "SVC", "password": canary()}]
    used.extend(user["password"] for user in users)
    snowflake.add_user("SVC", type="SERVICE")
    calls.append(Call({**login, "users": users}))
    codes.append(None)
    key_login: dict[str, t.Any] = {"login_password": None}
    add("auth_failed", None, **key_login, login_private_key=pem(key))
    add(
        "invalid_input", None, **key_login, login_private_key=pem(key, "other"), login_private_key_passphrase=passphrase
    )
    add(None, None, **key_login, login_token=pat, login_authenticator="programmatic_access_token")
    wrong = canary()
    used.append(wrong)
    add("auth_failed", None, login_password=wrong)
    if slow:
        add(LOST, lambda name, password: [Fault(f"ALTER USER {name} ", times=9, hang="before")])
        add(LOST, lambda name, password: [Fault(f"login {name} ", times=9, drop="after")])
    return Outcomes(calls, codes, (*used, pem(key)))


CALLBACKS = [
    name
    for name in ("default", "minimal", "oneline")
    if importlib.util.find_spec(f"ansible.plugins.callback.{name}") is not None
]
NOTIFIERS = [
    name for name in ("junit", "tree") if importlib.util.find_spec(f"ansible.plugins.callback.{name}") is not None
]


@pytest.mark.core
@connector
@linux
@pytest.mark.parametrize("callback", variants(CALLBACKS, "default"))
def test_no_outcome_leaves_a_secret_anywhere(
    snowflake: SnowflakeSandbox, tmp_path: Path, key: rsa.RSAPrivateKey, callback: str
) -> None:
    """Output, log, junit, tree, temporary files while they exist, command lines and environments."""
    cases = outcomes(snowflake, key, slow=callback == "default")
    left = tmp_path / "left"
    left.mkdir()
    ansible = Ansible(
        tmp_path,
        {
            "ANSIBLE_STDOUT_CALLBACK": callback,
            "ANSIBLE_CALLBACKS_ENABLED": ",".join(NOTIFIERS),
            "ANSIBLE_CALLBACK_TREE_DIR": str(left / "tree"),
            "JUNIT_OUTPUT_DIR": str(left / "junit"),
            "ANSIBLE_LOG_PATH": str(left / "ansible.log"),
        },
    )
    places = (ansible.home, ansible.temporary, left, Path("/dev/shm"))
    with Watcher(os.getpid(), cases.secrets, places) as watcher:
        run = ansible.calls(MODULE, cases.calls, "-vvvv", "--diff")
    assert [settled(answer) for answer in run.answers] == cases.codes
    assert leaks(run.output, *cases.secrets) == []
    assert leaks(json.dumps(run.results), *cases.secrets) == []
    assert [leaks_below(place, *cases.secrets) for place in places[:3]] == [[], [], []]
    assert "ALTER USER" not in run.output
    # It was really there to be seen.
    assert (left / "ansible.log").stat().st_size > 1000
    assert {path.name for path in left.iterdir()} >= set(NOTIFIERS)
    assert len(watcher.seen) > len(cases.calls)
    assert watcher.found == set()


@connector
@linux
def test_the_watcher_sees_what_ansible_writes_without_pipelining(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]
) -> None:
    """The control of the test above: this is the leak of which the notes warn, where a module does not run in place."""
    snowflake.add_user("ETL", password=fresh_password())
    secret = canary()
    with Watcher(os.getpid(), (secret,), (ansible.home,)) as watcher:
        calls = [Call({**login, "name": "etl", "password": secret})]
        run = ansible.calls(MODULE, calls, *AS_MODULES, ANSIBLE_PIPELINING="False")
    assert run.answers[0]["changed"]
    assert watcher.found
    assert leaks(run.output, secret) == []


@pytest.mark.core
def test_no_secret_in_artifacts_of_ansible_runner(
    snowflake: SnowflakeSandbox, tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    pytest.importorskip("ansible_runner")
    cases = outcomes(snowflake, key, slow=False)
    output, artifacts = Ansible(tmp_path, {}).by_runner(MODULE, cases.calls)
    answers = json.loads((tmp_path / "results.json").read_text())
    assert [settled(answer) for answer in answers.values()] == cases.codes, output
    assert list(artifacts.glob("*/job_events/*.json"))
    assert leaks_below(artifacts, *cases.secrets) == []
    assert leaks(output, *cases.secrets) == []


# -- the user's own settings


@connector
@pytest.mark.parametrize("place", [".snowflake", ".config/snowflake", "SNOWFLAKE_HOME"])
def test_the_users_own_snowflake_settings_are_not_read(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any], place: str
) -> None:
    """A log at level DEBUG, and a connection that leads elsewhere, in a file that anybody can read."""
    snowflake.add_user("ETL", password=fresh_password())
    folder = ansible.home / place
    logs = ansible.home / "logs"
    folder.mkdir(parents=True)
    logs.mkdir()
    elsewhere = '[default]\naccount = "elsewhere"\nhost = "192.0.2.1"\nport = 1\nuser = "NOBODY"\n'
    (folder / "config.toml").write_text(
        f'default_connection_name = "default"\n[log]\nsave_logs = true\nlevel = "DEBUG"\npath = "{logs}"\n'
        f"{elsewhere.replace('[default]', '[connections.default]')}"
    )
    (folder / "connections.toml").write_text(elsewhere)
    (folder / "connections.toml").chmod(0o666)
    environment = {"SNOWFLAKE_HOME": str(folder)} if place == "SNOWFLAKE_HOME" else {}
    secret = canary()
    before = {path.name for path in folder.rglob("*")}
    run = ansible.calls(MODULE, [Call({**login, "name": "etl", "password": secret}, environment)], "-vvvv")
    (answer,) = run.answers
    assert (answer["changed"], answer["verified"]) == (True, True), answer.get("msg")
    assert list(logs.iterdir()) == []
    assert {path.name for path in folder.rglob("*")} == before
    assert leaks_below(ansible.home, secret) == []
    assert leaks(run.output, secret, login["login_password"]) == []


@pytest.mark.core
def test_settings_of_ansible_that_publish_arguments_stop_the_module(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]
) -> None:
    options = {**login, "name": "etl", "password": canary()}
    for variable in ("ANSIBLE_DEBUG", "ANSIBLE_KEEP_REMOTE_FILES"):
        (answer,) = ansible.calls(MODULE, [Call(options)], **{variable: "1"}).answers
        assert (answer["error_code"], answer["failed"]) == ("invalid_input", True)
        assert variable in answer["msg"]
    assert snowflake.journal.labels() == []


# -- what no playbook shows


class Syslog:
    """Stands in for the syslog of the machine, where every module leaves a line about its arguments."""

    LOG_INFO, LOG_USER = 6, 8

    def __init__(self) -> None:
        self.lines: list[str] = []

    def openlog(self, *_arguments: object) -> None:
        """No connection is needed."""

    def syslog(self, _priority: int, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def syslog(monkeypatch: pytest.MonkeyPatch) -> Syslog:
    log = Syslog()
    # Since ansible-core 2.22 in a module of its own.
    logging = getattr(basic, "_logging", basic)
    monkeypatch.setattr(logging, "has_journal", False)
    monkeypatch.setattr(logging, "HAS_SYSLOG", True)
    monkeypatch.setattr(logging, "syslog", log)
    return log


@pytest.mark.core
@pytest.mark.parametrize("many", [False, True], ids=["single", "users"])
def test_no_secret_in_the_machines_syslog(syslog: Syslog, capsys: pytest.CaptureFixture[str], many: bool) -> None:
    """Ansible logs the repr of a list, in which an escaped character keeps it from finding the password."""
    admin, secret = canary(), canary()
    user = {"name": "etl", "password": secret}
    options: dict[str, t.Any] = {"users": [user]} if many else user
    arguments = {"account": "not an account", "login_user": ADMIN, "login_password": admin, **options}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        snowflake_user_password.main()
    assert json.loads(capsys.readouterr().out)["error_code"] == "invalid_input"
    assert leaks("\n".join(syslog.lines), admin, secret) == []


@pytest.mark.core
@pytest.mark.parametrize("where", ["answer", "error", "exception"])
def test_whatever_the_logic_says_is_scrubbed(syslog: Syslog, capsys: pytest.CaptureFixture[str], where: str) -> None:
    """One place masks every form, also in keys, lists and texts of exceptions."""
    secret = canary()
    # Each is written in full, and looked for without the ends that depend on what stands beside it.
    written = [secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], urllib.parse.quote(secret, safe="")]
    encoded = [base64.b64encode(b"x" * n + secret.encode()).decode() for n in range(3)]
    text = " ".join(written + encoded)
    wanted = written + [one[8:-8] for one in encoded]

    def logic(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        if where == "exception":
            raise ValueError(text)
        if where == "error":
            raise Refused(text)
        return {"changed": True, "rotations": [{"msg": text, "more": [{"text": text}]}], "diff": {"before": text}}

    arguments = {"account": "xy12345", "login_user": ADMIN, "name": "etl", "password": secret}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        run_module(SPEC, logic)
    output = capsys.readouterr()
    shown = json.loads(output.out)
    # How ansible-core 2.22 hears what to mask; it keeps that to itself.
    shown.pop("_ansible_new_secrets", None)
    assert shown.get("failed", False) is (where != "answer")
    texts = output.err + str(syslog.lines) + "\n".join(_texts(shown))
    assert [form for form in wanted if form in texts or json.dumps(form)[1:-1] in json.dumps(shown)] == []


def _texts(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def test_a_secret_of_the_environment_is_scrubbed_too(
    snowflake: SnowflakeSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], syslog: Syslog
) -> None:
    """SNOWFLAKE_PASSWORD is no option, so Ansible does not know of it; an error must not repeat it all the same."""
    secret = canary()
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", secret)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SNOWFLAKE_HOME", os.devnull)
    snowflake.faults.add(Fault("^login", response=snowflake.login_failure(390100, f"no: {secret}")))
    arguments = {**snowflake.settings(), "login_user": ADMIN, "name": "etl", "password": canary()}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        snowflake_user_password.main()
    output = capsys.readouterr()
    assert json.loads(output.out)["error_code"] == "auth_failed"
    assert leaks(output.out + output.err + "\n".join(syslog.lines), secret) == []


def test_unsafe_marks_every_text() -> None:
    """The canaries of this file hold braces: as templates they would never arrive."""
    assert unsafe({"a": ["{{ b }}", 1]}) == {"a": [{"__ansible_unsafe": "{{ b }}"}, 1]}
