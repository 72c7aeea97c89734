# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every answer that can get lost while keys are set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import ADMIN, fresh_password, survives_crashes
from tests.integration.keys import pem, print_of, public
from tests.integration.snowflake_user_keypair.conftest import (
    OVER,
    UNDER_WAY,
    WRONG_KEY,
    Answer,
    fill,
    lose,
    proofs,
    slots,
    writes,
)
from tests.integration.support import Decide
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.users import KeyPair

pytestmark = [pytest.mark.connector, survives_crashes]

LOST: list[tuple[str, str]] = [(how, side) for how in ("drop", "hang") for side in ("before", "after")]


@pytest.mark.parametrize(("how", "side"), LOST)
@pytest.mark.parametrize("method", ["slots", "add", "rotate"])
def test_a_lost_answer_is_decided_by_looking(
    etl: SnowflakeSandbox, decide: Decide, how: str, side: str, method: str
) -> None:
    """Whether or not the change took effect, the outcome says so; running again with the same key is always right."""
    fill(etl, "in use", "orphan")
    options: Answer = {"private_key": pem("new"), "current_public_key": public("in use"), "login_timeout": 2}
    if method != "slots":
        options |= {"method": "named", "key_pair_name": "etl"}
    if method == "rotate":
        etl.user("ETL").key_pairs["ETL"] = KeyPair("ETL", public("old"), etl.account.clock(), ADMIN)
    lose(etl, "ALTER USER ETL", how, side)
    answer = decide(**options)
    if side == "after":
        assert answer["changed"] and answer["verified"] and not answer["failed"], answer
    else:
        assert answer["error_code"] in (OVER, UNDER_WAY) and answer["retry_safe"] and not answer["changed"]
        assert not etl.accepts_key("ETL", public("new"))
    assert etl.accepts_key("ETL", public("in use"))
    etl.faults.clear()
    again = decide(**options)
    assert again["verified"] and etl.accepts_key("ETL", public("in use"))
    assert again["changed"] == (side == "before") or answer["error_code"] == UNDER_WAY


@pytest.mark.parametrize(("how", "side"), LOST)
def test_a_lost_answer_to_a_retirement(etl: SnowflakeSandbox, decide: Decide, how: str, side: str) -> None:
    fill(etl, "in use", "new")
    lose(etl, "UNSET", how, side)
    answer = decide(private_key=pem("new"), retire_previous_after="0h", login_timeout=2)
    assert answer["verified"] and answer.get("error_code") in ((OVER, UNDER_WAY) if side == "before" else (None,))
    assert slots(etl) == [print_of("in use") if side == "before" else None, print_of("new")]
    assert answer["changed"] == (side == "after")


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_lost_answer_and_nothing_to_be_seen(etl: SnowflakeSandbox, decide: Decide, side: str) -> None:
    fill(etl, "in use")
    lose(etl, "ALTER USER ETL", "drop", side)
    etl.faults.add(Fault("DESCRIBE USER ETL", skip=1, times=99, drop="before"))
    answer = decide(private_key=pem("new"), login_timeout=2)
    assert answer["error_code"] == "unknown_outcome" and answer["retry_safe"] and not answer["verified"]
    assert print_of("in use") in slots(etl)
    etl.faults.clear()
    assert decide(private_key=pem("new"))["verified"]


def test_an_acknowledged_change_that_cannot_be_seen(etl: SnowflakeSandbox, decide: Decide) -> None:
    etl.faults.add(Fault("DESCRIBE USER ETL", skip=1, times=99, drop="before"))
    answer = decide(private_key=pem("new"), login_timeout=2)
    assert answer["error_code"] == "unknown_outcome" and answer["changed"] and answer["retry_safe"]


def test_an_acknowledged_change_that_is_not_there(etl: SnowflakeSandbox, decide: Decide) -> None:
    """What DESCRIBE shows counts, not what ALTER said; there is no login with a key that is not there."""
    etl.faults.add(Fault("ALTER USER ETL", after=lambda: fill(etl, None)))
    answer = decide(private_key=pem("new"))
    assert answer["error_code"] == "verify_failed" and not answer["verified"] and proofs(etl) == []


def test_a_proof_that_fails(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "orphan")
    etl.faults.add(Fault("login ETL", response=etl.login_failure(WRONG_KEY, "JWT token is invalid.")))
    answer = decide(private_key=pem("new"), current_public_key=public("in use"))
    assert answer["error_code"] == "verify_failed" and answer["changed"] and answer["retry_safe"]
    assert print_of("new") in answer["msg"] and str(WRONG_KEY) in answer["msg"]
    assert slots(etl) == [print_of("in use"), print_of("new")]
    etl.faults.add(Fault("login ETL", response=etl.login_failure(WRONG_KEY, "JWT token is invalid.")))
    again = decide(private_key=pem("new"))
    assert again["error_code"] == "verify_failed" and not again["changed"]


def test_verify_false_does_not_log_in(etl: SnowflakeSandbox, decide: Decide) -> None:
    answer = decide(private_key=pem("new"), verify=False)
    assert answer["changed"] and not answer["verified"] and answer["verify_skipped_reason"] == "verify_disabled"
    assert proofs(etl) == []


def test_an_administrator_that_is_refused(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    path = tmp_path / "etl.p8"
    answer = decide(private_key_path=str(path), login_password=fresh_password())
    assert answer["error_code"] == "auth_failed" and not path.exists() and writes(etl) == []
