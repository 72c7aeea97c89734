# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named key pairs instead of slots."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from tests.integration.conftest import ADMIN, survives_crashes
from tests.integration.keys import pem, print_of, public
from tests.integration.snowflake_user_keypair.conftest import fill, lose, slots, writes
from tests.integration.support import Decide
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.users import KeyPair

pytestmark = [pytest.mark.connector, survives_crashes]


# -- the sandbox


def later(snowflake: SnowflakeSandbox, **elapsed: float) -> None:
    """Move the account's clock."""
    moment = snowflake.account.clock() + dt.timedelta(**elapsed)
    snowflake.account.clock = lambda: moment


# -- named key pairs


def pairs(snowflake: SnowflakeSandbox) -> dict[str, str]:
    now = snowflake.account.clock()
    return {pair.name.split("_ROTATED_")[0] + (" (old)" if pair.rotated_to else ""): pair.status(now)
            for pair in snowflake.user("ETL").key_pairs.values()}  # fmt: skip


@pytest.mark.parametrize("hours", [24, 0])
def test_add_rotate_and_expire(etl: SnowflakeSandbox, decide: Decide, hours: int) -> None:
    named = {"method": "named", "key_pair_name": "etl", "rotated_key_expiry_hours": hours}
    fill(etl, "foreign", "orphan")
    first = decide(private_key=pem("one"), **named)
    assert first["changed"] and first["verified"] and first["key_pair_name"] == "ETL" and first["rotated_at"]
    assert not decide(private_key=pem("one"), **named)["changed"]
    second = decide(private_key=pem("two"), **named)
    assert second["changed"] and second["verified"] and second["previous_fingerprint"] == print_of("one")
    assert {entry["fingerprint"] for entry in second["keys"]} == {print_of("one"), print_of("two")}
    assert etl.accepts_key("ETL", public("one")) == (hours > 0)
    later(etl, hours=24, minutes=1)
    assert not etl.accepts_key("ETL", public("one")) and etl.accepts_key("ETL", public("two"))
    # The slots are none of this method's business.
    assert slots(etl) == [print_of("foreign"), print_of("orphan")] and "slot" not in second


@pytest.mark.parametrize("lost", [False, True])
def test_tombstones_go_when_the_limit_is_in_the_way(etl: SnowflakeSandbox, decide: Decide, lost: bool) -> None:
    named = {"method": "named", "key_pair_name": "etl", "login_timeout": 2}
    for number in range(10):
        # Two by turns: an expired key may come back.
        answer = decide(private_key=pem("one" if number % 2 else "two"), **named)
        assert answer["verified"], answer
        later(etl, hours=25)
    assert len(etl.user("ETL").key_pairs) == 10 and not etl.journal.labels("REMOVE")
    oldest = min(pair.name for pair in etl.user("ETL").key_pairs.values() if pair.rotated_to)
    if lost:
        lose(etl, "REMOVE KEY PAIR", "drop", "after")
    answer = decide(private_key=pem("three"), **named)
    assert answer["changed"] and answer["verified"] and len(etl.user("ETL").key_pairs) == 10
    assert oldest not in etl.user("ETL").key_pairs and len(etl.journal.labels("REMOVE")) >= 1


def test_ten_pairs_of_which_none_has_expired(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    now = etl.account.clock()
    for number in range(10):
        etl.user("ETL").key_pairs[f"P{number}"] = KeyPair(f"P{number}", public(f"pair {number % 3}"), now, ADMIN)
    named = {"method": "named", "key_pair_name": "etl"}
    for given in ({"private_key": pem("new")}, {"private_key_path": str(tmp_path / "no.p8")}):
        answer = decide(**given, **named)
        assert answer["error_code"] == "slots_full" and not answer["changed"]
        assert all(f"P{number}" in answer["msg"] for number in range(10)) and print_of("pair 1") in answer["msg"]
    assert writes(etl) == [] and not (tmp_path / "no.p8").exists()


@pytest.mark.parametrize("state", ["disabled", "elsewhere", "elsewhere, disabled"])
def test_pairs_that_stand_in_the_way(etl: SnowflakeSandbox, decide: Decide, state: str) -> None:
    now = etl.account.clock()
    name = "ETL" if state == "disabled" else "OTHER"
    etl.user("ETL").key_pairs[name] = KeyPair(name, public("new"), now, ADMIN, disabled="disabled" in state)
    answer = decide(private_key=pem("new"), method="named", key_pair_name="etl")
    assert answer["error_code"] == "refused" and name in answer["msg"] and writes(etl) == []
    assert name == "ETL" or print_of("new") in answer["msg"]


def test_a_key_that_stands_in_a_slot_already(etl: SnowflakeSandbox, decide: Decide) -> None:
    """Snowflake refuses it; the new pair of a migration needs a new key."""
    fill(etl, "new")
    answer = decide(private_key=pem("new"), method="named", key_pair_name="etl")
    assert answer["error_code"] == "refused" and not answer["changed"] and pairs(etl) == {}


@pytest.mark.parametrize("listed", [True, False])
def test_slots_in_the_list_of_pairs_are_not_pairs(etl: SnowflakeSandbox, decide: Decide, listed: bool) -> None:
    etl.account.key_pairs_list_slots = listed
    fill(etl, "foreign", "orphan")
    answer = decide(private_key=pem("new"), method="named", key_pair_name="etl")
    assert answer["verified"] and [entry["name"] for entry in answer["keys"]] == ["ETL"]
    assert pairs(etl) == {"ETL": "ACTIVE"}


@pytest.mark.parametrize("name", ['"mixed Case"', "per-ETL", "etl"])
def test_names_of_pairs_follow_sql(etl: SnowflakeSandbox, decide: Decide, name: str) -> None:
    stored = {'"mixed Case"': "mixed Case", "per-ETL": "per-ETL", "etl": "ETL"}[name]
    answer = decide(private_key=pem("new"), method="named", key_pair_name=name)
    assert answer["key_pair_name"] == stored and list(etl.user("ETL").key_pairs) == [stored]
