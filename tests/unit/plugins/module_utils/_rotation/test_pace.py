# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The token bucket, with a clock of our own."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.pace import TokenBucket, checked_rate


class Clock:
    """Time that passes only by sleeping, and by work between the requests."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def departures(rate: float, work: list[float]) -> list[float]:
    """When requests go that take so many seconds each."""
    clock, found = Clock(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: clock.now)
        patch.setattr(time, "sleep", clock.sleep)
        bucket = TokenBucket(rate)
        for seconds in work:
            bucket()
            found.append(clock.now)
            clock.now += seconds
    return found


def test_many_fast_requests_go_at_the_rate() -> None:
    gone = departures(8, [0.001] * 301)
    assert gone[-1] - gone[0] == pytest.approx(299 / 8, rel=0.01)


def test_slow_requests_do_not_wait() -> None:
    gone = departures(8, [0.2] * 10)
    assert gone[-1] - gone[0] == pytest.approx(9 * 0.2)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=60))
def test_no_second_ever_holds_more_than_ten_at_the_default(work: list[float]) -> None:
    """Whatever the delays in between: an organization has 10 per second."""
    gone = departures(8, work)
    assert max(len([other for other in gone if at <= other < at + 1 - 1e-9]) for at in gone) <= 10


def test_a_delay_is_made_up_for() -> None:
    """A hiccup of the machine does not add to the whole."""
    steady, late = departures(8, [0.01] * 50), departures(8, [*[0.01] * 20, 0.2, *[0.01] * 29])
    assert late[-1] == pytest.approx(steady[-1], abs=0.1)


@pytest.mark.parametrize("rate", [0, -1, 0.01, 1001, float("nan"), float("inf")])
def test_rates_that_cannot_be_kept(rate: float) -> None:
    with pytest.raises(InvalidInput, match="requests_per_second"):
        checked_rate(rate, option="requests_per_second")
