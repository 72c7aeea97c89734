# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""From the administrator's record, a recipe and the caller's own options to the options of rest_password_rotate."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.keyturn.credentials.plugins.module_utils._core import secrets
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput, RotationError
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import TAKEN_NAMES, options_from
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import SPEC, TOKEN_SPEC
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _record

Options = dict[str, t.Any]

DEFAULT_RECIPE = "keeper_sample"
_COMMON_KEYS = frozenset({"vars", "headers", "auth", "lookup", "verify"})
RECIPE_KEYS = _COMMON_KEYS | {"change", "password_policy"}


class Sort(t.NamedTuple):
    """What a recipe is for. needs: the step without which it is none. taken: names that are no record's to give."""

    spec: ArgumentSpec
    needs: str
    keys: t.AbstractSet[str]
    taken: t.AbstractSet[str]


SORTS = {
    "rest_password_rotate": Sort(SPEC, "change", RECIPE_KEYS, TAKEN_NAMES),
    "rest_token_rotate": Sort(
        TOKEN_SPEC, "mint", _COMMON_KEYS | {"mint", "list", "revoke"}, TAKEN_NAMES | {"token_name", "current_token"}
    ),
}
# Those of the caller's options that are completed, and not replaced.
_MERGED = ("vars", "secrets", "headers")
_STEPS = ("auth", "lookup", "change", "mint", "list", "revoke", "verify")
_ADDRESS = ("path", "query", "token_url")
# A field with such a word in its name is never put where a secret must not be.
_SECRET_WORDS = frozenset({"credential", "key", "passphrase", "password", "pin", "secret", "token"})


def recipe_of(record: t.Mapping[str, t.Any], named: str, folder: str, module: str = "rest_password_rotate") -> Options:
    """The recipe that the caller names; the record's C(recipe) stands for the default one, or for none.

    Raises as read_recipe.
    """
    own = _record.text(_record.read(record), "recipe") if named in ("", DEFAULT_RECIPE) else None
    return read_recipe(own or named, folder, SORTS[module])


def read_recipe(reference: str, folder: str, kind: Sort = SORTS["rest_password_rotate"]) -> Options:
    """A recipe by its name in the folder, or from a file of the user's, whose path has a slash or a dot.

    Raises InvalidInput for one that is not there and for one that holds anything else than a recipe.
    """
    name = str(reference).strip()
    own = "/" in name or "." in name
    path = pathlib.Path(name).expanduser() if own else pathlib.Path(folder) / f"{name}.yml"
    if not own and not path.is_file():
        known = ", ".join(sorted(found.stem for found in pathlib.Path(folder).glob("*.yml")))
        there = f"There is no recipe {name}." if name else "No recipe is named, neither here nor in the record."
        raise InvalidInput(f"{there} There are {known}. A file of your own is named by its path.")
    try:
        # Once through JSON: what an anchor names twice must not be one mapping, in which defaults are filled in.
        content = json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))
    except (OSError, RecursionError, TypeError, ValueError):
        raise InvalidInput(f"The recipe {path} cannot be read.") from None
    except yaml.YAMLError:
        raise InvalidInput(f"The recipe {path} is not YAML.") from None
    if not isinstance(content, dict) or kind.needs not in content or not content.keys() <= kind.keys:
        raise InvalidInput(f"The recipe {path} must hold {kind.needs}, and may hold {', '.join(sorted(kind.keys))}.")
    for key, value in content.items():
        if not isinstance(value, dict) and not (key == "lookup" and isinstance(value, list)):
            raise InvalidInput(f"The recipe {path}: {key} must be a mapping.")
    return content


def _steps(given: t.Mapping[str, t.Any]) -> t.Iterator[t.Mapping[str, t.Any]]:
    """All steps of a recipe, those inside of others too."""
    for name in (*_STEPS, "before", "logout"):
        value = given.get(name)
        for step in value if isinstance(value, list) else [value]:
            if isinstance(step, t.Mapping):
                yield step
                yield from _steps({"before": step.get("before"), "logout": step.get("logout")})


def _in_addresses(given: t.Mapping[str, t.Any]) -> set[str]:
    """The placeholders that stand in addresses, where a secret must not be."""
    return template.names([step.get(key) for step in _steps(given) for key in _ADDRESS], "recipe")


def _used(given: t.Mapping[str, t.Any]) -> set[str]:
    """The placeholders that stand anywhere. A value that nobody asks for need not travel, or blank out texts.

    What a step sets is not the record's to give.
    """
    used = re.findall(r"\$\{([^{}|]+)", json.dumps([given.get(key) for key in ("headers", *_STEPS)], default=str))
    return set(used).difference(*(step.get("set") or () for step in _steps(given)))


def module_options(
    record: t.Mapping[str, t.Any],
    given: Options,
    connection: t.Mapping[str, t.Any],
    module: str = "rest_password_rotate",
) -> Options:
    """The module's options, users aside. Holds secrets. Raises InvalidInput for fields with two values.

    record: as _record reads it. given: the recipe. connection: options that win. A field that is named like an option
    sets it. The record's C(login) is admin_username and client_id; its C(password) is admin_password, api_token and
    client_secret; every other field is a value by its name, a secret one unless the recipe has it in C(vars) or in an
    address.
    """
    fields = _record.read(record)
    login, password = _record.text(fields, "login"), _record.secret(fields, "password")
    plain = (given.get("vars") or {}).keys() | _in_addresses({**given, **connection})
    variables: Options = {"admin_username": login, "client_id": login} if login else {}
    hidden: Options = dict.fromkeys(("admin_password", "api_token", "client_secret"), password) if password else {}
    for name in sorted((_used({**given, **connection}) | variables.keys() | hidden.keys()) - SORTS[module].taken):
        value = _record.secret(fields, name)
        if value:
            is_plain = name in variables or (name in plain and not _SECRET_WORDS & set(name.split("_")))
            (variables if is_plain else hidden)[name] = value
    own = _record.options(fields, SORTS[module].spec)
    if module == "rest_token_rotate" and password:
        # Where users make their tokens themselves, who asks is the user.
        asked = _used({**given, **connection}) & {"password", "current_token"}
        own |= dict.fromkeys(sorted(asked), password)
    given = {name: value for name, value in given.items() if name != "password_policy"}
    options: Options = {**given, **own, "vars": {**(given.get("vars") or {}), **variables}, "secrets": hidden}
    for name, value in connection.items():
        merge = name in _MERGED and isinstance(value, t.Mapping)
        options[name] = {**(options.get(name) or {}), **value} if merge else value
    # What the caller says of a name goes where the caller put it.
    for mine, other in (("vars", "secrets"), ("secrets", "vars")):
        said = connection.get(mine)
        if isinstance(said, t.Mapping) and isinstance(options[other], dict):
            options[other] = {name: value for name, value in options[other].items() if name not in said}
    return {name: value for name, value in options.items() if value not in (None, "", {})}


def problem(options: t.Mapping[str, t.Any]) -> str:
    """What the module would refuse whoever the users are; empty if nothing. Holds no secrets."""
    if not options.get("url"):
        return (
            "The administrator's record has no URL in its website field, and the connection options have none either."
        )
    someone = {"users": [{"username": "x", "password": "x"}]}
    checked = ArgumentSpecValidator(**SPEC.module_arguments()).validate({**options, **someone})
    known = secrets.secrets_in(checked.validated_parameters, SPEC.options)
    text = " ".join(checked.error_messages)
    if not text:
        try:
            options_from(checked.validated_parameters)
        except RotationError as error:
            text = error.msg
    return secrets.scrub(text, [secret for secret in known if secret != "x"])
