# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to the sandbox by the connector of whichever version is installed."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import functools
import json
import os
import tempfile
import typing as t

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.sandbox.snowflake import SnowflakeSandbox, keys

# The connector reads its configuration files when it is imported: it must find none.
_HOME = tempfile.TemporaryDirectory(prefix="snowflake-home-")

os.environ["SNOWFLAKE_HOME"] = _HOME.name

os.environ["NO_PROXY"] = "127.0.0.1"

# Since 4.x a login asks the clouds' metadata services where it runs, which can take seconds in name resolution alone.
os.environ["SNOWFLAKE_DISABLE_PLATFORM_DETECTION"] = "true"

connector = pytest.importorskip("snowflake.connector")

VERSION = tuple(int(part) for part in connector.__version__.split(".")[:2])

ADMIN_PASSWORD = "Adm1n-of-etl"

OLD, NEW = "Old-secret-1", "New-secret-2"


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


ALTER = "ALTER USER ETL_SVC SET PASSWORD"
