# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Snowflake sandbox, judged by the unmodified connector of whichever version is installed."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import functools
import http.client
import json
import os
import socket
import tempfile
import threading
import time
import typing as t

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.sandbox.server import Fault, Response
from tests.sandbox.snowflake import SnowflakeSandbox, keys
from tests.sandbox.snowflake.account import MODIFY_METHODS, PLAIN_LOGIN_CODES

# The connector reads its configuration files when it is imported: it must find none.
_HOME = tempfile.TemporaryDirectory(prefix="snowflake-home-")
os.environ["SNOWFLAKE_HOME"] = _HOME.name
os.environ["NO_PROXY"] = "127.0.0.1"
# Since 4.x a login asks the clouds' metadata services where it runs, which can take seconds in name resolution alone.
os.environ["SNOWFLAKE_DISABLE_PLATFORM_DETECTION"] = "true"

connector = pytest.importorskip("snowflake.connector")
VERSION = tuple(int(part) for part in connector.__version__.split(".")[:2])

pytestmark = [pytest.mark.connector, pytest.mark.filterwarnings("ignore")]

ADMIN_PASSWORD = "Adm1n-of-etl"
OLD, NEW = "Old-secret-1", "New-secret-2"
EC_SUPPORTED = pytest.mark.skipif(VERSION < (4, 5), reason="this connector signs with RSA keys only")
PAT_SUPPORTED = pytest.mark.skipif(VERSION < (4, 0), reason="this connector cannot send the token by itself")


# -- helpers


class Key:
    """A key pair in the forms that clients and statements want."""

    def __init__(self, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
        self.private = private
        encoding, form = serialization.Encoding, serialization.PublicFormat.SubjectPublicKeyInfo
        self.der = private.private_bytes(encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.pem = private.public_key().public_bytes(encoding.PEM, form).decode()
        self.bare = base64.b64encode(private.public_key().public_bytes(encoding.DER, form)).decode()
        self.fingerprint = keys.fingerprint(self.bare)


@functools.cache
def rsa_key(number: int = 0, bits: int = 2048) -> Key:
    """The same key for the same number, because RSA keys are slow to make."""
    return Key(rsa.generate_private_key(65537, bits))


def ec_key(curve: ec.EllipticCurve | None = None) -> Key:
    return Key(ec.generate_private_key(curve or ec.SECP256R1()))


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def connect(sf: SnowflakeSandbox, user: str, **options: t.Any) -> t.Any:
    settings = {"account": sf.account.name, "host": sf.host, "port": sf.port, "protocol": "http"}
    return connector.connect(**(settings | {"user": user, "login_timeout": 20} | options))


def log_in(sf: SnowflakeSandbox, user: str, **options: t.Any) -> str:
    """Log in and out again; ``ok`` or the number that the server answered, which the client must report too."""
    try:
        connect(sf, user, **options).close()
    except connector.errors.Error as error:
        code = sf.logins[-1][2]
        # Before 4.7 every refused login was 250001, and only the text told one from another.
        assert error.errno == (int(code) if VERSION >= (4, 7) else 250001)
        return code
    return "ok"


def rows(connection: t.Any, sql: str, *arguments: t.Any) -> list[t.Any]:
    with connection.cursor() as cursor:
        return list(cursor.execute(sql, *arguments).fetchall())


def dicts(connection: t.Any, sql: str) -> list[dict[str, t.Any]]:
    with connection.cursor(connector.DictCursor) as cursor:
        return list(cursor.execute(sql).fetchall())


def describe(connection: t.Any, user: str = "ETL_SVC") -> dict[str, str | None]:
    return {row["property"]: row["value"] for row in dicts(connection, f"DESC USER {user}")}


@contextlib.contextmanager
def refused(number: int, text: str = "") -> t.Iterator[None]:
    with pytest.raises(connector.errors.ProgrammingError) as caught:
        yield
    assert (caught.value.errno, text in str(caught.value)) == (number, True), str(caught.value)


def later(sf: SnowflakeSandbox, **elapsed: float) -> None:
    """Move the account's clock."""
    moment = sf.account.clock() + dt.timedelta(**elapsed)
    sf.account.clock = lambda: moment


@pytest.fixture
def sf() -> t.Iterator[SnowflakeSandbox]:
    with SnowflakeSandbox(account="xy12345") as sandbox:
        sandbox.add_role("ROTATOR_ROLE")
        sandbox.add_user("ROTATOR", password=ADMIN_PASSWORD, default_role="ROTATOR_ROLE", roles=["ROTATOR_ROLE"])
        sandbox.add_user("etl_svc", password=OLD, owner="ROTATOR_ROLE")
        yield sandbox
        assert sandbox.errors == []


@pytest.fixture
def admin(sf: SnowflakeSandbox) -> t.Iterator[t.Any]:
    with contextlib.closing(connect(sf, "ROTATOR", password=ADMIN_PASSWORD)) as connection:
        yield connection


# -- logging in


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


# -- key pairs


@pytest.mark.parametrize("slot", ["RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2"])
@pytest.mark.parametrize("form", ["bare", "pem"])
def test_rsa_key_in_either_slot(sf: SnowflakeSandbox, admin: t.Any, slot: str, form: str) -> None:
    key = rsa_key()
    assert log_in(sf, "ETL_SVC", private_key=key.der) == "394304"
    rows(admin, f"ALTER USER etl_svc SET {slot} = {literal(getattr(key, form))}")
    assert log_in(sf, "ETL_SVC", private_key=key.der) == "ok"
    assert sf.logins[-1] == ("ETL_SVC", "key_pair", "ok")
    described = describe(admin)
    assert described[slot] == getattr(key, form)
    assert described[f"{slot}_FP"] == key.fingerprint
    assert described[f"{slot}_LAST_SET_TIME"] != "null"
    assert described["HAS_KEYPAIR"] == "true"
    assert sf.accepts_key("ETL_SVC", key.pem) and sf.accepts_key("ETL_SVC", key.fingerprint)
    assert not sf.accepts_key("ETL_SVC", rsa_key(1).bare)


@EC_SUPPORTED
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_ec_keys(sf: SnowflakeSandbox, curve: ec.EllipticCurve) -> None:
    key, other = ec_key(curve), ec_key(curve)
    sf.user("ETL_SVC").rsa_public_key = key.bare
    assert log_in(sf, "ETL_SVC", private_key=key.der) == "ok"
    assert log_in(sf, "ETL_SVC", private_key=other.der) == "394304"


def test_unset_and_empty_text_remove_a_key(sf: SnowflakeSandbox, admin: t.Any) -> None:
    key = rsa_key()
    rows(admin, f"ALTER USER etl_svc SET RSA_PUBLIC_KEY='{key.bare}' RSA_PUBLIC_KEY_2='{key.bare}'")
    rows(admin, "ALTER USER etl_svc SET RSA_PUBLIC_KEY = ''")
    assert sf.accepts_key("ETL_SVC", key.bare)
    rows(admin, "ALTER USER etl_svc UNSET RSA_PUBLIC_KEY, RSA_PUBLIC_KEY_2")
    described = describe(admin)
    assert described["RSA_PUBLIC_KEY"] == described["RSA_PUBLIC_KEY_2_FP"] == "null"
    assert described["RSA_PUBLIC_KEY_LAST_SET_TIME"] != "null"
    assert log_in(sf, "ETL_SVC", private_key=key.der) == "394304"


def test_refused_keys(sf: SnowflakeSandbox, admin: t.Any) -> None:
    short = rsa_key(bits=1024)
    bad = [
        (short.bare, "Key length 1024 is smaller than minimal requirement of 2048."),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAA", "Invalid Public key"),
        (Key(ed25519.Ed25519PrivateKey.generate()).bare, "Invalid Public key"),
        (Key(ec.generate_private_key(ec.SECP256K1())).bare, "Invalid Public key"),
        ("not a key", "Invalid Public key"),
    ]
    for text, reason in bad:
        with refused(3002, f"New public key rejected by current policy. Reason: '{reason}'"):
            rows(admin, f"ALTER USER etl_svc SET RSA_PUBLIC_KEY = {literal(text)}")
    with refused(1420, "invalid property 'RSA_PUBLIC_KEY_FP'"):
        rows(admin, "ALTER USER etl_svc SET RSA_PUBLIC_KEY_FP = 'SHA256:x'")
    assert sf.user("ETL_SVC").rsa_public_key is None


def test_login_token_times(sf: SnowflakeSandbox) -> None:
    sf.user("ETL_SVC").rsa_public_key = rsa_key().bare
    real = sf.account.jwt_clock
    sf.account.jwt_clock = lambda: real() + dt.timedelta(hours=2)
    assert log_in(sf, "ETL_SVC", private_key=rsa_key().der) == "394301"
    sf.account.jwt_clock = lambda: real() - dt.timedelta(hours=2)
    assert log_in(sf, "ETL_SVC", private_key=rsa_key().der) == "394302"


def test_login_token_of_another_account_or_user(sf: SnowflakeSandbox) -> None:
    sf.user("ETL_SVC").rsa_public_key = rsa_key().bare
    assert log_in(sf, "ROTATOR", private_key=rsa_key().der) == "394304"
    assert log_in(sf, "ETL_SVC", private_key=rsa_key().der, account="zz99999") == "390144"


def _jwt(key: Key, claims: dict[str, t.Any], algorithm: str = "RS256") -> str:
    def encode(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).decode().rstrip("=")

    signed = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": algorithm, "typ": "JWT"}, claims))
    if isinstance(key.private, rsa.RSAPrivateKey):
        signature = key.private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(key.private, ec.EllipticCurvePrivateKey)
        numbers = decode_dss_signature(key.private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = b"".join(number.to_bytes(key.private.key_size // 8, "big") for number in numbers)
    return signed + "." + encode(signature)


def _raw_login(sf: SnowflakeSandbox, token: str) -> str:
    """What no connector does: log in with a token of one's own making."""
    data = {"LOGIN_NAME": "ETL_SVC", "ACCOUNT_NAME": "xy12345", "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token}
    with contextlib.closing(http.client.HTTPConnection(sf.host, sf.port, timeout=10)) as client:
        client.request("POST", "/session/v1/login-request", json.dumps({"data": data}))
        answer = json.loads(client.getresponse().read())
    return "ok" if answer["success"] else str(answer["code"])


def test_forged_login_tokens(sf: SnowflakeSandbox) -> None:
    key, other = rsa_key(), rsa_key(1)
    sf.user("ETL_SVC").rsa_public_key = key.bare
    now = int(time.time())
    subject = "XY12345.ETL_SVC"
    claims = {"iss": f"{subject}.{key.fingerprint}", "sub": subject, "iat": now, "exp": now + 59}
    assert _raw_login(sf, _jwt(key, claims)) == "ok"
    assert _raw_login(sf, _jwt(other, claims)) == "390144"
    assert _raw_login(sf, _jwt(key, claims | {"sub": "XY12345.etl_svc"})) == "390144"
    assert _raw_login(sf, _jwt(key, claims | {"iss": f"XY12345.ROTATOR.{key.fingerprint}"})) == "390144"
    assert _raw_login(sf, _jwt(key, claims | {"iss": f"{subject}.{other.fingerprint}"})) == "394304"
    assert _raw_login(sf, _jwt(key, claims | {"exp": now + 7200})) == "394303"
    assert _raw_login(sf, _jwt(key, claims, "none")) == "394305"
    assert _raw_login(sf, _jwt(key, claims, "ES256")) == "390144"
    assert _raw_login(sf, "no.token") == "394306"


def test_forged_ec_login_tokens(sf: SnowflakeSandbox) -> None:
    key, other = ec_key(), ec_key()
    sf.user("ETL_SVC").rsa_public_key_2 = key.bare
    now = int(time.time())
    subject = "XY12345.ETL_SVC"
    claims = {"iss": f"{subject}.{key.fingerprint}", "sub": subject, "iat": now, "exp": now + 59}
    assert _raw_login(sf, _jwt(key, claims, "ES256")) == "ok"
    for forged in (_jwt(other, claims, "ES256"), _jwt(key, claims, "ES384"), _jwt(key, claims, "RS256")):
        assert _raw_login(sf, forged) == "390144"
    assert _raw_login(sf, _jwt(key, claims, "ES256")[:-4]) == "390144"


def test_whether_a_lock_concerns_keys_is_a_switch(sf: SnowflakeSandbox) -> None:
    sf.user("ETL_SVC").rsa_public_key = rsa_key().bare
    for _each in range(5):
        log_in(sf, "ETL_SVC", password="Wrong-1")
    assert log_in(sf, "ETL_SVC", private_key=rsa_key().der) == "ok"
    sf.account.lock_blocks_keys = True
    assert log_in(sf, "ETL_SVC", private_key=rsa_key().der) == "390102"


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


def test_statements_have_the_tag_of_their_session(sf: SnowflakeSandbox, admin: t.Any) -> None:
    options = {"password": ADMIN_PASSWORD, "session_parameters": {"QUERY_TAG": "keyturn: a 'tag'"}}
    with contextlib.closing(connect(sf, "ROTATOR", **options)) as connection:
        describe(connection)
    describe(admin)
    assert sf.tags == [("DESCRIBE USER ETL_SVC", "keyturn: a 'tag'"), ("DESCRIBE USER ETL_SVC", "")]


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


# -- named key pairs


def pairs(connection: t.Any, user: str = "etl_svc") -> dict[str, dict[str, t.Any]]:
    return {row["name"]: row for row in dicts(connection, f"SHOW USER KEY PAIRS FOR USER {user}")}


def test_named_key_pair(sf: SnowflakeSandbox, admin: t.Any) -> None:
    key = rsa_key()
    rows(admin, f"ALTER USER etl_svc ADD KEY PAIR ci PUBLIC_KEY = '{key.bare}' COMMENT = 'c' DAYS_TO_EXPIRY = 30")
    (shown,) = pairs(admin).values()
    assert (shown["name"], shown["user_name"], shown["status"]) == ("CI", "ETL_SVC", "ACTIVE")
    assert (shown["fingerprint"], shown["comment"], shown["last_used_on"]) == (key.fingerprint, "c", None)
    assert shown["expires_at"] - shown["created_on"] == dt.timedelta(days=30)
    assert log_in(sf, "ETL_SVC", private_key=key.der) == "ok"
    assert pairs(admin)["CI"]["last_used_on"] is not None
    rows(admin, "ALTER USER etl_svc MODIFY KEY PAIR ci SET DISABLED = TRUE")
    assert pairs(admin)["CI"]["status"] == "DISABLED"
    assert log_in(sf, "ETL_SVC", private_key=key.der) == "394304"
    rows(admin, "ALTER USER etl_svc MODIFY KEY PAIR ci SET DISABLED = FALSE")
    later(sf, days=34)
    assert pairs(admin)["CI"]["status"] == "EXPIRED" and not sf.accepts_key("ETL_SVC", key.fingerprint)
    rows(admin, "ALTER USER etl_svc REMOVE KEY PAIR ci")
    assert pairs(admin) == {}


def test_rotation_keeps_the_old_key_for_a_while(sf: SnowflakeSandbox, admin: t.Any) -> None:
    old, new = rsa_key(), rsa_key(1)
    rows(admin, f"ALTER USER etl_svc ADD KEY PAIR ci PUBLIC_KEY = '{old.bare}'")
    rows(admin, f"ALTER USER etl_svc ROTATE KEY PAIR ci PUBLIC_KEY = '{new.bare}'")
    (tombstone,) = (name for name in pairs(admin) if name != "CI")
    assert tombstone == f"CI_ROTATED_{int(pairs(admin)['CI']['created_on'].timestamp() * 1000)}"
    assert pairs(admin)[tombstone]["rotated_to"] == "CI"
    for key in (old, new):
        assert log_in(sf, "ETL_SVC", private_key=key.der) == "ok"
    with refused(394600, "cannot be rotated again"):
        rows(admin, f"ALTER USER etl_svc ROTATE KEY PAIR {tombstone} PUBLIC_KEY = '{ec_key().bare}'")
    later(sf, hours=25)
    assert pairs(admin)[tombstone]["status"] == "EXPIRED"
    assert log_in(sf, "ETL_SVC", private_key=old.der) == "394304"
    assert log_in(sf, "ETL_SVC", private_key=new.der) == "ok"
    rows(admin, f"ALTER USER etl_svc REMOVE KEY PAIR {tombstone}")
    assert set(pairs(admin)) == {"CI"}


def test_rotation_without_grace(sf: SnowflakeSandbox, admin: t.Any) -> None:
    old, new = ec_key(), ec_key()
    rows(admin, f"ALTER USER etl_svc ADD KEY PAIR ci PUBLIC_KEY = '{old.bare}' DAYS_TO_EXPIRY = 1")
    with refused(1008):
        rows(
            admin,
            f"ALTER USER etl_svc ROTATE KEY PAIR ci PUBLIC_KEY='{new.bare}' EXPIRE_ROTATED_KEY_PAIR_AFTER_HOURS=48",
        )
    assert set(pairs(admin)) == {"CI"} and sf.accepts_key("ETL_SVC", old.bare)
    rows(admin, f"ALTER USER etl_svc ROTATE KEY PAIR ci PUBLIC_KEY='{new.bare}' EXPIRE_ROTATED_KEY_PAIR_AFTER_HOURS=0")
    assert sf.accepts_key("ETL_SVC", new.bare) and not sf.accepts_key("ETL_SVC", old.bare)


def test_limits_of_named_key_pairs(sf: SnowflakeSandbox, admin: t.Any) -> None:
    made = [ec_key() for _each in range(11)]
    add = "ALTER USER etl_svc ADD KEY PAIR"
    for number, key in enumerate(made[:10]):
        rows(admin, f"{add} n{number} PUBLIC_KEY = '{key.bare}'")
    with refused(394600, "maximum number of key pairs (10)"):
        rows(admin, f"{add} n10 PUBLIC_KEY = '{made[10].bare}'")
    with refused(394600, "maximum number of key pairs (10)"):
        rows(admin, f"ALTER USER etl_svc ROTATE KEY PAIR n0 PUBLIC_KEY = '{made[10].bare}'")
    rows(admin, "ALTER USER etl_svc REMOVE KEY PAIR n9")
    with refused(2002):
        rows(admin, f"{add} n0 PUBLIC_KEY = '{made[10].bare}'")
    with refused(394600, "already in use"):
        rows(admin, f"{add} n9 PUBLIC_KEY = '{made[0].bare}'")
    with refused(394600, "reserved"):
        rows(admin, f"{add} public_key_1 PUBLIC_KEY = '{made[9].bare}'")
    with refused(2003):
        rows(admin, f"ALTER USER etl_svc ROTATE KEY PAIR absent PUBLIC_KEY = '{made[9].bare}'")
    assert len(pairs(admin)) == 9


def test_role_restriction(sf: SnowflakeSandbox, admin: t.Any) -> None:
    key = rsa_key()
    sf.user("ETL_SVC").roles.add("ROTATOR_ROLE")
    rows(admin, f"ALTER USER etl_svc ADD KEY PAIR ci PUBLIC_KEY = '{key.bare}' ROLE_RESTRICTION = rotator_role")
    assert pairs(admin)["CI"]["role_scope"] == "ROTATOR_ROLE"
    assert log_in(sf, "ETL_SVC", private_key=key.der, role="PUBLIC") == "390189"
    assert log_in(sf, "ETL_SVC", private_key=key.der) == "ok"


def test_switches_of_named_key_pairs(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.user("ETL_SVC").rsa_public_key_2 = rsa_key().bare
    assert pairs(admin) == {}
    sf.account.key_pairs_list_slots = True
    assert pairs(admin)["PUBLIC_KEY_2"]["fingerprint"] == rsa_key().fingerprint
    assert pairs(admin, "rotator") == {}
    sf.account.show_times = "text"
    assert isinstance(pairs(admin)["PUBLIC_KEY_2"]["created_on"], str)
    sf.account.named_key_pairs_supported = False
    for sql in ("SHOW USER KEY PAIRS", "ALTER USER etl_svc REMOVE KEY PAIR x"):
        with refused(1003):
            rows(admin, sql)


# -- the session


def test_functions_and_session_statements(sf: SnowflakeSandbox, admin: t.Any) -> None:
    found = rows(admin, "SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_ACCOUNT(), 1, 'x', NULL, TRUE")
    assert found == [("ROTATOR", "ROTATOR_ROLE", "XY12345", 1, "x", None, True)]
    assert rows(admin, "SELECT CURRENT_VERSION();")[0][0][0].isdigit()
    for sql in ("BEGIN", "COMMIT", "ROLLBACK", "USE ROLE PUBLIC", "ALTER SESSION SET QUERY_TAG = 'x'"):
        rows(admin, sql)
    assert rows(admin, "SELECT CURRENT_ROLE()") == [("PUBLIC",)]


def test_binds_are_a_switch(sf: SnowflakeSandbox) -> None:
    with contextlib.closing(connect(sf, "ROTATOR", password=ADMIN_PASSWORD, paramstyle="qmark")) as connection:
        assert rows(connection, "SELECT ? AS a, ? AS b", ("it's", "\\")) == [("it's", "\\")]
        alter = "ALTER USER etl_svc SET PASSWORD = ?"
        with refused(1003):
            rows(connection, alter, (NEW,))
        sf.account.alter_user_binds = True
        rows(connection, alter, (NEW,))
    assert sf.accepts("ETL_SVC", NEW)
    assert sf.journal.labels("ALTER") == ["ALTER USER ETL_SVC SET PASSWORD"] * 2


def test_labels_name_the_operation_and_hold_no_secret(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.journal.clear()
    key = rsa_key()
    for sql in (
        "DESC USER etl_svc",
        "SHOW USERS LIKE 'ETL_SVC'",
        f"ALTER USER etl_svc SET PASSWORD = '{NEW}'",
        "ALTER USER etl_svc SET PASSWORD = 'New-secret-3' MUST_CHANGE_PASSWORD = TRUE",
        f"ALTER USER etl_svc SET RSA_PUBLIC_KEY_2 = '{key.bare}'",
        "ALTER USER etl_svc UNSET RSA_PUBLIC_KEY",
        f"ALTER USER etl_svc ADD KEY PAIR n PUBLIC_KEY = '{rsa_key(1).bare}'",
        "ALTER USER etl_svc MODIFY KEY PAIR n SET DISABLED = TRUE",
        "ALTER USER etl_svc REMOVE KEY PAIR n",
        "SHOW USER KEY PAIRS FOR USER etl_svc",
        "SELECT 'secret'",
        "USE ROLE public",
    ):
        rows(admin, sql)
    with contextlib.suppress(connector.errors.Error):
        rows(admin, "ALTER USER etl_svc SET PASSWORD = 'x' New_Secret_4 = 'y'")
    assert sf.journal.labels() == [
        "DESCRIBE USER ETL_SVC",
        "SHOW USERS",
        "ALTER USER ETL_SVC SET PASSWORD",
        "ALTER USER ETL_SVC SET MUST_CHANGE_PASSWORD PASSWORD",
        "ALTER USER ETL_SVC SET RSA_PUBLIC_KEY_2",
        "ALTER USER ETL_SVC UNSET RSA_PUBLIC_KEY",
        "ALTER USER ETL_SVC ADD KEY PAIR N",
        "ALTER USER ETL_SVC MODIFY KEY PAIR N",
        "ALTER USER ETL_SVC REMOVE KEY PAIR N",
        "SHOW USER KEY PAIRS ETL_SVC",
        "SELECT",
        "USE ROLE PUBLIC",
        "ALTER USER ETL_SVC SET ? PASSWORD",
    ]


def test_settings(sf: SnowflakeSandbox) -> None:
    assert sf.settings() == {
        "account": "xy12345",
        "login_host": "127.0.0.1",
        "login_port": sf.port,
        "login_protocol": "http",
    }


# -- faults

ALTER = "ALTER USER ETL_SVC SET PASSWORD"
CHANGE = f"ALTER USER etl_svc SET PASSWORD = '{NEW}'"


def test_an_answer_lost_after_the_change_is_repeated(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.faults.add(Fault(ALTER, drop="after"))
    rows(admin, CHANGE)
    assert sf.journal.labels(ALTER) == [ALTER] * 2
    assert sf.user("ETL_SVC").password_history == [OLD] and sf.accepts("ETL_SVC", NEW)


def test_without_dedup_the_repeated_change_is_prior_use(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.account.request_id_dedup = False
    sf.faults.add(Fault(ALTER, drop="after"))
    with refused(3002, "PRIOR_USE"):
        rows(admin, CHANGE)
    assert sf.journal.labels(ALTER) == [ALTER] * 2 and sf.accepts("ETL_SVC", NEW)


def test_a_request_lost_before_the_change(sf: SnowflakeSandbox, admin: t.Any) -> None:
    seen: list[bool] = []
    sf.faults.add(Fault(ALTER, drop="before", before=lambda: seen.append(sf.accepts("ETL_SVC", NEW))))
    sf.faults.add(Fault(ALTER, before=lambda: seen.append(sf.accepts("ETL_SVC", NEW))))
    rows(admin, CHANGE)
    assert seen == [False, False] and sf.accepts("ETL_SVC", NEW)


@pytest.mark.parametrize(("when", "changed"), [("before", False), ("after", True)])
def test_silence(sf: SnowflakeSandbox, when: t.Literal["before", "after"], changed: bool) -> None:
    limits = {"network_timeout": 1, "socket_timeout": 1}
    with contextlib.closing(connect(sf, "ROTATOR", password=ADMIN_PASSWORD, **limits)) as connection:
        sf.faults.add(Fault(ALTER, times=100, hang=when))
        with pytest.raises(connector.errors.Error):
            rows(connection, CHANGE)
        sf.faults.clear()
    assert sf.accepts("ETL_SVC", NEW) is changed


def test_delay(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.faults.add(Fault(ALTER, delay=0.3))
    started = time.monotonic()
    rows(admin, CHANGE)
    assert time.monotonic() - started >= 0.3
    assert sf.journal.labels(ALTER) == [ALTER]


def test_an_error_that_the_test_chose(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.faults.add(Fault(ALTER, response=sf.statement_failure(603, "Processing aborted by error 300002", "XX000")))
    with refused(603, "Processing aborted"):
        rows(admin, CHANGE)
    assert not sf.accepts("ETL_SVC", NEW)
    sf.faults.add(Fault("login ETL_SVC", response=sf.login_failure(390422, "Incoming request with IP is not allowed")))
    with pytest.raises(connector.errors.Error, match="is not allowed"):
        connect(sf, "ETL_SVC", password=OLD)
    assert sf.logins == [("ROTATOR", "password", "ok")]


def test_a_busy_server_is_asked_again(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.faults.add(Fault(ALTER, response=Response(503)))
    rows(admin, CHANGE)
    assert sf.journal.labels(ALTER) == [ALTER] * 2 and sf.accepts("ETL_SVC", NEW)


def test_a_login_whose_answer_is_lost(sf: SnowflakeSandbox) -> None:
    sf.faults.add(Fault("login ETL_SVC", drop="after"))
    assert log_in(sf, "ETL_SVC", password=OLD) == "ok"
    assert sf.journal.labels("login") == ["login ETL_SVC password"] * 2


# -- the end


def test_close_leaves_nothing() -> None:
    before = set(threading.enumerate())
    with SnowflakeSandbox() as sandbox:
        sandbox.faults.add(Fault("heartbeat", hang="before"))
        clients = [socket.create_connection((sandbox.host, sandbox.port), timeout=10) for _each in range(3)]
        clients[0].sendall(b"POST /session/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert sandbox.journal.wait_for("heartbeat", 10)
        clients[1].sendall(b"GET /monitoring/queries HTTP/1.1\r\nHost: x\r\n\r\n")
        assert clients[1].recv(12) == b"HTTP/1.1 200"
    for client in clients:
        # A connection that nobody had accepted yet is reset; one that was served ends.
        with contextlib.closing(client), contextlib.suppress(ConnectionResetError):
            while client.recv(4096):
                pass
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((sandbox.host, sandbox.port), timeout=10)
    assert sandbox.errors == []


def test_a_route_that_does_not_exist(sf: SnowflakeSandbox) -> None:
    for path, body, status, label in [
        ("/nothing", b"{}", 404, "unknown"),
        ("/queries/v1/query-request", b"{", 400, "unparsable"),
    ]:
        with contextlib.closing(http.client.HTTPConnection(sf.host, sf.port, timeout=10)) as client:
            client.request("POST", path, body)
            assert client.getresponse().status == status
        assert sf.journal.labels()[-1] == label


def test_an_unknown_session_is_turned_away(sf: SnowflakeSandbox) -> None:
    with contextlib.closing(http.client.HTTPConnection(sf.host, sf.port, timeout=10)) as client:
        body = json.dumps({"sqlText": CHANGE})
        client.request("POST", "/queries/v1/query-request?requestId=1", body, {"Authorization": 'Snowflake Token="x"'})
        assert json.loads(client.getresponse().read())["code"] == "390104"
    assert sf.accepts("ETL_SVC", OLD)
