# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A webhook is told what became of each record, signed and without secrets, and can neither break nor delay a run."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import typing as t
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError
from tests.integration.scene import Scene as AnyScene
from tests.integration.scenes import SnowflakeScene as Scene
from tests.integration.support import REPOSITORY, Run, says, variants
from tests.leaks import leaks
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault, LoopbackServer, Request, Response
from tests.sandbox.snowflake import SnowflakeSandbox

Event = dict[str, t.Any]
SCHEMA = json.loads((REPOSITORY / "docs" / "events.schema.json").read_text("utf-8"))
# All events of a run, and what a busy machine adds.
BUDGET, SLACK = 5.0, 2.5
_ALWAYS = 1_000_000
OUTCOMES = ("rotated", "recovered", "due", "not_due", "waiting", "failed")


class Receiver:
    """A webhook that keeps what it gets; its path is its password, as that of many."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.secret, self.path = secrets.token_urlsafe(24), f"/hooks/{secrets.token_urlsafe(18)}"

    def label(self, request: Request) -> str:
        return f"{request.method} {'hook' if request.path == self.path else 'elsewhere'}"

    def respond(self, request: Request) -> Response:
        self.got.append(request)
        return Response(204)

    def events(self) -> list[Event]:
        """What came, each with the right signature."""
        for request in self.got:
            expected = hmac.new(self.secret.encode(), request.body, hashlib.sha256).hexdigest()
            assert request.headers["X-Keyturn-Signature-256"] == f"sha256={expected}"
            assert request.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        return [json.loads(request.body) for request in self.got]


@pytest.fixture
def receiver() -> t.Iterator[tuple[Receiver, LoopbackServer]]:
    service = Receiver()
    with LoopbackServer(service) as server:
        yield service, server
        assert server.errors == []


def telling(scene: AnyScene, receiver: tuple[Receiver, LoopbackServer]) -> None:
    """From now on, its runs have this receiver."""
    service, server = receiver
    plain = scene.variables
    url = f"http://{server.host}:{server.port}{service.path}"

    def variables(**more: t.Any) -> dict[str, t.Any]:
        return {**plain(**more), "keyturn_events_url": url, "keyturn_events_secret": service.secret}

    scene.variables = variables  # type: ignore[method-assign]


def untold(receiver: Receiver, run: Run) -> bool:
    """Whether neither the webhook's path nor its secret is in the output."""
    return leaks(run.output, receiver.secret, receiver.path.removeprefix("/hooks/")) == []


@pytest.fixture
def scene(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> Scene:
    return Scene(tmp_path, snowflake, vault, "A", "B", "C")


def test_one_event_for_each_record_with_which_something_happened(
    scene: Scene, snowflake: SnowflakeSandbox, receiver: tuple[Receiver, LoopbackServer]
) -> None:
    telling(scene, receiver)
    scene.stage("B")
    snowflake.user("C").owner = "ACCOUNTADMIN"
    scene.ansible.environment |= {"ANSIBLE_SHOW_CUSTOM_STATS": "true"}
    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 2 and says(run, "1 rotated, 1 recovered, 0 not due, 1 failed"), run.output
    events = receiver[0].events()
    told = {event["data"]["login"]: event for event in events}
    # What wants attention comes first.
    assert [event["data"]["login"] for event in events] == ["C", "B", "A"]
    for login, event in told.items():
        jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(event)
        assert event["data"].keys() == SCHEMA["properties"]["data"]["properties"].keys()
        assert event["subject"] == event["data"]["record_uid"] == scene.uids[login]
        assert event["data"]["title"] == f"Record of {login}" and event["data"]["host"] == "localhost"
    assert len({event["id"] for event in events}) == 3 and len({event["data"]["run_id"] for event in events}) == 1
    assert {login: event["type"].rpartition(".")[2] for login, event in told.items()} == {
        "A": "rotated",
        "B": "recovered",
        "C": "failed",
    }
    assert told["A"]["data"]["verified"] is told["B"]["data"]["verified"] is True
    failure = told["C"]["data"]
    assert failure["error_code"] in {kind.error_code for kind in RotationError.__subclasses__()} and failure["msg"]
    bodies = "".join(request.body.decode() for request in receiver[0].got)
    assert leaks(run.output + bodies, *scene.secrets()) == [] and untold(receiver[0], run)
    # The run that the account's own log names is the same.
    (tag,) = {tag for _statement, tag in snowflake.tags}
    assert tag == f"keyturn.credentials:snowflake_user_password:{failure['run_id']}"

    # What the next node of a workflow in AWX gets.
    assert json.loads(run.stdout.partition("RUN: ")[2].splitlines()[0]) == {
        **{f"keyturn_{outcome}": int(outcome in ("rotated", "recovered", "failed")) for outcome in OUTCOMES},
        "keyturn_failed_records": [scene.uids["C"]],
    }


# What the receiver does, what the run says of it, and how long that may take.
FAULTS: dict[str, tuple[dict[str, t.Any], str, float]] = {
    "hangs": ({"hang": "before"}, "3 events were not delivered: no answer within 5 s", BUDGET),
    "500": ({"response": Response(500, b"no")}, "3 events were not delivered: the receiver answered 500", 0),
    "closes": ({"drop": "before"}, "3 events were not delivered: the connection broke", 0),
    "is slow": ({"delay": 2.0}, "1 event was not delivered: no answer within 5 s", BUDGET),
}


@pytest.mark.parametrize("does", variants(FAULTS, "hangs"))
def test_no_receiver_breaks_or_delays_a_run(
    scene: Scene,
    receiver: tuple[Receiver, LoopbackServer],
    does: str,
    table: t.Callable[[str], None],
) -> None:
    service, server = receiver
    telling(scene, receiver)
    fault, reason, longest = FAULTS[does]
    server.faults.add(Fault("", times=_ALWAYS, **fault))
    run = scene.run()
    ended = time.monotonic()
    assert run.returncode == 0 and says(run, "3 rotated, 0 recovered, 0 not due, 0 failed"), run.output
    assert says(run, reason) and untold(service, run)
    assert all(scene.settled(name) for name in scene.uids)
    took = ended - server.journal.entries()[0].at
    table(f"a receiver that {does}: {took:.1f} s from the first event to the end of the run")
    assert took <= longest + SLACK


def test_what_is_left_blank_is_as_if_it_was_not_given(scene: Scene) -> None:
    blank = dict.fromkeys(("keyturn_events_url", "keyturn_events_secret", "keyturn_consumers_dir"))
    run = scene.ansible.run(scene.playbook, {**scene.variables(), **blank})
    assert run.returncode == 0 and says(run, "3 rotated, 0 recovered, 0 not due, 0 failed"), run.output


def test_a_run_that_could_not_begin_is_told_for_each_record(
    scene: Scene, receiver: tuple[Receiver, LoopbackServer]
) -> None:
    telling(scene, receiver)
    run = scene.run(admin_record="nobody", records=[scene.uids["A"], "Record of B"])
    assert run.returncode == 2, run.output
    told = [(event["subject"], event["data"]["error_code"]) for event in receiver[0].events()]
    assert told == [(scene.uids["A"], "not_found"), ("Record of B", "not_found")]
    assert "nobody" in receiver[0].events()[0]["data"]["msg"] and untold(receiver[0], run)


def test_what_cannot_be_evaluated_is_told_too(scene: Scene, receiver: tuple[Receiver, LoopbackServer]) -> None:
    """Two accounts in the administrator's record end the run in the middle, and so do they what is told of it."""
    telling(scene, receiver)
    other = {"type": "text", "label": "Snowflake Account Name", "value": ["other"]}
    scene.vault.edit(scene.admin_uid, lambda content: content["custom"].append(other))
    run = scene.run()
    assert run.returncode == 2
    told = receiver[0].events()
    assert [event["data"]["outcome"] for event in told] == ["failed"] * 3
    assert leaks(run.output + json.dumps(told), *scene.secrets()) == []


@pytest.mark.slow
def test_a_receiver_costs_no_request_elsewhere_and_hears_only_of_what_happened(
    scene: Scene, receiver: tuple[Receiver, LoopbackServer]
) -> None:
    run = scene.run()
    assert run.returncode == 0 and "Send what became of each record" not in run.stdout
    # Sorted, because several users are proved at the same time.
    alone = (scene.vault.journal.labels(), sorted(scene.snowflake.journal.labels()))
    telling(scene, receiver)
    assert scene.run(force=True).returncode == 0
    assert (scene.vault.journal.labels(), sorted(scene.snowflake.journal.labels())) == alone
    assert len(receiver[0].events()) == 3
    # What is not due is no event, and in check mode nothing is told.
    assert scene.run().returncode == 0 and scene.run("--check", force=True).returncode == 0
    assert len(receiver[0].events()) == 3
