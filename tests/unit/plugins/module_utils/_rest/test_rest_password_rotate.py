# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each rule of the module, against the sandbox: users, the change, the three answers of verify, roll-back."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.keyturn.credentials.plugins.module_utils._core import transport
from tests.sandbox.keeper import tls
from tests.sandbox.rest import RestSandbox
from tests.sandbox.server import Fault, Request, Response
from tests.unit.plugins.module_utils._rest.conftest import Caller, entry, failed

# -- one user


def test_changed_and_proved_then_unchanged(call: Caller) -> None:
    result = call()
    assert entry(result) == {"username": "alice", "changed": True, "failed": False, "in_force": True, "verified": True}
    assert result["username"] == "alice" and result["diff"]["after"] == {"password": "changed"}
    assert call.asked == ["whoami alice", "POST /login", "users", "change alice", "whoami alice"]
    assert call.rest.accepts("alice", call.new) and call.rest.user("alice").tags == ["reader"]
    result = call()
    assert entry(result) == {"username": "alice", "changed": False, "failed": False, "in_force": True, "verified": True}
    # A login that is accepted is believed only where another one is not.
    assert "before" not in result["diff"] and call.asked == ["whoami alice", "whoami alice"]
    assert call.rest.logins == [("alice", True), ("alice", False)]
    call(verify=call.step("verify", control="never"))
    assert call.asked == ["whoami alice"]


def test_check_mode_asks_and_writes_nothing(call: Caller) -> None:
    result = call(check_mode=True)
    assert result["changed"] and not result["verified"] and result["verify_skipped_reason"] == "check_mode"
    assert result["diff"]["after"] == {"password": "would change"}
    assert call.asked == ["whoami alice", "POST /login", "users"] and call.rest.accepts("alice", call.old)
    call.rest.user("alice").password = call.new
    assert not call(check_mode=True)["changed"] and call.asked == ["whoami alice", "whoami alice"]
    assert call(check_mode=True, update_password="always")["changed"] and call.asked == ["POST /login", "users"]


def test_always_changes_without_asking(call: Caller) -> None:
    call.rest.user("alice").password = call.new
    assert entry(call(update_password="always")) == {
        "username": "alice",
        "changed": True,
        "failed": False,
        "in_force": True,
        "verified": True,
    }
    assert call.asked == ["POST /login", "users", "change alice", "whoami alice"]


def test_without_verify_only_the_caller_can_say_that_nothing_is_to_be_done(call: Caller) -> None:
    result = call(verify=None, old_password=call.new)
    assert (result["changed"], result["verified"], result["verify_skipped_reason"]) == (False, False, "no_verify")
    assert call.asked == []
    result = call(verify=None, old_password=call.old)
    assert (result["changed"], result["verified"], result["verify_skipped_reason"]) == (True, False, "no_verify")
    assert call.rest.accepts("alice", call.new)


# -- many users


def test_one_hundred_users_cost_one_login_and_one_connection(call: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    """The list serves all of them, so it is read once; a lookup by name is needed once for each."""
    users = [
        {"username": f"user-{number}", "password": secrets.token_urlsafe(9), "old_password": secrets.token_urlsafe(9)}
        for number in range(100)
    ]
    for user in users:
        call.rest.add_user(user["username"], user["old_password"])
    call.rest.page = 1000
    connections = set[int]()
    arrive = call.rest.respond

    def respond(request: Request) -> Response:
        connections.update(id(connection) for connection in call.rest.connections)
        return arrive(request)

    call.rest.respond = respond  # type: ignore[method-assign]
    result = call(users=users)
    assert [found["username"] for found in result["rotations"]] == [user["username"] for user in users]
    assert all(found["changed"] and found["verified"] for found in result["rotations"])
    assert len(call.asked) == 1 + 1 + 100 * 3
    assert len(connections) == 1
    counts = {"one list": len(call.asked)}

    connections.clear()
    for user in users:
        user["password"], user["old_password"] = secrets.token_urlsafe(9), user["password"]
    result = call(users=users, lookup=call.step("lookup", query={"name": "${username}"}))
    assert all(found["changed"] and found["verified"] for found in result["rotations"])
    assert call.asked.count("POST /login") == 1 and call.asked.count("users") == 100
    assert len(connections) == 1
    counts["a lookup for each"] = len(call.asked)
    with capsys.disabled():
        print(f"\n100 users, requests: {counts}, 1 login of the administrator, {len(connections)} connection")


def test_one_failure_does_not_stop_the_others(call: Caller) -> None:
    call.rest.add_user("bob", call.old)
    users = [{"username": name, "password": call.new} for name in ("alice", "nobody", "bob")]
    result = call(users=users)
    assert result["failed"] and result["changed"] and result["error_code"] == "not_found"
    assert [found["failed"] for found in result["rotations"]] == [False, True, False]
    assert call.rest.accepts("bob", call.new)


def test_an_administrator_who_is_refused_is_asked_once(call: Caller) -> None:
    call.rest.add_user("bob", call.old)
    users = [{"username": name, "password": call.new} for name in ("alice", "bob")]
    result = call(users=users, secrets={"admin_password": "wrong"})
    assert [found["error_code"] for found in result["rotations"]] == ["auth_failed"] * 2
    assert call.asked.count("POST /login") == 1


def test_no_login_of_the_administrator_when_nothing_is_to_be_done(call: Caller) -> None:
    call.rest.user("alice").password = call.new
    assert not call(secrets={"admin_password": "wrong"})["failed"]


@pytest.mark.parametrize(
    "users",
    [
        [{"username": "alice", "password": "one"}, {"username": "alice", "password": "two"}],
        [{"username": "alice", "password": ""}],
        [{"username": "", "password": "x"}],
        [{"username": "alice", "password": "a\ud800"}],
        [],
    ],
)
def test_lists_that_cannot_be_right(call: Caller, users: list[dict[str, str]]) -> None:
    assert call(users=users)["error_code"] == "invalid_input" and call.asked == []


# -- the change


@pytest.mark.parametrize(
    ("status", "code", "asked"),
    [
        (400, "refused", 1),
        (401, "auth_failed", 2),
        (403, "not_permitted", 1),
        (404, "not_found", 1),
        (409, "refused", 1),
        (429, "rate_limited", 2),
        (200, "refused", 1),
        (201, "refused", 1),
        (302, "refused", 1),
    ],
)
def test_changes_that_are_refused(call: Caller, waits: list[float], status: int, code: str, asked: int) -> None:
    call.rest.faults.add(Fault("change", times=9, response=Response(status, b'{"error": "unlikely words."}')))
    found = failed(call(), code)
    assert call.asked.count("change alice") == asked
    # The service's own words, with one full stop, and in the entry of alice.
    # Below 400 it may be whatever a yes holds, a token for example.
    assert (": unlikely words" in found["msg"]) is (status >= 400 and status != 429) and ".." not in found["msg"]
    assert status == 401 or "alice" in found["msg"]
    assert call.asked.count("whoami alice") == 1
    assert found["retry_safe"] is (code == "rate_limited") and found.get("status", status) == status
    # Any other yes may have done what it was asked.
    assert found["left"] == ("unknown" if status < 400 else "untouched")


def test_a_long_retry_after_is_not_waited_for(call: Caller, waits: list[float]) -> None:
    call.rest.faults.add(Fault("change", times=9, response=Response(429, headers={"Retry-After": "61"})))
    failed(call(max_retries=3), "rate_limited", text="61 s")
    assert waits == [] and call.asked.count("change alice") == 1


def test_a_change_that_was_not_processed_is_repeated(call: Caller, waits: list[float]) -> None:
    call.rest.faults.add(Fault("change", response=Response(429, headers={"Retry-After": "7"})))
    assert call()["verified"] and waits == [7.0] and call.asked.count("change alice") == 2


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (b'{"results": [{"error": "user not found"}]}', "refused", "user not found"),
        (b'{"results": [{}]}', "", ""),
        (b'{"results": [{"error": ""}]}', "", ""),
        (b'{"results": [{"error": 0}]}', "refused", ""),
        (b"", "", ""),
        (b"<html>", "unknown_outcome", ""),
        (b'{"x": "' + b"x" * (1 << 20) + b'"}', "unknown_outcome", ""),
    ],
)
def test_an_error_inside_a_success(call: Caller, body: bytes, code: str, text: str) -> None:
    user = call.rest.user("alice")

    def act() -> None:
        user.password = call.new

    done = code != "refused"
    call.rest.faults.add(
        Fault("change", response=Response(204 if not body else 200, body), after=act if done else None)
    )
    result = call(change=call.step("change", status=[200, 204], fail_if="results[0].error"))
    if code:
        found = failed(result, code, text=text)
        assert found["retry_safe"] is (code == "unknown_outcome")
    else:
        assert result["changed"] and result["verified"], result


def test_a_refusal_is_one_however_long_it_is(call: Caller) -> None:
    call.rest.faults.add(Fault("change", response=Response(400, b"x" * ((1 << 20) + 1))))
    failed(call(change=call.step("change", fail_if="error")), "refused")


# -- the answer of the change is lost

LOST: dict[str, Fault] = {
    "before": Fault("change", drop="before"),
    "after": Fault("change", drop="after"),
    "500": Fault("change", response=Response(500)),
    "503": Fault("change", response=Response(503, headers={"Retry-After": "1"})),
}


def lose(call: Caller, kind: str) -> None:
    fault = LOST[kind]
    call.rest.faults.add(Fault(fault.match, drop=fault.drop, response=fault.response))


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("update", ["if_different", "always"])
def test_a_lost_answer_is_settled_by_verify(call: Caller, kind: str, update: str) -> None:
    lose(call, kind)
    result = call(max_retries=3, update_password=update)
    assert call.asked.count("change alice") == 1
    if kind == "after":
        assert result["changed"] and result["verified"]
        return
    found = failed(result, "unknown_outcome")
    assert found["retry_safe"] and call.rest.accepts("alice", call.old)
    assert call()["verified"]


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_answer_without_verify_is_unknown(call: Caller, kind: str) -> None:
    lose(call, kind)
    found = failed(call(max_retries=3, verify=None), "unknown_outcome", text="either the old or the new password")
    assert found["retry_safe"] and call.asked.count("change alice") == 1


def test_a_lost_answer_that_verify_cannot_settle(call: Caller) -> None:
    lose(call, "after")
    call.rest.faults.add(Fault("whoami", skip=1, response=Response(503)))
    assert failed(call(), "unknown_outcome")["retry_safe"]
    assert not call()["changed"]


def test_a_refused_connection_is_unreachable(call: Caller, waits: list[float]) -> None:
    with RestSandbox() as gone:
        address = gone.url
    elsewhere = call.step("change", path=f"{address}/users/${{id}}")
    assert failed(call(change=elsewhere), "unreachable", text="Nothing was changed")["retry_safe"]
    failed(call(change=elsewhere), "unreachable", text=address.removeprefix("http://"))
    assert len(waits) == 2
    assert failed(
        call(
            url=address, auth=None, lookup=None, verify=None, change=call.step("change", path="", body=["${password}"])
        ),
        "unreachable",
    )["retry_safe"]


def test_a_silent_service_does_not_take_a_timeout_for_every_user(call: Caller, waits: list[float]) -> None:
    for number in range(6):
        call.rest.add_user(f"user-{number}", call.old)
    call.rest.faults.add(Fault("whoami", times=99, hang="before"))
    users = [{"username": f"user-{number}", "password": call.new} for number in range(6)]
    result = call(users=users, timeout=0.2)
    assert {found["error_code"] for found in result["rotations"]} == {"unreachable"}
    assert len(call.asked) <= 3


# -- verify, before and after


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Response(429), "rate_limited"),
        (Response(500), "unreachable"),
        (Response(302, b'{"error": "moved"}'), "unreachable"),
        (Response(403, b'{"error": "disabled"}'), "unreachable"),
        (Response(501), "unreachable"),
        (Response(204), "unreachable"),
        (Response(200, b"x" * ((1 << 20) + 1)), "unreachable"),
        (None, "unreachable"),
    ],
)
def test_an_unknown_answer_before_the_change(call: Caller, answer: Response | None, code: str) -> None:
    """Where the service is in no trouble, the lookup has the first word; an answer that will stay is not retried."""
    call.rest.faults.add(Fault("whoami", times=9, response=answer, drop=None if answer else "before"))
    found = failed(call(), code, text="Nothing was changed")
    stays = answer is not None and answer.status in (302, 403, 501)
    assert found["retry_safe"] is not stays
    looks = stays or (answer is not None and answer.status < 300)
    assert call.asked == ["whoami alice", *(["POST /login", "users"] if looks else [])]
    assert not (stays and answer and answer.body and answer.status >= 400) or "disabled" in found["msg"]
    if stays:
        nobody = failed(call(username="nobody"), "not_found")
        assert not nobody["retry_safe"]
        failed(call(secrets={"admin_password": "wrong"}), "auth_failed")


@pytest.mark.parametrize("status", [429, 500, 302, 403, 204, 0])
def test_an_unknown_answer_after_the_change(call: Caller, status: int) -> None:
    answer = Response(status) if status else None
    call.rest.faults.add(Fault("whoami", skip=1, response=answer, drop=None if answer else "before"))
    found = failed(call(rollback="old_password", old_password=call.old), "unknown_outcome", changed=True)
    assert found["retry_safe"] and "rolled_back" not in found
    assert call.asked.count("change alice") == 1 and call.asked.count("whoami alice") == 2


def test_a_login_that_stays_rejected(call: Caller) -> None:
    call.rest.faults.add(Fault("whoami", times=2, response=Response(401)))
    found = failed(call(), "verify_failed", changed=True, text="Nothing was rolled back")
    assert found["retry_safe"] and call.rest.accepts("alice", call.new) and "rolled_back" not in found


def test_attempts_are_for_slow_services_after_the_change(call: Caller, waits: list[float]) -> None:
    verify = call.step("verify", attempts=3, delay=7)
    call.rest.faults.add(Fault("whoami", skip=1, times=2, response=Response(401)))
    assert call(verify=verify)["verified"]
    assert waits == [7.0, 7.0] and call.asked.count("whoami alice") == 4
    call.rest.faults.add(Fault("whoami", response=Response(503)))
    failed(call(verify=verify, password=call.old), "unreachable")
    assert call.asked == ["whoami alice"]


def test_a_rejection_may_be_told_otherwise(call: Caller) -> None:
    """A status that is listed, a redirect among them, and a 200 with an error inside."""
    call.rest.faults.add(Fault("whoami", response=Response(400)))
    assert call(verify=call.step("verify", rejected=[302, 400]))["verified"]
    call.rest.faults.add(Fault("whoami", response=Response(302)))
    assert call(verify=call.step("verify", rejected=[302, 400]), password=call.old)["verified"]
    call.rest.faults.add(Fault("whoami", response=Response(200, b'{"ok": false}')))
    call.rest.faults.add(Fault("whoami", response=Response(200, b'{"ok": true}')))
    assert call(verify=call.step("verify", fail_if="!ok"))["verified"]
    call.rest.faults.add(Fault("whoami", response=Response(200, b"hello")))
    failed(call(verify=call.step("verify", fail_if="!ok")), "unreachable")


def test_the_administrator_does_not_vouch_for_the_user(call: Caller) -> None:
    """Neither credentials, nor a header that holds a secret, nor a cookie of an earlier login goes into verify."""
    headers = {"X-Plain": "${admin_username}", "X-Key": "a${admin_password}", "X-Mine": "1"}
    token = Response(200, json.dumps({"token": call.rest.token}).encode(), {"Set-Cookie": "session=admin; Path=/"})
    call.rest.faults.add(Fault("POST /login", response=token))
    assert call(headers=headers, verify=call.step("verify", headers={"X-Mine": "2"}))["verified"]
    for request in call.rest.requests:
        login = request.path == "/whoami"
        assert ("X-Key" in request.headers) is not login
        assert request.headers["X-Plain"] == call.rest.admin and "Cookie" not in request.headers
        assert request.headers["X-Mine"] == ("2" if login else "1")
        assert request.headers["Authorization"].startswith("Basic ") if login else True


def test_the_client_certificate_does_not_vouch_for_the_user(
    call: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key, pem = ec.generate_private_key(ec.SECP256R1()), serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "client.pem").write_bytes(private + tls.certificate(key).public_bytes(pem))
    certificate = str(tmp_path / "client.pem")
    shown: list[tuple[str, str | None]] = []
    send = transport.Http.send

    def watched(self: transport.Http, request: transport.Request, repeat: transport.Repeat) -> transport.Answer:
        shown.append((request.url.rpartition("/")[2], self._wire.client_cert))
        return send(self, request, repeat)

    monkeypatch.setattr(transport.Http, "send", watched)
    assert call(client_cert=certificate)["verified"]
    assert [path for path, certificate_shown in shown if certificate_shown is None] == ["whoami"] * 2
    assert {path for path, certificate_shown in shown if certificate_shown} == {"login", "users", "1"}


# -- a login that always says yes


def test_a_login_that_always_says_yes_shows_before_the_change(call: Caller) -> None:
    call.rest.gullible = True
    found = failed(call(old_password=call.old), "invalid_input", text="proves nothing")
    assert not found["verified"] and call.asked == ["whoami alice", "whoami alice"]


def test_a_login_that_always_says_yes_settles_nothing(call: Caller) -> None:
    call.rest.gullible = True
    lose(call, "after")
    failed(call(update_password="always"), "unknown_outcome", text="proves nothing")
    assert call.asked.count("whoami alice") == 2


def test_one_wrong_login_in_the_whole_run_shows_that_logins_mean_something(call: Caller) -> None:
    """With the old password where there is one, none with always; a rejected login of somebody else shows nothing."""
    assert call(old_password=call.old)["verified"]
    assert call.rest.logins == [("alice", False), ("alice", True)]
    for name in ("bob", "carol"):
        call.rest.add_user(name, call.new)
    users = [{"username": name, "password": call.new, "old_password": call.old} for name in ("alice", "bob", "carol")]
    assert not call(users=users)["changed"]
    assert call.rest.logins == [("alice", True), ("alice", False), ("bob", True), ("carol", True)]
    call.rest.gullible = True
    assert {found["error_code"] for found in call(users=users)["rotations"]} == {"invalid_input"}
    assert len(call.rest.logins) == 4 and not any("change" in label for label in call.asked)
    call.rest.gullible = False
    assert call(old_password=call.old, update_password="always")["verified"]
    assert call.rest.logins == [("alice", True)]
    call.rest.gullible = True
    call.rest.faults.add(Fault("whoami bob", response=Response(401)))
    told = call(users=[{"username": name, "password": f"{call.new}x"} for name in ("bob", "alice")])["rotations"]
    assert told[1]["error_code"] == "invalid_input" and not told[1]["verified"]


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, ""), (400, "unreachable"), (403, "unreachable"), (429, "rate_limited"), (503, "unreachable")],
)
def test_a_service_in_trouble_shows_nothing(call: Caller, status: int, code: str) -> None:
    call.rest.user("alice").password = call.new
    call.rest.faults.add(Fault("whoami", skip=1, response=Response(status)))
    result = call()
    if code:
        assert failed(result, code, text="wrong password")["retry_safe"] is (status in (429, 503))
    else:
        assert result["verified"] and not result["changed"]


# -- roll-back


def test_roll_back(call: Caller) -> None:
    call.rest.faults.add(Fault("whoami", times=2, response=Response(401)))
    change = call.step("change", body={"password": "${password}", "tags": "${tags}", "old": "${old_password}"})
    found = failed(call(rollback="old_password", old_password=call.old, change=change), "verify_failed", changed=True)
    assert found["rolled_back"] is True and call.rest.accepts("alice", call.old)
    bodies = [json.loads(request.body) for request in call.rest.requests if request.method == "PUT"]
    assert [(body["password"], body["old"]) for body in bodies] == [(call.new, call.old), (call.old, call.new)]


@pytest.mark.parametrize(
    "fault", [Fault("change", skip=1, response=Response(403)), Fault("change", skip=1, drop="after")]
)
def test_a_roll_back_that_fails(call: Caller, fault: Fault) -> None:
    call.rest.faults.add(Fault("whoami", times=2, response=Response(401)))
    call.rest.faults.add(fault)
    found = failed(call(rollback="old_password", old_password=call.old), "verify_failed", changed=True)
    assert found["rolled_back"] is False and "The roll-back failed" in found["msg"]


def test_roll_back_needs_verify_and_the_old_password(call: Caller) -> None:
    assert call(rollback="old_password", verify=None, old_password=call.old)["error_code"] == "invalid_input"
    assert call(rollback="old_password")["error_code"] == "invalid_input"
    assert call.asked == []
