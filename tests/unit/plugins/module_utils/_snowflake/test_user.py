# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DESCRIBE USER, as accounts of different ages answer it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User, parse


def _user(**properties: t.Any) -> User:
    return parse("STORED", [{"property": name, "value": value, "default": "x"} for name, value in properties.items()])


def test_a_full_answer() -> None:
    user = _user(
        NAME="STORED",
        LOGIN_NAME="other@example.com",
        TYPE="PERSON",
        DISABLED="false",
        SNOWFLAKE_LOCK="false",
        MUST_CHANGE_PASSWORD="true",
        PASSWORD_LAST_SET_TIME="2026-01-31 23:59:59.000",
    )
    assert (user.name, user.login_name, user.type) == ("STORED", "other@example.com", "PERSON")
    assert (user.disabled, user.locked, user.must_change_password) == (False, False, True)
    assert user.password_last_set_time == "2026-01-31 23:59:59.000"


@pytest.mark.parametrize("nothing", [None, "", "null", "NULL", " "])
def test_absent_empty_and_null_mean_nothing(nothing: str | None) -> None:
    user = _user(
        LOGIN_NAME=nothing,
        TYPE=nothing,
        DISABLED=nothing,
        SNOWFLAKE_LOCK=nothing,
        MINS_TO_UNLOCK=nothing,
        LOCK_DETAILS=nothing,
        MUST_CHANGE_PASSWORD=nothing,
        PASSWORD_LAST_SET_TIME=nothing,
    )
    assert user == parse("STORED", [])
    assert (user.login_name, user.type, user.password_last_set_time) == ("STORED", None, None)
    assert (user.disabled, user.locked) == (False, False)
    assert user.must_change_password is None, "unknown is not false: wanted false would be taken for the present value"


@pytest.mark.parametrize("row", [{"property": "disabled", "value": "TRUE"}, {"property": "DISABLED", "value": True}])
def test_names_and_values_in_any_case(row: dict[str, t.Any]) -> None:
    assert parse("U", [row]).disabled


@pytest.mark.parametrize(
    ("properties", "locked"),
    [
        ({"SNOWFLAKE_LOCK": "true"}, True),
        ({"MINS_TO_UNLOCK": "14"}, True),
        ({"MINS_TO_UNLOCK": "0.5"}, True),
        ({"MINS_TO_UNLOCK": "0"}, False),
        ({"MINS_TO_UNLOCK": "-1"}, False),
        ({"MINS_TO_UNLOCK": "a while"}, True),
        ({"LOCK_DETAILS": '{"FAILED_LOGINS": true}'}, True),
        ({"LOCK_DETAILS": '{"FAILED_LOGINS": false}'}, False),
        ({"LOCK_DETAILS": "{}"}, False),
        ({"LOCK_DETAILS": "not JSON"}, True),
        ({"SNOWFLAKE_LOCK": "false", "MINS_TO_UNLOCK": "3"}, True),
    ],
)
def test_a_lock_shows_in_three_places_and_what_cannot_be_read_counts_as_one(
    properties: dict[str, str], locked: bool
) -> None:
    assert _user(**properties).locked is locked
