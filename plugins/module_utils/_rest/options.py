# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The validated options: what is the same for all users of a task. Nothing in here asks anybody anything."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import checked_url
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import Wire
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.auth import Auth, auth_from, steps_from
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import Expression
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import LOOKUP
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import (
    Params,
    Step,
    expression,
    headers_from,
    step_from,
)

STAND_IN = "(from an answer)"
USER_NAMES = frozenset({"username", "password", "old_password"})
TAKEN_NAMES = USER_NAMES | {"token"}
# More logins at the same time look like an attack.
_MOST_AT_ONCE = 10


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
    """One step of finding a user; what its step picks is asked of the item that matches."""

    step: Step
    items: Expression
    match: t.Sequence[tuple[Expression, t.Any]]
    case_insensitive: bool
    paging: Paging | None
    max_pages: int
    null_is_none: bool = True


@dataclasses.dataclass(frozen=True)
class Verify:
    """A login as the user. delay: seconds. headers: the common ones that do not vouch for the user.

    before: steps that run first in each login. control: whether an accepted login has to be checked with a password
    that is wrong.
    """

    step: Step
    auth: Auth
    before: tuple[Step, ...]
    cookies: bool
    rejected: tuple[int, ...]
    rejected_if: Expression | None
    accepted_if: Expression | None
    control: bool
    attempts: int
    delay: float
    headers: t.Mapping[str, str]

    @functools.cached_property
    def names(self) -> frozenset[str]:
        """Of all placeholders in it."""
        return self.step.names.union(self.auth.names, *(step.names for step in self.before))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What holds for all users of any task. values: of vars and secrets.

    own: placeholders of one user. own_secrets: those of them that vouch for the user. minted: of what the
    service makes.
    """

    own: t.ClassVar[frozenset[str]]
    own_secrets: t.ClassVar[frozenset[str]]
    minted: t.ClassVar[frozenset[str]] = frozenset()

    url: str
    wire: Wire
    allow_http: bool
    values: t.Mapping[str, t.Any] = dataclasses.field(repr=False)
    headers: t.Mapping[str, str]
    auth: Auth
    lookups: tuple[Lookup, ...]
    verify: Verify | None

    @property
    def work(self) -> tuple[Step, ...]:
        """The administrator's steps after the lookups."""
        raise NotImplementedError

    @functools.cached_property
    def picked(self) -> frozenset[str]:
        """What the lookups leave to the steps after them."""
        return frozenset(name for lookup in self.lookups for name in lookup.step.picked)

    @functools.cached_property
    def stand_ins(self) -> dict[str, t.Any]:
        """A value for each name that only an answer will give, to try out what comes of the others."""
        before = [*self.auth.steps, *(self.verify.before if self.verify else ())]
        steps = [*before, *self.work, *(lookup.step for lookup in self.lookups)]
        wholes = template.names([step.body_from for step in steps], "body_from")
        names = (self.picked | self.minted).union(*(step.picked for step in (*before, *self.work)))
        return {name: {} if name in wholes else STAND_IN for name in names}

    @functools.cached_property
    def own_login(self) -> bool:
        """Whether the user itself asks, so that there is a session for each."""
        return bool(self.auth.names & self.own)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PasswordOptions(Options):
    """Of rest_password_rotate. verify_parallel: how many users are proved at the same time."""

    own = USER_NAMES
    own_secrets = frozenset({"old_password"})

    change: Step
    always: bool
    rollback: bool
    verify_parallel: int

    @property
    def work(self) -> tuple[Step, ...]:
        return (self.change,)


def common_options(params: Params, taken: t.AbstractSet[str]) -> dict[str, t.Any]:
    """The fields of Options. taken: names that vars and secrets must not have. Raises InvalidInput."""
    variables, secrets = params["vars"] or {}, params["secrets"] or {}
    _check_names(variables, secrets, taken)
    common = headers_from(params["headers"], "headers")
    return {
        "url": checked_url(params["url"], option="url", allow_http=params["allow_http"], proxy=params["proxy"]),
        "wire": Wire.from_params(params),
        "allow_http": params["allow_http"],
        "values": {**variables, **secrets},
        "headers": common,
        "auth": auth_from(params["auth"] or {"type": "none"}, "auth"),
        "lookups": _lookups(params["lookup"]),
        "verify": _verify(params["verify"], common, frozenset(secrets)) if params["verify"] else None,
    }


def options_from(params: Params) -> PasswordOptions:
    """From module parameters. Raises InvalidInput for whatever can be seen without a user."""
    options = PasswordOptions(
        **common_options(params, TAKEN_NAMES),
        change=step_from(params["change"], "change"),
        always=params["update_password"] == "always",
        rollback=params["rollback"] == "old_password",
        verify_parallel=params["verify_parallel"],
    )
    if not 1 <= options.verify_parallel <= _MOST_AT_ONCE:
        raise InvalidInput(f"verify_parallel must be from 1 to {_MOST_AT_ONCE}.")
    if options.rollback and options.verify is None:
        raise InvalidInput("rollback needs verify: only a login can tell that the new password is not in force.")
    for where, step, names in (
        ("change", options.change, options.change.names),
        *([("verify", options.verify.step, options.verify.names)] if options.verify else []),
    ):
        if "password" not in names:
            raise InvalidInput(f"{where} does not use ${{password}}, so it has nothing to do with the new one.")
        if step.picked:
            raise InvalidInput(f"{where}.set has no meaning: no step comes after it.")
    session = check_placeholders(options)
    in_order([options.change], session)
    check_addresses(options, params)
    return options


def _check_names(variables: Params, secrets: Params, taken: t.AbstractSet[str]) -> None:
    for option, given in (("vars", variables), ("secrets", secrets)):
        clash = sorted(taken & given.keys())
        if clash:
            raise InvalidInput(f"{option} must not hold {', '.join(clash)}: that name is taken.")
    both = sorted(variables.keys() & secrets.keys())
    if both:
        raise InvalidInput(f"{', '.join(both)} is both in vars and in secrets.")
    for name, value in secrets.items():
        if not isinstance(value, str) or not value:
            raise InvalidInput(f"secrets.{name} must be a text that is not empty.")


def check_placeholders(options: Options, proved: t.AbstractSet[str] = frozenset()) -> set[str]:
    """The names that the administrator's work may use. Every placeholder before it has a name that is known there.

    proved: what else is known in the login that proves. Raises InvalidInput.
    """
    auth, verify = options.auth, options.verify
    known = set(options.values) | options.own
    _check_known("headers", template.names(options.headers, "headers"), known)
    session = in_order([*auth.steps], known)
    _check_known(auth.where, auth.names - frozenset().union(*(step.names for step in auth.steps)), session)
    if auth.logout:
        in_order([auth.logout], session)
    for lookup in options.lookups:
        session = _after_lookup(lookup, session)
    if verify:
        # The administrator's session is not the user's.
        own = in_order([*verify.before, verify.step], known | options.picked | proved)
        _check_known("verify", verify.auth.names, own)
    return session


def _after_lookup(lookup: Lookup, known: set[str]) -> set[str]:
    check_match(lookup, known)
    return in_order([lookup.step], known)


def check_match(lookup: Lookup, known: t.AbstractSet[str]) -> None:
    wanted = template.names([wanted for _path, wanted in lookup.match], lookup.step.where)
    _check_known(lookup.step.where, wanted, known)


def check_addresses(options: Options, params: Params) -> None:
    """Raise InvalidInput for a secret in an address."""
    auth, verify = options.auth, options.verify
    steps = [*auth.steps, *([auth.logout] if auth.logout else []), *(lookup.step for lookup in options.lookups)]
    steps += [*options.work, *((*verify.before, verify.step) if verify else ())]
    hidden = (params["secrets"] or {}).keys() | {"password", "token"} | options.own_secrets
    for step in steps:
        exposed = sorted(template.names([step.path, step.query], step.where) & hidden)
        if exposed and not params["allow_secrets_in_url"]:
            raise InvalidInput(
                f"{step.where} puts the secret {exposed[0]} into the address, where servers and proxies log it. "
                "Set allow_secrets_in_url if the service knows no other way."
            )


def in_order(steps: t.Sequence[Step], known: set[str]) -> set[str]:
    """The names that are known after the steps. Raises InvalidInput."""
    for step in steps:
        _check_known(step.where, step.names, known)
        # The token of a login is no name of a C(set).
        named = {name for name, source in step.picked.items() if ".set." in source.where}
        clash = sorted(named & (known | TAKEN_NAMES))
        if clash:
            raise InvalidInput(f"{step.where}.set must not hold {', '.join(clash)}: that name is taken.")
        known = known | step.picked.keys()
    return known


def _check_known(where: str, used: t.AbstractSet[str], known: t.AbstractSet[str]) -> None:
    unknown = sorted(used - known)
    if unknown:
        raise InvalidInput(f"{where}: the placeholder ${{{unknown[0]}}} is not known here.")


def _lookups(given: t.Any) -> tuple[Lookup, ...]:
    """One mapping is a list of one. It is of type raw, so its keys are checked here."""
    if not given:
        return ()
    found = []
    for number, entry in enumerate(given if isinstance(given, list) else [given]):
        where = f"lookup[{number}]" if isinstance(given, list) else "lookup"
        if not isinstance(entry, dict):
            raise InvalidInput(f"{where} must be a mapping.")
        checked = ArgumentSpecValidator(LOOKUP).validate(entry)
        if checked.error_messages:
            raise InvalidInput(f"{where}: {' '.join(checked.error_messages)}")
        found.append(lookup_from(checked.validated_parameters, where))
    return tuple(found)


def lookup_from(given: Params, where: str) -> Lookup:
    if given["max_pages"] < 1:
        raise InvalidInput(f"{where}.max_pages must be at least 1.")
    return Lookup(
        step=step_from(given, where),
        items=Expression(given["items"], f"{where}.items"),
        match=[(Expression(path, f"{where}.match"), wanted) for path, wanted in (given["match"] or {}).items()],
        case_insensitive=given["case_insensitive"],
        paging=_paging(given["next"], f"{where}.next") if given["next"] else None,
        max_pages=given["max_pages"],
    )


def _paging(given: Params, where: str) -> Paging:
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
            f"{where} must be one of: link; url; cursor and param; header and param; param with start and step."
        )
    if counts and given["step"] == 0:
        raise InvalidInput(f"{where}.step is 0, so there would be no next page.")
    return Paging(
        link=bool(given["link"]),
        url=expression(given["url"] or None, f"{where}.url"),
        cursor=expression(given["cursor"] or None, f"{where}.cursor"),
        header=given["header"] or None,
        param=given["param"] or None,
        start=given["start"],
        step=given["step"],
    )


def _verify(given: Params, common: t.Mapping[str, str], secrets: frozenset[str]) -> Verify:
    if given["attempts"] < 1 or not 0 <= given["delay"] < math.inf:
        raise InvalidInput("verify.attempts must be at least 1, and verify.delay not less than 0.")
    if set(given["rejected"]) & set(given["status"]):
        raise InvalidInput("verify: a status stands in status and in rejected, so its meaning is not clear.")
    if given["fail_if"] is not None and given["rejected_if"] is not None:
        raise InvalidInput("verify.fail_if is the older name of rejected_if: only one of them can be given.")
    rejected_if = given["rejected_if"] if given["fail_if"] is None else given["fail_if"]
    return Verify(
        step=step_from(given, "verify", fail_if=None),
        auth=auth_from(given["auth"] or {"type": "none"}, "verify.auth"),
        before=steps_from(given["before"], "verify"),
        cookies=given["cookies"],
        rejected=tuple(given["rejected"]),
        rejected_if=expression(rejected_if, "verify.rejected_if"),
        accepted_if=expression(given["accepted_if"], "verify.accepted_if"),
        control=given["control"] == "once",
        attempts=given["attempts"],
        delay=given["delay"],
        headers={name: value for name, value in common.items() if not template.names(value, "headers") & secrets},
    )
