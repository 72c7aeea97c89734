# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the administrator logs in."""

from __future__ import annotations

import base64
import typing as t
import urllib.parse

import pytest

from tests.sandbox.server import Fault, Response
from tests.unit.plugins.module_utils._rest.conftest import AUTH, Caller, failed


@pytest.mark.parametrize("kind", AUTH)
def test_ways_of_asking(call: Caller, kind: str) -> None:
    auth = {**AUTH[kind], **({"token": call.rest.token} if kind == "literal" else {})}
    call.rest.admin = "admin:é"
    names = {"admin_username": call.rest.admin}
    known = {"api_token": call.rest.token, "admin_password": call.rest.admin_password}
    result = call(auth=auth, secrets=known, vars=names)
    assert result["changed"] and result["verified"], result
    if kind == "oauth":
        form = urllib.parse.parse_qs(call.rest.requests[1].body.decode())
        assert form["scope"] == ["users"] and form["audience"] == ["for admin:é"]


WHOAMI = {"method": "POST", "path": "/whoami", "body": {"new": "${password}"}, "status": [200]}


def test_basic_is_sent_in_utf8(call: Caller) -> None:
    auth = {"type": "basic", "username": "admin", "password": "pä$${x}\U0001f511"}
    call(auth=auth, lookup=None, change=WHOAMI, verify=None)
    sent = call.rest.requests[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == "admin:pä$${x}\U0001f511"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(401), "auth_failed"),
        (Response(400, b"{}"), "auth_failed"),
        (Response(403), "auth_failed"),
        (Response(404), "auth_failed"),
        (Response(200, b"{}"), "auth_failed"),
        (Response(200, b'{"token": ""}'), "auth_failed"),
        (Response(200, b'{"token": ["a", "b"]}'), "auth_failed"),
        (Response(200, b'{"token": "a\\nb"}'), "auth_failed"),
        (Response(200, b"<html>"), "auth_failed"),
        (Response(200, b'{"token": "' + b"x" * (1 << 20) + b'"}'), "auth_failed"),
        (Response(429), "rate_limited"),
        (Response(500), "unreachable"),
        (Response(503), "unreachable"),
    ],
)
def test_logins_of_the_administrator_that_fail(call: Caller, waits: list[float], answer: Response, code: str) -> None:
    call.rest.faults.add(Fault("POST /login", times=9, response=answer))
    found = failed(call(), code)
    assert found["retry_safe"] is (code != "auth_failed") and call.asked.count("change alice") == 0


def test_a_login_that_says_no_with_200(call: Caller) -> None:
    call.rest.faults.add(Fault("POST /login", response=Response(200, b'{"token": "x", "error": "locked"}')))
    failed(call(auth=call.step("auth", fail_if="error")), "auth_failed", text="locked")


@pytest.mark.parametrize(
    "auth",
    [
        {"token": "x"},
        {"type": "bearer"},
        {"type": "basic", "username": "x"},
        {"type": "basic", "username": "a:b", "password": "c"},
        {"type": "bearer", "token": "a\nb"},
        {"type": "login", "path": "/login"},
        {"type": "login", "path": "/login", "token_path": "a", "token_header": "b"},
        {"type": "oauth2_client_credentials", "token_url": "/t", "client_id": "x"},
        {"type": "bearer", "token": "x", "token_url": "/t"},
        {"type": "header", "token": "x", "header": "X Y"},
        {"type": "login", "path": "/login", "token_path": "[", "body": {}},
    ],
)
def test_credentials_that_are_not_clear(call: Caller, auth: dict[str, t.Any]) -> None:
    assert call(auth=auth)["error_code"] == "invalid_input" and call.asked == []
