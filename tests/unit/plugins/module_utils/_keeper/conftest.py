# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A vault in memory, and the rotation over it, called as the module calls it."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import time
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError, VaultError
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import keeper_rotation
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record, Snapshot, Vault
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_plan import Minted, Options
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import rotate

UID = "U" * 22

LIVE = "live-password"

PASSWORD, KEY_PAIR = fields.Place("password"), fields.Place("key_pair")

Target = t.Literal["announced", "staged", "saved", "committed", "discarded", "delivered"]

Edit = t.Callable[[fields.Data], fields.Data]


@dataclasses.dataclass
class FakeVault:
    """enforced: an update with a stale revision is refused, as the service does; else the last writer wins.

    edits: what somebody else does to the record between our read and our save, one per save. before and after: what a
    save raises, before and after it has taken effect; one per save.
    """

    enforced: bool = True
    edits: list[Edit] = dataclasses.field(default_factory=list)
    before: list[RotationError | None] = dataclasses.field(default_factory=list)
    after: list[RotationError | None] = dataclasses.field(default_factory=list)
    reads_that_fail: list[RotationError | None] = dataclasses.field(default_factory=list)
    records: dict[str, tuple[fields.Data, int]] = dataclasses.field(default_factory=dict)
    reads: int = 0
    saves: int = 0
    # How long ago each read seems to be, in seconds, and what a save takes.
    ages: list[float] = dataclasses.field(default_factory=list)
    slow: float = 0

    def add(self, uid: str = UID, **more: t.Any) -> None:
        data = {
            "title": f"Title of {uid}",
            "type": "login",
            "fields": [{"type": "login", "value": [f"user-{uid}"]}, {"type": "password", "value": [LIVE]}],
            "custom": [{"type": "text", "label": "note", "value": ["theirs"]}],
            **more,
        }
        self.records[uid] = (data, 1)

    @property
    def data(self) -> fields.Data:
        return self.records[UID][0]

    def edit(self, uid: str, change: Edit) -> None:
        data, revision = self.records[uid]
        self.records[uid] = (change(copy.deepcopy(data)), revision + 1)

    def read(self, references: t.Sequence[str]) -> Snapshot:
        self.reads += 1
        if self.reads_that_fail and (error := self.reads_that_fail.pop(0)):
            raise error
        read_at = time.monotonic() - (self.ages.pop(0) if self.ages else 0)
        return Snapshot(
            {
                uid: Record(uid, copy.deepcopy(data), revision, editable=True, handle=None, read_at=read_at)
                for uid, (data, revision) in self.records.items()
            }
        )

    def read_all(self) -> Snapshot:
        return self.read(list(self.records))

    def save(self, record: Record, data: fields.Data) -> None:
        self.saves += 1
        assert time.monotonic() - record.read_at <= 2.0, "nothing is saved on a stale read"
        if self.edits:
            self.edit(record.uid, self.edits.pop(0))
        if self.before and (error := self.before.pop(0)):
            raise error
        if self.enforced and self.records[record.uid][1] != record.revision:
            raise VaultError("Conflict.")
        self.edit(record.uid, lambda _now: copy.deepcopy(data))
        if self.after and (error := self.after.pop(0)):
            raise error


@pytest.fixture(params=[True, False], ids=["enforced", "last writer wins"])
def vault(request: pytest.FixtureRequest) -> FakeVault:
    fake = FakeVault(enforced=request.param)
    fake.add()
    return fake


class Task:
    """One run of the module, without its front door."""

    def __init__(self, vault: FakeVault) -> None:
        self.vault = vault

    def __call__(
        self,
        target: Target,
        *,
        records: t.Sequence[str] = (UID,),
        place: fields.Place = PASSWORD,
        rotation_id: str | None = None,
        max_age: dt.timedelta | None = None,
        lease: dt.timedelta = dt.timedelta(minutes=15),
        extra: dict[str, str] | None = None,
        minted: dict[str, Minted] | None = None,
        waits: dict[str, str | None] | None = None,
        force: bool = False,
        consumers: tuple[str, ...] = (),
        consumer: str = "",
        check_mode: bool = False,
    ) -> list[dict[str, t.Any]]:
        options = Options(
            target=target,
            place=place,
            rotation_id=rotation_id,
            max_age=max_age,
            force=force,
            lease=lease,
            extra_fields=extra or {},
            minted=minted or {},
            waits=waits or {},
            consumers=consumers,
            consumer=consumer,
        )
        client = t.cast(Vault, self.vault)
        rotator = keeper_rotation.VaultRotator(client, records, options, 2048)
        return [outcome.entry() for outcome in rotate(rotator, records, check_mode=check_mode)]


@pytest.fixture
def task(vault: FakeVault) -> Task:
    return Task(vault)


def _other_login(data: fields.Data) -> fields.Data:
    data["fields"][0]["value"] = ["other-user"]
    return data


def _field(label: str, text: str) -> Edit:
    return lambda data: {**data, "custom": [*data["custom"], {"type": "text", "label": label, "value": [text]}]}
