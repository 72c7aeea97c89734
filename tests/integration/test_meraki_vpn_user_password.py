# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module meraki_vpn_user_password against the sandbox.

First what only the front door shows, through real ansible-playbook; then, in process and much cheaper, what the module
makes of every user, every input and every fault of the service; last the bugs of others, a test for each.
"""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import json
import secrets
import socket
import time
import typing as t
import urllib.parse

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.meraki_vpn_user_password import SPEC, run
from tests.integration.conftest import fresh_password
from tests.integration.support import Ansible, Call, call_logic
from tests.leaks import leaks, leaks_below
from tests.sandbox.meraki import Authorization, MerakiSandbox, User
from tests.sandbox.server import Fault, LoopbackServer, Request, Response

MODULE = "meraki_vpn_user_password"
ANN = "ann@example.com"
Answer = dict[str, t.Any]


@pytest.fixture
def key() -> str:
    return secrets.token_hex(20)


@pytest.fixture
def dashboard(meraki: MerakiSandbox, key: str) -> MerakiSandbox:
    """With a full key, a key for reading, and Ann."""
    meraki.add_key(key)
    meraki.add_key(f"read{key}", "read")
    meraki.add_user(meraki.network.id, ANN, fresh_password(), name="Ann")
    return meraki


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited, pacing aside."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: waited.append(seconds) if seconds > 0.01 else None)
    return waited


Module = t.Callable[..., Answer]


@pytest.fixture
def module(dashboard: MerakiSandbox, key: str) -> Module:
    """The module's answer, in process. Without options, Ann gets a new password."""

    def call(*, check_mode: bool = False, **options: t.Any) -> Answer:
        given = {**dashboard.settings(key), "requests_per_second": 1000, "timeout": 5, **options}
        if not {"users", "email"} & given.keys():
            given["email"] = ANN
        if "email" in given and "password" not in given:
            given["password"] = fresh_password()
        return call_logic(SPEC, run, check_mode=check_mode, **given)

    return call


def pages(*emails: str) -> list[Answer]:
    return [{"email": each, "password": fresh_password()} for each in emails]


def untouched(dashboard: MerakiSandbox) -> bool:
    return all(user.sets == 0 for user in dashboard.network.users.values()) and dashboard.writes == []


class Recorder:
    """Another host: answers everything with 200, and remembers what came."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def label(self, request: Request) -> str:
        return request.method

    def respond(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, b"{}")


# -- through the front door


def test_through_ansible(dashboard: MerakiSandbox, key: str, ansible: Ansible) -> None:
    """One play with every kind of outcome: what is returned, what is shown at -vvvv, and what is left on the disk."""
    dashboard.quotes_password = True
    dashboard.add_user(dashboard.network.id, "bob@example.com", fresh_password())
    dashboard.add_user(dashboard.network.id, "root@example.com", fresh_password(), is_admin=True)
    new, second, other = fresh_password(), f"{{{{ 7*7 }}}} '\"\\ {fresh_password()}", fresh_password()
    short = secrets.token_hex(3)
    settings = dashboard.settings(key)
    keyless = {name: value for name, value in settings.items() if name != "api_key"}
    calls = [
        Call({**settings, "email": ANN.upper(), "password": new}, keywords={"check_mode": True, "diff": True}),
        Call({**settings, "email": ANN, "password": new}, keywords={"diff": True}),
        Call({**settings, "email": ANN, "password": new, "old_password": new}),
        Call({**settings, "email": ANN, "password": new, "old_password": new, "update_password": "always"}),
        Call({**keyless, "email": ANN, "password": second}),
        # The option wins over the environment.
        Call({**settings, "api_key": f"read{key}", "email": ANN, "password": new}),
        Call({**keyless, "email": ANN, "password": new}, {"MERAKI_DASHBOARD_API_KEY": ""}),
        Call({**settings, "email": ANN, "password": short}),
        Call(
            {
                **settings,
                "users": [
                    {"email": "root@example.com", "password": other},
                    {"email": "bob@example.com", "password": other},
                    {"email": "nobody@example.com", "password": other},
                ],
            }
        ),
    ]
    run = ansible.calls(MODULE, calls, "-vvvv", "--diff", MERAKI_DASHBOARD_API_KEY=key)
    foreseen, changed, same, again, templated, reader, without, refused, mixed = run.answers
    assert foreseen["changed"] and foreseen["verify_skipped_reason"] == "check_mode" and not foreseen["verified"]
    assert foreseen["diff"]["after"]["password"] == "would change"
    assert changed["changed"] and not changed["verified"] and changed["verify_skipped_reason"] == "write_only"
    assert changed["diff"]["after"]["password"] == "changed" and changed["network_id"] == dashboard.network.id
    assert changed["user"] == {
        "id": dashboard.user(ANN).id,
        "email": ANN,
        "name": "Ann",
        "account_type": "Client VPN",
        "is_admin": False,
        "authorized": True,
        "expires_at": None,
    }
    assert (same["changed"], same["verify_skipped_reason"], again["changed"]) == (False, "write_only", True)
    assert templated["changed"] and dashboard.accepts(ANN, second) and dashboard.user(ANN).sets == 3
    assert (reader["error_code"], reader["retry_safe"]) == ("not_permitted", False)
    assert without["error_code"] == "invalid_input" and "api_key" in without["msg"]
    assert refused["error_code"] == "refused" and refused["refusal_code"] == 400 and not refused["changed"]
    assert [entry.get("error_code") for entry in mixed["rotations"]] == ["refused", None, "not_found"]
    assert mixed["changed"] and mixed["failed"] and "error_code" not in mixed
    assert "2 of 3 users failed" in mixed["msg"] and dashboard.accepts("bob@example.com", other)
    hidden = [new, second, other, key, dashboard.user("root@example.com").password]
    assert leaks(run.output, *hidden) == [] and f"'{short}'" not in run.output
    assert leaks_below(ansible.home, *hidden) == []


def test_a_failure_fails_the_play(dashboard: MerakiSandbox, key: str, ansible: Ansible) -> None:
    """Bugs of Keeper's sample: it ends with 0 when Meraki refuses or limits the rate, and prints the answer's text.

    In the answer there is the password, and here it is in yet other forms.
    """
    password = fresh_password()
    echo = {"errors": [f"{password} {password[::-1]} {base64.b64encode(password.encode()).decode()} {password[5:25]}"]}
    body = json.dumps(echo).encode()
    for status, headers in ((400, {}), (429, {"Retry-After": "3600"})):
        dashboard.faults.add(Fault("^PUT", response=Response(status, body, headers)))
        options = {**dashboard.settings(key), "email": ANN, "password": password}
        task = {"name": "Set", f"keyturn.credentials.{MODULE}": {name: f"{{{{ {name} }}}}" for name in options}}
        done = ansible.run([ansible.play(task)], options, "-vvvv")
        assert done.returncode == 2, done.output
        assert ("refused" if status == 400 else "rate_limited") in done.output
        assert leaks(done.output, password, key) == []


# -- which user


def test_one_list_serves_many_users(dashboard: MerakiSandbox, module: Module) -> None:
    emails = [f"user{number}@example.com" for number in range(30)]
    dashboard.rate = None
    for each in emails:
        dashboard.add_user(dashboard.network.id, each, fresh_password())
    users = pages(*emails)
    answer = module(users=users)
    assert answer["changed"] and not answer["failed"] and len(answer["rotations"]) == 30
    assert [entry["email"] for entry in answer["rotations"]] == emails
    assert dashboard.journal.labels() == ["GET N_24329156", *[f"PUT N_24329156 {each}" for each in emails]]
    assert all(dashboard.accepts(user["email"], user["password"]) for user in users)
    assert set(dashboard.authentications) == {"Authorization"}
    # Nothing but the password is sent.
    assert all(list(body) == ["password"] for _method, _path, body in dashboard.writes)


def test_emailing_is_only_on_request(dashboard: MerakiSandbox, module: Module) -> None:
    assert module(email_password_to_user=True)["changed"]
    assert [body.keys() for _m, _p, body in dashboard.writes] == [{"password", "emailPasswordToUser"}]


def user_that_is(kind: str, dashboard: MerakiSandbox) -> User:
    user, now = dashboard.user(ANN), dt.datetime.now(dt.UTC)
    if kind == "absent":
        dashboard.network.users.clear()
    elif kind == "twice":
        dashboard.add_user(dashboard.network.id, "ANN@example.com", fresh_password())
    elif kind == "of another type":
        user.account_type = "802.1X"
    elif kind == "administrator":
        user.is_admin = True
    elif kind == "not authorized":
        user.authorizations = []
    elif kind == "expired":
        user.authorizations = [Authorization(expires=now - dt.timedelta(seconds=5))]
    elif kind == "ends in the future":
        user.authorizations = [Authorization(expires=now + dt.timedelta(hours=1))]
    elif kind == "never":
        dashboard.never_as_text = True
    return user


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("absent", "not_found"),
        ("twice", "ambiguous"),
        ("of another type", "not_found"),
        ("administrator", "refused"),
        ("not authorized", "not_permitted"),
        ("expired", "not_permitted"),
        ("ends in the future", None),
        ("never", None),
    ],
)
def test_users(dashboard: MerakiSandbox, module: Module, kind: str, code: str | None, check_mode: bool) -> None:
    user = user_that_is(kind, dashboard)
    answer = module(check_mode=check_mode, update_password="always")
    assert answer.get("error_code") == code and answer["failed"] == bool(code)
    assert answer["changed"] == (code is None)
    assert user.sets == (0 if code or check_mode else 1)
    assert not code or (untouched(dashboard) and ANN in answer["msg"] and answer["retry_safe"] is False)
    assert ("expired at" in answer.get("msg", "")) is (kind == "expired")


def test_without_authorization_on_request(dashboard: MerakiSandbox, module: Module) -> None:
    user = user_that_is("expired", dashboard)
    answer = module(require_authorized=False)
    assert answer["changed"] and user.sets == 1 and answer["user"]["authorized"] is False


def test_an_absent_user_fails_even_if_unchanged(dashboard: MerakiSandbox, module: Module) -> None:
    password = fresh_password()
    assert module(email="nobody@example.com", password=password, old_password=password)["error_code"] == "not_found"
    answer = module(password=password, old_password=password)
    assert (answer["changed"], answer["failed"], answer["verified"]) == (False, False, False)
    assert untouched(dashboard)


def test_a_list_with_failures(dashboard: MerakiSandbox, module: Module) -> None:
    dashboard.add_user(dashboard.network.id, "bob@example.com", fresh_password())
    users = pages("nobody@example.com", "bob@example.com", ANN)
    answer = module(users=users)
    assert [entry["failed"] for entry in answer["rotations"]] == [True, False, False]
    assert answer["changed"] and answer["error_code"] == "not_found" and dashboard.accepts(ANN, users[2]["password"])


def test_one_user_twice_with_one_password(dashboard: MerakiSandbox, module: Module) -> None:
    password = fresh_password()
    answer = module(users=[{"email": ANN, "password": password}, {"email": ANN.upper(), "password": password}])
    assert [entry["changed"] for entry in answer["rotations"]] == [True, False] and dashboard.user(ANN).sets == 1


# -- bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"password": ""}, "empty"),
        ({"password": "two\nlines-of-text"}, "line end"),
        ({"password": "a NUL \0 inside"}, "NUL"),
        ({"password": "half \ud83d a character"}, "half a character"),
        ({"email": " "}, "email is empty"),
        ({"users": []}, "users is empty"),
        ({"users": [{"email": ANN, "password": "one"}, {"email": ANN.upper(), "password": "two"}]}, "named 2 times"),
        ({"api_key": ""}, "api_key is empty"),
        ({"api_key": "with a\nline end"}, "api_key"),
        ({"api_key": "käse"}, "api_key"),
        ({"network_id": "N_1/merakiAuthUsers"}, "network_id"),
        ({"network_id": "../organizations"}, "network_id"),
        ({"network_id": "Main Office"}, "network_id"),
        ({"network_id": ""}, "network_id"),
        ({"api_url": "http://api.meraki.com/api/v1"}, "api_url"),
        ({"api_url": "https://user@api.meraki.com"}, "api_url"),
        ({"api_url": "api.meraki.com"}, "api_url"),
        ({"requests_per_second": 0}, "requests_per_second"),
        ({"timeout": 0}, "timeout"),
        ({"ca_path": "/nonexistent.pem"}, "ca_path"),
    ],
    ids=str,
)
def test_bad_input_is_refused_before_anything_is_written(
    dashboard: MerakiSandbox, module: Module, options: Answer, words: str
) -> None:
    try:
        answer = module(**options)
    except InvalidInput as error:  # what belongs to no user
        answer = {"error_code": error.error_code, "msg": error.msg}
    assert answer["error_code"] == "invalid_input"
    texts = [answer["msg"], *[entry["msg"] for entry in answer.get("rotations", [])]]
    assert any(words in text for text in texts)
    assert dashboard.journal.labels("^PUT") == []


@pytest.mark.parametrize("ending", ["", "/", "/api/v1", "/api/v1/", "/api", "/api/", "/API/V1"])
def test_spellings_of_the_address(dashboard: MerakiSandbox, module: Module, ending: str) -> None:
    assert module(api_url=f"http://{dashboard.host}:{dashboard.port}{ending}")["changed"]


@pytest.mark.parametrize("ending", ["/api/v0", "/API/V2/"])
def test_another_version_of_the_api_is_named(dashboard: MerakiSandbox, module: Module, ending: str) -> None:
    with pytest.raises(InvalidInput, match=f"ends in {ending.rstrip('/')}"):
        module(api_url=f"http://{dashboard.host}:{dashboard.port}{ending}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_redirect_to_another_host(dashboard: MerakiSandbox, module: Module, method: str, status: int) -> None:
    """Neither key nor password leaves for it."""
    recorder = Recorder()
    with LoopbackServer(recorder) as other:
        target = {"Location": f"http://127.0.0.1:{other.port}/api/v1/x"}
        dashboard.faults.add(Fault(f"^{method}", response=Response(status, headers=target)))
        answer = module()
    assert answer["error_code"] == "refused" and f"redirects ({status})" in answer["msg"]
    assert recorder.requests == [] and untouched(dashboard) and str(other.port) not in answer["msg"]


# -- the list


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"api_key": "0123456789wrong"}, "auth_failed", "wrong, revoked, or of another region"),
        ({"network_id": "N_999"}, "not_found", "another region"),
    ],
)
def test_a_wrong_key_and_a_wrong_network(
    dashboard: MerakiSandbox, module: Module, options: Answer, code: str, words: str
) -> None:
    answer = module(users=pages(ANN, "bob@example.com"), **options)
    assert answer["error_code"] == code and words in answer["msg"] and not answer["retry_safe"]
    assert [entry["error_code"] for entry in answer["rotations"]] == [code] * 2 and untouched(dashboard)
    assert len(dashboard.journal.labels()) == 1 and "0123456789wrong" not in json.dumps(answer)


HTML = Response(200, b"<html><body>Welcome</body></html>", {"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("fault", "code", "requests"),
    [
        (Fault("", response=Response(403)), "not_permitted", 1),
        (Fault("", response=Response(400, b'{"errors": ["Bad"]}')), "refused", 1),
        (Fault("", times=9, response=Response(500)), "unreachable", 3),
        (Fault("", times=9, response=Response(503)), "unreachable", 3),
        (Fault("", times=9, response=Response(429)), "rate_limited", 3),
        (Fault("", times=9, response=Response(429, headers={"Retry-After": "61"})), "rate_limited", 1),
        (Fault("", response=HTML), "unknown_outcome", 1),
        (Fault("", response=Response(200, b'[{"id": "1", "ema')), "unknown_outcome", 1),
        (Fault("", response=Response(200, b'{"id": "1"}')), "unknown_outcome", 1),
        (Fault("", response=Response(204)), "unknown_outcome", 1),
        (Fault("", times=9, drop="before"), "unreachable", 3),
        (Fault("", times=9, hang="before"), "unreachable", 1),
    ],
    ids=lambda value: str(value)[:60],
)
def test_faults_of_the_list(
    dashboard: MerakiSandbox, module: Module, waits: list[float], fault: Fault, code: str, requests: int
) -> None:
    dashboard.faults.add(fault)
    answer = module(max_retries=2, timeout=1)
    assert answer["error_code"] == code and untouched(dashboard)
    assert len(dashboard.journal.labels()) == requests


def test_a_list_of_fifty_thousand_users(dashboard: MerakiSandbox, module: Module) -> None:
    """As many as an organization may have."""
    for number in range(50_000):
        dashboard.network.users[str(number)] = User(str(number), f"user{number}@example.com", "User", "password")
    assert module(timeout=60)["changed"]


def test_an_endless_list(dashboard: MerakiSandbox, module: Module) -> None:
    dashboard.faults.add(Fault("", response=Response(200, b"[" + b" " * (33 << 20))))
    assert module(timeout=60)["error_code"] == "unknown_outcome"


def test_nobody_there(dashboard: MerakiSandbox, module: Module, waits: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        answer = module(api_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert answer["error_code"] == "unreachable" and answer["retry_safe"]


# -- the write


def told(user: User, **fields: t.Any) -> bytes:
    return json.dumps({"id": user.id, "email": user.email, **fields}).encode()


@pytest.mark.parametrize(
    ("status", "body", "code", "requests"),
    [
        (400, b'{"errors": ["Password is too simple"]}', "refused", 1),
        (400, b"<html>", "refused", 1),
        (422, b"{}", "refused", 1),
        (401, b"", "auth_failed", 1),
        (403, b'{"errors": ["The password is managed elsewhere."]}', "not_permitted", 1),
        (404, b'{"errors": ["No such simple thing"]}', "not_found", 1),
        (429, b"", "rate_limited", 3),
        (500, b"", "unknown_outcome", 3),
        (502, b"<html>", "unknown_outcome", 3),
        (200, b"<html>", "unknown_outcome", 1),
        (200, b"", "unknown_outcome", 1),
        (200, b"[]", "unknown_outcome", 1),
        (200, b'{"id": "another", "email": "ann@example.com"}', "unknown_outcome", 1),
        (204, b"", "unknown_outcome", 1),
        (202, b"{}", "unknown_outcome", 1),
    ],
)
def test_answers_to_the_write(
    dashboard: MerakiSandbox,
    module: Module,
    waits: list[float],
    status: int,
    body: bytes,
    code: str,
    requests: int,
) -> None:
    dashboard.faults.add(Fault("^PUT", times=9, response=Response(status, body)))
    answer = module(max_retries=2)
    assert answer["error_code"] == code and not answer["changed"] and str(status) in answer["msg"]
    assert answer["retry_safe"] == (code in ("rate_limited", "unknown_outcome"))
    assert len(dashboard.journal.labels("^PUT")) == requests
    assert ("may or may not have been changed" in answer["msg"]) == (code == "unknown_outcome")
    assert body[:1] != b"{" or all(text.rstrip(".") in answer["msg"] for text in json.loads(body).get("errors", []))
    assert ".." not in answer["msg"]


@pytest.mark.parametrize("kind", ["id", "email", "both"])
def test_a_200_counts_only_for_the_same_user(dashboard: MerakiSandbox, module: Module, kind: str) -> None:
    user = dashboard.user(ANN)
    strange = {"id": {"id": "2"}, "email": {"email": "bob@example.com"}, "both": {}}[kind]
    dashboard.faults.add(Fault("^PUT", response=Response(200, told(user, **strange))))
    assert module().get("error_code") == (None if kind == "both" else "unknown_outcome")


@pytest.mark.parametrize("how", ["drop", "hang"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_lost_answer_is_asked_for_again(
    dashboard: MerakiSandbox, module: Module, waits: list[float], how: str, side: t.Literal["before", "after"]
) -> None:
    """The same value again does no harm."""
    dashboard.faults.add(Fault("^PUT", **{how: side}))  # type: ignore[arg-type]
    answer = module(timeout=3)
    assert answer["changed"] and not answer["failed"]
    bodies = [json.dumps(body) for _method, _path, body in dashboard.writes]
    assert len(set(bodies)) == 1 and len(dashboard.journal.labels("^PUT")) == 2


def test_answers_that_never_come(dashboard: MerakiSandbox, module: Module, waits: list[float]) -> None:
    dashboard.faults.add(Fault("^PUT", times=9, drop="after"))
    answer = module(max_retries=2)
    assert answer["error_code"] == "unknown_outcome" and answer["retry_safe"] and dashboard.user(ANN).sets == 3


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429])
def test_a_refusal_after_a_lost_answer_is_no_refusal(
    dashboard: MerakiSandbox, module: Module, waits: list[float], status: int
) -> None:
    """The first try may have set the password."""
    dashboard.faults.add(Fault("^PUT", drop="after"))
    dashboard.faults.add(Fault("^PUT", times=9, response=Response(status)))
    answer = module(max_retries=1)
    assert answer["error_code"] == "unknown_outcome" and dashboard.user(ANN).sets == 1


def test_a_service_that_stopped_answering_is_not_asked_for_every_user(
    dashboard: MerakiSandbox, module: Module, waits: list[float]
) -> None:
    dashboard.rate = None
    emails = [f"user{number}@example.com" for number in range(10)]
    for each in emails:
        dashboard.add_user(dashboard.network.id, each, fresh_password())
    for response, first in ((Response(503), "unknown_outcome"), (Response(429), "rate_limited")):
        dashboard.journal.clear()
        dashboard.faults.clear()
        dashboard.faults.add(Fault("^PUT", times=999, response=response))
        answer = module(users=pages(*emails), max_retries=1)
        assert [entry["error_code"] for entry in answer["rotations"]] == [first] * 2 + ["unreachable"] * 8
        assert len(dashboard.journal.labels("^PUT")) == 4


def test_texts_of_the_service_are_scrubbed_and_bounded(dashboard: MerakiSandbox, module: Module, key: str) -> None:
    password = fresh_password()
    for text in (f"No {key}", f"No {password}", f"No {password[3:20]}", f"No {password.upper()}"):
        body = json.dumps({"errors": [text, "x" * 5000, "line\nend\x1b[31m", "fourth"]}).encode()
        dashboard.faults.add(Fault("^PUT", response=Response(400, body)))
        msg = module(password=password)["msg"]
        assert leaks(msg, password, key) == [] and password[5:15] not in msg and password.upper()[5:15] not in msg
        assert len(msg) < 500 and "\n" not in msg and "\x1b" not in msg and "fourth" not in msg


# -- rate limits


def test_retry_after_in_seconds_and_as_a_date(dashboard: MerakiSandbox, module: Module, waits: list[float]) -> None:
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    dashboard.faults.add(Fault("^GET", response=Response(429, headers={"Retry-After": "7"})))
    dashboard.faults.add(Fault("^PUT", response=Response(429, headers={"Retry-After": date})))
    dashboard.faults.add(Fault("^PUT", response=Response(429)))
    assert module()["changed"] and dashboard.user(ANN).sets == 1
    assert waits[0] == 7 and 15 < waits[1] <= 20 and 2 <= waits[2] <= 2.4


def test_no_429_at_the_default_pace(dashboard: MerakiSandbox, key: str) -> None:
    """Against a server that never lets more than 10 in a second, and without its burst."""
    dashboard.burst = False
    emails = [f"user{number}@example.com" for number in range(24)]
    for each in emails:
        dashboard.add_user(dashboard.network.id, each, fresh_password())
    answer = call_logic(SPEC, run, users=pages(*emails), **dashboard.settings(key))
    assert not answer["failed"] and len(dashboard.journal.labels()) == 25
    entries = dashboard.journal.entries()
    assert entries[-1].at - entries[0].at > 22 / 8 * 0.99


@pytest.mark.parametrize("burst", [True, False])
def test_a_pace_beyond_the_limit_ends_well_too(dashboard: MerakiSandbox, module: Module, burst: bool) -> None:
    """With the waits that the server asks for."""
    dashboard.burst = burst
    emails = [f"user{number}@example.com" for number in range(24)]
    for each in emails:
        dashboard.add_user(dashboard.network.id, each, fresh_password())
    users = pages(*emails)
    assert not module(users=users, requests_per_second=1000)["failed"]
    assert all(dashboard.accepts(user["email"], user["password"]) for user in users)
    assert len(dashboard.journal.labels()) > 25


# -- the bugs of others (Keeper's sample script, the collection cisco.meraki), a test for each


def test_bug_null_as_a_password(dashboard: MerakiSandbox, key: str, ansible: Ansible) -> None:
    """Keeper's sample sends ``null`` when the new password is missing, and says "updated successfully"."""
    settings = dashboard.settings(key)
    calls = [
        Call({**settings, "email": ANN}),
        Call({**settings, "email": ANN, "password": None}),
        Call({**settings, "email": ANN, "password": ""}),
        Call({**settings, "users": [{"email": ANN}]}),
    ]
    run = ansible.calls(MODULE, calls)
    assert all(answer["failed"] for answer in run.answers) and untouched(dashboard)


def test_bug_the_email_in_another_case_is_not_found(dashboard: MerakiSandbox, module: Module) -> None:
    """Keeper's sample compares by case."""
    dashboard.user(ANN).email = "Ann@Example.com"
    assert module(email="aNN@exAMPLE.com")["changed"]


def test_bug_a_user_of_another_account_type_is_rotated(dashboard: MerakiSandbox, module: Module) -> None:
    """Keeper's sample takes the first user with the email, here the one of the wireless network."""
    wireless = dashboard.user(ANN)
    wireless.account_type = "802.1X"
    vpn = dashboard.add_user(dashboard.network.id, ANN, fresh_password())
    assert module()["changed"] and (wireless.sets, vpn.sets) == (0, 1)
    assert module(account_type="802.1X")["changed"] and (wireless.sets, vpn.sets) == (1, 1)


def test_what_was_acknowledged_outlives_a_service_that_falls_silent(dashboard: MerakiSandbox, module: Module) -> None:
    for each in ("bob@example.com", "cleo@example.com"):
        dashboard.add_user(dashboard.network.id, each, fresh_password())
    dashboard.faults.add(Fault("^PUT .*(bob|cleo)", times=9, drop="before"))
    ann, *others = module(users=pages(ANN, "bob@example.com", "cleo@example.com"), max_retries=0)["rotations"]
    assert ann["changed"] and not ann["failed"] and ann["in_force"]
    assert [found["error_code"] for found in others] == ["unknown_outcome"] * 2


def test_bug_no_timeout(dashboard: MerakiSandbox, module: Module) -> None:
    """Keeper's sample waits for ever."""
    dashboard.faults.add(Fault("", times=99, hang="before"))
    began = time.monotonic()
    assert module(timeout=1)["error_code"] == "unreachable"
    assert time.monotonic() - began < 30


def test_bug_429_is_not_waited_for(dashboard: MerakiSandbox, module: Module, waits: list[float]) -> None:
    """Keeper's sample gives up, and reports success."""
    dashboard.faults.add(Fault("^PUT", times=2, response=Response(429, headers={"Retry-After": "1"})))
    assert module()["changed"] and waits == [1, 1]


@pytest.mark.parametrize("strange", ["a/b+c==", "../../x", "%2e%2e", "a?b#c", "a b", "ä"])
def test_bug_ids_are_not_quoted(dashboard: MerakiSandbox, module: Module, strange: str) -> None:
    """Base64, of which ids seem to be made, has slashes."""
    user = dashboard.user(ANN)
    del dashboard.network.users[user.id]
    user.id = strange
    dashboard.network.users[strange] = user
    assert module()["changed"] and user.sets == 1
    assert dashboard.writes[0][1].endswith("/merakiAuthUsers/" + urllib.parse.quote(strange, safe=""))


@pytest.mark.parametrize("strange", [".", ".."])
def test_an_id_that_would_leave_the_path(dashboard: MerakiSandbox, module: Module, strange: str) -> None:
    user = dashboard.user(ANN)
    user.id = strange
    assert module()["error_code"] == "refused" and untouched(dashboard)


def test_bug_a_failed_list_is_reported_as_no_user(dashboard: MerakiSandbox, module: Module) -> None:
    """Keeper's sample says "No user found" whatever happened."""
    dashboard.faults.add(Fault("^GET", response=Response(403)))
    answer = module()
    assert answer["error_code"] == "not_permitted" and "Listing the users" in answer["msg"]


def test_bug_the_wrong_one_of_two_namesakes(dashboard: MerakiSandbox, module: Module) -> None:
    """cisco.meraki finds users by name: asked for the second Ann by email, it changed the first one's password."""
    first = dashboard.user(ANN)
    second = dashboard.add_user(dashboard.network.id, "ann2@example.com", fresh_password(), name="Ann")
    assert module(email="ann2@example.com")["changed"] and (first.sets, second.sets) == (0, 1)


def test_bug_an_absent_user_is_created(dashboard: MerakiSandbox, module: Module) -> None:
    """cisco.meraki creates one when only the email is given."""
    assert module(email="new@example.com")["error_code"] == "not_found"
    assert dashboard.journal.labels("POST") == [] and len(dashboard.network.users) == 1


def test_bug_always_changed(dashboard: MerakiSandbox, module: Module) -> None:
    """cisco.meraki compares with a field that the API does not have."""
    password = fresh_password()
    assert module(password=password, old_password=password)["changed"] is False and untouched(dashboard)


def test_bug_no_check_mode(dashboard: MerakiSandbox, module: Module) -> None:
    """cisco.meraki writes in check mode."""
    assert module(check_mode=True)["changed"] and untouched(dashboard)
    assert dashboard.journal.labels() == ["GET N_24329156"]
