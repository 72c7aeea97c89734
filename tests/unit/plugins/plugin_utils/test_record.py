# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records as Keeper's guides have them, as programs write them and as people fill them in, for every reader alike."""

from __future__ import annotations

import json
import secrets
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.filter.key_login import key_login
from ansible_collections.keyturn.credentials.plugins.filter.snowflake_login import snowflake_login
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import connection
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _record

Fields = dict[str, t.Any]

KEY = secrets.token_hex(20)


def vault(*fields: Fields, custom: t.Sequence[Fields] = ()) -> Fields:
    return {"title": "x", "type": "login", "fields": list(fields), "custom": list(custom)}


def field(kind: str, value: t.Any, label: str | None = None) -> Fields:
    return {"type": kind, "value": value} | ({} if label is None else {"label": label})


@pytest.mark.parametrize(
    "record",
    [
        {"login": ["R"], "snowflake_account_name": ["xy"]},
        {"login": " R\r\n", "snowflake_account_name": "xy\r\n"},
        {"LOGIN": "R", "Snowflake Account Name": "xy"},
        {"Login": "R", "snowflake-account-name": [["xy"]]},
        {"Username": "R", "SnowflakeAccountName": "xy"},
        {"login": "", "login_2": "R", "login2": None, "snowflake_account_name_1": "xy"},
        {"login": "R", "login_2": "", "login_3": ["R"], "snowflake_account_name_2": [], "snowflake_account_name": "xy"},
        {"login": "R", "snowflake_account_name": "xy", "unknown": {"a": [1]}, "host": [{"hostName": "h"}], "n": 4},
        vault(field("login", ["R"]), custom=[field("text", ["xy"], "snowflake_account_name")]),
        vault(field("login", ["R"], ""), custom=[field("text", ["xy"], " Snowflake account-name ")]),
        vault(field("login", ["R"], "Sign-in"), custom=[field("secret", ["xy"], "SNOWFLAKE_ACCOUNT_NAME")]),
        vault(field("login", []), custom=[field("login", ["R"]), field("text", ["xy"], "snowflake_account_name")]),
        vault(
            field("fileRef", ["R2"], "login"), field("login", "R"), custom=[field("x", "xy", "snowflakeaccountname")]
        ),
    ],
)
def test_fields_in_every_spelling(record: Fields) -> None:
    fields = _record.read(record)
    assert (_record.text(fields, "login"), _record.text(fields, "snowflake_account_name")) == ("R", "xy")


@pytest.mark.parametrize("write", [str, lambda secret: [secret], lambda secret: [[secret]]])
def test_a_secret_is_never_touched(write: t.Callable[[str], t.Any]) -> None:
    for record in ({"Password": write(f" \t{KEY}\r\n")}, vault(field("password", write(f" \t{KEY}\r\n")))):
        assert _record.secret(_record.read(record), "password") == f" \t{KEY}\r\n"
    assert _record.secret(_record.read({"password": [12345678]}), "password") == "12345678"


@pytest.mark.parametrize(
    "record",
    [
        {"uid": "U1", "login": "A", "Login": "B"},
        {"uid": "U1", "login": ["A", "B"]},
        {"uid": "U1", "login": "A", "login_2": "B"},
        {"uid": "U1", **vault(field("login", ["A"]), custom=[field("text", ["B"], "LOGIN")])},
    ],
)
def test_two_values_of_one_meaning_are_refused_and_named(record: Fields) -> None:
    with pytest.raises(InvalidInput, match=r"Record U1 has several values for login; leave the one that counts\."):
        _record.text(_record.read(record), "login")
    # Nobody asks, nobody minds.
    assert _record.text(_record.read({**record, "password": "p"}), "password") == "p"


def test_what_is_no_record() -> None:
    for nothing in (None, "text", 7, ["a"]):
        with pytest.raises(InvalidInput):
            _record.read(nothing)
    for odd in ({"fields": None}, {"custom": "x"}, {"fields": [7]}, vault({"type": None}), {"fields": {"a": 1}}):
        assert _record.text(_record.read(odd), "login") is None


def test_a_key_pair_field_is_read_as_a_mapping_or_as_its_json() -> None:
    pair = {"privateKey": KEY, "publicKey": "ssh"}
    for value in (pair, [pair], json.dumps(pair), [json.dumps(pair)]):
        for record in ({"Key Pair": value}, vault(field("keyPair", value)), {"private-PEM-key": KEY}):
            assert _record.private_key(_record.read(record)) == KEY
    assert _record.private_key(_record.read({"keyPair": "[1]"})) is None


def test_the_module_that_a_record_names() -> None:
    for text in ("snowflake_user_password", [" keyturn.credentials.snowflake_user_password "]):
        assert _record.kind(_record.read({"Rotation Module": text})) == "snowflake_user_password"
    assert _record.kind({}) == ""


def test_options_are_no_secrets_and_none_of_a_users() -> None:
    record = {"Login Role": "R", "login-port": 443, "login_private_key": KEY, "name": "x", "users": "x", "title": "t"}
    found = _record.options(_record.read(record), connection.CONNECTION_SPEC)
    assert found == {"login_role": "R", "login_port": "443"}


@pytest.mark.parametrize(
    ("record", "connection", "options"),
    [
        ({"password": [KEY], "network_id": ["N_1"], "login": ["x"]}, {}, {"api_key": KEY, "network_id": "N_1"}),
        ({"password": [KEY]}, {"network_id": "N_2"}, {"api_key": KEY, "network_id": "N_2"}),
        ({"Password": [KEY], "Network ID": ["N_1"]}, {"network_id": "N_2"}, {"api_key": KEY, "network_id": "N_2"}),
        ({"password": [""], "network_id": []}, {"timeout": 5}, {"timeout": 5}),
        ({"API URL": "https://x", "email": "no"}, {}, {"api_url": "https://x"}),
    ],
)
def test_meraki_login(record: Fields, connection: Fields, options: Fields) -> None:
    assert key_login(record, connection, "meraki_vpn_user_password") == options


ADMIN: Fields = {"login": ["R"], "snowflake_account_name": ["xy"], "password": [KEY]}
USUAL = {"account": "xy", "login_user": "R"}


@pytest.mark.parametrize(
    ("record", "connection", "options"),
    [
        ({}, {}, {"login_password": KEY}),
        ({"password": "", "privatePEMKey": KEY}, {}, {"login_private_key": KEY}),
        ({"login role": "X", "verify": "no"}, {}, {"login_password": KEY, "login_role": "X"}),
        ({"login_role": "X"}, {"login_role": "Y"}, {"login_password": KEY, "login_role": "Y"}),
        ({}, {"login_token": "t"}, {"login_token": "t"}),
        ({}, {"login_authenticator": "workload_identity"}, {"login_authenticator": "workload_identity"}),
        (
            {"login_authenticator": "key_pair", "keyPair": {"privateKey": "k"}},
            {},
            {"login_authenticator": "key_pair", "login_private_key": "k"},
        ),
        ({"login_authenticator": "oauth"}, {}, {"login_authenticator": "oauth", "login_token": KEY}),
    ],
)
def test_snowflake_login(record: Fields, connection: Fields, options: Fields) -> None:
    assert snowflake_login({**ADMIN, **record}, connection) == {**USUAL, **options}
