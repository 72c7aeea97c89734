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
from ansible_collections.keyturn.credentials.plugins.module_utils._core.transport import Answer, Request
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import origin
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import Lookup, Paging
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import (
    CannotPick,
    Expression,
    Source,
    comparable,
    content,
    truth,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.requests import with_param

# One entry of a Link header, RFC 8288: <address>; parameters
# No part of it can be reached from many places in a header, so that the time is linear.
_LINK = re.compile(r"<([^<>]*)>|;\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))|\"[^\"]*\"", re.IGNORECASE)

Item = tuple[t.Any, Answer]


def every_item(lookup: Lookup, first: Request, ask: t.Callable[[Request], Answer], subject: str) -> list[Item]:
    """The items of all pages, each with the answer that held it.

    Raises Refused for an answer without the expected shape, and for too many pages.
    """
    paging, items = lookup.paging, list[Item]()
    request = first
    if paging and paging.counts:
        request = _with(first, t.cast(str, paging.param), str(paging.start))
    for number in itertools.count(1):
        answer = ask(request)
        data = content(answer)
        page = _items(lookup, data, subject)
        following = _following(lookup, paging, first, request, answer, data, page, number, subject) if paging else None
        # A page beyond the limit is only asked for where nothing but an empty page can tell the end.
        if (
            number > lookup.max_pages
            and page
            or following
            and number == lookup.max_pages
            and not (paging and paging.counts)
        ):
            raise Refused(
                f"{subject}: there are more than {lookup.max_pages} pages ({lookup.step.where}.max_pages), so a "
                "second match could be overlooked."
            )
        items += [(item, answer) for item in page]
        if following is None:
            return items
        request = following
    raise AssertionError("not reached")


def _with(request: Request, name: str, value: str) -> Request:
    value = template.as_text(value, f"The parameter {name} of the next page")
    return dataclasses.replace(request, url=with_param(request.url, name, value))


def _picked(expression: t.Callable[..., t.Any], *data: t.Any, subject: str) -> t.Any:
    try:
        return expression(*data)
    except CannotPick as where:
        raise Refused(f"{subject}: {where} does not fit the answer.") from None


def _items(lookup: Lookup, data: t.Any, subject: str) -> list[t.Any]:
    found = _picked(lookup.items, data, subject=subject)
    if found is None and isinstance(data, str) and lookup.match:
        raise Refused(f"{subject}: the answer is not JSON.")
    if found is None and not lookup.null_is_none:
        raise Refused(f"{subject}: {lookup.items.where} picks nothing of the answer.")
    if found is None:
        return []
    # Without a match, an answer of one word is about the one user who was asked for.
    if isinstance(found, dict) or not (lookup.match or isinstance(found, list)):
        found = [found]
    if not isinstance(found, list):
        raise Refused(f"{subject}: {lookup.items.where} picks neither a list nor an object.")
    return [item for item in found if item is not None and item is not False and item != ""]


def _following(
    lookup: Lookup,
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
        found = _picked(t.cast(Expression, paging.url or paging.cursor), data, subject=subject)
    if not truth(found):
        return None
    if not isinstance(found, (str, int, float)):
        raise Refused(f"{subject}: {lookup.step.where}.next picks neither a text nor a number.")
    if paging.param:
        return _with(first, paging.param, str(found))
    return dataclasses.replace(request, url=_same_origin(request.url, str(found), subject))


def _next_link(header: str) -> str | None:
    address: str | None = None
    for found in _LINK.finditer(header):
        if found[1] is not None:
            address = found[1]
        elif "next" in (found[2] or found[3] or "").lower().split():
            return address
    return None


def _same_origin(current: str, address: str, subject: str) -> str:
    """The next page's address. Raises Refused if it leads elsewhere, or would change who asks."""
    try:
        following = urllib.parse.urljoin(current, address.strip())
        stays = origin(following) == origin(current) and urllib.parse.urlsplit(following).username is None
    except ValueError:
        stays = False
    if not stays:
        raise Refused(f"{subject}: the next page is on another host or port, which is not asked.")
    return following


def matching(lookup: Lookup, items: t.Sequence[Item], values: template.Values, subject: str) -> list[Item]:
    """The items that give all the values of C(match)."""
    where = f"{lookup.step.where}.match"
    wanted = [(path, _folded(lookup, template.render(value, values, where))) for path, value in lookup.match]
    return [
        (item, answer)
        for item, answer in items
        if all(_same(_folded(lookup, _picked(path, item, subject=subject)), value) for path, value in wanted)
    ]


def pick_each(sources: t.Mapping[str, Source], item: Item, subject: str) -> dict[str, t.Any]:
    """What each source picks of the item, None for nothing. Raises Refused where one does not fit."""
    return {name: _picked(source, *item, subject=subject) for name, source in sources.items()}


def only_match(lookup: Lookup, items: t.Sequence[Item], values: template.Values, subject: str) -> dict[str, t.Any]:
    """What C(set) picks from the one item that matches. Raises NotFound and Ambiguous."""
    where = lookup.step.where
    found = matching(lookup, items, values, subject)
    if not found:
        raise NotFound(f"{subject}: the service shows no such user.")
    if len(found) > 1:
        raise Ambiguous(
            f"{subject}: {len(found)} users match, and none is chosen by guessing.",
            advice=f"Make {where}.match stricter.",
        )
    picked = pick_each(lookup.step.picked, found[0], subject)
    missing = [name for name, value in picked.items() if value is None and not lookup.step.picked[name].has_default]
    if missing:
        raise NotFound(f"{subject}: the user has no {missing[0]} ({where}.set).")
    return picked


def _folded(lookup: Lookup, value: t.Any) -> str | None:
    text = comparable(value)
    return text.lower() if text is not None and lookup.case_insensitive else text


def _same(found: str | None, wanted: str | None) -> bool:
    return found is not None and found == wanted
