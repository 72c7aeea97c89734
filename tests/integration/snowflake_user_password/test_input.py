# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is given: names, passwords, and the administrator's login."""

from __future__ import annotations

import secrets
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import forms
from tests.integration.conftest import ADMIN, fresh_password, survives_crashes
from tests.integration.snowflake_user_password.conftest import logins, pem, public, rsa_key, writes
from tests.integration.support import Decide
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox

pytestmark = [
    pytest.mark.connector,
    survives_crashes,
    # Of the threads in which calls are left behind that have no bound of their own.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


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
