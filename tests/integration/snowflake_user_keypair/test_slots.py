# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which slot the new key goes into, and when the old one leaves its own, for every state of a user's keys."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest

from tests.integration.conftest import ADMIN, survives_crashes
from tests.integration.keys import pem, print_of, public, public_pem
from tests.integration.snowflake_user_keypair.conftest import MODULE, WRONG_KEY, fill, proofs, slots, writes
from tests.integration.support import Ansible, Call, Decide
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox

pytestmark = [pytest.mark.connector, survives_crashes]


# -- slots


def test_four_keys_in_a_row(etl: SnowflakeSandbox, decide: Decide) -> None:
    """Slot 1, slot 2, and then always the slot that is not in use; two keys are valid from the second on."""
    place = [1, 2, 1, 2]
    names = ["one", "two", "three", "four"]
    for number, name in enumerate(names):
        before = names[number - 1] if number else None
        current = {"current_private_key": pem(before)} if before else {}
        answer = decide(private_key=pem(name), **current)
        assert answer["changed"] and answer["verified"] and not answer["failed"]
        assert answer["slot"] == place[number] and answer["fingerprint"] == print_of(name)
        assert answer["previous_fingerprint"] == (print_of(before) if before else None)
        assert answer["evicted_fingerprint"] == (print_of(names[number - 2]) if number >= 2 else None)
        assert answer["login_name"] == "ETL" and answer["account"] == etl.account.name and answer["rotated_at"]
        assert before is None or etl.accepts_key("ETL", public(before))
        assert {entry["fingerprint"] for entry in answer["keys"]} == {f for f in slots(etl) if f}
        again = decide(private_key=pem(name), **current)
        assert not again["changed"] and again["verified"] and again["slot"] == place[number]
    assert len(writes(etl)) == 4 and proofs(etl) == ["ok"] * 8
    assert etl.open_sessions() == 0


CURRENT: dict[str, t.Callable[[], dict[str, str]]] = {
    "private key": lambda: {"current_private_key": pem("in use")},
    "encrypted private key": lambda: {
        "current_private_key": pem("in use", passphrase="pw"),
        "current_private_key_passphrase": "pw",
    },
    "public PEM": lambda: {"current_public_key": public_pem("in use")},
    "bare base64": lambda: {"current_public_key": public("in use")},
    "fingerprint": lambda: {"current_fingerprint": print_of("in use")},
}


@pytest.mark.parametrize("way", CURRENT)
@pytest.mark.parametrize("place", [1, 2])
def test_the_key_in_use_is_never_overwritten(etl: SnowflakeSandbox, decide: Decide, way: str, place: int) -> None:
    fill(etl, *(("in use", "orphan") if place == 1 else ("orphan", "in use")))
    answer = decide(private_key=pem("new"), **CURRENT[way]())
    assert answer["changed"] and answer["verified"] and answer["slot"] == 3 - place
    assert slots(etl) == [print_of("in use"), print_of("new")][:: 1 if place == 1 else -1]
    assert answer["evicted_fingerprint"] == print_of("orphan")
    assert answer["previous_fingerprint"] == print_of("in use")


@pytest.mark.parametrize("named", [True, False])
def test_replace_oldest(etl: SnowflakeSandbox, decide: Decide, named: bool) -> None:
    fill(etl, "orphan", "foreign")
    current = {"current_fingerprint": print_of("elsewhere")} if named else {}
    answer = decide(private_key=pem("new"), on_slots_full="replace_oldest", **current)
    assert answer["verified"] and slots(etl) == [print_of("new"), print_of("foreign")]


def test_keys_without_fingerprints_are_not_taken_for_copies(etl: SnowflakeSandbox, decide: Decide) -> None:
    """An account that shows keys and no fingerprints must not lose one."""
    fill(etl, "in use", "foreign")
    etl.account.desc_omits = {"RSA_PUBLIC_KEY_FP", "RSA_PUBLIC_KEY_2_FP"}
    decide(private_key=pem("new"))
    etl.account.desc_omits = set()
    assert slots(etl) == [print_of("in use"), print_of("foreign")]


@pytest.mark.parametrize("text", ["armour", "one line"])
def test_keys_are_told_by_fingerprint_not_by_text(etl: SnowflakeSandbox, decide: Decide, text: str) -> None:
    etl.user("ETL").rsa_public_key = public_pem("new") if text == "armour" else public("new")
    answer = decide(private_key=pem("new"))
    assert not answer["changed"] and answer["verified"] and writes(etl) == []


@pytest.mark.parametrize("name", ["etl", "ETL", "Etl", '"ETL"'])
def test_names_follow_sql(etl: SnowflakeSandbox, decide: Decide, name: str) -> None:
    etl.user("ETL").login_name = "ETL@EXAMPLE.ORG"
    answer = decide(name=name, private_key=pem("new"))
    assert answer["verified"] and answer["name"] == name and answer["login_name"] == "ETL@EXAMPLE.ORG"
    assert slots(etl)[0] == print_of("new")


# -- retiring


def test_retired_at_once(etl: SnowflakeSandbox, decide: Decide) -> None:
    """A second statement, after the login with the new key."""
    fill(etl, "in use")
    answer = decide(private_key=pem("new"), current_private_key=pem("in use"), retire_previous_after="0h")
    assert answer["changed"] and answer["verified"] and slots(etl) == [None, print_of("new")]
    assert answer["previous_fingerprint"] == answer["evicted_fingerprint"] == print_of("in use")
    assert [entry["fingerprint"] for entry in answer["keys"]] == [print_of("new")]
    order = etl.journal.labels("ALTER|login ETL")
    assert order == [
        "ALTER USER ETL SET RSA_PUBLIC_KEY_2",
        "login ETL key_pair",
        "ALTER USER ETL UNSET RSA_PUBLIC_KEY",
    ]
    again = decide(private_key=pem("new"), retire_previous_after="0h")
    assert not again["changed"] and again["verified"]


@pytest.mark.parametrize("zone", ["session", "utc"])
def test_retired_when_the_new_key_is_old_enough(etl: SnowflakeSandbox, decide: Decide, zone: str) -> None:
    etl.account.desc_times = "session" if zone == "session" else "utc"
    now = etl.account.clock()
    fill(etl, "in use")
    for age, gone in ((dt.timedelta(hours=23, minutes=59), False), (dt.timedelta(hours=24, seconds=1), True)):
        user = etl.user("ETL")
        user.rsa_public_key_2, user.rsa_public_key_2_last_set_time = public("new"), now - age
        # Its own age does not count.
        user.rsa_public_key_last_set_time = now - dt.timedelta(days=99)
        answer = decide(private_key=pem("new"), retire_previous_after="24h")
        assert answer["changed"] is gone and answer["verified"], age
        assert slots(etl) == [None if gone else print_of("in use"), print_of("new")]
    assert decide(private_key=pem("new"), retire_previous_after="0h")["changed"] is False


@pytest.mark.parametrize("answered", ["refused", "silent", "lost", "disabled"])
def test_nothing_is_retired_without_a_login(etl: SnowflakeSandbox, decide: Decide, answered: str) -> None:
    fill(etl, "in use")
    if answered == "refused":
        etl.faults.add(Fault("login ETL", response=etl.login_failure(WRONG_KEY, "JWT token is invalid.")))
    elif answered == "silent":
        etl.faults.add(Fault("login ETL", times=99, hang="before"))
    elif answered == "lost":
        etl.faults.add(Fault("login ETL", times=99, drop="before"))
    else:
        etl.user("ETL").disabled = True
    options = {"private_key": pem("new"), "current_private_key": pem("in use"), "retire_previous_after": "0h"}
    answer = decide(login_timeout=2, **options)
    expected = {"refused": "verify_failed", "silent": "unreachable", "lost": "unreachable", "disabled": None}[answered]
    assert answer.get("error_code") == expected and answer["changed"] and not answer["verified"]
    assert slots(etl) == [print_of("in use"), print_of("new")] and len(writes(etl)) == 1
    if expected is None:
        assert answer["verify_skipped_reason"] == "user_disabled" and etl.user("ETL").disabled
    else:
        assert answer["retry_safe"]
    etl.faults.clear()
    etl.user("ETL").disabled = False
    # Running it again is how it is finished.
    answer = decide(**options)
    assert answer["verified"] and slots(etl) == [None, print_of("new")]


def test_a_locked_user(etl: SnowflakeSandbox, decide: Decide) -> None:
    """The key is set; the login says that the user is locked, which is no fault of the key."""
    etl.account.lock_blocks_keys = True
    etl.user("ETL").locked_until = etl.account.clock() + dt.timedelta(minutes=15)
    answer = decide(private_key=pem("new"), retire_previous_after="0h")
    assert answer["changed"] and not answer["failed"] and not answer["verified"]
    assert answer["verify_skipped_reason"] == "user_locked"


# -- recovered keys

MFA_LIKE = [(394508, "MFA with TOTP is required."), (394999, "Rejected by authentication policy."), (394302, "Clock.")]


@pytest.mark.parametrize(("code", "text"), MFA_LIKE)
@pytest.mark.parametrize("recovered", [True, False])
def test_an_answer_that_nobody_listed_leaves_a_key_unproved_and_in_force(
    etl: SnowflakeSandbox, decide: Decide, code: int, text: str, recovered: bool
) -> None:
    etl.faults.add(Fault("login ETL", response=etl.login_failure(code, text)))
    answer = decide(private_key=pem("new"), recovered=recovered)
    assert (answer["failed"], answer["changed"], answer["verified"], answer["in_force"]) == (False, True, False, True)
    assert answer["verify_skipped_reason"] in ("mfa_required", "authentication_policy", "clock_differs")


@pytest.mark.parametrize("answered", ["refused", "lost"])
def test_a_recovered_key_is_in_force_where_its_fingerprint_is(
    etl: SnowflakeSandbox, decide: Decide, answered: str
) -> None:
    fill(etl, "in use", "new")
    if answered == "refused":
        etl.faults.add(Fault("login ETL", response=etl.login_failure(WRONG_KEY, "JWT token is invalid.")))
    else:
        etl.faults.add(Fault("login ETL", times=99, drop="before"))
    answer = decide(private_key=pem("new"), recovered=True, login_timeout=2)
    assert (answer.get("error_code"), answer["in_force"]) == ("verify_failed" if answered == "refused" else None, True)
    assert writes(etl) == []


def test_a_recovered_key_in_no_slot_that_finds_no_place_is_certainly_not_in_force(
    etl: SnowflakeSandbox, decide: Decide
) -> None:
    fill(etl, "in use", "orphan")
    answer = decide(private_key=pem("new"), recovered=True)
    assert (answer["error_code"], answer["in_force"]) == ("slots_full", False) and proofs(etl) == []


def test_keys_are_installed_and_retired_in_one_call_as_each_user_says(
    snowflake: SnowflakeSandbox, ansible: Ansible, login: dict[str, t.Any]
) -> None:
    for name in ("DUE", "AGED", "GONE", "KEPT"):
        snowflake.add_user(name, type="SERVICE")
        fill(snowflake, "in use", None if name in ("DUE", "GONE") else "new", name)
    aged = {"private_key": pem("new"), "install": False, "retire_previous_after": "0h"}
    users = [
        {"name": "due", "private_key": pem("new"), "recovered": True},
        {"name": "aged", **aged},
        {"name": "gone", **aged},
        {"name": "kept", **aged, "retire_previous_after": "7d"},
        {"name": "unmade"},
    ]
    answer = ansible.calls(MODULE, [Call({**login, "users": users})]).answers[0]
    due, done, gone, kept, unmade = answer["rotations"]
    assert (due["changed"], due["verified"], due["in_force"]) == (True, True, True)
    assert slots(snowflake, "DUE") == [print_of("in use"), print_of("new")]
    assert (done["evicted_fingerprint"], slots(snowflake, "AGED")) == (print_of("in use"), [None, print_of("new")])
    assert (gone["error_code"], gone["retry_safe"], slots(snowflake, "GONE")) == (
        "refused",
        True,
        [print_of("in use"), None],
    )
    assert (kept["changed"], slots(snowflake, "KEPT")) == (False, [print_of("in use"), print_of("new")])
    assert unmade["error_code"] == "invalid_input" and unmade["left"] == "untouched"
    # Snowflake's clock is asked once in the session, and nobody else's counts.
    assert len(snowflake.journal.labels("^SELECT")) == 1


def test_the_administrator_comes_last(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", name=ADMIN)
    users = [{"name": name, "private_key": pem("new")} for name in (ADMIN, "etl")]
    answer = decide(users=users)
    assert [entry["name"] for entry in answer["rotations"]] == [ADMIN, "etl"] and not answer["failed"]
    assert [label.split()[2] for label in writes(etl)] == ["ETL", ADMIN]


# -- no write on a stale read


def test_a_look_before_a_retirement_that_gets_no_answer_has_written_nothing(
    etl: SnowflakeSandbox, decide: Decide
) -> None:
    fill(etl, "in use", "new")
    lost = Fault("^DESC", times=99, drop="before")
    etl.faults.add(Fault("login ETL", after=lambda: etl.faults.add(lost)))
    answer = decide(private_key=pem("new"), retire_previous_after="0h", login_timeout=2)
    assert (answer["error_code"], answer["changed"], writes(etl)) == ("unreachable", False, [])
    assert answer["evicted_fingerprint"] is None and "acknowledged" not in answer["msg"]


def test_a_slot_that_another_run_has_filled_since_is_not_overwritten(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "orphan")
    etl.faults.add(Fault("^DESC", after=lambda: fill(etl, "foreign", "in use")))
    answer = decide(private_key=pem("new"), current_public_key=public("in use"))
    # Planned anew: the key in use is in the other slot now, and what was evicted is what stood there.
    assert slots(etl) == [print_of("new"), print_of("in use")] and answer["evicted_fingerprint"] == print_of("foreign")
    fill(etl, "in use", "orphan")
    etl.faults.add(Fault("^DESC", after=lambda: fill(etl, "orphan", "foreign")))
    answer = decide(private_key=pem("new"), current_public_key=public("in use"))
    assert (answer["error_code"], slots(etl)) == ("slots_full", [print_of("orphan"), print_of("foreign")])
    assert answer["in_force"] is False and answer["evicted_fingerprint"] is None


def test_a_key_that_another_run_has_placed_since_is_not_retired(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "new", "in use")
    user = etl.user("ETL")
    user.rsa_public_key_2_last_set_time = etl.account.clock() - dt.timedelta(days=9)

    def place() -> None:
        user.rsa_public_key_2, user.rsa_public_key_2_last_set_time = public("foreign"), etl.account.clock()

    etl.faults.add(Fault("login ETL", after=place))
    answer = decide(private_key=pem("new"), retire_previous_after="0h")
    assert not answer["changed"] and answer["evicted_fingerprint"] is None
    assert slots(etl) == [print_of("new"), print_of("foreign")]
