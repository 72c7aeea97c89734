# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account: its users, its roles, and the switches for what differs or is unknown about real accounts."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime as dt
import string
import threading
import typing as t

from tests.sandbox.snowflake import errors
from tests.sandbox.snowflake.users import User

OWNERSHIP = "OWNERSHIP"
MODIFY_METHODS = "MODIFY PROGRAMMATIC AUTHENTICATION METHODS"

# Which role has which other roles granted to it.
_SYSTEM_ROLES = {
    "ACCOUNTADMIN": {"SECURITYADMIN", "SYSADMIN"},
    "SECURITYADMIN": {"USERADMIN"},
    "USERADMIN": {"PUBLIC"},
    "SYSADMIN": {"PUBLIC"},
    "PUBLIC": set[str](),
}

# Why a login failed -> the number. (unverified): disabled, locked, must_change, passcode,
# pat_…, workload_identity.
MODERN_LOGIN_CODES = {
    "password": 390100,
    "disabled": 390101,
    "locked": 390102,
    "must_change": 390106,
    "passcode": 394508,
    "mfa": 394509,
    "role": 390189,
    "jwt": 390144,
    "jwt_expired": 394301,
    "jwt_not_yet_valid": 394302,
    "jwt_expiration_time": 394303,
    "jwt_fingerprint": 394304,
    "jwt_algorithm": 394305,
    "jwt_format": 394306,
    "oauth": 390303,
    "oauth_expired": 390318,
    "oauth_other_user": 390309,
    "pat": 394400,
    "pat_expired": 394400,
    "pat_disabled": 394400,
    "pat_role": 394400,
    "network_policy_required": 390432,
    "workload_identity": 390144,
}
# An account that tells no more than that the login failed: only the texts differ.
PLAIN_LOGIN_CODES = {
    reason: 390144 if reason.startswith("jwt") else 390100 if code not in (390189, 390303, 390318, 390309) else code
    for reason, code in MODERN_LOGIN_CODES.items()
}


# Why a change of programmatic access tokens is refused: the text; the number is ``Account.token_code``. (unverified)
_TOKEN_REFUSALS = {
    "own_session": "Programmatic access tokens cannot be changed in a session that was authenticated with one.",
    "network_policy": "The user must be subject to a network policy to generate a programmatic access token.",
    "role_restriction": "ROLE_RESTRICTION must be specified for programmatic access tokens of service users.",
    "role_not_granted": "The role in ROLE_RESTRICTION is not granted to the user.",
    "limit": "The user has reached the maximum number of programmatic access tokens.",
    "rotated": "A programmatic access token that was rotated cannot be rotated again.",
}


@dataclasses.dataclass
class PasswordPolicy:
    """The defaults are Snowflake's own. history: how many last passwords, the current one included, are refused.

    Reasons other than PRIOR_USE are (unverified).
    """

    min_length: int = 8
    max_length: int = 256
    min_upper: int = 1
    min_lower: int = 1
    min_digits: int = 1
    min_special: int = 0
    history: int = 1

    def check(self, user: User, password: str) -> None:
        """SqlError if the user may not have this password."""
        if password in ([user.password] * (user.password is not None) + user.password_history)[: self.history]:
            raise errors.password_refused("PRIOR_USE")
        reason = self._reason(password)
        if reason:
            raise errors.password_refused(reason)

    def _reason(self, password: str) -> str:
        if len(password) < self.min_length:
            return "PASSWORD_TOO_SHORT"
        if len(password) > self.max_length:
            return "PASSWORD_TOO_LONG"
        special = sum(not c.isalnum() or c in string.punctuation for c in password)
        found = {
            "INSUFFICIENT_UPPER_CASE_CHARS": sum(map(str.isupper, password)) - self.min_upper,
            "INSUFFICIENT_LOWER_CASE_CHARS": sum(map(str.islower, password)) - self.min_lower,
            "INSUFFICIENT_NUMERIC_CHARS": sum(map(str.isdigit, password)) - self.min_digits,
            "INSUFFICIENT_SPECIAL_CHARS": special - self.min_special,
        }
        return next((reason for reason, surplus in found.items() if surplus < 0), "")


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclasses.dataclass
class Account:
    """State and switches. Every default is what a current account does, as far as that is known.

    clock: the account's time; jwt_clock: the time that login tokens are checked against, apart, so that a test which
        moves the clock does not make the client's tokens too old
    request_id_dedup: a repeated requestId gets the first answer, and the statement does not run again
    login_codes: MODERN_LOGIN_CODES, PLAIN_LOGIN_CODES, or your own
    mfa_before_password, disabled_before_password: what is checked first
    lock_blocks_keys, key_failures_strike: whether a lock concerns key logins, and whether their failures lead to it
    password_change_unlocks: whether ALTER USER SET PASSWORD ends a lock
    pat_as_password: whether a programmatic access token is taken in the password's place
    named_key_pairs_supported: without it KEY PAIR is a syntax error
    key_pairs_list_slots: SHOW USER KEY PAIRS shows the two slots as PUBLIC_KEY_1 and PUBLIC_KEY_2
    token_limit, expired_tokens_count: how many tokens a user may have, and whether expired ones are among them
    token_default_days, token_max_days: how long a token lives
    token_delay: for how long after its making a token does not log in yet
    token_sessions_change: whose tokens a session may change that a token opened: those of ``others``, ``all``, ``none``
    tokens_need_network_policy, tokens_need_role_restriction: what authentication policies can lift
    token_code, tokens_say_why: the number of their refusals, and whether the text tells the reason
    alter_user_binds: whether ALTER USER and CREATE USER take ``?`` binds
    modify_can_describe: whether MODIFY PROGRAMMATIC AUTHENTICATION METHODS is enough to DESCRIBE
    show_users_lists_all: SHOW USERS names users that the role has no privilege on, most columns empty
    desc_omits: DESCRIBE rows that the account lacks; desc_null: what stands for nothing, ``null`` or None
    desc_password: what DESCRIBE shows as an existing password
    desc_times, desc_time_format: in which zone (the session's, UTC) and format; ``%f`` is cut to milliseconds
    show_times: SHOW's times as timestamps, or as text like DESCRIBE's
    has_keypair_counts_named: whether HAS_KEYPAIR counts named key pairs
    timezone: of sessions that set none
    """

    name: str
    clock: t.Callable[[], dt.datetime] = _utc_now
    jwt_clock: t.Callable[[], dt.datetime] = _utc_now
    password_policy: PasswordPolicy = dataclasses.field(default_factory=PasswordPolicy)
    lockout_failures: int = 5
    lockout_minutes: int = 15
    request_id_dedup: bool = True
    login_codes: dict[str, int] = dataclasses.field(default_factory=lambda: dict(MODERN_LOGIN_CODES))
    mfa_before_password: bool = False
    disabled_before_password: bool = True
    lock_blocks_keys: bool = False
    key_failures_strike: bool = False
    password_change_unlocks: bool = False
    pat_as_password: bool = True
    named_key_pairs_supported: bool = True
    key_pairs_list_slots: bool = False
    token_limit: int = 15
    expired_tokens_count: bool = False
    token_default_days: int = 15
    token_max_days: int = 365
    token_delay: dt.timedelta = dt.timedelta(0)
    token_sessions_change: t.Literal["others", "all", "none"] = "others"
    tokens_need_network_policy: bool = True
    tokens_need_role_restriction: bool = True
    token_code: int = 394700
    tokens_say_why: bool = True
    alter_user_binds: bool = False
    modify_can_describe: bool = True
    show_users_lists_all: bool = True
    desc_omits: set[str] = dataclasses.field(default_factory=set)
    desc_null: str | None = "null"
    desc_password: str | None = "********"
    desc_times: t.Literal["session", "utc"] = "session"
    desc_time_format: str = "%Y-%m-%d %H:%M:%S.%f"
    show_times: t.Literal["timestamp", "text"] = "timestamp"
    has_keypair_counts_named: bool = True
    timezone: str = "America/Los_Angeles"
    users: dict[str, User] = dataclasses.field(default_factory=dict)
    roles: dict[str, set[str]] = dataclasses.field(default_factory=lambda: copy.deepcopy(_SYSTEM_ROLES))
    lock: threading.RLock = dataclasses.field(default_factory=threading.RLock)

    # -- roles

    def includes(self, role: str) -> set[str]:
        """The role and all that it inherits, PUBLIC among them."""
        found: set[str] = set()
        waiting = [role, "PUBLIC"]
        while waiting:
            name = waiting.pop()
            if name in self.roles and name not in found:
                found.add(name)
                waiting.extend(self.roles[name])
        return found

    def may_use(self, user: User, role: str) -> bool:
        return any(role in self.includes(granted) for granted in user.roles | {"PUBLIC"})

    def grant(self, privilege: str, user: str, role: str) -> None:
        """Give a role a privilege on a user, for example MODIFY_METHODS or MONITOR."""
        self.users[user].grants.setdefault(role, set()).add(privilege)

    def privileges(self, user: User, roles: set[str]) -> set[str]:
        found = {OWNERSHIP} if user.owner in roles else set()
        return found.union(*(user.grants.get(role, set()) for role in roles))

    # -- tokens

    def token_refusal(self, why: str) -> errors.SqlError:
        text = _TOKEN_REFUSALS[why] if self.tokens_say_why else "The operation is not allowed."
        return errors.token_refused(self.token_code, text)

    # -- users

    def by_login_name(self, login_name: str) -> User | None:
        wanted = login_name.upper()
        return next((user for user in self.users.values() if user.login_name.upper() == wanted), None)

    @contextlib.contextmanager
    def editing(self, user: User) -> t.Iterator[User]:
        """A draft of the user that replaces its fields, all at once, only if nothing was raised."""
        draft = copy.deepcopy(user)
        yield draft
        vars(user).update(vars(draft))
