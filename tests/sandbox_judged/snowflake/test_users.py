# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Snowflake sandbox, judged by the unmodified connector: users and who may read and change them."""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t

import pytest

from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.account import MODIFY_METHODS
from tests.sandbox_judged.snowflake.conftest import (
    ADMIN_PASSWORD,
    NEW,
    OLD,
    connect,
    describe,
    dicts,
    literal,
    log_in,
    refused,
    rows,
    rsa_key,
)

pytestmark = [pytest.mark.connector, pytest.mark.filterwarnings("ignore")]


# -- reading users


def test_describe(sf: SnowflakeSandbox, admin: t.Any) -> None:
    described = dicts(admin, "DESCRIBE USER etl_svc")
    assert list(described[0]) == ["property", "value", "default", "description"]
    values = describe(admin)
    assert len(values) == len(described) == 41
    assert values["NAME"] == values["LOGIN_NAME"] == "ETL_SVC"
    assert values["TYPE"] == values["RSA_PUBLIC_KEY_FP"] == values["MINS_TO_UNLOCK"] == "null"
    assert values["DISABLED"] == values["MUST_CHANGE_PASSWORD"] == "false"
    assert OLD not in str(described)


def test_describe_switches(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.account.desc_omits = {"HAS_KEYPAIR", "LOCK_DETAILS"}
    sf.account.desc_null = None
    values = describe(admin)
    assert len(values) == 39 and "HAS_KEYPAIR" not in values
    assert values["RSA_PUBLIC_KEY"] is None


def test_times_are_in_the_sessions_zone(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.user("ETL_SVC").password_last_set_time = dt.datetime(2026, 1, 2, 3, 4, 5, 678900, dt.UTC)
    assert describe(admin)["PASSWORD_LAST_SET_TIME"] == "2026-01-01 19:04:05.678"
    rows(admin, "ALTER SESSION SET TIMEZONE = 'UTC'")
    assert describe(admin)["PASSWORD_LAST_SET_TIME"] == "2026-01-02 03:04:05.678"
    sf.account.desc_time_format = "%Y-%m-%dT%H:%M:%S%z"
    assert describe(admin)["PASSWORD_LAST_SET_TIME"] == "2026-01-02T03:04:05+0000"
    with contextlib.closing(
        connect(sf, "ROTATOR", password=ADMIN_PASSWORD, session_parameters={"TIMEZONE": "Asia/Tokyo"})
    ) as connection:
        assert describe(connection)["PASSWORD_LAST_SET_TIME"] == "2026-01-02T12:04:05+0900"


def test_show_users(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.add_user("etlXsvc", password=OLD)
    found = {row["name"]: row for row in dicts(admin, "SHOW USERS LIKE 'etl_svc'")}
    assert set(found) == {"ETL_SVC", "ETLXSVC"}
    assert found["ETL_SVC"]["has_password"] == "true"
    assert found["ETL_SVC"]["created_on"] == sf.user("ETL_SVC").created_on
    assert found["ETLXSVC"]["login_name"] is None
    assert [row["name"] for row in dicts(admin, r"SHOW USERS LIKE 'etl\\_svc'")] == ["ETL_SVC"]
    sf.account.show_users_lists_all = False
    assert {row["name"] for row in dicts(admin, "SHOW USERS")} == {"ETL_SVC", "ROTATOR"}


def test_identifiers_fold_unless_quoted(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.add_user('"Mixed ""Case"', owner="ROTATOR_ROLE", login_name="mixed")
    assert describe(admin, '"Mixed ""Case"')["NAME"] == 'Mixed "Case'
    assert describe(admin, "Etl_Svc")["NAME"] == describe(admin, '"ETL_SVC"')["NAME"] == "ETL_SVC"
    with refused(2003, "User 'etl_svc' does not exist or not authorized."):
        describe(admin, '"etl_svc"')
    assert sf.journal.labels("Mixed") == ['DESCRIBE USER "Mixed ""Case"']


# -- changing users

TRICKY = [
    "It's-1-a-Quote",
    'Double"Quote1',
    "Back\\slash1\\",
    "Aa1\\'; DROP USER etl_svc; --",
    "Aa1{{ 7*7 }}{% raw %}",
    "Aa1%s%(x)s%%",
    "Aa1$$dollar$$",
    "Aa1\nnew\tline\r\n",
    "Aa1-\U0001f511-\xe9\u4e2d",
    "Aa1 -- comment /* no */ ? :1 ${HOME}",
    "Aa1\\u0041\\x41\\0",
    " Aa1 leading and trailing ",
]


@pytest.mark.parametrize("password", TRICKY)
def test_tricky_passwords(sf: SnowflakeSandbox, admin: t.Any, password: str) -> None:
    rows(admin, f"ALTER USER etl_svc SET PASSWORD = {literal(password)}")
    assert sf.user("ETL_SVC").password == password
    assert log_in(sf, "ETL_SVC", password=password) == "ok"
    assert sf.accepts("ETL_SVC", password) and not sf.accepts("ETL_SVC", OLD)
    assert sf.journal.labels("ALTER") == ["ALTER USER ETL_SVC SET PASSWORD"]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"'a''b'", "a'b"),
        (r"'a\'b\"c\\d'", "a'b\"c\\d"),
        (r"'\n\t\r\b\f\0\q'", "\n\t\r\b\f\0q"),
        (r"'\x41\u00e9\101'", "A\xe9A"),
        (r"'\ud83d\udd11'", "\U0001f511"),
        ("$$it's \\n raw$$", "it's \\n raw"),
        ("'-- not' -- a comment\n", "-- not"),
        ("/* a '; */ 'b' // c", "b"),
    ],
)
def test_literals(admin: t.Any, written: str, text: str) -> None:
    assert rows(admin, f"SELECT {written} AS x") == [(text,)]


@pytest.mark.parametrize("sql", ["ALTER USER etl_svc SET PASSWORD = 'open", "GRANT ROLE x TO USER y", "SELECT 1 1"])
def test_what_is_no_sql_here(sf: SnowflakeSandbox, admin: t.Any, sql: str) -> None:
    with refused(1003, "syntax error"):
        rows(admin, sql)
    assert sf.journal.labels()[-1] == "unparsable"


def test_two_statements_in_one_text(sf: SnowflakeSandbox, admin: t.Any) -> None:
    # What a password with a backslash becomes where only quotes are doubled.
    with refused(8):
        rows(admin, "ALTER USER etl_svc SET PASSWORD = 'Aa1\\''; DROP USER etl_svc; --'")
    assert sf.accepts("ETL_SVC", OLD)


def test_several_properties_are_set_together_or_not_at_all(sf: SnowflakeSandbox, admin: t.Any) -> None:
    before = describe(admin)
    key = rsa_key()
    with refused(3002):
        rows(admin, f"ALTER USER etl_svc SET COMMENT='x' RSA_PUBLIC_KEY='{key.bare}' RSA_PUBLIC_KEY_2='bad'")
    with refused(3002, "PASSWORD_TOO_SHORT"):
        rows(admin, "ALTER USER etl_svc SET DISABLED = TRUE, MUST_CHANGE_PASSWORD = TRUE, PASSWORD = 'Aa1'")
    assert describe(admin) == before and sf.accepts("ETL_SVC", OLD)
    rows(admin, f"ALTER USER etl_svc SET PASSWORD='{NEW}' MUST_CHANGE_PASSWORD = true, COMMENT = 'x'")
    after = describe(admin)
    assert (after["MUST_CHANGE_PASSWORD"], after["COMMENT"]) == ("true", "x")
    assert sf.user("ETL_SVC").password == NEW
    rows(admin, "ALTER USER IF EXISTS etl_svc UNSET MUST_CHANGE_PASSWORD, COMMENT")
    assert sf.accepts("ETL_SVC", NEW) and describe(admin)["COMMENT"] == "null"
    with refused(1003, "duplicate property 'COMMENT'"):
        rows(admin, "ALTER USER etl_svc SET COMMENT = 'a' COMMENT = 'b'")


def test_prior_use(sf: SnowflakeSandbox, admin: t.Any) -> None:
    prior = "New password rejected by current password policy. Reason: 'PRIOR_USE'."
    with refused(3002, prior):
        rows(admin, f"ALTER USER etl_svc SET PASSWORD = '{OLD}'")
    rows(admin, f"ALTER USER etl_svc SET PASSWORD = '{NEW}'")
    rows(admin, f"ALTER USER etl_svc SET PASSWORD = '{OLD}'")
    sf.account.password_policy.history = 2
    with refused(3002, prior):
        rows(admin, f"ALTER USER etl_svc SET PASSWORD = '{NEW}'")
    sf.account.password_policy.history = 0
    rows(admin, f"ALTER USER etl_svc SET PASSWORD = '{OLD}'")


@pytest.mark.parametrize("password", ["Short-1", "no-upper-1", "NO-LOWER-1", "No-digit-x", "NoSpecial1", ""])
def test_password_policy(sf: SnowflakeSandbox, admin: t.Any, password: str) -> None:
    sf.account.password_policy.min_special = 1
    with refused(3002, "New password rejected by current password policy."):
        rows(admin, f"ALTER USER etl_svc SET PASSWORD = '{password}'")
    rows(admin, "ALTER USER etl_svc SET PASSWORD = 'Good-Enough-1'")


def test_service_users_have_no_password(sf: SnowflakeSandbox, admin: t.Any) -> None:
    rows(admin, "ALTER USER etl_svc SET TYPE = SERVICE")
    for assignment in ("PASSWORD = 'New-secret-2'", "MUST_CHANGE_PASSWORD = TRUE", "FIRST_NAME = 'E'"):
        name = assignment.split()[0]
        with refused(511503, f"Cannot set {name} on users with TYPE=SERVICE."):
            rows(admin, f"ALTER USER etl_svc SET {assignment}")
    assert log_in(sf, "ETL_SVC", password=OLD) == "390100"
    assert describe(admin)["TYPE"] == "SERVICE"
    rows(admin, "ALTER USER etl_svc SET TYPE = LEGACY_SERVICE")
    assert log_in(sf, "ETL_SVC", password=OLD) == "ok"
    sf.user("ROTATOR").roles.add("USERADMIN")
    rows(admin, "USE ROLE USERADMIN")
    with refused(511503):
        rows(admin, f"CREATE USER other PASSWORD = '{NEW}' TYPE = SERVICE")


def test_create_and_drop(sf: SnowflakeSandbox, admin: t.Any) -> None:
    with refused(3001, "Insufficient privileges to operate on account 'XY12345'"):
        rows(admin, "CREATE USER new_user")
    sf.user("ROTATOR").roles.add("USERADMIN")
    rows(admin, "USE ROLE USERADMIN")
    rows(admin, f"CREATE USER new_user PASSWORD = '{NEW}' DEFAULT_ROLE = public COMMENT = 'c'")
    with refused(2002, "already exists"):
        rows(admin, "CREATE USER new_user")
    rows(admin, "CREATE USER IF NOT EXISTS new_user PASSWORD = 'Other-secret-3'")
    assert log_in(sf, "NEW_USER", password=NEW) == "ok"
    rows(admin, "DROP USER new_user")
    with refused(2003):
        rows(admin, "DROP USER new_user")
    rows(admin, "DROP USER IF EXISTS new_user")
    assert log_in(sf, "NEW_USER", password=NEW) == "390100"
    assert "CREATE USER NEW_USER COMMENT DEFAULT_ROLE PASSWORD" in sf.journal.labels()


# -- privileges


def test_an_invisible_user_does_not_exist(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.add_user("FOREIGN", password=OLD)
    for sql in ("DESC USER foreign", "ALTER USER foreign SET PASSWORD = 'New-secret-2'", "DESC USER absent"):
        with refused(2003, "does not exist or not authorized."):
            rows(admin, sql)
    with refused(2003):
        rows(admin, "ALTER USER IF EXISTS foreign SET COMMENT = 'x'")
    rows(admin, "ALTER USER IF EXISTS absent SET COMMENT = 'x'")


def test_a_visible_user_may_still_be_off_limits(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.add_user("FOREIGN", password=OLD)
    sf.grant("MONITOR", "FOREIGN", "ROTATOR_ROLE")
    assert describe(admin, "foreign")["NAME"] == "FOREIGN"
    for sql in ("SET PASSWORD = 'New-secret-2'", f"SET RSA_PUBLIC_KEY = '{rsa_key().bare}'", "UNSET COMMENT"):
        with refused(3001, "Insufficient privileges to operate on user 'FOREIGN'"):
            rows(admin, f"ALTER USER foreign {sql}")
    # One sees oneself, but owns oneself only if told so.
    assert describe(admin, "rotator")["NAME"] == "ROTATOR"
    with refused(3001):
        rows(admin, "ALTER USER rotator SET PASSWORD = 'New-secret-2'")


def test_modify_authentication_methods_is_for_keys_only(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.add_user("FOREIGN", password=OLD)
    sf.grant(MODIFY_METHODS, "FOREIGN", "ROTATOR_ROLE")
    rows(admin, f"ALTER USER foreign SET RSA_PUBLIC_KEY = '{rsa_key().bare}'")
    rows(admin, f"ALTER USER foreign ADD KEY PAIR one PUBLIC_KEY = '{rsa_key(1).bare}'")
    with refused(3001):
        rows(admin, f"ALTER USER foreign SET RSA_PUBLIC_KEY_2 = '{rsa_key().bare}' PASSWORD = 'New-secret-2'")
    assert describe(admin, "foreign")["RSA_PUBLIC_KEY_FP"] == rsa_key().fingerprint
    sf.account.modify_can_describe = False
    with refused(3001):
        describe(admin, "foreign")


def test_ownership_is_inherited(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.add_user("FOREIGN", password=OLD, owner="USERADMIN")
    with refused(3013):
        rows(admin, "USE ROLE ACCOUNTADMIN")
    sf.user("ROTATOR").roles.add("ACCOUNTADMIN")
    rows(admin, "USE ROLE ACCOUNTADMIN")
    rows(admin, f"ALTER USER foreign SET PASSWORD = '{NEW}'")
    assert sf.accepts("FOREIGN", NEW)
    with refused(2003):
        rows(admin, "DESC USER etl_svc")
    rows(admin, "USE SECONDARY ROLES ALL")
    assert describe(admin)["NAME"] == "ETL_SVC"
