# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every key of a step, whoever uses it: sessions, cookies, values from answers, whole objects, and texts."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest

from tests.sandbox.rest.odd import BASIC, DOC, FORM, KINDS, RPC, WHOAMI, OddSandbox
from tests.sandbox.server import Fault, Response
from tests.unit.plugins.module_utils._rest.conftest import Caller, entry, failed

Options = dict[str, t.Any]


def with_step(options: Options, step: str, **changed: t.Any) -> Options:
    return {**copy.deepcopy(options), step: {**copy.deepcopy(options[step]), **changed}}


@pytest.mark.parametrize("kind", KINDS)
def test_three_kinds_of_services(ask: Caller, odd: OddSandbox, kind: str) -> None:
    """Check, change, proof, unchanged, unknown user, wrong administrator, users with one login, bad characters."""
    result = ask(check_mode=True, username="bob", password=ask.new, **KINDS[kind])
    assert result["changed"] and odd.accepts("bob", ask.old), result
    ask.new = "a\"'\\${x}ä b  c"
    result = ask(username="bob", password=ask.new, **KINDS[kind])
    assert result["changed"] and result["verified"] and odd.accepts("bob", ask.new), result
    result = ask(username="bob", password=ask.new, **KINDS[kind])
    assert not result["changed"] and result["verified"]
    failed(ask(username="nobody", password=ask.new, **KINDS[kind]), "not_found")
    failed(ask(username="bob", password="other", secrets={"admin_password": "wrong"}, **KINDS[kind]), "auth_failed")
    for name in ("carol", "dave"):
        odd.add_document(name, ask.old)
    users = [{"username": name, "password": ask.old + name} for name in ("bob", "carol", "dave")]
    result = ask(users=users, **KINDS[kind])
    assert [found["verified"] for found in result["rotations"]] == [True] * 3
    admin = [request for request in odd.requests if odd.admin_password.encode() in request.body]
    assert len(admin) == (0 if kind == "doc" else 1)


def test_a_document_keeps_what_the_recipe_does_not_name(ask: Caller, odd: OddSandbox) -> None:
    assert ask(username="bob", password=ask.new, **DOC)["verified"]
    assert odd.documents["bob"] == {"_id": "bob", "_rev": "2-b", "password": ask.new, "roles": ["x"]}
    found = failed(
        ask(
            username="bob", password=ask.old, **with_step(DOC, "change", body={"password": "${password}", "_rev": "0"})
        ),
        "refused",
        text="answered with 409: conflict. Nothing",
    )
    assert not found["retry_safe"]
    reasoned = with_step(DOC, "change", body={"password": "${password}", "_rev": "0"}, reason="reason")
    failed(ask(username="bob", password=ask.old, **reasoned), "refused", text=": Document update conflict. Nothing")
    scalar = with_step(DOC, "lookup", set={"whole": "_id"})
    failed(ask(username="bob", password=ask.old, **scalar), "invalid_input", text="no object")


def test_cookies_stay_in_their_session(ask: Caller, odd: OddSandbox) -> None:
    """Neither the administrator's in a user's login, nor those of one user in another's; logged out at the end."""
    odd.add_document("carol", ask.old)
    users = [{"username": name, "password": ask.new} for name in ("bob", "carol")]
    assert ask(users=users, **FORM)["changed"]
    sent = [(request.method, request.path, request.headers.get("Cookie")) for request in odd.requests]
    opened = [cookie for method, path, cookie in sent if (method, path) == ("POST", "/form")]
    assert len(set(opened)) == len(opened) == 5 and all(str(cookie).startswith("form=") for cookie in opened)
    assert all(cookie is None for method, path, cookie in sent if (method, path) == ("GET", "/form"))
    sessions = {cookie for _method, path, cookie in sent if path.startswith("/form/")}
    assert len(sessions) == 1 and len(odd.ended) == 1 and odd.ended[0] in str(next(iter(sessions)))
    without = with_step(FORM, "auth", cookies=False)
    failed(ask(username="bob", password=ask.old, **without), "auth_failed", text="Forged")


def test_cookies_stay_on_their_host(ask: Caller, odd: OddSandbox) -> None:
    with OddSandbox() as other:
        ask(username="bob", password=ask.new, **with_step(FORM, "change", path=f"{other.url}/form/users/bob"))
        assert {request.headers.get("Cookie") for request in other.requests} == {None}


@pytest.mark.parametrize("kind", ["form", "rpc"])
@pytest.mark.parametrize("lives", [2, 3, 4])
def test_a_login_that_ends_is_made_once_more(ask: Caller, odd: OddSandbox, kind: str, lives: int) -> None:
    names = ["bob", "carol", "dave", "erin"]
    for name in names[1:]:
        odd.add_document(name, ask.old)
    odd.lives = lives
    result = ask(users=[{"username": name, "password": ask.new} for name in names], **KINDS[kind])
    assert all(found["changed"] and found["verified"] for found in result["rotations"]), result
    assert all(odd.accepts(name, ask.new) for name in names)


def test_a_login_that_never_worked_is_not_repeated(ask: Caller, odd: OddSandbox) -> None:
    odd.lives = 0
    failed(ask(username="bob", password=ask.new, **FORM), "auth_failed")
    assert sum(odd.admin_password.encode() in request.body for request in odd.requests) == 1


def test_a_roll_back_outlives_the_login(ask: Caller, odd: OddSandbox) -> None:
    """The login ends with the change: the roll-back makes one more."""
    odd.lives = 2
    odd.faults.add(Fault("GET /whoami", times=9, response=Response(401)))
    options = {**FORM, "verify": WHOAMI}
    result = ask(username="bob", password=ask.new, old_password=ask.old, rollback="old_password", **options)
    assert entry(result)["rolled_back"] is True and odd.accepts("bob", ask.old)


def test_the_administrator_comes_last(ask: Caller, odd: OddSandbox) -> None:
    odd.add_document(odd.admin, ask.old)
    users = [{"username": name, "password": ask.new} for name in (odd.admin, "bob")]
    for options in (FORM, RPC, DOC):
        result = ask(users=users, **{**options, "verify": WHOAMI}, update_password="always")
        assert [found["username"] for found in result["rotations"]] == [odd.admin, "bob"], result
        changes = [request for request in odd.requests if ask.new.encode() in request.body]
        last = changes[-1]
        assert odd.admin in last.path or odd.user(odd.admin).id in json.loads(last.body)["params"]["name"]


def test_a_check_that_only_the_administrator_may_make(ask: Caller, odd: OddSandbox) -> None:
    """Its answer depends on the password all the same; a wrong administrator is not a wrong password."""
    verify = {
        "method": "POST",
        "path": "/check",
        "body_format": "form",
        "body": {"name": "${username}", "password": "${password}"},
        "auth": {**BASIC},
        "status": [204],
        "rejected": [403],
    }
    options = {**DOC, "verify": verify}
    assert ask(username="bob", password=ask.new, **options)["verified"]
    failed(ask(username="bob", password=ask.old, secrets={"admin_password": "wrong"}, **options), "auth_failed")


def test_lookups_in_a_chain(ask: Caller, odd: OddSandbox) -> None:
    chain = [
        {"path": "/count/${username}", "not_found_if": "@ == `1`"},
        {"path": "/doc/${username}", "set": {"mail": "mail.to", "more": {"json": "absent", "default": [7]}}},
        {"path": "/form", "set": {"field": {"text": 'value="(.*?)"'}, "cookie": {"cookie": "form"}}},
    ]
    change = {
        "method": "PUT",
        "path": "/doc/bob",
        "body": {"_rev": "1-a", "password": "${password}", "got": ["${mail}", "${more}", "${field}", "${cookie}"]},
        "status": [201],
    }
    options: Options = {"auth": BASIC, "lookup": chain, "change": change, "verify": WHOAMI}
    assert ask(username="bob", password=ask.new, **options)["verified"]
    mail, more, field, cookie = odd.documents["bob"]["got"]
    assert (mail, more) == ("y", [7]) and odd.forms[cookie] == field
    failed(ask(username="nobody", password=ask.new, **options), "not_found")
    assert not any(request.path.startswith("/doc") for request in odd.requests)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({"json": "absent"}, "not_found"),
        ({"header": "X-Absent"}, "not_found"),
        ({"cookie": "absent"}, "not_found"),
        ({"text": "absent(.)"}, "not_found"),
        ({"header": "X-Absent", "default": "d"}, ""),
        ({"text": "absent(.)", "default": "d"}, ""),
    ],
)
def test_values_that_are_missing(ask: Caller, found: Options, code: str) -> None:
    options = with_step(with_step(DOC, "lookup", set={"whole": "@", "v": found}), "change", headers={"X-V": "${v}"})
    result = ask(username="bob", password=ask.new, **options)
    if code:
        failed(result, code, text="has no v")
    else:
        assert result["verified"], result
    options = with_step(FORM, "auth", before=[{"path": "/form", "set": {"v": found, "field": "@"}}])
    failed(ask(username="bob", password="another", **options), "auth_failed", text="holds no v" if code else "")


@pytest.mark.parametrize(
    "found",
    [
        5,
        None,
        [],
        {},
        {"default": 1},
        {"json": "a", "header": "b"},
        {"json": 5},
        {"jsom": "a"},
        {"text": "["},
        {"text": "a"},
        {"text": "(a)(b)"},
        {"json": "["},
        {"json": "a", "other": 1},
    ],
)
def test_forms_of_set_that_there_are_not(ask: Caller, found: t.Any) -> None:
    result = ask(username="bob", password=ask.new, **with_step(DOC, "lookup", set={"whole": "@", "v": found}))
    assert result["error_code"] == "invalid_input" and "lookup.set.v" in result["msg"] and ask.asked == []


@pytest.mark.parametrize(
    ("step", "changed"),
    [
        ("change", {"body": {"a": 1}}),
        ("change", {"body": {"${whole}": "${password}"}}),
        ("change", {"query": {"${whole}": "1"}}),
        ("change", {"body_from": "x${whole}"}),
        ("change", {"body_from": "whole"}),
        ("change", {"body_from": "${nobody}"}),
        ("change", {"body": "${password}"}),
        ("change", {"body": ["${password}"]}),
        ("change", {"body_from": None, "body_format": "text"}),
        ("change", {"headers": {"Content-Type": "text/plain"}}),
        ("change", {"headers": {"Content-Type": "application/json"}, "body_format": "form"}),
        ("change", {"headers": {"X-A": "a "}}),
        ("change", {"headers": {"X-A": " a"}}),
        ("change", {"set": {"x": "y"}}),
        ("verify", {"set": {"x": "y"}}),
        ("verify", {"auth": {"type": "basic", "username": "${username}", "password": "x"}}),
        ("verify", {"path": "/${whole}", "headers": {"X": "${token}"}}),
        ("verify", {"rejected_if": "a", "fail_if": "b"}),
        ("verify", {"before": [{"path": "/x", "set": {"username": "x"}}]}),
        ("lookup", {"set": {"whole": "@", "token": "x"}}),
        ("lookup", {"itmes": "x"}),
        ("lookup", {"status": "x"}),
        ("auth", {"cookies": True}),
        ("auth", {"before": [{"path": "/x"}]}),
        ("auth", {"type": "session"}),
    ],
)
def test_steps_that_cannot_be_right(ask: Caller, step: str, changed: Options) -> None:
    result = ask(username="bob", password=ask.new, **with_step(DOC, step, **changed))
    assert result["error_code"] == "invalid_input" and ask.asked == [], result


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"token": "x"}', "accepted"),
        (401, b'{"error": {"message": "The password is expired and needs to be changed."}}', "accepted"),
        (401, b'{"error": {"message": "The request you have made requires authentication."}}', "rejected"),
        (401, b'{"error": {"message": "The account is locked."}}', "unknown"),
        (401, b"<html>", "unknown"),
        (401, b"", "unknown"),
        (200, b"<html>", "unknown"),
        (200, b"{}", "unknown"),
        (403, b'{"token": "x"}', "unknown"),
        (500, b'{"token": "x"}', "unknown"),
        (429, b'{"error": {"message": "The request you have made requires authentication."}}', "unknown"),
    ],
)
def test_three_answers_of_a_login(ask: Caller, odd: OddSandbox, status: int, body: bytes, expected: str) -> None:
    verify = {
        **WHOAMI,
        "status": [200, 401],
        "rejected": [],
        "accepted_if": "token || contains(error.message, 'expired')",
        "rejected_if": "contains(error.message, 'requires authentication')",
        "control": "never",
    }
    odd.faults.add(Fault("GET /whoami", response=Response(status, body)))
    odd.faults.add(Fault("GET /whoami", response=Response(200, b'{"token": "x"}')))
    result = ask(username="bob", password=ask.new, **{**DOC, "verify": verify})
    if expected == "unknown":
        failed(result, "rate_limited" if status == 429 else "unreachable")
    else:
        assert result["verified"] and result["changed"] is (expected == "rejected"), result


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("rule", ["error", "!ok", "@ != 'Ok.'"])
def test_an_empty_answer_is_judged_by_its_status(ask: Caller, odd: OddSandbox, status: int, rule: str) -> None:
    user = odd.user("bob")
    odd.faults.add(Fault("PUT", response=Response(status), after=lambda: setattr(user, "password", ask.new)))
    options = with_step(DOC, "change", status=[200, 204], fail_if=rule)
    assert ask(username="bob", password=ask.new, **options)["verified"]


@pytest.mark.parametrize(
    ("rule", "body", "code"),
    [
        ("@ == 'Fails.'", b"Fails.", "refused"),
        ("@ == 'Fails.'", b"Ok.", ""),
        ("@ != 'Ok.'", b"Fails.", "refused"),
        ("contains(@, 'no')", b"no, never", "refused"),
        ("error", b"Ok.", "unknown_outcome"),
        ("!ok", b"<html>", "unknown_outcome"),
    ],
)
def test_an_answer_that_is_a_text(ask: Caller, odd: OddSandbox, rule: str, body: bytes, code: str) -> None:
    """A text has no fields, so what asks for some cannot judge it."""
    user = odd.user("bob")
    done = None if code == "refused" else lambda: setattr(user, "password", ask.new)
    odd.faults.add(Fault("PUT", response=Response(200, body), after=done))
    result = ask(username="bob", password=ask.new, **with_step(DOC, "change", status=[200], fail_if=rule))
    if code:
        failed(result, code)
    else:
        assert result["verified"]


@pytest.mark.parametrize(
    ("body_format", "body", "sent", "kind"),
    [
        ("text", "<p>${password|xml}</p>", "<p>&lt;a&amp;&#x27;&quot;&gt;</p>", "text/plain"),
        ("text", '{"p": "${password|json}"}', '{"p": "<a&\'\\">"}', "text/plain"),
        ("text", "p=${password|url}", "p=%3Ca%26%27%22%3E", "text/plain"),
        ("form", {"p": "${password}"}, "p=%3Ca%26%27%22%3E", "application/x-www-form-urlencoded"),
    ],
)
def test_bodies_of_texts(ask: Caller, odd: OddSandbox, body_format: str, body: t.Any, sent: str, kind: str) -> None:
    odd.faults.add(Fault("PUT", response=Response(200)))
    change = {"method": "PUT", "path": "/x", "body": body, "body_format": body_format, "status": [200]}
    ask(username="bob", password="<a&'\">", change=change)
    assert odd.requests == [] or odd.requests[-1].body.decode() == sent
    change["path"] = "/form/users/bob"
    ask(username="bob", password="<a&'\">", change=change)
    assert odd.requests[-1].body.decode() == sent and odd.requests[-1].headers["Content-Type"] == kind
    typed = {**change, "headers": {"content-type": kind if body_format == "form" else "application/xml"}}
    ask(username="bob", password="<a&'\">", change=typed)
    assert odd.requests[-1].headers.get_all("Content-Type") == [typed["headers"]["content-type"]]


def test_basic_on_the_login_itself(ask: Caller, odd: OddSandbox) -> None:
    login = {**RPC["auth"], "basic": {"username": "${admin_username}", "password": "${admin_password}"}}
    assert ask(username="bob", password=ask.new, **{**RPC, "auth": login})["verified"]
    sent = [request.headers.get("Authorization") for request in odd.requests if b'"login"' in request.body]
    assert [value for value in sent if value and value.startswith("Basic ")] and sent.count(None) == len(sent) - 1


def test_statuses_and_questions_have_their_codes(ask: Caller, odd: OddSandbox) -> None:
    odd.faults.add(Fault("PUT", response=Response(412, b'{"message": "user name not found"}')))
    options = with_step(DOC, "change", not_found=[412])
    failed(ask(username="bob", password=ask.new, **options), "not_found", text="user name not found")
    odd.faults.add(Fault("PUT", response=Response(412, b'{"message": "user name not found"}')))
    asks = with_step(DOC, "change", not_found_if="message == 'user name not found'")
    failed(ask(username="bob", password=ask.new, **asks), "not_found", text="user name not found")
    odd.faults.add(Fault("GET /doc", response=Response(404)))
    failed(ask(username="bob", password=ask.new, **with_step(DOC, "lookup", not_found=[410])), "refused")
    # It is asked in spite of a yes; an answer that is a no anyway keeps the code of its status.
    odd.faults.add(Fault("PUT", response=Response(403, b'{"message": "not yours"}')))
    asks = with_step(DOC, "change", fail_if="message")
    failed(ask(username="bob", password=ask.new, **asks), "not_permitted", text="not yours")


def test_the_steps_are_shown_without_values(ask: Caller, odd: OddSandbox) -> None:
    result = ask(username="bob", password=ask.new, **FORM)
    shown = result["diff"]["prepared"]
    for line in (
        "auth.before[0]: GET /form: 200",
        "    field: a text of 12",
        "change: PUT /form/users/${username}: 204",
    ):
        assert line in shown.splitlines(), shown
    for secret in (ask.new, ask.old, odd.admin_password, *odd.forms, *odd.forms.values(), *odd.sessions):
        assert secret not in json.dumps(result)
    failed(ask(username="nobody", password=ask.new, **FORM), "not_found")
    assert (
        "lookup: GET /form/users/${username}: 404" in ask(username="nobody", **FORM, password="x")["diff"]["prepared"]
    )
