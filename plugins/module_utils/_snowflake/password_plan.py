# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What snowflake_user_password decides: the steps that are left, and what an unclear answer means. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User

_PRIOR_USE = "PRIOR_USE"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One user and the password that it shall have.

    password: None, in check mode only, where it is still to be made. recovered: an earlier run may have set it.
    """

    name: str
    password: str | None = dataclasses.field(repr=False)
    recovered: bool = False


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for all users of the task."""

    always: bool
    verify: bool
    must_change_password: bool | None
    unlock: bool


@dataclasses.dataclass(frozen=True)
class State:
    """What has been seen and done.

    user: as first described. probe: the login before any write, None if there was none. login: the login that decides
    after a write. password_set: the password needs no (further) write. proof_done: prove has had its say.
    """

    user: User
    probe: LoginAnswer | None = None
    login: LoginAnswer | None = None
    unlocked: bool = False
    password_set: bool = False
    password_changed: bool = False
    flag_set: bool = False
    proof_done: bool = False
    password_last_set_time: str | None = None

    @property
    def seen(self) -> bool:
        """A login has shown that the password is in force."""
        return any(answer is not None and answer.right for answer in (self.probe, self.login))


@dataclasses.dataclass(frozen=True)
class Unlock:
    """Clear a temporary lock."""


@dataclasses.dataclass(frozen=True)
class SetProperties:
    """One atomic ALTER USER."""

    password: bool
    must_change_password: bool | None = None


Write = t.Union[Unlock, SetProperties]  # noqa: UP007 - ansible-test's pylint takes no "|" at run time


def holds_none(user: User) -> bool:
    """Of a type that cannot hold a password (docs.snowflake.com, "Types of users")."""
    return (user.type or "").upper() in ("SERVICE", "SERVICE_AGENT")


def closed(user: User) -> LoginAnswer | None:
    """What a login would say of a disabled or locked user; none is made, it could only be a strike."""
    if user.disabled or user.locked:
        return LoginAnswer("unknown", "user_disabled" if user.disabled else "user_locked")
    return None


def plan(options: Options, item: Wanted, state: State) -> list[Write]:
    """The writes from here to the wanted state; pure. Raises Refused or UnknownOutcome where none may be taken."""
    user = state.user
    if holds_none(user):
        raise Refused(
            f"User {user.name} has TYPE={user.type}, which cannot hold a password; use snowflake_user_keypair.",
            in_force=False,
        )
    change = _password_is_due(options, item, state)
    steps: list[Write] = []
    if user.locked and options.unlock:
        if state.unlocked:
            raise Refused(f"User {user.name} is still locked after MINS_TO_UNLOCK = 0; ask Snowflake support.")
        steps.append(Unlock())
    flag = options.must_change_password
    flag_due = flag is not None and flag != user.must_change_password and not state.flag_set
    if change or flag_due:
        steps.append(SetProperties(password=change, must_change_password=flag if flag_due else None))
    return steps


# Why: docs/decisions/09-unknown-is-set-again.md
def _password_is_due(options: Options, item: Wanted, state: State) -> bool:
    if state.password_set:
        return False
    if options.always or item.password is None:
        return True
    user = state.user
    if user.locked and options.unlock and not user.disabled:
        # Only the login after the unlocking can tell; until then nothing more is planned.
        return False
    probe = t.cast(LoginAnswer, state.probe or closed(user))
    if item.recovered:
        return probe.verdict != "accepted"
    if probe.right or probe.verdict == "rejected":
        return not probe.right
    if probe.verdict == "silent":
        raise Unreachable(f"The login as {user.name} before the change got no answer.", unanswered=1)
    if probe.reason in ("user_locked", "user_disabled"):
        raise Refused(
            f"User {user.name} is {probe.reason.partition('_')[2]} ({probe.reason}), so no login can tell whether it "
            "has this password.",
            advice="Enable or unlock it, or set the password unverified with update_password=always.",
            retry_safe=True,
        )
    raise UnknownOutcome(
        f"The login as {user.name} before the change was answered with {probe.reason} (code {probe.code}), which says "
        "neither that the password is right nor that it is wrong.",
        advice="update_password=always sets it without asking.",
    )


def has_moved(before: User, now: User | None, error: RotationError) -> bool | None:
    """Whether PASSWORD_LAST_SET_TIME is another one than before an ALTER; None where it cannot be told.

    None before it: the user may never have had a password. None after it says nothing, except beside a refusal that
    does not come from a repeated ALTER, as that of a weak password does not.
    """
    if now is not None and now.password_last_set_time is not None:
        return now.password_last_set_time != before.password_last_set_time
    reason = error.evidence.get("refusal_reason")
    repeated = isinstance(error, Refused) and (reason is None or reason == _PRIOR_USE or "AGE" in reason)
    return None if repeated or isinstance(error, Unreachable) else False


def needs_login(item: Wanted, before: State, error: RotationError, moved: bool | None) -> bool:
    """Whether a login is to decide an ALTER that was not acknowledged. A recovered value has one in a run, no more."""
    if before.probe is not None:
        return not item.recovered and moved is not False
    return item.recovered or moved is not False or isinstance(error, Unreachable) or _prior_use(error)


# Why: docs/decisions/02-no-rollback-on-snowflake.md
def decide(
    item: Wanted, before: State, written: State, error: RotationError, moved: bool | None, answer: LoginAnswer | None
) -> State:
    """What an ALTER without acknowledgement (lost or refused) means: in force, not in force, unknown or no answer.

    moved: whether PASSWORD_LAST_SET_TIME is another one than before, None where it cannot be read. answer: the login
    that decides. The connector may have repeated an ALTER whose first answer was lost; PRIOR_USE is also the answer
    when the user has this password already, or has had it, and a recovered one only our own record knows.
    """
    lost = isinstance(error, Unreachable)
    unasked = closed(before.user) is not None or (before.probe is not None and answer is before.probe)
    by_word = item.recovered and _prior_use(error) and answer is not None and answer.verdict == "unknown"
    seen = answer is not None and answer.right
    if seen or by_word or (unasked and moved):
        # Without a time to compare, "found as wanted" would be a guess. Without effect, the flag is not set either.
        return dataclasses.replace(
            written,
            login=answer if seen or by_word else None,
            password_changed=bool(moved) if by_word else moved is not False,
            flag_set=written.flag_set if moved else before.flag_set,
        )
    reason = answer.reason if answer is not None else "nothing"
    if answer is not None and answer.verdict == "silent":
        return _open(f"{error.msg} The login that should decide got no answer.", unanswered=2)
    # A login before the write says nothing of what the write did.
    rejected = answer is not None and answer.verdict == "rejected" and (answer is not before.probe or moved is False)
    if lost and (rejected or unasked and moved is False and not item.recovered):
        if getattr(error, "under_way", False):
            return _open(f"{error.msg} The password is not in force now, and the change may still arrive.")
        raise Unreachable(f"{error.msg} The password is not in force, so the change did not take effect.")
    if lost or not rejected and moved is not False:
        return _open(f"{error.msg} Whether it took effect is not known; the login that decides says {reason}.")
    error.in_force = False if rejected else None
    raise error


def _open(msg: str, unanswered: int = 0) -> t.NoReturn:
    raise UnknownOutcome(msg, unanswered=unanswered)


def _prior_use(error: RotationError) -> bool:
    return error.evidence.get("refusal_reason") == _PRIOR_USE
