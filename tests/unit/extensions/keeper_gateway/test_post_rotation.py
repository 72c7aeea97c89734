# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the gateway's script reads payloads, and what it believes, without Ansible."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import errors
from extensions.keeper_gateway import post_rotation
from extensions.keeper_gateway.post_rotation import Failure
from tests.gateway import BAD, KEYPAIR, PASSWORD, Fields, Payload, admin, encode, fresh_secret


def feed(descriptor: int, line: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(line)


def read(line: bytes) -> Fields:
    """What the script reads, from a pipe that stays open."""
    reader, writer = os.pipe()
    kept = os.dup(0)
    os.dup2(reader, 0)
    try:
        feeder = threading.Thread(target=feed, args=(writer, line))
        feeder.start()
        return post_rotation.read_payload(time.monotonic() + 60)
    finally:
        feeder.join()
        os.dup2(kept, 0)
        for descriptor in (reader, kept):
            os.close(descriptor)


# -- forms of a payload


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b"\n", b"\r\n"),
        lambda line: b"\n " + line.strip(),
        lambda line: line.strip().rstrip(b"="),
        lambda line: b"\r\n".join(line[start : start + 76] for start in range(0, len(line), 76)),
        lambda line: line.translate(bytes.maketrans(b"+/", b"-_")),
        lambda line: line + b"history -c\n",
    ],
)
def test_base64_in_every_form(change: t.Callable[[bytes], bytes]) -> None:
    payload = Payload(admin=admin(), user="SVC", new="ÿþ~~~???" + fresh_secret())
    assert read(change(payload.line()))["newPassword"] == payload.new


def test_records_may_be_decoded_already() -> None:
    for records in ([{"uid": "x"}], encode([{"uid": "x"}])):
        assert read(Payload(admin(), "SVC", keys={"records": records}).line())["records"] == [{"uid": "x"}]


@pytest.mark.parametrize("name", BAD)
def test_bad_lines_are_refused(name: str) -> None:
    line, word = BAD[name]
    with pytest.raises(Failure, match=word) as caught:
        read(line)
    assert caught.value.code == "invalid_input"


# -- what is believed

RUN: Fields = {"run_id": "r1", "module": PASSWORD, "check_mode": False, "explain": False}


def test_every_error_code_has_its_exit_code() -> None:
    """As the design fixes them."""
    codes = {error.error_code for error in vars(errors).values() if hasattr(error, "error_code")}
    wanted = {
        1: {"invalid_input"},
        2: {"auth_failed", "not_found", "ambiguous", "not_permitted", "refused", "slots_full"},
        3: {"rate_limited", "unreachable", "unknown_outcome", "verify_failed", "delivery_failed"},
        4: {"busy"},
        5: {"vault_error"},
        6: {"missing_dependency", "environment", "no_receipt"},
    }
    assert {code: number for number, group in wanted.items() for code in group} == post_rotation.EXIT_CODES
    assert codes <= post_rotation.EXIT_CODES.keys()


def test_a_whole_receipt_is_believed() -> None:
    answer = {"ended": 0, "words": "", "receipt": {**RUN, "done": True, "error_code": None}}
    assert post_rotation.judge(answer, RUN)["done"]


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
        (None, {**RUN, "done": True}, "unknown_outcome"),
        (post_rotation.DEADLINE, {**RUN, "done": True}, "unknown_outcome"),
        (post_rotation.CANNOT_START, None, "environment"),
        *((0, {**RUN, "done": False, "error_code": code}, code) for code in post_rotation.EXIT_CODES),
    ],
)
def test_nothing_else_is_believed(code: int, receipt: t.Any, error: str) -> None:
    with pytest.raises(Failure) as caught:
        post_rotation.judge({"ended": code, "words": "", "receipt": receipt}, RUN)
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
    """Of what is a secret by its label even each part, in any case, and the whole in hex and reversed."""
    pem, note, other = f"-----BEGIN\n{'k' * 20}{fresh_secret()}\nEND", fresh_secret(), fresh_secret()
    typed = {"fields": [{"type": "password", "label": "", "value": [other]}], "title": "A title"}
    payload = Payload(admin(token=fresh_secret(), privatePEMKey=pem, notes=note), "SVC", more=(typed,)).value()
    payload["records"] = post_rotation.decode(payload["records"].encode(), "records")
    record = payload["records"][1]
    telling = [payload["newPassword"], record["password"], record["token"], pem, other]
    for secret in (*telling, note):
        forms = [secret, json.dumps(secret), repr(secret), secret.swapcase(), secret[::-1]]
        forms += [line for line in secret.splitlines() if len(line) > 3]
        forms += [secret.encode().hex(), secret.encode().hex().upper()]
        forms += [base64.b64encode(b"x" * n + secret.encode()).decode() for n in range(3)]
        forms += [secret[5:11], secret[7:20].upper()] if secret != note else []
        for form in forms:
            line = post_rotation.one_line(f"<{form}>", payload)
            assert len(line.replace("*", "")) < 20 and form not in line
            assert not any(form[start : start + 12] in line for start in range(len(form) - 12)), (form, line)
    public = "sN0wF1aK2eA3dM4iN5rE6c ROTATOR xy12345 SVC A title Snowflake Authentication Record"
    assert post_rotation.one_line(public, payload) == public


def test_a_line_is_one_line_and_ends() -> None:
    line = post_rotation.one_line("a\r\nb\x1b[31m\u2028c" + "x" * 5000, {})
    assert line.startswith("a b [31m c") and len(line) == 600 and line.isprintable()
    assert post_rotation.safe("a\n b" + "x" * 100).startswith("a??b") and len(post_rotation.safe("x" * 100)) == 64
