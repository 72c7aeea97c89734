# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logging in: every method the connectors have, with strikes, locks and role grants."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hmac
import json
import re
import typing as t
import uuid

from tests.sandbox.snowflake import keys
from tests.sandbox.snowflake.account import Account
from tests.sandbox.snowflake.errors import LoginError
from tests.sandbox.snowflake.users import KeyPair, User

METHODS = {
    "SNOWFLAKE": "password",
    "USERNAME_PASSWORD_MFA": "mfa",
    "SNOWFLAKE_JWT": "key_pair",
    "OAUTH": "oauth",
    "PROGRAMMATIC_ACCESS_TOKEN": "programmatic_access_token",
    "WORKLOAD_IDENTITY": "workload_identity",
}
_MAX_TOKEN_LIFE = 3600
_CLOCK_SKEW = 60


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One login request: what the client sent, as far as it matters. Login names ignore case."""

    login_name: str
    method: str
    secret: str
    passcode: str | None
    role: str | None

    @classmethod
    def read(cls, data: dict[str, t.Any], role: str) -> Attempt:
        authenticator = str(data.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
        method = METHODS.get(authenticator, "unknown")
        passcode = data.get("PASSCODE")
        if method == "password" and passcode:
            method = "mfa"
        secret = data.get("PASSWORD") if method in ("password", "mfa") else data.get("TOKEN")
        return cls(str(data.get("LOGIN_NAME") or "").upper(), method, str(secret or ""), passcode, role or None)


@dataclasses.dataclass(frozen=True)
class Accepted:
    """A login that succeeds: the user, the role it gets, and the named key pair that it used."""

    user: User
    role: str
    pair: KeyPair | None = None


def log_in(account: Account, attempt: Attempt) -> Accepted:
    """Log in, and let the account remember it: strikes, locks, times. LoginError if it is refused."""
    user = account.by_login_name(attempt.login_name)
    try:
        accepted = judge(account, attempt)
    except LoginError as error:
        wrong = error.reason == "password" or (error.reason.startswith("jwt") and account.key_failures_strike)
        if user is not None and wrong:
            _strike(account, user)
        raise
    accepted.user.failed_logins = 0
    accepted.user.locked_until = None if attempt.method in ("password", "mfa") else accepted.user.locked_until
    accepted.user.last_success_login = account.clock()
    if accepted.pair is not None:
        accepted.pair.last_used_on = account.clock()
    return accepted


def judge(account: Account, attempt: Attempt) -> Accepted:
    """What log_in would say, without any effect."""
    check = {"key_pair": _by_key, "oauth": _by_oauth, "programmatic_access_token": _by_pat}.get(attempt.method)
    if check is not None:
        user, pair = check(account, attempt)
    elif attempt.method in ("password", "mfa"):
        user, pair = _by_password(account, attempt), None
    else:
        user, pair = _by_workload_identity(account, attempt), None
    if user.disabled or (user.expires_at is not None and user.expires_at <= account.clock()):
        raise _disabled()
    return Accepted(user, _role(account, user, attempt.role, pair), pair)


def _strike(account: Account, user: User) -> None:
    now = account.clock()
    if user.locked_until is not None and not user.locked(now):
        user.failed_logins, user.locked_until = 0, None
    user.failed_logins += 1
    if user.failed_logins >= account.lockout_failures:
        user.locked_until = now + dt.timedelta(minutes=account.lockout_minutes)


def _disabled() -> LoginError:
    return LoginError("disabled", "User access disabled. Contact your local system administrator.")


def _check_lock(account: Account, user: User) -> None:
    if user.locked(account.clock()):
        text = (
            "Your user account has been temporarily locked due to too many failed attempts. "
            f"Try again after {account.lockout_minutes} minutes, or contact your account administrator for assistance."
        )
        raise LoginError("locked", text)


# -- passwords


def _by_password(account: Account, attempt: Attempt) -> User:
    wrong = LoginError("password", "Incorrect username or password was specified.")
    user = account.by_login_name(attempt.login_name)
    if user is None:
        raise wrong
    if account.pat_as_password and _has_token(user.pats.values(), attempt.secret):
        return user
    _check_lock(account, user)
    if user.disabled and account.disabled_before_password:
        raise _disabled()
    if account.mfa_before_password:
        _check_mfa(user, attempt)
    if user.usable_password is None or not _same(user.usable_password, attempt.secret):
        raise wrong
    _check_mfa(user, attempt)
    if user.must_change_password:
        text = "Specified password has expired.  Password must be changed using the Snowflake web console."
        raise LoginError("must_change", text)
    return user


def _check_mfa(user: User, attempt: Attempt) -> None:
    if attempt.passcode and user.mfa_passcode is not None:
        if not _same(user.mfa_passcode, attempt.passcode):
            raise LoginError("passcode", "Incorrect passcode was specified.")
    elif user.mfa_required:
        text = "Multi-factor authentication is required for this account. Log in to Snowsight to enroll."
        raise LoginError("mfa", text)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def _has_token(tokens: t.Iterable[str], token: str) -> bool:
    return bool(token) and any(_same(known, token) for known in tokens)


# -- tokens


def _by_pat(account: Account, attempt: Attempt) -> tuple[User, None]:
    user = account.by_login_name(attempt.login_name)
    if user is None or not _has_token(user.pats.values(), attempt.secret):
        raise LoginError("pat", "Programmatic access token is invalid.")
    return user, None


def _by_oauth(account: Account, attempt: Attempt) -> tuple[User, None]:
    user = next((u for u in account.users.values() if _has_token(u.oauth_tokens, attempt.secret)), None)
    if user is None:
        raise LoginError("oauth", f"Invalid OAuth access token. [{uuid.uuid4()}]")
    if attempt.login_name and attempt.login_name != user.login_name.upper():
        text = "The user you were trying to authenticate as differs from the user tied to the access token."
        raise LoginError("oauth_other_user", text)
    return user, None


def _by_workload_identity(account: Account, attempt: Attempt) -> User:
    user = next((u for u in account.users.values() if _has_token(u.workload_tokens, attempt.secret)), None)
    if user is None or attempt.method != "workload_identity":
        raise LoginError("workload_identity", "Authentication failed: no user matches the attestation.")
    return user


def _by_key(account: Account, attempt: Attempt) -> tuple[User, KeyPair | None]:
    """The account and the user must match, then the times, the fingerprint, and the signature."""
    try:
        token = keys.decode_token(attempt.secret)
    except (ValueError, json.JSONDecodeError):
        raise _bad_token("jwt_format") from None
    if not keys.known_algorithm(token.algorithm):
        raise _bad_token("jwt_algorithm")
    subject, issuer = str(token.claims.get("sub")), str(token.claims.get("iss"))
    user = account.by_login_name(attempt.login_name)
    if user is None or subject != f"{account.name.split('.')[0].upper()}.{user.login_name.upper()}":
        raise _bad_token("jwt")
    _check_times(account, token.claims)
    if account.lock_blocks_keys:
        _check_lock(account, user)
    prefix, _dot, wanted = issuer.rpartition(".")
    if prefix != subject or not wanted.startswith("SHA256:"):
        raise _bad_token("jwt")
    for text, pair in user.active_keys(account.clock()):
        if keys.fingerprint(text) == wanted:
            if not keys.signed_by(token, text):
                raise _bad_token("jwt")
            return user, pair
    raise _bad_token("jwt_fingerprint")


def _check_times(account: Account, claims: dict[str, t.Any]) -> None:
    now = account.jwt_clock().timestamp()
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int | float) or not isinstance(expires, int | float):
        raise _bad_token("jwt_expiration_time")
    if expires < now:
        raise _bad_token("jwt_expired")
    if issued > now + _CLOCK_SKEW:
        raise _bad_token("jwt_not_yet_valid")
    if expires - issued > _MAX_TOKEN_LIFE:
        raise _bad_token("jwt_expiration_time")


def _bad_token(reason: str) -> LoginError:
    return LoginError(reason, f"JWT token is invalid. [{uuid.uuid4()}]")


# -- roles


def fold(name: str) -> str:
    """A role as a client names it: a bare identifier folds to upper case, a quoted one is exact."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name.upper() if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", name) else name


def _role(account: Account, user: User, asked: str | None, pair: KeyPair | None) -> str:
    restriction = pair.role_restriction if pair is not None else None
    if asked is None:
        default = restriction or user.default_role
        return default if default is not None and account.may_use(user, default) else "PUBLIC"
    role = fold(asked)
    if role not in account.roles or not account.may_use(user, role) or (restriction and role != restriction):
        text = (
            f"Role '{role}' specified in the connect string is not granted to this user. Contact your local system "
            "administrator, or attempt to login with another role, e.g. PUBLIC."
        )
        raise LoginError("role", text)
    return role
