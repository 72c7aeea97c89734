# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module snowflake_user_password against the sandbox.

First what only the front door shows, through real ansible-playbook; then, in process and much cheaper, what the module
decides for every state of a user and every fault of the service.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import functools
import os
import re
import secrets
import socket
import time
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import forms
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_password import SPEC, run
from tests.integration.conftest import ADMIN, fresh_password, survives_crashes
from tests.integration.support import Ansible, Call
from tests.sandbox.server import Fault, Response
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.account import PLAIN_LOGIN_CODES

pytestmark = [
    pytest.mark.connector,
    survives_crashes,
    # Of the threads in which calls are left behind that have no bound of their own.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

MODULE = "snowflake_user_password"
Answer = dict[str, t.Any]
# With one of these, the administrator's password is not filled in.
SECRET_OPTIONS = ("login_private_key", "login_private_key_path", "login_token")


# -- helpers


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def public(key: PrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def pem(
    key: PrivateKey,
    passphrase: str | None = None,
    form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8,
) -> str:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, form, encryption).decode()


def failed_logins(snowflake: SnowflakeSandbox, name: str) -> list[str]:
    """The numbers with which logins of this user were refused."""
    return [code for login_name, _method, code in snowflake.logins if login_name == name and code != "ok"]


def logins(snowflake: SnowflakeSandbox, name: str) -> list[str]:
    return [code for login_name, _method, code in snowflake.logins if login_name == name]


def writes(snowflake: SnowflakeSandbox) -> list[str]:
    return snowflake.journal.labels("^ALTER ")


def later(snowflake: SnowflakeSandbox, **elapsed: float) -> None:
    """Move the account's clock."""
    moment = snowflake.account.clock() + dt.timedelta(**elapsed)
    snowflake.account.clock = lambda: moment


def lock(snowflake: SnowflakeSandbox, name: str) -> None:
    user = snowflake.user(name)
    user.failed_logins = snowflake.account.lockout_failures
    user.locked_until = snowflake.account.clock() + dt.timedelta(minutes=15)


class Decide(t.Protocol):
    """What the module decides for these options, in this process; ``check`` is check mode."""

    def __call__(self, **options: t.Any) -> Answer: ...


@pytest.fixture
def decide(login: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Decide:
    """The module's logic after Ansible's own argument validation, with the administrator's login filled in."""
    for name in [name for name in os.environ if name.startswith(("SNOWFLAKE_", "PRIVATE_KEY_"))]:
        monkeypatch.delenv(name)
    # The module sets it for its own process, which here is the test's: it is put back afterwards.
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")

    def call(**options: t.Any) -> Answer:
        check = options.pop("check", False)
        given = {**login, **options}
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
def old(snowflake: SnowflakeSandbox) -> str:
    """The present password of the user ETL."""
    password = fresh_password()
    snowflake.add_user("ETL", password=password)
    return password


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


# -- names


@pytest.mark.parametrize(
    "given, stored", [("etl_svc", "ETL_SVC"), ('"Mixed Case"', "Mixed Case"), ("jo@b.example",) * 2]
)
def test_names_follow_sql(snowflake: SnowflakeSandbox, decide: Decide, given: str, stored: str) -> None:
    snowflake.add_user(given, password=fresh_password())
    wanted = fresh_password()
    answer = decide(name=given, password=wanted)
    assert (answer["name"], answer["changed"], answer["verified"]) == (given, True, True)
    assert snowflake.account.users[stored].password == wanted


def test_the_login_name_is_what_logs_in(snowflake: SnowflakeSandbox, decide: Decide) -> None:
    snowflake.add_user("etl", login_name="etl@corp.example", password=fresh_password())
    answer = decide(name="etl", password=fresh_password())
    assert (answer["login_name"], answer["changed"], answer["verified"]) == ("ETL@CORP.EXAMPLE", True, True)
    assert logins(snowflake, "ETL@CORP.EXAMPLE") == ["390100", "ok"]


@pytest.mark.parametrize("name", ["", " ", '""', '"a"b"', "nul\0", "x" * 256])
def test_what_can_be_no_name(snowflake: SnowflakeSandbox, decide: Decide, name: str) -> None:
    answer = decide(name=name, password=fresh_password())
    assert (answer["error_code"], answer["changed"]) == ("invalid_input", False)
    assert snowflake.journal.labels() == []


def test_one_user_twice_with_the_same_password_is_done_once(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    wanted = fresh_password()
    answer = decide(users=[{"name": name, "password": wanted} for name in ("etl", "ETL", '"ETL"')])
    assert [(e["name"], e["changed"], e["verified"], e["failed"]) for e in answer["rotations"]] == [
        ("etl", True, True, False),
        ("ETL", False, True, False),
        ('"ETL"', False, True, False),
    ]
    assert writes(snowflake) == ["ALTER USER ETL SET PASSWORD"]
    assert logins(snowflake, "ETL") == ["390100", "ok"]


def test_one_user_twice_with_different_passwords_is_refused(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    users = [{"name": name, "password": fresh_password()} for name in ("etl", "other", "ETL")]
    answer = decide(users=users)
    codes = [entry["error_code"] for entry in answer["rotations"]]
    assert (codes[0], codes[2]) == ("invalid_input", "invalid_input") and codes[1] != "invalid_input"
    assert (answer["changed"], answer["failed"]) == (False, True) and snowflake.journal.labels("ETL") == []


# -- bad input


@pytest.mark.parametrize("password", ["", "Aa1-xyz", "Aa1-\0" + "x" * 9, "Aa1-" + "x" * 253, "Aa1-" + "x" * 296])
@pytest.mark.parametrize("many", [False, True], ids=["single", "users"])
def test_passwords_that_cannot_be(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, password: str, many: bool
) -> None:
    bad = {"name": "etl", "password": password}
    good = {"name": "other", "password": fresh_password()}
    answer = decide(users=[good, bad]) if many else decide(**bad)
    # The one beside it goes on, and is not there.
    codes = [entry["error_code"] for entry in answer["rotations"]]
    assert codes == (["not_found", "invalid_input"] if many else ["invalid_input"]) and not answer["changed"]
    assert not password or password not in str(answer)
    assert snowflake.journal.labels("ETL") == []


def test_the_longest_and_the_shortest_password(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    for wanted in ("Aa1-" + secrets.token_hex(126), "Aa1-" + secrets.token_hex(2)):
        answer = decide(name="etl", password=wanted)
        assert (len(wanted) in (8, 256), answer["changed"], answer["verified"]) == (True, True, True)
        assert snowflake.accepts("ETL", wanted)


@pytest.mark.parametrize(
    "options",
    [
        {"account": None},
        {"account": "  "},
        {"login_user": None},
        {"login_port": 0},
        {"login_port": 65536},
        {"login_timeout": 0},
        {"login_timeout": 3601},
        {"login_authenticator": "key_pair"},
        {"login_authenticator": "oauth"},
        {"login_token": "x" * 20, "login_authenticator": "key_pair"},
        {"login_token": "x" * 20},
        {"login_authenticator": "workload_identity"},
        {"users": [], "name": None, "password": None},
        {"login_private_key": "no key"},
        {"login_private_key_path": "/nonexistent/key.p8"},
        {"login_private_key_path": "/"},
    ],
    ids=str,
)
def test_options_that_cannot_be(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, options: dict[str, t.Any]
) -> None:
    with pytest.raises(InvalidInput):
        decide(**{"name": "etl", "password": fresh_password(), **options})
    assert snowflake.journal.labels() == []


def bad_keys() -> dict[str, dict[str, str]]:
    encrypted, passphrase = pem(rsa_key(), "right horse"), secrets.token_urlsafe(12)
    head, *lines, _last, foot = pem(rsa_key()).splitlines()
    body = "\n".join(lines)
    return {
        "cut off": {"login_private_key": f"{head}\n{body}\n{foot}\n"},
        "no armour": {"login_private_key": body},
        "public": {"login_private_key": public(rsa_key())},
        "no passphrase": {"login_private_key": encrypted},
        "wrong passphrase": {"login_private_key": encrypted, "login_private_key_passphrase": passphrase},
        "needless passphrase": {"login_private_key": pem(rsa_key()), "login_private_key_passphrase": passphrase},
        "text": {"login_private_key": secrets.token_urlsafe(40)},
    }


@pytest.mark.parametrize("case", bad_keys())
def test_keys_that_cannot_be(snowflake: SnowflakeSandbox, decide: Decide, old: str, case: str) -> None:
    options = bad_keys()[case]
    with pytest.raises(InvalidInput) as caught:
        decide(name="etl", password=fresh_password(), **options)
    assert "passphrase" not in case or "passphrase" in caught.value.msg
    for secret in options.values():
        assert not [form for form in forms(secret) if form in caught.value.msg]
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert snowflake.journal.labels() == []


# -- the administrator


@pytest.mark.parametrize(
    "wrong", [{"login_password": "Wrong-1234"}, {"login_user": "NOBODY"}, {"login_role": "NO_ROLE"}]
)
def test_a_refused_administrator_fails_every_user_at_once(
    snowflake: SnowflakeSandbox, decide: Decide, wrong: dict[str, str]
) -> None:
    users = [{"name": f"u{number}", "password": fresh_password()} for number in range(20)]
    answer = decide(users=users, **wrong)
    assert [entry["error_code"] for entry in answer["rotations"]] == ["auth_failed"] * 20
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("auth_failed", False, False)
    assert len(snowflake.logins) == 1
    assert snowflake.journal.labels() == snowflake.journal.labels("^log")


def test_keys_and_tokens_that_are_refused(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    for options in (
        {"login_private_key": pem(rsa_key())},
        {"login_token": secrets.token_urlsafe(20), "login_authenticator": "oauth"},
        {"login_token": secrets.token_urlsafe(20), "login_authenticator": "programmatic_access_token"},
    ):
        snowflake.logins.clear()
        answer = decide(name="etl", password=fresh_password(), **options)
        assert (answer["error_code"], answer["changed"]) == ("auth_failed", False)
        assert len(snowflake.logins) == 1


def test_an_administrator_without_the_privilege(snowflake: SnowflakeSandbox, decide: Decide) -> None:
    snowflake.add_role("HR")
    snowflake.add_role("WATCHER")
    snowflake.add_user("LITTLE", password=fresh_password(), default_role="WATCHER")
    old, wanted = fresh_password(), fresh_password()
    for name in ("HIDDEN", "VISIBLE"):
        snowflake.add_user(name, password=old, owner="HR")
    snowflake.grant("MONITOR", "VISIBLE", "WATCHER")
    users = [{"name": name, "password": wanted} for name in ("hidden", "visible")]
    answer = decide(users=users, login_user="LITTLE", login_password=snowflake.user("LITTLE").password)
    assert [(e["error_code"], e["changed"], e["retry_safe"]) for e in answer["rotations"]] == [
        ("not_found", False, False),
        ("not_permitted", False, False),
    ]
    assert logins(snowflake, "HIDDEN") == [] and logins(snowflake, "VISIBLE") == ["390100"]
    assert all(snowflake.accepts(name, old) for name in ("HIDDEN", "VISIBLE"))


def test_a_missing_privilege_says_that_the_value_is_not_in_force(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    """Of a value that an earlier run may have set; without that the role dares not discard it."""
    text = "SQL access control error:\nInsufficient privileges to operate on user 'ETL'"
    snowflake.faults.add(Fault("^ALTER", response=snowflake.statement_failure(3001, text)))
    answer = decide(name="etl", password=fresh_password(), recovered=True)
    assert (answer["error_code"], answer["changed"], answer.get("in_force")) == ("not_permitted", False, False)


def test_a_session_that_expires_in_between_is_renewed(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    snowflake.faults.add(Fault("^login ETL", after=snowflake.expire_sessions))
    answer = decide(name="etl", password=fresh_password())
    assert (answer["changed"], answer["verified"]) == (True, True)
    assert logins(snowflake, ADMIN) == ["ok"]
    assert snowflake.open_sessions() == 0


# -- kinds of users


@pytest.mark.parametrize("codes", ["own", "plain"])
@pytest.mark.parametrize("mode", ["if_different", "always"])
def test_service_users_cannot_hold_a_password(
    snowflake: SnowflakeSandbox, decide: Decide, mode: str, codes: str
) -> None:
    if codes == "plain":
        snowflake.account.login_codes.update(PLAIN_LOGIN_CODES)
    wanted, old = fresh_password(), fresh_password()
    snowflake.add_user("SVC", type="SERVICE", password=old)
    snowflake.add_user("LEGACY", type="LEGACY_SERVICE", password=old)
    snowflake.add_user("JO", type="PERSON", password=old)
    users = [{"name": name, "password": wanted} for name in ("svc", "legacy", "jo")]
    answer = decide(users=users, update_password=mode)
    assert [(e.get("error_code"), e["changed"], e["user_type"]) for e in answer["rotations"]] == [
        ("refused", False, "SERVICE"),
        (None, True, "LEGACY_SERVICE"),
        (None, True, "PERSON"),
    ]
    assert logins(snowflake, "SVC") == [] and not snowflake.journal.labels("^ALTER USER SVC")
    assert answer["rotations"][0]["retry_safe"] is False


@pytest.mark.parametrize("state", ["disabled", "locked"])
def test_users_that_cannot_be_asked(snowflake: SnowflakeSandbox, decide: Decide, old: str, state: str) -> None:
    user, wanted = snowflake.user("ETL"), fresh_password()
    if state == "disabled":
        user.disabled = True
    else:
        lock(snowflake, "ETL")
    answer = decide(name="etl", password=wanted)
    assert (answer["error_code"], answer["retry_safe"], answer["changed"]) == ("refused", True, False)
    assert writes(snowflake) == [] and user.password == old
    answer = decide(name="etl", password=wanted, update_password="always")
    assert (answer["changed"], answer["failed"], answer["verified"]) == (True, False, False)
    assert answer["verify_skipped_reason"] == f"user_{state}"
    assert logins(snowflake, "ETL") == [] and user.password == wanted
    # Nothing else was touched.
    assert user.disabled is (state == "disabled")
    assert user.locked(snowflake.account.clock()) is (state == "locked")


@pytest.mark.parametrize("codes", ["own", "plain"])
@pytest.mark.parametrize("reason", ["locked", "disabled"])
def test_users_that_describe_does_not_show_as_closed(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, reason: str, codes: str
) -> None:
    """The login says it where DESCRIBE did not: closed in between, or seen with few privileges."""
    if codes == "plain":
        snowflake.account.login_codes.update(PLAIN_LOGIN_CODES)
    snowflake.account.desc_omits = {"DISABLED", "SNOWFLAKE_LOCK", "MINS_TO_UNLOCK", "LOCK_DETAILS"}
    if reason == "locked":
        lock(snowflake, "ETL")
    else:
        snowflake.user("ETL").disabled = True
    answer = decide(name="etl", password=fresh_password())
    assert (answer["error_code"], answer["retry_safe"], answer["changed"]) == ("refused", True, False)
    assert f"user_{reason}" in answer["msg"]
    assert writes(snowflake) == [] and len(logins(snowflake, "ETL")) == 1


@pytest.mark.parametrize("codes", ["own", "plain"])
@pytest.mark.parametrize("order", ["password first", "mfa first"])
def test_a_person_with_multi_factor_authentication(
    snowflake: SnowflakeSandbox, decide: Decide, order: str, codes: str
) -> None:
    snowflake.account.mfa_before_password = order == "mfa first"
    if codes == "plain":
        snowflake.account.login_codes.update(PLAIN_LOGIN_CODES)
    present, wanted = fresh_password(), fresh_password()
    snowflake.add_user("JO", password=present, mfa_required=True)
    # Nobody knows whether the password was looked at, so nothing is claimed of it.
    answer = decide(name="jo", password=present)
    assert (answer["changed"], answer["error_code"]) == (False, "unknown_outcome") and "mfa_required" in answer["msg"]
    assert writes(snowflake) == []
    answer = decide(name="jo", password=wanted, update_password="always")
    assert (answer["changed"], answer["failed"], answer["verified"]) == (True, False, False)
    assert answer["verify_skipped_reason"] == "mfa_required"
    assert snowflake.user("JO").password == wanted


@pytest.mark.parametrize("reason", ["must_change_password", "role_not_granted"])
def test_a_right_password_of_a_user_who_may_not_work(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, reason: str
) -> None:
    if reason == "must_change_password":
        snowflake.user("ETL").must_change_password = True
    else:
        text = "Role 'GONE' specified in the connect string is not granted to this user."
        snowflake.faults.add(Fault("^login ETL", response=snowflake.login_failure(390189, text)))
    answer = decide(name="etl", password=old)
    assert (answer["changed"], answer["failed"], answer["verified"]) == (False, False, False)
    assert answer["verify_skipped_reason"] == reason
    assert writes(snowflake) == []


@pytest.mark.parametrize("codes", ["own", "plain"])
@pytest.mark.parametrize("present, wanted", [(False, None), (True, None), (False, True), (True, False), (True, True)])
def test_must_change_password_changes_only_a_differing_flag(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, present: bool, wanted: bool | None, codes: str
) -> None:
    if codes == "plain":
        snowflake.account.login_codes.update(PLAIN_LOGIN_CODES)
    user = snowflake.user("ETL")
    user.must_change_password = present
    differs = wanted is not None and wanted != present
    # With the present password, the flag is the only thing to write.
    answer = decide(name="etl", password=old, must_change_password=wanted)
    assert (answer["changed"], answer["failed"]) == (differs, False)
    assert writes(snowflake) == ["ALTER USER ETL SET MUST_CHANGE_PASSWORD"] * differs
    assert user.must_change_password is (present if wanted is None else wanted)
    # With another one, both are one statement.
    user.must_change_password = present
    snowflake.journal.clear()
    answer = decide(name="etl", password=fresh_password(), must_change_password=wanted)
    assert (answer["changed"], answer["failed"]) == (True, False)
    assert writes(snowflake) == [f"ALTER USER ETL SET {'MUST_CHANGE_PASSWORD ' * differs}PASSWORD"]
    assert answer["verified"] is not user.must_change_password
    assert user.must_change_password is (present if wanted is None else wanted)


def test_unlock_comes_first(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    lock(snowflake, "ETL")
    wanted = fresh_password()
    foreseen = decide(name="etl", password=wanted, unlock=True, check=True)
    assert (foreseen["changed"], foreseen["verified"]) == (True, False)
    assert writes(snowflake) == [] and logins(snowflake, "ETL") == []
    answer = decide(name="etl", password=wanted, unlock=True)
    assert (answer["changed"], answer["verified"]) == (True, True)
    assert writes(snowflake) == ["ALTER USER ETL SET MINS_TO_UNLOCK", "ALTER USER ETL SET PASSWORD"]
    assert logins(snowflake, "ETL") == ["390100", "ok"]
    assert answer["diff"]["before"]["locked"] is True and answer["diff"]["after"]["locked"] is False


def test_unlock_alone_is_a_change_and_needed_only_for_the_locked(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    lock(snowflake, "ETL")
    answer = decide(name="etl", password=old, unlock=True)
    assert (answer["changed"], answer["verified"], writes(snowflake)) == (
        True,
        True,
        ["ALTER USER ETL SET MINS_TO_UNLOCK"],
    )
    snowflake.journal.clear()
    answer = decide(name="etl", password=old, unlock=True)
    assert (answer["changed"], answer["verified"], writes(snowflake)) == (False, True, [])


def test_unlock_enables_nobody(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    snowflake.user("ETL").disabled = True
    lock(snowflake, "ETL")
    answer = decide(name="etl", password=fresh_password(), unlock=True)
    assert (answer["error_code"], answer["changed"]) == ("refused", False)
    assert snowflake.user("ETL").disabled and writes(snowflake) == []
    answer = decide(name="etl", password=fresh_password(), unlock=True, update_password="always")
    assert (answer["changed"], answer["verify_skipped_reason"]) == (True, "user_disabled")
    assert snowflake.user("ETL").disabled


@pytest.mark.parametrize("step", ["MINS_TO_UNLOCK", "PASSWORD"])
def test_an_unlocked_user_is_reported_as_changed_whatever_follows(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, step: str
) -> None:
    lock(snowflake, "ETL")
    if step == "MINS_TO_UNLOCK":  # the DESCRIBE after it
        snowflake.faults.add(Fault("^DESCRIBE", skip=1, response=snowflake.statement_failure(1003, "no")))
    else:
        snowflake.faults.add(Fault("SET PASSWORD", response=snowflake.statement_failure(1003, "no")))
    answer = decide(name="etl", password=fresh_password(), unlock=True)
    assert (answer["failed"], answer["changed"]) == (True, True)
    assert not snowflake.user("ETL").locked(snowflake.account.clock())


def test_an_account_that_describes_little(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    snowflake.account.desc_null = None
    snowflake.account.desc_omits = {
        "TYPE",
        "PASSWORD_LAST_SET_TIME",
        "LOCK_DETAILS",
        "MUST_CHANGE_PASSWORD",
        "LOGIN_NAME",
    }
    wanted = fresh_password()
    for changed in (True, False):
        answer = decide(name="etl", password=wanted)
        assert (answer["changed"], answer["verified"], answer["password_last_set_time"]) == (changed, True, None)


# -- what Snowflake refuses


def test_prior_use_after_a_probe_costs_no_second_login(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    prior = fresh_password()
    snowflake.account.password_policy.history = 5
    snowflake.user("ETL").password_history = [prior]
    answer = decide(name="etl", password=prior)
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("refused", False, False)
    assert (answer["refusal_reason"], answer["in_force"]) == ("PRIOR_USE", False)
    assert logins(snowflake, "ETL") == ["390100"]
    assert snowflake.accepts("ETL", old)


def test_prior_use_without_a_probe_is_decided_by_one_login(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    prior = fresh_password()
    snowflake.account.password_policy.history = 5
    snowflake.user("ETL").password_history = [prior]
    answer = decide(name="etl", password=old, update_password="always")
    assert (answer["changed"], answer["failed"], answer["verified"]) == (False, False, True)
    assert logins(snowflake, "ETL") == ["ok"]
    snowflake.logins.clear()
    answer = decide(name="etl", password=prior, update_password="always")
    assert (answer["error_code"], answer["changed"], answer["refusal_reason"]) == ("refused", False, "PRIOR_USE")
    assert logins(snowflake, "ETL") == ["390100"]
    assert snowflake.accepts("ETL", old)


@pytest.mark.parametrize(
    "password, reason", [("aa1-bbbbbb", "INSUFFICIENT_UPPER_CASE_CHARS"), ("Aa-bbbbbb", "INSUFFICIENT_NUMERIC_CHARS")]
)
def test_a_weak_password_is_refused(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, password: str, reason: str
) -> None:
    answer = decide(name="etl", password=password)
    assert (answer["error_code"], answer["changed"], answer["refusal_reason"]) == ("refused", False, reason)
    assert answer["in_force"] is False and reason in answer["msg"]
    assert logins(snowflake, "ETL") == ["390100"]
    assert snowflake.accepts("ETL", old)


def test_an_answer_that_tells_nothing_is_not_guessed_at(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    text = "IP 192.0.2.1 is not allowed to access Snowflake. Contact your local security administrator."
    snowflake.faults.add(Fault("^login ETL", times=99, response=snowflake.login_failure(390422, text)))
    answer = decide(name="etl", password=fresh_password())
    assert (answer["error_code"], answer["changed"]) == ("unknown_outcome", False)
    assert writes(snowflake) == []
    answer = decide(name="etl", password=fresh_password(), update_password="always")
    assert (answer["failed"], answer["changed"], answer["verified"]) == (False, True, False)
    assert answer["verify_skipped_reason"] == "network_policy"
    assert len(snowflake.journal.labels("^login ETL")) == 2


@pytest.mark.parametrize("mode", ["if_different", "always"])
def test_a_password_that_does_not_log_in_after_a_clean_change(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, mode: str
) -> None:
    wanted, other = fresh_password(), fresh_password()

    def meddle() -> None:
        snowflake.user("ETL").password = other

    snowflake.faults.add(Fault("^ALTER", after=meddle))
    snowflake.add_user("BI", password=fresh_password())
    users = [{"name": name, "password": wanted} for name in ("etl", "bi")]
    answer = decide(users=users, update_password=mode)
    first, second = answer["rotations"]
    assert (first["error_code"], first["changed"], first["verified"]) == ("verify_failed", True, False)
    assert (second["failed"], second["changed"], second["verified"]) == (False, True, True)
    assert answer["error_code"] == "verify_failed" and answer["changed"]
    # Nothing was rolled back, and nothing was tried again.
    assert len(writes(snowflake)) == 2 and snowflake.user("ETL").password == other


# -- recovered passwords


UNLISTED = [(394508, "MFA with TOTP is required."), (390190, "SAML response is invalid."), (399999, "Something new.")]
UNLISTED += [(390202, "Duo Security authentication is unavailable."), (394999, "Rejected by authentication policy.")]


@pytest.mark.parametrize(("code", "text"), UNLISTED)
@pytest.mark.parametrize("mode", ["if_different", "always"])
@pytest.mark.parametrize("verify", [True, False])
def test_no_answer_that_nobody_listed_wedges_a_recovered_password(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, code: int, text: str, mode: str, verify: bool
) -> None:
    wanted = fresh_password()
    snowflake.faults.add(Fault("^login ETL", times=99, response=snowflake.login_failure(code, text)))
    for changed in (True, False):
        answer = decide(name="etl", password=wanted, recovered=True, update_password=mode, verify=verify)
        assert (answer["failed"], answer["changed"], answer["verified"]) == (False, changed, False)
        assert answer["in_force"] and snowflake.user("ETL").password == wanted
    assert len(snowflake.journal.labels("^login ETL")) <= 2


def test_ten_failing_runs_lock_nobody_out(snowflake: SnowflakeSandbox, decide: Decide, old: str) -> None:
    """As a role runs it: a value that is certainly not in force is thrown away, a doubtful one is recovered."""
    snowflake.account.password_policy.history = 5
    snowflake.user("ETL").password_history = [prior := fresh_password()]
    recovered = True
    for _run in range(10):
        answer = decide(name="etl", password=prior, recovered=recovered, update_password="always")
        assert answer["error_code"] == "refused"
        recovered = recovered and answer.get("in_force") is not False
        prior = prior if recovered else "too-weak"
    assert failed_logins(snowflake, "ETL") == ["390100"] and snowflake.accepts("ETL", old)


def test_check_mode_describes_users_whose_password_is_still_to_be_made(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any], old: str
) -> None:
    snowflake.add_user("AGENT", type="SERVICE_AGENT")
    users = [{"name": name} for name in ("etl", "agent", "nobody", 'bad"quote', " etl")]
    options = {**login, "users": users, "update_password": "always"}
    checked, real = ansible.calls(MODULE, [Call(options, keywords={"check_mode": True}), Call(options)]).answers
    foreseen = [(entry["changed"], entry.get("error_code")) for entry in checked["rotations"]]
    bad = (False, "invalid_input")
    assert foreseen[:3] == [(True, None), (False, "refused"), (False, "not_found")] and foreseen[4] == bad
    assert "' etl'" in checked["rotations"][4]["msg"]
    assert [(entry["changed"], entry["error_code"]) for entry in real["rotations"]] == [bad] * 5
    assert real["rotations"][0]["left"] == "untouched"
    assert writes(snowflake) == [] and logins(snowflake, "ETL") == []


# -- the network


@pytest.mark.parametrize("where", ["refused", "no such host", "no such account", "forbidden", "no Snowflake", "broken"])
def test_an_account_that_cannot_be_reached(snowflake: SnowflakeSandbox, decide: Decide, old: str, where: str) -> None:
    options: dict[str, t.Any] = {"login_timeout": 2}
    responses = {
        "no such account": Response(404, b"Not Found", {"Content-Type": "text/html"}),
        "forbidden": Response(403, b"Forbidden", {"Content-Type": "text/html"}),
        "no Snowflake": Response(200, b"<html>Welcome to the hotel</html>", {"Content-Type": "text/html"}),
        "broken": Response(503, b"", {}),
    }
    if where == "refused":
        with socket.create_server(("127.0.0.1", 0)) as closed:
            options["login_port"] = closed.getsockname()[1]
    elif where == "no such host":
        options.update(login_host="no-such-host.invalid", login_protocol="https")
    else:
        snowflake.faults.add(Fault("^login", times=999, response=responses[where]))
    begun = time.monotonic()
    answer = decide(users=[{"name": f"u{n}", "password": fresh_password()} for n in range(3)], **options)
    assert time.monotonic() - begun < 5
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("unreachable", False, True)
    assert [entry["error_code"] for entry in answer["rotations"]] == ["unreachable"] * 3


def _always(status: int, body: bytes = b"") -> t.Callable[[], Fault]:
    return lambda: Fault("SET PASSWORD", times=99, response=Response(status, body, {"Content-Type": "text/html"}))


# How the answer to the ALTER is lost: the fault, and whether Snowflake has taken the password by then.
LOST: dict[str, tuple[t.Callable[[], Fault], bool | None]] = {
    "request dropped once": (lambda: Fault("SET PASSWORD", drop="before"), None),
    "request dropped": (lambda: Fault("SET PASSWORD", times=99, drop="before"), False),
    "request hangs": (lambda: Fault("SET PASSWORD", times=99, hang="before"), False),
    "503 for request": (_always(503), False),
    "403 for request": (_always(403), False),
    "no JSON for request": (_always(200, b"<html>"), False),
    "cancelled": (
        lambda: Fault("SET PASSWORD", response=SnowflakeSandbox.statement_failure(604, "Query was canceled.")),
        False,
    ),
    "answer dropped once": (lambda: Fault("SET PASSWORD", drop="after"), True),
    "answer dropped": (lambda: Fault("SET PASSWORD", times=99, drop="after"), True),
    "answer hangs": (lambda: Fault("SET PASSWORD", times=99, hang="after"), True),
    "503 for answer": (_always(503), True),
    "no JSON for answer": (_always(200, b"<html>"), True),
}


# What the connector sends again until the bound; 4.x repeats more than 5.x.
UNDER_WAY = ("request dropped", "request hangs", "503 for request", "403 for request", "no JSON for request")


@pytest.mark.parametrize("dedup", [True, False], ids=["dedup", "no-dedup"])
@pytest.mark.parametrize("mode", ["if_different", "always"])
@pytest.mark.parametrize("times", ["times", "no-times"])
@pytest.mark.parametrize("case", LOST)
def test_a_lost_answer_is_decided(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, case: str, mode: str, dedup: bool, times: str
) -> None:
    """With and without PASSWORD_LAST_SET_TIME to read, and whether or not Snowflake knows a repeated request."""
    make, taken = LOST[case]
    snowflake.account.request_id_dedup = dedup
    if times == "no-times":
        snowflake.account.desc_omits = {"PASSWORD_LAST_SET_TIME"}
    wanted, fault, user = fresh_password(), make(), snowflake.user("ETL")

    def take() -> None:
        """A proxy that garbles the answer: by then the statement has run."""
        user.password, user.password_last_set_time = wanted, snowflake.account.clock()

    if fault.response is not None and taken:
        fault.before = take
    snowflake.faults.add(fault)
    # Long enough for the connector's own second attempt, where that is all it takes.
    bound = 4 if case.endswith("once") else 1
    answer = decide(name="etl", password=wanted, update_password=mode, login_timeout=bound)
    applied = user.password == wanted
    assert taken is None or taken is applied
    # What is claimed is so, whatever happened on the way.
    if not answer["failed"]:
        assert (applied, answer["changed"], answer["verified"]) == (True, True, True)
    elif answer["error_code"] == "unreachable":
        assert not applied and not answer["changed"] and answer["retry_safe"]
    else:
        # Open: without a time where the probe has used up the login, and while the connector may still send it.
        assert (answer["error_code"], answer["retry_safe"]) == ("unknown_outcome", True)
        assert (times, mode) == ("no-times", "if_different") or case in UNDER_WAY
    # A second strike only where nothing else can tell: the one login that decides a lost answer.
    assert len(failed_logins(snowflake, "ETL")) <= (2 if (mode, times) == ("if_different", "no-times") else 1)
    assert len(logins(snowflake, "ETL")) <= 2
    assert logins(snowflake, ADMIN) == ["ok"]


def test_a_statement_that_was_given_up_does_not_run_later(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    """A slow statement, or a retry of the connector, must not outlive the verdict that it did not take effect."""
    wanted = fresh_password()
    for number in range(3):
        snowflake.add_user(f"U{number}", password=fresh_password())
    # It begins to run long after the module's bound, unless its session is gone by then.
    snowflake.faults.add(Fault("^ALTER USER ETL", delay=2.5))
    # Slow but healthy users: the run is not over before that.
    snowflake.faults.add(Fault("^login U", times=99, delay=0.8))
    users = [{"name": name, "password": wanted} for name in ("etl", "u0", "u1", "u2")]
    first = decide(users=users, login_timeout=1)["rotations"][0]
    applied = snowflake.user("ETL").password == wanted
    assert (first.get("error_code"), applied) in (("unreachable", False), ("unknown_outcome", True), (None, True))


@pytest.mark.parametrize("how", ["hang", "drop", "error"])
def test_a_probe_without_an_answer_stops_before_the_change(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, how: str
) -> None:
    faults = {
        "hang": Fault("^login ETL", times=99, hang="before"),
        "drop": Fault("^login ETL", times=99, drop="after"),
        "error": Fault("^login ETL", times=99, response=Response(500)),
    }
    snowflake.faults.add(faults[how])
    answer = decide(name="etl", password=fresh_password(), login_timeout=1)
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("unreachable", False, True)
    assert writes(snowflake) == [] and snowflake.user("ETL").password == old


def test_a_proof_without_an_answer_says_that_the_password_was_changed(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    snowflake.faults.add(Fault("^login ETL", skip=1, times=99, hang="before"))
    wanted = fresh_password()
    answer = decide(name="etl", password=wanted, login_timeout=1)
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("unreachable", True, True)
    assert snowflake.user("ETL").password == wanted


def test_one_users_silence_does_not_stop_the_others(snowflake: SnowflakeSandbox, decide: Decide) -> None:
    wanted = fresh_password()
    for number in range(5):
        snowflake.add_user(f"U{number}", password=fresh_password())
    for number in (1, 3):
        snowflake.faults.add(Fault(f"^login U{number} ", times=99, hang="before"))
    users = [{"name": f"u{number}", "password": wanted} for number in range(5)]
    answer = decide(users=users, login_timeout=1)
    assert [(e["changed"], e.get("error_code")) for e in answer["rotations"]] == [
        (True, None),
        (False, "unreachable"),
        (True, None),
        (False, "unreachable"),
        (True, None),
    ]
    assert [snowflake.accepts(f"U{number}", wanted) for number in range(5)] == [True, False, True, False, True]


def test_when_the_service_stops_answering_the_rest_is_not_attempted_and_nothing_done_is_forgotten(
    snowflake: SnowflakeSandbox, decide: Decide
) -> None:
    wanted = fresh_password()
    for number in range(5):
        snowflake.add_user(f"U{number}", password=fresh_password())
    snowflake.faults.add(Fault("^DESCRIBE USER U[1-4]", times=99, hang="before"))
    answer = decide(users=[{"name": f"u{number}", "password": wanted} for number in range(5)], login_timeout=1)
    first, *others = answer["rotations"]
    assert (first["name"], first["changed"]) == ("u0", True)
    assert [(entry["error_code"], entry["changed"], entry["retry_safe"]) for entry in others] == [
        ("unreachable", False, True)
    ] * 4
    assert snowflake.journal.labels("^DESCRIBE USER U[34]") == []
    assert (answer["failed"], answer["changed"], snowflake.accepts("U0", wanted)) == (True, True, True)


# The requests of one rotation, in order; a list makes all writes first.
REQUESTS = ("login", "describe", "probe", "alter", "time", "proof", "logout of the user", "logout")


@pytest.mark.parametrize("users", [1, 5])
@pytest.mark.parametrize("answered", range(len(REQUESTS)), ids=REQUESTS)
def test_a_service_that_falls_silent_costs_fewer_than_three_timeouts(
    snowflake: SnowflakeSandbox, decide: Decide, answered: int, users: int
) -> None:
    """From this request on nothing is answered any more. Three default timeouts would be the promised minute."""
    for number in range(users):
        snowflake.add_user(f"U{number}", password=fresh_password())
    snowflake.faults.add(Fault("", skip=answered, times=999, hang="before"))
    items = [{"name": f"u{number}", "password": fresh_password()} for number in range(users)]
    begun = time.monotonic()
    answer = decide(users=items, login_timeout=1)
    elapsed = time.monotonic() - begun
    assert all(entry.get("retry_safe", True) for entry in answer["rotations"])
    assert elapsed < 3


def test_no_login_of_a_user_beyond_one_before_and_one_after(snowflake: SnowflakeSandbox, decide: Decide) -> None:
    """Over all modes, with right and wrong passwords, locked and not: never a second strike in one run."""
    for mode in ("if_different", "always"):
        for verify in (True, False):
            for check in (True, False):
                present = fresh_password()
                snowflake.add_user("ETL", password=present)
                for password in (present, fresh_password(), "aa1-weak-" + secrets.token_hex(3)):
                    snowflake.logins.clear()
                    answer = decide(name="etl", password=password, update_password=mode, verify=verify, check=check)
                    assert answer.get("error_code") in (None, "refused")
                    assert len(failed_logins(snowflake, "ETL")) <= 1
                    assert len(logins(snowflake, "ETL")) <= 2
                    assert logins(snowflake, ADMIN) == ["ok"]
    assert snowflake.open_sessions() == 0
