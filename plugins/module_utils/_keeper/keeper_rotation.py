# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What keeper_rotation decides: the vault's half of a rotation."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import time
import typing as t
import uuid

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration, keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Busy,
    InvalidInput,
    RateLimited,
    RotationError,
    UnknownOutcome,
    Unreachable,
    VaultError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import Outcome, module_result
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import rotation_facts
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record, Snapshot, Vault
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.connection import vault
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_options import read_options
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_plan import (
    ENDS,
    LATER,
    Adopt,
    Commit,
    Deliver,
    Discard,
    Options,
    Save,
    Stage,
    State,
    Write,
    check_record,
    minted,
    name,
    password_policy,
    plan,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_wait import unseen, waiting
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import Rotator, rotate

# A record that was read longer ago than this, in seconds, is read again before it is saved.
_STALE = 2.0
_SECRET_FACTS = ("password", "old_password", "private_key", "token")
# Only a login could verify a secret, and the vault is not where one logs in.
_NOT_VERIFIED = "vault_only"


class VaultRotator(Rotator[str, State, Write]):
    """The four verbs on records; an item is a record's UID or title.

    Reads are shared: ``session`` reads all records once, and the first ``prove`` after updates reads all of them again.
    """

    def __init__(self, client: Vault, references: t.Sequence[str], options: Options, key_size: int) -> None:
        self._client = client
        self._references = references
        self._options = options
        self._key_size = key_size
        # As late as possible: what another run has committed meanwhile must not lie in the future.
        self._now = duration.now()
        self._run = uuid.uuid4().hex
        self._made: dict[str, str] = {}
        self._snapshot = Snapshot({})
        # UIDs of all records of the task.
        self._among: set[str] = set()
        self._unread: set[str] = set()
        # Saves in a row without an answer; each costs a whole timeout.
        self._silent = 0
        self._before: dict[str, dict[str, t.Any]] = {}
        if options.target in LATER:
            # Of the service, which has been changed by then, nobody speaks here.
            self.untouched = "The record is as it was."

    def identity(self, item: str) -> dict[str, str]:
        return {"record": item}

    def called(self, item: str) -> str:
        return self._snapshot.find(item).uid

    def check(self, item: str) -> None:
        if not item.strip():
            raise InvalidInput("A record's UID or title is empty.")

    def same_secret(self, one: str, other: str) -> bool:
        return True

    @contextlib.contextmanager
    def session(self) -> t.Iterator[None]:
        self._read()
        yield

    def _read(self) -> None:
        self._snapshot = self._client.read(self._references)
        if self._options.target not in ENDS and unseen(self._options, self._snapshot):
            self._snapshot.records.update(self._client.read_all().records)
        self._among = {self._snapshot.find(each).uid for each in self._references if self._snapshot.shows(each)}
        self._now = duration.now()

    def _waiting(self, record: Record) -> str | None:
        if self._options.target in LATER:
            return None
        return waiting(self._options, record, self._snapshot, self._among, self._now)

    def observe(self, item: str) -> State:
        record = self._found(item)
        self._before[item] = rotation_facts.metadata(record.data)
        return State(record=record, recovered=self._left(record.data), waiting=self._waiting(record))

    def _found(self, reference: str) -> Record:
        record = self._snapshot.find(reference)
        check_record(self._options, record)
        return dataclasses.replace(record, data=fields.own(record.data, record.uid))

    def _left(self, data: fields.Data) -> bool:
        """Whether an earlier run has left something to go on with."""
        return self._options.target not in ENDS and fields.under_way(data)

    def plan(self, item: str, state: State) -> t.Sequence[Write]:
        try:
            return plan(self._options, state, self._now)
        except RotationError as error:
            # What this run has sent before, another one may have taken over.
            error.left = "unknown" if state.rounds else error.left
            raise

    def apply(self, item: str, state: State, step: Write) -> State:
        # First, because making a key takes seconds.
        data = self._updated(state.record, step)
        if _is_stale(state.record):
            return self._seen_again(state)
        failure: RotationError | None = None
        late = False
        try:
            self._client.save(state.record, data)
        except RateLimited:
            raise
        except RotationError as error:
            # Whether it was saved, the next read tells.
            failure, late = error, isinstance(error, Unreachable)
            error.left = "unknown" if late else error.left
            self._silent = self._silent + 1 if late else 0
            if self._silent > 1:
                raise UnknownOutcome(
                    f"{name(state.record)}: {error.msg} Whether the update was saved is not known. Run again: a "
                    "pending value is kept and used.",
                    unanswered=2,
                ) from None
        self._unread.add(state.record.uid)
        return dataclasses.replace(state, wrote=step, failure=failure, rounds=state.rounds + 1, late=late or state.late)

    def _seen_again(self, state: State) -> State:
        """The record as it is now, from one read for all that wait; the plan then starts anew."""
        if _is_stale(self._snapshot.find(state.record.uid)):
            try:
                self._read()
            except Unreachable as error:
                # One unanswered read stands for all records.
                error.unanswered = 2
                raise
        record = self._snapshot.find(state.record.uid)
        return dataclasses.replace(
            state, record=record, recovered=self._left(record.data), waiting=self._waiting(record)
        )

    def prove(self, item: str, state: State) -> State:
        """Read back: what was sent is there, or somebody else's edit came in between and the plan starts anew."""
        if state.wrote is None:
            return dataclasses.replace(state, settled=True)
        self._read_back(state)
        record = self._found(state.record.uid)
        if self._is_there(state.wrote, state.record.data, record.data):
            return dataclasses.replace(state, record=record, settled=True)
        staging = not isinstance(state.wrote, Deliver)
        if staging and fields.under_way(record.data) and fields.marker(record.data) != fields.marker(state.record.data):
            raise Busy(
                f"{name(record)}: another run staged or took over a value at the same time. That one goes on.",
                left="untouched" if fields.pending(record.data) is None else "staged",
            )
        if state.failure is not None and record.revision == state.record.revision:
            raise state.failure
        if state.failure is None and record.revision == state.record.revision:
            raise VaultError(
                f"{name(record)}: Keeper accepted the update, and does not show it. Run again.", left="unknown"
            )
        # What was to be taken over may have been committed meanwhile.
        left = state.recovered and fields.under_way(record.data)
        return dataclasses.replace(state, record=record, recovered=left, wrote=None, failure=None)

    def proven(self, state: State) -> bool:
        return state.settled

    def report(self, item: str, state: State, outcome: Outcome) -> None:
        outcome.changed = state.settled and state.wrote is not None
        outcome.left = "unknown" if state.unseen else "untouched"
        outcome.verify_skipped_reason = _NOT_VERIFIED
        outcome.facts = rotation_facts.facts(self._options, state, self._now)
        outcome.before = self._before[item]
        outcome.after = rotation_facts.metadata(state.record.data)
        if state.settled and self._options.target in ("announced", "staged"):
            outcome.facts.update(rotation_facts.secrets(self._options, state, self._now))

    def expected(self, item: str, state: State, steps: t.Sequence[Write], outcome: Outcome) -> None:
        outcome.facts = rotation_facts.facts(self._options, state, self._now)
        if self._options.target in ("announced", "staged"):
            public = {
                name: value
                for name, value in rotation_facts.secrets(self._options, state, self._now).items()
                if name not in _SECRET_FACTS
            }
            outcome.facts.update(public)
        outcome.before = rotation_facts.metadata(state.record.data)
        outcome.after = dict(outcome.before)
        for step in steps:
            outcome.after["pending"] = isinstance(step, (Stage, Save, Adopt)) or (
                isinstance(step, Deliver) and outcome.before["pending"]
            )
            if isinstance(step, Commit):
                outcome.after["rotated_at"] = "now"

    def _updated(self, record: Record, step: Write) -> fields.Data:
        data = record.data
        if isinstance(step, Deliver):
            return fields.delivered(data, self._options.consumer)
        if isinstance(step, Discard):
            return fields.discarded(data)
        if isinstance(step, Commit):
            return self._committed(data)
        if isinstance(step, Stage) and record.uid not in self._made:
            self._made[record.uid] = self._generate(record)
        before = fields.marker(data)
        secret = self._made[record.uid] if isinstance(step, Stage) else fields.pending(data)
        mark = fields.Marker(
            rotation_id=self._options.rotation_id or (before.rotation_id if before and step == Save() else self._run),
            run=self._run,
            credential=self._options.kinds[0],
            started=duration.now(),
            token_name=before.token_name if before is not None else None,
            expires_at=before.expires_at if before is not None else None,
            of=fields.owner(data, record.uid) if self._options.kinds[0] == "token" else None,
        )
        if isinstance(step, Save):
            found = minted(self._options, record)
            secret, given = found.secret, found.token_name or mark.token_name
            mark = dataclasses.replace(mark, token_name=given, expires_at=found.expires_at)
        elif isinstance(step, Stage) and self._announces:
            secret, mark = None, dataclasses.replace(mark, token_name=self._made[record.uid], expires_at=None)
        return fields.staged(data, self._options.place, secret, mark)

    def _committed(self, data: fields.Data) -> fields.Data:
        secret = t.cast(str, fields.pending(data))
        known = {"${login}": fields.login(data)}
        public = None
        if self._is_key_pair:
            key = keys.load_private_key(secret)
            public = keys.public_base64(key)
            known["${fingerprint}"] = keys.fingerprint(key)
        extra = {label: known.get(value, value) for label, value in self._options.extra_fields.items()}
        tell = fields.consumers(data, self._options.consumers)
        return fields.committed(data, self._options.place, secret, public, duration.now(), extra, tell)

    @property
    def _is_key_pair(self) -> bool:
        return self._options.place.credential == "key_pair"

    @property
    def _announces(self) -> bool:
        return self._options.target == "announced"

    def _generate(self, record: Record) -> str:
        if self._announces:
            # Never a name that another run has announced: what that one mints late is no secret of this one.
            moment = duration.now().strftime("%Y%m%dT%H%M%SZ")
            return f"{self._options.token_prefix}_{moment}_{secrets.token_hex(4).upper()}"
        if self._is_key_pair:
            return keys.private_pem(keys.generate_rsa(self._key_size))
        return password_policy(self._options, record).generate()

    def _read_back(self, state: State) -> None:
        if state.record.uid not in self._unread:
            return
        try:
            self._snapshot.records.update(self._client.read(sorted(self._unread)).records)
        except RotationError as error:
            raise UnknownOutcome(
                f"{name(state.record)}: the update was sent, and reading it back failed. {error.msg} Run again: a "
                "pending value is kept and used.",
                # One unanswered read stands for all records.
                unanswered=2 if isinstance(error, Unreachable) else 0,
            ) from None
        self._unread.clear()

    def _is_there(self, step: Write, before: fields.Data, now: fields.Data) -> bool:
        pending = fields.pending(now)
        if isinstance(step, Deliver):
            return self._options.consumer not in fields.undelivered(now)
        if isinstance(step, Discard):
            return not fields.under_way(now)
        if isinstance(step, Commit):
            moved = fields.live_secret(now, self._options.place) == fields.pending(before)
            return pending is None and moved and fields.last_committed(now) == rotation_facts.name_of(before)
        mark = fields.marker(now)
        return fields.under_way(now) and mark is not None and mark.run == self._run


def _is_stale(record: Record) -> bool:
    return time.monotonic() - record.read_at > _STALE


def run(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """The module's return values for validated parameters."""
    single = params["records"] is None
    references = [params["record"]] if single else params["records"]
    if not references:
        raise InvalidInput("records is empty; there is nothing to do.")
    options = read_options(params)
    rotator = VaultRotator(vault(params, os.environ), references, options, params["key_size"])
    return module_result(rotate(rotator, references, check_mode=check_mode), single=single, noun="record")
