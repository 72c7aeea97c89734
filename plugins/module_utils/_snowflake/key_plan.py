# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The plan of snowflake_user_keypair: which slot, or which named pair, gets the new key. Pure.

Rules: docs.snowflake.com, "Key-pair authentication and key-pair rotation" and "ALTER USER … KEY PAIR".
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Refused, SlotsFull
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.clock import parse_time
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_material import KeyMaterial
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.user import Slot, User

MOST_PAIRS = 10
# Another run may place a key after the clock was asked.
_MEANWHILE = dt.timedelta(minutes=1)
_TOMBSTONE = re.compile(r"_ROTATED_\d+\Z")


def is_tombstone_name(name: str) -> bool:
    """Whether Snowflake gave this name to the old key when a pair was rotated."""
    return _TOMBSTONE.search(name) is not None


@dataclasses.dataclass(frozen=True)
class Pair:
    """A named key pair as SHOW USER KEY PAIRS lists it."""

    name: str
    fingerprint: str | None
    status: str
    expires_at: str | None
    created_on: str | None
    rotated_to: str | None

    @property
    def is_tombstone(self) -> bool:
        return self.rotated_to is not None or is_tombstone_name(self.name)


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for all users of the task. retire_after: None means never."""

    named: bool
    expiry_hours: int
    replace_oldest: bool
    retire_after: dt.timedelta | None
    verify: bool
    key_size: int


@dataclasses.dataclass(frozen=True)
class State:
    """What has been seen and done.

    new: the wanted key, None until it is made. makes_file: it is made in a file of its own. install: whether it may be
    placed, or must be in place already. in_use, admin: fingerprints that must stay. login: the login that proves.
    placed, evicted, retired: what this run did.
    """

    user: User
    new: KeyMaterial | None
    pair_name: str | None
    pairs: tuple[Pair, ...] = ()
    makes_file: bool = True
    install: bool = True
    in_use: str | None = None
    admin: str | None = None
    placed: bool = False
    previous: str | None = None
    evicted: str | None = None
    retired: str | None = None
    file_made: bool = False
    tombstones_removed: int = 0
    login: LoginAnswer | None = None
    proof_done: bool = False


@dataclasses.dataclass(frozen=True)
class MakeKeyFile:
    """Generate the key and save it, before Snowflake hears of it."""


@dataclasses.dataclass(frozen=True)
class SetSlot:
    """One ALTER USER … SET on one slot."""

    slot: Slot


@dataclasses.dataclass(frozen=True)
class Retire:
    """Empty the slot of the previous key."""

    slot: Slot


@dataclasses.dataclass(frozen=True)
class AddPair:
    """A named pair that was not there."""


@dataclasses.dataclass(frozen=True)
class RotatePair:
    """A new key for a named pair; Snowflake keeps the old one for the grace period."""


@dataclasses.dataclass(frozen=True)
class RemovePair:
    """An expired tombstone that takes the room of the new key."""

    name: str


Write = t.Union[MakeKeyFile, SetSlot, Retire, AddPair, RotatePair, RemovePair]  # noqa: UP007 - for ansible-test's pylint


def plan(options: Options, state: State, now: dt.datetime) -> list[Write]:
    """The writes from here to the wanted state. Raises SlotsFull or Refused where none may be taken."""
    if not state.install and not in_place(state):
        raise Refused(
            f"The key of {_who(state)} is not in place, so the one before it was not retired.",
            retry_safe=True,
        )
    steps = _named_steps(state) if options.named else _slot_steps(options, state, now)
    if state.new is None and state.makes_file:
        steps.insert(0, MakeKeyFile())
    return steps


def in_place(state: State) -> bool:
    """Whether Snowflake shows the wanted key, in a slot or in an active named pair."""
    return slot_of(state) is not None or any(
        state.new is not None and pair.fingerprint == state.new.fingerprint and pair.status == "ACTIVE"
        for pair in state.pairs
    )


def in_force(state: State) -> bool | None:
    """Whether the wanted key logs in; None where it stands in a pair that somebody could enable again."""
    held = any(state.new is not None and pair.fingerprint == state.new.fingerprint for pair in state.pairs)
    return in_place(state) or (None if held else False)


def slot_of(state: State) -> Slot | None:
    """The slot that holds the wanted key."""
    wanted = state.new.fingerprint if state.new else None
    return next((slot for slot in state.user.slots if wanted is not None and slot.fingerprint == wanted), None)


def pair_of(state: State) -> Pair | None:
    """The named pair of the wanted name."""
    return next((pair for pair in state.pairs if pair.name == state.pair_name), None)


def _slot_steps(options: Options, state: State, now: dt.datetime) -> list[Write]:
    if slot_of(state) is None:
        return [SetSlot(choose_slot(state.user.slots, state.in_use, state.admin, options.replace_oldest, _who(state)))]
    slot = slot_to_retire(options, state, now)
    return [] if slot is None else [Retire(slot)]


def choose_slot(
    slots: tuple[Slot, Slot], in_use: str | None, admin: str | None, replace_oldest: bool, who: str
) -> Slot:
    """The slot for a new key: an empty one, else the one that is certainly not in use.

    in_use: the fingerprint of the key in use, None if nobody named it. admin: the administrator's own key on this very
    user. Neither is overwritten, whatever is asked; that both slots hold the key in use frees the second.
    """
    first, second = slots
    for slot in slots:
        if slot.fingerprint is None:
            return slot
    if first.fingerprint == second.fingerprint:
        return second
    if in_use in (first.fingerprint, second.fingerprint):
        other = second if in_use == first.fingerprint else first
        if other.fingerprint != admin:
            return other
        raise _slots_full(who, slots, "one is in use, and the other is the administrator's own")
    if not replace_oldest:
        known = "the key in use is in neither" if in_use is not None else "the key in use was not named"
        raise _slots_full(who, slots, known)
    return _oldest(slots, admin, who)


def _oldest(slots: tuple[Slot, Slot], admin: str | None, who: str) -> Slot:
    free = [slot for slot in slots if slot.fingerprint != admin]
    if len(free) == 1:
        return free[0]
    times = [slot.set_time for slot in free]
    if None in times or times[0] == times[1]:
        raise _slots_full(who, slots, "Snowflake does not tell which is older")
    return min(free, key=lambda slot: str(slot.set_time))


def _slots_full(who: str, slots: tuple[Slot, Slot], why: str) -> SlotsFull:
    shown = "; ".join(
        f"slot {slot.number}: {slot.fingerprint}, set {slot.set_time or 'at an unknown time'}" for slot in slots
    )
    message = f"Both key slots of {who} are taken, and {why}. {shown}."
    return SlotsFull(message, in_force=False)


def slot_to_retire(options: Options, state: State, now: dt.datetime) -> Slot | None:
    """The other slot, when the new key has logged in during this run and is old enough; never the admin's own key."""
    own = slot_of(state)
    if options.retire_after is None or own is None or state.login is None or state.login.verdict != "accepted":
        return None
    other = next(slot for slot in state.user.slots if slot.number != own.number)
    if other.fingerprint in (None, own.fingerprint, state.admin):
        return None
    since, before = (_past(parse_time(slot.set_time), now + _MEANWHILE) for slot in (own, other))
    # A key that was set later is no previous key: another run has just placed it.
    if since is not None and before is not None and before > since:
        return None
    if options.retire_after == dt.timedelta(0):
        return other
    return other if since is not None and now - since >= options.retire_after else None


def _past(moment: dt.datetime | None, now: dt.datetime) -> dt.datetime | None:
    """The moment, unless it lies in the future: then it can be trusted as little as one that cannot be read."""
    return moment if moment is not None and moment <= now else None


def _named_steps(state: State) -> list[Write]:
    pair = pair_of(state)
    wanted = state.new.fingerprint if state.new else None
    if pair is not None and wanted is not None and pair.fingerprint == wanted and pair.status == "ACTIVE":
        return []
    if pair is not None and pair.status == "DISABLED":
        raise Refused(
            f"Key pair {pair.name} of {_who(state)} is disabled; enable it first.",
            in_force=in_force(state),
        )
    holder = next((other for other in state.pairs if wanted is not None and other.fingerprint == wanted), None)
    if holder is not None and holder.status != "EXPIRED":
        raise Refused(
            f"{_who(state)} already has the key {wanted}, as key pair {holder.name} ({holder.status}). A key can stand "
            "only once.",
            in_force=in_force(state),
        )
    step: Write = AddPair() if pair is None else RotatePair()
    return [*_room(state), step]


def _room(state: State) -> list[Write]:
    """Tombstones to remove, oldest first, until there is room for one more pair."""
    excess = len(state.pairs) - MOST_PAIRS + 1
    expired = sorted(
        (pair for pair in state.pairs if pair.is_tombstone and pair.status == "EXPIRED"),
        key=lambda pair: pair.created_on or "",
    )
    if excess > len(expired):
        shown = "; ".join(f"{pair.name}: {pair.fingerprint} ({pair.status})" for pair in state.pairs)
        raise SlotsFull(
            f"{_who(state)} has {len(state.pairs)} key pairs, Snowflake's limit is {MOST_PAIRS}, and too few of them "
            f"are expired. {shown}.",
            in_force=False,
        )
    return [RemovePair(pair.name) for pair in expired[: max(excess, 0)]]


def _who(state: State) -> str:
    return f"user {state.user.name}"
