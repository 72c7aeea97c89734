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


TIMES = {"begun": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:00:30Z"}


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
    "a recipe for Snowflake": (rotation(recipe="grafana"), "only kinds of REST"),
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
    assert _fleet.chosen([entry, good], ["all"], []) == [1]
    rows = list(_fleet.credentials([entry, good], {}, done=True))
    assert {row["outcome"] for row in rows[:-1]} == {"failed"} and rows[0]["error_code"] == "invalid_input"
    records = entry.get("records") if isinstance(entry, dict) else None
    assert len(rows) == 1 + (len(records) if isinstance(records, list) and records else 1)


@pytest.mark.parametrize(
    "entry", [rotation(), rotation(max_age="7d", connection={}), rotation(kind="rest_password_rotate", recipe="x")]
)
def test_what_may_run(entry: Entry) -> None:
    assert _fleet.problem(entry) is None
    assert _fleet.chosen([{}, entry], ["all"], []) == _fleet.chosen([{}, entry], [entry["kind"]], []) == [1]


@pytest.mark.parametrize(
    ("run", "skip", "wanted"),
    [
        (["all"], [], [0, 1, 2]),
        (["all"], ["always"], [0, 1, 2]),
        (["all"], ["snowflake_user_keypair"], [0, 2]),
        (["snowflake_user_keypair", "rest_password_rotate"], [], [1, 2]),
        (["snowflake_user_keypair"], ["snowflake_user_keypair"], []),
        (["tagged"], [], [0, 1, 2]),
        (["untagged"], [], []),
        (["always"], [], []),
    ],
)
def test_tags_mean_kinds(run: list[str], skip: list[str], wanted: list[int]) -> None:
    kinds = ("snowflake_user_password", "snowflake_user_keypair", "rest_password_rotate")
    assert _fleet.chosen([rotation(kind=kind) for kind in kinds], run, skip) == wanted
    assert _fleet.strange_tags(run) == [] and _fleet.strange_tags(["all", "snowflake"]) == ["snowflake"]


def test_another_batch_begins_unless_too_much_failed() -> None:
    """What has not come to its end has failed, too."""
    first = {"hosts": ["a", "b", "c", "d"], "ended": {"a": False, "b": False, "c": True}}
    assert _fleet.may_begin([], 0) and _fleet.may_begin([first], 50) and not _fleet.may_begin([first], 49)
    assert not _fleet.may_begin([{"hosts": ["x"], "ended": {"x": False}}, first], 40)


@pytest.mark.parametrize("rotations", [None, [], "all of them", {}, 7])
def test_a_host_without_rotations_fails(rotations: t.Any) -> None:
    (row,) = list(_fleet.credentials(rotations, {}, done=True))
    assert row["outcome"] == "failed" and "no keyturn_rotations" in row["msg"]
    assert _fleet.chosen(rotations, ["all"], []) == []


def test_without_a_result_nobody_knows_unless_the_host_came_to_its_end() -> None:
    entries = [rotation(), rotation(kind="snowflake_user_keypair", records=["C"])]
    results = {"1": {**TIMES, "max_age": "7d", "outcomes": [told("C")]}}
    for done, outcome in ((True, "left_out"), (False, "no_result")):
        rows = list(_fleet.credentials(entries, results, done=done))
        assert [row["outcome"] for row in rows] == [outcome, outcome, "rotated"]
        assert [row["max_age"] for row in rows] == [None, None, "7d"] and rows[2]["seconds"] == 30
    failure = {"msg": "It broke.", "error_code": None}
    rows = list(_fleet.credentials(entries, results, done=True, failure=failure))
    assert [(row["outcome"], row.get("msg")) for row in rows] == [("failed", "It broke.")] * 2 + [("rotated", None)]


def test_a_failure_of_the_role_concerns_what_it_could_tell_nothing_about() -> None:
    failure = {"msg": "No such record.", "error_code": "not_found"}
    result = fleet.fleet_result(rotation(), [told("A")], "2026-01-01T00:00:00Z", "30d", failure)
    assert [(row["record"], row["outcome"]) for row in result["outcomes"]] == [("A", "rotated"), ("B", "failed")]
    assert result["outcomes"][1]["error_code"] == "not_found" and result["outcomes"][1]["msg"] == "No such record."
    everything = [told("A"), told("B", "failed", msg="It is so.")]
    assert fleet.fleet_result(rotation(), everything, "", "30d", failure)["outcomes"] == everything
    # Nothing known failed, and still the role did: that must not get lost.
    rows = fleet.fleet_result(rotation(), [told("A"), told("B")], "", "30d", failure)["outcomes"]
    assert [row["outcome"] for row in rows] == ["rotated", "rotated", "failed"]
    assert fleet.fleet_result(rotation(), [told("A"), told("B")], "", "30d", {})["outcomes"] == [told("A"), told("B")]


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
    text = _fleet.failure(task, result)["msg"]
    assert text.startswith(words) and "hunter2" not in text


def test_an_account_in_words() -> None:
    """The counts, then one line for each credential that wants attention, however many there are."""
    rows = [
        told("A", verified=True),
        told("B", verified=False, verify_skipped_reason="mfa_required"),
        told("C", "not_due"),
        told("D", "failed", msg="No.\nNone.", error_code="refused", pending=True) | {"title": "\x1b[31mT\u202e"},
        told("E", "recovered", verified=True),
        told("F", "due"),
        told("G", "due", pending=True),
    ]
    assert _fleet.words(rows) == [
        "1 not due, 2 rotated, 1 recovered, 2 due, 1 failed",
        "Title of B: rotated, not proved (mfa_required)",
        "[31mT : failed: No. None. [refused]",
        "Title of F: due",
        "Title of G: due, pending",
    ]
    many = _fleet.words([told(str(number), "failed", msg="No.") for number in range(60)])
    assert len(many) == 52 and many[-1] == "and 10 more, see the report"
