# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes over the wire, and what comes back and is shown to nobody."""

from __future__ import annotations

import base64
import json
import re
import secrets
import urllib.parse
from pathlib import Path

import pytest

from tests.leaks import leaks
from tests.sandbox.keeper.tls import server_context
from tests.sandbox.rest import RestSandbox
from tests.sandbox.server import Fault, LoopbackServer, Request, Response
from tests.unit.plugins.module_utils._rest.conftest import AUTH, Caller, failed

REDIRECTS = (301, 302, 303, 307, 308)


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("step", ["POST /login", "POST /oauth/token", "users", "change", "whoami"])
def test_nothing_follows_a_redirect(call: Caller, step: str, status: int) -> None:
    """No header, body or key reaches the target."""
    with RestSandbox() as target:
        call.rest.faults.add(Fault(step, response=Response(status, headers={"Location": f"{target.url}/login"})))
        auth = AUTH["oauth"] if "oauth" in step else call.options["auth"]
        failed(call(auth=auth), "unreachable" if step == "whoami" else "refused")
        assert target.requests == [] and target.journal.labels() == []


def test_a_redirect_may_be_listed(call: Caller) -> None:
    user = call.rest.user("alice")
    answer = Response(303, headers={"Location": "http://127.0.0.1:9/"})
    call.rest.faults.add(Fault("change", response=answer, after=lambda: setattr(user, "password", call.new)))
    assert call(change=call.step("change", status=[303]))["verified"]


def echoed(text: str) -> list[str]:
    """How the text may look in an answer that echoes it."""
    raw = base64.b64encode(text.encode()).decode()
    return [text, json.dumps(text)[1:-1], urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text), raw]


@pytest.mark.parametrize("password", ['p"ä/ß+ &%\\1', "short", 'q"/é', "Aa1-" + "x" * 400])
def test_a_service_that_echoes_everything(call: Caller, password: str) -> None:
    """The text that fail_if picks is shown without secrets, in any spelling, and cut only then."""
    # The base64 of "bob:" and a short password holds no base64 of the password alone.
    call.rest.add_user("bob", call.old)
    sent: list[str] = []

    def echo(request: Request) -> Response:
        sent[:] = [sent_before.headers["Authorization"] for sent_before in call.rest.requests[:1]]
        sent.append(request.headers["Authorization"])
        told = [password, call.old, call.rest.admin_password, call.rest.token, request.headers["Authorization"]]
        basic = base64.b64encode(f"bob:{password}".encode()).decode()
        # What is only known from what was sent comes first, where nothing can be cut off.
        words = [basic, f"Basic {basic}", *(word for text in told for word in echoed(text))]
        return Response(200, json.dumps({"error": "sorry " + "\n".join(words) + " end"}).encode())

    arrive = call.rest.respond
    call.rest.respond = lambda request: echo(request) if request.method == "PUT" else arrive(request)  # type: ignore[method-assign]
    change = call.step("change", status=[200], fail_if="error")
    result = call(username="bob", password=password, old_password=call.old, change=change)
    found = failed(result, "refused", text="sorry")
    hidden = [password, call.old, call.rest.admin_password, call.rest.token, *sent, sent[0].removeprefix("Basic ")]
    assert leaks(json.dumps(result), *hidden) == leaks(found["msg"], *hidden) == []
    assert len(re.sub(r"^.*?says no: |\. Nothing was changed\.$", "", found["msg"])) <= 300


def test_no_part_of_an_answer_is_returned(call: Caller) -> None:
    word = secrets.token_urlsafe(12)
    for step in ("POST /login", "users", "change", "whoami"):
        for status in (200, 204, 301, 400, 401, 403, 404, 409, 500):
            call.rest.faults.clear()
            body = json.dumps({"note": word, word: word, "detail": {"x": word}, "errors": []}).encode()
            headers = {"X-Error": word, "Location": f"/{word}"}
            call.rest.faults.add(Fault(step, times=9, response=Response(status, body, headers)))
            assert word not in json.dumps(call(password=secrets.token_urlsafe(9), max_retries=0))


def test_a_certificate_that_does_not_verify(call: Caller, waits: list[float], tmp_path: Path) -> None:
    context, authority = server_context(tmp_path)
    with LoopbackServer(call.rest, tls=context) as server:
        url = f"https://{server.host}:{server.port}"
        failed(call(url=url, verify=None), "unreachable", text="certificate")
        assert waits == [] and server.journal.labels() == []
        result = call(url=url, ca_path=str(authority))
        assert result["verified"], result


def test_an_answer_of_a_server_that_is_none(call: Caller, waits: list[float]) -> None:
    with LoopbackServer(call.rest) as other:
        other.faults.add(Fault("", times=9, drop="after"))
        url = f"http://{other.host}:{other.port}"
        assert failed(call(url=url), "unreachable")["retry_safe"]
