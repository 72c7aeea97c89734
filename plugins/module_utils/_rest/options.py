# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The validated options: what is the same for all users of a task. Nothing in here asks anybody anything."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.http import Wire
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import checked_url
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.auth import Auth, auth_from
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import Expression
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import (
    Params,
    Step,
    expression,
    headers_from,
    step_from,
)

USER_NAMES = frozenset({"username", "password", "old_password"})
TAKEN_NAMES = USER_NAMES | {"token"}


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
    common = headers_from(params["headers"], "headers")
    lookup = _lookup(params["lookup"]) if params["lookup"] else None
    verify = _verify(params["verify"], common, frozenset(secrets), lookup) if params["verify"] else None
    options = Options(
        url=checked_url(params["url"], option="url", allow_http=params["allow_http"], proxy=params["proxy"]),
        wire=Wire.from_params(params),
        allow_http=params["allow_http"],
        values={**variables, **secrets},
        headers=common,
        auth=auth_from(params["auth"] or {"type": "none"}, "auth"),
        lookup=lookup,
        change=step_from(params["change"], "change"),
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


def _lookup(given: Params) -> Lookup:
    if given["max_pages"] < 1:
        raise InvalidInput("lookup.max_pages must be at least 1.")
    return Lookup(
        step=step_from(given, "lookup"),
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
        url=expression(given["url"] or None, "lookup.next.url"),
        cursor=expression(given["cursor"] or None, "lookup.next.cursor"),
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
    step = step_from(given, "verify")
    auth = auth_from(given["auth"] or {"type": "none"}, "verify.auth")
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
