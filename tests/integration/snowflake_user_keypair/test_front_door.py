# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only the front door shows of snowflake_user_keypair, through real ansible-playbook."""

from __future__ import annotations

import json
import stat
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.conftest import ADMIN, survives_crashes
from tests.integration.keys import pem, print_of, public, public_pem
from tests.integration.snowflake_user_keypair.conftest import MODULE, OVER, UNDER_WAY, WRONG_KEY, Answer, fill, proofs
from tests.integration.support import Ansible, Call
from tests.leaks import leaks, leaks_below
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.users import KeyPair

pytestmark = [pytest.mark.connector, survives_crashes]


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
    output, artifacts = Ansible(tmp_path, {}).by_runner(MODULE, calls)
    secrets = (*hidden, written_key(keep))
    assert list(artifacts.rglob("job_events/*.json")), output
    assert leaks(output, *secrets) == [] and leaks_below(artifacts, *secrets) == []
