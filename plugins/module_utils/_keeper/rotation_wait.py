# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What a record of keeper_rotation waits for: its times, and the record that it must not rotate together with. Pure.

The record's fields win over the task's options of the same names.
"""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    InvalidInput,
    NotFound,
    Refused,
    RotationError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import windows
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record, Snapshot
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_plan import Options, is_due, name


def waiting(
    options: Options, record: Record, snapshot: Snapshot, among: t.Container[str], now: dt.datetime
) -> str | None:
    """What a record that is due waits for, in words; None for nothing, and where a value is pending.

    among: the UIDs of all records of the task. Raises InvalidInput for fields that cannot be used.
    """
    if fields.under_way(record.data) or not is_due(options, record.data, now):
        return None
    left = ", ".join(fields.undelivered(record.data))
    if left and options.place.credential == "key_pair" and not options.force:
        # The slot that it would take is that of the key which they still use.
        return f"its consumers {left} are to be told of the last rotation first"
    try:
        not_before, window = (_text(options, record, label) for label in (windows.NOT_BEFORE, windows.WINDOW))
        # Somebody who forces knows what time it is, and not what else rotates.
        own = None if options.force else windows.held(not_before, window, now)
        return own or _held_by(options, record, snapshot, among, now)
    except (InvalidInput, Refused, Ambiguous, NotFound) as error:
        raise InvalidInput(f"{name(record)}: {error.msg}") from None


def _text(options: Options, record: Record, label: str) -> str | None:
    return fields.text(record.data, label) or options.waits.get(label)


def _held_by(
    options: Options, record: Record, snapshot: Snapshot, among: t.Container[str], now: dt.datetime
) -> str | None:
    reference = _text(options, record, windows.AFTER)
    if not reference:
        return None
    other = snapshot.find(reference)
    _refuse_a_circle(options, record, snapshot)
    due_now = other.uid in among and (options.force or options.max_age is None)
    return windows.held_by(
        name(other),
        pending=fields.under_way(other.data),
        rotated_at=fields.text(other.data, fields.ROTATED_AT),
        max_age=dt.timedelta(0) if due_now else options.max_age,
        now=now,
    )


def _refuse_a_circle(options: Options, record: Record, snapshot: Snapshot) -> None:
    """Each of them would wait for ever."""
    seen, at = {record.uid}, record
    while reference := _text(options, at, windows.AFTER):
        at = snapshot.find(reference)
        if at.uid in seen:
            raise InvalidInput(f"By {windows.AFTER}, records wait for one another in a circle.")
        seen.add(at.uid)


def unseen(options: Options, snapshot: Snapshot) -> set[str]:
    """The records that others wait for and the snapshot does not show, by UID or title."""
    wanted: set[str] = set()
    for record in snapshot.records.values():
        try:
            wanted.add(_text(options, record, windows.AFTER) or "")
        except RotationError:
            continue
    return {reference for reference in wanted if reference and not snapshot.shows(reference)}
