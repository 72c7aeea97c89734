# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One rotation through the vendor's SDK: what is staged and committed, when, for whom, and what is generated."""

from __future__ import annotations

import datetime as dt
import json
import string
import threading
import typing as t

import pytest

from tests.integration.conftest import fresh_password
from tests.integration.keeper_rotation.conftest import (
    LOGIN,
    NOTES,
    TITLE,
    Entry,
    Keeper,
    field,
    private_key,
    public_half,
    stage_foreign,
)
from tests.sandbox.server import Fault


def committed_last(keeper: Keeper) -> str | None:
    """The name of the rotation that was committed last; nothing else is left of it."""
    state = json.loads(str(keeper.vault.field(keeper.uid, "rotation_state")))
    assert set(state) <= {"v", "committed"}
    return t.cast("str | None", state.get("committed"))


def committed_last_of_staged(keeper: Keeper) -> str | None:
    return t.cast("str | None", json.loads(str(keeper.vault.field(keeper.uid, "rotation_state"))).get("committed"))


def ago(**duration: int) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(**duration)).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- one rotation


@pytest.mark.core
def test_staged_reused_committed_not_due(keeper: Keeper) -> None:
    """The life of a rotation; the value is never generated twice."""
    before = keeper.foreign_parts()

    first = keeper.call(max_age="30d")
    assert first["changed"] and first["due"] and not first["recovered"]
    assert (first["record_uid"], first["title"], first["login"]) == (keeper.uid, TITLE, LOGIN)
    assert first["old_password"] == keeper.old != first["password"]
    assert keeper.pending() == first["password"]
    assert keeper.vault.field(keeper.uid, "password") == keeper.old
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]

    again = keeper.call(max_age="30d")
    assert again["due"] and again["recovered"] and again["changed"]
    assert again["password"] == first["password"] and again["rotation_id"] != first["rotation_id"]
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]

    assert keeper.call("committed", rotation_id=first["rotation_id"])["error_code"] == "busy"
    committed = keeper.call("committed", rotation_id=again["rotation_id"])
    assert committed["changed"] and not committed["failed"] and "password" not in committed
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]
    assert keeper.vault.field(keeper.uid, "password") == first["password"]
    assert keeper.pending() is None and committed_last(keeper) == again["rotation_id"]
    assert dt.datetime.fromisoformat(str(keeper.vault.field(keeper.uid, "rotated_at"))).tzinfo is not None

    last = keeper.call(max_age="30d")
    assert not last["due"] and not last["changed"] and "password" not in last and "old_password" not in last
    assert keeper.endpoints() == ["get_secret"]
    assert keeper.foreign_parts() == before


def test_fields_are_added_with_their_types(keeper: Keeper) -> None:
    """Records that lack the custom fields get them, the pending value as a hidden one, in one update."""
    revisions = [keeper.vault.revision(keeper.uid)]
    keeper.call()
    custom = {field["label"]: field for field in keeper.vault.record(keeper.uid)["custom"]}
    assert custom["rotation_pending"]["type"] == "secret"
    state = json.loads(custom["rotation_state"]["value"][0])
    assert state["credential"] == "password" and state["started"] and str(keeper.pending()) not in json.dumps(state)
    assert keeper.vault.record(keeper.uid)["notes"] == NOTES
    assert len(keeper.vault.journal.labels("update_secret")) == len(revisions) == 1


def test_a_record_with_empty_fields_is_filled(keeper: Keeper) -> None:
    """Fields that exist, empty or as their owner typed them, are used and not doubled."""
    prepared = [
        {"type": "secret", "label": "rotation_pending", "value": []},
        {"type": "multiline", "label": "rotation_state", "value": []},
        {"type": "text", "label": "rotated_at", "value": [""]},
    ]
    keeper.vault.edit(keeper.uid, lambda content: content["custom"].extend(prepared))
    staged = keeper.call(max_age="30d")
    assert keeper.pending() == staged["password"]
    keeper.call("committed")
    labels = [field.get("label") for field in keeper.vault.record(keeper.uid)["custom"]]
    assert sorted(labels) == ["owner_team", "rotated_at", "rotation_pending", "rotation_state"]


def test_records_by_uid_and_title(keeper: Keeper) -> None:
    """Many records cost 2 + N calls in each phase, and come back in the order of the input."""
    second, third = keeper.add("Second", fresh_password()), keeper.add("Third", fresh_password())
    names = ["Third", keeper.uid, second]
    staged = keeper.call(records=names)
    assert keeper.endpoints() == ["get_secret", *["update_secret"] * 3, "get_secret"]
    assert [entry["record"] for entry in staged["rotations"]] == names
    assert [entry["record_uid"] for entry in staged["rotations"]] == [third, keeper.uid, second]
    assert len({entry["password"] for entry in staged["rotations"]}) == 3
    assert all(keeper.pending(entry["record_uid"]) == entry["password"] for entry in staged["rotations"])

    committed = keeper.call("committed", records=names)
    assert keeper.endpoints() == ["get_secret", *["update_secret"] * 3, "get_secret"]
    assert [entry["changed"] for entry in committed["rotations"]] == [True] * 3
    for entry in staged["rotations"]:
        assert keeper.vault.field(entry["record_uid"], "password") == entry["password"]


def test_one_connection_serves_all_requests(keeper: Keeper) -> None:
    """The vault has a thread for each connection."""
    threads = set[threading.Thread]()
    keeper.vault.faults.add(Fault("", times=99, before=lambda: threads.add(threading.current_thread())))
    assert keeper.call(records=[keeper.uid, keeper.add("Second", fresh_password())])["changed"]
    assert len(keeper.endpoints()) == 4 and len(threads) == 1


def test_a_title_and_a_uid_of_one_record(keeper: Keeper) -> None:
    """One record under two names: the first entry does the work, the second shows it."""
    first, second, third = keeper.call(records=[keeper.uid, TITLE, keeper.uid])["rotations"]
    assert first["changed"] and keeper.pending() == first["password"]
    for entry in (second, third):
        assert (entry["password"], entry["changed"], entry["failed"]) == (first["password"], False, False)
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]


def test_a_title_that_looks_like_a_uid(keeper: Keeper) -> None:
    title = "ThisTitleHas22Letters_"
    assert len(title) == 22
    uid = keeper.add(title, fresh_password())
    assert keeper.call(record=title)["record_uid"] == uid


def test_extra_fields_at_commit(keeper: Keeper) -> None:
    keeper.call(fields={"account": "early"})
    assert keeper.vault.field(keeper.uid, "account") is None
    keeper.call("committed", fields={"account": "xy12345", "owner_team": "data"})
    assert keeper.vault.field(keeper.uid, "account") == "xy12345"
    assert keeper.vault.field(keeper.uid, "owner_team") == "data"


def test_fields_cannot_be_ours(keeper: Keeper) -> None:
    result = keeper.call("committed", fields={"rotation_pending": "x"})
    assert result["error_code"] == "invalid_input" and keeper.endpoints() == []


def test_discarded(keeper: Keeper) -> None:
    staged = keeper.call()
    discarded = keeper.call("discarded")
    assert discarded["changed"] and "password" not in discarded
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]
    assert keeper.pending() is None and keeper.vault.field(keeper.uid, "rotation_state") is None
    assert keeper.vault.field(keeper.uid, "password") == keeper.old
    assert keeper.vault.field(keeper.uid, "rotated_at") is None
    assert not keeper.call("discarded")["changed"]
    assert keeper.call()["password"] != staged["password"]


@pytest.mark.parametrize("state", ["committed", "discarded"])
def test_nothing_pending_empties_nothing(keeper: Keeper, state: str) -> None:
    """Whatever state stands beside an absent value; and nobody has seen such a commit, so it fails."""

    def leave_an_empty_value(content: Entry) -> None:
        stage_foreign(content, "")

    for edit in (lambda content: None, leave_an_empty_value):
        keeper.vault.edit(keeper.uid, edit)
        before = keeper.vault.record(keeper.uid)
        result = keeper.call(state)
        assert not result["changed"]
        assert result.get("error_code") == ("vault_error" if state == "committed" else None)
        assert keeper.endpoints() == ["get_secret"]
        assert keeper.vault.record(keeper.uid) == before


def test_a_commit_is_repeated_for_the_same_rotation_only(keeper: Keeper) -> None:
    """Nothing pending is unchanged for the id that was committed last, also after a discard; else it is an error."""
    keeper.call(rotation_id="first")
    assert keeper.call("committed", rotation_id="first")["changed"]
    again = keeper.call("committed", rotation_id="first")
    assert not again["changed"] and not again["failed"]
    keeper.call(rotation_id="second")
    assert committed_last_of_staged(keeper) == "first"
    keeper.call("discarded", rotation_id="second")
    assert committed_last(keeper) == "first"
    before = keeper.vault.record(keeper.uid)
    for given in ({"rotation_id": "second"}, {}):
        result = keeper.call("committed", **given)
        assert (result["error_code"], result["changed"]) == ("vault_error", False)
    assert not keeper.call("committed", rotation_id="first")["failed"]
    assert keeper.vault.record(keeper.uid) == before


# -- when it is due


@pytest.mark.parametrize(
    ("rotated_at", "max_age", "force", "due"),
    [
        ({"hours": 1}, "30d", False, False),
        ({"days": 31}, "30d", False, True),
        ({"seconds": 90}, "1m", False, True),
        ({"hours": 1}, "30d", True, True),
        ({"hours": 1}, None, False, True),
        ("yesterday", "30d", False, True),
        ("2026-01-31", "30d", False, True),
        ("today", "30d", False, False),
        ("2999-01-01T00:00:00Z", "30d", False, True),
        ("", "30d", False, True),
    ],
)
def test_due(keeper: Keeper, rotated_at: str | dict[str, int], max_age: str | None, force: bool, due: bool) -> None:
    value = rotated_at if isinstance(rotated_at, str) else ago(**rotated_at)
    value = ago()[:10] if value == "today" else value
    keeper.vault.edit(keeper.uid, lambda content: content["custom"].append(field("text", "rotated_at", value)))
    aged = {} if max_age is None else {"max_age": max_age}
    result = keeper.call("staged", "--check", force=force, **aged)
    assert (result["due"], result["changed"]) == (due, due)
    assert ("note" in result) == (value in ("yesterday", "2999-01-01T00:00:00Z"))


def test_an_unfinished_rotation_is_due_whatever_its_age(keeper: Keeper) -> None:
    pending = fresh_password()

    def leave(content: Entry) -> None:
        content["custom"].append({"type": "text", "label": "rotated_at", "value": [ago(hours=1)]})
        stage_foreign(content, pending)

    keeper.vault.edit(keeper.uid, leave)
    result = keeper.call(max_age="30d")
    assert result["due"] and result["recovered"] and result["password"] == pending


@pytest.mark.parametrize("max_age", ["30", "d", "-1d", "1.5h", "30 days"])
def test_bad_max_age(keeper: Keeper, max_age: str) -> None:
    result = keeper.call(max_age=max_age)
    assert result["error_code"] == "invalid_input" and keeper.endpoints() == []


# -- whose rotation it is


def test_rotation_id(keeper: Keeper) -> None:
    """The same id reuses, another one waits for the lease and then takes over the same value."""
    first = keeper.call(rotation_id="job-1")
    assert keeper.call(rotation_id="job-1")["password"] == first["password"]
    for state in ("staged", "committed", "discarded"):
        busy = keeper.call(state, rotation_id="job-2")
        assert busy["error_code"] == "busy" and busy["retry_safe"] and "password" not in busy
        assert keeper.endpoints() == ["get_secret"]
    assert keeper.pending() == first["password"]
    adopted = keeper.call(rotation_id="job-2", lease="0s")
    assert adopted["password"] == first["password"] and adopted["recovered"] and adopted["changed"]
    assert keeper.call("committed", rotation_id="job-1")["error_code"] == "busy"
    assert keeper.call("committed", rotation_id="job-2")["changed"]
    assert keeper.vault.field(keeper.uid, "password") == first["password"]


def test_a_lease_that_is_over(keeper: Keeper) -> None:
    pending = fresh_password()
    keeper.vault.edit(keeper.uid, lambda content: stage_foreign(content, pending, age=dt.timedelta(minutes=16)))
    result = keeper.call(rotation_id="mine")
    assert result["password"] == pending and result["recovered"]
    assert json.loads(str(keeper.vault.field(keeper.uid, "rotation_state")))["rotation_id"] == "mine"


def test_a_pending_value_without_readable_state(keeper: Keeper) -> None:
    """It may be live, so it is kept, whoever left it."""
    pending = fresh_password()

    def leave(content: Entry) -> None:
        stage_foreign(content, pending)
        content["custom"][-1]["value"] = ["{not JSON"]

    keeper.vault.edit(keeper.uid, leave)
    assert keeper.call()["password"] == pending
    assert keeper.call("committed")["changed"]
    assert keeper.vault.field(keeper.uid, "password") == pending


def test_a_pending_value_of_the_other_kind(keeper: Keeper) -> None:
    keeper.vault.edit(
        keeper.uid,
        lambda content: content["custom"].append({"type": "secret", "label": "privatePEMKey", "value": []}),
    )
    staged = keeper.call()
    for state in ("staged", "committed", "discarded"):
        refused = keeper.call(state, credential="key_pair")
        assert refused["error_code"] == "refused", state
    assert keeper.pending() == staged["password"]


# -- what is generated


def test_password_policy(keeper: Keeper) -> None:
    policy = {
        "length": 24,
        "min_upper": 5,
        "min_lower": 4,
        "min_digits": 6,
        "min_special": 3,
        "special_characters": "!_",
    }
    password = keeper.call(password_policy=policy)["password"]
    assert len(password) == 24
    counts = [
        sum(c in kind for c in password)
        for kind in (string.ascii_uppercase, string.ascii_lowercase, string.digits, "!_")
    ]
    assert sum(counts) == 24 and all(found >= wanted for found, wanted in zip(counts, (5, 4, 6, 3), strict=True))


@pytest.mark.parametrize(
    "policy",
    [{"length": 7}, {"length": 8, "min_digits": 9}, {"min_upper": -1}, {"special_characters": "a"}, {"length": 257}],
)
def test_impossible_password_policy(keeper: Keeper, policy: dict[str, t.Any]) -> None:
    result = keeper.call(password_policy=policy)
    assert result["error_code"] == "invalid_input" and keeper.endpoints() == []


@pytest.mark.parametrize("kind", ["keyPair", "privatePEMKey", "none"])
def test_key_pair(keeper: Keeper, kind: str) -> None:
    """The new key goes where the old one is; a record without one gets privatePEMKey."""
    old, old_public = private_key()
    fields = {
        "keyPair": {"type": "keyPair", "value": [{"publicKey": old_public, "privateKey": old}]},
        "privatePEMKey": {"type": "secret", "label": "privatePEMKey", "value": [old]},
    }
    custom = [fields[kind]] if kind in fields else []
    keeper.vault.edit(keeper.uid, lambda content: content["custom"].extend(custom))
    before = keeper.foreign_parts()
    staged = keeper.call(credential="key_pair")
    assert staged["private_key"] == keeper.pending() != old
    assert staged["public_key"] == public_half(staged["private_key"])
    assert staged["fingerprint"].startswith("SHA256:") and "password" not in staged
    assert staged["current_public_key"] == (None if kind == "none" else old_public)
    assert keeper.call(credential="key_pair")["private_key"] == staged["private_key"]

    assert keeper.call("committed", credential="key_pair", fields={"fingerprint": staged["fingerprint"]})["changed"]
    if kind == "keyPair":
        (field,) = [each for each in keeper.vault.record(keeper.uid)["custom"] if each["type"] == "keyPair"]
        assert field["value"] == [{"publicKey": staged["public_key"], "privateKey": staged["private_key"]}]
    else:
        assert keeper.vault.field(keeper.uid, "privatePEMKey") == staged["private_key"]
    assert keeper.vault.field(keeper.uid, "fingerprint") == staged["fingerprint"]
    assert keeper.vault.field(keeper.uid, "password") == keeper.old and keeper.pending() is None
    after = keeper.foreign_parts()
    after["custom"] = [field for field in after["custom"] if field.get("label") != "fingerprint"]
    before["custom"] = [field for field in before["custom"] if field["type"] != "keyPair"]
    after["custom"] = [field for field in after["custom"] if field["type"] != "keyPair"]
    assert after == before


def test_small_keys_are_refused(keeper: Keeper) -> None:
    assert keeper.call(credential="key_pair", key_size=1024)["error_code"] == "invalid_input"
