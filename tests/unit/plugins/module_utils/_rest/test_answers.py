# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What counts as evidence, whom a refusal is about, what ends a doubt, and what stands in no message."""

from __future__ import annotations

import base64
import json
import re
import secrets
import typing as t
import urllib.parse

import pytest

from tests.sandbox.rest.odd import DOC, OddSandbox
from tests.sandbox.server import Fault, Response
from tests.unit.plugins.module_utils._rest.conftest import Caller, entry, failed

PLAIN = {"method": "PUT", "path": "/users/1", "body": {"password": "${password}"}, "status": [204]}
OWN = {"name": "${username}", "password": "${old_password}"}


def people(call: Caller, *names: str, password: str | None = None) -> list[dict[str, t.Any]]:
    """Users who have the old password, alice among them anyway."""
    for name in names:
        if name != "alice":
            call.rest.add_user(name, call.old)
    return [{"username": name, "password": password or call.new} for name in names]


# -- an answer is asked what the recipe asks


@pytest.mark.parametrize("rule", ["!name", "@ == `null`"])
def test_a_null_of_json_is_not_an_empty_answer(call: Caller, rule: str) -> None:
    call.rest.faults.add(Fault("whoami", times=9, response=Response(200, b"null")))
    found = failed(
        call(update_password="always", verify=call.step("verify", rejected_if=rule)), "verify_failed", changed=True
    )
    assert not found["verified"]
    call.rest.faults.add(Fault("change", response=Response(200, b"null")))
    change = call.step("change", status=[200], fail_if="!ok")
    failed(call(verify=None, change=change), "refused")


@pytest.mark.parametrize("items", ["users[:5]", "@.users[:1]", "values(@)[0][:3]"])
def test_slices_pick(call: Caller, items: str) -> None:
    assert call(lookup=call.step("lookup", items=items, reason="[:1]"))["verified"]


def test_a_default_stands_for_what_cannot_be_picked(ask: Caller, odd: OddSandbox) -> None:
    for told in ({"json": "absent", "default": None}, {"json": "contains(absent, 'x')", "default": 7}):
        before = [{"path": "/form", "set": {"extra": told}}]
        change = {**DOC["change"], "headers": {"X-Extra": "x"}}
        auth = {"type": "session", "before": before} if "auth" not in DOC else None
        assert (
            auth is None or ask(username="bob", password=ask.new, **{**DOC, "auth": auth, "change": change})["verified"]
        )
        lookup = {**DOC["lookup"], "set": {**DOC["lookup"]["set"], "extra": told}}
        assert ask(username="bob", password=secrets.token_urlsafe(9), **{**DOC, "lookup": lookup})["verified"]


@pytest.mark.parametrize("status", [204, 302, 404, 500])
def test_any_status_may_mean_that_there_is_no_such_user(call: Caller, status: int) -> None:
    call.rest.faults.add(Fault("users", response=Response(status)))
    failed(call(lookup=call.step("lookup", not_found=[status])), "not_found")
    call.rest.faults.add(Fault("change", response=Response(status)))
    failed(call(change=call.step("change", status=[201], not_found=[status])), "not_found")


def test_a_5xx_that_means_yes_is_asked_too(call: Caller) -> None:
    call.rest.faults.add(Fault("change", response=Response(500, b'{"error": "too weak"}')))
    change = call.step("change", status=[204, 500], fail_if="error")
    failed(call(verify=None, change=change), "refused", text="too weak")


@pytest.mark.parametrize("body", [b"false", b'""', b"[null]", b"[false]"])
def test_nothing_is_no_user(call: Caller, body: bytes) -> None:
    call.rest.faults.add(Fault("users", response=Response(200, body)))
    failed(call(lookup={"path": "/users"}, change=PLAIN), "not_found")


def test_a_full_address_keeps_its_slash(call: Caller) -> None:
    failed(call(change=call.step("change", path=f"{call.rest.url}/users/${{id}}/")), "not_found")
    assert call.rest.requests[-1].path.endswith("/")


# -- whom a refusal is about


@pytest.mark.parametrize("kind", ["login", "bearer"])
def test_a_refusal_with_401_of_one_user_is_not_the_administrators(call: Caller, kind: str) -> None:
    if kind == "bearer":
        call.options["auth"] = {"type": "bearer", "token": call.rest.token}
    users = people(call, "alice", "bob", "carol")
    refusal = Fault("change bob", times=2, response=Response(401, b'{"error": "too short"}'))
    call.rest.faults.add(refusal)
    told = call(users=users)["rotations"]
    assert [found["failed"] for found in told] == [False, True, False], told
    assert told[1]["error_code"] == "auth_failed" and "dministrator" not in told[1]["msg"]
    refusal.times = 2
    again = [{**user, "password": user["password"] + "x"} for user in users]
    asks = call.step("change", fail_if="contains(error, 'short') && error")
    told = call(users=again, change=asks)["rotations"]
    assert told[1]["error_code"] == "refused" and "too short" in told[1]["msg"]


def test_a_token_that_ended_is_renewed_whatever_the_recipe_asks(call: Caller) -> None:
    call.rest.faults.add(Fault("change", response=Response(401, b'{"error": "token expired"}')))
    assert call(change=call.step("change", fail_if="error"))["verified"]
    assert call.asked.count("POST /login") == 2


def test_a_wrong_administrator_is_asked_once_whatever_the_recipe_asks(call: Caller) -> None:
    users = people(call, "alice", "bob", "carol")
    told = call(
        users=users, auth={"type": "basic", "username": "root", "password": "wrong"}, lookup=None,
        change={**PLAIN, "fail_if": "error"},
    )["rotations"]  # fmt: skip
    assert {found["error_code"] for found in told} == {"auth_failed"}
    assert len([label for label in call.asked if label.startswith("change")]) == 1


@pytest.mark.parametrize("more", [{}, {"case_insensitive": True}])
def test_the_others_are_proved_before_the_administrator_changes(call: Caller, more: dict[str, t.Any]) -> None:
    call.rest.add_user(call.rest.admin, call.rest.admin_password)
    admin = call.rest.admin.upper() if more else call.rest.admin
    login = {
        **call.options["auth"],
        "body_format": "text",
        "body": '{"name": "${admin_username}", "password": "${admin_password}"}',
        "headers": {"Content-Type": "application/json"},
    }
    users = [{"username": name, "password": call.new} for name in (admin, "alice")]
    told = call(users=users, auth=login, lookup=call.step("lookup", **more), update_password="always")["rotations"]
    assert [found["changed"] for found in told] == [True, True], told
    changes = [label for label in call.asked if label.startswith(("change", "whoami"))]
    assert changes == ["change alice", "whoami alice", f"change {call.rest.admin}", f"whoami {admin}"]


# -- doubts end


@pytest.mark.parametrize("answer", [Response(200, b'{"users": []}'), Response(404), Response(400)])
def test_a_recovered_password_of_a_user_who_is_gone_is_nowhere(call: Caller, answer: Response) -> None:
    call.rest.faults.add(Fault("users", times=9, response=answer))
    call.rest.faults.add(Fault("whoami", times=9, response=Response(401)))
    assert entry(call(recovered=True))["in_force"] is False


def test_a_name_that_nobody_has_says_nothing_about_who_was_given_a_password(call: Caller) -> None:
    """Somebody may have edited the record's login; only a rejected login tells that the password is not in force."""
    call.rest.faults.add(Fault("users", response=Response(200, b'{"users": []}')))
    assert "in_force" not in failed(call(recovered=True, verify=None), "not_found")


def test_a_recovered_password_is_not_rolled_back(call: Caller) -> None:
    """The service has taken it twice, and two changes in each run would never end."""
    call.rest.faults.add(Fault("whoami", times=9, response=Response(401)))
    found = failed(call(recovered=True, old_password=call.old, rollback="old_password"), "verify_failed", changed=True)
    assert found["in_force"] is True and call.asked.count("change alice") == 1


def test_a_roll_back_looks_up_what_guards_the_change(ask: Caller, odd: OddSandbox) -> None:
    odd.faults.add(Fault("GET /whoami", times=9, response=Response(401)))
    result = ask(username="bob", password=ask.new, old_password=ask.old, rollback="old_password", **DOC)
    assert failed(result, "verify_failed", changed=True)["rolled_back"] is True


def test_what_is_still_to_be_made_is_tried_with_nobody(call: Caller) -> None:
    for auth in (
        {"type": "login", "path": "/login", "body": OWN, "token_path": "token"},
        {"type": "basic", "username": "${username}", "password": "${old_password}"},
    ):
        assert not entry(call(check_mode=True, password=None, auth=auth))["failed"]
        assert call.asked == []


def test_nobody_knows_what_was_not_asked_any_more(call: Caller) -> None:
    users = people(call, "alice", "bob", "carol", "dave")
    call.rest.faults.add(Fault("whoami", times=99, drop="before"))
    told = call(users=users, update_password="always")["rotations"]
    assert {found["error_code"] for found in told} == {"unknown_outcome"} and not any(
        "in_force" in found for found in told
    )


# -- what stands in no message


@pytest.mark.parametrize("form", ["{}", '"{}"', '{{"message": "{}"}}'])
@pytest.mark.parametrize("label", ["POST /login", "whoami", "change"])
def test_an_answer_that_may_hold_what_a_yes_holds_is_not_quoted(call: Caller, label: str, form: str) -> None:
    token = secrets.token_urlsafe(24)
    call.rest.faults.add(Fault(label, response=Response(202, form.format(token).encode())))
    assert token not in json.dumps(call())


def _dotnet(text: str) -> str:
    return "".join(character if character.isalnum() else f"\\u{ord(character):04X}" for character in text)


def _lower(text: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), urllib.parse.quote(text, safe=""))


@pytest.mark.parametrize(
    "write",
    [
        _dotnet,
        _lower,
        lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
        lambda text: text.encode().hex(),
    ],
)
def test_spellings_of_other_encoders(call: Caller, write: t.Callable[[str], str]) -> None:
    secret = "aB/cD+eF=gH&iJ<kL>mN"
    call.rest.faults.add(Fault("change", response=Response(400, f"bad body {write(secret)} here".encode())))
    msg = failed(call(password=secret), "refused")["msg"]
    assert write(secret)[-6:] not in msg and "iJ" not in msg


def test_a_token_that_can_stand_in_no_header_is_a_failed_login(call: Caller) -> None:
    oauth = {
        "type": "oauth2_client_credentials",
        "token_url": "/oauth/token",
        "client_id": "${admin_username}",
        "client_secret": "${admin_password}",
    }
    for token in ('""', "true", '{"a": 1}', '"a\\nb"', '"ab "', '"ab\\ud800"'):
        call.rest.faults.add(
            Fault("POST /oauth/token", response=Response(200, f'{{"access_token": {token}}}'.encode()))
        )
        failed(call(auth=oauth), "auth_failed")
        call.rest.faults.add(Fault("POST /login", response=Response(200, f'{{"token": {token}}}'.encode())))
        failed(call(), "auth_failed")


# -- no internal error


@pytest.mark.parametrize(
    "changed",
    [
        {"lookup": {"items": "(" * 5000}},
        {"lookup": {"items": f"users[{'9' * 5000}]"}},
        {"lookup": {"set": {"id": {"text": "(a{99999999999999999999})"}}}},
        {"lookup": {"set": {"id": {"text": "(" * 3000 + ")" * 3000}}}},
        {"proxy": "http://[::1"},
        {"proxy": "socks5://127.0.0.1:1"},
        {"client_cert": __file__},
    ],
)
def test_options_that_cannot_be_right(call: Caller, changed: dict[str, t.Any]) -> None:
    options = {**changed, **({"lookup": call.step("lookup", **changed["lookup"])} if "lookup" in changed else {})}
    result = call(**options)
    found = entry(result) if "rotations" in result else result
    assert found["error_code"] in ("invalid_input", "unreachable") and "Internal" not in found["msg"], found
    assert not any(label.startswith("change") for label in call.asked)


def test_a_cursor_of_half_a_character(call: Caller) -> None:
    call.rest.faults.add(Fault("users", response=Response(200, b'{"users": [], "next": "\\ud800"}')))
    failed(call(lookup=call.step("lookup", next={"cursor": "next", "param": "page"})), "invalid_input")
