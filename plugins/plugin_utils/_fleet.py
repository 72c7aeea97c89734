# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What the fleet playbook decides: which rotations of a host may run, and what became of every record. Pure.

A rotation is an entry of ``keyturn_rotations``. Results are {index of the rotation as text: {begun, ended, max_age,
outcomes}}; an outcome is what Verdict.outcomes gives for one record. Nothing here holds a secret but a rotation's
``connection``, which is handed on and never told.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import parse_duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import one_line

Rotation = t.Mapping[str, t.Any]
Outcome = dict[str, t.Any]
Results = t.Mapping[str, t.Mapping[str, t.Any]]

# Each kind, and the rule by which its logins are compared.
KINDS = {
    "meraki_vpn_user_password": "email",
    "rest_password_rotate": "exact",
    "snowflake_user_keypair": "sql",
    "snowflake_user_password": "sql",
}
_KEYS = ("kind", "records", "admin_record", "max_age", "connection", "recipe", "problem")
# Failures whose texts are ours; other texts may quote what a task was given.
_OWN_FAILURES = ("fail", "ansible.builtin.fail")
_NAMED_FAILURES = 3

NO_ROTATIONS = (
    "This host has no keyturn_rotations, a list of what rotates there. Leave it out of the inventory or of --limit, or "
    "say what rotates."
)


def problem(rotation: t.Any) -> str | None:
    """Why this rotation must not run; None for one that may."""
    if not isinstance(rotation, t.Mapping):
        return "An entry of keyturn_rotations is no mapping with kind, admin_record and records."
    if rotation.get("problem"):
        return str(rotation["problem"])
    if rotation.get("kind") not in KINDS:
        return unknown_kind(rotation.get("kind"), "kind")
    unknown = sorted(str(key) for key in rotation if key not in _KEYS)
    if unknown:
        return f"keyturn_rotations has no key {', '.join(unknown)}. It has {', '.join(_KEYS)}."
    if not _is_name(rotation.get("admin_record")):
        return "The rotation names no admin_record, the Keeper record of the account's administrator."
    if "recipe" in rotation and (rotation["kind"] != "rest_password_rotate" or not _is_name(rotation["recipe"])):
        return "recipe is the name or the file of a recipe, and only rest_password_rotate has one."
    if not isinstance(rotation.get("connection", {}), t.Mapping):
        return "connection is no mapping of options."
    try:
        parse_duration(str(rotation.get("max_age", "0s")), option="max_age")
    except InvalidInput as error:
        return error.msg
    return _problem_of_records(rotation.get("records"))


def unknown_kind(kind: t.Any, where: str) -> str:
    near = difflib.get_close_matches(str(kind), KINDS, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(KINDS)}."
    return f"The {where} {kind} is unknown. {hint}" if kind else f"It has no {where}. {hint}"


def _problem_of_records(records: t.Any) -> str | None:
    if not isinstance(records, t.Sequence) or isinstance(records, str) or not records:
        return "records is no list of Keeper records."
    if not all(_is_name(record) for record in records):
        return "records has an entry that is no text."
    return None


def _is_name(value: t.Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def of_kind(rotations: t.Any, kind: str) -> list[dict[str, t.Any]]:
    """The rotations of this kind that may run, each with its ``index``. Hands on what it is given, secrets too."""
    if not isinstance(rotations, t.Sequence) or isinstance(rotations, str):
        return []
    return [
        {**rotation, "index": index}
        for index, rotation in enumerate(rotations)
        if problem(rotation) is None and rotation["kind"] == kind
    ]


def failure_text(task: t.Mapping[str, t.Any], result: t.Mapping[str, t.Any]) -> str:
    """What made a role fail, in words that hold no secret: ours, or else the task's name."""
    if result.get("msg") and (result.get("error_code") or task.get("action") in _OWN_FAILURES):
        return str(result["msg"])
    reason = "timed out" if result.get("timedout") else "failed; the play's output says more"
    name = task.get("name") or task.get("action")
    return f"The task {name} {reason}. A secret that was staged is pending in Keeper, and the next run takes it up."


def outcomes_of(
    rotation: Rotation, outcomes: t.Sequence[Outcome], failure: str | None, error_code: str | None
) -> list[Outcome]:
    """What became of one rotation: an outcome for each of its records.

    failure: the role's; it concerns the records of which the role could tell nothing. A role whose failure concerns
    none of its records makes an outcome of its own.
    """
    told = list(outcomes)
    if failure is None:
        return told
    known = {outcome["record"] for outcome in told}
    told += [_failed(record, failure, error_code) for record in rotation["records"] if record not in known]
    if not any(outcome["outcome"] == "failed" for outcome in told):
        told.append(_failed(None, failure, error_code))
    return told


def _failed(record: str | None, text: str, error_code: str | None) -> Outcome:
    return {"record": record, "outcome": "failed", "msg": text, "error_code": error_code}


def credentials(rotations: t.Any, results: Results, *, done: bool) -> list[Outcome]:
    """Every record of a host with its outcome, ``kind``, ``admin_record`` and ``max_age``.

    done: whether the host has come to the end of its play. A rotation without a result was then left out by tags;
    otherwise nobody knows.
    """
    if not isinstance(rotations, t.Sequence) or isinstance(rotations, str) or not rotations:
        return [{**_named(None), **_failed(None, NO_ROTATIONS, "invalid_input")}]
    return [
        {**_named(rotation), **outcome}
        for index, rotation in enumerate(rotations)
        for outcome in _outcomes(rotation, results.get(str(index)), done=done)
    ]


def _named(rotation: t.Any) -> dict[str, t.Any]:
    named = rotation if isinstance(rotation, t.Mapping) else {}
    return {key: str(named[key]) if named.get(key) else None for key in ("kind", "admin_record", "max_age")}


def _outcomes(rotation: t.Any, found: t.Mapping[str, t.Any] | None, *, done: bool) -> list[Outcome]:
    refusal = problem(rotation)
    if refusal is None and found is not None:
        return [{**outcome, "max_age": found["max_age"]} for outcome in found["outcomes"]]
    records = rotation.get("records") if isinstance(rotation, t.Mapping) else None
    listed = records if isinstance(records, t.Sequence) and not isinstance(records, str) and records else [None]
    named = [record if _is_name(record) else None for record in listed]
    if refusal is not None:
        return [_failed(record, refusal, "invalid_input") for record in named]
    return [{"record": record, "outcome": "left_out" if done else "no_result"} for record in named]


def failures(told: t.Sequence[Outcome]) -> list[str]:
    """A printable line for each of the first failures of a host, then how many more there are."""
    failed = [outcome for outcome in told if outcome["outcome"] == "failed"]
    lines = [
        one_line(": ".join(filter(None, [outcome.get("title") or outcome.get("record"), outcome.get("msg")])))
        + (f" [{outcome['error_code']}]" if outcome.get("error_code") else "")
        for outcome in failed[:_NAMED_FAILURES]
    ]
    more = len(failed) - len(lines)
    return [*lines, f"and {more} more, see the report"] if more else lines
