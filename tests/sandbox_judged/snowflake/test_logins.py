# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Snowflake sandbox, judged by the unmodified connector: logging in."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import typing as t

import pytest

from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.account import PLAIN_LOGIN_CODES
from tests.sandbox_judged.snowflake.conftest import (
    ADMIN_PASSWORD,
    OLD,
    VERSION,
    _jwt,
    connect,
    connector,
    describe,
    dicts,
    later,
    log_in,
    refused,
    rows,
    rsa_key,
)

pytestmark = [pytest.mark.connector, pytest.mark.filterwarnings("ignore")]

PAT_SUPPORTED = pytest.mark.skipif(VERSION < (4, 0), reason="this connector cannot send the token by itself")


def test_password_login_and_clean_logout(sf: SnowflakeSandbox) -> None:
    assert log_in(sf, "etl_svc", password=OLD) == "ok"
    assert sf.journal.labels("^log") == ["login ETL_SVC password", "logout"]
    assert sf.open_sessions() == 0


def test_a_wrong_password_is_one_login_and_one_strike(sf: SnowflakeSandbox) -> None:
    assert log_in(sf, "ETL_SVC", password="Wrong-1") == "390100"
    assert log_in(sf, "NOBODY", password="Wrong-1") == "390100"
    assert sf.logins == [("ETL_SVC", "password", "390100"), ("NOBODY", "password", "390100")]
    assert sf.user("ETL_SVC").failed_logins == 1


def test_five_failures_lock_for_fifteen_minutes(sf: SnowflakeSandbox) -> None:
    for _each in range(5):
        assert log_in(sf, "ETL_SVC", password="Wrong-1") == "390100"
    assert log_in(sf, "ETL_SVC", password=OLD) == "390102"
    assert not sf.accepts("ETL_SVC", OLD)
    later(sf, minutes=14)
    assert log_in(sf, "ETL_SVC", password=OLD) == "390102"
    later(sf, minutes=2)
    assert log_in(sf, "ETL_SVC", password=OLD) == "ok"
    assert sf.user("ETL_SVC").failed_logins == 0


def test_a_success_between_failures_prevents_the_lock(sf: SnowflakeSandbox) -> None:
    for attempt in ["Wrong-1"] * 4 + [OLD] + ["Wrong-1"] * 4:
        log_in(sf, "ETL_SVC", password=attempt)
    assert log_in(sf, "ETL_SVC", password=OLD) == "ok"


def test_a_lock_is_described_and_cleared(sf: SnowflakeSandbox, admin: t.Any) -> None:
    for _each in range(5):
        log_in(sf, "ETL_SVC", password="Wrong-1")
    described = describe(admin)
    assert described["MINS_TO_UNLOCK"] == "15"
    assert json.loads(described["LOCK_DETAILS"] or "")["isPasswordLocked"] is True
    rows(admin, "ALTER USER etl_svc SET MINS_TO_UNLOCK = 0")
    assert describe(admin)["MINS_TO_UNLOCK"] == "null"
    assert log_in(sf, "ETL_SVC", password=OLD) == "ok"


@pytest.mark.parametrize(
    ("field", "code"), [("disabled", "390101"), ("must_change_password", "390106"), ("mfa_required", "394509")]
)
def test_a_right_password_that_is_not_enough(sf: SnowflakeSandbox, field: str, code: str) -> None:
    setattr(sf.user("ETL_SVC"), field, True)
    assert log_in(sf, "ETL_SVC", password=OLD) == code
    assert sf.user("ETL_SVC").failed_logins == 0
    assert not sf.accepts("ETL_SVC", OLD)


def test_mfa_order_is_a_switch(sf: SnowflakeSandbox) -> None:
    sf.user("ETL_SVC").mfa_required = True
    assert log_in(sf, "ETL_SVC", password="Wrong-1") == "390100"
    sf.account.mfa_before_password = True
    assert log_in(sf, "ETL_SVC", password="Wrong-1") == "394509"


def test_mfa_passcode(sf: SnowflakeSandbox) -> None:
    sf.user("ETL_SVC").mfa_required, sf.user("ETL_SVC").mfa_passcode = True, "123456"
    options = {"password": OLD, "authenticator": "username_password_mfa", "client_request_mfa_token": False}
    assert log_in(sf, "ETL_SVC", passcode="123456", **options) == "ok"
    assert log_in(sf, "ETL_SVC", passcode="654321", **options) == "394508"
    assert [method for _user, method, _code in sf.logins] == ["mfa", "mfa"]


def test_plain_codes_differ_in_text_only(sf: SnowflakeSandbox) -> None:
    sf.account.login_codes = dict(PLAIN_LOGIN_CODES)
    sf.user("ETL_SVC").disabled = True
    with pytest.raises(connector.errors.Error, match="disabled"):
        connect(sf, "ETL_SVC", password=OLD)
    assert sf.logins[-1][2] == "390100"


def test_login_name_differs_from_name(sf: SnowflakeSandbox, admin: t.Any) -> None:
    rows(admin, "ALTER USER etl_svc SET LOGIN_NAME = 'etl@corp.example'")
    assert describe(admin)["LOGIN_NAME"] == "ETL@CORP.EXAMPLE"
    assert log_in(sf, "ETL_SVC", password=OLD) == "390100"
    assert log_in(sf, "Etl@Corp.Example", password=OLD) == "ok"
    assert sf.accepts("etl_svc", OLD)


def test_role_of_the_login(sf: SnowflakeSandbox) -> None:
    sf.add_role('"Mixed Role"')
    sf.user("ETL_SVC").roles.add("Mixed Role")
    assert log_in(sf, "ETL_SVC", password=OLD, role="ROTATOR_ROLE") == "390189"
    assert log_in(sf, "ETL_SVC", password=OLD, role="no_such_role") == "390189"
    for asked, expected in [("rotator_role", "ROTATOR_ROLE"), (None, "ROTATOR_ROLE"), ("public", "PUBLIC")]:
        with contextlib.closing(connect(sf, "ROTATOR", password=ADMIN_PASSWORD, role=asked)) as connection:
            assert rows(connection, "SELECT CURRENT_ROLE()") == [(expected,)]
    with contextlib.closing(connect(sf, "ETL_SVC", password=OLD, role='"Mixed Role"')) as connection:
        assert rows(connection, "SELECT CURRENT_ROLE()") == [("Mixed Role",)]


def test_oauth(sf: SnowflakeSandbox) -> None:
    sf.add_oauth_token("ETL_SVC", token="opaque-token")
    assert log_in(sf, "ETL_SVC", authenticator="oauth", token="opaque-token") == "ok"
    assert log_in(sf, "ROTATOR", authenticator="oauth", token="opaque-token") == "390309"
    assert sf.journal.labels("oauth") == ["login ETL_SVC oauth", "login ROTATOR oauth"]


def test_an_unknown_oauth_token(sf: SnowflakeSandbox) -> None:
    assert log_in(sf, "ETL_SVC", authenticator="oauth", token="other") == "390303"


@PAT_SUPPORTED
def test_programmatic_access_token(sf: SnowflakeSandbox) -> None:
    sf.add_pat("ETL_SVC", token="pat-token")
    assert log_in(sf, "ETL_SVC", authenticator="PROGRAMMATIC_ACCESS_TOKEN", token="pat-token") == "ok"
    assert log_in(sf, "ETL_SVC", authenticator="PROGRAMMATIC_ACCESS_TOKEN", token="other") == "394400"
    assert {method for _user, method, _code in sf.logins} == {"programmatic_access_token"}


def by_token(sf: SnowflakeSandbox, token: str, **options: t.Any) -> str:
    return log_in(sf, "ETL_SVC", authenticator="PROGRAMMATIC_ACCESS_TOKEN", token=token, **options)


@PAT_SUPPORTED
def test_the_life_of_a_token(sf: SnowflakeSandbox, admin: t.Any) -> None:
    """Both spellings; added, listed, disabled, renamed, rotated, removed."""
    sf.user("ETL_SVC").roles.add("ROTATOR_ROLE")
    options = "ROLE_RESTRICTION = 'rotator_role' DAYS_TO_EXPIRY = 3, COMMENT = 'it''s'"
    (added,) = dicts(admin, f"ALTER USER IF EXISTS etl_svc ADD PROGRAMMATIC ACCESS TOKEN ci {options}")
    assert list(added) == ["token_name", "token_secret"] and by_token(sf, added["token_secret"]) == "ok"
    again = "ALTER USER etl_svc ADD PAT IF NOT EXISTS ci"
    assert [list(row) for row in dicts(admin, again)] == [["status"]]
    with refused(2002):
        rows(admin, "ALTER USER etl_svc ADD PAT ci")
    (row,) = dicts(admin, "SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER etl_svc")
    assert row["expires_at"] - row["created_on"] == dt.timedelta(days=3)
    shown = [row[name] for name in ("name", "user_name", "role_restriction", "status", "comment", "created_by")]
    assert shown == ["CI", "ETL_SVC", "ROTATOR_ROLE", "ACTIVE", "it's", "ROTATOR"]
    rows(admin, "ALTER USER etl_svc MODIFY PAT ci SET DISABLED = TRUE")
    assert dicts(admin, "SHOW USER PATS FOR USER etl_svc")[0]["status"] == "DISABLED"
    assert by_token(sf, added["token_secret"]) == "394400"
    rows(admin, "ALTER USER etl_svc MODIFY PAT ci UNSET DISABLED, COMMENT")
    rows(admin, "ALTER USER etl_svc MODIFY PROGRAMMATIC ACCESS TOKEN ci RENAME TO other")
    with refused(2003):
        rows(admin, "ALTER USER etl_svc ROTATE PAT ci")
    (rotated,) = dicts(admin, "ALTER USER etl_svc ROTATE PAT other EXPIRE_ROTATED_TOKEN_AFTER_HOURS = 1")
    old = rotated["rotated_token_name"]
    assert [by_token(sf, one["token_secret"]) for one in (added, rotated)] == ["ok", "ok"]
    later(sf, hours=2)
    assert [by_token(sf, one["token_secret"]) for one in (added, rotated)] == ["394400", "ok"]
    statuses = {row["name"]: row["status"] for row in dicts(admin, "SHOW USER PATS FOR USER etl_svc")}
    assert statuses == {"OTHER": "ACTIVE", old: "EXPIRED"}
    later(sf, days=34)
    assert rows(admin, "SHOW USER PATS FOR USER etl_svc") == []
    (fresh,) = dicts(admin, "ALTER USER etl_svc ADD PAT fresh")
    message = "Programmatic access token FRESH successfully removed."
    assert rows(admin, "ALTER USER etl_svc REMOVE PAT fresh") == [(message,)]
    assert by_token(sf, fresh["token_secret"]) == "394400"
    secrets = [one["token_secret"] for one in (added, rotated, fresh)]
    assert not any(secret in label for secret in secrets for label in sf.journal.labels())


@PAT_SUPPORTED
def test_who_may_have_and_use_a_token(sf: SnowflakeSandbox, admin: t.Any) -> None:
    user = sf.user("ETL_SVC")
    user.type, user.network_policy = "SERVICE", False
    add = "ALTER USER etl_svc ADD PAT {} ROLE_RESTRICTION = 'ROTATOR_ROLE'"
    with refused(394700, "network policy"):
        rows(admin, add.format("a"))
    user.network_policy = True
    with refused(394700, "ROLE_RESTRICTION"):
        rows(admin, "ALTER USER etl_svc ADD PAT a")
    with refused(394700, "not granted"):
        rows(admin, add.format("a"))
    user.roles.add("ROTATOR_ROLE")
    ((_name, token),) = rows(admin, add.format("a"))
    assert [by_token(sf, token, role=role) for role in ("ROTATOR_ROLE", "PUBLIC")] == ["ok", "390189"]
    user.roles.clear()
    assert by_token(sf, token) == "394400"
    user.roles.add("ROTATOR_ROLE")
    user.type, user.network_policy = "PERSON", False
    assert by_token(sf, token) == "390432"
    rows(admin, "ALTER USER etl_svc ADD PAT b MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT = 5")
    assert by_token(sf, user.pats["B"].secret) == "ok"
    user.network_policy = True
    for number in range(13):
        rows(admin, f"ALTER USER etl_svc ADD PAT n{number}")
    with refused(394700, "maximum number"):
        rows(admin, "ALTER USER etl_svc ADD PAT one_more")
    rows(admin, "ALTER USER etl_svc SET DISABLED = TRUE")
    assert by_token(sf, token) == "394400"
    rows(admin, "ALTER USER etl_svc SET DISABLED = FALSE")
    assert by_token(sf, token) == "394400"


@PAT_SUPPORTED
def test_a_session_that_a_token_opened(sf: SnowflakeSandbox, admin: t.Any) -> None:
    ((_name, token),) = rows(admin, "ALTER USER ADD PAT mine")
    sf.account.token_delay = dt.timedelta(seconds=1)
    assert log_in(sf, "ROTATOR", password=token) == "394400"
    sf.account.token_delay = dt.timedelta(0)
    for way in ({"password": token}, {"authenticator": "PROGRAMMATIC_ACCESS_TOKEN", "token": token}):
        with contextlib.closing(connect(sf, "ROTATOR", **way)) as connection:
            for what in ("ADD PAT other", "ROTATE PAT mine", "REMOVE PAT mine", "MODIFY PAT mine SET DISABLED = TRUE"):
                with refused(394700, "session"):
                    rows(connection, f"ALTER USER {what}")
            assert len(rows(connection, "SHOW USER PATS")) == 1
            rows(connection, "ALTER USER etl_svc ADD PAT theirs")
            rows(connection, "ALTER USER etl_svc REMOVE PAT theirs")


def test_programmatic_access_token_as_password(sf: SnowflakeSandbox, admin: t.Any) -> None:
    ((name, token),) = rows(admin, "ALTER USER etl_svc ADD PAT ci")
    assert name == "CI"
    assert log_in(sf, "ETL_SVC", password=token) == "ok"
    sf.account.pat_as_password = False
    assert log_in(sf, "ETL_SVC", password=token) == "390100"


@pytest.mark.skipif(VERSION < (4, 0), reason="this connector has no workload identity")
def test_workload_identity(sf: SnowflakeSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client gives an attestation to Snowflake's own domains and to those that this variable adds.
    monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
    sf.add_workload_identity("ETL_SVC", token=_jwt(rsa_key(), {"iss": "https://issuer.example", "sub": "etl"}))
    (token,) = sf.user("ETL_SVC").workload_tokens
    options = {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "OIDC"}
    assert log_in(sf, "ETL_SVC", token=token, **options) == "ok"
    assert sf.logins[-1][1] == "workload_identity"


def test_an_expired_session_token_is_renewed(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.expire_sessions()
    assert rows(admin, "SELECT CURRENT_USER()") == [("ROTATOR",)]
    assert sf.journal.labels("renew") == ["renew"]
