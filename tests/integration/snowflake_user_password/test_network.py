# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers that are lost, late or nonsense, at every statement and login."""

from __future__ import annotations

import secrets
import socket
import time
import typing as t

import pytest

from tests.integration.conftest import ADMIN, fresh_password, survives_crashes
from tests.integration.snowflake_user_password.conftest import failed_logins, logins, writes
from tests.integration.support import Decide
from tests.sandbox.server import Fault, Response
from tests.sandbox.snowflake import SnowflakeSandbox

pytestmark = [
    pytest.mark.connector,
    survives_crashes,
    # Of the threads in which calls are left behind that have no bound of their own.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.mark.parametrize("where", ["refused", "no such host", "no such account", "forbidden", "no Snowflake", "broken"])
def test_an_account_that_cannot_be_reached(snowflake: SnowflakeSandbox, decide: Decide, old: str, where: str) -> None:
    options: dict[str, t.Any] = {"login_timeout": 2}
    responses = {
        "no such account": Response(404, b"Not Found", {"Content-Type": "text/html"}),
        "forbidden": Response(403, b"Forbidden", {"Content-Type": "text/html"}),
        "no Snowflake": Response(200, b"<html>Welcome to the hotel</html>", {"Content-Type": "text/html"}),
        "broken": Response(503, b"", {}),
    }
    if where == "refused":
        with socket.create_server(("127.0.0.1", 0)) as closed:
            options["login_port"] = closed.getsockname()[1]
    elif where == "no such host":
        options.update(login_host="no-such-host.invalid", login_protocol="https")
    else:
        snowflake.faults.add(Fault("^login", times=999, response=responses[where]))
    begun = time.monotonic()
    answer = decide(users=[{"name": f"u{n}", "password": fresh_password()} for n in range(3)], **options)
    assert time.monotonic() - begun < 5
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("unreachable", False, True)
    assert [entry["error_code"] for entry in answer["rotations"]] == ["unreachable"] * 3


def _always(status: int, body: bytes = b"") -> t.Callable[[], Fault]:
    return lambda: Fault("SET PASSWORD", times=99, response=Response(status, body, {"Content-Type": "text/html"}))


# How the answer to the ALTER is lost: the fault, and whether Snowflake has taken the password by then.
LOST: dict[str, tuple[t.Callable[[], Fault], bool | None]] = {
    "request dropped once": (lambda: Fault("SET PASSWORD", drop="before"), None),
    "request dropped": (lambda: Fault("SET PASSWORD", times=99, drop="before"), False),
    "request hangs": (lambda: Fault("SET PASSWORD", times=99, hang="before"), False),
    "503 for request": (_always(503), False),
    "403 for request": (_always(403), False),
    "no JSON for request": (_always(200, b"<html>"), False),
    "cancelled": (
        lambda: Fault("SET PASSWORD", response=SnowflakeSandbox.statement_failure(604, "Query was canceled.")),
        False,
    ),
    "answer dropped once": (lambda: Fault("SET PASSWORD", drop="after"), True),
    "answer dropped": (lambda: Fault("SET PASSWORD", times=99, drop="after"), True),
    "answer hangs": (lambda: Fault("SET PASSWORD", times=99, hang="after"), True),
    "503 for answer": (_always(503), True),
    "no JSON for answer": (_always(200, b"<html>"), True),
}

# What the connector sends again until the bound; 4.x repeats more than 5.x.
UNDER_WAY = ("request dropped", "request hangs", "503 for request", "403 for request", "no JSON for request")


@pytest.mark.parametrize("dedup", [True, False], ids=["dedup", "no-dedup"])
@pytest.mark.parametrize("mode", ["if_different", "always"])
@pytest.mark.parametrize("times", ["times", "no-times"])
@pytest.mark.parametrize("case", LOST)
def test_a_lost_answer_is_decided(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, case: str, mode: str, dedup: bool, times: str
) -> None:
    """With and without PASSWORD_LAST_SET_TIME to read, and whether or not Snowflake knows a repeated request."""
    make, taken = LOST[case]
    snowflake.account.request_id_dedup = dedup
    if times == "no-times":
        snowflake.account.desc_omits = {"PASSWORD_LAST_SET_TIME"}
    wanted, fault, user = fresh_password(), make(), snowflake.user("ETL")

    def take() -> None:
        """A proxy that garbles the answer: by then the statement has run."""
        user.password, user.password_last_set_time = wanted, snowflake.account.clock()

    if fault.response is not None and taken:
        fault.before = take
    snowflake.faults.add(fault)
    # Long enough for the connector's own second attempt, where that is all it takes.
    bound = 4 if case.endswith("once") else 1
    answer = decide(name="etl", password=wanted, update_password=mode, login_timeout=bound)
    applied = user.password == wanted
    assert taken is None or taken is applied
    # What is claimed is so, whatever happened on the way.
    if not answer["failed"]:
        assert (applied, answer["changed"], answer["verified"]) == (True, True, True)
    elif answer["error_code"] == "unreachable":
        assert not applied and not answer["changed"] and answer["retry_safe"]
    else:
        # Open: without a time where the probe has used up the login, and while the connector may still send it.
        assert (answer["error_code"], answer["retry_safe"]) == ("unknown_outcome", True)
        assert (times, mode) == ("no-times", "if_different") or case in UNDER_WAY
    # A second strike only where nothing else can tell: the one login that decides a lost answer.
    assert len(failed_logins(snowflake, "ETL")) <= (2 if (mode, times) == ("if_different", "no-times") else 1)
    assert len(logins(snowflake, "ETL")) <= 2
    assert logins(snowflake, ADMIN) == ["ok"]


def test_a_statement_that_was_given_up_does_not_run_later(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    """A slow statement, or a retry of the connector, must not outlive the verdict that it did not take effect."""
    wanted = fresh_password()
    for number in range(3):
        snowflake.add_user(f"U{number}", password=fresh_password())
    # It begins to run long after the module's bound, unless its session is gone by then.
    snowflake.faults.add(Fault("^ALTER USER ETL", delay=2.5))
    # Slow but healthy users: the run is not over before that.
    snowflake.faults.add(Fault("^login U", times=99, delay=0.8))
    users = [{"name": name, "password": wanted} for name in ("etl", "u0", "u1", "u2")]
    first = decide(users=users, login_timeout=1)["rotations"][0]
    applied = snowflake.user("ETL").password == wanted
    assert (first.get("error_code"), applied) in (("unreachable", False), ("unknown_outcome", True), (None, True))


def test_a_change_that_arrives_between_the_look_and_the_login_is_a_change(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    """The connector repeats an ALTER whose answer does not come: a fresh password that is in force was set here."""
    wanted, user = fresh_password(), snowflake.user("ETL")

    def take() -> None:
        user.password, user.password_last_set_time = wanted, snowflake.account.clock()

    snowflake.faults.add(Fault("^ALTER USER ETL", times=99, hang="before"))
    snowflake.faults.add(Fault("^DESCRIBE USER ETL", skip=1, after=take))
    answer = decide(name="etl", password=wanted, update_password="always", login_timeout=1)
    assert (answer["failed"], answer["changed"], answer["verified"], answer["in_force"]) == (False, True, True, True)


@pytest.mark.parametrize("how", ["hang", "drop", "error"])
def test_a_probe_without_an_answer_stops_before_the_change(
    snowflake: SnowflakeSandbox, decide: Decide, old: str, how: str
) -> None:
    faults = {
        "hang": Fault("^login ETL", times=99, hang="before"),
        "drop": Fault("^login ETL", times=99, drop="after"),
        "error": Fault("^login ETL", times=99, response=Response(500)),
    }
    snowflake.faults.add(faults[how])
    answer = decide(name="etl", password=fresh_password(), login_timeout=1)
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("unreachable", False, True)
    assert writes(snowflake) == [] and snowflake.user("ETL").password == old


def test_a_proof_without_an_answer_says_that_the_password_was_changed(
    snowflake: SnowflakeSandbox, decide: Decide, old: str
) -> None:
    snowflake.faults.add(Fault("^login ETL", skip=1, times=99, hang="before"))
    wanted = fresh_password()
    answer = decide(name="etl", password=wanted, login_timeout=1)
    assert (answer["error_code"], answer["changed"], answer["retry_safe"]) == ("unreachable", True, True)
    assert snowflake.user("ETL").password == wanted


def test_one_users_silence_does_not_stop_the_others(snowflake: SnowflakeSandbox, decide: Decide) -> None:
    wanted = fresh_password()
    for number in range(5):
        snowflake.add_user(f"U{number}", password=fresh_password())
    for number in (1, 3):
        snowflake.faults.add(Fault(f"^login U{number} ", times=99, hang="before"))
    users = [{"name": f"u{number}", "password": wanted} for number in range(5)]
    answer = decide(users=users, login_timeout=1)
    assert [(e["changed"], e.get("error_code")) for e in answer["rotations"]] == [
        (True, None),
        (False, "unreachable"),
        (True, None),
        (False, "unreachable"),
        (True, None),
    ]
    assert [snowflake.accepts(f"U{number}", wanted) for number in range(5)] == [True, False, True, False, True]


def test_when_the_service_stops_answering_the_rest_is_not_attempted_and_nothing_done_is_forgotten(
    snowflake: SnowflakeSandbox, decide: Decide
) -> None:
    wanted = fresh_password()
    for number in range(5):
        snowflake.add_user(f"U{number}", password=fresh_password())
    snowflake.faults.add(Fault("^DESCRIBE USER U[1-4]", times=99, hang="before"))
    answer = decide(users=[{"name": f"u{number}", "password": wanted} for number in range(5)], login_timeout=1)
    first, *others = answer["rotations"]
    assert (first["name"], first["changed"]) == ("u0", True)
    assert [(entry["error_code"], entry["changed"], entry["retry_safe"]) for entry in others] == [
        ("unreachable", False, True)
    ] * 4
    assert snowflake.journal.labels("^DESCRIBE USER U[34]") == []
    assert (answer["failed"], answer["changed"], snowflake.accepts("U0", wanted)) == (True, True, True)


# The requests of one rotation, in order; a list makes all writes first.
REQUESTS = ("login", "describe", "probe", "alter", "time", "proof", "logout of the user", "logout")


@pytest.mark.parametrize("users", [1, 5])
@pytest.mark.parametrize("answered", range(len(REQUESTS)), ids=REQUESTS)
def test_a_service_that_falls_silent_costs_fewer_than_three_timeouts(
    snowflake: SnowflakeSandbox, decide: Decide, answered: int, users: int
) -> None:
    """From this request on nothing is answered any more. Three default timeouts would be the promised minute."""
    for number in range(users):
        snowflake.add_user(f"U{number}", password=fresh_password())
    snowflake.faults.add(Fault("", skip=answered, times=999, hang="before"))
    items = [{"name": f"u{number}", "password": fresh_password()} for number in range(users)]
    begun = time.monotonic()
    answer = decide(users=items, login_timeout=1)
    elapsed = time.monotonic() - begun
    assert all(entry.get("retry_safe", True) for entry in answer["rotations"])
    assert elapsed < 3


def test_no_login_of_a_user_beyond_one_before_and_one_after(snowflake: SnowflakeSandbox, decide: Decide) -> None:
    """Over all modes, with right and wrong passwords, locked and not: never a second strike in one run."""
    for mode in ("if_different", "always"):
        for verify in (True, False):
            for check in (True, False):
                present = fresh_password()
                snowflake.add_user("ETL", password=present)
                for password in (present, fresh_password(), "aa1-weak-" + secrets.token_hex(3)):
                    snowflake.logins.clear()
                    answer = decide(name="etl", password=password, update_password=mode, verify=verify, check=check)
                    assert answer.get("error_code") in (None, "refused")
                    assert len(failed_logins(snowflake, "ETL")) <= 1
                    assert len(logins(snowflake, "ETL")) <= 2
                    assert logins(snowflake, ADMIN) == ["ok"]
    assert snowflake.open_sessions() == 0
