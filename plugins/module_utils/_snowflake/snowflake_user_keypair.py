# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What snowflake_user_keypair decides: observe → plan → apply → prove for one user's key."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
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
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import connection, key_material, sql
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import ACCEPTED
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.client import (
    PROOFS_AT_ONCE,
    Client,
    NoAnswer,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.clock import ServiceClock
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_material import KeyMaterial
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_options import (
    RESERVED_PAIRS,
    Wanted,
    check_pair_name,
    read_item,
    read_options,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_plan import (
    AddPair,
    MakeKeyFile,
    Options,
    Pair,
    RemovePair,
    Retire,
    RotatePair,
    SetSlot,
    State,
    Write,
    in_force,
    in_place,
    pair_of,
    plan,
    slot_of,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import Slot, User, is_user, parse

_PUBLIC_ONLY = "public_key_only"
_SYNTAX_ERROR = 1003


class KeypairRotator(Rotator[Wanted, State, Write]):
    """The four verbs on one account."""

    proofs_at_once = PROOFS_AT_ONCE

    def __init__(
        self, client: Client, account: str, login: connection.Login, options: Options, *, check_mode: bool = False
    ) -> None:
        self._client = client
        self._account = account
        self._login = login
        self._options = options
        self._check_mode = check_mode
        self._clock = ServiceClock(client)
        self._seen: dict[str, list[dict[str, t.Any]]] = {}

    def identity(self, item: Wanted) -> dict[str, str]:
        return {"name": item.name}

    def called(self, item: Wanted) -> str:
        return sql.exact_name(item.name)

    def last(self, item: Wanted) -> bool:
        return sql.same_name(self._login.user, item.name)

    def check(self, item: Wanted) -> None:
        user = f"User {sql.exact_name(item.name)}"
        if item.unusable is not None:
            raise item.unusable
        if item.new is None and item.path is None and not self._check_mode:
            raise InvalidInput(f"{user}: one of private_key, private_key_path and public_key is needed.")
        if item.new is not None and item.new.fingerprint == item.current:
            raise InvalidInput(f"{user}: the new key and the key in use are the same, {item.current}.")
        # Of what the vault has, check mode shows the public half only.
        shown = self._check_mode and (item.recovered or not item.install)
        if item.new is not None and item.new.private is None and self._options.verify and not shown:
            raise InvalidInput(
                f"{user}: a public key alone cannot be proved; give the private key, or set verify=false."
            )
        if item.new is None and item.path is not None:
            key_material.check_writable(item.path)
        if self._options.named:
            check_pair_name(user, item.pair_name)
        elif item.pair_name is not None:
            raise InvalidInput(f"{user}: key_pair_name goes with method=named.")

    def same_secret(self, one: Wanted, other: Wanted) -> bool:
        made = one.new is not None or one.path is not None
        return made and (one.new, one.path, one.pair_name) == (other.new, other.path, other.pair_name)

    def session(self) -> contextlib.AbstractContextManager[None]:
        return self._client.session(self._login)

    def observe(self, item: Wanted) -> State:
        user = self._describe(item)
        state = State(
            user=user,
            new=item.new,
            pair_name=sql.exact_name(item.pair_name) if item.pair_name else None,
            makes_file=item.path is not None,
            install=item.install,
            in_use=item.current,
            # In check mode the login that a retirement needs is taken for granted.
            login=ACCEPTED if self._check_mode and self._options.verify else None,
            admin=self._login.key_fingerprint if is_user(self._login.user, user) else None,
        )
        if self._options.named:
            state = dataclasses.replace(state, pairs=self._pairs(item, user))
        self._seen[item.name] = _keys(state, named=self._options.named)
        return state

    def plan(self, item: Wanted, state: State) -> t.Sequence[Write]:
        options = self._options
        if item.retire_after is not None:
            options = dataclasses.replace(options, retire_after=item.retire_after)
        return plan(options, state, self._clock.now() if options.retire_after is not None else duration.now())

    def apply(self, item: Wanted, state: State, step: Write) -> State:
        if isinstance(step, MakeKeyFile):
            new = key_material.create_key_file(t.cast(str, item.path), item.passphrase, self._options.key_size)
            return dataclasses.replace(state, new=new, file_made=True)
        if state.file_made or overwritten(state, step) is not None:
            # What goes must still be the very key that was planned, and what it makes room for still there; else the
            # plan starts from what is there now. Making a key takes seconds, in which an empty slot may be filled.
            now = self._current(item, state)
            if (overwritten(now, step), slot_of(now)) != (overwritten(state, step), slot_of(state)):
                return now
            state = now
        unclear: RotationError | None = None
        try:
            self._client.execute(self._statement(state, step), f"Changing keys of user {item.name}")
        except (NoAnswer, Refused, NotPermitted) as error:
            # A refusal, too: the connector may have repeated a statement whose first answer was lost.
            unclear = error
        after = self._looked_again(item, state, unclear)
        if not self._took_effect(after, step):
            raise self._without_effect(item, after, unclear)
        return _done(state, after, step)

    def prove(self, item: Wanted, state: State) -> State:
        key = t.cast(KeyMaterial, state.new)
        if not self._options.verify or key.private is None or state.user.disabled:
            return dataclasses.replace(state, proof_done=True)
        answer = self._client.try_login(
            state.user.login_name, {"authenticator": "SNOWFLAKE_JWT", "private_key": key.private}
        )
        where = f"The key {key.fingerprint} of user {item.name} is in place, but the login that should prove it"
        if answer.verdict == "silent" and not item.recovered:
            raise Unreachable(f"{where} got no answer.", unanswered=1)
        if answer.verdict == "rejected":
            # What an earlier run has left and Snowflake shows is in force, so that no later run tries it once more.
            raise VerifyFailed(
                f"{where} was answered with {answer.reason} (code {answer.code}). Nothing was removed.",
                in_force=True if item.recovered else None,
            )
        return dataclasses.replace(state, login=answer, proof_done=True)

    def proven(self, state: State) -> bool:
        return state.proof_done

    def report(self, item: Wanted, state: State, outcome: Outcome) -> None:
        outcome.changed = bool(state.placed or state.retired or state.file_made or state.tombstones_removed)
        outcome.in_force = in_place(state) or None
        outcome.verified = state.login is not None and state.login.verdict == "accepted"
        if state.proof_done and not outcome.verified:
            outcome.verify_skipped_reason = self._why_not_verified(state)
        outcome.facts = self._facts(state)
        outcome.after = {"keys": outcome.facts["keys"]}
        outcome.before = {"keys": self._seen[item.name]}

    def expected(self, item: Wanted, state: State, steps: t.Sequence[Write], outcome: Outcome) -> None:
        planned = list(steps)
        if steps and isinstance(steps[0], SetSlot) and state.new is not None:
            # A retirement at once follows in the same run.
            planned += self.plan(item, _as_if_set(state, steps[0], self._clock.now() if self._clock.known else None))
        gone = [overwritten(state, step) for step in planned]
        outcome.facts = self._facts(state)
        outcome.facts["evicted_fingerprint"] = next((key[0] for key in gone if key is not None), None)
        outcome.before = {"keys": outcome.facts["keys"]}
        outcome.after = {"keys": [*outcome.facts["keys"], *(_in_words(step, state) for step in planned)]}

    def _describe(self, item: Wanted) -> User:
        stored = sql.exact_name(item.name)
        return parse(stored, self._client.execute(sql.describe_user(stored), f"Describing user {item.name}"))

    def _pairs(self, item: Wanted, user: User) -> tuple[Pair, ...]:
        try:
            rows = self._client.execute(sql.show_key_pairs(user.name), f"Listing key pairs of user {item.name}")
        except RotationError as error:
            raise self._explained(item, error) from None
        return tuple(
            Pair(
                name=str(row.get("name")),
                fingerprint=_text(row.get("fingerprint")),
                status=str(row.get("status") or "").upper(),
                expires_at=_text(row.get("expires_at")),
                created_on=_text(row.get("created_on")),
                rotated_to=_text(row.get("rotated_to")),
            )
            for row in rows
            if str(row.get("name")) not in RESERVED_PAIRS
        )

    def _statement(self, state: State, step: Write) -> str:
        user = state.user.name
        if isinstance(step, SetSlot):
            return sql.set_user_properties(user, {step.slot.property_name: _new(state).public})
        if isinstance(step, Retire):
            return sql.unset_user_property(user, step.slot.property_name)
        if isinstance(step, RemovePair):
            return sql.remove_key_pair(user, step.name)
        pair = t.cast(str, state.pair_name)
        if isinstance(step, AddPair):
            return sql.add_key_pair(user, pair, _new(state).public)
        return sql.rotate_key_pair(user, pair, _new(state).public, self._options.expiry_hours)

    def _looked_again(self, item: Wanted, state: State, unclear: RotationError | None) -> State:
        """The state with the user's keys as they are now; an unclear answer is decided by what stands there."""
        try:
            return self._current(item, state)
        except RotationError as error:
            begun = "was acknowledged" if unclear is None else "got no clear answer"
            raise UnknownOutcome(
                f"The change of keys of user {item.name} {begun}, and looking at the result failed. {error.msg}",
                unanswered=error.unanswered,
                left="changed" if unclear is None else "unknown",
            ) from None

    def _current(self, item: Wanted, state: State) -> State:
        """The state with the user's keys as they are now."""
        user = self._describe(item)
        return dataclasses.replace(state, user=user, pairs=self._pairs(item, user) if self._options.named else ())

    def _took_effect(self, after: State, step: Write) -> bool:
        if isinstance(step, SetSlot):
            return after.user.slots[step.slot.number - 1].fingerprint == _new(after).fingerprint
        if isinstance(step, Retire):
            return after.user.slots[step.slot.number - 1].fingerprint is None
        if isinstance(step, RemovePair):
            return all(pair.name != step.name for pair in after.pairs)
        pair = pair_of(after)
        return pair is not None and pair.fingerprint == _new(after).fingerprint

    def _without_effect(self, item: Wanted, after: State, unclear: RotationError | None) -> RotationError:
        if isinstance(unclear, NoAnswer):
            if unclear.under_way:
                return UnknownOutcome(f"{unclear.msg} The keys are as they were, and the change may still arrive.")
            return Unreachable(f"{unclear.msg} The keys are as they were.")
        if unclear is not None:
            # Seen just now: a fingerprint that stands nowhere is proof.
            unclear.in_force = in_force(after)
            return self._explained(item, unclear)
        told = f"Snowflake acknowledged the change of keys of user {item.name}, and does not show it."
        return VerifyFailed(told, left="unknown")

    def _explained(self, item: Wanted, error: RotationError) -> RotationError:
        """A syntax error is how an account without named key pairs answers."""
        if self._options.named and error.evidence.get("refusal_code") == _SYNTAX_ERROR:
            return Refused(
                f"The account {self._account} has no named key pairs (user {item.name}); use method=slots.",
                in_force=False,
            )
        return error

    def _why_not_verified(self, state: State) -> str:
        if not self._options.verify:
            return VERIFY_DISABLED
        if state.user.disabled:
            return "user_disabled"
        return state.login.reason if state.login is not None else _PUBLIC_ONLY

    def _facts(self, state: State) -> dict[str, t.Any]:
        slot, pair = slot_of(state), pair_of(state)
        facts: dict[str, t.Any] = {
            "login_name": state.user.login_name,
            "account": self._account,
            "fingerprint": state.new.fingerprint if state.new else None,
            "previous_fingerprint": state.previous or state.in_use,
            "evicted_fingerprint": state.evicted or state.retired,
            "keys": _keys(state, named=self._options.named),
        }
        if self._options.named:
            facts["key_pair_name"] = state.pair_name
            facts["rotated_at"] = pair.created_on if pair else None
        else:
            facts["slot"] = slot.number if slot else None
            facts["rotated_at"] = slot.set_time if slot else None
        return facts


def overwritten(state: State, step: Write) -> tuple[str | None, str | None] | None:
    """The key that the step takes away, by fingerprint and time; None where it takes none."""
    if isinstance(step, (SetSlot, Retire)):
        slot = state.user.slots[step.slot.number - 1]
        return (slot.fingerprint, slot.set_time) if slot.fingerprint is not None else None
    if isinstance(step, (RemovePair, RotatePair)):
        name = step.name if isinstance(step, RemovePair) else state.pair_name
        pair = next((pair for pair in state.pairs if pair.name == name), None)
        return (pair.fingerprint, pair.created_on) if pair is not None else None
    return None


def _as_if_set(state: State, step: SetSlot, now: dt.datetime | None) -> State:
    """The state that the step would lead to."""
    filled = Slot(step.slot.number, _new(state).fingerprint, None if now is None else now.isoformat())
    first, second = state.user.slots
    slots = (filled, second) if step.slot.number == 1 else (first, filled)
    return dataclasses.replace(state, user=dataclasses.replace(state.user, slots=slots))


def _done(before: State, after: State, step: Write) -> State:
    """The state after a step, with what it did."""
    if isinstance(step, SetSlot):
        other = next(slot for slot in before.user.slots if slot.number != step.slot.number)
        return dataclasses.replace(
            after, placed=True, previous=other.fingerprint, evicted=before.user.slots[step.slot.number - 1].fingerprint
        )
    if isinstance(step, Retire):
        return dataclasses.replace(after, retired=step.slot.fingerprint)
    if isinstance(step, RemovePair):
        return dataclasses.replace(after, tombstones_removed=before.tombstones_removed + 1)
    pair = pair_of(before)
    return dataclasses.replace(after, placed=True, previous=pair.fingerprint if pair else None)


def _keys(state: State, *, named: bool) -> list[dict[str, t.Any]]:
    """All keys of the user as far as the method looks at them; fingerprints only."""
    if named:
        return [
            {"name": pair.name, "fingerprint": pair.fingerprint, "status": pair.status, "expires_at": pair.expires_at}
            for pair in state.pairs
        ]
    return [
        {"slot": slot.number, "fingerprint": slot.fingerprint, "set_time": slot.set_time}
        for slot in state.user.slots
        if slot.fingerprint is not None
    ]


def _in_words(step: Write, state: State) -> dict[str, t.Any]:
    words: dict[str, t.Any] = {"planned": type(step).__name__}
    if not isinstance(step, (Retire, RemovePair)) and state.new is not None:
        words["fingerprint"] = state.new.fingerprint
    if isinstance(step, (SetSlot, Retire)):
        words["slot"] = step.slot.number
    elif isinstance(step, RemovePair):
        words["name"] = step.name
    elif not isinstance(step, MakeKeyFile):
        words["name"] = state.pair_name
    return words


def _new(state: State) -> KeyMaterial:
    """The wanted key; every plan makes its file first."""
    return t.cast(KeyMaterial, state.new)


def _text(value: t.Any) -> str | None:
    return None if value in (None, "", "null") else str(value)


def run(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """The module's return values for validated parameters."""
    single = params["users"] is None
    users = [params] if single else params["users"]
    if not users:
        raise InvalidInput("users is empty; there is nothing to do.")
    options = read_options(params)
    wanted = [read_item(user) for user in users]
    resolved = connection.with_environment(params, os.environ)
    login = connection.login(resolved)
    endpoint = connection.endpoint(resolved)
    rotator = KeypairRotator(Client(endpoint), endpoint.account, login, options, check_mode=check_mode)
    return module_result(rotate(rotator, wanted, check_mode=check_mode), single=single, noun="user")
