# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What Snowflake's refusals mean. Codes first, then lower-case text, because connectors up to 4.5 report only 250001.

Sources: docs.snowflake.com ("Troubleshooting" of each login method), Terraform provider acceptance tests.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    NotFound,
    NotPermitted,
    Refused,
    RotationError,
)


@dataclasses.dataclass(frozen=True)
class LoginAnswer:
    """How a login ended.

    verdict: C(accepted): a session; C(blocked): the secret is right, but the session is not allowed; C(rejected): the
    secret is wrong; C(unknown): the service answered something that says neither, and whatever nobody has listed;
    C(silent): no answer. reason: a stable token. code: the server's number, if any.
    """

    verdict: t.Literal["accepted", "blocked", "rejected", "unknown", "silent"]
    reason: str = ""
    code: int | None = None

    @property
    def right(self) -> bool:
        """The secret is the user's secret."""
        return self.verdict in ("accepted", "blocked")


ACCEPTED = LoginAnswer("accepted")

# verdict, reason, codes, fragments of the text. Whether the password was looked at before a second factor or a policy
# is not documented, so these answers say neither.
_LOGIN_RULES: tuple[tuple[t.Literal["blocked", "rejected", "unknown"], str, tuple[int, ...], tuple[str, ...]], ...] = (
    ("unknown", "user_locked", (390102,), ("temporarily locked", "user is locked", "account is locked")),
    ("unknown", "user_disabled", (390101,), ("user access disabled", "user is disabled", "account is disabled")),
    ("blocked", "must_change_password", (390106,), ("password has expired", "must change", "must be changed")),
    (
        "unknown",
        "mfa_required",
        (394507, 394508, 394509),
        ("multi-factor authentication", "mfa ", "totp", "passcode", "duo "),
    ),
    (
        "blocked",
        "role_not_granted",
        (390189,),
        ("requested in the connect request or the default role", "is not granted to this user"),
    ),
    # Only tokens need one; whether the token was looked at before is not documented.
    ("unknown", "network_policy_required", (390432,), ("network policy is required",)),
    ("unknown", "network_policy", (390420, 390422), ("is not allowed to access snowflake", "network policy")),
    ("unknown", "authentication_policy", (), ("authentication policy", "saml", "single sign-on", "sso ")),
    ("unknown", "clock_differs", (394301, 394302, 394303), ("jwt_token_expired", "jwt_token_invalid_issue_time")),
    ("rejected", "wrong_secret", (390100,), ("incorrect username or password",)),
    ("rejected", "wrong_key", (390144, 394300, *range(394304, 394307)), ("jwt token is invalid",)),
    (
        "rejected",
        "wrong_token",
        (390303, 390318, 394400),
        ("oauth access token", "access token is invalid", "access token is expired", "access token has expired"),
    ),
)
# Some accounts answer these to every failed login, and only the text differs.
_GENERIC = (390100, 390144)
# A server's login answer has a number of this range; 25xxxx is the client's own.
_SERVER_LOGIN_CODES = range(390000, 400000)

_NOT_FOUND = 2003
_NOT_PERMITTED = 3001
# Whether the statement took effect is open after the client's own numbers (connector 5.x has small ones, as 14 for a
# timeout), those of cancelled statements (604, 605, 630), of the service's internal errors (300002), and of an expired
# session.
_NOT_THE_STATEMENTS = (range(1000), range(250000, 301000), range(390000, 391000))
_REASON = re.compile(r"Reason: '([A-Z0-9_]{1,40})'")
# What a refusal without such a token speaks of, in lower case. Of tokens; neither number nor text is documented.
_SPEAKS_OF = {"network policy": "NETWORK_POLICY", "authentication policy": "AUTHENTICATION_POLICY"}


def login_answer(errno: int | None, text: str) -> LoginAnswer:
    """Classify a failed login. The text is looked at, and never kept."""
    lowered = text.lower()
    by_number = [rule for rule in _LOGIN_RULES if errno in rule[2] and errno not in _GENERIC]
    by_text = [rule for rule in _LOGIN_RULES if any(fragment in lowered for fragment in rule[3])]
    by_generic = [rule for rule in _LOGIN_RULES if errno in rule[2]]
    for verdict, reason, _codes, _fragments in (*by_number, *by_text, *by_generic):
        return LoginAnswer(verdict, reason, errno)
    # Connectors up to 4.5 put these words before whatever the server said.
    if errno in _SERVER_LOGIN_CODES or "failed to connect to db:" in lowered:
        return LoginAnswer("unknown", "other", errno)
    return LoginAnswer("silent", "no_answer", errno)


def statement_refusal(errno: int | None, text: str, subject: str) -> RotationError | None:
    """The error for a refused statement, or None where the answer leaves open whether it took effect."""
    if errno is None or any(errno in numbers for numbers in _NOT_THE_STATEMENTS):
        return None
    if errno == _NOT_FOUND:
        return NotFound(
            f"{subject}: the user does not exist, or the login role may not see it (Snowflake error 002003)."
        )
    if errno == _NOT_PERMITTED:
        return NotPermitted(
            f"{subject}: the login role lacks the privilege; it needs OWNERSHIP (Snowflake error 003001)."
        )
    # A fixed vocabulary of upper-case tokens, so no part of a secret can be in it.
    reason = _refusal_reason(text)
    why = f", reason {reason}" if reason else ""
    return Refused(
        f"{subject}: Snowflake refused (error {errno:06d}{why}).",
        evidence={"refusal_code": errno, **({"refusal_reason": reason} if reason else {})},
    )


def _refusal_reason(text: str) -> str | None:
    told = _REASON.search(text)
    if told:
        return told[1]
    return next((reason for words, reason in _SPEAKS_OF.items() if words in text.lower()), None)
