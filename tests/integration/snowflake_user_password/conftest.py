# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's logic in this process, much cheaper than the front door, and what the account saw."""

from __future__ import annotations

import functools
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_password import SPEC, run
from tests.integration.conftest import fresh_password
from tests.integration.support import Decide
from tests.sandbox.snowflake import SnowflakeSandbox

MODULE = "snowflake_user_password"

Answer = dict[str, t.Any]


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


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


@pytest.fixture
def decide(decider: t.Callable[..., Decide]) -> Decide:
    return decider(SPEC, run)


@pytest.fixture
def old(snowflake: SnowflakeSandbox) -> str:
    """The present password of the user ETL."""
    password = fresh_password()
    snowflake.add_user("ETL", password=password)
    return password


UNLISTED = [
    (394508, "MFA with TOTP is required."),
    (390190, "SAML response is invalid."),
    (399999, "Something new."),
    (390202, "Duo Security authentication is unavailable."),
    (394999, "Rejected by authentication policy."),
]
