# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module snowflake_user_keypair against the sandbox.

First what only the front door shows, through real ansible-playbook; then, in process and much cheaper, what the module
decides for every state of a user's keys and every fault of the service.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import stat
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_options import SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_keypair import run
from tests.integration.conftest import ADMIN, fresh_password, survives_crashes
from tests.integration.keys import pem, print_of, public, public_pem
from tests.integration.support import Ansible, Call
from tests.leaks import leaks, leaks_below
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.account import MODIFY_METHODS
from tests.sandbox.snowflake.users import KeyPair

pytestmark = [pytest.mark.connector, survives_crashes]

MODULE = "snowflake_user_keypair"
Answer = dict[str, t.Any]
SECRET_OPTIONS = ("login_private_key", "login_private_key_path", "login_token")
WRONG_KEY = 394304


# -- keys


# -- the sandbox


def slots(snowflake: SnowflakeSandbox, name: str = "ETL") -> list[str | None]:
    user = snowflake.user(name)
    return [user.rsa_public_key_fp, user.rsa_public_key_2_fp]


def fill(snowflake: SnowflakeSandbox, first: str | None, second: str | None = None, name: str = "ETL") -> None:
    """Put keys into the slots of a user, as another administrator would have done an hour and half an hour ago."""
    user, now = snowflake.user(name), snowflake.account.clock()
    user.rsa_public_key = public(first) if first else None
    user.rsa_public_key_2 = public(second) if second else None
    user.rsa_public_key_last_set_time = now - dt.timedelta(hours=1) if first else None
    user.rsa_public_key_2_last_set_time = now - dt.timedelta(minutes=30) if second else None


def writes(snowflake: SnowflakeSandbox) -> list[str]:
    return snowflake.journal.labels("^ALTER ")


def proofs(snowflake: SnowflakeSandbox, name: str = "ETL") -> list[str]:
    return [code for login, method, code in snowflake.logins if login == name and method == "key_pair"]


def later(snowflake: SnowflakeSandbox, **elapsed: float) -> None:
    """Move the account's clock."""
    moment = snowflake.account.clock() + dt.timedelta(**elapsed)
    snowflake.account.clock = lambda: moment


class Decide(t.Protocol):
    """What the module decides for these options, in this process; ``check`` is check mode."""

    def __call__(self, **options: t.Any) -> Answer: ...


@pytest.fixture
def decide(login: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Decide:
    """The module's logic after Ansible's own argument validation, with the administrator's login filled in."""
    for name in [name for name in os.environ if name.startswith(("SNOWFLAKE_", "PRIVATE_KEY_"))]:
        monkeypatch.delenv(name)
    # The module sets it for its own process, which here is the test's: it is put back afterwards.
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path / "snowflake"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")

    def call(**options: t.Any) -> Answer:
        check = options.pop("check", False)
        given = {**login, **({} if "users" in options else {"name": "etl"}), **options}
        if any(name in options for name in SECRET_OPTIONS):
            given.pop("login_password")
        arguments = SPEC.module_arguments()
        result = ArgumentSpecValidator(
            arguments["argument_spec"],
            mutually_exclusive=arguments["mutually_exclusive"],
            required_one_of=arguments["required_one_of"],
            required_together=arguments["required_together"],
            required_by=arguments["required_by"],
        ).validate({name: value for name, value in given.items() if value is not None})
        assert result.error_messages == []
        return run(result.validated_parameters, check)

    return call


@pytest.fixture
def etl(snowflake: SnowflakeSandbox) -> SnowflakeSandbox:
    """The account with the service user ETL, which has no key yet."""
    snowflake.add_user("ETL", type="SERVICE")
    return snowflake


def key_text(*names: str) -> set[str]:
    """What must be in no answer: the lines of the private keys."""
    return {line for name in names for line in pem(name).splitlines() if "-----" not in line}


# -- the front door


@pytest.mark.slow
def test_every_key_by_slots_and_named(snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]) -> None:
    """RSA and EC, plain and encrypted: the new key logs in, and the old one still does."""
    cases = [
        (kind, passphrase, method)
        for kind in ("2048", "3072", "4096")
        for passphrase in (None, "a {{ passphrase }} \"'\\")
        for method in ("slots", "named")
    ] + [(curve, None, method) for curve in ("P-256", "P-384", "P-521") for method in ("slots", "named")]
    calls = []
    for number, (kind, passphrase, method) in enumerate(cases):
        user = snowflake.add_user(f"U{number}", type="SERVICE")
        if method == "slots":
            fill(snowflake, "in use", "orphan", user.name)
        else:
            now = snowflake.account.clock()
            user.key_pairs["ETL"] = KeyPair("ETL", public("in use"), created_on=now, created_by=ADMIN)
        options: Answer = {"private_key": pem("new", kind, passphrase), "private_key_passphrase": passphrase}
        options |= {"method": method, **({"key_pair_name": "etl"} if method == "named" else {})}
        options |= {"current_public_key": public_pem("in use")}
        given = {**login, "name": user.name, **options}
        calls.append(Call({option: value for option, value in given.items() if value is not None}))
    answers = ansible.calls(MODULE, calls).answers
    for number, ((kind, _passphrase, method), answer) in enumerate(zip(cases, answers, strict=True)):
        case = f"{kind} {method}: {answer}"
        assert not answer["failed"] and answer["changed"] and answer["verified"], case
        assert answer["fingerprint"] == print_of("new", kind), case
        assert answer["previous_fingerprint"] == print_of("in use"), case
        assert answer["evicted_fingerprint"] == (print_of("orphan") if method == "slots" else None), case
        assert answer.get("slot" if method == "slots" else "key_pair_name") == (2 if method == "slots" else "ETL"), case
        assert snowflake.accepts_key(f"U{number}", public("new", kind)) and snowflake.accepts_key(
            f"U{number}", public("in use")
        )
        assert proofs(snowflake, f"U{number}") == ["ok"], case


@pytest.mark.slow
def test_key_files_through_ansible(etl: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]) -> None:
    """Made, used again, and found in the home folder that ~ stands for."""
    given = {**login, "name": "etl", "private_key_path": "~/etl.p8", "private_key_passphrase": "{{ pw }}"}
    calls = [Call(given, keywords={"check_mode": True}), Call(given), Call(given), Call({**given, "name": "nobody"})]
    foresee, first, second, other = ansible.calls(MODULE, calls).answers
    path = ansible.home / "etl.p8"
    assert foresee["changed"] and not foresee["failed"] and foresee["fingerprint"] is None
    assert first["changed"] and first["verified"] and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not second["changed"] and second["verified"] and second["fingerprint"] == first["fingerprint"]
    loaded = serialization.load_pem_private_key(path.read_bytes(), b"{{ pw }}")
    assert isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size == 2048
    assert other["failed"] and other["error_code"] == "not_found"


def outcomes(snowflake: SnowflakeSandbox, directory: Path) -> tuple[list[Call], list[str | None], tuple[str, ...]]:
    """Tasks for every outcome that matters, their error codes, and the secrets that they handle."""
    fill(snowflake, "admin", name=ADMIN)
    login = {**snowflake.settings(), "login_user": ADMIN, "login_private_key": pem("admin"), "login_timeout": 3}
    calls: list[Call] = []
    codes: list[str | None] = []
    path = directory / "made.p8"

    def add(code: str | None, *slots_: str | None, **options: t.Any) -> str:
        name = f"U{len(calls)}"
        snowflake.add_user(name, type="SERVICE")
        first, second = (*slots_, None, None)[:2]
        fill(snowflake, first, second, name)
        given = {**login, "name": name, "private_key": pem("new"), **options}
        calls.append(Call({option: value for option, value in given.items() if value is not None}))
        codes.append(code)
        return name

    add(None)
    add(None, "in use", current_private_key=pem("in use"), retire_previous_after="0h")
    add(None, "new")
    add(None, private_key=pem("new", passphrase="leak-me-not"), private_key_passphrase="leak-me-not")
    add(None, private_key=None, private_key_path=str(path))
    add(None, method="named", key_pair_name="etl")
    add("slots_full", "in use", "orphan")
    add("slots_full", "in use", "orphan", current_private_key=pem("elsewhere"))
    add("invalid_input", current_private_key=pem("new"))
    add("invalid_input", private_key=pem("new", passphrase="leak-me-not"), private_key_passphrase="leak-me-either")
    add("invalid_input", private_key=pem("new")[:-200])
    add("invalid_input", private_key=pem("weak", "1024"))
    failing = add("verify_failed", "in use", current_private_key=pem("in use"))
    echo = f"JWT {pem('new')} {pem('new').replace(chr(10), '')} {json.dumps(pem('new'))}"
    snowflake.faults.add(Fault(f"login {failing} ", response=snowflake.login_failure(WRONG_KEY, echo)))
    refused = add("refused", "in use", current_private_key=pem("in use"))
    text = f"ALTER USER SET RSA_PUBLIC_KEY='{public('new')}' {pem('new')}"
    snowflake.faults.add(Fault(f"ALTER USER {refused} ", response=snowflake.statement_failure(3002, text)))
    lost = add("unknown_outcome", "in use", current_private_key=pem("in use"))
    snowflake.faults.add(Fault(f"ALTER USER {lost} ", times=99, drop="before"))
    users = [{"name": "U0", "private_key": pem("new")}, {"name": "nobody", "private_key": pem("other")}]
    calls.append(Call({**login, "users": users}))
    codes.append("not_found")
    names = ("admin", "new", "in use", "elsewhere", "other")
    hidden = tuple(pem(name) for name in names) + (pem("weak", "1024"), "leak-me-not", "leak-me-either")
    return calls, codes, hidden


def written_key(directory: Path) -> str:
    return (directory / "made.p8").read_text()


@pytest.mark.slow
def test_no_line_of_a_private_key_is_shown_or_left(snowflake: SnowflakeSandbox, tmp_path: Path) -> None:
    """At the highest verbosity: output, diff, log and temporary files, for every outcome."""
    keep, left = tmp_path / "keys", tmp_path / "left"
    keep.mkdir()
    (left / "tmp").mkdir(parents=True)
    calls, codes, hidden = outcomes(snowflake, keep)
    ansible = Ansible(tmp_path, {"ANSIBLE_LOG_PATH": str(left / "ansible.log"), "TMPDIR": str(left / "tmp")})
    finished = ansible.calls(MODULE, calls, "-vvvv", "--diff")
    found = [answer.get("error_code") for answer in finished.answers]
    assert [UNDER_WAY if code == OVER else code for code in found] == codes, finished.answers
    secrets = (*hidden, written_key(keep))
    assert leaks(finished.output, *secrets) == []
    assert leaks(json.dumps(finished.results), *secrets) == []
    assert leaks_below(left, *secrets) + leaks_below(ansible.home, *secrets) == []
    assert "ALTER USER" not in finished.output and print_of("new") in finished.output
    assert (left / "ansible.log").stat().st_size > 1000


@pytest.mark.slow
def test_no_line_of_a_private_key_in_artifacts_of_ansible_runner(snowflake: SnowflakeSandbox, tmp_path: Path) -> None:
    pytest.importorskip("ansible_runner")
    keep = tmp_path / "keys"
    keep.mkdir()
    calls, _codes, hidden = outcomes(snowflake, keep)
    ansible = Ansible(tmp_path, {})
    plays, variables = ansible.plays(MODULE, calls)
    project = tmp_path / "runner" / "project"
    project.mkdir(parents=True)
    given = tmp_path / "given.json"
    given.touch(mode=0o600)
    given.write_text(json.dumps(variables))
    (project / "play.json").write_text(json.dumps([{**play, "vars_files": [str(given)]} for play in plays]))
    finished = subprocess.run(
        [sys.executable, "-m", "ansible_runner", "run", str(project.parent), "-p", "play.json", "-vvvv"],
        env=ansible.environ({}),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    secrets = (*hidden, written_key(keep))
    artifacts = project.parent / "artifacts"
    assert list(artifacts.rglob("job_events/*.json")), finished.stdout + finished.stderr
    assert leaks(finished.stdout + finished.stderr, *secrets) == [] and leaks_below(artifacts, *secrets) == []


# -- slots


def test_four_keys_in_a_row(etl: SnowflakeSandbox, decide: Decide) -> None:
    """Slot 1, slot 2, and then always the slot that is not in use; two keys are valid from the second on."""
    place = [1, 2, 1, 2]
    names = ["one", "two", "three", "four"]
    for number, name in enumerate(names):
        before = names[number - 1] if number else None
        current = {"current_private_key": pem(before)} if before else {}
        answer = decide(private_key=pem(name), **current)
        assert answer["changed"] and answer["verified"] and not answer["failed"]
        assert answer["slot"] == place[number] and answer["fingerprint"] == print_of(name)
        assert answer["previous_fingerprint"] == (print_of(before) if before else None)
        assert answer["evicted_fingerprint"] == (print_of(names[number - 2]) if number >= 2 else None)
        assert answer["login_name"] == "ETL" and answer["account"] == etl.account.name and answer["rotated_at"]
        assert before is None or etl.accepts_key("ETL", public(before))
        assert {entry["fingerprint"] for entry in answer["keys"]} == {f for f in slots(etl) if f}
        again = decide(private_key=pem(name), **current)
        assert not again["changed"] and again["verified"] and again["slot"] == place[number]
    assert len(writes(etl)) == 4 and proofs(etl) == ["ok"] * 8
    assert etl.open_sessions() == 0


CURRENT: dict[str, t.Callable[[], dict[str, str]]] = {
    "private key": lambda: {"current_private_key": pem("in use")},
    "encrypted private key": lambda: {
        "current_private_key": pem("in use", passphrase="pw"),
        "current_private_key_passphrase": "pw",
    },
    "public PEM": lambda: {"current_public_key": public_pem("in use")},
    "bare base64": lambda: {"current_public_key": public("in use")},
    "fingerprint": lambda: {"current_fingerprint": print_of("in use")},
}


@pytest.mark.parametrize("way", CURRENT)
@pytest.mark.parametrize("place", [1, 2])
def test_the_key_in_use_is_never_overwritten(etl: SnowflakeSandbox, decide: Decide, way: str, place: int) -> None:
    fill(etl, *(("in use", "orphan") if place == 1 else ("orphan", "in use")))
    answer = decide(private_key=pem("new"), **CURRENT[way]())
    assert answer["changed"] and answer["verified"] and answer["slot"] == 3 - place
    assert slots(etl) == [print_of("in use"), print_of("new")][:: 1 if place == 1 else -1]
    assert answer["evicted_fingerprint"] == print_of("orphan")
    assert answer["previous_fingerprint"] == print_of("in use")


@pytest.mark.parametrize("named", [True, False])
def test_replace_oldest(etl: SnowflakeSandbox, decide: Decide, named: bool) -> None:
    fill(etl, "orphan", "foreign")
    current = {"current_fingerprint": print_of("elsewhere")} if named else {}
    answer = decide(private_key=pem("new"), on_slots_full="replace_oldest", **current)
    assert answer["verified"] and slots(etl) == [print_of("new"), print_of("foreign")]


def test_keys_without_fingerprints_are_not_taken_for_copies(etl: SnowflakeSandbox, decide: Decide) -> None:
    """An account that shows keys and no fingerprints must not lose one."""
    fill(etl, "in use", "foreign")
    etl.account.desc_omits = {"RSA_PUBLIC_KEY_FP", "RSA_PUBLIC_KEY_2_FP"}
    decide(private_key=pem("new"))
    etl.account.desc_omits = set()
    assert slots(etl) == [print_of("in use"), print_of("foreign")]


@pytest.mark.parametrize("text", ["armour", "one line"])
def test_keys_are_told_by_fingerprint_not_by_text(etl: SnowflakeSandbox, decide: Decide, text: str) -> None:
    etl.user("ETL").rsa_public_key = public_pem("new") if text == "armour" else public("new")
    answer = decide(private_key=pem("new"))
    assert not answer["changed"] and answer["verified"] and writes(etl) == []


@pytest.mark.parametrize("name", ["etl", "ETL", "Etl", '"ETL"'])
def test_names_follow_sql(etl: SnowflakeSandbox, decide: Decide, name: str) -> None:
    etl.user("ETL").login_name = "ETL@EXAMPLE.ORG"
    answer = decide(name=name, private_key=pem("new"))
    assert answer["verified"] and answer["name"] == name and answer["login_name"] == "ETL@EXAMPLE.ORG"
    assert slots(etl)[0] == print_of("new")


# -- bad input: one clear error each, nothing written


def weak(kind: str) -> dict[str, str]:
    return {"private_key": pem("weak", kind)}


# Options, the error's code, what it says; slots hold "in use" and "foreign".
BAD: dict[str, tuple[t.Callable[[Path], dict[str, t.Any]], str, tuple[str, ...]]] = {
    "both full, none named": (
        lambda path: {"private_key": pem("new")},
        "slots_full",
        ("slot 1: $in use, set 20", "slot 2: $foreign, set 20", "Nothing was changed"),
    ),
    "current in neither": (
        lambda path: {"private_key": pem("new"), "current_private_key": pem("elsewhere")},
        "slots_full",
        ("$in use", "$foreign", "in neither"),
    ),
    "current in neither, key file": (
        lambda path: {"private_key_path": str(path / "no.p8"), "current_fingerprint": print_of("elsewhere")},
        "slots_full",
        ("$in use", "$foreign"),
    ),
    "the same as new and current": (
        lambda path: {"private_key": pem("new"), "current_private_key": pem("new")},
        "invalid_input",
        ("$new", "same"),
    ),
    "the same, public": (
        lambda path: {"private_key": pem("in use"), "current_public_key": public("in use")},
        "invalid_input",
        ("$in use", "same"),
    ),
    "the same, fingerprint": (
        lambda path: {"public_key": public("new"), "verify": False, "current_fingerprint": print_of("new")},
        "invalid_input",
        ("$new", "same"),
    ),
    "public key with verify": (lambda path: {"public_key": public("new")}, "invalid_input", ("verify=false",)),
    "passphrase wrong": (
        lambda path: {"private_key": pem("new", passphrase="right"), "private_key_passphrase": "wr0ng-one"},
        "invalid_input",
        ("wrong passphrase",),
    ),
    "passphrase missing": (
        lambda path: {"private_key": pem("new", passphrase="right")},
        "invalid_input",
        ("no passphrase is given",),
    ),
    "passphrase needless": (
        lambda path: {"private_key": pem("new"), "private_key_passphrase": "n33dless"},
        "invalid_input",
        ("not encrypted",),
    ),
    "current passphrase wrong": (
        lambda path: {
            "private_key": pem("new"),
            "current_private_key": pem("in use", passphrase="right"),
            "current_private_key_passphrase": "wr0ng-one",
        },
        "invalid_input",
        ("wrong passphrase",),
    ),
    "no such folder": (
        lambda path: {"private_key_path": str(path / "no" / "key.p8")},
        "invalid_input",
        ("no/key.p8", "folder"),
    ),
    "a folder": (lambda path: {"private_key_path": str(path)}, "invalid_input", ("cannot be read",)),
    "foreign file": (
        lambda path: {"private_key_path": str(path / "foreign")},
        "invalid_input",
        ("foreign", "left alone"),
    ),
    "key file with another passphrase": (
        lambda path: {"private_key_path": str(path / "encrypted.p8"), "private_key_passphrase": "wr0ng-one"},
        "invalid_input",
        ("encrypted.p8", "wrong passphrase", "left alone"),
    ),
    "garbage": (lambda path: {"private_key": "Tr0ub4dor no key"}, "invalid_input", ("no PEM private key",)),
    "1024 bits": (lambda path: weak("1024"), "invalid_input", ("1024 bits", "2048")),
    "secp256k1": (lambda path: weak("secp256k1"), "invalid_input", ("secp256k1",)),
    "Ed25519": (lambda path: weak("Ed25519"), "invalid_input", ("neither RSA nor EC",)),
    "no fingerprint": (
        lambda path: {"private_key": pem("new"), "current_fingerprint": "00:11:22"},
        "invalid_input",
        ("current_fingerprint",),
    ),
    "named without a name": (
        lambda path: {"private_key": pem("new"), "method": "named"},
        "invalid_input",
        ("key_pair_name",),
    ),
    "reserved name": (
        lambda path: {"private_key": pem("new"), "method": "named", "key_pair_name": "public_key_1"},
        "invalid_input",
        ("PUBLIC_KEY_1", "reserved"),
    ),
    "a tombstone's name": (
        lambda path: {"private_key": pem("new"), "method": "named", "key_pair_name": "etl_rotated_1781524800000"},
        "invalid_input",
        ("ETL_ROTATED_1781524800000",),
    ),
    "a name with slots": (
        lambda path: {"private_key": pem("new"), "key_pair_name": "etl"},
        "invalid_input",
        ("method=named",),
    ),
    "a broken user name": (
        lambda path: {"name": '"a"b"', "private_key": pem("new")},
        "invalid_input",
        ("double quote",),
    ),
}


def spoken(text: str) -> str:
    """The expected words with ``$name`` replaced by that key's fingerprint."""
    return re.sub(r"\$(in use|foreign|new)", lambda match: print_of(match[1]), text)


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("check", [False, True])
def test_bad_input(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path, case: str, check: bool) -> None:
    fill(etl, "in use", "foreign")
    keep = tmp_path / "keys"
    keep.mkdir()
    (keep / "foreign").write_text("notes of somebody else")
    (keep / "encrypted.p8").write_text(pem("new", passphrase="right"))
    before = {path.name: path.read_bytes() for path in keep.iterdir()}
    options, code, words = BAD[case]
    answer = decide(check=check, **options(keep))
    assert answer["failed"] and not answer["changed"] and answer["error_code"] == code
    assert not answer["retry_safe"] and not answer["verified"]
    assert [word for word in map(spoken, words) if word not in answer["msg"]] == [], answer["msg"]
    said = json.dumps(answer)
    assert not any(line in said for line in key_text("new", "in use", "elsewhere"))
    assert not any(word in said for word in ("wr0ng", "n33dless", "Tr0ub4dor", "BEGIN"))
    assert writes(etl) == [] and slots(etl) == [print_of("in use"), print_of("foreign")]
    assert {path.name: path.read_bytes() for path in keep.iterdir()} == before
    if code == "invalid_input":
        assert etl.journal.labels() == []


CONTRADICTIONS: dict[str, dict[str, t.Any]] = {
    "retire a named pair": {"method": "named", "key_pair_name": "etl", "retire_previous_after": "0h"},
    "retire without proof": {"verify": False, "retire_previous_after": "0h"},
    "no duration": {"retire_previous_after": "soon"},
    "negative hours": {"method": "named", "key_pair_name": "etl", "rotated_key_expiry_hours": -1},
    "small keys": {"key_size": 1024},
    "no users": {"users": []},
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_options_that_contradict_each_other(etl: SnowflakeSandbox, decide: Decide, case: str) -> None:
    options = CONTRADICTIONS[case]
    given = options if "users" in options else {"private_key": pem("new"), **options}
    with pytest.raises(InvalidInput):
        decide(**given)
    assert etl.journal.labels() == []


def test_named_on_an_account_without_it(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    etl.account.named_key_pairs_supported = False
    for given in ({"private_key": pem("new")}, {"private_key_path": str(tmp_path / "no.p8")}):
        answer = decide(method="named", key_pair_name="etl", **given)
        assert answer["error_code"] == "refused" and "method=slots" in answer["msg"]
        assert answer["left"] == "untouched"
    assert writes(etl) == [] and not (tmp_path / "no.p8").exists()


def test_one_user_twice(etl: SnowflakeSandbox, decide: Decide) -> None:
    twice = [{"name": "etl", "private_key": pem("new")}, {"name": '"ETL"', "private_key": pem("other")}]
    answer = decide(users=twice)
    assert answer["error_code"] == "invalid_input" and writes(etl) == []
    twice[1]["private_key"] = pem("new")
    answer = decide(users=twice)
    assert not answer["failed"] and [entry["changed"] for entry in answer["rotations"]] == [True, False]
    assert len(writes(etl)) == 1 and proofs(etl) == ["ok"]


# -- public keys and files


def test_a_public_key_alone(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "orphan")
    answer = decide(public_key=public_pem("new"), verify=False, current_public_key=public("in use"))
    assert answer["changed"] and not answer["verified"] and answer["verify_skipped_reason"]
    assert slots(etl) == [print_of("in use"), print_of("new")] and proofs(etl) == []
    again = decide(public_key=public("new"), verify=False)
    assert not again["changed"] and not again["verified"] and len(writes(etl)) == 1


@pytest.mark.parametrize("passphrase", [None, "pass phrase"])
def test_a_key_file(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path, passphrase: str | None) -> None:
    """In place before Snowflake hears of the key, used again afterwards, never overwritten."""
    path = tmp_path / "etl.p8"
    seen: list[bytes] = []
    etl.faults.add(Fault("ALTER USER", before=lambda: seen.append(path.read_bytes())))
    options = {"private_key_path": str(path), "private_key_passphrase": passphrase}
    answer = decide(key_size=3072, **options)
    assert answer["changed"] and answer["verified"] and seen == [path.read_bytes()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = serialization.load_pem_private_key(seen[0], passphrase.encode() if passphrase else None)
    assert isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size == 3072
    again = decide(**options)
    assert not again["changed"] and again["verified"] and path.read_bytes() == seen[0]
    assert answer["fingerprint"] == again["fingerprint"] == slots(etl)[0]


def test_a_key_file_that_is_there(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    path = tmp_path / "etl.p8"
    path.write_text(pem("new"))
    answer = decide(private_key_path=str(path))
    assert answer["changed"] and answer["fingerprint"] == print_of("new") and path.read_text() == pem("new")


@pytest.mark.parametrize("failure", ["not permitted", "refused", "lost"])
def test_a_key_file_is_kept_for_the_next_run(
    etl: SnowflakeSandbox, decide: Decide, tmp_path: Path, failure: str
) -> None:
    path = tmp_path / "etl.p8"
    if failure == "not permitted":
        etl.add_role("OTHERS")
        etl.user("ETL").owner = "OTHERS"
        etl.grant("MONITOR", "ETL", "SECURITYADMIN")
    elif failure == "refused":
        etl.faults.add(Fault("ALTER USER", response=etl.statement_failure(3002, "New public key rejected")))
    else:
        etl.faults.add(Fault("ALTER USER", times=99, drop="before"))
    answer = decide(private_key_path=str(path), login_timeout=3)
    assert answer["failed"] and answer["changed"] and slots(etl) == [None, None]
    made = path.read_bytes()
    etl.faults.clear()
    etl.user("ETL").owner = "SECURITYADMIN"
    assert decide(private_key_path=str(path))["verified"] and path.read_bytes() == made


def test_a_file_that_appears_meanwhile(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    path = tmp_path / "etl.p8"
    etl.faults.add(Fault("DESCRIBE USER", after=lambda: path.write_text(pem("new"))))
    answer = decide(private_key_path=str(path))
    assert answer["failed"] and writes(etl) == [] and path.read_text() == pem("new")
    assert decide(private_key_path=str(path))["fingerprint"] == print_of("new")


# -- retiring


def test_retired_at_once(etl: SnowflakeSandbox, decide: Decide) -> None:
    """A second statement, after the login with the new key."""
    fill(etl, "in use")
    answer = decide(private_key=pem("new"), current_private_key=pem("in use"), retire_previous_after="0h")
    assert answer["changed"] and answer["verified"] and slots(etl) == [None, print_of("new")]
    assert answer["previous_fingerprint"] == answer["evicted_fingerprint"] == print_of("in use")
    assert [entry["fingerprint"] for entry in answer["keys"]] == [print_of("new")]
    order = etl.journal.labels("ALTER|login ETL")
    assert order == [
        "ALTER USER ETL SET RSA_PUBLIC_KEY_2",
        "login ETL key_pair",
        "ALTER USER ETL UNSET RSA_PUBLIC_KEY",
    ]
    again = decide(private_key=pem("new"), retire_previous_after="0h")
    assert not again["changed"] and again["verified"]


@pytest.mark.parametrize("zone", ["session", "utc"])
def test_retired_when_the_new_key_is_old_enough(etl: SnowflakeSandbox, decide: Decide, zone: str) -> None:
    etl.account.desc_times = "session" if zone == "session" else "utc"
    now = etl.account.clock()
    fill(etl, "in use")
    for age, gone in ((dt.timedelta(hours=23, minutes=59), False), (dt.timedelta(hours=24, seconds=1), True)):
        user = etl.user("ETL")
        user.rsa_public_key_2, user.rsa_public_key_2_last_set_time = public("new"), now - age
        # Its own age does not count.
        user.rsa_public_key_last_set_time = now - dt.timedelta(days=99)
        answer = decide(private_key=pem("new"), retire_previous_after="24h")
        assert answer["changed"] is gone and answer["verified"], age
        assert slots(etl) == [None if gone else print_of("in use"), print_of("new")]
    assert decide(private_key=pem("new"), retire_previous_after="0h")["changed"] is False


@pytest.mark.parametrize("answered", ["refused", "silent", "lost", "disabled"])
def test_nothing_is_retired_without_a_login(etl: SnowflakeSandbox, decide: Decide, answered: str) -> None:
    fill(etl, "in use")
    if answered == "refused":
        etl.faults.add(Fault("login ETL", response=etl.login_failure(WRONG_KEY, "JWT token is invalid.")))
    elif answered == "silent":
        etl.faults.add(Fault("login ETL", times=99, hang="before"))
    elif answered == "lost":
        etl.faults.add(Fault("login ETL", times=99, drop="before"))
    else:
        etl.user("ETL").disabled = True
    options = {"private_key": pem("new"), "current_private_key": pem("in use"), "retire_previous_after": "0h"}
    answer = decide(login_timeout=2, **options)
    expected = {"refused": "verify_failed", "silent": "unreachable", "lost": "unreachable", "disabled": None}[answered]
    assert answer.get("error_code") == expected and answer["changed"] and not answer["verified"]
    assert slots(etl) == [print_of("in use"), print_of("new")] and len(writes(etl)) == 1
    if expected is None:
        assert answer["verify_skipped_reason"] == "user_disabled" and etl.user("ETL").disabled
    else:
        assert answer["retry_safe"]
    etl.faults.clear()
    etl.user("ETL").disabled = False
    # Running it again is how it is finished.
    answer = decide(**options)
    assert answer["verified"] and slots(etl) == [None, print_of("new")]


def test_a_locked_user(etl: SnowflakeSandbox, decide: Decide) -> None:
    """The key is set; the login says that the user is locked, which is no fault of the key."""
    etl.account.lock_blocks_keys = True
    etl.user("ETL").locked_until = etl.account.clock() + dt.timedelta(minutes=15)
    answer = decide(private_key=pem("new"), retire_previous_after="0h")
    assert answer["changed"] and not answer["failed"] and not answer["verified"]
    assert answer["verify_skipped_reason"] == "user_locked"


# -- the administrator's own keys


@pytest.mark.parametrize("how", ["text", "path"])
@pytest.mark.parametrize("options", [{}, {"on_slots_full": "replace_oldest"}, {"retire_previous_after": "0h"}])
def test_an_administrator_that_rotates_itself(
    snowflake: SnowflakeSandbox, decide: Decide, tmp_path: Path, how: str, options: dict[str, t.Any]
) -> None:
    """The session's own key is never overwritten or retired, whatever is said about the key in use."""
    path = tmp_path / "admin.p8"
    path.write_text(pem("admin"))
    login = {"login_private_key": pem("admin")} if how == "text" else {"login_private_key_path": str(path)}
    for first, second, current in (
        ("admin", None, "admin"),
        ("admin", "orphan", "admin"),
        ("orphan", "admin", "admin"),
        ("admin", "in use", "in use"),
        ("in use", "admin", "in use"),
        ("admin", "orphan", None),
        ("admin", "orphan", "elsewhere"),
        ("admin", "new", None),
        ("new", "admin", None),
    ):
        fill(snowflake, first, second, ADMIN)
        given = {"current_public_key": public(current)} if current else {}
        answer = decide(name=ADMIN, login_user="rotator", private_key=pem("new"), **login, **given, **options)
        assert print_of("admin") in slots(snowflake, ADMIN), (first, second, current)
        if answer["failed"]:
            assert answer["error_code"] == "slots_full" and slots(snowflake, ADMIN) == [
                print_of(first),
                print_of(str(second)),
            ]
            assert current != "admin"
        else:
            assert print_of("new") in slots(snowflake, ADMIN) and answer["verified"]
            assert current != "in use"


def test_another_users_key_is_not_the_administrators(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "admin", name=ADMIN)
    fill(etl, "in use", "admin")
    answer = decide(private_key=pem("new"), login_private_key=pem("admin"), current_public_key=public("in use"))
    assert answer["verified"] and slots(etl) == [print_of("in use"), print_of("new")]


# -- many users


def test_fifty_users_in_one_task(snowflake: SnowflakeSandbox, decide: Decide) -> None:
    """One login of the administrator, 50 ALTERs, 50 proofs."""
    names = [f"U{number:02}" for number in range(50)]
    for name in names:
        snowflake.add_user(name, type="SERVICE")
        fill(snowflake, "in use", "orphan", name)
    users = [{"name": name, "private_key": pem("new"), "current_public_key": public("in use")} for name in names]
    answer = decide(users=users)
    assert not answer["failed"] and answer["changed"]
    assert [entry["name"] for entry in answer["rotations"]] == names
    assert all(entry["changed"] and entry["verified"] for entry in answer["rotations"])
    assert snowflake.logins == [(ADMIN, "password", "ok"), *[(name, "key_pair", "ok") for name in names]]
    assert writes(snowflake) == [f"ALTER USER {name} SET RSA_PUBLIC_KEY_2" for name in names]
    assert snowflake.open_sessions() == 0
    snowflake.journal.clear()
    again = decide(users=users)
    assert not again["changed"] and all(entry["verified"] for entry in again["rotations"])
    assert writes(snowflake) == []


def test_one_that_fails_stops_no_other(snowflake: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    for name in ("GOOD", "FULL", "OTHERS", "REFUSED", "UNPROVED", "LAST"):
        snowflake.add_user(name, type="SERVICE")
    fill(snowflake, "in use", "foreign", "FULL")
    snowflake.add_role("OTHERS")
    snowflake.user("OTHERS").owner = "OTHERS"
    snowflake.grant("MONITOR", "OTHERS", "SECURITYADMIN")
    text = "New public key rejected by current policy. Reason: 'Invalid Public key'"
    snowflake.faults.add(Fault("ALTER USER REFUSED", response=snowflake.statement_failure(3002, text)))
    snowflake.faults.add(Fault("login UNPROVED", response=snowflake.login_failure(WRONG_KEY, "JWT token is invalid.")))
    names = ["GOOD", "FULL", "NOBODY", "OTHERS", "REFUSED", "UNPROVED", "LAST"]
    answer = decide(users=[{"name": name, "private_key": pem("new")} for name in names])
    entries = {entry["name"]: entry for entry in answer["rotations"]}
    assert list(entries) == names and answer["failed"] and answer["changed"] and "error_code" not in answer
    assert {name: entry.get("error_code") for name, entry in entries.items()} == {
        "GOOD": None,
        "FULL": "slots_full",
        "NOBODY": "not_found",
        "OTHERS": "not_permitted",
        "REFUSED": "refused",
        "UNPROVED": "verify_failed",
        "LAST": None,
    }
    assert entries["REFUSED"]["refusal_code"] == 3002
    assert [name for name, entry in entries.items() if entry["changed"]] == ["GOOD", "UNPROVED", "LAST"]
    assert [name for name, entry in entries.items() if entry["verified"]] == ["GOOD", "LAST"]
    assert [name for name, entry in entries.items() if entry.get("retry_safe")] == ["UNPROVED"]


def test_the_finer_privilege_is_enough(etl: SnowflakeSandbox, decide: Decide) -> None:
    """MODIFY PROGRAMMATIC AUTHENTICATION METHODS instead of OWNERSHIP, where such a role may DESCRIBE."""
    etl.add_role("USER_ROTATOR", granted_to=["SECURITYADMIN"])
    etl.user(ADMIN).roles.add("USER_ROTATOR")
    etl.add_role("OWNERS")
    etl.user("ETL").owner = "OWNERS"
    refused = decide(private_key=pem("new"), login_role="USER_ROTATOR")
    assert refused["error_code"] in ("not_found", "not_permitted")
    etl.grant(MODIFY_METHODS, "ETL", "USER_ROTATOR")
    for method in ({}, {"method": "named", "key_pair_name": "etl", "private_key": pem("other")}):
        answer = decide(**{"private_key": pem("new"), "login_role": "USER_ROTATOR", **method})
        assert answer["verified"], answer
    etl.account.modify_can_describe = False
    answer = decide(private_key=pem("third"), login_role="USER_ROTATOR")
    assert answer["failed"] and answer["error_code"] in ("not_found", "not_permitted")


# -- recovered keys


MFA_LIKE = [(394508, "MFA with TOTP is required."), (394999, "Rejected by authentication policy."), (394302, "Clock.")]


@pytest.mark.parametrize(("code", "text"), MFA_LIKE)
@pytest.mark.parametrize("recovered", [True, False])
def test_an_answer_that_nobody_listed_leaves_a_key_unproved_and_in_force(
    etl: SnowflakeSandbox, decide: Decide, code: int, text: str, recovered: bool
) -> None:
    etl.faults.add(Fault("login ETL", response=etl.login_failure(code, text)))
    answer = decide(private_key=pem("new"), recovered=recovered)
    assert (answer["failed"], answer["changed"], answer["verified"], answer["in_force"]) == (False, True, False, True)
    assert answer["verify_skipped_reason"] in ("mfa_required", "authentication_policy", "clock_differs")


@pytest.mark.parametrize("answered", ["refused", "lost"])
def test_a_recovered_key_is_in_force_where_its_fingerprint_is(
    etl: SnowflakeSandbox, decide: Decide, answered: str
) -> None:
    fill(etl, "in use", "new")
    if answered == "refused":
        etl.faults.add(Fault("login ETL", response=etl.login_failure(WRONG_KEY, "JWT token is invalid.")))
    else:
        etl.faults.add(Fault("login ETL", times=99, drop="before"))
    answer = decide(private_key=pem("new"), recovered=True, login_timeout=2)
    assert (answer.get("error_code"), answer["in_force"]) == ("verify_failed" if answered == "refused" else None, True)
    assert writes(etl) == []


def test_a_recovered_key_in_no_slot_that_finds_no_place_is_certainly_not_in_force(
    etl: SnowflakeSandbox, decide: Decide
) -> None:
    fill(etl, "in use", "orphan")
    answer = decide(private_key=pem("new"), recovered=True)
    assert (answer["error_code"], answer["in_force"]) == ("slots_full", False) and proofs(etl) == []


def test_keys_are_installed_and_retired_in_one_call_as_each_user_says(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]
) -> None:
    for name in ("DUE", "AGED", "GONE", "KEPT"):
        snowflake.add_user(name, type="SERVICE")
        fill(snowflake, "in use", None if name in ("DUE", "GONE") else "new", name)
    aged = {"private_key": pem("new"), "install": False, "retire_previous_after": "0h"}
    users = [
        {"name": "due", "private_key": pem("new"), "recovered": True},
        {"name": "aged", **aged},
        {"name": "gone", **aged},
        {"name": "kept", **aged, "retire_previous_after": "7d"},
        {"name": "unmade"},
    ]
    answer = ansible.calls(MODULE, [Call({**login, "users": users})]).answers[0]
    due, done, gone, kept, unmade = answer["rotations"]
    assert (due["changed"], due["verified"], due["in_force"]) == (True, True, True)
    assert slots(snowflake, "DUE") == [print_of("in use"), print_of("new")]
    assert (done["evicted_fingerprint"], slots(snowflake, "AGED")) == (print_of("in use"), [None, print_of("new")])
    assert (gone["error_code"], gone["retry_safe"], slots(snowflake, "GONE")) == (
        "refused",
        True,
        [print_of("in use"), None],
    )
    assert (kept["changed"], slots(snowflake, "KEPT")) == (False, [print_of("in use"), print_of("new")])
    assert unmade["error_code"] == "invalid_input" and unmade["left"] == "untouched"
    # Snowflake's clock is asked once in the session, and nobody else's counts.
    assert len(snowflake.journal.labels("^SELECT")) == 1


def test_the_administrator_comes_last(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", name=ADMIN)
    users = [{"name": name, "private_key": pem("new")} for name in (ADMIN, "etl")]
    answer = decide(users=users)
    assert [entry["name"] for entry in answer["rotations"]] == [ADMIN, "etl"] and not answer["failed"]
    assert [label.split()[2] for label in writes(etl)] == ["ETL", ADMIN]


# -- no write on a stale read


def test_a_look_before_a_retirement_that_gets_no_answer_has_written_nothing(
    etl: SnowflakeSandbox, decide: Decide
) -> None:
    fill(etl, "in use", "new")
    lost = Fault("^DESC", times=99, drop="before")
    etl.faults.add(Fault("login ETL", after=lambda: etl.faults.add(lost)))
    answer = decide(private_key=pem("new"), retire_previous_after="0h", login_timeout=2)
    assert (answer["error_code"], answer["changed"], writes(etl)) == ("unreachable", False, [])
    assert answer["evicted_fingerprint"] is None and "acknowledged" not in answer["msg"]


def test_a_slot_that_another_run_has_filled_since_is_not_overwritten(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "orphan")
    etl.faults.add(Fault("^DESC", after=lambda: fill(etl, "foreign", "in use")))
    answer = decide(private_key=pem("new"), current_public_key=public("in use"))
    # Planned anew: the key in use is in the other slot now, and what was evicted is what stood there.
    assert slots(etl) == [print_of("new"), print_of("in use")] and answer["evicted_fingerprint"] == print_of("foreign")
    fill(etl, "in use", "orphan")
    etl.faults.add(Fault("^DESC", after=lambda: fill(etl, "orphan", "foreign")))
    answer = decide(private_key=pem("new"), current_public_key=public("in use"))
    assert (answer["error_code"], slots(etl)) == ("slots_full", [print_of("orphan"), print_of("foreign")])
    assert answer["in_force"] is False and answer["evicted_fingerprint"] is None


def test_a_key_that_another_run_has_placed_since_is_not_retired(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "new", "in use")
    user = etl.user("ETL")
    user.rsa_public_key_2_last_set_time = etl.account.clock() - dt.timedelta(days=9)

    def place() -> None:
        user.rsa_public_key_2, user.rsa_public_key_2_last_set_time = public("foreign"), etl.account.clock()

    etl.faults.add(Fault("login ETL", after=place))
    answer = decide(private_key=pem("new"), retire_previous_after="0h")
    assert not answer["changed"] and answer["evicted_fingerprint"] is None
    assert slots(etl) == [print_of("new"), print_of("foreign")]


# -- check mode and diff


def test_check_mode_announces_a_retirement_and_the_new_fingerprint(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "new")
    answer = decide(check=True, private_key=pem("new"), retire_previous_after="0h")
    assert answer["changed"] and {"planned": "Retire", "slot": 1} in answer["diff"]["after"]["keys"]
    assert not decide(check=True, private_key=pem("new"), retire_previous_after="7d")["changed"]
    answer = decide(check=True, private_key=pem("other"), current_public_key=public("new"))
    assert answer["diff"]["after"]["keys"][-1] == {
        "planned": "SetSlot",
        "fingerprint": print_of("other"),
        "slot": 1,
    }
    users = [{"name": "etl"}, {"name": "etl", "current_public_key": public("new")}]
    answer = decide(check=True, users=users[:1])
    assert answer["rotations"][0]["error_code"] == "slots_full"
    assert decide(check=True, users=users[1:])["changed"]
    assert writes(etl) == [] and proofs(etl) == []


@pytest.mark.parametrize("method", ["slots", "named"])
def test_check_mode(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path, method: str) -> None:
    fill(etl, "in use", "orphan")
    named = {"method": "named", "key_pair_name": "etl"} if method == "named" else {}
    current = {"current_public_key": public("in use")}
    for given in ({"private_key": pem("new")}, {"private_key_path": str(tmp_path / "etl.p8")}):
        answer = decide(check=True, **given, **current, **named)
        assert answer["changed"] and not answer["verified"] and answer["verify_skipped_reason"] == "check_mode"
        assert answer["diff"]["before"] != answer["diff"]["after"]
        assert not any(line in json.dumps(answer) for line in key_text("new"))
    assert writes(etl) == [] and proofs(etl) == [] and not (tmp_path / "etl.p8").exists()
    assert decide(private_key=pem("new"), **current, **named)["changed"]
    answer = decide(check=True, private_key=pem("new"), **current, **named)
    assert not answer["changed"] and not answer["verified"] and "diff" not in answer


def test_the_diff_holds_fingerprints_and_no_keys(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "orphan")
    answer = decide(private_key=pem("new"), current_public_key=public("in use"))
    before, after = (json.dumps(answer["diff"][side]) for side in ("before", "after"))
    assert print_of("orphan") in before and print_of("new") not in before
    assert print_of("new") in after and print_of("orphan") not in after and print_of("in use") in after
    said = json.dumps(answer)
    assert not any(line in said for line in key_text("new")) and public("new")[:60] not in said


# -- lost answers

LOST: list[tuple[str, str]] = [(how, side) for how in ("drop", "hang") for side in ("before", "after")]
# Which of us gives up first depends on the machine. If it is the connector, the statement is over, and the look
# decides; one that we stopped waiting for is under way: it may still take effect after we have looked.
OVER, UNDER_WAY = "unreachable", "unknown_outcome"


def lose(snowflake: SnowflakeSandbox, label: str, how: str, side: str, *, times: int = 99) -> None:
    options: dict[str, t.Any] = {how: side}
    snowflake.faults.add(Fault(label, times=times, **options))


@pytest.mark.parametrize(("how", "side"), LOST)
@pytest.mark.parametrize("method", ["slots", "add", "rotate"])
def test_a_lost_answer_is_decided_by_looking(
    etl: SnowflakeSandbox, decide: Decide, how: str, side: str, method: str
) -> None:
    """Whether or not the change took effect, the outcome says so; running again with the same key is always right."""
    fill(etl, "in use", "orphan")
    options: Answer = {"private_key": pem("new"), "current_public_key": public("in use"), "login_timeout": 2}
    if method != "slots":
        options |= {"method": "named", "key_pair_name": "etl"}
    if method == "rotate":
        etl.user("ETL").key_pairs["ETL"] = KeyPair("ETL", public("old"), etl.account.clock(), ADMIN)
    lose(etl, "ALTER USER ETL", how, side)
    answer = decide(**options)
    if side == "after":
        assert answer["changed"] and answer["verified"] and not answer["failed"], answer
    else:
        assert answer["error_code"] in (OVER, UNDER_WAY) and answer["retry_safe"] and not answer["changed"]
        assert not etl.accepts_key("ETL", public("new"))
    assert etl.accepts_key("ETL", public("in use"))
    etl.faults.clear()
    again = decide(**options)
    assert again["verified"] and etl.accepts_key("ETL", public("in use"))
    assert again["changed"] == (side == "before") or answer["error_code"] == UNDER_WAY


@pytest.mark.parametrize(("how", "side"), LOST)
def test_a_lost_answer_to_a_retirement(etl: SnowflakeSandbox, decide: Decide, how: str, side: str) -> None:
    fill(etl, "in use", "new")
    lose(etl, "UNSET", how, side)
    answer = decide(private_key=pem("new"), retire_previous_after="0h", login_timeout=2)
    assert answer["verified"] and answer.get("error_code") in ((OVER, UNDER_WAY) if side == "before" else (None,))
    assert slots(etl) == [print_of("in use") if side == "before" else None, print_of("new")]
    assert answer["changed"] == (side == "after")


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_lost_answer_and_nothing_to_be_seen(etl: SnowflakeSandbox, decide: Decide, side: str) -> None:
    fill(etl, "in use")
    lose(etl, "ALTER USER ETL", "drop", side)
    etl.faults.add(Fault("DESCRIBE USER ETL", skip=1, times=99, drop="before"))
    answer = decide(private_key=pem("new"), login_timeout=2)
    assert answer["error_code"] == "unknown_outcome" and answer["retry_safe"] and not answer["verified"]
    assert print_of("in use") in slots(etl)
    etl.faults.clear()
    assert decide(private_key=pem("new"))["verified"]


def test_an_acknowledged_change_that_cannot_be_seen(etl: SnowflakeSandbox, decide: Decide) -> None:
    etl.faults.add(Fault("DESCRIBE USER ETL", skip=1, times=99, drop="before"))
    answer = decide(private_key=pem("new"), login_timeout=2)
    assert answer["error_code"] == "unknown_outcome" and answer["changed"] and answer["retry_safe"]


def test_an_acknowledged_change_that_is_not_there(etl: SnowflakeSandbox, decide: Decide) -> None:
    """What DESCRIBE shows counts, not what ALTER said; there is no login with a key that is not there."""
    etl.faults.add(Fault("ALTER USER ETL", after=lambda: fill(etl, None)))
    answer = decide(private_key=pem("new"))
    assert answer["error_code"] == "verify_failed" and not answer["verified"] and proofs(etl) == []


def test_a_proof_that_fails(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "orphan")
    etl.faults.add(Fault("login ETL", response=etl.login_failure(WRONG_KEY, "JWT token is invalid.")))
    answer = decide(private_key=pem("new"), current_public_key=public("in use"))
    assert answer["error_code"] == "verify_failed" and answer["changed"] and answer["retry_safe"]
    assert print_of("new") in answer["msg"] and str(WRONG_KEY) in answer["msg"]
    assert slots(etl) == [print_of("in use"), print_of("new")]
    etl.faults.add(Fault("login ETL", response=etl.login_failure(WRONG_KEY, "JWT token is invalid.")))
    again = decide(private_key=pem("new"))
    assert again["error_code"] == "verify_failed" and not again["changed"]


def test_verify_false_does_not_log_in(etl: SnowflakeSandbox, decide: Decide) -> None:
    answer = decide(private_key=pem("new"), verify=False)
    assert answer["changed"] and not answer["verified"] and answer["verify_skipped_reason"] == "verify_disabled"
    assert proofs(etl) == []


def test_an_administrator_that_is_refused(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    path = tmp_path / "etl.p8"
    answer = decide(private_key_path=str(path), login_password=fresh_password())
    assert answer["error_code"] == "auth_failed" and not path.exists() and writes(etl) == []


# -- named key pairs


def pairs(snowflake: SnowflakeSandbox) -> dict[str, str]:
    now = snowflake.account.clock()
    return {pair.name.split("_ROTATED_")[0] + (" (old)" if pair.rotated_to else ""): pair.status(now)
            for pair in snowflake.user("ETL").key_pairs.values()}  # fmt: skip


@pytest.mark.parametrize("hours", [24, 0])
def test_add_rotate_and_expire(etl: SnowflakeSandbox, decide: Decide, hours: int) -> None:
    named = {"method": "named", "key_pair_name": "etl", "rotated_key_expiry_hours": hours}
    fill(etl, "foreign", "orphan")
    first = decide(private_key=pem("one"), **named)
    assert first["changed"] and first["verified"] and first["key_pair_name"] == "ETL" and first["rotated_at"]
    assert not decide(private_key=pem("one"), **named)["changed"]
    second = decide(private_key=pem("two"), **named)
    assert second["changed"] and second["verified"] and second["previous_fingerprint"] == print_of("one")
    assert {entry["fingerprint"] for entry in second["keys"]} == {print_of("one"), print_of("two")}
    assert etl.accepts_key("ETL", public("one")) == (hours > 0)
    later(etl, hours=24, minutes=1)
    assert not etl.accepts_key("ETL", public("one")) and etl.accepts_key("ETL", public("two"))
    # The slots are none of this method's business.
    assert slots(etl) == [print_of("foreign"), print_of("orphan")] and "slot" not in second


@pytest.mark.parametrize("lost", [False, True])
def test_tombstones_go_when_the_limit_is_in_the_way(etl: SnowflakeSandbox, decide: Decide, lost: bool) -> None:
    named = {"method": "named", "key_pair_name": "etl", "login_timeout": 2}
    for number in range(10):
        # Two by turns: an expired key may come back.
        answer = decide(private_key=pem("one" if number % 2 else "two"), **named)
        assert answer["verified"], answer
        later(etl, hours=25)
    assert len(etl.user("ETL").key_pairs) == 10 and not etl.journal.labels("REMOVE")
    oldest = min(pair.name for pair in etl.user("ETL").key_pairs.values() if pair.rotated_to)
    if lost:
        lose(etl, "REMOVE KEY PAIR", "drop", "after")
    answer = decide(private_key=pem("three"), **named)
    assert answer["changed"] and answer["verified"] and len(etl.user("ETL").key_pairs) == 10
    assert oldest not in etl.user("ETL").key_pairs and len(etl.journal.labels("REMOVE")) >= 1


def test_ten_pairs_of_which_none_has_expired(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    now = etl.account.clock()
    for number in range(10):
        etl.user("ETL").key_pairs[f"P{number}"] = KeyPair(f"P{number}", public(f"pair {number % 3}"), now, ADMIN)
    named = {"method": "named", "key_pair_name": "etl"}
    for given in ({"private_key": pem("new")}, {"private_key_path": str(tmp_path / "no.p8")}):
        answer = decide(**given, **named)
        assert answer["error_code"] == "slots_full" and not answer["changed"]
        assert all(f"P{number}" in answer["msg"] for number in range(10)) and print_of("pair 1") in answer["msg"]
    assert writes(etl) == [] and not (tmp_path / "no.p8").exists()


@pytest.mark.parametrize("state", ["disabled", "elsewhere", "elsewhere, disabled"])
def test_pairs_that_stand_in_the_way(etl: SnowflakeSandbox, decide: Decide, state: str) -> None:
    now = etl.account.clock()
    name = "ETL" if state == "disabled" else "OTHER"
    etl.user("ETL").key_pairs[name] = KeyPair(name, public("new"), now, ADMIN, disabled="disabled" in state)
    answer = decide(private_key=pem("new"), method="named", key_pair_name="etl")
    assert answer["error_code"] == "refused" and name in answer["msg"] and writes(etl) == []
    assert name == "ETL" or print_of("new") in answer["msg"]


def test_a_key_that_stands_in_a_slot_already(etl: SnowflakeSandbox, decide: Decide) -> None:
    """Snowflake refuses it; the new pair of a migration needs a new key."""
    fill(etl, "new")
    answer = decide(private_key=pem("new"), method="named", key_pair_name="etl")
    assert answer["error_code"] == "refused" and not answer["changed"] and pairs(etl) == {}


@pytest.mark.parametrize("listed", [True, False])
def test_slots_in_the_list_of_pairs_are_not_pairs(etl: SnowflakeSandbox, decide: Decide, listed: bool) -> None:
    etl.account.key_pairs_list_slots = listed
    fill(etl, "foreign", "orphan")
    answer = decide(private_key=pem("new"), method="named", key_pair_name="etl")
    assert answer["verified"] and [entry["name"] for entry in answer["keys"]] == ["ETL"]
    assert pairs(etl) == {"ETL": "ACTIVE"}


@pytest.mark.parametrize("name", ['"mixed Case"', "per-ETL", "etl"])
def test_names_of_pairs_follow_sql(etl: SnowflakeSandbox, decide: Decide, name: str) -> None:
    stored = {'"mixed Case"': "mixed Case", "per-ETL": "per-ETL", "etl": "ETL"}[name]
    answer = decide(private_key=pem("new"), method="named", key_pair_name=name)
    assert answer["key_pair_name"] == stored and list(etl.user("ETL").key_pairs) == [stored]
