# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module's result, made of outcomes."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Busy,
    NotFound,
    Refused,
    RotationError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import Outcome, module_result


def _outcome(name: str = "A", **values: t.Any) -> Outcome:
    return Outcome(identity={"name": name}, **values)


def _result(*outcomes: Outcome, single: bool = False) -> dict[str, t.Any]:
    return module_result(outcomes, single=single, noun="user")


def test_entries_keep_their_order_and_repeat_at_the_top_only_for_a_single_item() -> None:
    many = _result(_outcome("B", changed=True), _outcome("A"))
    assert [entry["name"] for entry in many["rotations"]] == ["B", "A"]
    assert "name" not in many
    one = _result(_outcome("B", verified=True, facts={"login_name": "b"}), single=True)
    assert {"name": "B", "verified": True, "login_name": "b"}.items() <= one.items()
    assert one["rotations"] == [{"name": "B", "login_name": "b", "changed": False, "failed": False, "verified": True}]


@pytest.mark.parametrize("changed", [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("failing", [0, 1, None])
def test_changed_is_of_any_item_also_when_the_task_fails(changed: tuple[bool, bool], failing: int | None) -> None:
    outcomes = [
        _outcome(str(number), changed=each, error=Busy("later") if number == failing else None)
        for number, each in enumerate(changed)
    ]
    result = _result(*outcomes)
    assert result["changed"] is any(changed)
    assert result["failed"] is (failing is not None)


@pytest.mark.parametrize(
    ("errors", "code", "retry_safe"),
    [
        ([Busy("x"), Busy("y")], "busy", True),
        ([Busy("x"), None], "busy", True),
        ([Busy("x"), NotFound("y")], None, False),
        ([NotFound("x"), Refused("y", retry_safe=True)], None, False),
    ],
)
def test_the_top_repeats_a_code_that_all_failures_share(
    errors: list[RotationError | None], code: str | None, retry_safe: bool
) -> None:
    result = _result(*[_outcome(error=error) for error in errors])
    assert result.get("error_code") == code
    assert result["retry_safe"] is retry_safe


def test_a_success_carries_no_failure_fields() -> None:
    assert not {"error_code", "retry_safe", "msg", "diff"} & _result(_outcome(), _outcome()).keys()


def test_a_failed_entry_says_all_that_is_promised() -> None:
    error = Refused("Why.", retry_safe=True, evidence={"refusal_reason": "PRIOR_USE"})
    entry = _result(_outcome(error=error), single=True)
    promised = {
        "error_code": "refused",
        "msg": "Why. Nothing was changed.",
        "left": "untouched",
        "retry_safe": True,
        "failed": True,
        "refusal_reason": "PRIOR_USE",
        "verified": False,
    }
    assert promised.items() <= entry.items()
    assert promised.items() <= entry["rotations"][0].items()


def test_a_verified_item_gives_no_reason_why_it_is_not() -> None:
    assert "verify_skipped_reason" not in _outcome(verified=True, verify_skipped_reason="x").entry()
    assert _outcome(verify_skipped_reason="x").entry()["verify_skipped_reason"] == "x"
    assert "verified" not in _outcome(verified=None).entry()


def test_the_summary_names_the_failures_but_not_hundreds() -> None:
    outcomes = [_outcome(f"user{number}", error=NotFound("Absent.")) for number in range(40)]
    message = _result(*outcomes, _outcome("fine"))["msg"]
    assert message.startswith("40 of 41 users failed.")
    assert "user0 (not_found): Absent." in message and "fine" not in message
    assert len(message) < 400


def test_the_diff_shows_only_what_differs() -> None:
    outcome = _outcome("B", before={"set": 1}, after={"set": 2})
    assert _result(_outcome("A", before={"x": 1}, after={"x": 1}), outcome)["diff"] == [
        {"before_header": "B", "after_header": "B", "before": {"set": 1}, "after": {"set": 2}}
    ]
    assert _result(outcome, single=True)["diff"]["after"] == {"set": 2}
