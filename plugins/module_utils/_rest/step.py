# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""One kind of request, from what the options say of it."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    AuthFailed,
    InvalidInput,
    NotFound,
    RotationError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import Expression, Source, source_from

Params = t.Mapping[str, t.Any]

# RFC 9110, section 5.6.2.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN = re.compile(r"https?://[^/]*", re.IGNORECASE)
# The questions by which an answer says no; without a code, it depends on who asks.
_NOES: dict[str, type[RotationError] | None] = {
    "not_found_if": NotFound,
    "auth_failed_if": AuthFailed,
    "fail_if": None,
}


@dataclasses.dataclass(frozen=True)
class Step:
    """One kind of request, with its placeholders. where: the option that holds it, for errors.

    noes: questions by which the answer says no, and the error for it. picked: what the steps after it may use.
    basic: user and password of HTTP Basic, as templates, which oauth encodes first (RFC 6749, section 2.3.1).
    """

    where: str
    method: str
    path: str
    status: tuple[int, ...]
    query: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: t.Any = None
    body_from: str | None = None
    body_format: str = "json"
    not_found: tuple[int, ...] = (404,)
    noes: tuple[tuple[Expression, type[RotationError] | None], ...] = ()
    reason: Expression | None = None
    picked: t.Mapping[str, Source] = dataclasses.field(default_factory=dict)
    basic: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    oauth: bool = False

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Of all placeholders in it."""
        parts = [self.path, self.query, self.headers, self.body, self.body_from, self.basic]
        return frozenset(template.names(parts, self.where))


def step_from(given: Params, where: str, **instead: t.Any) -> Step:
    """Raises InvalidInput."""
    given = {**given, **instead}
    kind, body = given["body_format"], given["body"]
    wanted = {"json": (dict, list), "form": (dict,), "text": (str,)}[kind]
    if body is not None and not isinstance(body, wanted):
        must = {"json": "a mapping or a list", "form": "a mapping", "text": "a text"}[kind]
        raise InvalidInput(f"{where}.body must be {must} for body_format {kind}.")
    if given["body_from"] is not None:
        if kind == "text" or isinstance(body, list):
            raise InvalidInput(f"{where}.body_from needs a body that is a mapping, or none.")
        if not template.is_placeholder(given["body_from"]):
            raise InvalidInput(f"{where}.body_from must be exactly one placeholder.")
    if not given["status"]:
        raise InvalidInput(f"{where}.status is empty, so no answer could mean yes.")
    if not TOKEN.fullmatch(given["method"]):
        raise InvalidInput(f"{where}.method is no HTTP method.")
    check_path(given["path"], f"{where}.path")
    template.check_keys(body, f"{where}.body")
    template.check_keys(given["query"], f"{where}.query")
    noes = [(expression(given[name], f"{where}.{name}"), error) for name, error in _NOES.items()]
    return Step(
        where=where,
        method=given["method"].upper(),
        path=given["path"],
        status=tuple(given["status"]),
        query=given["query"] or {},
        headers=headers_from(given["headers"], f"{where}.headers"),
        body=body,
        body_from=given["body_from"],
        body_format=kind,
        not_found=tuple(given["not_found"]),
        noes=tuple((asks, error) for asks, error in noes if asks),
        reason=expression(given["reason"], f"{where}.reason"),
        picked={name: source_from(told, f"{where}.set.{name}") for name, told in (given["set"] or {}).items()},
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
