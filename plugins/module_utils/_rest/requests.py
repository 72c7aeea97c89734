# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""From a step and values to the request that goes over the wire. Pure."""

from __future__ import annotations

import base64
import functools
import json
import typing as t
import urllib.parse

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.transport import Request
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import checked_url
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import Options
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import Step
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.template import Values

_KINDS = {"json": "application/json", "form": "application/x-www-form-urlencoded", "text": "text/plain"}


def build(
    step: Step, options: Options, values: Values, common: t.Mapping[str, str], authorization: t.Mapping[str, str]
) -> Request:
    """The request. common, authorization: headers, the one with placeholders, the other without; the last one wins.

    Raises InvalidInput for values that cannot stand where they are put.
    """
    headers: dict[str, str] = {}
    body = _body(step, values)
    if body is not None:
        headers["Content-Type"] = _KINDS[step.body_format]
    for given, where in ((common, "headers"), (step.headers, f"{step.where}.headers")):
        for name, value in given.items():
            _put(headers, name, template.text(value, values, f"{where}.{name}"))
    for name, value in authorization.items():
        _put(headers, name, value)
    for name, value in headers.items():
        check_header(value, f"The header {name} of {step.where}")
        if body is not None and name.lower() == "content-type" and not _fits(step.body_format, value.lower()):
            raise InvalidInput(f"{step.where}: the header Content-Type contradicts body_format {step.body_format}.")
    address = _address(step, options, values)
    if step.query:
        where = f"{step.where}.query"
        address += "?" + _encoded(template.render(step.query, values, where), where)
    return Request(step.method, address, headers, body)


def _put(headers: dict[str, str], name: str, value: str) -> None:
    """Names of headers are the same in any case."""
    for known in [known for known in headers if known.lower() == name.lower()]:
        del headers[known]
    headers[name] = value


def check_header(value: str, what: str) -> None:
    if any(character in value for character in "\r\n\0"):
        raise InvalidInput(f"{what} contains a line break or NUL.")
    if value != value.strip():
        raise InvalidInput(f"{what} begins or ends with a blank, which HTTP drops.")


def _fits(body_format: str, content_type: str) -> bool:
    """A text may be anything that somebody has written by hand."""
    return body_format == "text" or ("json" if body_format == "json" else _KINDS["form"]) in content_type


def _address(step: Step, options: Options, values: Values) -> str:
    where = f"{step.where}.path"
    path = template.text(step.path, values, where, encode=functools.partial(_segment, where))
    if path and not path.startswith("/"):
        checked_url(path, option=where, allow_http=options.allow_http, proxy=options.wire.proxy)
        address = path
    else:
        address = options.url + path
    segments = urllib.parse.urlsplit(address).path.split("/")
    if any(urllib.parse.unquote(segment) in (".", "..") for segment in segments):
        raise InvalidInput(f"{where} has a segment . or .., which leads elsewhere.")
    return address


def _segment(where: str, value: str) -> str:
    if not value:
        raise InvalidInput(f"{where}: a placeholder is empty, so the address would be another one.")
    return template.percent(value)


def _encoded(given: t.Mapping[str, t.Any], where: str) -> str:
    """Pairs as HTML forms encode them; a list repeats its name."""
    pairs = [
        (template.as_text(str(name), where), template.as_text(item, f"{where}.{name}"))
        for name, value in given.items()
        for item in (value if isinstance(value, (list, tuple)) else [value])
    ]
    return urllib.parse.urlencode(pairs)


def _body(step: Step, values: Values) -> bytes | None:
    if step.body is None and step.body_from is None:
        return None
    where = f"{step.where}.body"
    if step.body_format == "text":
        return template.text(step.body, values, where).encode()
    rendered = template.render(step.body or {} if step.body_from else step.body, values, where)
    if step.body_from:
        whole = template.render(step.body_from, values, f"{where}_from")
        if not isinstance(whole, dict):
            raise InvalidInput(f"{where}_from is no object, so there is nothing to merge with.")
        rendered = _merged(whole, rendered)
    if step.body_format == "form":
        return _encoded(rendered, where).encode()
    try:
        return json.dumps(rendered, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput(f"{where} cannot be written as JSON.") from None


def _merged(whole: t.Any, patch: t.Any) -> t.Any:
    """RFC 7396: what the patch names wins, and null removes."""
    if not isinstance(patch, dict):
        return patch
    kept = {key: value for key, value in (whole if isinstance(whole, dict) else {}).items() if key not in patch}
    before = whole if isinstance(whole, dict) else {}
    return {**kept, **{key: _merged(before.get(key), value) for key, value in patch.items() if value is not None}}


def basic(user: str, password: str, where: str) -> str:
    """The value of Authorization for HTTP Basic, in UTF-8 (RFC 7617). Raises InvalidInput."""
    if ":" in user:
        raise InvalidInput(f"{where}: the user name contains a colon, which HTTP Basic cannot carry.")
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def with_param(url: str, name: str, value: str) -> str:
    """The address with this query parameter instead of any of its name."""
    parts = urllib.parse.urlsplit(url)
    pairs = [pair for pair in urllib.parse.parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode([*pairs, (name, value)])))
