# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only the front door shows of snowflake_user_password, through real ansible-playbook."""

from __future__ import annotations

import concurrent.futures
import functools
import re
import secrets
import socket
import time
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import forms
from tests.integration.conftest import ADMIN, fresh_password, survives_crashes
from tests.integration.snowflake_user_password.conftest import (
    MODULE,
    Answer,
    failed_logins,
    logins,
    pem,
    public,
    rsa_key,
    writes,
)
from tests.integration.support import Ansible, Call
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox

pytestmark = [
    pytest.mark.connector,
    survives_crashes,
    # Of the threads in which calls are left behind that have no bound of their own.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


# -- helpers


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


# -- the front door


def ways_to_log_in(snowflake: SnowflakeSandbox, directory: Path) -> dict[str, dict[str, t.Any]]:
    """Name: the options that log in, in every form that the documentation promises."""
    snowflake.user(ADMIN).rsa_public_key = public(rsa_key())
    snowflake.add_user("EC_ROTATOR", default_role="SECURITYADMIN", public_key=public(ec_key()))
    pat, oauth, passphrase = (secrets.token_urlsafe(30) for _each in range(3))
    snowflake.add_pat(ADMIN, token=pat)
    snowflake.add_oauth_token(ADMIN, token=oauth)
    path = directory / "rotator.p8"
    path.write_text(pem(rsa_key()))
    encrypted = directory / "rotator-encrypted.p8"
    encrypted.write_text(pem(rsa_key(), passphrase))
    pkcs1 = serialization.PrivateFormat.TraditionalOpenSSL
    plain = pem(rsa_key())
    return {
        "password": {"login_password": snowflake.user(ADMIN).password},
        "password, named": {"login_password": snowflake.user(ADMIN).password, "login_authenticator": "password"},
        "role": {"login_password": snowflake.user(ADMIN).password, "login_role": "securityadmin"},
        "key PKCS#8": {"login_private_key": plain, "login_authenticator": "key_pair"},
        "key PKCS#1": {"login_private_key": pem(rsa_key(), form=pkcs1)},
        "key path": {"login_private_key_path": str(path)},
        "key path, encrypted": {
            "login_private_key_path": str(encrypted),
            "login_private_key_passphrase": passphrase,
        },
        "key encrypted": {"login_private_key": encrypted.read_text(), "login_private_key_passphrase": passphrase},
        "key PKCS#1 encrypted": {
            "login_private_key": pem(rsa_key(), passphrase, pkcs1),
            "login_private_key_passphrase": passphrase,
        },
        "key CRLF": {"login_private_key": plain.replace("\n", "\r\n")},
        "key indented": {"login_private_key": "\n" + "".join(f"    {line}  \n" for line in plain.splitlines())},
        "key EC": {"login_private_key": pem(ec_key()), "login_user": "EC_ROTATOR"},
        "OAuth": {"login_token": oauth, "login_authenticator": "oauth"},
        "programmatic access token": {"login_token": pat, "login_authenticator": "programmatic_access_token"},
        "token as password": {"login_password": pat},
    }


def test_every_way_to_log_in(snowflake: SnowflakeSandbox, ansible: Ansible, tmp_path: Path) -> None:
    ways = ways_to_log_in(snowflake, tmp_path)
    wanted = {way: fresh_password() for way in ways}
    calls = []
    for number, (way, options) in enumerate(ways.items()):
        snowflake.add_user(f"U{number}", password=fresh_password())
        given = {"login_user": ADMIN, **snowflake.settings(), **options, "name": f"U{number}", "password": wanted[way]}
        calls.append(Call(given))
    answers = dict(zip(ways, ansible.calls(MODULE, calls).answers, strict=True))
    assert {way: (answer["changed"], answer.get("verified"), answer.get("msg")) for way, answer in answers.items()} == {
        way: (True, True, None) for way in ways
    }
    assert all(snowflake.accepts(f"U{number}", wanted[way]) for number, way in enumerate(ways))
    methods = [method for name, method, _code in snowflake.logins if not name.startswith("U")]
    assert methods == ["password"] * 3 + ["key_pair"] * 9 + ["oauth", "programmatic_access_token", "password"]


def test_the_environment_of_snowflakes_cli(snowflake: SnowflakeSandbox, ansible: Ansible, tmp_path: Path) -> None:
    snowflake.user(ADMIN).rsa_public_key = public(rsa_key())
    snowflake.add_user("OTHER", password=fresh_password(), default_role="SECURITYADMIN")
    token, passphrase = secrets.token_urlsafe(30), secrets.token_urlsafe(12)
    snowflake.add_oauth_token(ADMIN, token=token)
    path = tmp_path / "rotator.p8"
    path.write_text(pem(rsa_key(), passphrase))
    where = {
        "SNOWFLAKE_ACCOUNT": snowflake.account.name,
        "SNOWFLAKE_HOST": snowflake.host,
        "SNOWFLAKE_PORT": str(snowflake.port),
        "SNOWFLAKE_PROTOCOL": "http",
        "SNOWFLAKE_USER": ADMIN,
        "SNOWFLAKE_ROLE": "SECURITYADMIN",
    }
    wrong = {name: "wrong" for name in where} | {"SNOWFLAKE_PORT": "1", "SNOWFLAKE_PROTOCOL": "https"}
    cases: list[tuple[dict[str, str], dict[str, t.Any], tuple[str, str]]] = [
        ({**where, "SNOWFLAKE_PASSWORD": snowflake.user(ADMIN).password or ""}, {}, (ADMIN, "password")),
        ({**where, "SNOWFLAKE_PRIVATE_KEY_RAW": pem(rsa_key())}, {}, (ADMIN, "key_pair")),
        (
            {**where, "SNOWFLAKE_PRIVATE_KEY_PATH": str(path), "PRIVATE_KEY_PASSPHRASE": passphrase},
            {},
            (ADMIN, "key_pair"),
        ),
        ({**where, "SNOWFLAKE_TOKEN": token, "SNOWFLAKE_AUTHENTICATOR": "OAUTH"}, {}, (ADMIN, "oauth")),
        # An option wins over the environment, and a secret of an option over any secret of the environment.
        (
            {**wrong, "SNOWFLAKE_PASSWORD": "wrong", "SNOWFLAKE_TOKEN": "wrong", "SNOWFLAKE_AUTHENTICATOR": "OAUTH"},
            {
                **snowflake.settings(),
                "login_user": "OTHER",
                "login_role": "SECURITYADMIN",
                "login_password": snowflake.user("OTHER").password,
            },
            ("OTHER", "password"),
        ),
    ]
    calls = []
    for number, (environment, options, _who) in enumerate(cases):
        snowflake.add_user(f"U{number}", password=fresh_password())
        calls.append(Call({**options, "name": f"U{number}", "password": fresh_password()}, environment))
    answers = ansible.calls(MODULE, calls).answers
    assert [(answer["changed"], answer.get("verified"), answer.get("msg")) for answer in answers] == (
        [(True, True, None)] * len(cases)
    )
    admins = [(name, method) for name, method, _code in snowflake.logins if not name.startswith("U")]
    assert admins == [who for _environment, _options, who in cases]


def test_check_set_again_and_always(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any], old: str
) -> None:
    wanted, third, checks = fresh_password(), fresh_password(), {"check_mode": True}
    options = {**login, "name": "etl", "password": wanted}
    calls = [
        Call(options, keywords=checks),
        Call(options),
        Call(options),
        Call(options, keywords=checks),
        Call({**options, "update_password": "always"}),
        Call({**options, "update_password": "always", "password": third, "verify": False}),
    ]
    run_ = ansible.calls(MODULE, calls, "--diff")
    foreseen, done, again, nothing, same, unproved = run_.answers
    fields = ("changed", "failed", "verified", "verify_skipped_reason")
    assert [tuple(answer.get(field) for field in fields) for answer in run_.answers] == [
        (True, False, False, "check_mode"),
        (True, False, True, None),
        (False, False, True, None),
        (False, False, False, "check_mode"),
        (False, False, True, None),
        (True, False, False, "verify_disabled"),
    ]
    assert snowflake.accepts("ETL", third)
    # Two changes, and a refused one that found the present password; check mode wrote nothing.
    assert writes(snowflake) == ["ALTER USER ETL SET PASSWORD"] * 3
    assert failed_logins(snowflake, "ETL") == ["390100"] * 2  # the check and the run that it foresaw
    for answer in run_.answers:
        (entry,) = answer["rotations"]
        assert entry["name"] == "etl" and entry["login_name"] == "ETL" and entry["password_last_set_time"]
        assert {field: answer[field] for field in entry} == entry
    assert foreseen["diff"]["after"]["password"] == "would change"
    assert done["diff"]["after"]["password"] == "changed"
    assert done["diff"]["before"]["password_last_set_time"] != done["diff"]["after"]["password_last_set_time"]
    assert set(done["diff"]["after"]) == {
        "disabled",
        "locked",
        "must_change_password",
        "password",
        "password_last_set_time",
    }
    assert "diff" not in again and "diff" not in nothing and "diff" not in same
    assert unproved["diff"]["after"]["password"] == "changed"
    for password in (old, wanted, third):
        assert password not in run_.output


def tricky_passwords() -> list[str]:
    """20 passwords with what shells, templates, SQL, formats and terminals trip over; each differs from run to run."""
    tail = f"{secrets.token_hex(4)}Aa1"
    longest = f"{tail}{secrets.token_urlsafe(200)}"
    return [
        f"'{tail}'",
        f'"{tail}"',
        f"\\{tail}\\",
        f"\\'{tail}\\",
        f"{{{{ 7*7 }}}}{tail}",
        f"{{% raw %}}{tail}{{# #}}",
        f"%s%(x)s%{tail}",
        f"$${tail}$$",
        f"${{HOME}}`id`$(id){tail}",
        f"two\nlines{tail}\n",
        f"two\r\nlines{tail}",
        f"😀{tail}é\u202e\u05d0\u05d1",
        f"--{tail}/* */",
        f"'; DROP USER ROTATOR; --{tail}",
        f"{secrets.token_hex(12)}Aa1==",
        f"e\u0301{tail}",
        f" {tail} ",
        f"\t{tail}<&amp;>%00%27",
        f"!unsafe {tail}: [x]",
        longest[:256],
    ]


def test_tricky_passwords_of_twenty_users_with_one_login_of_the_administrator(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]
) -> None:
    wanted = {f"u{number}": password for number, password in enumerate(tricky_passwords())}
    assert len(wanted) == 20
    for name in wanted:
        snowflake.add_user(name, password=fresh_password())
    snowflake.account.password_policy.min_upper = 0
    users = [{"name": name, "password": password} for name, password in wanted.items()]
    run_ = ansible.calls(MODULE, [Call({**login, "users": users})], "-vvvv", "--diff")
    (answer,) = run_.answers
    assert [(entry["name"], entry["changed"], entry["verified"]) for entry in answer["rotations"]] == [
        (name, True, True) for name in wanted
    ]
    assert [name for name, password in wanted.items() if not snowflake.accepts(name, password)] == []
    assert logins(snowflake, ADMIN) == ["ok"]
    assert snowflake.journal.labels("^(ALTER|CREATE|DROP)") == [
        f"ALTER USER {name.upper()} SET PASSWORD" for name in wanted
    ]
    assert len(answer["diff"]) == 20
    for password in wanted.values():
        assert [form for form in forms(password) if len(form) >= 8 and form in run_.output] == []


def test_one_that_fails_does_not_stop_the_others(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]
) -> None:
    for name in ("GOOD1", "GOOD2", "GOOD3"):
        snowflake.add_user(name, password=fresh_password())
    snowflake.add_user("SVC", type="SERVICE")
    wanted = fresh_password()
    mixed = [{"name": name, "password": wanted} for name in ("good1", "svc", "good2", "nobody", "good3")]
    same = [{"name": name, "password": wanted} for name in ("good1", "nobody", "nobody2")]
    run_ = ansible.calls(MODULE, [Call({**login, "users": mixed}), Call({**login, "users": same})])
    first, second = run_.answers
    assert [(entry["name"], entry["changed"], entry.get("error_code")) for entry in first["rotations"]] == [
        ("good1", True, None),
        ("svc", False, "refused"),
        ("good2", True, None),
        ("nobody", False, "not_found"),
        ("good3", True, None),
    ]
    assert (first["failed"], first["changed"], first["retry_safe"]) == (True, True, False)
    assert "error_code" not in first  # they do not share one
    assert re.match("2 of 5 users failed.*svc.*nobody", first["msg"])
    assert all(snowflake.accepts(name, wanted) for name in ("GOOD1", "GOOD2", "GOOD3"))
    assert logins(snowflake, ADMIN) == ["ok", "ok"]
    assert (second["failed"], second["changed"], second["error_code"]) == (True, False, "not_found")


def test_wrong_arguments_reach_no_server(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any], old: str
) -> None:
    user = {"name": "etl", "password": fresh_password()}
    bare = snowflake.settings()
    cases: list[tuple[dict[str, t.Any], str]] = [
        (login, "name"),
        ({**login, "name": "etl"}, "password"),
        ({**login, "password": fresh_password()}, "name"),
        ({**login, **user, "users": [user]}, "mutually exclusive"),
        ({**login, "users": [{"name": "etl"}]}, "password"),
        ({**login, **user, "login_token": secrets.token_urlsafe(9)}, "mutually exclusive"),
        ({**login, **user, "update_password": "sometimes"}, "update_password"),
        ({**bare, **user, "login_user": ADMIN}, "No way to log in"),
        ({**bare, **user, "login_user": ADMIN, "login_token": secrets.token_urlsafe(9)}, "login_authenticator"),
    ]
    answers = ansible.calls(MODULE, [Call(options) for options, _text in cases]).answers
    for answer, (_options, text) in zip(answers, cases, strict=True):
        assert answer["failed"] and not answer.get("changed") and text in answer["msg"]
    assert [answer.get("error_code") for answer in answers[-2:]] == ["invalid_input"] * 2
    assert snowflake.journal.labels() == []


@pytest.mark.slow
def test_silence_ends_within_a_minute_at_defaults(
    snowflake: SnowflakeSandbox, tmp_path: Path, login: dict[str, t.Any], old: str
) -> None:
    """A server that accepts and never answers, for the login and for the first statement; both at the same time."""
    snowflake.faults.add(Fault("^DESCRIBE", times=99, hang="before"))

    def timed(name: str, options: dict[str, t.Any]) -> tuple[Answer, float]:
        (tmp_path / name).mkdir()
        begun = time.monotonic()
        (answer,) = Ansible(tmp_path / name, {}).calls(MODULE, [Call(options)]).answers
        return answer, time.monotonic() - begun

    user = {"name": "etl", "password": fresh_password()}
    with socket.create_server(("127.0.0.1", 0)) as hole, concurrent.futures.ThreadPoolExecutor() as pool:
        black = pool.submit(timed, "login", {**login, **user, "login_port": hole.getsockname()[1]})
        silent = pool.submit(timed, "statement", {**login, **user})
        for answer, elapsed in (black.result(), silent.result()):
            assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("unreachable", False, True)
            assert 15 < elapsed < 60
