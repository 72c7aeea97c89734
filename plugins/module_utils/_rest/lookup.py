# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Finding one user in a service's list: all pages, exactly one match."""

from __future__ import annotations

import dataclasses
import itertools
import re
import typing as t
import urllib.parse

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Ambiguous, NotFound, Refused
from ansible_collections.keyturn.credentials.plugins.module_utils._core.http import Answer, Request
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import origin
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import Lookup, Paging
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import (
    CannotPick,
    Expression,
    comparable,
    truth,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.requests import with_param

# One entry of a Link header, RFC 8288: <address>; parameters
_LINK = re.compile(r"<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s;,\"]+))?)*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)


def every_item(lookup: Lookup, first: Request, ask: t.Callable[[Request], Answer], subject: str) -> list[t.Any]:
    """The items of all pages. Raises Refused for an answer without the expected shape, and for too many pages."""
    paging, items = lookup.paging, list[t.Any]()
    request = first
    if paging and paging.counts:
        request = _with(first, t.cast(str, paging.param), str(paging.start))
    for number in itertools.count(1):
        answer = ask(request)
        data = _json(answer, subject)
        page = _items(lookup.items, data, subject)
        following = _following(paging, first, request, answer, data, page, number, subject) if paging else None
        # A page beyond the limit is only asked for where nothing but an empty page can tell the end.
        if number > lookup.max_pages and page or following and number == lookup.max_pages and not _counts(paging):
            raise Refused(
                f"{subject}: there are more than {lookup.max_pages} pages (lookup.max_pages), so a second match could "
                "be overlooked. Nothing was changed."
            )
        items += page
        if following is None:
            return items
        request = following
    raise AssertionError("not reached")


def _counts(paging: Paging | None) -> bool:
    return paging is not None and paging.counts


def _with(request: Request, name: str, value: str) -> Request:
    return dataclasses.replace(request, url=with_param(request.url, name, value))


def _json(answer: Answer, subject: str) -> t.Any:
    try:
        return answer.json()
    except ValueError:
        raise Refused(f"{subject}: the answer is not JSON. Nothing was changed.") from None


def _picked(expression: Expression, data: t.Any, subject: str) -> t.Any:
    try:
        return expression(data)
    except CannotPick:
        raise Refused(f"{subject}: {expression.where} does not fit the answer. Nothing was changed.") from None


def _items(expression: Expression, data: t.Any, subject: str) -> list[t.Any]:
    found = _picked(expression, data, subject)
    if found is None:
        return []
    if isinstance(found, dict):
        return [found]
    if not isinstance(found, list):
        raise Refused(f"{subject}: lookup.items picks neither a list nor an object. Nothing was changed.")
    return found


def _following(
    paging: Paging,
    first: Request,
    request: Request,
    answer: Answer,
    data: t.Any,
    page: list[t.Any],
    number: int,
    subject: str,
) -> Request | None:
    """The request for the next page, None at the end."""
    if paging.counts:
        return _with(first, t.cast(str, paging.param), str(paging.start + number * paging.step)) if page else None
    if paging.link:
        found: t.Any = _next_link(answer.headers.get("link", ""))
    elif paging.header:
        found = answer.headers.get(paging.header.lower())
    else:
        found = _picked(t.cast(Expression, paging.url or paging.cursor), data, subject)
    if not truth(found):
        return None
    if not isinstance(found, (str, int, float)):
        raise Refused(f"{subject}: lookup.next picks neither a text nor a number. Nothing was changed.")
    if paging.param:
        return _with(first, paging.param, str(found))
    return dataclasses.replace(request, url=_same_origin(request.url, str(found), subject))


def _next_link(header: str) -> str | None:
    for address, parameters in _LINK.findall(header):
        relations = [" ".join(found).lower().split() for found in _REL.findall(parameters)]
        if any("next" in words for words in relations):
            return t.cast(str, address)
    return None


def _same_origin(current: str, address: str, subject: str) -> str:
    """The next page's address. Raises Refused if it leads elsewhere, or would change who asks."""
    try:
        following = urllib.parse.urljoin(current, address.strip())
        stays = origin(following) == origin(current) and urllib.parse.urlsplit(following).username is None
    except ValueError:
        stays = False
    if not stays:
        raise Refused(f"{subject}: the next page is on another host or port, which is not asked. Nothing was changed.")
    return following


def only_match(lookup: Lookup, items: t.Sequence[t.Any], values: template.Values, subject: str) -> dict[str, t.Any]:
    """What C(set) picks from the one item that matches. Raises NotFound and Ambiguous."""
    wanted = [(path, _folded(lookup, template.render(value, values, "lookup.match"))) for path, value in lookup.match]
    found = [
        item
        for item in items
        if all(_same(_folded(lookup, _picked(path, item, subject)), value) for path, value in wanted)
    ]
    if not found:
        raise NotFound(f"{subject}: the service shows no such user. Nothing was changed.")
    if len(found) > 1:
        raise Ambiguous(
            f"{subject}: {len(found)} users match, and none is chosen by guessing. Nothing was changed. "
            "Make lookup.match stricter."
        )
    picked = {name: _picked(path, found[0], subject) for name, path in lookup.picked.items()}
    missing = [name for name, value in picked.items() if value is None]
    if missing:
        raise NotFound(f"{subject}: the user has no {missing[0]} (lookup.set). Nothing was changed.")
    return picked


def _folded(lookup: Lookup, value: t.Any) -> str | None:
    text = comparable(value)
    return text.casefold() if text is not None and lookup.case_insensitive else text


def _same(found: str | None, wanted: str | None) -> bool:
    return found is not None and found == wanted
