# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Durations as users write them, and times as the vault keeps them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0h", 0), ("90s", 90), ("15m", 900), ("24h", 86400), ("30d", 2592000), (" 2 h ", 7200), ("999999s", 999999)],
)
def test_number_and_unit(text: str, seconds: int) -> None:
    assert duration.parse_duration(text, option="x") == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "15", "m", "-1h", "1.5h", "1w", "1H", "1h\n1h", "1h30m", "9999999d", "1h x"])
def test_anything_else_is_refused_with_the_options_name(text: str) -> None:
    with pytest.raises(InvalidInput, match="max_age"):
        duration.parse_duration(text, option="max_age")


@given(st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2200, 1, 1), timezones=st.timezones(), allow_imaginary=False))
def test_times_survive_to_the_second(moment: dt.datetime) -> None:
    text = duration.rfc3339(moment)
    read = duration.parse_rfc3339(text)
    assert text.endswith("Z") and len(text) == 20
    assert read is not None and read.timestamp() == moment.replace(microsecond=0).timestamp()


@pytest.mark.parametrize("text", [None, "", "never", "2026-01-31", "2026-01-31T23:59:59", "2026-13-01T00:00:00Z", "1"])
def test_what_is_no_time_with_a_zone_is_none(text: str | None) -> None:
    assert duration.parse_rfc3339(text) is None


@pytest.mark.parametrize(
    "text", ["2026-01-31T23:59:59Z", "2026-01-31t23:59:59z", " 2026-02-01T00:59:59+01:00 ", "2026-01-31T23:59:59.0Z"]
)
def test_every_spelling_of_rfc3339_is_read(text: str) -> None:
    assert duration.parse_rfc3339(text) == dt.datetime(2026, 1, 31, 23, 59, 59, tzinfo=dt.UTC)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-08:00"])
def test_a_time_for_which_utc_has_no_year_is_none(text: str) -> None:
    assert duration.parse_rfc3339(text) is None


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T00:00:00", " 2026-01-31t00:00:00 "])
def test_a_time_may_lack_its_zone(text: str) -> None:
    assert duration.parse_time(text) == dt.datetime(2026, 1, 31)  # noqa: DTZ001
