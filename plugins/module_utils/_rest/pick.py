# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Picking values out of answers by JMESPath."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.deps import require
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput


class CannotPick(Exception):
    """The expression does not fit the answer, for example a function that got another type than it takes."""


class Expression:
    """A JMESPath expression. where: the option that holds it."""

    def __init__(self, text: str, where: str) -> None:
        """Raises InvalidInput for what is no JMESPath, MissingDependency without the library."""
        jmespath = require("jmespath", package="jmespath")
        try:
            self._compiled = jmespath.compile(text)
        except jmespath.exceptions.JMESPathError:
            raise InvalidInput(f"{where} is no JMESPath expression.") from None
        self._error = jmespath.exceptions.JMESPathError
        self.where = where

    def __call__(self, data: t.Any) -> t.Any:
        """What it picks, None for nothing. Raises CannotPick."""
        try:
            return self._compiled.search(data)
        except (self._error, ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
            raise CannotPick(self.where) from None


def truth(value: t.Any) -> bool:
    """JMESPath's own truth: null, false, and what is empty are false; 0 is true."""
    return value is not None and value is not False and value not in ("", [], {})


def comparable(value: t.Any) -> str | None:
    """The value as a text to compare; null is like nothing."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True)
