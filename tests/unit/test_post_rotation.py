# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the gateway's script reads payloads, and what it believes, without Ansible."""

from __future__ import annotations

import base64
import json
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import errors
from extensions.keeper_gateway import post_rotation
from extensions.keeper_gateway.post_rotation import Failure, read_event
from tests.gateway import USER, Fields, Payload, encode, fresh_secret

SNOWFLAKE, MERAKI, REST = "Snowflake Authentication Record", "Cisco Authentication Record", "API Access Details"
PASSWORD, KEYPAIR = "snowflake_user_password", "snowflake_user_keypair"


def admin(title: str | None = SNOWFLAKE, **fields: t.Any) -> Fields:
    account = {"snowflake_account_name": "xy12345"}
    return {"uid": "sN0wF1aK2eA3dM4iN5rE6c", "title": title, "login": "ROTATOR", "password": fresh_secret()} | (
        account | fields
    )


def event(argument: str | None = None, **parts: t.Any) -> post_rotation.Event:
    whole: Fields = {"admin": admin(), "user": "SVC"} | parts
    return read_event(Payload(**whole).line(), argument)


# -- forms of a payload


@pytest.mark.parametrize(
    "fields",
    [
        {"login": ["ROTATOR"], "snowflake_account_name": ["xy12345"]},
        {"login": " ROTATOR\r\n", "snowflake_account_name": "xy12345\r\n"},
        {"login": "ROTATOR", "login_2": "", "login2": None, "login_3": ["ROTATOR"], "snowflake_account_name_2": []},
        {"login": "", "login_2": "ROTATOR"},
        {"Login": "ROTATOR", "login": None, "Snowflake Account Name": "xy12345", "snowflake_account_name": None},
        {"unknown": {"a": [1]}, "host": [{"hostName": "h", "port": "1"}], "many": ["a", "b"], "null": None, "n": 4},
    ],
)
def test_fields_in_every_documented_form(fields: Fields) -> None:
    record = event(admin=admin(**fields)).admin
    assert record is not None
    assert (record["login"], record["snowflake_account_name"]) == (["ROTATOR"], ["xy12345"])


@pytest.mark.parametrize("write", [str, lambda secret: [secret], lambda secret: [[secret]]])
def test_a_password_is_never_touched(write: t.Callable[[str], t.Any]) -> None:
    secret = " \t" + fresh_secret() + "\r\n"
    found = event(admin=admin(password=write(secret)), new=secret, keys={"newPassword": write(secret)})
    assert found.admin is not None
    assert (found.new_password, found.admin["password"]) == (secret, [secret])


def test_a_key_pair_field_is_read_as_a_mapping_or_as_its_json() -> None:
    pair = {"privateKey": fresh_secret(), "publicKey": "ssh"}
    for value in (pair, [pair], json.dumps(pair), [json.dumps(pair)]):
        found = event(admin=admin(keyPair=value)).admin
        assert found is not None and found["keyPair"] == [pair]
    # What Ansible would decode on its own is no text of ours.
    found = event(admin=admin(keyPair={"privateKey": "k", "__ansible_vault": "x"}, odd={"__ansible_vault": "x"})).admin
    assert (
        found is not None and found["keyPair"] == [{"privateKey": "k"}] and found["odd"] == ['{"__ansible_vault": "x"}']
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b"\n", b"\r\n"),
        lambda line: b"\n " + line.strip(),
        lambda line: line.strip().rstrip(b"="),
        lambda line: b"\r\n".join(line[start : start + 76] for start in range(0, len(line), 76)),
        lambda line: line.translate(bytes.maketrans(b"+/", b"-_")),
    ],
)
def test_base64_in_every_form(change: t.Callable[[bytes], bytes]) -> None:
    payload = Payload(admin=admin(), user="SVC", new="ÿþ~~~???" + fresh_secret())
    assert read_event(change(payload.line()), None).new_password == payload.new


def test_records_may_be_decoded_already_and_listed_twice() -> None:
    record = admin()
    found = event(keys={"records": [record, record, {"uid": USER, "title": "x", "login": "svc"}], "user": None})
    assert (found.user, len(found.records)) == ("svc", 2)


# -- the module and the administrator's record


@pytest.mark.parametrize(
    ("argument", "title", "fields", "module"),
    [
        (None, SNOWFLAKE, {}, PASSWORD),
        (None, "  snowflake  AUTHENTICATION record ", {}, PASSWORD),
        (None, MERAKI, {}, "meraki_vpn_user_password"),
        (None, REST, {}, "rest_password_rotate"),
        (None, "record with Access token", {}, "rest_password_rotate"),
        (KEYPAIR, SNOWFLAKE, {}, KEYPAIR),
        (None, "Anything", {"rotation_module": PASSWORD}, PASSWORD),
        (None, "Anything", {"Rotation Module": [f"keyturn.credentials.{PASSWORD} "]}, PASSWORD),
        (None, None, {"rotation_module": KEYPAIR}, KEYPAIR),
        (PASSWORD, SNOWFLAKE, {"rotation_module": KEYPAIR}, PASSWORD),
    ],
)
def test_the_module_is_chosen(argument: str | None, title: str | None, fields: Fields, module: str) -> None:
    found = event(argument, admin=admin(title, **fields))
    assert found.module == module
    assert found.admin is not None and found.admin["uid"] == ["sN0wF1aK2eA3dM4iN5rE6c"]


def test_the_users_own_record_may_name_the_module_but_is_no_administrator() -> None:
    found = event(own={"rotation_module": KEYPAIR})
    assert found.module == KEYPAIR and found.admin is not None and found.admin["title"] == [SNOWFLAKE]
    with pytest.raises(Failure, match="No administrator's record"):
        event(admin=None, own={"title": SNOWFLAKE})
    # The role reads the record itself.
    assert event(KEYPAIR, admin=None, new="", user="").admin is None


def refused(line: bytes, argument: str | None = None) -> str:
    with pytest.raises(Failure) as caught:
        read_event(line, argument)
    assert caught.value.code == "invalid_input"
    return caught.value.text


BAD = {
    "nothing": (b"", "stdin is empty"),
    "blanks": (b" \r\n", "stdin is empty"),
    "not base64": (b"no base64!", "stdin is not base64"),
    "half base64": (b"abcde", "stdin is not base64"),
    "not JSON": (base64.b64encode(b"{"), "not of JSON"),
    "not UTF-8": (base64.b64encode(b'{"a": "\xff"}'), "not of JSON"),
    "no object": (encode([1]).encode(), "no object"),
    "deep": (base64.b64encode(b"[" * 100_000), "not of JSON"),
}
PARTS: dict[str, tuple[Fields, str]] = {
    "records missing": ({"keys": {"records": None}}, "records"),
    "records empty": ({"keys": {"records": encode([])}}, "records"),
    "records not base64": ({"keys": {"records": "ä!"}}, "records is not base64"),
    "records no list": ({"keys": {"records": encode({"a": 1})}}, "records"),
    "records of texts": ({"keys": {"records": encode(["a"])}}, "records"),
    "no administrator": ({"admin": None}, "Snowflake Authentication Record"),
    "title null": ({"admin": admin(None)}, "Snowflake Authentication Record"),
    "two administrators": ({"more": (admin() | {"uid": "other"},)}, "sN0wF1aK2eA3dM4iN5rE6c and other"),
    "two kinds": ({"more": (admin(MERAKI) | {"uid": "other"},)}, "name the module"),
    "unknown module": ({"admin": admin(rotation_module="rotate_all")}, "rotation_module"),
    "two modules": ({"admin": admin(rotation_module=PASSWORD), "own": {"rotation_module": KEYPAIR}}, "rotation_module"),
    "two logins": ({"admin": admin(login_2="OTHER")}, "login"),
    "two passwords": ({"admin": admin(password=["one-1234", "two-1234"])}, "password"),
    "newPassword missing": ({"keys": {"newPassword": None}}, "newPassword"),
    "newPassword empty": ({"new": ""}, "newPassword"),
    "newPassword null": ({"keys": {"newPassword": [None]}}, "newPassword"),
    "newPassword number": ({"keys": {"newPassword": 12345678}}, "newPassword"),
    "two newPasswords": ({"keys": {"newPassword": ["a-123456", "b-123456"]}}, "newPassword"),
    "oldPassword object": ({"keys": {"oldPassword": {"a": "b"}}}, "oldPassword"),
    "no user": ({"user": ""}, "user"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_lines_are_refused(name: str) -> None:
    line, word = BAD[name]
    assert word in refused(line)


@pytest.mark.parametrize("name", PARTS)
def test_bad_payloads_are_refused_by_the_fields_name_and_no_value(name: str) -> None:
    parts, word = PARTS[name]
    whole: Fields = {"admin": admin(), "user": "SVC"} | parts
    payload = Payload(**whole)
    text = refused(payload.line())
    assert word in text
    assert not [secret for secret in payload.secrets() if secret in text]


def test_a_key_pair_needs_its_record() -> None:
    assert "userRecordUid" in refused(Payload(admin(), "SVC", keys={"userRecordUid": ""}).line(), KEYPAIR)


# -- what is believed

RUN: Fields = {"run_id": "r1", "module": PASSWORD, "check_mode": False}


def test_every_error_code_has_its_exit_code() -> None:
    """As the design fixes them."""
    codes = {error.error_code for error in vars(errors).values() if hasattr(error, "error_code")}
    wanted = {
        1: {"invalid_input"},
        2: {"auth_failed", "not_found", "ambiguous", "not_permitted", "refused", "slots_full"},
        3: {"rate_limited", "unreachable", "unknown_outcome", "verify_failed"},
        4: {"busy"},
        5: {"vault_error"},
        6: {"missing_dependency", "environment", "no_receipt"},
    }
    assert {code: number for number, group in wanted.items() for code in group} == post_rotation.EXIT_CODES
    assert codes <= post_rotation.EXIT_CODES.keys()


def test_a_whole_receipt_is_believed() -> None:
    assert post_rotation.judge(0, "", {**RUN, "done": True, "error_code": None}, RUN)["done"]


@pytest.mark.parametrize(
    ("code", "receipt", "error"),
    [
        (0, None, "no_receipt"),
        (0, [], "no_receipt"),
        (0, {}, "no_receipt"),
        (0, {"done": True}, "no_receipt"),
        (0, {**RUN, "done": True, "run_id": "r2"}, "no_receipt"),
        (0, {**RUN, "done": True, "module": KEYPAIR}, "no_receipt"),
        (0, {**RUN, "done": True, "check_mode": True}, "no_receipt"),
        (0, {**RUN, "done": "true"}, "no_receipt"),
        (0, {**RUN, "done": 1}, "no_receipt"),
        (0, RUN, "no_receipt"),
        (0, {**RUN, "done": False, "error_code": "new_code"}, "no_receipt"),
        (0, {**RUN, "done": True, "error_code": "refused"}, "refused"),
        (2, {**RUN, "done": True}, "unknown_outcome"),
        (-9, {**RUN, "done": True}, "unknown_outcome"),
        *((0, {**RUN, "done": False, "error_code": code}, code) for code in post_rotation.EXIT_CODES),
    ],
)
def test_nothing_else_is_believed(code: int, receipt: t.Any, error: str) -> None:
    with pytest.raises(Failure) as caught:
        post_rotation.judge(code, "", receipt, RUN)
    assert caught.value.code == error


def test_last_words_are_those_of_the_error() -> None:
    assert post_rotation.last_words("[WARNING]: x\n[ERROR]: y\nOrigin: z\n") == "[ERROR]: y"
    assert "running again" in post_rotation.last_words("[WARNING]: x\n")


@pytest.mark.parametrize("kind", ["missing", "folder", "link", "pipe", "not JSON", "not UTF-8", "huge"])
def test_a_receipt_that_is_none(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "other").write_text("{}")
        path.symlink_to("other")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.write_text("[" + "1," * 100_000 + "1]")
    elif kind != "missing":
        path.write_bytes(b"{" if kind == "not JSON" else b'"\xff"')
    assert post_rotation.read_receipt(str(tmp_path)) is None


# -- texts


def test_every_form_of_a_secret_is_taken_out_of_the_line() -> None:
    found = event(admin=admin(token=fresh_secret(), privatePEMKey=f"-----BEGIN\n{'k' * 20}{fresh_secret()}\nEND"))
    assert found.admin is not None
    for secret in (found.new_password, *(found.admin[name][0] for name in ("password", "token", "privatePEMKey"))):
        forms = [secret, json.dumps(secret), repr(secret), *secret.splitlines()]
        forms += [base64.b64encode(b"x" * n + secret.encode()).decode() for n in range(3)]
        line = post_rotation.one_line("\n".join(forms), post_rotation.secrets_of(found))
        assert "\n" not in line
        for form in (
            secret[:14],
            secret[-14:],
            *(base64.b64encode(b"x" * n + secret.encode())[8:-8] for n in range(3)),
        ):
            assert (form if isinstance(form, str) else form.decode()) not in line


def test_a_line_is_one_line_and_ends() -> None:
    line = post_rotation.one_line("a\r\nb\x1b[31m\u2028c" + "x" * 5000, [])
    assert line.startswith("a b [31m c") and len(line) == 600 and line.isprintable()
    assert post_rotation.safe("a\n b" + "x" * 100).startswith("a??b") and len(post_rotation.safe("x" * 100)) == 64


def test_texts_are_unsafe_at_any_depth() -> None:
    found = event(new="{{ 1 }}")
    given = json.loads(post_rotation.variables(found, "r", "/f"))["keyturn_gateway"]
    assert given["new_password"] == {"__ansible_unsafe": "{{ 1 }}"}
    assert given["admin_record"]["login"] == [{"__ansible_unsafe": "ROTATOR"}]
