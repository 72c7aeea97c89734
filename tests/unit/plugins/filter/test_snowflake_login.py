# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's login from its record."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.filter import snowflake_login
from ansible_collections.keyturn.credentials.plugins.plugin_utils._run_id import run_id

RECORD = {"login": ["ROTATOR"], "snowflake_account_name": ["xy12345"]}
BASE = {"login_user": "ROTATOR", "account": "xy12345"}


@pytest.mark.parametrize(
    ("fields", "secret"),
    [
        ({"password": ["pw"]}, {"login_password": "pw"}),
        ({"password": "pw"}, {"login_password": "pw"}),
        ({"password": ["pw"], "privatePEMKey": ["key"]}, {"login_password": "pw"}),
        ({"password": [], "privatePEMKey": ["key"]}, {"login_private_key": "key"}),
        ({"password": [""], "privatePEMKey": ["key"]}, {"login_private_key": "key"}),
        ({"keyPair": [{"publicKey": "public", "privateKey": "key"}]}, {"login_private_key": "key"}),
        ({"keyPair": [{"publicKey": "", "privateKey": ""}], "privatePEMKey": ["key"]}, {"login_private_key": "key"}),
        ({"keyPair": []}, {}),
        ({}, {}),
    ],
)
def test_the_administrators_record(fields: dict[str, t.Any], secret: dict[str, str]) -> None:
    assert snowflake_login.snowflake_login({**RECORD, **fields}, {}) == {**BASE, **secret}
    more = {"login_role": "USER_ROTATOR", "login_timeout": 5, "login_private_key_passphrase": "pw"}
    assert snowflake_login.snowflake_login({**RECORD, **fields}, more) == {**BASE, **secret, **more}


@pytest.mark.parametrize(
    "way", ["login_password", "login_private_key", "login_private_key_path", "login_token", "login_authenticator"]
)
@pytest.mark.parametrize("fields", [{"password": ["pw"]}, {"privatePEMKey": ["key"]}])
def test_a_way_to_log_in_replaces_the_records_secret(way: str, fields: dict[str, t.Any]) -> None:
    """Two ways at once would be refused by the module, or worse, the wrong one would be taken."""
    assert snowflake_login.snowflake_login({**RECORD, **fields}, {way: "given"}) == {**BASE, way: "given"}


def test_for_a_role_the_tag_names_the_module_and_the_run() -> None:
    record = {**RECORD, "password": ["pw"]}
    given = snowflake_login.snowflake_login(record, {}, "snowflake_user_token")
    assert given["query_tag"] == f"keyturn.credentials:snowflake_user_token:{run_id()}"
    # The record and the connection know better, and an empty tag is none.
    for fields, connection, tag in (
        ({"query_tag": ["own"]}, {}, "own"),
        ({"query_tag": ["own"]}, {"query_tag": "nearer"}, "nearer"),
        ({}, {"query_tag": ""}, None),
    ):
        given = snowflake_login.snowflake_login({**record, **fields}, connection, "snowflake_user_token")
        assert given.get("query_tag") == tag


def test_the_connection_wins_and_empty_values_go() -> None:
    connection = {"account": "ab67890", "login_user": "SECOND", "login_role": "", "login_host": None}
    given = snowflake_login.snowflake_login({**RECORD, "password": ["pw"]}, connection)
    assert given == {"account": "ab67890", "login_user": "SECOND", "login_password": "pw"}
