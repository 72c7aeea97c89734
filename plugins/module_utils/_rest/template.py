# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Placeholders: C(${name}), C(${name|filter}), and C($${) for a literal C(${). Pure.

A value that is put in is never read again, so that a password C(${username}) stays that.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import html
import json
import re
import typing as t
import urllib.parse

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

Values = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Placeholder:
    """One C(${name|filter}). filter: empty if there is none."""

    name: str
    filter: str = ""


Part = t.Union[str, Placeholder]  # noqa: UP007 - ansible-test's pylint takes no "|" at run time

_TOKEN = re.compile(r"(?P<literal>\$\$\{)|\$\{(?P<inside>[^{}]*)\}|(?P<broken>\$\{)")


def backslash(text: str) -> str:
    """For string literals of query languages."""
    return re.sub(r"([\\'\"])", r"\\\1", text).replace("\n", "\\n")


def percent(text: str) -> str:
    """For one segment of a path."""
    return urllib.parse.quote(text, safe="")


_FILTERS: dict[str, t.Callable[[str], str]] = {
    "backslash": backslash,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "json": lambda text: json.dumps(text)[1:-1],
    "xml": html.escape,
    "url": percent,
}


@functools.lru_cache(maxsize=1024)
def parse(text: str, where: str) -> tuple[Part, ...]:
    """The literal texts and placeholders in it. where: the option, for the error. Raises InvalidInput."""
    parts: list[Part] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts.append(text[end : token.start()])
        end = token.end()
        if token["literal"]:
            parts.append("${")
        elif token["broken"]:
            raise InvalidInput(f"{where} has a ${{ that does not end. A literal one is written $${{.")
        else:
            parts.append(_placeholder(token["inside"], where))
    parts.append(text[end:])
    return tuple(part for part in parts if part != "")


def _placeholder(inside: str, where: str) -> Placeholder:
    name, _bar, chosen = inside.partition("|")
    if "|" in inside and chosen not in _FILTERS:
        raise InvalidInput(f"{where}: ${{{inside}}} has an unknown filter. There are {', '.join(_FILTERS)}.")
    return Placeholder(name, chosen)


def whole(parts: t.Sequence[Part]) -> Placeholder | None:
    """The placeholder, if there is nothing else."""
    return parts[0] if len(parts) == 1 and isinstance(parts[0], Placeholder) else None


def is_placeholder(text: str) -> bool:
    """Whether all of a credential is one placeholder; otherwise it is meant literally."""
    token = _TOKEN.fullmatch(text)
    return token is not None and token["inside"] is not None


def credential(text: str, where: str) -> str:
    """A credential as a template. Raises InvalidInput for a placeholder with an unknown filter."""
    if not is_placeholder(text):
        return text.replace("${", "$${")
    parse(text, where)
    return text


def check_keys(value: t.Any, where: str) -> None:
    """Raises InvalidInput for placeholders in keys, which nobody would fill."""
    if isinstance(value, t.Mapping):
        if any("${" in str(key) for key in value):
            raise InvalidInput(f"{where} has a placeholder in a key, where none is filled in.")
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            check_keys(item, where)


def names(value: t.Any, where: str) -> set[str]:
    """The names of all placeholders in nested lists, dicts' values, and texts. Raises InvalidInput."""
    if isinstance(value, str):
        return {part.name for part in parse(value, where) if isinstance(part, Placeholder)}
    if isinstance(value, t.Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return {name for item in value for name in names(item, where)}
    return set()


def as_text(value: t.Any, what: str) -> str:
    """A text, number or truth value as text. Raises InvalidInput for anything else, and for half a character."""
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidInput(f"{what} contains half a character.")
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    kind = "null" if value is None else "a list" if isinstance(value, (list, tuple)) else "no plain value"
    raise InvalidInput(f"{what} is {kind}, where a text or a number must stand.")


def _value(placeholder: Placeholder, values: Values, where: str) -> t.Any:
    if placeholder.name not in values:
        if placeholder.name == "old_password":
            raise InvalidInput(f"{where} uses ${{old_password}}, but no old_password is given.")
        raise InvalidInput(f"{where}: the placeholder ${{{placeholder.name}}} is not known here.")
    value = values[placeholder.name]
    if placeholder.filter or isinstance(value, str):
        value = as_text(value, f"{where}: ${{{placeholder.name}}}")
    return _FILTERS[placeholder.filter](value) if placeholder.filter else value


def text(template: str, values: Values, where: str, encode: t.Callable[[str], str] = str) -> str:
    """The template as one text. encode: what is done to each value that is put in. Raises InvalidInput."""
    return "".join(
        part if isinstance(part, str) else encode(as_text(_value(part, values, where), f"{where}: ${{{part.name}}}"))
        for part in parse(template, where)
    )


def render(value: t.Any, values: Values, where: str) -> t.Any:
    """Nested lists, dicts' values and texts with all placeholders replaced; one that is a whole text keeps its type."""
    if isinstance(value, str):
        only = whole(parse(value, where))
        return _value(only, values, where) if only else text(value, values, where)
    if isinstance(value, t.Mapping):
        return {key: render(item, values, where) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [render(item, values, where) for item in value]
    return value
