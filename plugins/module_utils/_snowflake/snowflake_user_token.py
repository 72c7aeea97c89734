# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What snowflake_user_token asks of Snowflake for the rotator of minted secrets.

Rules: docs.snowflake.com, "Using programmatic access tokens for authentication".
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
    NotFound,
    Refused,
    RotationError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import module_result
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation import token_options
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import rotate
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.token_plan import (
    Owner,
    Proof,
    Token,
    Wanted,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.tokens import Minted, TokenRotator, Tokens
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import connection, sql
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.client import (
    PROOFS_AT_ONCE,
    TAKES_TOKENS,
    Client,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.clock import ServiceClock, as_moment
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User, is_user, parse

MOST_TOKENS = 15
_LONGEST_LIFE = 365
# Snowflake's own, where no authentication policy says otherwise.
_DEFAULT_LIFE = 15
_METHOD = "PROGRAMMATIC_ACCESS_TOKEN"
# What Snowsight takes; our own names add 26 characters to the prefix.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,228}\Z")
_SERVICES = ("SERVICE", "SERVICE_AGENT", "LEGACY_SERVICE")

# Of the task, or of one user instead.
_OVERRULES: dict[str, dict[str, t.Any]] = {
    "role_restriction": {"type": "str", "no_log": False},
    "days_to_expiry": {"type": "int", "no_log": False},
}

SPEC = connection.CONNECTION_SPEC.merged(
    ArgumentSpec(
        options={
            "name": {"type": "str", "no_log": False},
            **token_options.USER_OPTIONS,
            "users": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {
                    "name": {"type": "str", "required": True, "no_log": False},
                    **token_options.USER_OPTIONS,
                    **token_options.OVERRULES,
                    **_OVERRULES,
                },
            },
            **token_options.TASK_OPTIONS,
            **_OVERRULES,
            "comment": {"type": "str", "no_log": False},
        },
        mutually_exclusive=[(name, "users") for name in ("name", *token_options.OF_ONE_USER)],
        required_one_of=[("name", "users")],
    )
)


@dataclasses.dataclass(frozen=True)
class SnowflakeUser(Wanted):
    """One user. role: that the token is restricted to. days: that it lives, None for Snowflake's default."""

    role: str | None = None
    days: int | None = None


class SnowflakeTokens(Tokens):
    """Programmatic access tokens of one account."""

    title = "Snowflake"
    proofs_at_once = PROOFS_AT_ONCE

    def __init__(self, client: Client, account: str, login: connection.Login, comment: str | None) -> None:
        self._client = client
        self._account = account
        self._login = login
        self._comment = comment
        self._clock = ServiceClock(client)
        self._types: dict[str, str] = {}

    def identity(self, item: Wanted) -> dict[str, str]:
        return {"name": item.name}

    def called(self, item: Wanted) -> str:
        return sql.exact_name(item.name)

    def last(self, item: Wanted) -> bool:
        return sql.same_name(self._login.user, item.name)

    def check(self, item: Wanted) -> None:
        if item.announced is not None:
            check_token_name(item.announced, "announced")
        # Whatever cannot be quoted is found here.
        self._add(item, item.announced or "")

    def session(self) -> contextlib.AbstractContextManager[None]:
        return self._client.session(self._login)

    def describe(self, item: Wanted) -> Owner:
        stored = sql.exact_name(item.name)
        user = parse(stored, self._client.execute(sql.describe_user(stored), f"Describing user {item.name}"))
        self._types[item.name] = (user.type or "").upper()
        by_own_token = self._login.credentials.get("authenticator") == _METHOD and is_user(self._login.user, user)
        return Owner(
            who=f"user {item.name}",
            facts={"login_name": user.login_name, "user_type": user.type, "account": self._account},
            room=MOST_TOKENS,
            refusal=_refusal(item, user, by_own_token),
            closed="user_disabled" if user.disabled else None,
            spared=None if by_own_token else frozenset(),
        )

    def listed(self, item: Wanted) -> tuple[Token, ...]:
        statement = sql.show_tokens(sql.exact_name(item.name))
        return tuple(map(_token, self._client.execute(statement, f"Listing tokens of user {item.name}")))

    def mint(self, item: Wanted, name: str) -> Minted:
        try:
            rows = self._client.execute(self._add(item, name), f"Adding the token {name} to user {item.name}")
        except (Refused, NotFound) as error:
            raise self._explained(item, error) from None
        secret = rows[0].get("token_secret") if len(rows) == 1 else None
        # In case that no list will tell.
        life = dt.timedelta(days=t.cast(SnowflakeUser, item).days or _DEFAULT_LIFE)
        return Minted(str(secret) if secret else None, expires=duration.now() + life)

    def revoke(self, item: Wanted, token: Token) -> None:
        statement = sql.remove_token(sql.exact_name(item.name), token.name)
        self._client.execute(statement, f"Removing the token {token.name} of user {item.name}")

    def login(self, item: Wanted, owner: Owner, secret: str) -> Proof:
        credentials = {"authenticator": _METHOD, "token": secret}
        answer = self._client.try_login(t.cast(str, owner.facts["login_name"]), credentials)
        return Proof(answer.verdict, answer.reason, answer.code)

    def now(self) -> dt.datetime:
        return self._clock.now()

    def _add(self, item: Wanted, name: str) -> str:
        user = t.cast(SnowflakeUser, item)
        return sql.add_token(sql.exact_name(user.name), name, user.role, user.days, self._comment)

    def _explained(self, item: Wanted, error: Refused | NotFound) -> RotationError:
        """What is probably missing; only an authentication policy, which nobody can read here, would lift it."""
        if isinstance(error, NotFound):
            # The user was described just now.
            error.msg += " It may also be the role of role_restriction."
            return error
        reason, role = error.evidence.get("refusal_reason"), t.cast(SnowflakeUser, item).role
        hints = {
            "NETWORK_POLICY": " The user must be subject to a network policy.",
            "AUTHENTICATION_POLICY": " The user's authentication policy does not allow it.",
        }
        hint = hints.get(str(reason), "")
        if not hint and self._types.get(item.name) in _SERVICES:
            missing = "role_restriction" if role is None else f"the role {role}, granted to it"
            hint = f" A user of TYPE={self._types[item.name]} needs {missing}, and a network policy."
        elif not hint and role is not None:
            hint = f" The role {role} must be granted to the user."
        return Refused(f"{error.msg}{hint}", evidence=error.evidence)


def _refusal(item: Wanted, user: User, by_own_token: bool) -> str | None:
    if by_own_token:
        return (
            f"The session was opened by a token of user {item.name} itself, and from such a session its tokens cannot "
            "be changed. Log in with a key pair, or as somebody else."
        )
    if user.disabled:
        return f"User {item.name} is disabled, and Snowflake disables the tokens of such a user. Enable it first."
    return None


def _token(row: t.Mapping[str, t.Any]) -> Token:
    status = str(row.get("status") or "").upper()
    return Token(
        name=str(row.get("name")),
        created=as_moment(row.get("created_on")),
        expires=as_moment(row.get("expires_at")),
        active={"ACTIVE": True, "EXPIRED": False, "DISABLED": False}.get(status),
        # Disabled ones count, expired ones do not.
        counts=status != "EXPIRED",
        details={"status": status, "role_restriction": row.get("role_restriction")},
    )


def check_token_name(name: str, option: str) -> None:
    if not _NAME.match(name):
        raise InvalidInput(f"{option} must consist of letters, digits and underscores, and begin with no digit.")


def read_user(params: t.Mapping[str, t.Any], task: t.Mapping[str, t.Any]) -> SnowflakeUser:
    """The user from its options; what it leaves open, the task says."""
    name = params["name"]
    try:
        fields = token_options.read_user(params, sql.bare_name)
        role, days = (params[option] if params[option] is not None else task[option] for option in _OVERRULES)
        if days is not None and not 1 <= days <= _LONGEST_LIFE:
            raise InvalidInput(f"days_to_expiry must be between 1 and {_LONGEST_LIFE}.")
        grace = (
            token_options.read_options(task).retire_after if fields["retire_after"] is None else fields["retire_after"]
        )
        token_options.check_lifetime(dt.timedelta(days=days or _DEFAULT_LIFE), grace, "days_to_expiry (default 15)")
        return SnowflakeUser(name, role=None if role is None else sql.exact_name(role, "role"), days=days, **fields)
    except InvalidInput as error:
        return SnowflakeUser(name, unusable=InvalidInput(f"User {name}: {error.msg}"))


def run(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """The module's return values for validated parameters."""
    single = params["users"] is None
    users = [params] if single else params["users"]
    if not users:
        raise InvalidInput("users is empty; there is nothing to do.")
    options = token_options.read_options(params)
    check_token_name(options.prefix, "token_name")
    wanted = [read_user(user, params) for user in users]
    resolved = connection.with_environment(params, os.environ)
    login = connection.login(resolved)
    endpoint = connection.endpoint(resolved)
    client = Client(endpoint, TAKES_TOKENS) if options.verify else Client(endpoint)
    options = dataclasses.replace(options, prefix=sql.bare_name(options.prefix))
    service = SnowflakeTokens(client, endpoint.account, login, params["comment"])
    outcomes = rotate(TokenRotator(service, options, check_mode=check_mode), wanted, check_mode=check_mode)
    return module_result(outcomes, single=single, noun="user")
