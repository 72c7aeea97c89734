# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What an unclear answer to an ALTER of a password means. PASSWORD_LAST_SET_TIME decides it, and at most one login."""

from __future__ import annotations

import dataclasses

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import sql
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.client import Client, NoAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.password_plan import State, Wanted
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User, parse


def describe(client: Client, item: Wanted) -> User:
    stored = sql.exact_name(item.name)
    return parse(stored, client.execute(sql.describe_user(stored), f"Describing user {item.name}"))


def set_time(client: Client, item: Wanted) -> str | None:
    """PASSWORD_LAST_SET_TIME now, None where it may not be read. Raises NoAnswer."""
    try:
        return describe(client, item).password_last_set_time
    except NoAnswer:
        raise
    except RotationError:
        return None


def _moved(client: Client, item: Wanted, before: State) -> bool | None:
    """Whether PASSWORD_LAST_SET_TIME is another one than before this run; None where it cannot be told.

    Raises NoAnswer where the service has stopped answering.
    """
    now = set_time(client, item)
    # None before it: the user may never have had a password. None after it says nothing.
    return None if now is None else now != before.user.password_last_set_time


def settle_lost(client: Client, item: Wanted, before: State, written: State, lost: NoAnswer) -> State:
    """The ALTER's answer never came: one login decides, where it can and would not be a strike for nothing."""
    unknown = f"{lost.msg} Whether it took effect is not known."
    if before.password_set or not written.password_set:
        raise UnknownOutcome(unknown, unanswered=1)
    try:
        moved = _moved(client, item, before)
    except NoAnswer:
        raise UnknownOutcome(unknown, unanswered=2) from None
    untold = before.user.disabled or before.user.locked
    if untold and moved:
        return written
    if untold and moved is None:
        raise UnknownOutcome(unknown)
    if moved is False and (untold or before.probe is not None):
        raise _not_in_force(lost)
    answer = client.try_login(before.user.login_name, {"password": item.password})
    if answer.right:
        return _settled(before, written, moved, answer)
    if answer.verdict == "rejected":
        raise _not_in_force(lost)
    raise UnknownOutcome(
        f"{lost.msg} The login that should decide was answered with {answer.reason}; the user has either "
        "the old or the new password.",
        unanswered=2 if answer.verdict == "silent" else 0,
    )


def settle_refused(client: Client, item: Wanted, before: State, written: State, refusal: Refused) -> State:
    """Decide what a refusal means: the connector may have repeated an ALTER whose first answer was lost.

    PASSWORD_LAST_SET_TIME shows that. PRIOR_USE is also the answer when the user has this password already; a login
    shows that, unless it has been tried.
    """
    try:
        moved = _moved(client, item, before)
    except NoAnswer as lost:
        raise UnknownOutcome(f"{refusal.msg} {lost.msg}", unanswered=2) from None
    untold = before.user.disabled or before.user.locked
    if untold and moved:
        return written
    can_tell = not untold and before.probe is None
    if moved is False and not (can_tell and refusal.evidence.get("refusal_reason") == "PRIOR_USE"):
        raise with_probe(refusal, before)
    if moved is None and not can_tell:
        raise UnknownOutcome(
            f"{refusal.msg} PASSWORD_LAST_SET_TIME cannot be read, so it is not certain that nothing changed."
        )
    answer = client.try_login(before.user.login_name, {"password": item.password})
    if answer.right:
        return _settled(before, written, moved, answer)
    if answer.verdict == "rejected" and not moved:
        raise Refused(refusal.msg, evidence={**refusal.evidence, "probe": answer.verdict})
    raise UnknownOutcome(f"{refusal.msg} The login that should decide was answered with {answer.reason}.")


def _settled(before: State, written: State, moved: bool | None, login: LoginAnswer) -> State:
    """The password is in force.

    Without a time to compare, "found as wanted" would be a guess; an ALTER without effect has not set the flag either.
    """
    flag_set = written.flag_set if moved else before.flag_set
    return dataclasses.replace(written, login=login, password_changed=moved is not False, flag_set=flag_set)


def _not_in_force(lost: NoAnswer) -> RotationError:
    """The password is not the new one, and will not be, unless the statement is still on its way."""
    if lost.under_way:
        return UnknownOutcome(f"{lost.msg} The password is not in force now, and the change may still arrive.")
    return Unreachable(f"{lost.msg} The password is not in force, so the change did not take effect.")


def with_probe(refusal: RotationError, state: State) -> RotationError:
    """The refusal, with what the login before it had said: only a value seen not to be live may be thrown away."""
    if state.probe is not None:
        refusal.evidence["probe"] = state.probe.verdict
    return refusal
