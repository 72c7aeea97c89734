# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What an ALTER of a password that was not acknowledged has left: one decision with four answers.

PASSWORD_LAST_SET_TIME tells whether this run has changed anything, and at most one login whose password it is.
"""

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
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.password_plan import (
    State,
    Wanted,
    can_log_in,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User, parse

_NOT_ASKED = LoginAnswer("unknown", "not_asked")


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


def settle(client: Client, item: Wanted, before: State, written: State, error: RotationError) -> State:
    """The state where the password turns out to be in force in spite of the error; raises what is left to say else.

    error: NoAnswer, or a refusal. The connector may have repeated an ALTER whose first answer was lost, and PRIOR_USE
    is the answer, too, where the user has this password already.
    """
    try:
        now = set_time(client, item)
    except NoAnswer as silence:
        raise UnknownOutcome(f"{error.msg} {silence.msg} Whether it took effect is not known.", unanswered=2) from None
    # None before it: the user may never have had a password. None after it says nothing.
    moved = None if now is None else now != before.user.password_last_set_time
    prior_use = error.evidence.get("refusal_reason") == "PRIOR_USE"
    lost = isinstance(error, NoAnswer)
    login = _NOT_ASKED
    if before.probe is not None and (moved is False or (moved is None and item.recovered and not lost)):
        # Nothing has changed since, or at most one failed login is to be risked.
        login = before.probe
    elif can_log_in(before.user) and (
        (moved or lost) and not item.recovered
        if before.probe is not None
        else item.recovered or prior_use or lost or moved is not False
    ):
        login = client.try_login(before.user.login_name, {"password": str(item.password)})
    answer = _in_force(login, moved, prior_use=prior_use, recovered=item.recovered)
    if answer == "in force":
        # An ALTER without effect has not set the flag either.
        flag_set = written.flag_set if moved else before.flag_set
        told = None if login is _NOT_ASKED else login
        return dataclasses.replace(written, login=told, password_changed=moved is not False, flag_set=flag_set)
    raise _left(error, login, answer, moved)


def _in_force(login: LoginAnswer, moved: bool | None, *, prior_use: bool, recovered: bool) -> str:
    """in force, not in force, unknown or no answer."""
    if login.right:
        return "in force"
    if login.verdict == "rejected":
        return "unknown" if moved else "not in force"
    if login.verdict == "silent":
        return "no answer"
    # No login can tell. That the service has had this very value before is its own word for a value of ours.
    if (prior_use and recovered) or (moved and login is _NOT_ASKED):
        return "in force"
    return "not in force" if moved is False and not recovered else "unknown"


def _left(error: RotationError, login: LoginAnswer, answer: str, moved: bool | None) -> RotationError:
    """What the failure says, and whether the value may be live."""
    if isinstance(error, NoAnswer):
        if answer != "not in force":
            known = "" if login is _NOT_ASKED else f" The login that should decide was answered with {login.reason}."
            return UnknownOutcome(
                f"{error.msg} Whether it took effect is not known.{known} The user has the old or the new password.",
                unanswered=2 if answer == "no answer" else 1 if login is _NOT_ASKED else 0,
            )
        if error.under_way:
            return UnknownOutcome(f"{error.msg} The password is not in force now, and the change may still arrive.")
        return Unreachable(f"{error.msg} The password is not in force, so the change did not take effect.")
    if answer == "not in force" or (answer == "unknown" and moved is False):
        # Without a login nobody has looked: a value that is set with "always" may have been in force all the time.
        error.in_force = False if login.verdict == "rejected" else None
        return error
    if login is _NOT_ASKED and isinstance(error, Refused):
        return UnknownOutcome(
            f"{error.msg} PASSWORD_LAST_SET_TIME cannot be read, so it is not certain that nothing changed."
        )
    return UnknownOutcome(f"{error.msg} The login that should decide was answered with {login.reason}.")
