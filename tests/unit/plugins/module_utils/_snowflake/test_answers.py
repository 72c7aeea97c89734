# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What refusals mean, by number and by text."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import (
    ACCEPTED,
    login_answer,
    statement_refusal,
)

# From Snowflake's documentation: the number, the text that a connector up to 4.5 shows instead, and the meaning.
LOGINS = [
    (390100, "Incorrect username or password was specified.", "rejected"),
    (390101, "User access disabled. Contact your local system administrator.", "unknown"),
    (390102, "Your user account has been temporarily locked. Try again later.", "unknown"),
    (390106, "Specified password has expired. Password must be changed using the Snowflake web console.", "blocked"),
    (390144, "JWT token is invalid. [0ce9eb56-821d-4ca9-a774-04ae89a0cf5a]", "rejected"),
    (390189, "User's configured default role 'SYSADMIN' is not granted to this user.", "blocked"),
    (390189, "Role 'R' specified in the connect string is not granted to this user.", "blocked"),
    (390303, "Invalid OAuth access token.", "rejected"),
    (390318, "OAuth access token expired.", "rejected"),
    (390420, "Incoming request with IP/Token 10.0.0.1 is not allowed to access Snowflake.", "unknown"),
    (390422, "Incoming request with IP/Token 10.0.0.1 is not allowed to access Snowflake.", "unknown"),
    (394304, "JWT token is invalid.", "rejected"),
    (390432, "Network policy is required.", "unknown"),
    (394400, "Programmatic access token is invalid.", "rejected"),
    (394301, "JWT_TOKEN_EXPIRED", "unknown"),
    (394302, "JWT_TOKEN_INVALID_ISSUE_TIME", "unknown"),
    (394507, "Multi-factor authentication is required. Enroll with Duo.", "unknown"),
    (394508, "MFA with TOTP is required. Enter the passcode of your authenticator app.", "unknown"),
    (394509, "Multi-factor authentication is required for this account.", "unknown"),
]
BY_NUMBER = {number: verdict for number, _text, verdict in LOGINS}


@pytest.mark.parametrize("number", BY_NUMBER)
def test_the_number_says_it_whatever_the_text(number: int) -> None:
    answer = login_answer(number, "")
    assert (answer.verdict, answer.code) == (BY_NUMBER[number], number)
    assert login_answer(number, f"{number} (08001): None: Something new.").reason == answer.reason


# What some accounts answer to every failed login with a password or a key: there the text knows more.
GENERIC = {390100, 390144}


def test_a_number_that_is_specific_wins_over_any_text() -> None:
    wrong = [
        (number, text)
        for number, (_number, text, _verdict) in itertools.product(BY_NUMBER.keys() - GENERIC, LOGINS)
        if login_answer(number, text).verdict != BY_NUMBER[number]
    ]
    assert wrong == []


@pytest.mark.parametrize("text", [text for number, text, _verdict in LOGINS if number in (390102, 390106, 394509)])
def test_the_text_wins_over_the_number_of_every_failure(text: str) -> None:
    assert login_answer(390100, text) == dataclasses.replace(login_answer(250001, text), code=390100)


@pytest.mark.parametrize(("number", "text", "verdict"), LOGINS)
@pytest.mark.parametrize("errno", [250001, None])
def test_without_a_number_the_text_says_it(number: int, text: str, verdict: str, errno: int | None) -> None:
    shown = f"250001 (08001): None: Failed to connect to DB: x.snowflakecomputing.com:443. {text.upper()}"
    assert login_answer(errno, shown).verdict == verdict
    assert login_answer(errno, text).reason == login_answer(number, "").reason


@given(errno=st.none() | st.integers(0, 389999) | st.integers(400000), text=st.text("0123456789 (:)", max_size=20))
def test_no_word_of_the_server_means_no_answer(errno: int | None, text: str) -> None:
    assert login_answer(errno, text).verdict == "silent"


@pytest.mark.parametrize("number", [390000, 390114, 390195, 394999, 399999])
def test_a_number_that_nobody_knows_is_never_guessed_at(number: int) -> None:
    answer = login_answer(number, "Something new.")
    assert (answer.verdict, answer.right) == ("unknown", False)


@pytest.mark.parametrize(
    "text",
    [
        "SAML response is invalid or matching user is not found.",
        "Duo push was denied.",
        "User is not permitted by the authentication policy.",
        "A sentence that nobody has listed.",
    ],
)
def test_what_nobody_listed_is_unknown_with_and_without_a_number(text: str) -> None:
    """Connectors up to 4.5 have no number of the server, and put the host before its text."""
    assert login_answer(394888, text).verdict == "unknown"
    assert login_answer(250001, f"250001 (08001): None: Failed to connect to DB: x.y:443. {text}").verdict == "unknown"


@pytest.mark.parametrize("verdict", ["rejected", "unknown", "silent"])
def test_only_a_session_or_a_block_after_the_check_means_that_the_secret_is_right(verdict: str) -> None:
    assert ACCEPTED.right
    assert login_answer(390106, "").right
    wrong = {"rejected": 390100, "unknown": 390102, "silent": 250001}[verdict]
    assert not login_answer(wrong, "").right


@given(st.text(max_size=30))
def test_an_answer_never_keeps_the_text(text: str) -> None:
    answer = login_answer(390100, f"canary-{text}")
    assert "canary" not in repr(answer)


@pytest.mark.parametrize(
    ("errno", "code"), [(2003, "not_found"), (3001, "not_permitted"), (3002, "refused"), (1003, "refused")]
)
def test_a_refused_statement_by_its_number(errno: int, code: str) -> None:
    refusal = statement_refusal(errno, "canary", "Setting X")
    assert refusal is not None
    assert (refusal.error_code, refusal.retry_safe, refusal.left) == (code, False, "untouched")
    assert refusal.msg.startswith("Setting X") and f"{errno:06d}" in refusal.msg
    assert "canary" not in refusal.msg


def test_an_absent_user_may_also_be_one_that_the_role_may_not_see() -> None:
    refusal = statement_refusal(2003, "", "Describing X")
    assert refusal is not None
    assert "not exist" in refusal.msg and "role" in refusal.msg


@pytest.mark.parametrize("errno", [None, 0, 14, 604, 605, 630, 250001, 253001, 390112, 390114])
def test_what_does_not_say_whether_it_took_effect_is_no_refusal(errno: int | None) -> None:
    assert statement_refusal(errno, "Reason: 'PRIOR_USE'", "x") is None


def test_a_policys_reason_is_kept_as_a_token() -> None:
    text = "New password rejected by current password policy. Reason: 'PRIOR_USE'."
    refusal = statement_refusal(3002, text, "x")
    assert refusal is not None
    assert refusal.evidence["refusal_reason"] == "PRIOR_USE"
    assert "PRIOR_USE" in refusal.msg and "rejected by" not in refusal.msg


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The user must be subject to a Network Policy.", "NETWORK_POLICY"),
        ("Not allowed by the authentication policy canary.", "AUTHENTICATION_POLICY"),
        ("New password rejected by current password policy. Reason: 'PRIOR_USE'.", "PRIOR_USE"),
    ],
)
def test_what_a_refusal_speaks_of_is_kept_as_a_token(text: str, reason: str) -> None:
    refusal = statement_refusal(3002, text, "x")
    assert refusal is not None
    assert refusal.evidence["refusal_reason"] == reason and "canary" not in refusal.msg


@pytest.mark.parametrize("quoted", ["Aa1-secret", "has space", "lower", "X" * 41, ""])
def test_anything_but_a_token_is_not_kept(quoted: str) -> None:
    refusal = statement_refusal(3002, f"Rejected. Reason: '{quoted}'.", "x")
    assert refusal is not None
    assert "refusal_reason" not in refusal.evidence
    assert not quoted or quoted not in refusal.msg
