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
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.client import (
    PROOFS_AT_ONCE,
    Client,
    NoAnswer,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.password_plan import (
    Options,
    State,
    Unlock,
    Wanted,
    Write,
    closed,
    decide,
    has_moved,
    holds_none,
    needs_login,
    plan,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import User, parse

# Snowflake's own minimum; shorter values could not be scrubbed from texts either.
_SHORTEST_PASSWORD = 8
_LONGEST_PASSWORD = 256

USER_OPTIONS: dict[str, dict[str, t.Any]] = {
    "password": {"type": "str", "no_log": True},
    "recovered": {"type": "bool", "default": False, "no_log": False},
}

SPEC = connection.CONNECTION_SPEC.merged(
    ArgumentSpec(
        options={
            "name": {"type": "str", "no_log": False},
            **USER_OPTIONS,
            "users": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {"name": {"type": "str", "required": True, "no_log": False}, **USER_OPTIONS},
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
        required_by={"password": ("name",)},
    )
)


class PasswordRotator(Rotator[Wanted, State, Write]):
    """The four verbs on one account."""

    proofs_at_once = PROOFS_AT_ONCE

    def __init__(self, client: Client, login: connection.Login, options: Options, *, check_mode: bool = False) -> None:
        self._client = client
        self._login = login
        self._options = options
        self._check_mode = check_mode

    def identity(self, item: Wanted) -> dict[str, str]:
        return {"name": item.name}

    def called(self, item: Wanted) -> str:
        return sql.exact_name(item.name)

    def check(self, item: Wanted) -> None:
        sql.exact_name(item.name)
        if item.password is None and self._check_mode:
            return
        password = item.password or ""
        fault = None
        if not password:
            fault = "is missing or empty"
        elif not _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD:
            fault = f"must have {_SHORTEST_PASSWORD} to {_LONGEST_PASSWORD} characters"
        elif "\0" in password or any("\ud800" <= character <= "\udfff" for character in password):
            fault = "contains a NUL or half a character"
        if fault:
            # No user can have such a password, so nothing is lost with it.
            raise InvalidInput(f"The password for {item.name} {fault}.", in_force=False)

    def same_secret(self, one: Wanted, other: Wanted) -> bool:
        return one.password is not None and one.password == other.password

    def session(self) -> contextlib.AbstractContextManager[None]:
        return self._client.session(self._login)

    def observe(self, item: Wanted) -> State:
        user = self._describe(item)
        # The one login before any write, where it can tell something.
        pointless = self._options.always or item.password is None or holds_none(user)
        probe = None if pointless else self._try(item, user)
        return State(user=user, probe=probe, password_last_set_time=user.password_last_set_time)

    def plan(self, item: Wanted, state: State) -> t.Sequence[Write]:
        return plan(self._options, item, state)

    def apply(self, item: Wanted, state: State, step: Write) -> State:
        if isinstance(step, Unlock):
            return self._unlock(item, state)
        properties: dict[str, str | bool | int] = {}
        if step.password:
            properties["PASSWORD"] = t.cast(str, item.password)
        if step.must_change_password is not None:
            properties["MUST_CHANGE_PASSWORD"] = step.must_change_password
        statement = sql.set_user_properties(state.user.name, properties)
        written = dataclasses.replace(
            state,
            password_set=state.password_set or step.password,
            password_changed=state.password_changed or step.password,
            flag_set=step.must_change_password is not None,
        )
        try:
            self._client.execute(statement, f"Setting {' and '.join(properties)} of user {item.name}")
        except (NoAnswer, Refused, NotFound, NotPermitted) as error:
            if step.password:
                return self._settle(item, state, written, error)
            if isinstance(error, NoAnswer):
                raise _unknown(error, state) from None
            error.in_force = state.seen or None
            raise
        return written

    def _settle(self, item: Wanted, before: State, written: State, error: RotationError) -> State:
        """What an ALTER means that was not acknowledged; see decide."""
        try:
            moved = has_moved(before.user, self._readable(item), error)
            answer = self._try(item, before.user) if needs_login(item, before, error, moved) else before.probe
            if moved is False and answer is not None and answer.right:
                # It arrived between the two.
                moved = has_moved(before.user, self._readable(item), error)
        except NoAnswer as lost:
            raise UnknownOutcome(f"{error.msg} {lost.msg} Whether it took effect is not known.", unanswered=2) from None
        return decide(item, before, written, error, moved, answer)

    def _unlock(self, item: Wanted, state: State) -> State:
        subject = f"Unlocking user {item.name}"
        try:
            self._client.execute(sql.set_user_properties(state.user.name, {"MINS_TO_UNLOCK": 0}), subject)
        except NoAnswer as lost:
            raise _unknown(lost, state) from None
        try:
            return dataclasses.replace(self.observe(item), unlocked=True)
        except RotationError as error:
            error.left = "changed"
            raise

    def prove(self, item: Wanted, state: State) -> State:
        if not state.password_set:
            return dataclasses.replace(state, login=state.probe, proof_done=True)
        try:
            now = self._readable(item)
            state = dataclasses.replace(state, password_last_set_time=now.password_last_set_time if now else None)
        except NoAnswer:
            state = dataclasses.replace(state, login=state.login or LoginAnswer("silent", "no_answer"))
        if state.login is None:
            login = self._proof(item, state) if self._options.verify else closed(state.user)
            state = dataclasses.replace(state, login=login)
        if state.login is not None:
            _check_proof(item, state.login)
        return dataclasses.replace(state, proof_done=True)

    def _proof(self, item: Wanted, state: State) -> LoginAnswer:
        """The login that proves a write; a recovered password that was probed is not tried again."""
        if item.recovered and state.probe is not None and not state.probe.right:
            return state.probe if state.probe.verdict != "rejected" else LoginAnswer("unknown", "rejected_before")
        return self._try(item, state.user)

    def proven(self, state: State) -> bool:
        return state.proof_done

    def report(self, item: Wanted, state: State, outcome: Outcome) -> None:
        outcome.changed = state.unlocked or state.password_changed or state.flag_set
        outcome.facts = _facts(state)
        outcome.verified = state.proof_done and state.login is not None and state.login.verdict == "accepted"
        acknowledged = state.password_set and (state.proof_done or item.recovered)
        outcome.in_force = acknowledged or state.seen or None
        if state.proof_done and not outcome.verified:
            outcome.verify_skipped_reason = state.login.reason if state.login is not None else VERIFY_DISABLED
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

    def expected(self, item: Wanted, state: State, steps: t.Sequence[Write], outcome: Outcome) -> None:
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

    def _readable(self, item: Wanted) -> User | None:
        """The user now, None where it may not be read. Raises NoAnswer."""
        try:
            return self._describe(item)
        except (Refused, NotFound, NotPermitted):
            return None

    def _try(self, item: Wanted, user: User) -> LoginAnswer:
        return closed(user) or self._client.try_login(user.login_name, {"password": item.password})


def _unknown(lost: NoAnswer, state: State) -> UnknownOutcome:
    message = f"{lost.msg} Whether it took effect is not known."
    return UnknownOutcome(message, unanswered=1, in_force=state.seen or None)


def _check_proof(item: Wanted, answer: LoginAnswer) -> None:
    """Raise where an acknowledged password is not proved enough. A recovered one was acknowledged twice."""
    if answer.verdict == "silent" and not item.recovered:
        raise Unreachable(
            f"The password of {item.name} was changed, but the login that should prove it got no answer.", unanswered=2
        )
    if answer.verdict == "rejected":
        raise VerifyFailed(
            f"Snowflake acknowledged the new password of {item.name}, but the login with it was answered with "
            f"{answer.reason} (code {answer.code}). Nothing was rolled back.",
            in_force=item.recovered or None,
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
    users = [params] if single else params["users"]
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
    wanted = [Wanted(**{name: user[name] for name in ("name", *USER_OPTIONS)}) for user in users]
    outcomes = rotate(PasswordRotator(client, login, options, check_mode=check_mode), wanted, check_mode=check_mode)
    return module_result(outcomes, single=single, noun="user")
