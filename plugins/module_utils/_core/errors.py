# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The error tree: what library code raises, and what C(error_code) and C(retry_safe) the user sees."""

from __future__ import annotations

import typing as t

Left = t.Literal["untouched", "staged", "changed", "unknown"]
# What state things are in, for a person; where something was done, the message itself says what.
SENTENCES: dict[str, str] = {
    "untouched": "Nothing was changed.",
    "staged": "Its new secret is still pending in the record, and the next run takes it up.",
}


def in_words(msg: str, left: str, advice: str = "", *, untouched: str = SENTENCES["untouched"]) -> str:
    """What failed, what state things are in now, and what to do next. untouched: the sentence for that state."""
    return " ".join(filter(None, (msg, {**SENTENCES, "untouched": untouched}.get(left), advice)))


class RotationError(Exception):
    """Something went wrong that a person can act on.

    msg: what failed, in our own words and codes, never a server's text or a secret. advice: what to do next.
    left: what it left behind, on the service or in the record: nothing new, a new secret that is pending, a change that
    was acknowledged, or what nobody could see.
    retry_safe: running the same task again cannot lose or damage anything, and may succeed.
    unanswered: how many questions in a row the service left open; the engine gives up on the session at two.
    everybody: it concerns the administrator, so no further item need be tried.
    evidence: further fields for the item's entry in ``rotations``.
    in_force: whether the service holds the given secret in spite of this failure; None where nobody knows.
    """

    error_code: t.ClassVar[str]
    default_retry_safe: t.ClassVar[bool] = False
    default_left: t.ClassVar[Left] = "untouched"

    def __init__(
        self,
        msg: str,
        *,
        advice: str = "",
        left: Left | None = None,
        retry_safe: bool | None = None,
        unanswered: int = 0,
        everybody: bool = False,
        evidence: dict[str, t.Any] | None = None,
        in_force: bool | None = None,
    ) -> None:
        super().__init__(msg)
        self.msg = msg
        self.advice = advice
        self.left: Left = self.default_left if left is None else left
        self.retry_safe = self.default_retry_safe if retry_safe is None else retry_safe
        self.unanswered = unanswered
        self.everybody = everybody
        self.evidence = evidence or {}
        self.in_force = in_force


class InvalidInput(RotationError):
    """The caller's input cannot be used; nothing was asked of the service."""

    error_code = "invalid_input"


class AuthFailed(RotationError):
    """The administrator's login was refused."""

    error_code = "auth_failed"


class NotFound(RotationError):
    """The user or record is absent, or not visible to the administrator."""

    error_code = "not_found"


class Ambiguous(RotationError):
    """Several users or records match."""

    error_code = "ambiguous"


class NotPermitted(RotationError):
    """The administrator may not do this."""

    error_code = "not_permitted"


class Refused(RotationError):
    """The service said no, and nothing changed."""

    error_code = "refused"


class RateLimited(RotationError):
    """The service asked for patience beyond our bound."""

    error_code = "rate_limited"
    default_retry_safe = True


class Unreachable(RotationError):
    """No answer, and the write is known not to have taken effect."""

    error_code = "unreachable"
    default_retry_safe = True


class UnknownOutcome(RotationError):
    """The state of the service could not be seen."""

    error_code = "unknown_outcome"
    default_retry_safe = True
    default_left = "unknown"


class VerifyFailed(RotationError):
    """The change was acknowledged, but the new secret does not log in."""

    error_code = "verify_failed"
    default_retry_safe = True


class SlotsFull(RotationError):
    """Both key slots are taken and none may be overwritten."""

    error_code = "slots_full"


class Busy(RotationError):
    """Another rotation of the same record is under way."""

    error_code = "busy"
    default_retry_safe = True


class VaultError(RotationError):
    """The vault did not do what was asked."""

    error_code = "vault_error"
    default_retry_safe = True


class DeliveryFailed(RotationError):
    """A consumer of the new secret failed; the record holds the secret."""

    error_code = "delivery_failed"
    default_retry_safe = True


class MissingDependency(RotationError):
    """A Python library is absent or too old."""

    error_code = "missing_dependency"
