# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an event means for a module, and which answers make a receipt that the gateway's script believes."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.filter.gateway import FilterModule
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _gateway
from tests.gateway import fresh_secret

Entry = dict[str, t.Any]

PASSWORD, KEYPAIR = "snowflake_user_password", "snowflake_user_keypair"
MERAKI, REST = "meraki_vpn_user_password", "rest_password_rotate"


def event(module: str, old: str = "", **record: t.Any) -> Entry:
    fields = {
        "uid": ["u"],
        "title": ["A title"],
        "rotation_module": [module],
        "login": ["ROTATOR"],
        "password": [fresh_secret()],
        "snowflake_account_name": ["xy12345"],
        "network_id": ["N_1"],
        "url": ["https://api.example.com/rotate"],
    }
    return {
        "run_id": "r1",
        "receipt": "/f/receipt.json",
        "module": module,
        "user": "svc",
        "user_record_uid": "v",
        "new_password": fresh_secret(),
        "old_password": old,
        "admin_record": {**fields, **{name: [value] if value else [] for name, value in record.items()}},
    }


# -- options


def test_snowflake_options() -> None:
    given = event(PASSWORD, login_role="R", login_port="1234", login_private_key="no", name="no", users="no")
    assert _gateway.options(given) == {
        "account": "xy12345",
        "login_user": "ROTATOR",
        "login_password": given["admin_record"]["password"][0],
        "login_role": "R",
        "login_port": "1234",
        "name": "svc",
        "password": given["new_password"],
    }


def test_key_pair_options_hold_no_secret() -> None:
    given = event(KEYPAIR, login_role="R", retire_previous_after="7d", private_key="no")
    assert _gateway.options(given) == {"login_role": "R", "retire_previous_after": "7d"}
    assert _gateway.options({**given, "admin_record": {}}) == {}


def test_meraki_options() -> None:
    """The new password is always set: that the old one is equal would be no proof."""
    given = event(MERAKI, old=fresh_secret(), api_url="https://api.meraki.ca")
    assert _gateway.options(given) == {
        "api_key": given["admin_record"]["password"][0],
        "api_url": "https://api.meraki.ca",
        "network_id": "N_1",
        "update_password": "always",
        "email": "svc",
        "password": given["new_password"],
    }


def test_rest_options_of_keepers_sample() -> None:
    given = event(REST, old="old-secret")
    options = _gateway.options(given)
    assert (options["url"], options["username"], options["password"]) == (
        "https://api.example.com/rotate",
        "svc",
        given["new_password"],
    )
    assert options["change"]["body"] == {"userEmail": "${username}", "newPassword": "${password}"}
    assert options["change"]["status"] == [201] and options["auth"]["type"] == "bearer"
    # Nothing proves it, so there is no way back, and it is always set.
    assert (options["update_password"], options["rollback"]) == ("always", "none")
    assert not {"uid", "title", "recipe", "rotation_module"} & options["secrets"].keys()


def test_rest_options_with_a_login() -> None:
    options = _gateway.options(event(REST, old="old-secret", recipe="grafana", timeout="7"))
    assert (options["update_password"], options["rollback"], options["timeout"]) == (
        "if_different",
        "old_password",
        "7",
    )
    assert "timeout" not in options["secrets"]
    assert "rollback" not in _gateway.options(event(REST, recipe="grafana"))


@pytest.mark.parametrize(
    ("module", "record", "word"),
    [
        (PASSWORD, {"login_port": "many"}, "login_port"),
        (MERAKI, {"password": None}, "API key"),
        (MERAKI, {"network_id": None}, "network_id"),
        (REST, {"url": None}, "URL"),
        (REST, {"recipe": "nosuchservice"}, "nosuchservice"),
        (REST, {"password": None}, "placeholder"),
        (REST, {"max_retries": "many"}, "max_retries"),
    ],
)
def test_what_a_module_would_not_take_is_refused_before(module: str, record: Entry, word: str) -> None:
    given = event(module, **record)
    with pytest.raises(InvalidInput, match=word) as caught:
        _gateway.options(given)
    assert given["new_password"] not in caught.value.msg
    made = receipt([], module, **record)
    assert (made["done"], made["error_code"]) == (False, "invalid_input") and word in made["msg"]
    with pytest.raises(Exception, match=word):
        FilterModule().filters()["gateway_options"](given)


# -- receipts

GOOD: Entry = {"name": "svc", "changed": True, "verified": True, "failed": False}
BAD: Entry = {**GOOD, "failed": True, "error_code": "refused", "msg": "No.", "retry_safe": False}
SKIPPED: Entry = {"skipped": True, "changed": False}


def receipt(answers: list[Entry], module: str = PASSWORD, check_mode: bool = False, **record: t.Any) -> Entry:
    made: Entry = FilterModule().filters()["gateway_receipt"](event(module, **record), answers, check_mode)
    return made


def test_one_entry_without_a_failure_is_done() -> None:
    head = {"run_id": "r1", "module": PASSWORD, "check_mode": False}
    shown = {"changed": True, "verified": True, "verify_skipped_reason": None}
    wanted = {**head, "done": True, "error_code": None, "msg": "", **shown}
    assert receipt([SKIPPED, {"rotations": [GOOD]}, {}, {"rotations": []}]) == wanted


@pytest.mark.parametrize("outcome", ["rotated", "recovered", "not_due"])
def test_outcomes_of_a_role(outcome: str) -> None:
    made = receipt([{"rotations": [{"outcome": outcome, "verified": outcome != "not_due"}]}], KEYPAIR)
    assert (made["done"], made["changed"]) == (True, outcome != "not_due")


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([], None),
        ([{}], None),
        ([SKIPPED], None),
        ([{"rotations": []}], None),
        ([{"rotations": [GOOD, GOOD]}], None),
        ([{"rotations": [BAD]}], "refused"),
        ([{"rotations": [GOOD]}, {"rotations": [BAD]}], "refused"),
        ([{"rotations": [GOOD]}, {"error_code": "busy", "msg": "x"}], "busy"),
        ([{"rotations": [{**GOOD, "verify_skipped_reason": "check_mode"}]}], "unknown_outcome"),
        ([{"rotations": [{"outcome": "failed", "error_code": "vault_error", "msg": "x"}]}], "vault_error"),
        ([{"rotations": [{"outcome": "due"}]}], "unknown_outcome"),
        ([{"error_code": "vault_error", "msg": "x"}], "vault_error"),
        ([{"failed": True, "msg": "MODULE FAILURE"}], None),
    ],
)
def test_nothing_else_is_done(answers: list[Entry], code: str | None) -> None:
    made = receipt(answers)
    assert (made["done"], made["error_code"]) == (False, code) and made["msg"]


def test_check_mode_is_done_when_it_says_so() -> None:
    made = receipt(
        [{"rotations": [{**GOOD, "verified": False, "verify_skipped_reason": "check_mode"}]}], check_mode=True
    )
    assert (made["done"], made["check_mode"]) == (True, True)


def test_reasons_of_failed_tasks() -> None:
    failure = FilterModule().filters()["gateway_failure"]
    assert failure({"msg": "x", "error_code": "busy"}) == {"error_code": "busy", "msg": "x"}
    assert failure({"msg": "x", "argument_errors": ["y"]})["error_code"] == "invalid_input"
    # A module that was killed may have written before.
    assert failure({"msg": "MODULE FAILURE"})["error_code"] == "unknown_outcome"
    assert failure({})["msg"]
