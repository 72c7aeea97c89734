# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Who asks: credentials as they are, or steps that leave a token, cookies and values."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import Expression, Source
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import (
    TOKEN,
    Params,
    Step,
    check_path,
    step_from,
)

_TOKEN = "token"  # noqa: S105 (the name of a placeholder)


@dataclasses.dataclass(frozen=True)
class Auth:
    """Who asks. user, password, token: templates. steps: run before anything else; they may set the token."""

    where: str
    header: str = "Authorization"
    prefix: str = ""
    basic: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)
    steps: tuple[Step, ...] = ()
    logout: Step | None = None
    cookies: bool = False

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Of all placeholders in it, those of its steps too."""
        own = template.names([self.basic, self.token], self.where)
        steps = [*self.steps, *([self.logout] if self.logout else [])]
        return frozenset(own.union(*(step.names for step in steps)))


def _required(given: Params, keys: t.Sequence[str], where: str) -> list[t.Any]:
    missing = [key for key in keys if given.get(key) in (None, "")]
    if missing:
        raise InvalidInput(f"{where} of type {given['type']} needs {' and '.join(missing)}.")
    return [given[key] for key in keys]


_SESSION = {"before", "logout"}
_LOGIN = {"query", "headers", "body", "body_from", "fail_if", "auth_failed_if", "not_found_if", "reason", "set"}
# What each type is told by, beyond what has a default.
_TOLD_BY = {
    "none": set[str](),
    "bearer": {"token"},
    "basic": {"username", "password"},
    "header": {"token"},
    "oauth2_client_credentials": {"token_url", "client_id", "client_secret", "scope", "audience", "body_format"},
    "session": _SESSION,
    "login": {*_SESSION, *_LOGIN, "basic", "body_format", "token_path", "token_header"},
}


def auth_from(given: Params, where: str) -> Auth:
    kind = given["type"]
    idle = sorted(key for keys in _TOLD_BY.values() for key in keys - _TOLD_BY[kind] if given.get(key) is not None)
    if given.get("cookies") and not _TOLD_BY[kind] >= _SESSION:
        idle.append("cookies")
    if idle:
        raise InvalidInput(f"{where}.{idle[0]} has no meaning for the type {kind}.")
    if kind == "none":
        return Auth(where)
    if kind == "bearer":
        (token,) = _required(given, ["token"], where)
        return Auth(where, prefix="Bearer", token=template.credential(token, f"{where}.token"))
    if kind == "basic":
        return Auth(where, basic=_basic(given, where))
    if kind == "header":
        header, token = _required(given, ["header", "token"], where)
        return Auth(
            where, _header_name(header, where), given["prefix"], token=template.credential(token, f"{where}.token")
        )
    return _client_credentials(given, where) if kind == "oauth2_client_credentials" else _session(given, where)


def _basic(given: Params, where: str) -> tuple[str, str]:
    user, password = _required({"type": "basic", **given}, ["username", "password"], where)
    return template.credential(user, f"{where}.username"), template.credential(password, f"{where}.password")


def _header_name(name: str, where: str) -> str:
    if not TOKEN.fullmatch(name):
        raise InvalidInput(f"{where}.header is no name of a header.")
    return name


def steps_from(given: t.Sequence[Params] | None, where: str) -> tuple[Step, ...]:
    """The steps of C(before)."""
    return tuple(step_from(step, f"{where}.before[{number}]") for number, step in enumerate(given or []))


def _session(given: Params, where: str) -> Auth:
    """Steps, and for a login one more, which gives the token."""
    steps = steps_from(given["before"], where)
    logout = step_from(given["logout"], f"{where}.logout") if given["logout"] else None
    if given["type"] == "session":
        if not steps:
            raise InvalidInput(f"{where} of type session needs before.")
        return Auth(where, steps=steps, logout=logout, cookies=given["cookies"])
    path, header = given["token_path"], given["token_header"]
    if bool(path) == bool(header):
        raise InvalidInput(f"{where} of type login needs one of token_path and token_header.")
    token = (
        Source(f"{where}.token_path", Expression(path, f"{where}.token_path"))
        if path
        else Source(f"{where}.token_header", header=header.lower())
    )
    login = step_from(given, where, body_format=given["body_format"] or "json")
    basic = _basic(given["basic"], f"{where}.basic") if given["basic"] else None
    login = dataclasses.replace(login, basic=basic, picked={**login.picked, _TOKEN: token})
    auth = Auth(where, prefix=given["prefix"], steps=(*steps, login), logout=logout, cookies=given["cookies"])
    if not given["header"]:
        return auth
    return dataclasses.replace(auth, header=_header_name(given["header"], where), token="${token}")  # noqa: S106


def _client_credentials(given: Params, where: str) -> Auth:
    """RFC 6749, section 4.4; the client's credentials in the body or as HTTP Basic (section 2.3.1)."""
    url, client, secret = _required(given, ["token_url", "client_id", "client_secret"], where)
    client = template.credential(client, f"{where}.client_id")
    secret = template.credential(secret, f"{where}.client_secret")
    basic = given["client_auth"] == "basic"
    body = {"grant_type": "client_credentials"}
    if not basic:
        body |= {"client_id": client, "client_secret": secret}
    body |= {key: given[key] for key in ("scope", "audience") if given[key]}
    check_path(url, f"{where}.token_url")
    step = Step(
        where=where,
        method="POST",
        path=url,
        status=(200, 201),
        body=body,
        body_format=given["body_format"] or "form",
        picked={_TOKEN: Source(f"{where}.token_path", Expression("access_token", where))},
        basic=(client, secret) if basic else None,
        oauth=True,
    )
    return Auth(where, prefix="Bearer", token="${token}", steps=(step,))  # noqa: S106 (a placeholder)
