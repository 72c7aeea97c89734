# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How one user is found in a service's list."""

from __future__ import annotations

import json
import time
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._rest import lookup as lookup_pages
from tests.sandbox.rest import RestSandbox
from tests.sandbox.server import Fault, Response
from tests.unit.plugins.module_utils._rest.conftest import Caller, failed

PAGING: list[dict[str, t.Any]] = [
    {"link": True},
    {"url": "next"},
    {"cursor": "cursor", "param": "page"},
    {"header": "x-next-page", "param": "page"},
    {"param": "page"},
]


@pytest.mark.parametrize("paging", PAGING)
def test_all_pages_are_read(call: Caller, paging: dict[str, t.Any]) -> None:
    for number in range(9):
        call.rest.add_user(f"user-{number}", call.old)
    call.rest.page = 3
    lookup = call.step("lookup", next=paging, max_pages=4)
    # One more where only an empty page tells the end.
    pages = 5 if paging == {"param": "page"} else 4
    result = call(username="user-8", lookup=lookup)
    assert result["verified"] and call.asked.count("users") == pages
    call.rest.add_user("user-0", call.old)
    call.rest.page = 4
    failed(call(username="user-0", lookup=lookup), "ambiguous")
    call.rest.page = 2
    failed(call(username="user-7", lookup=lookup), "refused", text="more than 4 pages")
    assert call.asked.count("users") == pages and "change user-7" not in call.asked


def test_other_numbers_of_pages(call: Caller) -> None:
    paging = {"param": "offset", "start": 0, "step": 50}
    pages = [b'{"users": [{"name": "bob"}]}', b'{"users": []}']
    for page in pages:
        call.rest.faults.add(Fault("users", response=Response(200, page)))
    failed(call(lookup=call.step("lookup", next=paging, query={"sort": "a"})), "not_found")
    assert call.asked.count("users") == 2


def test_endless_paging_ends(call: Caller) -> None:
    page = json.dumps({"users": [], "next": "/users?page=1"}).encode()
    call.rest.faults.add(Fault("users", times=99, response=Response(200, page)))
    failed(call(lookup=call.step("lookup", next={"url": "next"})), "refused", text="more than 50 pages")
    assert call.asked.count("users") == 50


@pytest.mark.parametrize(
    "scheme", ["//{other}/users", "http://{other}/users", "https://{own}/", "http://x@{own}/users"]
)
def test_the_next_page_stays_on_the_host(call: Caller, scheme: str) -> None:
    with RestSandbox() as other:
        own = call.rest.url.removeprefix("http://")
        address = scheme.format(own=own, other=other.url.removeprefix("http://"))
        page = json.dumps({"users": [], "next": address}).encode()
        call.rest.faults.add(Fault("users", response=Response(200, page)))
        failed(call(lookup=call.step("lookup", next={"url": "next"})), "refused", text="another host")
        assert other.requests == []


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (
            '<https://h/a>; rel="prev", <https://h/b?x=1,2>; title="a; rel=next, <c>"; rel="last next"',
            "https://h/b?x=1,2",
        ),
        ("<b>;rel=next", "b"),
        ("<b> ; REL = next", "b"),
        ('<b>; title="rel=next"', None),
        ("", None),
        ("rel=next", None),
    ],
)
def test_a_link_to_the_next_page(header: str, address: str | None) -> None:
    assert lookup_pages._next_link(header) == address


@pytest.mark.parametrize("part", ["<", "<a", ";", "; ", ";rel", ';rel="', '"', ";rel=", " ", "<>;", "\\", ",<"])
def test_a_header_costs_no_more_than_linear_time(part: str) -> None:
    began = time.process_time()
    lookup_pages._next_link(part * (60_000 // len(part)))
    assert time.process_time() - began < 1


def test_a_next_page_may_be_relative(call: Caller) -> None:
    page = json.dumps({"users": [], "next": "?page=1"}).encode()
    call.rest.faults.add(Fault("users", response=Response(200, page)))
    assert call(lookup=call.step("lookup", next={"url": "next"}))["verified"]


@pytest.mark.parametrize(
    ("body", "lookup", "code"),
    [
        (b'{"users": []}', {}, "not_found"),
        (b'{"users": null}', {}, "not_found"),
        (b'{"users": {"name": "alice", "id": "1", "tags": []}}', {}, ""),
        (
            b'{"users": [{"name": "alice", "id": "1", "tags": []}, {"name": "alice", "id": "2", "tags": []}]}',
            {},
            "ambiguous",
        ),
        (b'{"users": [{"name": "ALICE", "id": "1", "tags": []}]}', {}, "not_found"),
        (b'{"users": [{"name": "ALICE", "id": "1", "tags": []}]}', {"case_insensitive": True}, ""),
        (b'{"users": [{"name": "alice", "id": null, "tags": []}]}', {}, "not_found"),
        (b'{"users": [{"name": "alice", "id": ["1"], "tags": []}]}', {}, "invalid_input"),
        (b'{"users": [{"name": "alice", "id": "..", "tags": []}]}', {}, "invalid_input"),
        (b'{"users": [{"name": "alice", "id": "", "tags": []}]}', {}, "invalid_input"),
        (b'{"users": [{"id": "1", "tags": []}]}', {}, "not_found"),
        (b'{"users": [{"id": "1", "tags": []}]}', {"match": None}, ""),
        (
            b'{"users": [{"name": "alice", "id": 1, "n": 7, "on": true, "tags": []}]}',
            {"match": {"n": "7", "on": True}},
            "",
        ),
        (b'{"users": "alice"}', {}, "refused"),
        (b"[1]", {"items": "values(@)"}, "refused"),
        (b"<html>", {}, "refused"),
        (b'{"users": [' + b'"x",' * 300_000 + b"1]}", {}, "refused"),
        (b'{"error": "not today", "users": []}', {"fail_if": "error"}, "refused"),
    ],
)
def test_what_a_lookup_finds(call: Caller, body: bytes, lookup: dict[str, t.Any], code: str) -> None:
    call.rest.faults.add(Fault("users", response=Response(200, body)))
    result = call(lookup=call.step("lookup", **lookup))
    if code:
        failed(result, code)
        assert call.asked.count("change alice") == 0
    else:
        assert result["changed"] and result["verified"], result


@pytest.mark.parametrize(
    ("status", "code", "asked"),
    [
        (401, "auth_failed", 1),
        (403, "not_permitted", 1),
        (404, "not_found", 1),
        (400, "refused", 1),
        (204, "refused", 1),
        (500, "unreachable", 1),
        (503, "unreachable", 2),
        (429, "rate_limited", 2),
    ],
)
def test_lookups_that_fail(call: Caller, waits: list[float], status: int, code: str, asked: int) -> None:
    call.rest.faults.add(Fault("users", times=9, response=Response(status)))
    found = failed(call(), code)
    assert found["retry_safe"] is (code in ("unreachable", "rate_limited"))
    assert call.asked.count("users") == asked and "change alice" not in call.asked


def test_a_name_null_does_not_match_users_without_a_name(call: Caller) -> None:
    call.rest.faults.add(Fault("users", response=Response(200, b'{"users": [{"id": "1", "tags": []}]}')))
    failed(call(username="null"), "not_found")


def test_the_lookup_comes_first_where_verify_needs_it(call: Caller) -> None:
    verify = call.step("verify", headers={"X-Id": "${id}"})
    assert call(verify=verify)["verified"]
    assert call.asked == ["POST /login", "users", "whoami alice", "change alice", "whoami alice"]
    assert call.rest.requests[2].headers["X-Id"] == call.rest.user("alice").id
