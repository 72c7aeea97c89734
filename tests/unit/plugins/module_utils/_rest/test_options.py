# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before any request."""

from __future__ import annotations

import typing as t

from tests.unit.plugins.module_utils._rest.conftest import Caller, failed


def test_what_is_refused_before_any_request(call: Caller) -> None:
    change, lookup, verify = call.options["change"], call.options["lookup"], call.options["verify"]
    bad: list[dict[str, t.Any]] = [
        {"change": {**change, "path": "/${nobody}"}},
        {"change": {**change, "body": {"a": [{"b": "${nobody}"}]}}},
        {"change": {**change, "body": "text"}},
        {"change": {**change, "body": ["x"], "body_format": "form"}},
        {"change": {**change, "path": "users"}},
        {"change": {**change, "path": "${admin_username}/users"}},
        {"change": {**change, "path": "https://${id}.example.com/users"}},
        {"change": {**change, "path": "http://example.com/users"}},
        {"change": {**change, "path": "https://user@example.com/users"}},
        {"change": {**change, "path": "/users?x=1"}},
        {"change": {**change, "path": "/us ers"}},
        {"change": {**change, "path": "/users/.."}},
        {"change": {**change, "path": "/users/${username}"}, "username": ".."},
        {"change": {**change, "path": "/users/${password}"}},
        {"change": {**change, "query": {"a": ["${admin_password}"]}}},
        {"change": {**change, "status": []}},
        {"change": {**change, "method": "PUT IT"}},
        {"change": {**change, "headers": {"X Y": "1"}}},
        {"change": {**change, "headers": {"X-User": "${username}"}}, "username": "a\r\nb"},
        {"change": {**change, "body": {"old": "${old_password}"}}},
        {"change": {**change, "fail_if": "["}},
        {"change": {**change, "body": {"a": "${id|upper}"}}},
        {"change": {**change, "body": {"a": "${id"}}},
        {"lookup": {**lookup, "query": {"a": "${id}"}}},
        {"lookup": {**lookup, "match": {"[": "x"}}},
        {"lookup": {**lookup, "match": {"a": "${nobody}"}}},
        {"lookup": {**lookup, "set": {"password": "a"}}},
        {"lookup": {**lookup, "set": {"token": "a"}}},
        {"lookup": {**lookup, "set": {"admin_username": "a"}}},
        {"lookup": {**lookup, "max_pages": 0}},
        {"lookup": {**lookup, "next": {"link": True, "url": "x"}}},
        {"lookup": {**lookup, "next": {"cursor": "x"}}},
        {"lookup": {**lookup, "next": {"start": 1}}},
        {"lookup": {**lookup, "next": {"param": "page", "step": 0}}},
        {"verify": {**verify, "status": [401]}},
        {"verify": {**verify, "attempts": 0}},
        {"verify": {**verify, "path": "/${nobody}"}},
        {"verify": verify, "username": "a:b"},
        {"vars": {"username": "x"}},
        {"vars": {"token": "x"}},
        {"vars": {"admin_username": "x", "admin_password": "x"}},
        {"secrets": {"admin_password": ""}},
        {"secrets": {"admin_password": 5}},
        {"headers": {"X-A": "${nobody}"}},
        {"headers": {"X-A": "${id}"}},
        {"headers": {"X-A": None}},
        {"url": "http://example.com"},
        {"url": "https://user:x@example.com"},
        {"url": "https://example.com?a=b"},
        {"url": "example.com"},
        {"timeout": 0},
        {"ca_path": "/nowhere/ca.pem"},
        {"client_cert": "/nowhere/cert.pem"},
        {"client_key": "/nowhere/key.pem"},
        {"password": ""},
        {"username": ""},
    ]
    for given in bad:
        result = call(**given)
        assert result["failed"] and result["error_code"] == "invalid_input", (given, result)
        assert call.asked == [], given


def test_secrets_in_the_address_where_there_is_no_other_way(call: Caller) -> None:
    change = call.step("change", query={"new": "${password}"})
    assert call(change=change, allow_secrets_in_url=True)["verified"]
    assert call.rest.requests[-2].query == {"new": [call.new]}


def test_an_old_password_that_is_not_given_is_named(call: Caller) -> None:
    result = call(change=call.step("change", body={"old": "${old_password}", "new": "${password}"}), old_password="")
    failed(result, "invalid_input", text="no old_password is given")
