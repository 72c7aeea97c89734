# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programmatic access tokens: ADD, ROTATE, MODIFY and REMOVE, and whether one may log in.

Rules: docs.snowflake.com, "Using programmatic access tokens". Texts and numbers of the refusals are (unverified).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import secrets
import typing as t

from tests.sandbox.snowflake import errors
from tests.sandbox.snowflake.account import Account
from tests.sandbox.snowflake.alter import read_value
from tests.sandbox.snowflake.names import fold, same
from tests.sandbox.snowflake.session import Session, Table, status
from tests.sandbox.snowflake.sql import Statement, Value
from tests.sandbox.snowflake.users import AccessToken, User

_DEFAULT_HOURS = 24
_LISTED_AFTER_EXPIRY = dt.timedelta(days=30)
_SERVICES = ("SERVICE", "SERVICE_AGENT", "LEGACY_SERVICE")
# These need a network policy to be given a token; others only to use it, and agents never.
_GIVEN_BY_POLICY = ("SERVICE", "LEGACY_SERVICE")
_SETTINGS = {"DISABLED": "bool", "MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT": "int", "COMMENT": "text"}
_OPTIONS: dict[str, dict[str, str]] = {
    "ADD PAT": {
        "ROLE_RESTRICTION": "name",
        "DAYS_TO_EXPIRY": "int",
        "MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT": "int",
        "COMMENT": "text",
    },
    "ROTATE PAT": {"EXPIRE_ROTATED_TOKEN_AFTER_HOURS": "int"},
    "MODIFY PAT": _SETTINGS,
    "UNSET PAT": _SETTINGS,
    "RENAME PAT": {"TO": "name"},
    "REMOVE PAT": {},
}


def change(account: Account, session: Session, user: User, statement: Statement) -> Table:
    """Carry out one PAT statement on a draft of the user, and answer it."""
    values = _values(statement)
    if _own_session(account, session, user):
        raise account.token_refusal("own_session")
    _forget_expired(account, user)
    name = statement.item
    if statement.action == "ADD PAT":
        if name in user.pats:
            if "IF NOT EXISTS" in statement.flags:
                return status(f"{name} already exists, statement succeeded.")
            raise errors.already_exists("Programmatic access token", name)
        return _add(account, session, user, name, values)
    if name not in user.pats:
        raise errors.no_such("Programmatic access token", name)
    token = user.pats[name]
    if statement.action == "ROTATE PAT":
        return _rotate(account, session, user, token, values)
    if statement.action == "REMOVE PAT":
        del user.pats[name]
        return status(f"Programmatic access token {name} successfully removed.")
    if statement.action == "RENAME PAT":
        _rename(user, token, values["TO"])
    for option, value in values.items() if statement.action != "RENAME PAT" else ():
        setattr(token, option.lower(), value)
    return status("Statement executed successfully.")


def listed(account: Account, user: User) -> list[AccessToken]:
    """What SHOW lists: expired ones for another 30 days."""
    _forget_expired(account, user)
    return list(user.pats.values())


def find(account: Account, user: User, secret: str) -> AccessToken | None:
    """The user's token that this text is, whatever its state."""
    return next((token for token in user.pats.values() if secret and same(token.secret, secret)), None)


def why_not(account: Account, user: User, token: AccessToken | None) -> str | None:
    """Why no login is possible with it, as a key of ``Account.login_codes``; None where one is."""
    now = account.clock()
    if token is None or now < token.created_on + account.token_delay:
        return "pat"
    if token.status(now) != "ACTIVE":
        return f"pat_{token.status(now).lower()}"
    if token.role_restriction is not None and not account.may_use(user, token.role_restriction):
        return "pat_role"
    bypassed = token.mins_to_bypass_network_policy_requirement or 0
    if _lacks_policy(account, user) and now >= token.created_on + dt.timedelta(minutes=bypassed):
        return "network_policy_required"
    return None


def _values(statement: Statement) -> dict[str, t.Any]:
    known = _OPTIONS[statement.action]
    for name in statement.values:
        if name not in known:
            raise errors.invalid_property(name)
    return {name: _read(name, value, known[name]) for name, value in statement.values.items()}


def _read(name: str, value: Value, kind: str) -> t.Any:
    """A role is written as a literal, in which a bare name is folded, or as an identifier."""
    if name == "ROLE_RESTRICTION" and value.kind == "string":
        return fold(value.text)
    return read_value(name, value, kind)


def _own_session(account: Account, session: Session, user: User) -> bool:
    if account.token_sessions_change == "all":
        return False
    return session.by_token and (account.token_sessions_change == "none" or session.user.name == user.name)


def _lacks_policy(account: Account, user: User) -> bool:
    return account.tokens_need_network_policy and not user.network_policy and user.type != "SERVICE_AGENT"


def _forget_expired(account: Account, user: User) -> None:
    now = account.clock()
    for name in [name for name, token in user.pats.items() if token.expires_at + _LISTED_AFTER_EXPIRY <= now]:
        del user.pats[name]


def _add(account: Account, session: Session, user: User, name: str, values: dict[str, t.Any]) -> Table:
    now, role = account.clock(), values.get("ROLE_RESTRICTION")
    if user.type in _GIVEN_BY_POLICY and _lacks_policy(account, user):
        raise account.token_refusal("network_policy")
    if role is None and user.type in _SERVICES and account.tokens_need_role_restriction:
        raise account.token_refusal("role_restriction")
    if role is not None and role not in account.roles:
        raise errors.no_such("Role", role)
    if role is not None and role not in user.roles:
        raise account.token_refusal("role_not_granted")
    days = values.get("DAYS_TO_EXPIRY") or account.token_default_days
    if not 1 <= days <= account.token_max_days:
        raise errors.invalid_value("DAYS_TO_EXPIRY")
    counted = [t for t in user.pats.values() if account.expired_tokens_count or t.status(now) != "EXPIRED"]
    if len(counted) >= account.token_limit:
        raise account.token_refusal("limit")
    token = AccessToken(
        name=name,
        secret=secrets.token_urlsafe(48),
        created_on=now,
        created_by=session.user.name,
        days_to_expiry=days,
        expires_at=now + dt.timedelta(days=days),
        role_restriction=role,
        comment=values.get("COMMENT"),
        mins_to_bypass_network_policy_requirement=values.get("MINS_TO_BYPASS_NETWORK_POLICY_REQUIREMENT"),
    )
    user.pats[name] = token
    return Table(["token_name", "token_secret"], [[name, token.secret]])


def _rotate(account: Account, session: Session, user: User, old: AccessToken, values: dict[str, t.Any]) -> Table:
    if old.rotated_to is not None:
        raise account.token_refusal("rotated")
    now = account.clock()
    asked = values.get("EXPIRE_ROTATED_TOKEN_AFTER_HOURS")
    ends = now + dt.timedelta(hours=_DEFAULT_HOURS if asked is None else asked)
    if asked and ends > old.expires_at:
        raise errors.invalid_value("EXPIRE_ROTATED_TOKEN_AFTER_HOURS")
    new = dataclasses.replace(
        old,
        secret=secrets.token_urlsafe(48),
        created_on=now,
        created_by=session.user.name,
        expires_at=now + dt.timedelta(days=old.days_to_expiry),
    )
    old.name = f"{new.name}_ROTATED_{int(now.timestamp() * 1000)}"
    old.expires_at, old.rotated_to = min(ends, old.expires_at), new.name
    user.pats[new.name], user.pats[old.name] = new, old
    return Table(["token_name", "token_secret", "rotated_token_name"], [[new.name, new.secret, old.name]])


def _rename(user: User, token: AccessToken, name: str) -> None:
    if name in user.pats:
        raise errors.already_exists("Programmatic access token", name)
    del user.pats[token.name]
    token.name = name
    user.pats[name] = token
