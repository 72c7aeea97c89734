# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users who are proved at the same time: what is returned and shown is what it is one after the other."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._rest.client import Client
from tests.leaks import leaks
from tests.sandbox.rest import RestSandbox
from tests.sandbox.rest.odd import DOC, FORM, WHOAMI, OddSandbox
from tests.sandbox.server import Fault, Request, Response
from tests.unit.plugins.module_utils._rest.conftest import Caller, Result, failed

Users = list[dict[str, str]]
NAMES = ("ann", "bob", "cyd", "dan", "eve", "fay", "gus", "hal")


def wanted(call: Caller, names: t.Sequence[str] = NAMES) -> Users:
    """Users of the service, and the passwords that they shall have."""
    for name in names:
        add = call.rest.add_document if isinstance(call.rest, OddSandbox) else call.rest.add_user
        add(name, call.old)
    return [{"username": name, "password": f"{name}-{secrets.token_urlsafe(9)}"} for name in names]


class Overlap:
    """Watches the requests that match: how many are answered at the same time, at most, and by how many connections.

    meeting: so many of them wait for each other, patience seconds at most.
    """

    def __init__(
        self, rest: RestSandbox, match: t.Callable[[Request], bool], meeting: int = 1, patience: float = 30
    ) -> None:
        self.most = self._now = 0
        self.connections: set[int] = set()
        self._meeting, self._patience = meeting, patience
        self._changed = threading.Condition()
        self._match, self._answer = match, rest.respond
        rest.respond = self._respond  # type: ignore[method-assign]

    def _respond(self, request: Request) -> Response:
        if not self._match(request):
            return self._answer(request)
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            # The service has a thread for each connection.
            self.connections.add(threading.get_ident())
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._meeting, self._patience)
        try:
            return self._answer(request)
        finally:
            with self._changed:
                self._now -= 1


def test_so_many_are_under_way_and_no_more(call: Caller) -> None:
    users = wanted(call)
    seen = Overlap(call.rest, lambda request: request.path == "/whoami", meeting=4)
    result = call(users=users, update_password="always", verify_parallel=4)
    assert [(found["username"], found["verified"]) for found in result["rotations"]] == [(name, True) for name in NAMES]
    assert seen.most == 4 and len(seen.connections) == 4
    proofs = [f"whoami {name}" for name in NAMES]
    assert call.asked[:-8] == ["POST /login", "users", *(f"change {name}" for name in NAMES)]
    assert sorted(call.asked[-8:]) == proofs


def test_the_default_asks_one_after_the_other(call: Caller) -> None:
    users = wanted(call)
    seen = Overlap(call.rest, lambda request: True)
    call(users=users, update_password="always")
    proofs = [f"whoami {name}" for name in NAMES]
    assert call.asked == ["POST /login", "users", *(f"change {name}" for name in NAMES), *proofs]
    assert seen.most == 1 and len(seen.connections) == 1


@pytest.mark.parametrize("number", [0, -1, 11])
def test_not_fewer_than_one_and_not_more_than_ten(call: Caller, number: int) -> None:
    failed(call(verify_parallel=number), "invalid_input", text="from 1 to 10")
    assert call.asked == []


def _told(result: Result) -> str:
    return json.dumps(result, sort_keys=True)


def test_one_that_goes_wrong_is_alone_with_it(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence, a lost connection, rubbish, too much, an internal error: alike by one and by four at the same time."""
    users = wanted(call)
    log_in = Client.log_in

    def breaks(self: Client, verify: t.Any, values: t.Mapping[str, t.Any]) -> t.Any:
        if values["username"] == "hal":
            raise ZeroDivisionError
        return log_in(self, verify, values)

    monkeypatch.setattr(Client, "log_in", breaks)
    results = []
    for number in (1, 4):
        call.rest.faults.clear()
        for fault in (
            # The first one comes last, so that what is told as it comes is told in another order.
            Fault("whoami ann", delay=0.3),
            Fault("whoami bob", hang="before"),
            Fault("whoami dan", drop="after"),
            Fault("whoami eve", response=Response(200, b"\0" * (2 << 20))),
            Fault("whoami fay", response=Response(200, b"no", {"Content-Encoding": "gzip"})),
        ):
            call.rest.faults.add(fault)
        results.append(call(users=users, update_password="always", verify_parallel=number, timeout=0.6))
    one, four = results
    assert [found["username"] for found in four["rotations"]] == list(NAMES)
    assert [found["verified"] for found in four["rotations"]] == [name in ("ann", "cyd", "gus") for name in NAMES]
    assert all(found["changed"] for found in four["rotations"])
    shown = [steps["prepared"] for steps in four["diff"] if "prepared" in steps]
    assert shown[0].count("verify: ") == 7 and _told(one) == _told(four)


def test_a_service_that_falls_silent_is_not_asked_for_everybody(call: Caller) -> None:
    users = wanted(call, [f"user-{number}" for number in range(30)])
    call.rest.faults.add(Fault("whoami", times=99, drop="before"))
    result = call(users=users, update_password="always", verify_parallel=4)
    assert {found["error_code"] for found in result["rotations"]} == {"unknown_outcome"}
    assert len(call.rest.journal.labels("whoami")) <= 8


@pytest.mark.parametrize("cookies", [True, False])
def test_cookies_stay_with_their_user(ask: Caller, odd: OddSandbox, *, cookies: bool) -> None:
    """The service takes a hidden field only with the cookie that it came with."""
    users = wanted(ask)

    def proof(request: Request) -> bool:
        return (request.method, request.path) == ("POST", "/form") and odd.admin_password.encode() not in request.body

    Overlap(odd, proof, meeting=4)
    verify = {**FORM["verify"], "cookies": cookies}
    result = ask(users=users, update_password="always", verify_parallel=4, **{**FORM, "verify": verify})
    assert [found["verified"] for found in result["rotations"]] == [cookies] * len(NAMES)
    logins = [request for request in odd.requests if (request.method, request.path) == ("POST", "/form")]
    sent = [request.headers.get("Cookie") for request in logins[1:]]
    assert len(set(sent)) == (len(NAMES) if cookies else 1) and len(logins) == 1 + len(NAMES)
    assert all(cookie is None for cookie in sent) is not cookies


def test_roll_backs_are_made_one_by_one(ask: Caller, odd: OddSandbox) -> None:
    """The administrator's session is one, and each roll-back looks up the revision that guards its own change."""
    users = [{**user, "old_password": ask.old} for user in wanted(ask)]
    odd.faults.add(Fault("GET /whoami", times=99, response=Response(401)))
    # Each waits a little for another one.
    seen = Overlap(odd, lambda request: request.path.startswith("/doc"), meeting=2, patience=0.02)
    options = {**DOC, "verify": {**WHOAMI, "attempts": 2, "delay": 0}}
    result = ask(users=users, rollback="old_password", update_password="always", verify_parallel=4, **options)
    assert [found.get("rolled_back") for found in result["rotations"]] == [True] * len(NAMES), result
    assert all(odd.accepts(name, ask.old) for name in NAMES) and seen.most == 1


def test_the_administrator_is_proved_when_all_others_are(call: Caller) -> None:
    users = wanted(call, [call.rest.admin, *NAMES])
    result = call(users=users, update_password="always", verify_parallel=4)
    assert all(found["verified"] for found in result["rotations"])
    assert call.asked[-2:] == [f"change {call.rest.admin}", f"whoami {call.rest.admin}"]
    assert result["rotations"][0]["username"] == call.rest.admin


def test_the_control_comes_before_and_once(call: Caller) -> None:
    users = wanted(call)
    for user in users:
        call.rest.user(user["username"]).password = user["password"]
    result = call(users=users, verify_parallel=4)
    assert not result["changed"] and all(found["verified"] for found in result["rotations"])
    assert call.rest.logins == [("ann", True), ("ann", False), *((name, True) for name in NAMES[1:])]


def test_what_a_service_quotes_is_hidden_whoever_is_asked_at_the_same_time(call: Caller) -> None:
    """Each rejection quotes the secrets of all."""
    users = wanted(call)
    quoted = [user["password"] for user in users]
    basic = [base64.b64encode(f"{user['username']}:{user['password']}".encode()).decode() for user in users]
    answer = Response(401, json.dumps({"error": " ".join(["sorry", *quoted, *basic])}).encode())
    call.rest.faults.add(Fault("whoami", times=99, response=answer))
    result = call(users=users, update_password="always", verify_parallel=8)
    assert [found["error_code"] for found in result["rotations"]] == ["verify_failed"] * len(NAMES)
    assert leaks(_told(result), *quoted, *basic) == []
