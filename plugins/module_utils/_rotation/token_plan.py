# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Secrets that a service mints: what is known of a user's tokens, and what is left to do. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
    NotFound,
    Refused,
    SlotsFull,
)


@dataclasses.dataclass(frozen=True)
class Token:
    """A token as the service lists it, never its secret. Equal ones are the very same thing.

    name: what identifies it in options and results. id: the service's own mark, where that is not the name.
    active: None where the service does not say. counts: whether it takes up room. details: what else it tells, for the
    reader.
    """

    name: str
    id: str = ""
    created: dt.datetime | None = None
    expires: dt.datetime | None = dataclasses.field(default=None, compare=False)
    active: bool | None = dataclasses.field(default=None, compare=False)
    counts: bool = dataclasses.field(default=True, compare=False)
    details: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict, compare=False)


@dataclasses.dataclass(frozen=True)
class Owner:
    """A user who has tokens.

    who: what texts call it. facts: for its entry. room: how many tokens it may have, None where nobody knows.
    refusal: why it may have no new one, as a sentence. closed: why a login could tell nothing, as a stable token.
    spared: names of tokens that keep the administrator's session; None: one of them does, and nobody knows which.
    """

    who: str
    facts: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    room: int | None = None
    refusal: str | None = None
    closed: str | None = None
    spared: frozenset[str] | None = frozenset()


@dataclasses.dataclass(frozen=True)
class Proof:
    """How a login with a token ended.

    verdict: C(accepted): it works; C(blocked): it is right, but may not be used so; C(rejected): it is wrong;
    C(unknown): neither; C(silent): no answer. reason: a stable token. code: the service's number, if any.
    """

    verdict: t.Literal["accepted", "blocked", "rejected", "unknown", "silent"]
    reason: str = ""
    code: int | None = None


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One user, and the token that it shall have; the names are as the service lists them.

    announced: the new token's name. minted: a token exists already, so that none is made; without token_name, nothing
    but the orphans is looked after. token: that one, None in check mode only. token_name: its name, and where none
    exists that of the token in use. recovered: an earlier run may have minted C(announced), or has saved C(token) as
    pending. orphans: earlier runs announced them, and their secrets are lost. previous: earlier tokens of the same
    record. known: names listed before the announcement, where the service gives the names: any other is an orphan of
    the run that is recovered. retire_after: overrules the task's. unusable: why the options cannot be used.
    """

    name: str
    announced: str | None = None
    token: str | None = dataclasses.field(default=None, repr=False)
    token_name: str | None = None
    minted: bool = False
    recovered: bool = False
    orphans: tuple[str, ...] = ()
    previous: tuple[str, ...] = ()
    known: tuple[str, ...] | None = None
    retire_after: dt.timedelta | None = None
    unusable: InvalidInput | None = None

    @property
    def exists(self) -> bool:
        return self.minted or self.token is not None

    @property
    def unnamed(self) -> bool:
        """Whether it is about orphans only."""
        return self.exists and self.token_name is None


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for all users of the task. prefix: of the names that we make."""

    prefix: str
    retire_after: dt.timedelta
    verify: bool


@dataclasses.dataclass(frozen=True)
class State:
    """What has been seen and done.

    found, tokens: as first and as last listed. name: of the wanted token, None while nobody has chosen it. secret: of
    the token that this run minted. expires: as the answer to the minting says. answer: the login that proves.
    removed, retired: names of orphans and of previous tokens that this run has removed.
    """

    owner: Owner
    found: tuple[Token, ...]
    tokens: tuple[Token, ...]
    name: str | None
    secret: str | None = dataclasses.field(default=None, repr=False)
    expires: dt.datetime | None = None
    answer: Proof | None = None
    proof_done: bool = False
    removed: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Remove:
    """Revoke one token. retired: it was in use before; otherwise its secret is lost."""

    token: Token
    retired: bool


@dataclasses.dataclass(frozen=True)
class Mint:
    """Have a token made under the announced name; once."""


Write = t.Union[Remove, Mint]  # noqa: UP007 - ansible-test's pylint takes no "|" at run time


# Why: docs/decisions/03-add-never-rotate.md
def plan(options: Options, item: Wanted, state: State, now: dt.datetime | None) -> list[Write]:
    """The writes from here to the wanted state. Raises NotFound, Refused or SlotsFull where none may be taken.

    now: by the service's clock, None if it has not told or nothing depends on it.
    """
    if state.secret is not None:
        return []
    if item.exists and not item.unnamed and own(state) is None and not _may_be_late(options, item, state):
        raise NotFound(
            f"The token {item.token_name} of {state.owner.who} is not listed any more.",
            # A list may be behind; where nobody can log in, what it says counts.
            in_force=None if options.verify else False,
        )
    lost = [token for token in _removable(item, state) if is_lost(item, token)]
    orphans: list[Write] = [Remove(token, retired=False) for token in lost]
    if item.exists:
        return [*orphans, *(Remove(token, retired=True) for token in _to_retire(options, item, state, now))]
    _check_room(state, [token for token in state.tokens if token not in lost])
    return [*orphans, Mint()]


def _may_be_late(options: Options, item: Wanted, state: State) -> bool:
    """Whether a token that was saved as pending is not listed because the list is behind: a login tells."""
    accepted = state.answer is not None and state.answer.verdict == "accepted"
    return item.recovered and options.verify and (accepted or not state.proof_done)


def own(state: State) -> Token | None:
    """The wanted token, if it is listed."""
    return next((token for token in state.tokens if token.name == state.name), None)


def is_lost(item: Wanted, token: Token) -> bool:
    """Whether an earlier run had it made and its secret is lost."""
    if token.name == item.token_name or token.name in item.previous:
        return False
    unfinished = item.recovered and not item.exists
    if token.name in item.orphans or (unfinished and token.name == item.announced):
        return True
    return unfinished and item.known is not None and token.name not in item.known


def previous(item: Wanted, state: State) -> Token | None:
    """The newest of the record's earlier tokens that are listed."""
    in_use = (item.token_name,) if not item.exists else ()
    earlier = [token for token in state.found if token.name in (*item.previous, *in_use) and token.name != state.name]
    return max(earlier, key=lambda token: token.created.timestamp() if token.created else 0.0, default=None)


def may_retire(options: Options, item: Wanted, state: State) -> bool:
    """Whether it only depends on the age of the token in use."""
    accepted = state.answer is not None and state.answer.verdict == "accepted"
    return accepted and options.verify and item.exists and not item.recovered and bool(item.previous)


def _removable(item: Wanted, state: State) -> list[Token]:
    """Tokens that may go: seen from the beginning, and neither in use nor the administrator's."""
    spared = state.owner.spared
    if spared is None:
        return []
    kept = {item.token_name, *spared}
    return [token for token in state.tokens if token in state.found and token.name not in kept]


def _to_retire(options: Options, item: Wanted, state: State, now: dt.datetime | None) -> list[Token]:
    """The previous tokens, when the one in use has logged in during this run and is old enough."""
    mine = own(state)
    if mine is None or not may_retire(options, item, state):
        return []
    grace = options.retire_after if item.retire_after is None else item.retire_after
    # A time in the future can be trusted as little as one that cannot be read.
    age = None if mine.created is None or now is None else now - mine.created
    if grace and (age is None or age < grace):
        return []
    return [token for token in _removable(item, state) if token.name in item.previous and not _newer(token, mine)]


def _newer(token: Token, mine: Token) -> bool:
    """What was made after the token in use is no previous one: another run has just made it."""
    return token.created is not None and mine.created is not None and token.created > mine.created


def _check_room(state: State, staying: t.Sequence[Token]) -> None:
    """Raise where no token can be minted, whatever is removed first."""
    owner = state.owner
    if owner.refusal is not None:
        raise Refused(owner.refusal, in_force=False)
    if any(token.name == state.name for token in staying):
        raise Refused(
            f"{sentence(owner.who)} already has a token {state.name}, and this run did not make it.",
            in_force=False,
        )
    if owner.room is not None and sum(token.counts for token in staying) >= owner.room:
        raise slots_full(owner, staying)


def slots_full(owner: Owner, tokens: t.Sequence[Token]) -> SlotsFull:
    """The error where there is no room for one more, and none of these may be removed."""
    shown = "; ".join(_in_words(token) for token in tokens)
    return SlotsFull(
        f"{sentence(owner.who)} has {len(tokens)} tokens, the limit is {owner.room}, and none of them may be "
        f"removed. {shown}.",
        in_force=False,
    )


def sentence(text: str) -> str:
    """As it begins a sentence."""
    return text[:1].upper() + text[1:]


def _in_words(token: Token) -> str:
    expires = f", expires {token.expires:%Y-%m-%d}" if token.expires is not None else ""
    return token.name + expires + (" (not active)" if token.active is False else "")
