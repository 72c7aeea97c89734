# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What an event of the Keeper Gateway means for a module, and what the module's answer means for the gateway.

An event is what the script hands over: run_id, receipt, module (the script's argument, or empty), explain, and payload,
the JSON text of what the gateway gave, with its records decoded.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

from ansible.errors import AnsibleFilterError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.keyturn.credentials.plugins.filter.key_login import key_login
from ansible_collections.keyturn.credentials.plugins.filter.snowflake_login import snowflake_login
from ansible_collections.keyturn.credentials.plugins.module_utils._core import secrets
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
    RotationError,
    in_words,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import CHECK_MODE
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki import meraki_vpn_user_password
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import spec as rest_spec
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import (
    key_options,
    snowflake_user_password,
)
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _record, _rest_record

Mapping = t.Mapping[str, t.Any]
Options = dict[str, t.Any]

PASSWORD, KEYPAIR = "snowflake_user_password", "snowflake_user_keypair"
MERAKI, REST = "meraki_vpn_user_password", "rest_password_rotate"
MODULES = (PASSWORD, MERAKI, REST, KEYPAIR)
# Titles that Keeper's guides prescribe for the record with the administrator's secret.
TITLES = {
    "Snowflake Authentication Record": PASSWORD,
    "Cisco Authentication Record": MERAKI,
    "API Access Details": REST,
    "Record with Access Token": REST,
}
_TITLED = {_record.key(title): module for title, module in TITLES.items()}
_RECIPES = str(pathlib.Path(__file__).parents[2] / "roles" / "rest_password_rotate" / "vars" / "recipes")
# Ansible blanks out every occurrence of a secret in a module's texts: of a shorter one, they are not readable any more.
_SHORTEST_PASSWORD = 4


class Event(t.NamedTuple):
    """What the event says. reason: how the module was chosen. admin: empty for key pairs whose role finds it itself."""

    module: str
    reason: str
    user: str
    new_password: str
    old_password: str
    admin: Mapping


def read(event: Mapping) -> Event:
    """Raises InvalidInput that names the record or field at fault."""
    payload = json.loads(event["payload"])
    user, uid, new, old = (_text(payload, name) for name in ("user", "userRecordUid", "newPassword", "oldPassword"))
    records, fields = _records(payload)
    own = [each for each in fields if _record.text(each, "uid") == uid.strip()]
    module, reason = _module(event["module"], fields)
    user = user or (own and _record.text(own[0], "login")) or ""
    if module != KEYPAIR:
        if not user:
            raise InvalidInput("user is missing or empty in the payload, and login in the user's record.")
        if len(new) < _SHORTEST_PASSWORD:
            raise InvalidInput(
                f"newPassword in the payload is missing, or shorter than {_SHORTEST_PASSWORD} characters."
            )
    others = [(record, each) for record, each in zip(records, fields, strict=True) if each not in own]
    return Event(module, reason, user, new, old, _admin(module, others))


def _text(payload: Mapping, name: str) -> str:
    values = _record.values(payload.get(name))
    if len(values) > 1 or not all(isinstance(value, str) for value in values):
        raise InvalidInput(f"{name} in the payload is not one text.")
    return "".join(values)


def _records(payload: Mapping) -> tuple[list[Mapping], list[_record.Fields]]:
    """The records, each once, as they are and as they are read: the gateway lists one again that has two roles."""
    given = payload.get("records")
    if not isinstance(given, list) or not given:
        raise InvalidInput("records is missing or empty in the payload.")
    once = {repr(fields): (record, fields) for record in given for fields in [_record.read(record)]}.values()
    return [record for record, _fields in once], [fields for _record, fields in once]


def _module(argument: str, records: t.Sequence[_record.Fields]) -> tuple[str, str]:
    """The module and how it was chosen: by the argument, else by a field, else by the administrator's title."""
    if argument:
        return argument, "the argument"
    named = {_record.kind(record) for record in records} - {""}
    if named:
        if len(named) > 1 or not named <= set(MODULES):
            raise InvalidInput(f"{_record.MODULE} must be one of {', '.join(MODULES)}, and the same in all records.")
        return named.pop(), f"the field {_record.MODULE}"
    titled = {_titled(record) for record in records} - {None}
    if len(titled) > 1:
        raise InvalidInput(f"The titles of the records fit {' and '.join(sorted(map(str, titled)))}; name the module.")
    if not titled:
        raise InvalidInput(
            "No module was named, and no record has a title of Keeper's guides, such as Snowflake Authentication "
            "Record. Attach the administrator's record to the script as its rotation credential."
        )
    return str(titled.pop()), "the title of a record"


def _titled(record: _record.Fields) -> str | None:
    return _TITLED.get(_record.key(_record.text(record, "title") or ""))


def _admin(module: str, records: t.Sequence[tuple[Mapping, _record.Fields]]) -> Mapping:
    """The administrator's record: the one that names the module, else the one with the title; never one of two."""
    wanted = PASSWORD if module == KEYPAIR else module
    marked = [pair for pair in records if _record.kind(pair[1]) == module]
    found = marked or [pair for pair in records if _titled(pair[1]) == wanted]
    if len(found) > 1:
        both = " and ".join(_record.whose(fields) for _given, fields in found)
        raise InvalidInput(f"{both} could both be the administrator's; attach only one.")
    if not found and module != KEYPAIR:
        titles = " or ".join(title for title, owner in TITLES.items() if owner == wanted)
        raise InvalidInput(
            f"No administrator's record: none of the records has the title {titles} (in any case), or the field "
            f"{_record.MODULE}. Attach it to the script as its rotation credential."
        )
    return found[0][0] if found else {}


def _meraki(event: Event) -> Options:
    """Meraki cannot be asked, and that both passwords are equal would be no proof: the new one is always set."""
    options = {"update_password": "always", **key_login(event.admin, {}, MERAKI)}
    if "api_key" not in options:
        raise InvalidInput("The administrator's record has no password, which is where the API key belongs.")
    return options


def _rest(event: Event) -> Options:
    """With a login in the recipe the service is asked first."""
    recipe = _rest_record.recipe_of(event.admin, _rest_record.DEFAULT_RECIPE, _RECIPES)
    options = _rest_record.module_options(event.admin, recipe, {})
    options.setdefault("update_password", "if_different" if options.get("verify") else "always")
    problem = _rest_record.problem(options)
    if problem:
        raise InvalidInput(problem)
    return {**options, "old_password": event.old_password} if event.old_password else options


# For each module its specification, the option with the user's name, and what gives the other options.
_KINDS: dict[str, tuple[ArgumentSpec, str, t.Callable[[Event], Options]]] = {
    PASSWORD: (snowflake_user_password.SPEC, "name", lambda event: snowflake_login(event.admin, {}, PASSWORD)),
    MERAKI: (meraki_vpn_user_password.SPEC, "email", _meraki),
    REST: (rest_spec.SPEC, "username", _rest),
}


def options(event: Mapping) -> Options:
    """The module's options for the event. Holds secrets. Raises InvalidInput for what the module would not take."""
    found = read(event)
    if found.module == KEYPAIR:
        # The role's connection; it reads the record's secrets itself, and its own specification checks the rest.
        return _record.options(_record.read(found.admin), key_options.SPEC)
    spec, user, build = _KINDS[found.module]
    try:
        built = {**build(found), user: found.user, "password": found.new_password}
    except AnsibleFilterError as error:
        raise InvalidInput(str(error)) from None
    checked = ArgumentSpecValidator(**spec.module_arguments()).validate(built)
    if checked.error_messages:
        known = secrets.secrets_in(built, spec.options)
        raise InvalidInput(secrets.scrub(" ".join(checked.error_messages), known))
    return built


def told(event: Mapping) -> Options:
    """What was understood, without values that might be secret: C(module) (empty if nothing says which), C(problem)
    (empty if it can be done), C(user_record) (its UID), C(admin_record) (UID or title), and C(lines) for a person.
    """
    payload = json.loads(event["payload"])
    uid = str(payload["userRecordUid"]).strip()
    facts = {"module": event["module"], "user_record": uid, "admin_record": next(iter(TITLES)), "problem": ""}
    lines = []
    try:
        found = read(event)
        fields = _record.read(found.admin)
        facts.update(module=found.module, admin_record=_record.text(fields, "uid") or facts["admin_record"])
        lines.append(f"module            {found.module} (by {found.reason})")
        lines.append(f"administrator     {_record.whose(fields) if found.admin else 'not in the payload'}")
        options(event)
    except RotationError as error:
        facts["problem"] = in_words(error.msg, error.left)
        lines.append(f"problem           {error.msg}")
    given = [name for name in ("user", "userRecordUid", "newPassword", "oldPassword") if payload.get(name)]
    lines.append(f"the payload       {', '.join(given)}")
    records = payload["records"] if isinstance(payload.get("records"), list) else []
    for record in filter(lambda record: isinstance(record, t.Mapping), records):
        labels = ", ".join(sorted(map(secrets.one_line, _record.labels(record))))
        lines.append(f"{_record.whose(_record.read(record)):<17} {labels}")
    return {**facts, "lines": lines}


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
    understood = told(event)
    head = {name: event[name] for name in ("run_id", "explain")}
    head |= {"module": understood["module"], "check_mode": check_mode}
    if event["explain"]:
        return {**head, "done": False, "error_code": None, "msg": "", "lines": understood["lines"]}
    entries = [entry for answer in answers for entry in answer.get("rotations") or []]
    reasons = [entry for entry in entries if _failed(entry)]
    if understood["problem"]:
        reasons.append({"error_code": "invalid_input", "msg": understood["problem"]})
    if not check_mode and any(map(_only_checked, entries)):
        reasons.append({"error_code": "unknown_outcome", "msg": "The module ran in check mode, so nothing was done."})
    reasons += [answer for answer in answers if answer.get("error_code")]
    if len(entries) == 1 and not reasons:
        return {**head, "done": True, "error_code": None, "msg": "", **_shown(entries[0])}
    if not reasons:
        return {**head, "done": False, "error_code": None, "msg": "Nothing in the playbook did the rotation."}
    code = reasons[0].get("error_code") or "unknown_outcome"
    # A service that answers an unexpected 2xx or 3xx may have done what it was asked.
    if code == "refused" and reasons[0].get("left") == "unknown":
        code = "unknown_outcome"
    return {**head, "done": False, "error_code": code, "msg": str(reasons[0]["msg"])}


def _failed(entry: Mapping) -> bool:
    return bool(entry["outcome"] == "failed" if "outcome" in entry else entry["failed"])


def _only_checked(entry: Mapping) -> bool:
    return entry.get("verify_skipped_reason") == CHECK_MODE or entry.get("outcome") == "due"


def _shown(entry: Mapping) -> Options:
    """What was done, in a module's words; a role's entry has an outcome instead."""
    outcome = entry.get("outcome")
    changed = entry["changed"] if outcome is None else outcome not in ("not_due", "waiting")
    reason = entry.get("verify_skipped_reason") or outcome
    return {"changed": changed, "verified": bool(entry.get("verified")), "verify_skipped_reason": reason}
