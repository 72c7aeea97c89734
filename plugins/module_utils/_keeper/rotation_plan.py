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

# What ends a rotation, the other targets begin or go on with one.
ENDS = ("committed", "discarded", "delivered")
# When the service has been asked already.
LATER = (*ENDS, "saved")
# Each round is a conflict with somebody else's edit of the same record within seconds.
MOST_ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for all records of the task.

    target: C(saved) is what staging is called for secrets that a service has minted. minted: those, by UID or title.
    """

    target: t.Literal["announced", "staged", "saved", "committed", "discarded", "delivered"]
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
    token_prefix: str = "KEYTURN"
    minted: t.Mapping[str, Minted] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What may be pending: a record's password is one of our making or a token that a service has minted."""
        if self.place.credential == "key_pair":
            return ("key_pair",)
        return {"staged": ("password",), "announced": ("token",), "saved": ("token",)}.get(
            self.target, ("password", "token")
        )


@dataclasses.dataclass(frozen=True)
class Minted:
    """A secret that a service has minted.

    expires_at: when it ends (RFC 3339), if it does. token_name: its name. announced: the one that was announced, where
    the service has given it another.
    """

    secret: str = dataclasses.field(repr=False)
    expires_at: str | None = None
    token_name: str | None = None
    announced: str | None = None

    @property
    def names(self) -> set[str]:
        return {name for name in (self.token_name, self.announced) if name}


@dataclasses.dataclass(frozen=True)
class State:
    """What has been seen and done.

    record: as read last. wrote: the step of this run whose update was sent, None before it. settled: a later read has
    shown that update. failure: why the last save failed, as far as known. rounds: how many updates were sent. late:
    whether one of them got no answer, and may still arrive.
    waiting: what a record that is due waits for, in words.
    """

    record: Record
    recovered: bool = False
    wrote: Write | None = None
    settled: bool = False
    failure: Exception | None = None
    rounds: int = 0
    late: bool = False
    waiting: str | None = None

    @property
    def unseen(self) -> bool:
        """Whether an update was sent that nobody has looked at yet."""
        return self.wrote is not None and not self.settled


@dataclasses.dataclass(frozen=True)
class Stage:
    """Save a new value as pending, or the name of one that a service shall mint."""


@dataclasses.dataclass(frozen=True)
class Save:
    """Save as pending what the service has minted under the announced name."""


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


Write = t.Union[Stage, Save, Adopt, Commit, Discard, Deliver]  # noqa: UP007 - for ansible-test's pylint


def plan(options: Options, state: State, now: dt.datetime) -> list[Write]:
    """The update that is left, if any. Raises for records that may not be touched."""
    if state.wrote is not None:
        return []
    if state.rounds >= MOST_ROUNDS:
        raise VaultError(f"{name(state.record)} was changed by others {MOST_ROUNDS} times in a row. Run again.")
    check_record(options, state.record)
    step = _plan(options, state, now)
    if step is not None and not state.record.editable:
        raise NotPermitted(f"{name(state.record)} is read-only for this application.")
    if options.target != "delivered" and (step is not None or fields.pending(state.record.data) is not None):
        _check_keys(options, state.record)
    return [] if step is None else [step]


def _plan(options: Options, state: State, now: dt.datetime) -> Write | None:
    if options.target in ("announced", "staged", "saved"):
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
        mark = fields.marker(record.data)
        token = options.kinds == ("token",) or (mark is not None and mark.token_name is not None)
        fields.check(record.data, options.place, [*options.extra_fields, *(fields.TOKEN_FIELDS if token else ())])
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


# Why: docs/decisions/04-no-lease-in-roles.md
def _plan_staging(options: Options, state: State, now: dt.datetime) -> Write | None:
    data = state.record.data
    if options.place.credential == "password" and options.place.field(data) is None:
        field = f"labelled {options.place.key_field}" if options.place.key_field else "of type password"
        raise Refused(f"{name(state.record)} has no field {field}.")
    mark, pending = fields.marker(data), fields.pending(data)
    if options.target == "saved":
        return _plan_saving(options, state, mark)
    if not fields.under_way(data):
        due = state.waiting is None and is_due(options, data, now)
        return _plan_new(options, state.record) if due else None
    _refuse_another_kind(options, state.record, mark)
    if mark is None:
        # Nobody can be asked whose it is; keeping the value is right whoever staged it.
        return Adopt()
    mine = options.rotation_id == mark.rotation_id
    if mine and pending is not None and not fields.changed_since(data, options.place, mark):
        return None
    if options.rotation_id is not None and not mine and mark.started and abs(now - mark.started) < options.lease:
        raise Busy(f"{name(state.record)} is being rotated by another run, whose lease is not over.")
    # What was announced by another run may still come to be there, so that the name is not used again.
    return Adopt() if pending is not None else Stage()


def _refuse_another_kind(options: Options, record: Record, mark: fields.Marker | None) -> None:
    """Raise Refused for what is pending and not this task's to go on with."""
    if mark is not None and mark.credential not in options.kinds:
        raise Refused(
            f"{name(record)} has an unfinished rotation of a {mark.credential}, and this task rotates a "
            f"{options.kinds[0]}. Finish or discard that one first."
        )
    if options.kinds == ("token",) and (mark is None or mark.token_name is None):
        raise Refused(
            f"{name(record)} holds a pending value, and nobody knows which token it is: its rotation_state is gone, or "
            "of another record or user.",
            advice="Discard it (state: discarded), then run again.",
        )


def _plan_saving(options: Options, state: State, mark: fields.Marker | None) -> Write | None:
    data, given = state.record.data, minted(options, state.record)
    pending = fields.pending(data)
    if fields.under_way(data):
        _refuse_another_kind(options, state.record, mark)
    # Of the same rotation, announced once more: what came of the earlier name is to be revoked.
    again = (given.announced or given.token_name) in fields.names(data, "orphans")
    mine = mark is not None and options.rotation_id in (None, mark.rotation_id) and not again
    if mine and pending == given.secret:
        return None
    if given.secret in (pending, fields.live_secret(data, options.place)):
        raise Busy(f"{name(state.record)}: another run has taken this secret over, and goes on with it.")
    advice = "It is to be revoked at the service." if is_forgotten(options, state.record) else ""
    if not fields.under_way(data):
        raise VaultError(
            f"{name(state.record)} has no announced rotation, so nobody could tell what this secret is.", advice=advice
        )
    if not mine or pending is not None:
        raise Busy(
            f"{name(state.record)} is being rotated by another run, so this secret is not the one to keep.",
            advice=advice or "The next run revokes it at the service.",
        )
    changed = fields.changed_since(data, options.place, t.cast(fields.Marker, mark))
    if changed is not None:
        raise _edited(state, changed)
    return Save()


def is_forgotten(options: Options, record: Record) -> bool:
    """Whether the record neither holds what was minted for it nor tells its name, so that no later run can find it."""
    data, given = record.data, minted(options, record)
    mark = fields.marker(data)
    told = {mark.token_name if mark is not None else None, fields.text(data, fields.TOKEN_NAME)}
    told.update(fields.names(data, "previous"), fields.names(data, "orphans"))
    held = (fields.pending(data), fields.live_secret(data, options.place))
    return bool(given.names) and not given.names & told and given.secret not in held


def minted(options: Options, record: Record) -> Minted:
    """Raises InvalidInput where the caller has none for it."""
    found = options.minted.get(record.uid) or options.minted.get(record.title)
    if found is None or not found.secret.strip():
        raise InvalidInput(f"{name(record)}: there is no secret for it in secrets.")
    return found


def _plan_new(options: Options, record: Record) -> Write:
    if options.kinds == ("password",):
        password_policy(options, record)
    return Stage()


def password_policy(options: Options, record: Record) -> PasswordPolicy:
    """What a new password of this record looks like; raises InvalidInput where nobody could make one."""
    try:
        return policy_from(*options.policies, read_layer(fields.text(record.data, FIELD)))
    except (Refused, Ambiguous, InvalidInput) as error:
        raise type(error)(f"{name(record)}: {error.msg}") from None


def _plan_ending(options: Options, state: State) -> Write | None:
    data = state.record.data
    if fields.pending(data) is None and (options.target == "committed" or not fields.under_way(data)):
        last = fields.last_committed(data)
        if options.target == "committed" and (last is None or last != options.rotation_id):
            raise VaultError(
                f"{name(state.record)} has nothing pending, and this rotation is not the one that was committed last. "
                "Somebody has cleared or replaced the value meanwhile, so the service may hold another secret than the "
                "record.",
                advice="Rotate it again, with force.",
            )
        return None
    mark = fields.marker(data)
    if mark is not None and options.rotation_id not in (None, mark.rotation_id):
        raise Busy(
            f"{name(state.record)} holds a pending value that another run has staged or taken over.", left="staged"
        )
    if mark is not None and mark.credential not in options.kinds:
        raise Refused(f"{name(state.record)} holds a pending {mark.credential}, not a {options.place.credential}.")
    # A person who discards without naming a rotation means whatever is there.
    any_will_do = mark is None or (options.target == "discarded" and options.rotation_id is None)
    changed = None if any_will_do else fields.changed_since(data, options.place, t.cast(fields.Marker, mark))
    if changed is not None:
        raise _edited(state, changed)
    return Commit() if options.target == "committed" else Discard()


def _edited(state: State, what: str) -> VaultError:
    return VaultError(
        f"{name(state.record)}: somebody has changed {what} since this rotation was staged, so its secret would not go "
        "where it belongs.",
        left="staged",
        advice="Look at the record, then run again.",
    )


def is_due(options: Options, data: fields.Data, now: dt.datetime) -> bool:
    """Whether a record with nothing pending is to be rotated; an unreadable time counts as never rotated."""
    last, _note = fields.rotated_at(fields.text(data, fields.ROTATED_AT), now)
    ends = fields.text(data, fields.TOKEN_EXPIRES_AT) if options.target == "announced" else None
    return options.force or fields.is_over(last, options.max_age, ends, now)


def name(record: Record) -> str:
    return f"Keeper record {record.title or '(no title)'} ({record.uid})"
