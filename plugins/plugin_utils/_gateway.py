# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What an event of the Keeper Gateway means for a module, and what the module's answer means for the gateway."""

from __future__ import annotations

import pathlib
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.keyturn.credentials.plugins.filter.snowflake_login import snowflake_login
from ansible_collections.keyturn.credentials.plugins.module_utils._core import secrets
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput, RotationError
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import CHECK_MODE
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki import meraki_vpn_user_password
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import spec as rest_spec
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import (
    key_options,
    snowflake_user_password,
)
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _rest_record

Mapping = t.Mapping[str, t.Any]
Options = dict[str, t.Any]

_RECIPES = str(pathlib.Path(__file__).parents[2] / "roles" / "rest_password_rotate" / "vars" / "recipes")
_DEFAULT_RECIPE = "keeper_sample"
# Given by the event, never by a field of the administrator's record.
_BY_EVENT = {"name", "users", "email", "username", "old_password"}
# Fields of the record for the script and this plugin, and not for a recipe.
_OURS = {"uid", "title", "rotation_module", "recipe"}


def _first(record: Mapping, field: str) -> t.Any:
    return (record.get(field) or [None])[0]


def _fields(record: Mapping, spec: ArgumentSpec) -> Options:
    """The options that fields of the administrator's record set: those of the same name, but secrets and mappings."""
    return {
        name: _first(record, name)
        for name, option in spec.options.items()
        if record.get(name)
        and not option["no_log"]
        and option["type"] not in ("dict", "list")
        and name not in _BY_EVENT
    }


def _snowflake_password(event: Mapping) -> Options:
    fields = _fields(event["admin_record"], snowflake_user_password.SPEC)
    login = snowflake_login(event["admin_record"], fields)
    return {**login, "name": event["user"], "password": event["new_password"]}


def _snowflake_keypair(event: Mapping) -> Options:
    """The role's connection; the role reads the record's secrets itself."""
    return _fields(event["admin_record"], key_options.SPEC)


def _meraki(event: Mapping) -> Options:
    """Meraki cannot be asked, and that both passwords are equal would be no proof: the new one is always set."""
    record = event["admin_record"]
    if not _first(record, "password"):
        raise InvalidInput("The administrator's record has no password, which is where the API key belongs.")
    fields = _fields(record, meraki_vpn_user_password.SPEC)
    login = {"api_key": _first(record, "password"), "update_password": "always", **fields}
    return {**login, "email": event["user"], "password": event["new_password"]}


def _rest(event: Mapping) -> Options:
    """With a login in the recipe the service is asked first, and a failed proof goes back to the old password."""
    record = event["admin_record"]
    fields = _fields(record, rest_spec.SPEC)
    values = {name: value for name, value in record.items() if name not in _OURS | fields.keys() or name == "url"}
    recipe = _rest_record.read_recipe(_first(record, "recipe") or _DEFAULT_RECIPE, _RECIPES)
    options = _rest_record.module_options(values, recipe, fields)
    proved = bool(options.get("verify"))
    options.setdefault("update_password", "if_different" if proved else "always")
    if event["old_password"]:
        options["old_password"] = event["old_password"]
        options.setdefault("rollback", "old_password" if proved else "none")
    problem = _rest_record.problem({name: value for name, value in options.items() if name != "old_password"})
    if problem:
        raise InvalidInput(problem)
    return {**options, "username": event["user"], "password": event["new_password"]}


_KINDS: dict[str, tuple[ArgumentSpec | None, t.Callable[[Mapping], Options]]] = {
    "snowflake_user_password": (snowflake_user_password.SPEC, _snowflake_password),
    # The role's own specification checks it.
    "snowflake_user_keypair": (None, _snowflake_keypair),
    "meraki_vpn_user_password": (meraki_vpn_user_password.SPEC, _meraki),
    "rest_password_rotate": (rest_spec.SPEC, _rest),
}


def options(event: Mapping) -> Options:
    """The module's options for the event. Holds secrets. Raises InvalidInput for what the module would not take."""
    spec, build = _KINDS[event["module"]]
    built = build(event)
    if spec is not None:
        checked = ArgumentSpecValidator(**spec.module_arguments()).validate(built)
        if checked.error_messages:
            known = secrets.secrets_in(built, spec.options)
            raise InvalidInput(secrets.scrub(" ".join(checked.error_messages), known))
    return built


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
    reasons = [entry for entry in entries if _failed(entry)] + _problems(event)
    if not check_mode and any(map(_only_checked, entries)):
        reasons.append({"error_code": "unknown_outcome", "msg": "The module ran in check mode, so nothing was done."})
    reasons += [answer for answer in answers if answer.get("error_code")]
    if len(entries) == 1 and not reasons:
        return {**head, "done": True, "error_code": None, "msg": "", **_shown(entries[0])}
    if not reasons:
        return {**head, "done": False, "error_code": None, "msg": "Nothing in the playbook did the rotation."}
    code = reasons[0].get("error_code") or "unknown_outcome"
    # A service that answers an unexpected 2xx or 3xx may have done what it was asked.
    if code == "refused" and 200 <= (reasons[0].get("status") or 0) < 400:
        code = "unknown_outcome"
    return {**head, "done": False, "error_code": code, "msg": str(reasons[0]["msg"])}


def _problems(event: Mapping) -> list[Options]:
    """Why the module was not even started."""
    try:
        options(event)
    except RotationError as error:
        return [{"error_code": error.error_code, "msg": f"{error.msg} Nothing was done."}]
    return []


def _failed(entry: Mapping) -> bool:
    return bool(entry["outcome"] == "failed" if "outcome" in entry else entry["failed"])


def _only_checked(entry: Mapping) -> bool:
    return entry.get("verify_skipped_reason") == CHECK_MODE or entry.get("outcome") == "due"


def _shown(entry: Mapping) -> Options:
    """What was done, in a module's words; a role's entry has an outcome instead."""
    outcome = entry.get("outcome")
    changed = entry["changed"] if outcome is None else outcome != "not_due"
    reason = entry.get("verify_skipped_reason") or outcome
    return {"changed": changed, "verified": bool(entry.get("verified")), "verify_skipped_reason": reason}
