# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The plan of snowflake_user_password: from what has been seen of a user to the steps that are left. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Refused,
    UnknownOutcome,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One user and the password that it shall have.

    password: None in check mode, where it is still to be made. recovered: an earlier run may have set it.
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

    user: as first described. probe: the login before any write, None if there was none. login: the one after a write.
    password_set: written in this run, or found in force by what followed. proof_done: prove has had its say.
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


@dataclasses.dataclass(frozen=True)
class Unlock:
    """Clear a temporary lock."""


@dataclasses.dataclass(frozen=True)
class SetProperties:
    """One atomic ALTER USER."""

    password: bool
    must_change_password: bool | None = None


Step = t.Union[Unlock, SetProperties]  # noqa: UP007 - ansible-test's pylint takes no "|" at run time


# What DESCRIBE shows for users that can hold no password.
_WITHOUT_PASSWORD = ("SERVICE", "SERVICE_AGENT")


def can_log_in(user: User) -> bool:
    """Whether a login could tell anything, and would not be a strike for nothing."""
    return not user.disabled and not user.locked and (user.type or "").upper() not in _WITHOUT_PASSWORD


def plan(options: Options, item: Wanted, state: State) -> list[Step]:
    """The steps from here to the wanted state; pure. Raises Refused or UnknownOutcome where none may be taken."""
    user = state.user
    if (user.type or "").upper() in _WITHOUT_PASSWORD:
        raise Refused(
            f"User {user.name} has TYPE={user.type}, which cannot hold a password; use snowflake_user_keypair. "
            "Nothing was written.",
            in_force=False,
        )
    change = _password_is_due(options, item, state)
    steps: list[Step] = []
    if user.locked and options.unlock:
        if state.unlocked:
            raise Refused(f"User {user.name} is still locked after MINS_TO_UNLOCK = 0; ask Snowflake support.")
        steps.append(Unlock())
    flag = options.must_change_password
    flag_due = flag is not None and flag != user.must_change_password and not state.flag_set
    if change or flag_due:
        steps.append(SetProperties(password=change, must_change_password=flag if flag_due else None))
    return steps


def _password_is_due(options: Options, item: Wanted, state: State) -> bool:
    """What may have been set by an earlier run is set again, unless it has opened a session: then every doubt ends."""
    if state.password_set:
        return False
    if options.always or item.password is None:
        return True
    probe = state.probe
    if probe is None:
        if state.user.locked and options.unlock and not state.user.disabled:
            # Only the login after the unlocking can tell; until then nothing more is planned.
            return False
        probe = LoginAnswer("unknown", "user_disabled" if state.user.disabled else "user_locked")
    if item.recovered:
        return probe.verdict != "accepted"
    return _verdict_before(state.user.name, probe)


def _verdict_before(name: str, probe: LoginAnswer) -> bool:
    """Whether the probe leads to a change. Raises for every answer that is neither yes nor no."""
    if probe.right:
        return False
    if probe.verdict == "rejected":
        return True
    if probe.verdict == "silent":
        raise Unreachable(f"The login as {name} before the change got no answer. Nothing was written.", unanswered=1)
    if probe.reason in ("user_locked", "user_disabled"):
        code = f", code {probe.code}" if probe.code is not None else ""
        raise Refused(
            f"User {name} is {probe.reason.removeprefix('user_')} ({probe.reason}{code}), so no login can tell whether "
            "it has this password. Nothing was written. Enable or unlock it, or set the password unverified with "
            "update_password=always.",
            retry_safe=True,
        )
    raise UnknownOutcome(
        f"The login as {name} before the change was answered with {probe.reason} (code {probe.code}), which says "
        "neither that the password is right nor that it is wrong. Nothing was written; update_password=always sets it "
        "without asking."
    )
