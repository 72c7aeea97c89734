# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What the fleet playbook decides: which rotations of a host may run, and what became of every record. Pure.

A rotation is an entry of ``keyturn_rotations``. Results are {index of the rotation as text: {begun, ended, max_age,
outcomes}}; an outcome is what Run.records gives for one record. Nothing here holds a secret but a rotation's
``connection``, which is handed on and never told.
"""

from __future__ import annotations

import collections
import difflib
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import parse_duration, parse_rfc3339
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import one_line

# {hosts: its names, ended: {host: whether it failed}}
Batch = dict[str, t.Any]
Rotation = t.Mapping[str, t.Any]
Credential = dict[str, t.Any]
Results = t.Mapping[str, t.Mapping[str, t.Any]]


class Kind(t.NamedTuple):
    """What rotates. names: the rule by which its logins are compared. minted: a user can have several, each in a record
    of its own.
    """

    label: str
    names: str
    minted: bool = False


KINDS = {
    "meraki_vpn_user_password": Kind("Meraki VPN password", "email"),
    "rest_password_rotate": Kind("REST password", "exact"),
    "rest_token_rotate": Kind("REST token", "exact", minted=True),
    "snowflake_user_keypair": Kind("Snowflake key pair", "sql"),
    "snowflake_user_password": Kind("Snowflake password", "sql"),
    "snowflake_user_token": Kind("Snowflake token", "sql", minted=True),
}
MINTED = tuple(name for name, kind in KINDS.items() if kind.minted)
_KEYS = ("kind", "records", "admin_record", "max_age", "connection", "recipe", "problem")
# Failures whose texts are ours; other texts may quote what a task was given.
_OWN_FAILURES = ("fail", "ansible.builtin.fail")
# Lines for one account.
_NAMED = 50
# What wants attention comes first.
OUTCOMES = ("failed", "no_result", "left_out", "due", "recovered", "rotated", "waiting", "not_due")

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
    if "recipe" in rotation and (not rotation["kind"].startswith("rest_") or not _is_name(rotation["recipe"])):
        return "recipe is the name or the file of a recipe, and only kinds of REST have one."
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


def chosen(rotations: t.Any, run_tags: t.Iterable[str], skip_tags: t.Iterable[str]) -> list[int]:
    """The indices of the rotations that may run and whose kind the tags of the run mean."""
    wanted = set(run_tags)
    if wanted & {"all", "tagged"}:
        wanted |= KINDS.keys()
    if not isinstance(rotations, t.Sequence) or isinstance(rotations, str):
        return []
    return [
        index
        for index, rotation in enumerate(rotations)
        if problem(rotation) is None and rotation["kind"] in wanted - set(skip_tags)
    ]


def strange_tags(run_tags: t.Iterable[str]) -> list[str]:
    """Tags that are no kinds, and none of Ansible's own."""
    return sorted(set(run_tags) - KINDS.keys() - {"all", "always", "tagged", "untagged"})


def may_begin(batches: t.Sequence[Batch], percentage: float) -> bool:
    """Whether another batch may begin: of none before it, more than this has failed or has not come to its end."""
    return all(
        100 * (len(batch["hosts"]) - list(batch["ended"].values()).count(False)) / len(batch["hosts"]) <= percentage
        for batch in batches
    )


def failure(task: t.Mapping[str, t.Any], result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What made a task fail, C(msg) and C(error_code), in words that hold no secret: ours, or else the task's name."""
    code = result.get("error_code")
    if result.get("msg") and (code or task.get("action") in _OWN_FAILURES):
        return {"msg": str(result["msg"]), "error_code": code}
    reason = "timed out" if result.get("timedout") else "failed; the play's output says more"
    name = task.get("name") or task.get("action")
    text = f"The task {name} {reason}. If a secret was staged, it is pending in Keeper, and the next run takes it up."
    return {"msg": text, "error_code": code}


def outcomes_of(
    rotation: Rotation, outcomes: t.Sequence[Credential], failure: t.Mapping[str, t.Any]
) -> list[Credential]:
    """What became of one rotation: an outcome for each of its records.

    failure: the role's, empty if there is none; it concerns the records of which the role could tell nothing. A role
    whose failure concerns none of its records makes an outcome of its own.
    """
    told = list(outcomes)
    if not failure:
        return told
    known = {outcome["record"] for outcome in told}
    told += [_failed(record, **failure) for record in rotation["records"] if record not in known]
    if not any(outcome["outcome"] == "failed" for outcome in told):
        told.append(_failed(None, **failure))
    return told


def _failed(record: str | None, msg: str, error_code: str | None) -> Credential:
    return {"record": record, "outcome": "failed", "msg": msg, "error_code": error_code}


def credentials(
    rotations: t.Any, results: Results, *, done: bool, failure: t.Mapping[str, t.Any] | None = None
) -> t.Iterator[Credential]:
    """Every record of a host with its outcome, C(kind), C(admin_record), C(max_age) and C(seconds), its share of them.

    done: whether the host has come to the end of its play. A rotation without a result was then left out by tags, or
    not reached because of the failure; otherwise nobody knows.
    """
    if not isinstance(rotations, t.Sequence) or isinstance(rotations, str) or not rotations:
        yield {**_named(None), **_failed(None, NO_ROTATIONS, "invalid_input")}
        return
    for index, rotation in enumerate(rotations):
        named = _named(rotation)
        for outcome in _outcomes(rotation, results.get(str(index)), done=done, failure=failure):
            yield {**named, **outcome}


def _named(rotation: t.Any) -> dict[str, t.Any]:
    named = rotation if isinstance(rotation, t.Mapping) else {}
    return {key: str(named[key]) if named.get(key) else None for key in ("kind", "admin_record", "max_age")}


def _outcomes(
    rotation: t.Any, found: t.Mapping[str, t.Any] | None, *, done: bool, failure: t.Mapping[str, t.Any] | None
) -> t.Iterator[Credential]:
    refusal = problem(rotation)
    if refusal is None and found is not None:
        share = seconds(found["begun"], found["ended"]) / max(1, len(found["outcomes"]))
        for outcome in found["outcomes"]:
            yield {**outcome, "max_age": found["max_age"], "seconds": share}
        return
    records = rotation.get("records") if isinstance(rotation, t.Mapping) else None
    listed = records if isinstance(records, t.Sequence) and not isinstance(records, str) and records else [None]
    for record in [each if _is_name(each) else None for each in listed]:
        if refusal is not None:
            yield _failed(record, refusal, "invalid_input")
        elif failure:
            yield _failed(record, failure["msg"], failure["error_code"])
        else:
            yield {"record": record, "outcome": "left_out" if done else "no_result"}


def seconds(begun: str | None, ended: str | None) -> float:
    """Between two times in RFC 3339; 0 where one is not known."""
    first, last = parse_rfc3339(begun), parse_rfc3339(ended)
    return (last - first).total_seconds() if first and last else 0.0


def unproved(told: t.Mapping[str, t.Any]) -> bool:
    """A new secret that no login has proved."""
    return told["outcome"] in ("rotated", "recovered") and not told.get("verified")


def reason(told: t.Mapping[str, t.Any]) -> str:
    """Why a credential failed."""
    return str(told.get("msg") or "It failed without a reason.")


def line(told: t.Mapping[str, t.Any]) -> str:
    """One credential in a printable line: what it is called, its outcome, and why if that needs a reason."""
    name = told.get("title") or told.get("record") or "the whole rotation"
    code = f" [{told['error_code']}]" if told.get("error_code") else ""
    why = f": {reason(told)}" if told["outcome"] == "failed" else ""
    if unproved(told):
        why = f", not proved ({told.get('verify_skipped_reason') or 'no login could prove it'})"
    waits = ", pending" if told.get("pending") and told["outcome"] != "failed" else ""
    return one_line(f"{name}: {told['outcome'].replace('_', ' ')}{waits}{why}{code}")


def words(told: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """What became of an account: the counts, then a line for each credential that wants attention."""
    counts = collections.Counter(each["outcome"] for each in told)
    counted = [f"{counts[name]} {name.replace('_', ' ')}" for name in reversed(OUTCOMES) if counts[name]]
    lines = [
        line(each) for each in told if each["outcome"] in ("failed", "due") or each.get("pending") or unproved(each)
    ]
    return [
        ", ".join(counted),
        *lines[:_NAMED],
        *([f"and {len(lines) - _NAMED} more, see the report"] if lines[_NAMED:] else []),
    ]
