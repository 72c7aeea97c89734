# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What the service's answers mean: a yes, which no, a login that is accepted, rejected or neither. Asks nobody.

words and texts of the service are shown without secrets (the scrubber's), in one line, cut.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import transport
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    AuthFailed,
    NotFound,
    NotPermitted,
    Refused,
    RotationError,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import Scrubber
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import Verify
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import (
    CannotPick,
    Expression,
    content,
    reason,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import Step

_LONGEST_TEXT = 300
# Server errors that say what the service will never do.
_FINAL_ERRORS = (501, 505)


def final(status: int) -> bool:
    """Whether the same request would be answered alike tomorrow."""
    return status in _FINAL_ERRORS or (300 <= status < 500 and status not in (*transport.GIVEN_UP, 425, 429))


@dataclasses.dataclass(frozen=True)
class LoginAnswer:
    """What a login as the user said. told: in our words. words: the service's own. silent: there was no answer."""

    verdict: t.Literal["accepted", "rejected", "unknown"]
    told: str
    status: int = 0
    silent: bool = False
    words: t.Callable[[], str] = dataclasses.field(default=str, repr=False, compare=False)

    @property
    def reason(self) -> str:
        return self.told + self.words()

    @property
    def tells_apart(self) -> bool:
        """Whether it shows that not every password is accepted: an answer that nobody listed shows nothing."""
        return self.verdict == "rejected"


class Unreadable(Exception):
    """Nobody can tell whether the answer means yes or no. Its text says why."""


def refusal(
    step: Step, answer: transport.Answer, subject: str, no: type[RotationError], scrubber: Scrubber, *, heard: bool
) -> RotationError | None:
    """The error for an answer that does not mean yes. Raises Unreadable where nobody can tell.

    no: for an answer that means no, whatever its status. heard: who asks has been let in, and cannot log in anew.
    """
    status, means_yes = answer.status, answer.status in step.status
    asks = step.noes and (means_yes or (status < 500 and status != 429 and not answer.oversized))
    said = _said_no(step, answer, no, scrubber, heard=heard) if asks else None
    if means_yes and said is None:
        return None
    if status == 429:
        return transport.rate_limited(subject, answer)
    absent = status in step.not_found and not means_yes
    evidence = {} if means_yes or (absent and status < 400) else {"status": status}
    # What is not among the statuses that mean yes may mean it all the same.
    behind: dict[str, t.Any] = {"evidence": evidence, "left": "unknown" if evidence and status < 400 else "untouched"}
    told = f"{subject}: answered with {status}{words(step, answer, scrubber)}"
    if said:
        error, why = said
        return error(f"{subject}: the service says no{why}.", **behind)
    if absent or 400 <= status < 500:
        kinds: dict[int, type[RotationError]] = {401: AuthFailed, 403: NotPermitted}
        error = no if no is AuthFailed else NotFound if absent else kinds.get(status, Refused)
        return error(f"{told}.", evidence=evidence)
    if status >= 500:
        text = f"{told}, which says neither yes nor no."
        return Unreachable(text, unanswered=1, retry_safe=not final(status), evidence=evidence)
    if status >= 300:
        return Refused(f"{told}, a redirect, which is never followed.", advice="Name the final address.", **behind)
    text = f"{told}, which is not among the statuses that mean yes ({step.where}.status)."
    return Refused(text, **behind)


def _said_no(
    step: Step, answer: transport.Answer, no: type[RotationError], scrubber: Scrubber, *, heard: bool
) -> tuple[type[RotationError], str] | None:
    """The code of the first question that the answer says no to, and the text for it. Raises Unreadable."""
    if answer.oversized:
        raise Unreadable("the answer is larger than 1 MiB")
    data, means_yes = content(answer), answer.status in step.status
    # Some services refuse a password with 401, which from an administrator who was heard is no failed login.
    about_user = answer.status == 401 and heard
    # An empty answer is judged by its status; one that is a no by its status keeps that code.
    for asks, error in step.noes if answer.body.strip() else ():
        try:
            if (error or means_yes or about_user) and asks.judges(data):
                found = asks(data)
                why = _colon(found, scrubber) if isinstance(found, str) else words(step, answer, scrubber, said=True)
                return error or no, why
        except CannotPick:
            if error is None:
                raise Unreadable(f"the answer is not JSON, or not such that {asks.where} can judge it") from None
    return None


def words(step: Step, answer: transport.Answer, scrubber: Scrubber, *, said: bool = False) -> str:
    """The service's own reason behind a colon, without secrets; empty if there is none.

    said: the answer means no for certain. Any other one below 400 may hold whatever a yes holds.
    """
    if answer.status < 400 and step.reason is None and not said:
        return ""
    return _colon(reason(step.reason, content(answer)), scrubber)


def _colon(text: str, scrubber: Scrubber) -> str:
    shown = scrubber.foreign(text, _LONGEST_TEXT).rstrip(".!? ")
    return f": {shown}" if shown else ""


def login_answer(verify: Verify, answer: transport.Answer, scrubber: Scrubber) -> LoginAnswer:
    """What a login as the user was answered."""
    verdict, why = _verdict(verify, answer)
    # Mostly nobody asks for them.
    told = functools.partial(words, verify.step, answer, scrubber, said=verdict == "rejected")
    return LoginAnswer(verdict, f"was answered with {answer.status}{why}", answer.status, words=told)


def _verdict(verify: Verify, answer: transport.Answer) -> tuple[t.Literal["accepted", "rejected", "unknown"], str]:
    """What the answer says of the password, and a word about it; whatever is not listed is unknown."""
    if answer.oversized:
        return "unknown", " and more than 1 MiB"
    if answer.status in verify.rejected:
        return "rejected", ""
    if answer.status >= 500 or answer.status == 429:
        return "unknown", ""
    means_yes = answer.status in verify.step.status
    asks = [verify.rejected_if, verify.accepted_if, *(asks for asks, _error in verify.step.noes)]
    data = content(answer) if any(asks) else None
    # An empty answer is judged by its status.
    rejected = _is(verify.rejected_if, data) if answer.body.strip() else False
    if rejected:
        return "rejected", " and a no"
    if any(_is(asks, data) is not False for asks, _error in verify.step.noes):
        return "unknown", " and a no that is about something else"
    if not means_yes:
        return "unknown", ""
    if verify.accepted_if:
        return ("accepted" if _is(verify.accepted_if, data) else "unknown"), ""
    return ("unknown", ", but not such that verify.rejected_if can judge it") if rejected is None else ("accepted", "")


def _is(asks: Expression | None, data: t.Any) -> bool | None:
    """Whether it is true of the answer; None where it does not fit."""
    try:
        return asks.judges(data) if asks else False
    except CannotPick:
        return None
