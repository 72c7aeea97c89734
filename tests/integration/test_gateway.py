# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotation events through a shell's pipe, the script, ansible-playbook and the modules, to a service and back."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from tests.campaigns.keypair import read_key
from tests.gateway import BAD, PARTS, USER, Fields, Gateway, Payload, Result, admin, fresh_secret
from tests.integration.conftest import ACCOUNT, ADMIN, fresh_password
from tests.leaks import Watcher, leaks
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import Authorization, MerakiSandbox
from tests.sandbox.processes import descendants
from tests.sandbox.rest.service import RestSandbox, json_answer
from tests.sandbox.server import Fault, Response
from tests.sandbox.snowflake import SnowflakeSandbox

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the script is for Linux")
slow = pytest.mark.slow

_PATIENCE = 60


def succeed(result: Result, words: str, *hidden: str) -> None:
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert f": {words};" in result.stdout and result.stdout.count("\n") == 1, result.stdout
    assert leaks(result.stdout, *hidden) == []


def only_checked(result: Result, words: str, *hidden: str) -> None:
    """Nothing was rotated, so the gateway must not think so."""
    assert (result.returncode, result.stderr) == (7, ""), result.stderr
    assert result.stdout.startswith("ROTATE CHECK") and f": {words};" in result.stdout
    assert leaks(result.stdout, *hidden) == []


def fail(result: Result, returncode: int, code: str, *hidden: str) -> None:
    assert (result.returncode, result.code) == (returncode, code), result.stderr
    assert result.stdout == "" and leaks(result.stderr, *hidden) == []


# -- Snowflake, passwords


def snowflake_admin(snowflake: SnowflakeSandbox, **fields: t.Any) -> Fields:
    """The record of Keeper's guide, and fields that lead to the sandbox."""
    settings = {name: str(value) for name, value in snowflake.settings().items() if name != "account"}
    return {
        "uid": "sN0wF1aK2eA3dM4iN5rE6c",
        "title": "Snowflake Authentication Record",
        "login": ADMIN,
        "password": snowflake.user(ADMIN).password,
        "snowflake_account_name": ACCOUNT,
        **settings,
        **fields,
    }


@pytest.fixture
def payload(snowflake: SnowflakeSandbox) -> Payload:
    """User SVC gets a new password."""
    snowflake.add_user("SVC", password=fresh_password())
    return Payload(snowflake_admin(snowflake), "SVC")


@pytest.mark.core
def test_snowflake_password(gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    old = snowflake.user("SVC").password
    line, hidden = payload.line(), payload.secrets()
    explained = gateway.run(line, "--explain")
    assert explained.returncode == 7 and leaks(explained.stdout, *hidden) == []
    for words in ("snowflake_user_password (by the title of a record)", "snowflake_account_name", "collection="):
        assert words in explained.stdout, explained
    assert snowflake.journal.labels() == []
    only_checked(gateway.run(line, "--check"), "would change, not verified (check_mode)", *hidden)
    assert snowflake.accepts("SVC", str(old))
    # As the gateway types it.
    typed = f"history -c && echo {line.decode().strip()} | {{script}}"
    succeed(gateway.run(b"", around=typed), "changed, verified", *hidden)
    assert snowflake.accepts("SVC", payload.new)
    snowflake.journal.clear()
    succeed(gateway.run(line), "unchanged, verified", *hidden)
    assert snowflake.journal.labels("ALTER") == []


def lost_answer(snowflake: SnowflakeSandbox) -> None:
    """The ALTER takes effect, its answer is lost, and the login that should decide is not answered either."""
    snowflake.faults.add(Fault("ALTER USER SVC", times=9, drop="after"))
    snowflake.faults.add(Fault("login SVC", times=9, skip=1, drop="before"))


def no_proof(snowflake: SnowflakeSandbox) -> None:
    failure = snowflake.login_failure(390100, "Incorrect username or password was specified.")
    snowflake.faults.add(Fault("login SVC", skip=1, times=1, response=failure))


SNOWFLAKE_FAILURES: dict[str, tuple[int, str, Fields, t.Callable[[SnowflakeSandbox], object] | None]] = {
    "unknown user": (2, "not_found", {"user": "NOBODY"}, None),
    "wrong administrator": (2, "auth_failed", {"admin": {"password": "not-this-one"}}, None),
    "service user": (2, "refused", {}, lambda snowflake: setattr(snowflake.user("SVC"), "type", "SERVICE")),
    "proof refused": (3, "verify_failed", {}, no_proof),
    "answers lost": (3, "unknown_outcome", {"admin": {"login_timeout": "3"}}, lost_answer),
    "unreachable": (3, "unreachable", {"admin": {"login_port": "1", "login_timeout": "2"}}, None),
    "short password": (1, "invalid_input", {"new": secrets.token_hex(4)[:7]}, None),
    "no account": (1, "invalid_input", {"admin": {"snowflake_account_name": ""}}, None),
    "no way to log in": (1, "invalid_input", {"admin": {"password": ""}}, None),
    "port is no number": (1, "invalid_input", {"admin": {"login_port": "many"}}, None),
}
QUICK = ("unknown user", "proof refused", "port is no number")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else slow) for name in SNOWFLAKE_FAILURES]
)
def test_snowflake_failures(name: str, gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    returncode, code, parts, prepare = SNOWFLAKE_FAILURES[name]
    assert payload.admin is not None
    payload.admin |= parts.get("admin", {})
    payload.new = parts.get("new", payload.new)
    payload.user = parts.get("user", payload.user)
    if prepare is not None:
        prepare(snowflake)
    fail(gateway.run(payload.line()), returncode, code, *payload.secrets())
    snowflake.faults.clear()
    if returncode == 3 and code != "unreachable":
        # Running again is safe, and ends it.
        assert gateway.run(payload.line()).returncode == 0
        assert snowflake.accepts("SVC", payload.new)


# -- Snowflake, key pairs


@slow
def test_snowflake_key_pair(gateway: Gateway, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> None:
    """The gateway names the record; the role makes the key."""
    snowflake.add_user("ETL", type="SERVICE")
    uid = vault.add_record(title="Record of ETL", type="pamUser", fields={"login": "ETL"})
    record = snowflake_admin(snowflake)
    account = {"type": "text", "label": "snowflake_account_name", "value": [ACCOUNT]}
    login = {"login": ADMIN, "password": record["password"]}
    record["uid"] = vault.add_record(title="Whatever it is called", fields=login, custom=[account])
    record["rotation_module"] = "snowflake_user_keypair"
    config = vault.write_client_config(gateway.directory / "ksm-config.json")
    payload = Payload(record, "ETL", keys={"userRecordUid": uid})
    environment = {**gateway.environment(), **vault.environment()}

    fail(gateway.run(payload.line(), environment=environment), 1, "invalid_input")
    option = f"--keeper-config-file={config}"
    checked = gateway.run(payload.line(), option, "--check", environment=environment)
    only_checked(checked, "would change, not verified (due)")
    assert vault.field(uid, "privatePEMKey") is None
    succeed(gateway.run(payload.line(), option, environment=environment), "changed, verified")
    key = str(vault.field(uid, "privatePEMKey"))
    assert snowflake.accepts_key("ETL", read_key(key)[1])
    environment["KSM_CONFIG_FILE"] = str(config)
    succeed(gateway.run(payload.line(), environment=environment), "unchanged, not verified (not_due)")
    assert vault.field(uid, "privatePEMKey") == key


@slow
@pytest.mark.parametrize(
    ("match", "record", "returncode", "code"),
    [("get_secret", None, 5, "vault_error"), ("", "absent", 2, "not_found")],
)
def test_key_pair_failures(
    match: str, record: str | None, returncode: int, code: str, gateway: Gateway, vault: KeeperSandbox
) -> None:
    fields = {"login": ADMIN, "password": fresh_password()}
    vault.add_record(title="Snowflake Authentication Record", fields=fields)
    uid = vault.add_record(title="Record of ETL", type="pamUser", fields={"login": "ETL"})
    config = vault.write_client_config(gateway.directory / "ksm-config.json")
    if match:
        vault.faults.add(Fault(match, times=99, response=Response(500, b"oops")))
    payload = Payload(None, "ETL", keys={"userRecordUid": "aBsEnTaBsEnTaBsEnTaBsQ" if record else uid})
    environment = {**gateway.environment(), **vault.environment(), "KSM_CONFIG_FILE": str(config)}
    fail(gateway.run(payload.line(), "snowflake_user_keypair", environment=environment), returncode, code)


# -- Meraki


@pytest.fixture
def meraki() -> t.Iterator[MerakiSandbox]:
    with MerakiSandbox() as sandbox:
        sandbox.add_user(sandbox.network.id, "Jo@example.com", fresh_secret(), authorizations=[Authorization()])
        yield sandbox
        assert sandbox.errors == []


def meraki_event(meraki: MerakiSandbox, **fields: t.Any) -> Payload:
    record = {
        "uid": "mErAkI0000000000000000",
        "title": "cisco authentication record",
        "password": meraki.add_key(secrets.token_hex(20)),
        "network_id": meraki.network.id,
        "api_url": meraki.url,
    }
    return Payload(record | fields, "jo@EXAMPLE.com", old=meraki.user("jo@example.com").password)


def test_meraki(gateway: Gateway, meraki: MerakiSandbox) -> None:
    event = meraki_event(meraki)
    succeed(gateway.run(event.line()), "changed, not verified (write_only)", *event.secrets())
    assert meraki.accepts("jo@example.com", event.new)
    # Meraki cannot be asked: the same password is set again.
    succeed(gateway.run(event.line()), "changed, not verified (write_only)", *event.secrets())
    # That old and new are equal is no proof.
    event.old, event.new = event.new, event.new
    meraki.journal.clear()
    succeed(gateway.run(event.line()), "changed, not verified (write_only)")
    assert meraki.journal.labels("PUT")


MERAKI_FAILURES: dict[str, tuple[int, str, Fields, Fault | None]] = {
    "wrong key": (2, "auth_failed", {"password": "not-this-key"}, None),
    "refused": (2, "refused", {}, Fault("PUT", response=json_answer(400, {"errors": ["Password is too short"]}))),
    "no key": (1, "invalid_input", {"password": ""}, None),
    "no network": (1, "invalid_input", {"network_id": ""}, None),
    "patience asked": (
        3,
        "rate_limited",
        {},
        Fault("PUT", response=Response(429, b"", {"Retry-After": "99"})),
    ),
    "answer lost": (3, "unknown_outcome", {"max_retries": "0"}, Fault("PUT", times=9, drop="after")),
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "refused" else slow) for n in MERAKI_FAILURES])
def test_meraki_failures(name: str, gateway: Gateway, meraki: MerakiSandbox) -> None:
    returncode, code, fields, fault = MERAKI_FAILURES[name]
    event = meraki_event(meraki, **fields)
    if fault is not None:
        meraki.faults.add(Fault(**vars(fault)))
    fail(gateway.run(event.line()), returncode, code, *event.secrets())
    assert meraki.accepts("jo@example.com", event.new if code == "unknown_outcome" else event.old)


@slow
def test_meraki_unknown_user(gateway: Gateway, meraki: MerakiSandbox) -> None:
    event = meraki_event(meraki)
    event.user = "nobody@example.com"
    fail(gateway.run(event.line()), 2, "not_found", *event.secrets())


# -- REST

RECIPE = """
auth: {type: bearer, token: "${api_token}"}
lookup: {path: /users, items: users, match: {name: "${username}"}, set: {id: id, tags: tags}, next: {url: next}}
change: {method: PUT, path: "/users/${id}", body: {password: "${password}", tags: "${tags}"}, status: [204]}
verify: {path: /whoami, auth: {type: basic, username: "${username}", password: "${password}"}}
"""


@pytest.fixture
def rest() -> t.Iterator[RestSandbox]:
    with RestSandbox() as sandbox:
        sandbox.add_user("jo", fresh_secret())
        yield sandbox
        assert sandbox.errors == []


def rest_event(gateway: Gateway, rest: RestSandbox, **fields: t.Any) -> Payload:
    recipe = gateway.directory / "recipe.yml"
    recipe.write_text(RECIPE)
    record = {"uid": "rEsT000000000000000000", "title": "API Access Details", "password": rest.token, "url": rest.url}
    return Payload(record | {"recipe": str(recipe)} | fields, "jo", old=rest.user("jo").password)


def test_rest_with_a_login(gateway: Gateway, rest: RestSandbox) -> None:
    event = rest_event(gateway, rest)
    succeed(gateway.run(event.line()), "changed, verified", *event.secrets())
    assert rest.accepts("jo", event.new)
    rest.journal.clear()
    succeed(gateway.run(event.line()), "unchanged, verified", *event.secrets())
    assert rest.journal.labels("change") == []
    # A failed proof: the gateway hears of it. Nobody asked for the old password to be set again.
    event.old, event.new = event.new, fresh_secret()
    rest.faults.add(Fault("whoami jo", skip=1, times=1, response=json_answer(401, {})))
    fail(gateway.run(event.line()), 3, "verify_failed", *event.secrets())
    assert rest.accepts("jo", event.new)
    succeed(gateway.run(event.line()), "unchanged, verified", *event.secrets())


def test_rest_goes_back_where_the_record_asks_for_it(gateway: Gateway, rest: RestSandbox) -> None:
    event = rest_event(gateway, rest, Rollback="old_password")
    rest.faults.add(Fault("whoami jo", skip=1, response=json_answer(401, {})))
    fail(gateway.run(event.line()), 3, "verify_failed", *event.secrets())
    assert rest.accepts("jo", event.old)


@slow
def test_rest_as_in_keepers_guide(gateway: Gateway, rest: RestSandbox) -> None:
    rest.faults.add(Fault("POST /rotate", times=2, response=json_answer(201, {})))
    event = rest_event(gateway, rest, title="Record with Access Token", recipe="", url=f"{rest.url}/rotate")
    succeed(gateway.run(event.line()), "changed, not verified (no_verify)", *event.secrets())
    succeed(gateway.run(event.line()), "changed, not verified (no_verify)", *event.secrets())
    assert len(rest.journal.labels("POST /rotate")) == 2


REST_FAILURES: dict[str, tuple[int, str, Fields, Fault | None]] = {
    "unknown recipe": (1, "invalid_input", {"recipe": "nosuchservice"}, None),
    "no url": (1, "invalid_input", {"url": ""}, None),
    "plain http": (1, "invalid_input", {"url": "http://192.0.2.1"}, None),
    "wrong token": (2, "auth_failed", {"password": "not-this-token"}, None),
    "refused": (2, "refused", {}, Fault("change", response=json_answer(400, {"error": "no"}))),
    "proof unknown": (3, "unknown_outcome", {}, Fault("whoami", skip=1, response=json_answer(503, {}))),
    "silent": (3, "unreachable", {}, Fault("whoami", response=json_answer(503, {}))),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in ("unknown recipe", "refused") else slow) for n in REST_FAILURES]
)
def test_rest_failures(name: str, gateway: Gateway, rest: RestSandbox) -> None:
    returncode, code, fields, fault = REST_FAILURES[name]
    event = rest_event(gateway, rest, **fields)
    if fault is not None:
        rest.faults.add(Fault(**vars(fault)))
    fail(gateway.run(event.line()), returncode, code, *event.secrets())


# -- bad input, through the pipe


@pytest.mark.parametrize("name", BAD)
def test_bad_lines(name: str, gateway: Gateway) -> None:
    line, word = BAD[name]
    result = gateway.run(line)
    fail(result, 1, "invalid_input")
    assert word in result.stderr


FEW = ("no administrator", "two spellings", "newPassword short", "records of texts")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FEW else slow) for name in PARTS])
def test_bad_payloads(name: str, gateway: Gateway) -> None:
    parts, word = PARTS[name]
    whole: Fields = {"admin": admin(), "user": "SVC"} | {key: part for key, part in parts.items() if key != "records"}
    event = Payload(**whole)
    event.keys |= {"records": parts["records"]} if "records" in parts else {}
    result = gateway.run(event.line())
    fail(result, 1, "invalid_input", *event.secrets())
    assert word in result.stderr


@pytest.mark.parametrize("spell", ["{}", " {} ", "UPPER", "Title Case", pytest.param("dash-ed", marks=slow)])
def test_records_in_any_spelling(
    spell: str, gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox, tmp_path: Path
) -> None:
    """Flat, and as the vault's own JSON; options on the administrator's record, too."""
    spellings: dict[str, t.Callable[[str], str]] = {
        "UPPER": str.upper,
        "Title Case": lambda label: label.replace("_", " ").title(),
        "dash-ed": lambda label: label.replace("_", "-"),
    }
    rename = spellings.get(spell, spell.format)
    assert payload.admin is not None
    own = {name: value for name, value in payload.admin.items() if name not in ("uid", "title")}
    if spell == " {} ":
        custom = [
            {"type": "text", "label": name, "value": [own[name]]} for name in own if name not in ("login", "password")
        ]
        fields = [{"type": name, "label": "", "value": [own[name]]} for name in ("login", "password")]
        payload.admin = {name: payload.admin[name] for name in ("uid", "title")} | {"fields": fields, "custom": custom}
    else:
        payload.admin = payload.admin | {rename(name): value for name, value in own.items()}
        for name in own.keys() - {rename(name) for name in own}:
            del payload.admin[name]
    succeed(gateway.run(payload.line()), "changed, verified", *payload.secrets(), *map(str, own["password"].split()))
    assert snowflake.accepts("SVC", payload.new)


def test_a_field_recipe_in_another_spelling_is_the_recipe(gateway: Gateway, rest: RestSandbox) -> None:
    """Seen: with a field Recipe, password and token went to another address in another shape, and the code was 0."""
    event = rest_event(gateway, rest)
    assert event.admin is not None
    event.admin["Recipe"] = event.admin.pop("recipe")
    succeed(gateway.run(event.line()), "changed, verified", *event.secrets())
    assert rest.accepts("jo", event.new)


# -- false successes

ROTATE = {
    "keyturn.credentials.snowflake_user_password": "{{ keyturn_gateway | keyturn.credentials.gateway_options }}",
    "no_log": True,
    "register": "answer",
}
WRITE = {
    "ansible.builtin.copy": {
        "content": "{{ keyturn_gateway | keyturn.credentials.gateway_receipt([answer]) | to_json }}",
        "dest": "{{ keyturn_gateway.receipt }}",
        "mode": "0600",
    },
    "check_mode": False,
}
NOTHING = {"ansible.builtin.debug": {"msg": "nothing"}}
BROKEN = {"ansible.builtin.fail": {"msg": "broken"}}
PLAYBOOKS: dict[str, tuple[int, str, Fields]] = {
    "no hosts matched": (6, "no_receipt", {"hosts": "nowhere", "tasks": [NOTHING]}),
    "everything skipped": (6, "no_receipt", {"tasks": [{**ROTATE, "when": False}, {**WRITE, "when": False}]}),
    "the rotation skipped": (6, "no_receipt", {"tasks": [{**ROTATE, "when": False}, WRITE]}),
    "rescued": (6, "no_receipt", {"tasks": [{"block": [BROKEN], "rescue": [NOTHING]}]}),
    "a failure ignored": (6, "no_receipt", {"tasks": [{**BROKEN, "ignore_errors": True}]}),
    "broken": (6, "no_receipt", {"tasks": [BROKEN]}),
    "receipt missing": (6, "no_receipt", {"tasks": [NOTHING]}),
    "module missing": (6, "no_receipt", {"tasks": [{"keyturn.credentials.absent": {}}]}),
    "rotation rescued": (2, "not_found", {"tasks": [{"block": [ROTATE], "rescue": [NOTHING]}, WRITE]}),
    "rotation ignored": (2, "not_found", {"tasks": [{**ROTATE, "ignore_errors": True}, WRITE]}),
    "check mode on the task": (3, "unknown_outcome", {"tasks": [{**ROTATE, "check_mode": True}, WRITE]}),
    "failed after the rotation": (3, "unknown_outcome", {"tasks": [ROTATE, WRITE, BROKEN]}),
}
# What Ansible says of a task that fails before the receipt.
REASONS = {
    "broken": "Task failed: Action failed: broken",
    "module missing": "couldn't resolve module/action 'keyturn.credentials.absent'",
}
CHEAP = (
    "broken",
    "module missing",
    "no hosts matched",
    "everything skipped",
    "rescued",
    "receipt missing",
    "check mode on the task",
)


@pytest.mark.core
@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in CHEAP else slow) for n in PLAYBOOKS])
def test_false_success(name: str, gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    returncode, code, play = PLAYBOOKS[name]
    (gateway.directory / "mine.yml").write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, **play}]))
    if code == "not_found":
        payload.user = "NOBODY"
    result = gateway.run(payload.line(), "--playbook=mine.yml")
    fail(result, returncode, code, *payload.secrets())
    if name in REASONS:
        assert REASONS[name] in result.stderr


def test_ones_own_playbook(gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [ROTATE, WRITE]}
    (gateway.directory / "mine.yml").write_text(json.dumps([play]))
    succeed(gateway.run(payload.line(), "--playbook=mine.yml"), "changed, verified", *payload.secrets())


# -- odd surroundings

SURROUNDINGS = {
    "all at once": "mkdir 'a b' gone && cd gone && cat | (rmdir ../gone && exec env -i LC_ALL=C TMPDIR=\"$PWD/../a b\" "
    "ANSIBLE_COLLECTIONS_PATH=$ANSIBLE_COLLECTIONS_PATH {script} >&-)",
    "env -i": "cat | env -i ANSIBLE_COLLECTIONS_PATH=$ANSIBLE_COLLECTIONS_PATH {script}",
    "HOME unset": "unset HOME; cat | {script}",
    "HOME unwritable": "cat | HOME=/proc {script}",
    "LC_ALL=C": "cat | LC_ALL=C LANG=C {script}",
    "locale unknown": "cat | LC_ALL=xx_YY.UTF-8 {script}",
    "cwd deleted": "mkdir gone && cd gone && cat | (rmdir ../gone && exec {script})",
    "TMPDIR with spaces": "mkdir 'a b' && cat | TMPDIR=\"$PWD/a b\" {script}",
    "stdout closed": "cat | {script} >&-",
    "stderr closed": "cat | {script} 2>&-",
    "settings that log": "cat | ANSIBLE_STDOUT_CALLBACK=json ANSIBLE_CALLBACKS_ENABLED=log_plays,junit {script}",
    "no terminal, no signals": "trap '' HUP INT; cat | setsid -w {script}",
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == "all at once" else slow) for n in SURROUNDINGS])
def test_surroundings(name: str, gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    result = gateway.run(payload.line(), around=SURROUNDINGS[name])
    assert (result.returncode, result.stderr) == (0, "")
    assert snowflake.accepts("SVC", payload.new)


@slow
def test_unknown_uid(gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    """A user without a name. Where files of the tests are not for others, a user namespace makes us that user."""
    ways = ["setpriv --reuid=54321 --regid=54321 --clear-groups", "unshare --user --map-user=54321 --map-group=54321"]
    program = Path(sys.executable).parent / "ansible-playbook"
    # What the first process can read says nothing about the next one.
    code = f"import os, subprocess; assert os.getuid() == 54321; subprocess.run(['{program}', '--version'], check=True)"
    for way in ways:
        command = [*way.split(), sys.executable, "-c", code]
        if subprocess.run(command, capture_output=True, check=False, cwd="/").returncode == 0:
            break
    else:
        pytest.skip("this machine lets us be no other user")
    gateway.temporary.chmod(0o777)
    result = gateway.run(payload.line(), around=f"cat | {way} {{script}}", cwd="/")
    assert (result.returncode, result.stderr) == (0, "")
    assert snowflake.accepts("SVC", payload.new)


def python39() -> str | None:
    command = shutil.which("python3.9")
    if command is None:
        return None
    # A version manager's shim runs only the version that is selected.
    environment = {**os.environ, "PYENV_VERSION": "3.9"}
    words = [command, "-c", "import sys; print(sys.executable)"]
    answer = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None


def test_with_the_oldest_python(gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    gateway.python = python39() or pytest.skip("there is no python3.9 here")
    succeed(gateway.run(payload.line()), "changed, verified", *payload.secrets())
    assert snowflake.accepts("SVC", payload.new)


@slow
def test_four_at_a_time(gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    users = ["SVC", "B", "C", "D"]
    for user in users[1:]:
        snowflake.add_user(user, password=fresh_password())
    events = [Payload(payload.admin, user) for user in users]
    processes = [gateway.start(event.line()) for event in events]
    assert [gateway.finish(process).returncode for process in processes] == [0] * 4
    assert all(snowflake.accepts(event.user, event.new) for event in events)


# -- ended in the middle


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=slow)])
def test_ended_in_the_middle(
    number: signal.Signals, gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox
) -> None:
    """Snowflake holds the ALTER back while the script dies; nothing is left, and the second run ends it."""
    snowflake.faults.add(Fault("ALTER USER SVC", hang="before"))
    process = gateway.start(payload.line(), around="exec {script}")
    assert snowflake.journal.wait_for("ALTER USER SVC", _PATIENCE)
    family = descendants(process.pid)
    # The supervisor, ansible-playbook, its worker, the module.
    assert len(family) >= 4
    os.kill(process.pid, number)
    result = gateway.finish(process)
    if number == signal.SIGTERM:
        fail(result, 3, "unknown_outcome", *payload.secrets())
    deadline = time.monotonic() + 5
    while [pid for pid in family if Path(f"/proc/{pid}").exists()] or gateway.leftovers():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    succeed(gateway.run(payload.line()), "changed, verified", *payload.secrets())
    assert snowflake.accepts("SVC", payload.new)


# -- watched


@pytest.mark.parametrize("runs", [1, pytest.param(20, marks=[slow, pytest.mark.timeout(1200)])])
def test_watched(runs: int, gateway: Gateway, payload: Payload, snowflake: SnowflakeSandbox) -> None:
    """Every 20 ms, the arguments and environment of all processes, and all new files: no secret, in no form.

    Of the files, the pipe itself is no file with content, and is the one place where they are.
    """
    found: set[str] = set()
    for _run in range(runs):
        payload.new = fresh_secret()
        process = gateway.start(payload.line())
        with Watcher(
            process.pid, tuple(payload.secrets()), (gateway.directory, gateway.temporary, Path("/dev/shm"))
        ) as watcher:
            result = gateway.finish(process)
        succeed(result, "changed, verified", *payload.secrets())
        assert len(watcher.seen) >= 5
        found |= watcher.found
    assert found == set()


def test_the_watch_sees_what_it_should(gateway: Gateway, payload: Payload) -> None:
    """A stand-in that writes its secret into a file is caught."""
    body = "given = read()\nopen(given['receipt'] + '.x', 'w').write(given['newPassword'])\ntime.sleep(1)\nreceipt()\n"
    process = gateway.start(payload.line(), gateway.fake_ansible(body))
    with Watcher(process.pid, tuple(payload.secrets()), (gateway.directory, gateway.temporary)) as watcher:
        assert gateway.finish(process).returncode == 0
    assert any(path.endswith("receipt.json.x") for path in watcher.found)


def test_a_proxy_of_the_host_is_not_asked(gateway: Gateway, meraki: MerakiSandbox) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        environment = {**gateway.environment(), "HTTP_PROXY": address, "http_proxy": address, "NO_PROXY": ""}
        event = meraki_event(meraki)
        assert gateway.run(event.line(), environment=environment).returncode == 0


def test_uid_of_the_event_is_in_every_line(gateway: Gateway, payload: Payload) -> None:
    result = gateway.run(payload.line(), gateway.fake_ansible("sys.exit(1)\n"))
    assert f"uid={USER} " in result.stderr
