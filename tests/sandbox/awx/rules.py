# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWX accepts, as far as our files go: its rules, after its sources, in words of our own.

Sources: awx/main/fields.py (credential types), awx/api/views/__init__.py (surveys), awx/api/serializers.py (schedules,
notification templates), awx/main/utils/ansible.py (what is offered as a playbook).
"""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import jsonschema
from dateutil import rrule
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

_NAME = "^[a-zA-Z_]+[a-zA-Z0-9_]*$"
INPUTS_SCHEMA: dict[str, t.Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "required": {"type": "array", "items": {"type": "string"}},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "label"],
                "properties": {
                    "id": {"type": "string", "pattern": _NAME, "not": {"const": "tower"}},
                    "type": {"enum": ["string", "boolean"]},
                    "format": {"enum": ["ssh_private_key", "url"]},
                    "choices": {"type": "array", "minItems": 1, "items": {"type": "string"}, "uniqueItems": True},
                    "label": {"type": "string"},
                    "help_text": {"type": "string"},
                    "multiline": {"type": "boolean"},
                    "secret": {"type": "boolean"},
                    "ask_at_runtime": {"type": "boolean"},
                    "default": {},
                },
                # These say something about texts only.
                "if": {"properties": {"type": {"const": "boolean"}}, "required": ["type"]},
                "then": {
                    "not": {"anyOf": [{"required": [key]} for key in ("choices", "multiline", "format", "secret")]}
                },
            },
        },
    },
}


def injectors_schema(blocked: t.Iterable[str]) -> dict[str, t.Any]:
    """blocked: names of environment variables that AWX keeps for itself."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "file": {
                "type": "object",
                "additionalProperties": False,
                "patternProperties": {"^template(\\.[a-zA-Z_]+[a-zA-Z0-9_]*)?$": {"type": "string"}},
                # One unnamed file, or any number of named ones.
                "if": {"required": ["template"]},
                "then": {"maxProperties": 1},
            },
            "env": {
                "type": "object",
                "additionalProperties": False,
                "propertyNames": {"not": {"anyOf": [{"pattern": "^ANSIBLE_"}, {"enum": sorted(blocked)}]}},
                "patternProperties": {_NAME: {"type": "string", "pattern": "^[\\x00-\\x7F]*$"}},
            },
            "extra_vars": {
                "type": "object",
                "additionalProperties": False,
                "patternProperties": {
                    "^[a-zA-Z_{}]+[a-zA-Z0-9_{}]*$": {
                        "anyOf": [{"type": "string"}, {"type": "array"}, {"$ref": "#/properties/extra_vars"}]
                    }
                },
            },
        },
    }


SURVEY_SCHEMA: dict[str, t.Any] = {
    "type": "object",
    "required": ["name", "description", "spec"],
    "properties": {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "spec": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "question_name", "variable", "required"],
                "properties": {
                    "type": {
                        "enum": ["text", "textarea", "password", "integer", "float", "multiplechoice", "multiselect"]
                    },
                    "question_name": {"type": "string"},
                    "variable": {"type": "string"},
                    "required": {"type": "boolean"},
                    "min": {"type": ["integer", "null"]},
                    "max": {"type": ["integer", "null"]},
                },
            },
        },
    },
}


class Rejected(Exception):
    """AWX would answer 400."""


def check(value: t.Any, schema: dict[str, t.Any]) -> None:
    try:
        # AWX validates with this draft, which does not know if, then, const and propertyNames; a newer one here.
        jsonschema.Draft7Validator(schema).validate(value)
    except jsonschema.ValidationError as error:
        raise Rejected(f"{'.'.join(map(str, error.absolute_path))}: {error.message}") from None


def _templates(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _templates(item)
    elif isinstance(value, list):
        for item in value:
            yield from _templates(item)
    else:
        yield value


def check_credential_type(inputs: dict[str, t.Any], injectors: dict[str, t.Any], blocked: t.Iterable[str]) -> None:
    """The schemas, unique ids, and every template renders with the fields and the files that there are."""
    check(inputs, INPUTS_SCHEMA)
    check(injectors, injectors_schema(blocked))
    ids = [field["id"] for field in inputs.get("fields", [])]
    if len(set(ids)) != len(ids):
        raise Rejected("field IDs must be unique")
    names = [name.partition(".")[2] for name in injectors.get("file", {})]
    filename: t.Any = "EXAMPLE" if names == [""] else dict.fromkeys(names, "EXAMPLE")
    namespace = {**dict.fromkeys(ids, "EXAMPLE"), "tower": {"filename": filename}}
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    for text in _templates(injectors):
        try:
            environment.from_string(text).render(namespace)
        except TemplateError as error:
            raise Rejected(f"{text}: {error}") from None


def check_survey(survey: dict[str, t.Any]) -> None:
    check(survey, SURVEY_SCHEMA)
    variables = [question["variable"] for question in survey["spec"]]
    if len(set(variables)) != len(variables):
        raise Rejected("a variable is asked for twice")
    for question in survey["spec"]:
        if question["type"] == "multiplechoice" and question.get("default") not in question.get("choices", []):
            raise Rejected("a choice needs choices, and its default must be one of them")


def check_rrule(text: str) -> None:
    """AWX wants one DTSTART with a zone, and INTERVAL in every rule."""
    starts = re.findall(r"DTSTART(?:;[^:]+)?:\d+T\d+Z?", text)
    if len(starts) != 1 or re.search(r"DTSTART:\d+T\d+(\s|$)", text):
        raise Rejected("exactly one DTSTART with a time zone is needed")
    rules = re.findall(r"RULE:\S*", text)
    if not rules or re.search(r"EXDATE:|RDATE:", text):
        raise Rejected("a rule is needed, and no EXDATE or RDATE")
    if any("INTERVAL" not in rule or "SECONDLY" in rule for rule in rules):
        raise Rejected("INTERVAL is needed, and SECONDLY is not supported")
    try:
        rrule.rrulestr(text)
    except ValueError as error:
        raise Rejected(f"rrule: {error}") from None


# Of a webhook, the only kind that our files have: each parameter's type, and what AWX fills in (None: it is required).
_WEBHOOK: dict[str, tuple[type, t.Any]] = {
    "url": (str, None),
    "http_method": (str, "POST"),
    "disable_ssl_verification": (bool, False),
    "username": (str, ""),
    "password": (str, ""),
    "headers": (dict, None),
}
# What a message may name, as far as ours do.
_JOB = {"id": 1, "name": "EXAMPLE", "status": "failed", "elapsed": 0.1}
_EVENTS = ("started", "success", "error", "workflow_approval")


def check_notification(kind: str, configuration: dict[str, t.Any], messages: dict[str, t.Any]) -> None:
    """A webhook with its parameters, which is completed in place, and messages that are JSON once they are rendered."""
    if kind != "webhook":
        raise Rejected(f"{kind}: not known here")
    for name, (expected, default) in _WEBHOOK.items():
        if name not in configuration and default is None:
            raise Rejected(f"missing required fields for notification configuration: {name}")
        if not isinstance(configuration.setdefault(name, default), expected):
            raise Rejected(f"configuration field {name} incorrect type, expected {expected.__name__}")
    if configuration.keys() - _WEBHOOK.keys() or configuration["http_method"].lower() not in ("put", "post"):
        raise Rejected("unknown parameters, or the method is neither PUT nor POST")
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    namespace = {"job": _JOB, "job_friendly_name": "Job", "url": "https://awx.example.com/1", "job_metadata": "{}"}
    for event, message in messages.items():
        if event not in _EVENTS or message.keys() - {"message", "body"} or "\n" in (message.get("message") or ""):
            raise Rejected(f"{event}: no such event, or more than a message of one line and a body")
        for text in filter(None, message.values()):
            try:
                rendered = environment.from_string(text).render(namespace)
                if not isinstance(json.loads(rendered), dict):
                    raise Rejected(f"{event}: a webhook's body must be a JSON dictionary")
            except (TemplateError, ValueError) as error:
                raise Rejected(f"{event}: {error}") from None


_PLAYBOOK = re.compile(
    r"^\s*?-?\s*?(?:hosts|(ansible\.builtin\.)?include|(ansible\.builtin\.)?import_playbook):\s*?.*?$"
)


def offered_playbooks(project: Path) -> list[str]:
    """The files of a project that AWX offers as playbooks."""
    found = []
    for path in sorted([*project.rglob("*.yml"), *project.rglob("*.yaml")]):
        relative = path.relative_to(project)
        folders = relative.parts[:-1]
        if {"roles", "tasks", "group_vars", "host_vars"} & set(folders) or any(p.startswith(".") for p in folders):
            continue
        if any(_PLAYBOOK.match(line) for line in path.read_text(encoding="utf-8").splitlines()):
            found.append(str(relative))
    return found
