# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Events as pure data, and a receiver that behaves in every way but the right one."""

from __future__ import annotations

import collections
import datetime as dt
import itertools
import json
import time
import typing as t
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _events
from tests.sandbox.server import Fault, LoopbackServer, Request, Response

SCHEMA = json.loads((Path(__file__).resolve().parents[4] / "docs" / "events.schema.json").read_text("utf-8"))
NOW = dt.datetime(2026, 5, 1, 12, 0, 0, tzinfo=dt.UTC)
ABOUT = {"run_id": "0123456789abcdef", "kind": "snowflake_user_keypair", "host": "prod", "account": None}
BUDGET = 0.6
_ALWAYS = 1_000_000


def outcome(name: str, **fields: t.Any) -> dict[str, t.Any]:
    return {"record": f"Record {name}", "record_uid": f"uid{name}", "outcome": "rotated", **fields}


def types(outcomes: t.Sequence[dict[str, t.Any]]) -> list[str]:
    made = _events.events(outcomes, ABOUT, NOW)
    for event in made:
        jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(event)
        assert event["data"].keys() == SCHEMA["properties"]["data"]["properties"].keys()
    return [f"{event['type'].removeprefix('io.github.keyturn.credentials.')} {event['subject']}" for event in made]


def test_what_wants_attention_comes_first_and_what_did_not_happen_never() -> None:
    outcomes = [
        outcome("A"),
        outcome("B", outcome="not_due"),
        outcome("C", outcome="not_due", retired="SHA256:x", retired_kind="key"),
        outcome("D", outcome="waiting", waiting="its window"),
        outcome("E", outcome="failed", record_uid=None, error_code="refused", msg="It said no.", retry_safe=False),
        outcome("F", outcome="recovered", verified=False),
        outcome("G", outcome="failed"),
    ]
    assert types(outcomes) == [
        *("failed Record E", "failed uidG", "recovered uidF", "rotated uidA", "retired uidC"),
    ]


def test_a_run_of_which_nothing_is_known_has_failed_for_each_record() -> None:
    failure = {"msg": "Keeper says no.", "error_code": "auth_failed"}
    unknown = _events.unknown(["A", "B"], {**failure, "failed": True})
    assert types(unknown) == ["failed A", "failed B"]
    assert [each["msg"] for each in unknown] == [failure["msg"]] * 2
    assert "its output says why" in _events.unknown(["A"], {})[0]["msg"]


def test_the_signature_is_that_of_rfc_4231() -> None:
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert _events.signature("Jefe", b"what do ya want for nothing?") == f"sha256={digest}"


class Receiver:
    """Answers with one status after the other, and keeps the bodies."""

    def __init__(self) -> None:
        self.statuses: t.Iterator[int] = itertools.repeat(200)
        self.bodies: list[bytes] = []

    def label(self, request: Request) -> str:
        return f"{request.method} {request.path}"

    def respond(self, request: Request) -> Response:
        self.bodies.append(request.body)
        return Response(next(self.statuses), b"", {"Location": "/elsewhere"})


@pytest.fixture
def receiver() -> t.Iterator[tuple[Receiver, LoopbackServer]]:
    service = Receiver()
    with LoopbackServer(service) as server:
        yield service, server


def deliver(server: LoopbackServer, number: int = 3) -> tuple[_events.Lost, float]:
    told = _events.events([outcome(str(each)) for each in range(number)], ABOUT, NOW)
    began = time.monotonic()
    lost = _events.deliver(f"http://{server.host}:{server.port}/hook", None, told, BUDGET)
    return lost, time.monotonic() - began


def test_all_is_delivered_once_over_one_connection(receiver: tuple[Receiver, LoopbackServer]) -> None:
    lost, _took = deliver(receiver[1])
    assert lost == _events.Lost(collections.Counter()) and len(receiver[0].bodies) == 3
    assert len({json.loads(body)["id"] for body in receiver[0].bodies}) == 3


@pytest.mark.parametrize("status", [302, 307, 404, 429, 500, 503])
def test_an_answer_that_is_no_yes_is_neither_followed_nor_repeated(
    receiver: tuple[Receiver, LoopbackServer], status: int
) -> None:
    service, server = receiver
    service.statuses = iter((status, 204, status))
    lost, took = deliver(server)
    assert lost.told() == f"2 events were not delivered: the receiver answered {status}." and not lost.silent
    assert server.journal.labels() == ["POST /hook"] * 3 and took < BUDGET


@pytest.mark.parametrize(
    ("fault", "silent", "told"),
    [
        (Fault("", times=_ALWAYS, hang="before"), True, "3 events were not delivered: no answer within 0.6 s"),
        (Fault("", skip=1, times=_ALWAYS, hang="before"), False, "2 events were not delivered: no answer within 0.6 s"),
        (Fault("", times=_ALWAYS, delay=0.4), False, "2 events were not delivered: no answer within 0.6 s"),
        (Fault("", times=_ALWAYS, drop="before"), False, "3 events were not delivered: the connection broke"),
    ],
    ids=["hangs", "hangs later", "is slow", "closes"],
)
def test_the_time_for_all_is_bounded(
    receiver: tuple[Receiver, LoopbackServer], fault: Fault, silent: bool, told: str
) -> None:
    server = receiver[1]
    server.faults.add(fault)
    lost, took = deliver(server)
    assert lost.told() == f"{told} ({server.host}:{server.port})." and lost.silent == silent
    assert took < BUDGET + 0.5


def test_nobody_there_and_no_such_address() -> None:
    with LoopbackServer(Receiver()) as server:
        pass
    lost, _took = deliver(server, 1)
    assert lost.told() == f"1 event was not delivered: no connection ({server.host}:{server.port})."
    for url in ("http://events.example.com/hook", "https://user:pw@events.example.com", "ftp://x", "https://x/?sig=1"):
        with pytest.raises(InvalidInput, match="^keyturn_events_url ") as refused:
            _events.deliver(url, None, [])
        assert "pw" not in refused.value.msg and "sig" not in refused.value.msg
