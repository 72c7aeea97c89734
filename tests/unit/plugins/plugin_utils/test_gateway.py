# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an event means for a module, and which answers make a receipt that the gateway's script believes."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.filter.gateway import FilterModule
from ansible_collections.keyturn.credentials.plugins.filter.snowflake_login import snowflake_login
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _gateway
from ansible_collections.keyturn.credentials.plugins.plugin_utils._run_id import run_id
from tests.gateway import ADMIN, CISCO, KEYPAIR, PARTS, PASSWORD, SNOWFLAKE, Payload, admin, fresh_secret

Entry = dict[str, t.Any]

MERAKI, REST = "meraki_vpn_user_password", "rest_password_rotate"

API = "API Access Details"


def given(payload: Entry, module: str = "") -> Entry:
    """As the script hands it over."""
    head = {"run_id": "r1", "receipt": "/f/receipt.json", "module": module, "explain": False, "check_mode": False}
    return {**head, "payload": json.dumps(payload)}


def event(module: str, old: str = "", new: str | None = None, **record: t.Any) -> Entry:
    fields = {
        "uid": ADMIN,
        "title": "A title",
        "rotation_module": module,
        "login": "ROTATOR",
        "password": fresh_secret(),
        "snowflake_account_name": "xy12345",
        "network_id": "N_1",
        "url": "https://api.example.com/rotate",
    }
    records = [{"uid": "v", "login": "svc", "url": ["a", "b"]}, {**fields, **record}]
    payload = {"user": "svc", "userRecordUid": "v", "newPassword": fresh_secret() if new is None else new}
    return given({**payload, "oldPassword": old, "records": records})


def secret_of(one: Entry, name: str) -> str:
    payload = json.loads(one["payload"])
    return str(payload["newPassword"] if name == "new" else payload["records"][1]["password"])


# -- what the payload says


def read(argument: str = "", **parts: t.Any) -> _gateway.Event:
    whole: Entry = {"admin": admin(), "user": "SVC"} | parts
    payload = Payload(**whole).value()
    return _gateway.read(given({**payload, "records": json.loads(base64.b64decode(payload["records"]))}, argument))


@pytest.mark.parametrize("write", [str, lambda secret: [secret], lambda secret: [[secret]]])
def test_a_password_is_never_touched(write: t.Callable[[str], t.Any]) -> None:
    secret = " \t" + fresh_secret() + "\r\n"
    found = read(admin=admin(password=write(secret)), keys={"newPassword": write(secret)})
    assert (found.new_password, snowflake_login(found.admin, {})["login_password"]) == (secret, secret)


@pytest.mark.parametrize(
    ("argument", "title", "fields", "module"),
    [
        ("", SNOWFLAKE, {}, PASSWORD),
        ("", "  snowflake  AUTHENTICATION-record ", {}, PASSWORD),
        ("", CISCO, {}, MERAKI),
        ("", API, {}, REST),
        ("", "record with Access token", {}, REST),
        (KEYPAIR, SNOWFLAKE, {}, KEYPAIR),
        ("", "Anything", {"rotation_module": PASSWORD}, PASSWORD),
        ("", "Anything", {"Rotation Module": [f"keyturn.credentials.{PASSWORD} "]}, PASSWORD),
        ("", None, {"rotation-module": KEYPAIR}, KEYPAIR),
        (PASSWORD, SNOWFLAKE, {"rotation_module": KEYPAIR}, PASSWORD),
    ],
)
def test_the_module_is_chosen(argument: str, title: str | None, fields: Entry, module: str) -> None:
    found = read(argument, admin=admin(title, **fields))
    assert found.module == module and found.admin["uid"] == ADMIN


def test_the_users_own_record_may_name_the_module_but_is_no_administrator() -> None:
    found = read(own={"rotation_module": KEYPAIR})
    assert found.module == KEYPAIR and found.admin["title"] == SNOWFLAKE
    with pytest.raises(InvalidInput, match="No administrator's record"):
        read(admin=None, own={"title": SNOWFLAKE})
    # The role reads the record itself.
    assert read(KEYPAIR, admin=None, new="", user="").admin == {}


def test_only_fields_that_matter_are_looked_at() -> None:
    """The PAM User's own second url does not matter, and a record that is listed twice is one record."""
    record = admin()
    own = {"url": ["a", "b"], "password": ["a", "b"]}
    found = read(admin=record, own=own, more=(record,), keys={"user": None})
    assert (found.module, found.user, found.admin["uid"]) == (PASSWORD, "SVC", ADMIN)


@pytest.mark.parametrize("name", PARTS)
def test_bad_payloads_are_refused_by_the_fields_name_and_no_value(name: str) -> None:
    parts, word = PARTS[name]
    whole: Entry = {"admin": admin(), "user": "SVC"} | {key: part for key, part in parts.items() if key != "records"}
    payload = Payload(**whole)
    value = payload.value()
    records = parts["records"] if "records" in parts else json.loads(base64.b64decode(value["records"]))
    told = _gateway.told(given({**value, "records": records}))
    assert word in told["problem"] and told["problem"].endswith("Nothing was changed.")
    assert not [secret for secret in payload.secrets() if secret in json.dumps(told)]


def test_what_was_understood_holds_names_and_no_values() -> None:
    one = event(PASSWORD, old="old-secret")
    lines = _gateway.told(one)["lines"]
    assert lines[:2] == [
        f"module            {PASSWORD} (by the field rotation_module)",
        f"administrator     Record {ADMIN}",
    ]
    assert lines[2] == "the payload       user, userRecordUid, newPassword, oldPassword"
    assert "login, network_id, password" in lines[-1]
    for hidden in ("ROTATOR", "xy12345", "old-secret", secret_of(one, "new"), secret_of(one, "admin")):
        assert hidden not in "".join(lines)
    explained = _gateway.receipt({**one, "explain": True}, [], check_mode=False)
    assert explained["lines"] == lines and not explained["done"]


# -- options


def test_snowflake_options() -> None:
    one = event(PASSWORD, login_role="R", login_port="1234", login_private_key="no", name="no", users="no")
    assert _gateway.options(one) == {
        "query_tag": f"keyturn.credentials:{PASSWORD}:{run_id()}",
        "account": "xy12345",
        "login_user": "ROTATOR",
        "login_password": secret_of(one, "admin"),
        "login_role": "R",
        "login_port": "1234",
        "name": "svc",
        "password": secret_of(one, "new"),
    }


def test_key_pair_options_hold_no_secret() -> None:
    one = event(KEYPAIR, login_role="R", retire_previous_after="7d", private_key="no")
    assert _gateway.options(one) == {"login_role": "R", "retire_previous_after": "7d"}
    payload = {"userRecordUid": "v", "records": [{"uid": "v"}]}
    assert _gateway.options(given(payload, KEYPAIR)) == {}


def test_meraki_options() -> None:
    """The new password is always set: that the old one is equal would be no proof."""
    one = event(MERAKI, old=fresh_secret(), api_url="https://api.meraki.ca")
    assert _gateway.options(one) == {
        "api_key": secret_of(one, "admin"),
        "api_url": "https://api.meraki.ca",
        "network_id": "N_1",
        "update_password": "always",
        "email": "svc",
        "password": secret_of(one, "new"),
    }


def test_rest_options_of_keepers_sample() -> None:
    one = event(REST, old="old-secret")
    options = _gateway.options(one)
    assert (options["url"], options["username"], options["password"]) == (
        "https://api.example.com/rotate",
        "svc",
        secret_of(one, "new"),
    )
    assert options["change"]["body"] == {"userEmail": "${username}", "newPassword": "${password}"}
    assert options["change"]["status"] == [201] and options["auth"]["type"] == "bearer"
    # Nothing proves it, so it is always set.
    assert options["update_password"] == "always" and options["old_password"] == "old-secret"
    assert not {"uid", "title", "recipe", "rotation_module"} & options["secrets"].keys()


def test_rest_options_with_a_login() -> None:
    """There is no way back unless the record asks for one: another run may have set and proved what is in force."""
    options = _gateway.options(event(REST, old="old-secret", Recipe="grafana", timeout="7"))
    assert (options["update_password"], options["old_password"], options["timeout"]) == (
        "if_different",
        "old-secret",
        "7",
    )
    assert "rollback" not in options and "timeout" not in options["secrets"]
    asked = event(REST, old="old-secret", recipe="grafana", rollback="old_password")
    assert _gateway.options(asked)["rollback"] == "old_password"


@pytest.mark.parametrize(
    ("module", "record", "word"),
    [
        (PASSWORD, {"login_port": "many"}, "login_port"),
        (PASSWORD, {"Login Port": ["1", "2"]}, "several values for login_port"),
        (MERAKI, {"password": None}, "API key"),
        (MERAKI, {"network_id": None}, "network_id"),
        (REST, {"url": None}, "URL"),
        (REST, {"recipe": "nosuchservice"}, "nosuchservice"),
        (REST, {"password": None}, "placeholder"),
        (REST, {"max_retries": "many"}, "max_retries"),
    ],
)
def test_what_a_module_would_not_take_is_refused_before(module: str, record: Entry, word: str) -> None:
    one = event(module, **record)
    with pytest.raises(InvalidInput, match=word) as caught:
        _gateway.options(one)
    assert secret_of(one, "new") not in caught.value.msg
    made = receipt([], module, **record)
    assert (made["done"], made["error_code"]) == (False, "invalid_input") and word in made["msg"]
    with pytest.raises(Exception, match=word):
        FilterModule().filters()["gateway_options"](one)


# -- receipts

GOOD: Entry = {"name": "svc", "changed": True, "verified": True, "failed": False}
BAD: Entry = {**GOOD, "failed": True, "error_code": "refused", "msg": "No.", "retry_safe": False}
SKIPPED: Entry = {"skipped": True, "changed": False}


def receipt(answers: list[Entry], module: str = PASSWORD, check_mode: bool = False, **record: t.Any) -> Entry:
    made: Entry = FilterModule().filters()["gateway_receipt"](event(module, **record), answers, check_mode)
    return made


def test_one_entry_without_a_failure_is_done() -> None:
    head = {"run_id": "r1", "module": PASSWORD, "check_mode": False, "explain": False}
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
