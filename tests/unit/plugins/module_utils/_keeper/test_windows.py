# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a record may rotate."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import windows

# A Monday.
NOW = dt.datetime(2026, 6, 1, 21, 30, tzinfo=dt.UTC)


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    ("window", "open_at", "closed_at"),
    [
        ("22:00-23:00", ["2026-06-01T22:00", "2026-06-07T22:59"], ["2026-06-01T21:59", "2026-06-01T23:00"]),
        ("sat,SUN 00:00-24:00 utc", ["2026-06-06T00:00", "2026-06-07T23:59"], ["2026-06-05T23:59", "2026-06-08T00:00"]),
        ("fri 22:00-04:00", ["2026-06-05T22:00", "2026-06-06T03:59"], ["2026-06-05T03:00", "2026-06-06T22:00"]),
        ("fri-mon 10:00-11:00", ["2026-06-01T10:00", "2026-06-05T10:00"], ["2026-06-02T10:00", "2026-06-04T10:00"]),
        ("mon 22:00 - 23:00 Europe/Berlin", ["2026-06-01T20:00"], ["2026-06-01T22:00", "2026-06-01T21:00"]),
        # The same hours by the clock on the wall, in winter.
        ("mon 22:00-23:00 Europe/Berlin", ["2026-01-05T21:00"], ["2026-01-05T20:00"]),
        ("mon 01:00-02:00; tue 01:00-02:00", ["2026-06-01T01:30", "2026-06-02T01:30"], ["2026-06-03T01:30"]),
        ("sun 23:00-01:00 Pacific/Auckland", ["2026-06-07T12:30"], ["2026-06-07T23:30"]),
    ],
)
def test_windows(window: str, open_at: list[str], closed_at: list[str]) -> None:
    assert all(windows.held(None, window, at(moment)) is None for moment in open_at)
    assert all(windows.held(None, window, at(moment)) == f"rotation_window is {window}" for moment in closed_at)


@pytest.mark.parametrize(
    "window",
    ["always", "mon", "22-23", "24:00-25:00", "22:00-22:00", "22:60-23:00", "foo 22:00-23:00", "mon,-fri 22:00-23:00"]
    + ["22:00-23:00 Nowhere/Else", "22:00-23:00 ../../etc", "22:00-23:00;", "mon-fri-sat 22:00-23:00", " "],
)
def test_a_window_that_cannot_be_read_is_refused(window: str) -> None:
    with pytest.raises(InvalidInput, match="rotation_window"):
        windows.held(None, window, NOW)
    with pytest.raises(InvalidInput, match="rotation_window"):
        windows.held("2999-01-01", window, NOW)


@pytest.mark.parametrize(
    ("time", "waits"),
    [
        (None, False),
        ("2026-06-01T21:30:00Z", False),
        ("2026-06-01T21:30:01Z", True),
        ("2026-06-01T23:30+02:00", False),
        ("2026-06-01T21:31", True),
        ("2026-06-02", True),
    ],
)
def test_not_before(time: str | None, waits: bool) -> None:
    assert windows.held(time, None, NOW) == (f"rotation_not_before is {time}" if waits else None)


def test_a_time_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidInput, match="rotation_not_before"):
        windows.held("tonight", None, NOW)


@pytest.mark.parametrize(
    ("pending", "age", "why"),
    [
        (True, dt.timedelta(days=2), "unfinished"),
        (False, None, "rotate first"),
        (False, dt.timedelta(days=30), "rotate first"),
        (False, dt.timedelta(minutes=59), "just rotated"),
        (False, dt.timedelta(hours=1), None),
        (False, dt.timedelta(days=-1), "rotate first"),
    ],
)
def test_a_pair(pending: bool, age: dt.timedelta | None, why: str | None) -> None:
    rotated_at = None if age is None else (NOW - age).isoformat()
    held = windows.held_by("O", pending=pending, rotated_at=rotated_at, max_age=dt.timedelta(days=30), now=NOW)
    assert (held is None) == (why is None) and (why or "") in (held or "")
