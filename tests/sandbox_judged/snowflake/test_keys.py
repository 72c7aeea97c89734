# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Snowflake sandbox, judged by the unmodified connector: key pairs in slots and by name."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import time
import typing as t

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox_judged.snowflake.conftest import (
    VERSION,
    Key,
    _jwt,
    describe,
    dicts,
    later,
    literal,
    log_in,
    refused,
    rows,
    rsa_key,
)

pytestmark = [pytest.mark.connector, pytest.mark.filterwarnings("ignore")]

EC_SUPPORTED = pytest.mark.skipif(VERSION < (4, 5), reason="this connector signs with RSA keys only")


# -- helpers


def ec_key(curve: ec.EllipticCurve | None = None) -> Key:
    return Key(ec.generate_private_key(curve or ec.SECP256R1()))


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
