# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""One kind of request, from what the options say of it."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import Expression

Params = t.Mapping[str, t.Any]

# RFC 9110, section 5.6.2.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN = re.compile(r"https?://[^/]*", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Step:
    """One kind of request, with its placeholders. where: the option that holds it, for errors."""

    where: str
    method: str
    path: str
    status: tuple[int, ...]
    query: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: t.Any = None
    form: bool = False
    fail_if: Expression | None = None


def step_from(given: Params, where: str, **instead: t.Any) -> Step:
    given = {**given, **instead}
    form = given["body_format"] == "form"
    body = given["body"]
    if body is not None and not isinstance(body, dict if form else (dict, list)):
        raise InvalidInput(f"{where}.body must be a mapping{'' if form else ' or a list'}.")
    if not given["status"]:
        raise InvalidInput(f"{where}.status is empty, so no answer could mean yes.")
    if not TOKEN.fullmatch(given["method"]):
        raise InvalidInput(f"{where}.method is no HTTP method.")
    check_path(given["path"], f"{where}.path")
    return Step(
        where=where,
        method=given["method"].upper(),
        path=given["path"],
        status=tuple(given["status"]),
        query=given["query"] or {},
        headers=headers_from(given["headers"], f"{where}.headers"),
        body=body,
        form=form,
        fail_if=expression(given["fail_if"], f"{where}.fail_if"),
    )


def check_path(path: str, where: str) -> None:
    origin = _ORIGIN.match(path)
    if path and not path.startswith("/") and not origin:
        raise InvalidInput(f"{where} must begin with a slash, or be a full address.")
    if origin and "${" in origin[0]:
        # Otherwise an answer of the lookup could say where the password goes.
        raise InvalidInput(f"{where} has a placeholder in its host.")
    literal = "".join(part for part in template.parse(path, where) if isinstance(part, str))
    if "?" in literal or "#" in literal:
        raise InvalidInput(f"{where} holds a query or fragment; write the query as {where.rpartition('.')[0]}.query.")
    if any(character.isspace() or not character.isprintable() for character in literal):
        raise InvalidInput(f"{where} contains blanks or control characters.")


def headers_from(given: Params | None, where: str) -> dict[str, str]:
    headers = {}
    for name, value in (given or {}).items():
        if not TOKEN.fullmatch(str(name)):
            raise InvalidInput(f"{where}: one of the names is no name of a header.")
        headers[str(name)] = template.as_text(value, f"{where}.{name}")
    return headers


def expression(text: str | None, where: str) -> Expression | None:
    return None if text is None else Expression(text, where)
