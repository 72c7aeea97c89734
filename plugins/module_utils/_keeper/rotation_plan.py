# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The plan of keeper_rotation: from a record as read to the one update that is wanted, or to none. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    Busy,
    InvalidInput,
    NotPermitted,
    Refused,
    VaultError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.password_policy import (
    FIELD,
    PasswordPolicy,
    policy_from,
    read_layer,
)

# Each round is a conflict with somebody else's edit of the same record within seconds.
MOST_ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for all records of the task."""

    target: t.Literal["staged", "committed", "discarded", "delivered"]
    place: fields.Place
    rotation_id: str | None
    max_age: dt.timedelta | None
    force: bool
    lease: dt.timedelta
    extra_fields: dict[str, str]
    # Of generated passwords; a record may have one more.
    policies: tuple[t.Mapping[str, t.Any] | None, ...] = ()
    # For records without such a field of their own, by its label.
    waits: t.Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    # Of a new secret; a record may have more. consumer: the one that was told.
    consumers: tuple[str, ...] = ()
    consumer: str = ""


@dataclasses.dataclass(frozen=True)
class State:
    """What has been seen and done.

    record: as read last. wrote: the step of this run whose update was sent, None before it. settled: a later read has
    shown that update. failure: why the last save failed, as far as known. rounds: how many updates were sent.
    waiting: what a record that is due waits for, in words.
    """

    record: Record
    recovered: bool = False
    wrote: Step | None = None
    settled: bool = False
    failure: Exception | None = None
    rounds: int = 0
    waiting: str | None = None


@dataclasses.dataclass(frozen=True)
class Stage:
    """Save a new value as pending."""


@dataclasses.dataclass(frozen=True)
class Adopt:
    """Take over a pending value; the value stays. Whoever staged it can then no longer commit or discard it."""


@dataclasses.dataclass(frozen=True)
class Commit:
    """Move the pending value into the normal field."""


@dataclasses.dataclass(frozen=True)
class Discard:
    """Clear the pending value."""


@dataclasses.dataclass(frozen=True)
class Deliver:
    """Take the consumer out of those that are to be told."""


Step = t.Union[Stage, Adopt, Commit, Discard, Deliver]  # noqa: UP007 - ansible-test's pylint takes no "|" at run time


def plan(options: Options, state: State, now: dt.datetime) -> list[Step]:
    """The update that is left, if any. Raises for records that may not be touched."""
    if state.wrote is not None:
        return []
    if state.rounds >= MOST_ROUNDS:
        raise VaultError(f"{name(state.record)} was changed by others {MOST_ROUNDS} times in a row. Run again.")
    check_record(options, state.record)
    step = _plan(options, state, now)
    if step is not None and not state.record.editable:
        raise NotPermitted(f"{name(state.record)} is read-only for this application. Nothing was written.")
    if options.target != "delivered" and (step is not None or fields.pending(state.record.data) is not None):
        _check_keys(options, state.record)
    return [] if step is None else [step]


def _plan(options: Options, state: State, now: dt.datetime) -> Step | None:
    if options.target == "staged":
        return _plan_staging(options, state, now)
    if options.target == "delivered":
        # Of an older rotation it is no news: the consumer is to be told of the newer one.
        data = state.record.data
        newest = fields.last_committed(data) == options.rotation_id
        return Deliver() if newest and options.consumer in fields.undelivered(data) else None
    return _plan_ending(options, state)


def check_record(options: Options, record: Record) -> None:
    """Raise Refused or Ambiguous for a record in which a write could hit a field of somebody else."""
    try:
        fields.check(record.data, options.place, options.extra_fields)
    except (Refused, Ambiguous) as error:
        raise type(error)(f"{name(record)} cannot be used. {error.msg} Correct the record, then run again.") from None


def _check_keys(options: Options, record: Record) -> None:
    """Not readable is not absent: nobody could tell which key must stay, or give the new one to the service."""
    held = {"pending key": fields.pending(record.data)}
    if options.target == "staged":
        held["private key"] = fields.live_secret(record.data, options.place)
    for what, pem in held.items():
        if pem is None or options.target == "discarded" or options.place.credential != "key_pair":
            continue
        try:
            keys.load_private_key(pem)
        except InvalidInput as error:
            raise Refused(f"{name(record)} holds a {what} that cannot be used. {error.msg}") from None


def _plan_staging(options: Options, state: State, now: dt.datetime) -> Step | None:
    data = state.record.data
    if options.place.credential == "password" and options.place.field(data) is None:
        raise Refused(f"{name(state.record)} has no field of type password. Nothing was written.")
    if fields.pending(data) is None:
        due = state.waiting is None and is_due(options, data, now)
        return _plan_new(options, state.record) if due else None
    mark = fields.marker(data)
    if mark is None:
        # Nobody can be asked whose it is; keeping the value is right whoever staged it.
        return Adopt()
    if mark.credential != options.place.credential:
        raise Refused(
            f"{name(state.record)} has an unfinished rotation of a {mark.credential}, and this task rotates a "
            f"{options.place.credential}. Finish or discard that one first. Nothing was written."
        )
    if options.rotation_id == mark.rotation_id:
        return None
    if options.rotation_id is not None and mark.started is not None and abs(now - mark.started) < options.lease:
        raise Busy(
            f"{name(state.record)} is being rotated by another run, whose lease is not over. Nothing was written."
        )
    return Adopt()


def _plan_new(options: Options, record: Record) -> Step:
    if options.place.credential == "password":
        password_policy(options, record)
    return Stage()


def password_policy(options: Options, record: Record) -> PasswordPolicy:
    """What a new password of this record looks like; raises InvalidInput where nobody could make one."""
    try:
        return policy_from(*options.policies, read_layer(fields.text(record.data, FIELD)))
    except (Refused, Ambiguous, InvalidInput) as error:
        raise type(error)(f"{name(record)}: {error.msg} Nothing was written.") from None


def _plan_ending(options: Options, state: State) -> Step | None:
    data = state.record.data
    if fields.pending(data) is None:
        last = fields.last_committed(data)
        if options.target == "committed" and (last is None or last != options.rotation_id):
            raise VaultError(
                f"{name(state.record)} has nothing pending, and this rotation is not the one that was committed last. "
                "Somebody has cleared or replaced the value meanwhile, so the service may hold another secret than the "
                "record. Nothing was written. Rotate it again, with force."
            )
        return None
    mark = fields.marker(data)
    if mark is not None and options.rotation_id not in (None, mark.rotation_id):
        raise Busy(
            f"{name(state.record)} holds a pending value that another run has staged or taken over. That run goes on "
            "with it, or the next one does. Nothing was written."
        )
    if mark is not None and mark.credential != options.place.credential:
        raise Refused(f"{name(state.record)} holds a pending {mark.credential}, not a {options.place.credential}.")
    return Commit() if options.target == "committed" else Discard()


def is_due(options: Options, data: fields.Data, now: dt.datetime) -> bool:
    """Whether a record with nothing pending is to be rotated; an unreadable time counts as never rotated."""
    last, _note = fields.rotated_at(fields.text(data, fields.ROTATED_AT), now)
    return options.force or options.max_age is None or last is None or now - last >= options.max_age


def name(record: Record) -> str:
    return f"Keeper record {record.title or '(no title)'} ({record.uid})"
