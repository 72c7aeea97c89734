# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Durations as users write them, and RFC 3339 times."""

from __future__ import annotations

import datetime as dt
import re

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

_DURATION = re.compile(r"(\d{1,6})\s*([smhd])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(text: str, *, option: str) -> dt.timedelta:
    """C(90s), C(15m), C(24h), C(30d). Raises InvalidInput that names the option."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise InvalidInput(f"{option} must be a number and a unit, like 90s, 15m, 24h or 30d.")
    return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def rfc3339(moment: dt.datetime) -> str:
    """UTC to the second, as in 2026-01-31T23:59:59Z (RFC 3339, section 5.6)."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: str | None) -> dt.datetime | None:
    """The moment, or None for what is no RFC 3339 time with a zone."""
    moment = parse_time(text)
    return moment if moment is not None and moment.tzinfo is not None else None


def parse_time(text: str | None) -> dt.datetime | None:
    """The moment, in UTC or, where none is given, without a zone, and of a date its first second; None for no time.

    Nor is one for which UTC has no year.
    """
    try:
        moment = dt.datetime.fromisoformat((text or "").strip().upper().replace("Z", "+00:00"))
        return moment if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (OverflowError, ValueError):
        return None
