# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What an event of the Keeper Gateway means for a module, and what the module's answer means for the gateway."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.filter.snowflake_login import snowflake_login
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import CHECK_MODE
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import (
    key_options,
    snowflake_user_password,
)

Mapping = t.Mapping[str, t.Any]
Options = dict[str, t.Any]

# Given by the event, never by a field of the administrator's record.
_BY_EVENT = {"name", "users", "email", "username", "old_password"}


def _first(record: Mapping, field: str) -> t.Any:
    return (record.get(field) or [None])[0]


def _fields(record: Mapping, options: t.Mapping[str, Mapping]) -> Options:
    """The options that fields of the administrator's record set: those of the same name, except secrets."""
    return {
        name: _first(record, name)
        for name, option in options.items()
        if name in record and not option["no_log"] and name not in _BY_EVENT
    }


def _snowflake_password(event: Mapping) -> Options:
    fields = _fields(event["admin_record"], snowflake_user_password.SPEC.options)
    login = snowflake_login(event["admin_record"], fields)
    return {**login, "name": event["user"], "password": event["new_password"]}


def _snowflake_keypair(event: Mapping) -> Options:
    """The role's connection; the role reads the record's secrets itself."""
    return _fields(event["admin_record"], key_options.SPEC.options)


_OPTIONS: dict[str, t.Callable[[Mapping], Options]] = {
    "snowflake_user_password": _snowflake_password,
    "snowflake_user_keypair": _snowflake_keypair,
}


def options(event: Mapping) -> Options:
    """The module's options for the event. Holds secrets."""
    return _OPTIONS[event["module"]](event)


def failure(result: Mapping) -> Options:
    """The reason in a failed task's result, where no module gave an entry. Holds no secrets.

    Without a code nothing was promised: the module may have died after a write.
    """
    code = "invalid_input" if result.get("argument_errors") else result.get("error_code") or "unknown_outcome"
    return {"error_code": code, "msg": str(result.get("msg") or "A task failed without a reason.")}


def receipt(event: Mapping, answers: t.Sequence[Mapping], *, check_mode: bool) -> Options:
    """What the gateway's script believes: that all is done, or why not. Holds no secrets.

    answers: of all that may have run, the module, the role (its records' outcomes as C(rotations)) and failed tasks.
    """
    head = {"run_id": event["run_id"], "module": event["module"], "check_mode": check_mode}
    entries = [entry for answer in answers for entry in answer.get("rotations") or []]
    reasons = [answer for answer in answers if answer.get("error_code")]
    if not check_mode and any(entry.get("verify_skipped_reason") == CHECK_MODE for entry in entries):
        reasons.append({"error_code": "unknown_outcome", "msg": "The module ran in check mode, so nothing was done."})
    if len(entries) == 1 and not _failed(entries[0]) and not reasons:
        return {**head, "done": True, "error_code": None, "msg": "", **_shown(entries[0])}
    if entries and _failed(entries[0]):
        reasons = entries
    reason = reasons[0] if reasons else {"error_code": None, "msg": "Nothing in the playbook did the rotation."}
    return {**head, "done": False, "error_code": reason["error_code"], "msg": str(reason["msg"])}


def _failed(entry: Mapping) -> bool:
    return bool(entry["outcome"] == "failed" if "outcome" in entry else entry["failed"])


def _shown(entry: Mapping) -> Options:
    """What was done, in a module's words; a role's entry has an outcome instead."""
    outcome = entry.get("outcome")
    changed = entry["changed"] if outcome is None else outcome != "not_due"
    reason = entry.get("verify_skipped_reason") or outcome
    return {"changed": changed, "verified": bool(entry.get("verified")), "verify_skipped_reason": reason}
