# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logging in: every method the connectors have, with strikes, locks and role grants."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t
import uuid

from tests.sandbox.snowflake import keys, tokens
from tests.sandbox.snowflake.account import Account
from tests.sandbox.snowflake.errors import LoginError
from tests.sandbox.snowflake.names import fold, same
from tests.sandbox.snowflake.users import AccessToken, KeyPair, User

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
    """A login that succeeds: the user, the role it gets, and the named key pair or token that it used."""

    user: User
    role: str
    credential: KeyPair | AccessToken | None = None


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
    if isinstance(accepted.credential, KeyPair):
        accepted.credential.last_used_on = account.clock()
    return accepted


def judge(account: Account, attempt: Attempt) -> Accepted:
    """What log_in would say, without any effect."""
    checks: dict[str, t.Callable[[Account, Attempt], tuple[User, KeyPair | AccessToken | None]]] = {
        "key_pair": _by_key,
        "oauth": _by_oauth,
        "programmatic_access_token": _by_pat,
        "password": _by_password,
        "mfa": _by_password,
    }
    user, credential = checks.get(attempt.method, _by_workload_identity)(account, attempt)
    if user.disabled or (user.expires_at is not None and user.expires_at <= account.clock()):
        raise _disabled()
    return Accepted(user, _role(account, user, attempt.role, credential), credential)


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


def _by_password(account: Account, attempt: Attempt) -> tuple[User, AccessToken | None]:
    wrong = LoginError("password", "Incorrect username or password was specified.")
    user = account.by_login_name(attempt.login_name)
    if user is None:
        raise wrong
    if account.pat_as_password and tokens.find(account, user, attempt.secret) is not None:
        return _by_pat(account, attempt)
    _check_lock(account, user)
    if user.disabled and account.disabled_before_password:
        raise _disabled()
    if account.mfa_before_password:
        _check_mfa(user, attempt)
    if user.usable_password is None or not same(user.usable_password, attempt.secret):
        raise wrong
    _check_mfa(user, attempt)
    if user.must_change_password:
        text = "Specified password has expired.  Password must be changed using the Snowflake web console."
        raise LoginError("must_change", text)
    return user, None


def _check_mfa(user: User, attempt: Attempt) -> None:
    if attempt.passcode and user.mfa_passcode is not None:
        if not same(user.mfa_passcode, attempt.passcode):
            raise LoginError("passcode", "Incorrect passcode was specified.")
    elif user.mfa_required:
        text = "Multi-factor authentication is required for this account. Log in to Snowsight to enroll."
        raise LoginError("mfa", text)


def _has_token(known: t.Iterable[str], token: str) -> bool:
    return bool(token) and any(same(one, token) for one in known)


# -- tokens


def _by_pat(account: Account, attempt: Attempt) -> tuple[User, AccessToken]:
    user = account.by_login_name(attempt.login_name)
    token = tokens.find(account, user, attempt.secret) if user is not None else None
    if user is None or token is None:
        raise LoginError("pat", "Programmatic access token is invalid.")
    reason = tokens.why_not(account, user, token)
    if reason is not None:
        policy = reason == "network_policy_required"
        raise LoginError(reason, "Network policy is required." if policy else "Programmatic access token is invalid.")
    return user, token


def _by_oauth(account: Account, attempt: Attempt) -> tuple[User, None]:
    user = next((u for u in account.users.values() if _has_token(u.oauth_tokens, attempt.secret)), None)
    if user is None:
        raise LoginError("oauth", f"Invalid OAuth access token. [{uuid.uuid4()}]")
    if attempt.login_name and attempt.login_name != user.login_name.upper():
        text = "The user you were trying to authenticate as differs from the user tied to the access token."
        raise LoginError("oauth_other_user", text)
    return user, None


def _by_workload_identity(account: Account, attempt: Attempt) -> tuple[User, None]:
    user = next((u for u in account.users.values() if _has_token(u.workload_tokens, attempt.secret)), None)
    if user is None or attempt.method != "workload_identity":
        raise LoginError("workload_identity", "Authentication failed: no user matches the attestation.")
    return user, None


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


def _role(account: Account, user: User, asked: str | None, credential: KeyPair | AccessToken | None) -> str:
    restriction = credential.role_restriction if credential is not None else None
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
