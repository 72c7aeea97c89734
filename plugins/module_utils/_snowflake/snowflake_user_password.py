# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What snowflake_user_password decides: observe → plan → apply → prove for one user's password."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
    NotFound,
    NotPermitted,
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
    VerifyFailed,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import (
    VERIFY_DISABLED,
    Outcome,
    module_result,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import Rotator, rotate
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import connection, sql
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.client import Client, NoAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.password_plan import (
    Options,
    State,
    Step,
    Unlock,
    plan,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User, parse

# Snowflake's own minimum; shorter values could not be scrubbed from texts either.
_SHORTEST_PASSWORD = 8
_LONGEST_PASSWORD = 256

SPEC = connection.CONNECTION_SPEC.merged(
    ArgumentSpec(
        options={
            "name": {"type": "str", "no_log": False},
            "password": {"type": "str", "no_log": True},
            "users": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {
                    "name": {"type": "str", "required": True, "no_log": False},
                    "password": {"type": "str", "required": True, "no_log": True},
                },
            },
            "update_password": {
                "type": "str",
                "choices": ["if_different", "always"],
                "default": "if_different",
                "no_log": False,
            },
            "verify": {"type": "bool", "default": True, "no_log": False},
            "must_change_password": {"type": "bool", "no_log": False},
            "unlock": {"type": "bool", "default": False, "no_log": False},
        },
        mutually_exclusive=[("name", "users"), ("password", "users")],
        required_one_of=[("name", "users")],
        required_by={"name": ("password",), "password": ("name",)},
    )
)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One user and the password that it shall have."""

    name: str
    password: str = dataclasses.field(repr=False)


class PasswordRotator(Rotator[Wanted, State, Step]):
    """The four verbs on one account."""

    def __init__(self, client: Client, login: connection.Login, options: Options) -> None:
        self._client = client
        self._login = login
        self._options = options

    def identity(self, item: Wanted) -> dict[str, str]:
        return {"name": item.name}

    def account(self, item: Wanted) -> str:
        return sql.exact_name(item.name)

    def check(self, item: Wanted) -> None:
        sql.exact_name(item.name)
        if not item.password:
            raise InvalidInput(f"The password for {item.name} is empty. Nothing was done.")
        if not _SHORTEST_PASSWORD <= len(item.password) <= _LONGEST_PASSWORD:
            raise InvalidInput(
                f"The password for {item.name} must have {_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters. "
                "Nothing was done."
            )
        if "\0" in item.password or any("\ud800" <= character <= "\udfff" for character in item.password):
            raise InvalidInput(f"The password for {item.name} contains a NUL or half a character. Nothing was done.")

    def same_secret(self, one: Wanted, other: Wanted) -> bool:
        return one.password == other.password

    def session(self) -> contextlib.AbstractContextManager[None]:
        return self._client.session(self._login)

    def observe(self, item: Wanted) -> State:
        user = self._describe(item)
        return State(user=user, probe=self._probe(item, user), password_last_set_time=user.password_last_set_time)

    def plan(self, item: Wanted, state: State) -> t.Sequence[Step]:
        return plan(self._options, state)

    def apply(self, item: Wanted, state: State, step: Step) -> State:
        if isinstance(step, Unlock):
            return self._unlock(item, state)
        properties: dict[str, str | bool | int] = {}
        if step.password:
            properties["PASSWORD"] = item.password
        if step.must_change_password is not None:
            properties["MUST_CHANGE_PASSWORD"] = step.must_change_password
        statement = sql.set_user_properties(state.user.name, properties)
        subject = f"Setting {' and '.join(properties)} of user {item.name}"
        written = dataclasses.replace(
            state,
            password_set=state.password_set or step.password,
            password_changed=state.password_changed or step.password,
            flag_set=step.must_change_password is not None,
        )
        try:
            self._client.execute(statement, subject)
        except NoAnswer as lost:
            return self._settle_lost(item, state, written, lost)
        except (Refused, NotFound, NotPermitted) as refusal:
            if step.password and isinstance(refusal, Refused):
                return self._settle_refused(item, state, written, refusal)
            raise _with_probe(refusal, state) from None
        return written

    def _unlock(self, item: Wanted, state: State) -> State:
        subject = f"Unlocking user {item.name}"
        try:
            self._client.execute(sql.set_user_properties(state.user.name, {"MINS_TO_UNLOCK": 0}), subject)
        except NoAnswer as lost:
            raise UnknownOutcome(f"{lost.msg} Whether it took effect is not known.", unanswered=1) from None
        try:
            return dataclasses.replace(self.observe(item), unlocked=True)
        except RotationError as error:
            error.changed = True
            raise

    def prove(self, item: Wanted, state: State) -> State:
        if not state.password_set:
            return dataclasses.replace(state, login=state.probe, proof_done=True)
        try:
            state = dataclasses.replace(state, password_last_set_time=self._set_time(item))
        except NoAnswer:
            raise Unreachable(
                f"The password of {item.name} was changed, and then Snowflake stopped answering, so it is not proved.",
                unanswered=2,
            ) from None
        if state.login is None and self._options.verify and not state.user.disabled and not state.user.locked:
            state = dataclasses.replace(
                state, login=self._client.try_login(state.user.login_name, {"password": item.password})
            )
            _check_proof(item, t.cast(LoginAnswer, state.login))
        return dataclasses.replace(state, proof_done=True)

    def proven(self, state: State) -> bool:
        return state.proof_done

    def report(self, item: Wanted, state: State, outcome: Outcome) -> None:
        outcome.changed = state.unlocked or state.password_changed or state.flag_set
        outcome.facts = _facts(state)
        outcome.verified = state.proof_done and state.login is not None and state.login.verdict == "accepted"
        if state.proof_done and not outcome.verified:
            outcome.verify_skipped_reason = self._why_not_verified(state)
        outcome.before = _metadata(state.user)
        outcome.after = {
            **outcome.before,
            "password_last_set_time": state.password_last_set_time,
            "locked": state.user.locked,
        }
        if state.unlocked:
            outcome.before["locked"] = True
        if state.password_changed:
            outcome.after["password"] = "changed"
        if state.flag_set:
            outcome.after["must_change_password"] = self._options.must_change_password

    def expected(self, item: Wanted, state: State, steps: t.Sequence[Step], outcome: Outcome) -> None:
        outcome.facts = _facts(state)
        outcome.before = _metadata(state.user)
        outcome.after = dict(outcome.before)
        for step in steps:
            if isinstance(step, Unlock):
                outcome.after["locked"] = False
                continue
            if step.password:
                outcome.after["password"] = "would change"
            if step.must_change_password is not None:
                outcome.after["must_change_password"] = step.must_change_password

    def _describe(self, item: Wanted) -> User:
        stored = sql.exact_name(item.name)
        return parse(stored, self._client.execute(sql.describe_user(stored), f"Describing user {item.name}"))

    def _probe(self, item: Wanted, user: User) -> LoginAnswer | None:
        """The one login before any write, where it can tell something and costs nobody a needless strike."""
        pointless = self._options.always or user.disabled or user.locked or (user.type or "").upper() == "SERVICE"
        return None if pointless else self._client.try_login(user.login_name, {"password": item.password})

    def _set_time(self, item: Wanted) -> str | None:
        """PASSWORD_LAST_SET_TIME now, None where it may not be read. Raises NoAnswer."""
        try:
            return self._describe(item).password_last_set_time
        except NoAnswer:
            raise
        except RotationError:
            return None

    def _moved(self, item: Wanted, before: State) -> bool | None:
        """Whether PASSWORD_LAST_SET_TIME is another one than before this run; None where it cannot be told.

        Raises NoAnswer where the service has stopped answering.
        """
        now = self._set_time(item)
        # None before it: the user may never have had a password. None after it says nothing.
        return None if now is None else now != before.user.password_last_set_time

    def _settle_lost(self, item: Wanted, before: State, written: State, lost: NoAnswer) -> State:
        """The ALTER's answer never came: one login decides, where it can and would not be a strike for nothing."""
        unknown = f"{lost.msg} Whether it took effect is not known."
        if before.password_set or not written.password_set:
            raise UnknownOutcome(unknown, unanswered=1)
        try:
            moved = self._moved(item, before)
        except NoAnswer:
            raise UnknownOutcome(unknown, unanswered=2) from None
        untold = before.user.disabled or before.user.locked
        if untold and moved:
            return written
        if untold and moved is None:
            raise UnknownOutcome(unknown)
        if moved is False and (untold or before.probe is not None):
            raise _not_in_force(lost)
        answer = self._client.try_login(before.user.login_name, {"password": item.password})
        if answer.right:
            return _settled(before, written, moved, answer)
        if answer.verdict == "rejected":
            raise _not_in_force(lost)
        raise UnknownOutcome(
            f"{lost.msg} The login that should decide was answered with {answer.reason}; the user has either "
            "the old or the new password.",
            unanswered=2 if answer.verdict == "silent" else 0,
        )

    def _settle_refused(self, item: Wanted, before: State, written: State, refusal: Refused) -> State:
        """Decide what a refusal means: the connector may have repeated an ALTER whose first answer was lost.

        PASSWORD_LAST_SET_TIME shows that. PRIOR_USE is also the answer when the user has this password already; a login
        shows that, unless it has been tried.
        """
        try:
            moved = self._moved(item, before)
        except NoAnswer as lost:
            raise UnknownOutcome(f"{refusal.msg} {lost.msg}", unanswered=2) from None
        untold = before.user.disabled or before.user.locked
        if untold and moved:
            return written
        can_tell = not untold and before.probe is None
        if moved is False and not (can_tell and refusal.evidence.get("refusal_reason") == "PRIOR_USE"):
            raise _with_probe(refusal, before)
        if moved is None and not can_tell:
            raise UnknownOutcome(
                f"{refusal.msg} PASSWORD_LAST_SET_TIME cannot be read, so it is not certain that nothing changed."
            )
        answer = self._client.try_login(before.user.login_name, {"password": item.password})
        if answer.right:
            return _settled(before, written, moved, answer)
        if answer.verdict == "rejected" and not moved:
            raise Refused(refusal.msg, evidence={**refusal.evidence, "probe": answer.verdict})
        raise UnknownOutcome(f"{refusal.msg} The login that should decide was answered with {answer.reason}.")

    def _why_not_verified(self, state: State) -> str:
        if state.user.disabled:
            return "user_disabled"
        if state.user.locked:
            return "user_locked"
        return state.login.reason if state.login is not None else VERIFY_DISABLED


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


def _with_probe(refusal: RotationError, state: State) -> RotationError:
    """The refusal, with what the login before it had said: only a value seen not to be live may be thrown away."""
    if state.probe is not None:
        refusal.evidence["probe"] = state.probe.verdict
    return refusal


def _check_proof(item: Wanted, answer: LoginAnswer) -> None:
    if answer.verdict == "silent":
        raise Unreachable(
            f"The password of {item.name} was changed, but the login that should prove it got no answer.", unanswered=1
        )
    if not answer.right:
        raise VerifyFailed(
            f"Snowflake acknowledged the new password of {item.name}, but the login with it was answered with "
            f"{answer.reason} (code {answer.code}). Nothing was rolled back."
        )


def _facts(state: State) -> dict[str, t.Any]:
    return {
        "login_name": state.user.login_name,
        "user_type": state.user.type,
        "password_last_set_time": state.password_last_set_time,
    }


def _metadata(user: User) -> dict[str, t.Any]:
    return {
        "disabled": user.disabled,
        "locked": user.locked,
        "must_change_password": user.must_change_password,
        "password_last_set_time": user.password_last_set_time,
    }


def run(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """The module's return values for validated parameters."""
    single = params["users"] is None
    users = [{"name": params["name"], "password": params["password"]}] if single else params["users"]
    if not users:
        raise InvalidInput("users is empty; there is nothing to do.")
    resolved = connection.with_environment(params, os.environ)
    login = connection.login(resolved)
    client = Client(connection.endpoint(resolved))
    options = Options(
        always=params["update_password"] == "always",
        verify=params["verify"],
        must_change_password=params["must_change_password"],
        unlock=params["unlock"],
    )
    wanted = [Wanted(name=user["name"], password=user["password"]) for user in users]
    outcomes = rotate(PasswordRotator(client, login, options), wanted, check_mode=check_mode)
    return module_result(outcomes, single=single, noun="user")
