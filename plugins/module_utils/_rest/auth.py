# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Who asks: credentials as they are, or a login that gives a token."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import Expression
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import (
    TOKEN,
    Params,
    Step,
    check_path,
    expression,
    step_from,
)


@dataclasses.dataclass(frozen=True)
class Login:
    """A request whose answer holds a token. client: credentials for HTTP Basic, as templates."""

    step: Step
    token_path: Expression | None = None
    token_header: str | None = None
    client: tuple[str, str] | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True)
class Auth:
    """Who asks. user, password, token: templates. login: where the token comes from instead."""

    where: str
    header: str = "Authorization"
    prefix: str = ""
    basic: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    token: str | None = dataclasses.field(default=None, repr=False)
    login: Login | None = None


def _required(given: Params, keys: t.Sequence[str], where: str) -> list[t.Any]:
    missing = [key for key in keys if given.get(key) in (None, "")]
    if missing:
        raise InvalidInput(f"{where} of type {given['type']} needs {' and '.join(missing)}.")
    return [given[key] for key in keys]


# What each type is told by, beyond what has a default.
_TOLD_BY = {
    "none": set[str](),
    "bearer": {"token"},
    "basic": {"username", "password"},
    "header": {"token"},
    "oauth2_client_credentials": {"token_url", "client_id", "client_secret", "scope", "audience", "body_format"},
    "login": {"query", "headers", "body", "body_format", "fail_if", "token_path", "token_header"},
}


def auth_from(given: Params, where: str) -> Auth:
    kind = given["type"]
    idle = sorted(key for keys in _TOLD_BY.values() for key in keys - _TOLD_BY[kind] if given.get(key) is not None)
    if idle:
        raise InvalidInput(f"{where}.{idle[0]} has no meaning for the type {kind}.")
    if kind == "none":
        return Auth(where)
    if kind == "bearer":
        (token,) = _required(given, ["token"], where)
        return Auth(where, prefix="Bearer", token=template.credential(token, f"{where}.token"))
    if kind == "basic":
        user, password = _required(given, ["username", "password"], where)
        basic = template.credential(user, f"{where}.username"), template.credential(password, f"{where}.password")
        return Auth(where, basic=basic)
    if kind == "header":
        header, token = _required(given, ["header", "token"], where)
        return Auth(
            where, _header_name(header, where), given["prefix"], token=template.credential(token, f"{where}.token")
        )
    if kind == "login":
        return _login(given, where)
    return _client_credentials(given, where)


def _header_name(name: str, where: str) -> str:
    if not TOKEN.fullmatch(name):
        raise InvalidInput(f"{where}.header is no name of a header.")
    return name


def _login(given: Params, where: str) -> Auth:
    path, header = given["token_path"], given["token_header"]
    if bool(path) == bool(header):
        raise InvalidInput(f"{where} of type login needs one of token_path and token_header.")
    step = step_from(given, where, body_format=given["body_format"] or "json")
    login = Login(step, expression(path or None, f"{where}.token_path"), header or None)
    return Auth(where, _header_name(given["header"], where), given["prefix"], login=login)


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
    step = Step(
        where=where,
        method="POST",
        path=url,
        status=(200, 201),
        body=body,
        form=given["body_format"] != "json",
    )
    check_path(url, f"{where}.token_url")
    login = Login(step, Expression("access_token", where), client=(client, secret) if basic else None)
    return Auth(where, prefix="Bearer", login=login)
