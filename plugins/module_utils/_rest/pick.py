# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Picking values out of answers."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.deps import require
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.transport import Answer

_LONGEST_TEXT = 1 << 16


class CannotPick(Exception):
    """The expression does not fit the answer, for example a function that got another type than it takes."""


class Expression:
    """A JMESPath expression. where: the option that holds it."""

    def __init__(self, text: str, where: str) -> None:
        """Raises InvalidInput for what is no JMESPath, MissingDependency without the library."""
        jmespath = require("jmespath", package="jmespath")
        try:
            self._compiled = jmespath.compile(text)
        except (jmespath.exceptions.JMESPathError, RecursionError, ValueError):
            raise InvalidInput(f"{where} is no JMESPath expression.") from None
        self._names_fields = _names_fields(self._compiled.parsed)
        self._error = jmespath.exceptions.JMESPathError
        self.where = where

    def __call__(self, data: t.Any) -> t.Any:
        """What it picks, None for nothing. Raises CannotPick."""
        try:
            return self._compiled.search(data)
        except (self._error, ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
            raise CannotPick(self.where) from None

    def judges(self, data: t.Any) -> bool:
        """Whether it is true of an answer. Raises CannotPick also for a text that is asked for fields, and has none."""
        found = truth(self(data))
        if isinstance(data, str) and self._names_fields and found == truth(self(None)):
            raise CannotPick(self.where)
        return found


def _names_fields(tree: t.Mapping[str, t.Any]) -> bool:
    # The children of a slice are numbers.
    return tree["type"] == "field" or any(_names_fields(child) for child in tree["children"] if isinstance(child, dict))


def content(answer: Answer) -> t.Any:
    """The JSON of an answer, the text of any other, None for an empty one and for one that is too large."""
    if answer.oversized or not answer.body.strip():
        return None
    try:
        return answer.json()
    except ValueError:
        return answer.body[:_LONGEST_TEXT].decode("utf-8", "replace")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the value of a name in C(set) comes from. expression: of a value in the JSON. has_default: default counts.

    A value of a header, a cookie or a text comes from the answer, one of JSON from what the expression is asked of.
    """

    where: str
    expression: Expression | None = None
    header: str = ""
    cookie: str = ""
    pattern: re.Pattern[str] | None = None
    has_default: bool = False
    default: t.Any = None

    def __call__(self, data: t.Any, answer: Answer) -> t.Any:
        """The value, or the default; None if there is neither. Raises CannotPick."""
        if self.expression:
            try:
                found = self.expression(data)
            except CannotPick:
                if not self.has_default:
                    raise
                found = None
        elif self.header:
            found = answer.headers.get(self.header)
        elif self.cookie:
            found = next((cookie.value for cookie in answer.cookies if cookie.name == self.cookie), None)
        else:
            match = t.cast("re.Pattern[str]", self.pattern).search(
                answer.body[:_LONGEST_TEXT].decode("utf-8", "replace")
            )
            found = match and match[1]
        return self.default if found is None and self.has_default else found


def source_from(given: t.Any, where: str) -> Source:
    """One entry of C(set). Raises InvalidInput."""
    if isinstance(given, str):
        return Source(where, Expression(given, where))
    kinds = given.keys() - {"default"} if isinstance(given, t.Mapping) else set()
    if len(kinds) != 1 or not kinds < {"json", "header", "cookie", "text"} or not isinstance(given[min(kinds)], str):
        raise InvalidInput(
            f"{where} must be a JMESPath, or one of json, header, cookie and text, and may have a default."
        )
    kind = min(kinds)
    told = given[kind]
    default: dict[str, t.Any] = {"has_default": "default" in given, "default": given.get("default")}
    if kind == "json":
        return Source(where, Expression(told, where), **default)
    if kind != "text":
        return Source(where, **{kind: told.lower() if kind == "header" else told}, **default)
    try:
        pattern = re.compile(told)
    except (re.error, OverflowError, RecursionError):
        raise InvalidInput(f"{where}.text is no regular expression.") from None
    if pattern.groups != 1:
        raise InvalidInput(f"{where}.text must have exactly one group.")
    return Source(where, pattern=pattern, **default)


@functools.cache
def _usual_reason() -> Expression:
    places = "message, msg, error_description, error.message, error.data, error, detail, reason, title"
    return Expression(f"[{places}, errors[0].message, errors[0]][?type(@) == 'string' && @ != ''] | [0]", "reason")


def reason(expression: Expression | None, data: t.Any) -> str:
    """The service's own words for a no, as they came; empty where there are none."""
    if isinstance(data, str) and expression is None:
        return data
    try:
        found = (expression or _usual_reason())(data)
    except CannotPick:
        return ""
    return found if isinstance(found, str) else ""


def truth(value: t.Any) -> bool:
    """JMESPath's own truth: null, false, and what is empty are false; 0 is true."""
    return value is not None and value is not False and value not in ("", [], {})


def comparable(value: t.Any) -> str | None:
    """The value as a text to compare; null is like nothing."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)


def kind(value: t.Any) -> str:
    """What a value is, without telling it."""
    if isinstance(value, str):
        return f"a text of {len(value)}"
    if isinstance(value, (list, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return type(value).__name__
