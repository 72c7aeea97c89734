# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The validated options: what is the same for all users of a task. Nothing in here asks anybody anything."""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.http import Wire, checked_url
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import Expression

Params = t.Mapping[str, t.Any]

USER_NAMES = frozenset({"username", "password", "old_password"})
TAKEN_NAMES = USER_NAMES | {"token"}
# RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
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


@dataclasses.dataclass(frozen=True)
class Paging:
    """How the next page is found; one of link, url, cursor, header, or param alone."""

    link: bool = False
    url: Expression | None = None
    cursor: Expression | None = None
    header: str | None = None
    param: str | None = None
    start: int = 1
    step: int = 1

    @property
    def counts(self) -> bool:
        return self.param is not None and self.cursor is None and self.header is None


@dataclasses.dataclass(frozen=True)
class Lookup:
    """How a user is found."""

    step: Step
    items: Expression
    match: t.Sequence[tuple[Expression, t.Any]]
    case_insensitive: bool
    picked: t.Mapping[str, Expression]
    paging: Paging | None
    max_pages: int


@dataclasses.dataclass(frozen=True)
class Verify:
    """A login as the user. delay: seconds. headers: the common ones that do not vouch for the user."""

    step: Step
    auth: Auth
    rejected: tuple[int, ...]
    attempts: int
    delay: float
    headers: t.Mapping[str, str]
    needs_lookup: bool


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for all users of the task. values: of vars and secrets."""

    url: str
    wire: Wire
    allow_http: bool
    values: t.Mapping[str, t.Any] = dataclasses.field(repr=False)
    headers: t.Mapping[str, str]
    auth: Auth
    lookup: Lookup | None
    change: Step
    verify: Verify | None
    always: bool
    rollback: bool


def options_from(params: Params) -> Options:
    """From module parameters. Raises InvalidInput for whatever can be seen without a user."""
    variables, secrets = params["vars"] or {}, params["secrets"] or {}
    _check_names(variables, secrets)
    common = _headers(params["headers"], "headers")
    lookup = _lookup(params["lookup"]) if params["lookup"] else None
    verify = _verify(params["verify"], common, frozenset(secrets), lookup) if params["verify"] else None
    options = Options(
        url=checked_url(params["url"], option="url", allow_http=params["allow_http"], proxy=params["proxy"]),
        wire=Wire.from_params(params),
        allow_http=params["allow_http"],
        values={**variables, **secrets},
        headers=common,
        auth=_auth(params["auth"] or {"type": "none"}, "auth"),
        lookup=lookup,
        change=_step(params["change"], "change"),
        verify=verify,
        always=params["update_password"] == "always",
        rollback=params["rollback"] == "old_password",
    )
    if options.rollback and verify is None:
        raise InvalidInput("rollback needs verify: only a login can tell that the new password is not in force.")
    _check_placeholders(options, frozenset(secrets), secrets_in_url=params["allow_secrets_in_url"])
    return options


def _check_names(variables: Params, secrets: Params) -> None:
    for option, given in (("vars", variables), ("secrets", secrets)):
        taken = sorted(TAKEN_NAMES & given.keys())
        if taken:
            raise InvalidInput(f"{option} must not hold {', '.join(taken)}: that name is taken.")
    both = sorted(variables.keys() & secrets.keys())
    if both:
        raise InvalidInput(f"{', '.join(both)} is both in vars and in secrets.")
    for name, value in secrets.items():
        if not isinstance(value, str) or not value:
            raise InvalidInput(f"secrets.{name} must be a text that is not empty.")


def _check_placeholders(options: Options, secrets: frozenset[str], *, secrets_in_url: bool) -> None:
    """Every placeholder has a name that is known where it stands, and no secret stands in an address."""
    picked = set(options.lookup.picked) if options.lookup else set()
    base = set(options.values) | USER_NAMES
    clash = sorted(picked & (base | TAKEN_NAMES))
    if clash:
        raise InvalidInput(f"lookup.set must not hold {', '.join(clash)}: that name is taken.")
    login = options.auth.login
    places: list[tuple[Step | None, t.Any, set[str], str]] = [
        (None, options.headers, base, "headers"),
        (None, [options.auth.basic, options.auth.token], base, "auth"),
        (login.step if login else None, login.client if login else None, base, "auth"),
        (options.change, None, base | picked, "change"),
    ]
    if options.lookup:
        places.append((options.lookup.step, [wanted for _path, wanted in options.lookup.match], base, "lookup"))
    if options.verify:
        own = options.verify.auth
        places.append((options.verify.step, [own.basic, own.token], base | picked, "verify"))
    for step, more, known, where in places:
        parts = [more, step.path, step.query, step.headers, step.body] if step else [more]
        unknown = sorted(template.names(parts, where) - known)
        if unknown:
            raise InvalidInput(f"{where}: the placeholder ${{{unknown[0]}}} is not known here.")
        exposed = sorted(
            template.names([step.path, step.query], where) & (secrets | {"password", "old_password"}) if step else set()
        )
        if exposed and not secrets_in_url:
            raise InvalidInput(
                f"{where} puts the secret {exposed[0]} into the address, where servers and proxies log it. "
                "Set allow_secrets_in_url if the service knows no other way."
            )


def _step(given: Params, where: str, **instead: t.Any) -> Step:
    given = {**given, **instead}
    form = given["body_format"] == "form"
    body = given["body"]
    if body is not None and not isinstance(body, dict if form else (dict, list)):
        raise InvalidInput(f"{where}.body must be a mapping{'' if form else ' or a list'}.")
    if not given["status"]:
        raise InvalidInput(f"{where}.status is empty, so no answer could mean yes.")
    if not _TOKEN.fullmatch(given["method"]):
        raise InvalidInput(f"{where}.method is no HTTP method.")
    _check_path(given["path"], f"{where}.path")
    return Step(
        where=where,
        method=given["method"].upper(),
        path=given["path"],
        status=tuple(given["status"]),
        query=given["query"] or {},
        headers=_headers(given["headers"], f"{where}.headers"),
        body=body,
        form=form,
        fail_if=_expression(given["fail_if"], f"{where}.fail_if"),
    )


def _check_path(path: str, where: str) -> None:
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


def _headers(given: Params | None, where: str) -> dict[str, str]:
    headers = {}
    for name, value in (given or {}).items():
        if not _TOKEN.fullmatch(str(name)):
            raise InvalidInput(f"{where}: one of the names is no name of a header.")
        headers[str(name)] = template.as_text(value, f"{where}.{name}")
    return headers


def _expression(text: str | None, where: str) -> Expression | None:
    return None if text is None else Expression(text, where)


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


def _auth(given: Params, where: str) -> Auth:
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
    if not _TOKEN.fullmatch(name):
        raise InvalidInput(f"{where}.header is no name of a header.")
    return name


def _login(given: Params, where: str) -> Auth:
    path, header = given["token_path"], given["token_header"]
    if bool(path) == bool(header):
        raise InvalidInput(f"{where} of type login needs one of token_path and token_header.")
    step = _step(given, where, body_format=given["body_format"] or "json")
    login = Login(step, _expression(path or None, f"{where}.token_path"), header or None)
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
    _check_path(url, f"{where}.token_url")
    login = Login(step, Expression("access_token", where), client=(client, secret) if basic else None)
    return Auth(where, prefix="Bearer", login=login)


def _lookup(given: Params) -> Lookup:
    if given["max_pages"] < 1:
        raise InvalidInput("lookup.max_pages must be at least 1.")
    return Lookup(
        step=_step(given, "lookup"),
        items=Expression(given["items"], "lookup.items"),
        match=[(Expression(path, "lookup.match"), wanted) for path, wanted in (given["match"] or {}).items()],
        case_insensitive=given["case_insensitive"],
        picked={name: Expression(path, f"lookup.set.{name}") for name, path in (given["set"] or {}).items()},
        paging=_paging(given["next"]) if given["next"] else None,
        max_pages=given["max_pages"],
    )


def _paging(given: Params) -> Paging:
    kinds = {
        "link": bool(given["link"]) and not given["param"],
        "url": bool(given["url"]) and not given["param"],
        "cursor": bool(given["cursor"] and given["param"]),
        "header": bool(given["header"] and given["param"]),
    }
    named = [name for name in kinds if given[name]]
    counts = not named and bool(given["param"])
    if not counts and (len(named) != 1 or not kinds[named[0]]):
        raise InvalidInput(
            "lookup.next must be one of: link; url; cursor and param; header and param; param with start and step."
        )
    if counts and given["step"] == 0:
        raise InvalidInput("lookup.next.step is 0, so there would be no next page.")
    return Paging(
        link=bool(given["link"]),
        url=_expression(given["url"] or None, "lookup.next.url"),
        cursor=_expression(given["cursor"] or None, "lookup.next.cursor"),
        header=given["header"] or None,
        param=given["param"] or None,
        start=given["start"],
        step=given["step"],
    )


def _verify(given: Params, common: t.Mapping[str, str], secrets: frozenset[str], lookup: Lookup | None) -> Verify:
    if given["attempts"] < 1 or not 0 <= given["delay"] < math.inf:
        raise InvalidInput("verify.attempts must be at least 1, and verify.delay not less than 0.")
    if set(given["rejected"]) & set(given["status"]):
        raise InvalidInput("verify: a status stands in status and in rejected, so its meaning is not clear.")
    step = _step(given, "verify")
    auth = _auth(given["auth"] or {"type": "none"}, "verify.auth")
    used = template.names([step.path, step.query, step.headers, step.body, auth.basic, auth.token], "verify")
    return Verify(
        step=step,
        auth=auth,
        rejected=tuple(given["rejected"]),
        attempts=given["attempts"],
        delay=given["delay"],
        headers={name: value for name, value in common.items() if not template.names(value, "headers") & secrets},
        needs_lookup=lookup is not None and bool(used & lookup.picked.keys()),
    )
