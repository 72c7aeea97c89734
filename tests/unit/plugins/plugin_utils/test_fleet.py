# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rotations of a host may run, and that every record has an outcome whatever became of its host."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.filter import fleet
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fleet

Entry = dict[str, t.Any]


def rotation(**fields: t.Any) -> Entry:
    entry = {"kind": "snowflake_user_password", "admin_record": "admin", "records": ["A", "B"], **fields}
    return {key: value for key, value in entry.items() if value is not None}


def told(record: str, outcome: str = "rotated", **fields: t.Any) -> Entry:
    return {"record": record, "record_uid": record, "title": f"Title of {record}", "outcome": outcome, **fields}


BAD: dict[str, tuple[t.Any, str]] = {
    "no mapping": ("snowflake_user_password", "no mapping"),
    "no kind": (rotation(kind=None), "has no kind. Known are"),
    "a misspelt kind": (
        rotation(kind="snowflake_user_pasword"),
        "snowflake_user_pasword is unknown. Did you mean snowflake_user_password?",
    ),
    "a misspelt key": (rotation(admin="x"), "no key admin"),
    "no administrator": (rotation(admin_record=None), "no admin_record"),
    "an empty administrator": (rotation(admin_record=" "), "no admin_record"),
    "no records": (rotation(records=None), "no list"),
    "an empty list": (rotation(records=[]), "no list"),
    "one text": (rotation(records="A"), "no list"),
    "a number among the records": (rotation(records=["A", 7]), "no text"),
    "an age without a unit": (rotation(max_age=30), "max_age must be"),
    "a connection that is a text": (rotation(connection="secret"), "connection is no mapping"),
    "a recipe for Snowflake": (rotation(recipe="grafana"), "only rest_password_rotate"),
    "an empty recipe": (rotation(kind="rest_password_rotate", recipe=""), "recipe is the name"),
    "a problem that the inventory knows": (rotation(problem="Two records."), "Two records."),
}


@pytest.mark.parametrize("name", BAD)
def test_what_may_not_run(name: str) -> None:
    """It is refused in words that quote no option of the connection, and its records are accounted for."""
    entry, words = BAD[name]
    problem = _fleet.problem(entry)
    assert problem is not None and words in problem and "secret" not in problem
    good = rotation(records=["C"])
    for kind in _fleet.KINDS:
        assert [each["records"] for each in _fleet.of_kind([entry, good], kind)] == (
            [["C"]] if kind in good.values() else []
        )
    rows = _fleet.credentials([entry, good], {}, done=True)
    assert {row["outcome"] for row in rows[:-1]} == {"failed"} and rows[0]["error_code"] == "invalid_input"
    records = entry.get("records") if isinstance(entry, dict) else None
    assert len(rows) == 1 + (len(records) if isinstance(records, list) and records else 1)


@pytest.mark.parametrize(
    "entry", [rotation(), rotation(max_age="7d", connection={}), rotation(kind="rest_password_rotate", recipe="x")]
)
def test_what_may_run(entry: Entry) -> None:
    assert _fleet.problem(entry) is None
    assert _fleet.of_kind([{}, entry], entry["kind"]) == [{**entry, "index": 1}]


@pytest.mark.parametrize("rotations", [None, [], "all of them", {}, 7])
def test_a_host_without_rotations_fails(rotations: t.Any) -> None:
    (row,) = _fleet.credentials(rotations, {}, done=True)
    assert row["outcome"] == "failed" and "no keyturn_rotations" in row["msg"]
    assert all(_fleet.of_kind(rotations, kind) == [] for kind in _fleet.KINDS)


def test_without_a_result_nobody_knows_unless_the_host_came_to_its_end() -> None:
    entries = [rotation(), rotation(kind="snowflake_user_keypair", records=["C"])]
    results = {"1": {"max_age": "7d", "outcomes": [told("C")]}}
    for done, outcome in ((True, "left_out"), (False, "no_result")):
        rows = _fleet.credentials(entries, results, done=done)
        assert [row["outcome"] for row in rows] == [outcome, outcome, "rotated"]
        assert [row["max_age"] for row in rows] == [None, None, "7d"]


def test_a_failure_of_the_role_concerns_what_it_could_tell_nothing_about() -> None:
    failure = {"msg": "No such record.", "error_code": "not_found"}
    result = fleet.fleet_result(rotation(), [told("A")], "2026-01-01T00:00:00Z", "30d", {"name": "Read"}, failure)
    assert [(row["record"], row["outcome"]) for row in result["outcomes"]] == [("A", "rotated"), ("B", "failed")]
    assert result["outcomes"][1]["error_code"] == "not_found" and result["outcomes"][1]["msg"] == "No such record."
    everything = [told("A"), told("B", "failed", msg="It is so.")]
    assert fleet.fleet_result(rotation(), everything, "", "30d", {}, failure)["outcomes"] == everything
    # Nothing known failed, and still the role did: that must not get lost.
    rows = fleet.fleet_result(rotation(), [told("A"), told("B")], "", "30d", {}, failure)["outcomes"]
    assert [row["outcome"] for row in rows] == ["rotated", "rotated", "failed"]
    assert fleet.fleet_result(rotation(), [told("A"), told("B")], "", "30d")["outcomes"] == [told("A"), told("B")]


@pytest.mark.parametrize(
    ("task", "result", "words"),
    [
        ({"name": "Read"}, {"msg": "Ours.", "error_code": "not_found"}, "Ours."),
        ({"name": "Refuse", "action": "ansible.builtin.fail"}, {"msg": "Ours."}, "Ours."),
        ({"name": "Stage"}, {"msg": "value of password is hunter2"}, "The task Stage failed"),
        ({"action": "x"}, {"msg": "late hunter2", "timedout": {"period": 5}}, "The task x timed out"),
    ],
)
def test_only_our_own_words_are_told(task: Entry, result: Entry, words: str) -> None:
    text = _fleet.failure_text(task, result)
    assert text.startswith(words) and "hunter2" not in text


def test_few_failures_are_named_and_the_others_counted() -> None:
    results = {
        "0": {"max_age": "1d", "outcomes": [told(f"R{n}", "failed", msg="No.", error_code="refused") for n in range(9)]}
    }
    lines = fleet.fleet_failures([rotation()], results)
    assert lines[0] == "Title of R0: No. [refused]" and lines[-1] == "and 6 more, see the report" and len(lines) == 4
    assert fleet.fleet_failures([rotation()], {"0": {"max_age": "1d", "outcomes": [told("A"), told("B")]}}) == []


def test_a_failure_is_told_in_printable_characters() -> None:
    named = told("R", "failed", msg="No.\nNone.") | {"title": "\x1b[31mT\u202e"}
    assert fleet.fleet_failures([rotation()], {"0": {"max_age": "1d", "outcomes": [named]}}) == ["[31mT : No. None."]
