# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The rotator of all services that mint the secret: a new token is added, proved, and only then an old one retired."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import datetime as dt
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration, secrets
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    AuthFailed,
    InvalidInput,
    NotFound,
    NotPermitted,
    RateLimited,
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
    VerifyFailed,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import VERIFY_DISABLED, Outcome
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import Rotator
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.token_options import fresh_name
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.token_plan import (
    Mint,
    Options,
    Owner,
    Proof,
    Remove,
    State,
    Token,
    Wanted,
    Write,
    is_lost,
    may_retire,
    own,
    plan,
    previous,
    sentence,
    slots_full,
)

# After these, nothing was done; all others leave it open.
_DEFINITE = (Refused, NotFound, NotPermitted, Ambiguous, InvalidInput, AuthFailed, RateLimited)


@dataclasses.dataclass(frozen=True)
class Minted:
    """The answer to a minting. secret: None if it was not in it. name: where the service chooses it."""

    secret: str | None = dataclasses.field(repr=False)
    name: str | None = None
    expires: dt.datetime | None = None


class Tokens(abc.ABC):
    """What a service provides. Every verb raises RotationError; one without an answer may have ``under_way``: true
    where the request may still arrive.

    title: the service's name. named: whether tokens are listed under the names that we give them. proofs_at_once: as
    Rotator's.
    """

    title: t.ClassVar[str]
    named: bool = True
    proofs_at_once: int = 1

    @abc.abstractmethod
    def identity(self, item: Wanted) -> dict[str, str]:
        """As Rotator's."""

    @abc.abstractmethod
    def called(self, item: Wanted) -> str:
        """As Rotator's."""

    def last(self, item: Wanted) -> bool:
        """As Rotator's."""
        return False

    @abc.abstractmethod
    def check(self, item: Wanted) -> None:
        """Raise InvalidInput for what can be seen without asking the service."""

    @abc.abstractmethod
    def session(self) -> contextlib.AbstractContextManager[None]:
        """The administrator's session that all users share."""

    @abc.abstractmethod
    def describe(self, item: Wanted) -> Owner:
        """Read the user."""

    @abc.abstractmethod
    def listed(self, item: Wanted) -> tuple[Token, ...]:
        """Read the user's tokens, all of them."""

    @abc.abstractmethod
    def mint(self, item: Wanted, name: str) -> Minted:
        """Have one made under this name; asked once, never repeated."""

    @abc.abstractmethod
    def revoke(self, item: Wanted, token: Token) -> None:
        """Remove it."""

    @abc.abstractmethod
    def login(self, item: Wanted, owner: Owner, secret: str) -> Proof:
        """One login with the token."""

    @abc.abstractmethod
    def now(self) -> dt.datetime | None:
        """By the clock that dates the tokens; None where it does not tell. Asked in the session."""


class TokenRotator(Rotator[Wanted, State, Write]):
    """The four verbs with any service."""

    def __init__(self, service: Tokens, options: Options, *, check_mode: bool = False) -> None:
        self._service = service
        self.proofs_at_once = service.proofs_at_once
        self._options = options
        self._check_mode = check_mode
        # Users who were refused a login: one failed login for each, whatever tokens they have.
        self._rejected: set[str] = set()

    def identity(self, item: Wanted) -> dict[str, str]:
        return self._service.identity(item)

    def called(self, item: Wanted) -> str:
        """One user may have several tokens, each in a record of its own; in check mode they have no names yet."""
        name = item.token_name if item.exists else item.announced
        if name is None and (self._check_mode or item.unnamed):
            name = str(id(item))
        return ", token ".join(filter(None, (self._service.called(item), name)))

    def last(self, item: Wanted) -> bool:
        return self._service.last(item)

    def check(self, item: Wanted) -> None:
        if item.unusable is not None:
            raise item.unusable
        if item.token_name and item.minted and item.token is None and not self._check_mode:
            raise InvalidInput(f"User {item.name}: token is needed, where minted says that there is one.")
        self._service.check(item)

    def same_secret(self, one: Wanted, other: Wanted) -> bool:
        there = one.token is not None or (self._check_mode and one.exists)
        return there and (one.token, one.token_name) == (other.token, other.token_name)

    def session(self) -> contextlib.AbstractContextManager[None]:
        return self._service.session()

    def observe(self, item: Wanted) -> State:
        owner = self._service.describe(item)
        tokens = self._service.listed(item)
        name = item.token_name if item.exists else item.announced
        if name is None and not item.exists and not self._check_mode:
            name = fresh_name(self._options.prefix)
        # In check mode the login that a retirement needs is taken for granted.
        logs_in = self._check_mode and self._options.verify and owner.closed is None
        granted = Proof("accepted") if logs_in else None
        return State(owner=owner, found=tokens, tokens=tokens, name=name, answer=granted)

    def plan(self, item: Wanted, state: State) -> t.Sequence[Write]:
        return plan(self._options, item, state, self._now(item, state))

    def _now(self, item: Wanted, state: State) -> dt.datetime | None:
        return self._service.now() if may_retire(self._options, item, state) else None

    def apply(self, item: Wanted, state: State, step: Write) -> State:
        if isinstance(step, Mint):
            return self._minted(item, state)
        try:
            return self._removed(item, state, step)
        except RotationError as error:
            error.in_force = _in_force(item, state)
            raise

    def _removed(self, item: Wanted, state: State, step: Remove) -> State:
        tokens = self._service.listed(item)
        if step.token not in tokens:
            # What goes must still be the very thing that was planned; else the plan starts from what is there now.
            return dataclasses.replace(state, tokens=tokens)
        after = dataclasses.replace(state, tokens=self._revoked(item, state, step.token))
        if step.retired:
            return dataclasses.replace(after, retired=(*state.retired, step.token.name))
        return dataclasses.replace(after, removed=(*state.removed, step.token.name))

    def _revoked(self, item: Wanted, state: State, token: Token) -> tuple[Token, ...]:
        """The tokens without this one. An unclear answer is decided by what is listed then."""
        who = f"the token {token.name} of {state.owner.who}"
        unclear: RotationError | None = None
        try:
            self._service.revoke(item, token)
        except RotationError as error:
            unclear = error
        begun = "was acknowledged" if unclear is None else "got no clear answer"
        try:
            tokens = self._service.listed(item)
        except RotationError as error:
            raise UnknownOutcome(
                f"The removal of {who} {begun}, and looking at the result failed. {error.msg}",
                unanswered=error.unanswered,
                left="changed" if unclear is None else "unknown",
            ) from None
        if token not in tokens:
            return tokens
        if isinstance(unclear, _DEFINITE):
            raise unclear
        if unclear is None or getattr(unclear, "under_way", False):
            raise UnknownOutcome(f"The removal of {who} {begun}, and it is still listed. Run again later.")
        raise Unreachable(f"{unclear.msg} {sentence(who)} is still there.", unanswered=unclear.unanswered)

    def _minted(self, item: Wanted, state: State) -> State:
        """Nothing more is asked here: from the answer on, only the returned state holds the secret."""
        try:
            minted = self._service.mint(item, t.cast(str, state.name))
        except RotationError as error:
            raise self._not_minted(item, state, error) from None
        if not minted.secret:
            raise self._not_minted(item, state, None)
        name = minted.name or state.name
        return dataclasses.replace(state, secret=minted.secret, name=name, expires=minted.expires)

    def _not_minted(self, item: Wanted, state: State, error: RotationError | None) -> RotationError:
        """The error where the secret did not come: what is listed then tells whether a token was made."""
        told = error.msg if error is not None else f"{self._service.title} acknowledged a new token without its secret."
        try:
            tokens = self._service.listed(item)
        except RotationError as silence:
            if isinstance(error, _DEFINITE):
                return error
            message = f"{told} Whether it made the token {state.name} is not known. {silence.msg}"
            return UnknownOutcome(message, unanswered=silence.unanswered)
        announced = dataclasses.replace(item, announced=state.name, recovered=True)
        new = [token for token in tokens if token not in state.tokens]
        made = [token for token in new if is_lost(announced, token)]
        # A name that this run made up is nobody else's, even where a repeated request was answered with a refusal.
        if made and (item.announced is None or not isinstance(error, _DEFINITE)):
            return self._without_secret(item, state, told, made)
        if made or (new and not self._service.named and not isinstance(error, _DEFINITE)):
            names = ", ".join(token.name for token in made or new)
            return UnknownOutcome(f"{told} Since then there is {names}, and nobody can tell whose it is.")
        if error is not None and isinstance(error, _DEFINITE):
            if isinstance(error, Refused) and state.owner.room is not None and len(tokens) >= state.owner.room:
                # The service counts more of them than it lists as valid.
                return slots_full(state.owner, tokens)
            error.in_force = False
            return error
        if error is None or getattr(error, "under_way", False):
            return UnknownOutcome(f"{told} The token {state.name} is not listed, and may still come to be.")
        return Unreachable(f"{told} No token was made.", in_force=False, unanswered=error.unanswered)

    def _without_secret(self, item: Wanted, state: State, told: str, made: t.Sequence[Token]) -> RotationError:
        names = ", ".join(token.name for token in made)
        try:
            for token in made:
                self._revoked(item, state, token)
        except RotationError as error:
            left = f"{told} The secret of {names} is lost, and the token could not be revoked. {error.msg}"
            return UnknownOutcome(left, left="changed", unanswered=error.unanswered)
        done = f"{told} The token {names} was made and its secret is lost, so it was revoked. Run again."
        return UnknownOutcome(done, in_force=False)

    def prove(self, item: Wanted, state: State) -> State:
        if state.secret is not None:
            state = self._listed_again(item, state)
        if item.unnamed or not self._options.verify or state.owner.closed is not None:
            return dataclasses.replace(state, proof_done=True)
        user = self._service.called(item)
        if user in self._rejected:
            raise VerifyFailed(
                f"The token {state.name} of {state.owner.who} was not tried, because another login of this user was "
                "refused in this run. Nothing was removed.",
                advice="Run again.",
            )
        answer = self._service.login(item, state.owner, t.cast(str, state.secret or item.token))
        if answer.verdict == "rejected":
            self._rejected.add(user)
        self._check_proof(item, state, answer)
        return dataclasses.replace(state, answer=answer, proof_done=True)

    def _listed_again(self, item: Wanted, state: State) -> State:
        """With the times of the new token; nothing but the report depends on them."""
        with contextlib.suppress(RotationError):
            return dataclasses.replace(state, tokens=self._service.listed(item))
        return state

    def _check_proof(self, item: Wanted, state: State, answer: Proof) -> None:
        made = "was made" if state.secret is not None else "is listed" if own(state) else "is not listed"
        where = f"The token {state.name} of {state.owner.who} {made}, but the login that should prove it"
        if answer.verdict == "silent":
            raise Unreachable(f"{where} got no answer.", unanswered=1, in_force=_in_force(item, state))
        if answer.verdict != "rejected":
            return
        message = f"{where} was answered with {answer.reason} (code {answer.code})."
        if item.recovered and item.exists:
            # It had its second chance: a token that a service takes up late works by now.
            raise Refused(f"{message} It is given up.", in_force=False, retry_safe=True)
        raise VerifyFailed(f"{message} Nothing was removed.")

    def proven(self, state: State) -> bool:
        return state.proof_done

    def report(self, item: Wanted, state: State, outcome: Outcome) -> None:
        outcome.changed = bool(state.secret or state.removed or state.retired)
        outcome.in_force = _in_force(item, state)
        outcome.verified = state.answer is not None and state.answer.verdict == "accepted"
        if state.proof_done and not outcome.verified:
            outcome.verify_skipped_reason = self._why_not_verified(state)
        outcome.facts = self._facts(item, state)
        outcome.before = {"tokens": [_shown(token) for token in state.found]}
        outcome.after = {"tokens": outcome.facts["tokens"]}
        if state.secret is not None:
            outcome.facts["token"] = state.secret

    def expected(self, item: Wanted, state: State, steps: t.Sequence[Write], outcome: Outcome) -> None:
        going = [step for step in steps if isinstance(step, Remove)]
        planned = dataclasses.replace(
            state,
            removed=tuple(step.token.name for step in going if not step.retired),
            retired=tuple(step.token.name for step in going if step.retired),
        )
        outcome.facts = self._facts(item, planned)
        outcome.before = {"tokens": outcome.facts["tokens"]}
        staying = [_shown(token) for token in state.tokens if token not in [step.token for step in going]]
        new = [{"planned": "Mint", "name": state.name}] if len(going) < len(steps) else []
        outcome.after = {"tokens": [*staying, *new]}

    def _why_not_verified(self, state: State) -> str | None:
        if not self._options.verify:
            return VERIFY_DISABLED
        return state.owner.closed or (state.answer.reason if state.answer is not None else None)

    def _facts(self, item: Wanted, state: State) -> dict[str, t.Any]:
        mine, before = own(state), previous(item, state)
        facts = {
            **state.owner.facts,
            "token_name": state.name,
            "created_at": _time(mine.created if mine else None),
            "expires_at": _time(mine.expires if mine and mine.expires else state.expires),
            "previous_token_name": before.name if before else None,
            "retired_token_names": list(state.retired),
            "removed_orphans": list(state.removed),
            "tokens": [_shown(token) for token in state.tokens],
        }
        # The service writes names and comments, so a secret may stand in them.
        return t.cast(dict[str, t.Any], secrets.scrub_all(facts, filter(None, (state.secret, item.token))))


def _in_force(item: Wanted, state: State) -> bool | None:
    """Whether the service holds the wanted token, as far as it has acknowledged or listed it."""
    if not item.exists:
        return state.secret is not None
    mine = own(state)
    works = state.answer is not None and state.answer.verdict == "accepted"
    return True if works or (mine is not None and mine.active is not False) else None


def _time(moment: dt.datetime | None) -> str | None:
    return None if moment is None else duration.rfc3339(moment)


def _shown(token: Token) -> dict[str, t.Any]:
    """Metadata for results and diffs."""
    times = {"created_at": _time(token.created), "expires_at": _time(token.expires)}
    return {"name": token.name, **times, "active": token.active, **token.details}
