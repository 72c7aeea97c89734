# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What rest_password_rotate decides: observe → plan → apply → prove for one user's password behind an API."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t
from secrets import token_urlsafe

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    InvalidInput,
    NotFound,
    NotPermitted,
    Refused,
    RotationError,
    UnknownOutcome,
    VerifyFailed,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import Outcome, module_result
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.answers import LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.client import Client, LostChange
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import (
    PasswordOptions,
    Verify,
    options_from,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.plan import (
    NO_VERIFY,
    Change,
    State,
    Wanted,
    Write,
    asks_first,
    plan,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.result import known_secrets, with_trace
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import Rotator, rotate

# Why a change was acknowledged and yet is not proved.
UNCLEAR_LOGIN = "unclear_login"
_REFUSALS = (Refused, NotFound, NotPermitted, Ambiguous)


class PasswordRotator(Rotator[Wanted, State, Write]):
    """The four verbs on one service."""

    def __init__(self, client: Client, options: PasswordOptions, *, check_mode: bool = False) -> None:
        self._client = client
        self._options = options
        self._check_mode = check_mode
        self.proofs_at_once = options.verify_parallel
        self._control_login: LoginAnswer | None = None

    def identity(self, item: Wanted) -> dict[str, str]:
        return {"username": item.username}

    def called(self, item: Wanted) -> str:
        return self._folded(item.username)

    def _folded(self, name: str) -> str:
        return name.lower() if any(lookup.case_insensitive for lookup in self._options.lookups) else name

    def check(self, item: Wanted) -> None:
        if not item.username:
            raise InvalidInput("A username is empty.")
        if not item.password and not (item.password is None and self._check_mode):
            raise InvalidInput(f"The password for {item.username} is empty.")
        if self._options.rollback and not item.old_password and item.password is not None:
            raise InvalidInput(f"rollback needs the old_password of {item.username}.")
        self._client.rehearse(self._values(item, {}))
        if item.password is None:
            return
        if self._options.rollback:
            self._client.rehearse(self._values(_swapped(item), {}))
        elif self._options.verify and item.old_password:
            self._client.rehearse_login(self._options.verify, self._values(_swapped(item), {}))

    def last(self, item: Wanted) -> bool:
        return self._folded(item.username) in map(self._folded, self._client.administrators)

    def same_secret(self, one: Wanted, other: Wanted) -> bool:
        return one.password is not None and one.password == other.password

    def session(self) -> contextlib.AbstractContextManager[None]:
        return self._client.session()

    def observe(self, item: Wanted) -> State:
        state = State()
        verify, lookups = self._options.verify, self._options.lookups
        if item.password is None:
            # In check mode: who asks, and whom. What stands for a secret is tried with nobody.
            self._client.check_administrator(self._values(item, {}))
            made_up = {"password"} | (set() if item.old_password else {"old_password"})
            looks = lookups and not self._options.auth.names & made_up
            return dataclasses.replace(state, picked=self._find(item, state)) if looks else state
        if verify and verify.names & self._options.picked:
            state = dataclasses.replace(state, picked=self._find(item, state))
        if verify and not self._options.always:
            state = dataclasses.replace(state, probe=self._log_in(item, state))
            if t.cast(LoginAnswer, state.probe).verdict == "accepted":
                state = dataclasses.replace(state, control=self._control(item, state))
        if lookups and not state.picked and (asks_first(item, state) or plan(self._options, item, state)):
            state = dataclasses.replace(state, picked=self._find(item, state))
        return state

    def plan(self, item: Wanted, state: State) -> t.Sequence[Write]:
        return plan(self._options, item, state)

    def apply(self, item: Wanted, state: State, step: Write) -> State:
        if not isinstance(step, Change):
            raise self._rolled_back(item, state)
        try:
            self._client.write(
                self._options.change, self._values(item, state.picked), f"Changing the password of {item.username}"
            )
        except LostChange as lost:
            return self._settled(item, state, lost)
        except _REFUSALS as refusal:
            if not item.recovered or refusal.left == "unknown":
                raise
            return self._found_in_force(item, state, refusal)
        return dataclasses.replace(state, changed=True)

    def _found_in_force(self, item: Wanted, state: State, refusal: RotationError) -> State:
        """The service refuses what an earlier run may have set: one login tells whether it has it."""
        if self._options.verify is None:
            raise refusal
        login = state.probe or self._log_in(item, state)
        if login.verdict != "accepted" or not self._tells_apart(item, state):
            # A refusal of the administrator says nothing about the value, so there is no hurry to throw it away.
            about_value = not isinstance(refusal, NotPermitted)
            refusal.in_force = False if about_value and login.verdict == "rejected" else None
            raise refusal
        return dataclasses.replace(state, held=True, probe=login)

    def prove(self, item: Wanted, state: State) -> State:
        if not state.changed:
            return dataclasses.replace(state, login=state.probe, proof_done=True)
        if item.recovered and state.probe is not None and state.probe.verdict == "unknown":
            return dataclasses.replace(state, login=state.probe, proof_done=True)
        if self._options.verify and state.login is None:
            login = self._log_in_after(item, state)
            state = dataclasses.replace(state, login=login)
            if login.verdict == "unknown" and not item.recovered:
                raise UnknownOutcome(
                    f"The service acknowledged the new password of {item.username}, but the login with it "
                    f"{login.reason}, so it is not proved. Run again.",
                    left="changed",
                    unanswered=1 if login.silent else 0,
                )
            if login.verdict == "rejected" and (item.recovered or not self._options.rollback):
                # Acknowledged twice: to try it in a third run would only be one more failed login.
                raise _verify_failed(item, login, "Nothing was rolled back.", in_force=item.recovered or None)
        return dataclasses.replace(state, proof_done=True)

    def proving(self, item: Wanted) -> contextlib.AbstractContextManager[None]:
        return self._client.trace.proof(item.username)

    def proven(self, state: State) -> bool:
        return state.proof_done

    def report(self, item: Wanted, state: State, outcome: Outcome) -> None:
        outcome.changed = state.changed
        outcome.verified = state.proof_done and state.login is not None and state.login.verdict == "accepted"
        outcome.in_force = state.changed or outcome.verified or None
        if state.proof_done and not outcome.verified:
            outcome.verify_skipped_reason = UNCLEAR_LOGIN if self._options.verify else NO_VERIFY
        if state.changed:
            outcome.before, outcome.after = {"password": "old"}, {"password": "changed"}

    def expected(self, item: Wanted, state: State, steps: t.Sequence[Write], outcome: Outcome) -> None:
        if steps:
            outcome.before, outcome.after = {"password": "old"}, {"password": "would change"}

    def _values(self, item: Wanted, picked: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """All placeholders of one user."""
        # What is still to be made is stood for; in check mode it is sent nowhere.
        stand_in = "x" if item.password is None else None
        own = {"username": item.username, "password": item.password or stand_in}
        if item.old_password or stand_in:
            own["old_password"] = item.old_password or stand_in
        return {**self._options.values, **picked, **own}

    def _find(self, item: Wanted, state: State) -> dict[str, t.Any]:
        try:
            return self._client.find(self._values(item, {}), item.username)
        except (Refused, NotFound, Ambiguous, InvalidInput) as error:
            rejected = state.probe is not None and state.probe.verdict == "rejected"
            error.in_force = False if rejected else None
            raise

    def _log_in(self, item: Wanted, state: State) -> LoginAnswer:
        verify = t.cast(Verify, self._options.verify)
        answer = self._client.log_in(verify, self._values(item, state.picked))
        return answer

    def _log_in_after(self, item: Wanted, state: State) -> LoginAnswer:
        """The login after the change, repeated while it is rejected, because some services are slow to follow."""
        verify = t.cast(Verify, self._options.verify)
        answer = self._log_in(item, state)
        for _attempt in range(verify.attempts - 1):
            if answer.verdict != "rejected":
                break
            time.sleep(verify.delay)
            answer = self._log_in(item, state)
        return answer

    def _control(self, item: Wanted, state: State) -> LoginAnswer | None:
        """One login with a wrong password in the whole run: is any accepted?"""
        if not t.cast(Verify, self._options.verify).control:
            return None
        if self._control_login is None:
            wrong = item.old_password if item.old_password != item.password else None
            self._control_login = self._log_in(dataclasses.replace(item, password=wrong or token_urlsafe(18)), state)
        return self._control_login

    def _tells_apart(self, item: Wanted, state: State) -> bool:
        """Whether a login that was accepted proves anything."""
        control = self._control(item, state)
        return control is None or control.tells_apart

    def _settled(self, item: Wanted, state: State, lost: LostChange) -> State:
        """The change may or may not have been processed: one login decides, where there is one."""
        unknown = f"{lost.msg} Whether it took effect is not known"
        if self._options.verify is None:
            raise UnknownOutcome(
                f"{unknown}: {item.username} has either the old or the new password.", unanswered=lost.unanswered
            )
        login = self._log_in_after(item, state)
        if login.verdict != "accepted":
            raise UnknownOutcome(
                f"{unknown}: the login with the new password {login.reason}. Run again.",
                unanswered=2 if login.silent else lost.unanswered,
            )
        if not self._tells_apart(item, state):
            raise UnknownOutcome(
                f"{unknown}: the login as {item.username} is accepted with the new password, and no login with a wrong "
                "one was rejected, so verify proves nothing. Correct verify."
            )
        return dataclasses.replace(state, changed=True, login=login)

    def _rolled_back(self, item: Wanted, state: State) -> RotationError:
        """Send the change with the passwords swapped, and say what came of it."""
        login = t.cast(LoginAnswer, state.login)
        subject = f"Setting the old password of {item.username} again"
        try:
            # A revision that guards the change is another one by now.
            picked = self._client.find(self._values(item, {}), item.username, afresh=True)
            self._client.write(self._options.change, self._values(_swapped(item), picked), subject)
        except (LostChange, RotationError) as error:
            left = f"The roll-back failed, so which password is in force is not known. {error.msg}"
            return _verify_failed(item, login, left, rolled_back=False)
        return _verify_failed(item, login, "The old password was set again.", rolled_back=True)


def _swapped(item: Wanted) -> Wanted:
    return Wanted(item.username, password=item.old_password, old_password=item.password)


def _verify_failed(
    item: Wanted, login: LoginAnswer, what_now: str, *, in_force: bool | None = None, **evidence: bool
) -> VerifyFailed:
    return VerifyFailed(
        f"The service acknowledged the new password of {item.username}, but the login with it {login.reason}. "
        f"{what_now}",
        left="changed",
        evidence=evidence,
        in_force=in_force,
    )


def run(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """The module's return values for validated parameters."""
    single = params["users"] is None
    users = [params] if single else params["users"]
    if not users:
        raise InvalidInput("users is empty; there is nothing to do.")
    options = options_from(params)
    client = Client(options, known_secrets(params, SPEC))
    wanted = [
        Wanted(user["username"], user["password"], user["old_password"] or None, user["recovered"]) for user in users
    ]
    outcomes = rotate(PasswordRotator(client, options, check_mode=check_mode), wanted, check_mode=check_mode)
    result = module_result(outcomes, single=single, noun="user")
    return with_trace(result, client.trace.lines([item.username for item in wanted]), single=single)
