# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""When a record that is due may rotate. Pure.

A text that cannot be read raises InvalidInput: to rotate at the wrong hour is what it was written against.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields

NOT_BEFORE, WINDOW, AFTER = LABELS = ("rotation_not_before", "rotation_window", "rotation_after")
# What uses one of a pair has as long to find its new secret before the other one rotates.
PAIR_GAP = dt.timedelta(hours=1)

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?:(?P<days>[a-z,-]+)\s+)?(?P<hours>\d\d):(?P<minutes>[0-5]\d)\s*-\s*(?P<to_hours>\d\d):(?P<to_minutes>[0-5]\d)"
    r"(?:\s+(?P<zone>[\w+/-]+))?\Z",
    re.IGNORECASE,
)
_LAST_MINUTE = 24 * 60


@dataclasses.dataclass(frozen=True)
class Window:
    """Minutes from midnight by the wall clock of the zone; one that ends before it starts ends on the next day."""

    days: frozenset[int]
    start: int
    end: int
    zone: dt.tzinfo

    def is_open(self, now: dt.datetime) -> bool:
        local = now.astimezone(self.zone)
        minute, today = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        return (today in self.days and minute >= self.start) or ((today - 1) % 7 in self.days and minute < self.end)


def parse_windows(text: str) -> list[Window]:
    """C(mon-fri 22:00-04:00 Europe/Berlin); several with C(;) between. Without days every day, without a zone UTC."""
    return [_parse(each.strip()) for each in text.split(";")]


def _parse(text: str) -> Window:
    match = _WINDOW.match(text)
    start, end = (int(match[1 + n]) * 60 + int(match[2 + n]) for n in (1, 3)) if match else (0, 0)
    if match is None or start == end or start >= _LAST_MINUTE or end > _LAST_MINUTE:
        raise InvalidInput(
            f"{WINDOW} must be days, hours and a zone, like mon-fri 22:00-04:00 Europe/Berlin, several of them with a "
            "semicolon between."
        )
    return Window(_parse_days(match["days"]), start, end, _parse_zone(match["zone"]))


def _parse_days(text: str | None) -> frozenset[int]:
    found: set[int] = set()
    for part in (text or "mon-sun").lower().split(","):
        first, _dash, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS:
            raise InvalidInput(f"{WINDOW} has days that are none of {', '.join(_DAYS)}, or ranges of them.")
        begin = _DAYS.index(first)
        found |= {(begin + n) % 7 for n in range((_DAYS.index(last or first) - begin) % 7 + 1)}
    return frozenset(found)


def _parse_zone(name: str | None) -> dt.tzinfo:
    if name is None or name.upper() == "UTC":
        return dt.UTC
    # Here, because it takes long to load, and few records need it.
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        raise InvalidInput(
            f"{WINDOW} has a zone that is not known here; there is Europe/Berlin, for example."
        ) from None


def held(not_before: str | None, window: str | None, now: dt.datetime) -> str | None:
    """What of its own times a record waits for, in words; None for nothing."""
    moment = duration.parse_time(not_before) if not_before else dt.datetime.min
    if moment is None:
        raise InvalidInput(f"{NOT_BEFORE} must be a time, like 2026-01-31T22:00:00Z.")
    windows = parse_windows(window) if window else []
    if now < (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)):
        return f"{NOT_BEFORE} is {not_before}"
    return f"{WINDOW} is {window}" if windows and not any(each.is_open(now) for each in windows) else None


def held_by(
    other: str, *, pending: bool, rotated_at: str | None, max_age: dt.timedelta | None, now: dt.datetime
) -> str | None:
    """Why a record waits for the other one of a pair, in words; None where that one is done.

    max_age: after which the other is due; None where it is due by its age never.
    """
    last, _note = fields.rotated_at(rotated_at, now)
    why = None
    if pending:
        why = "has an unfinished rotation"
    elif last is None or (max_age is not None and now - last >= max_age):
        why = "is to rotate first"
    elif now - last < PAIR_GAP:
        why = "has just rotated"
    return f"{other}, which {AFTER} names, {why}" if why else None
