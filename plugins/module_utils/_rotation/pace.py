# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""A token bucket: so many requests per second, shared by all items of a task."""

from __future__ import annotations

import threading
import time

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

# A request that comes late may be made up for by one: in any second there are at most ``rate + 2`` requests.
_BURST = 2
_SLOWEST, _FASTEST = 0.1, 1000.0


class TokenBucket:
    """Calling it waits until the next request may go. Thread-safe.

    rate: requests per second.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = float(_BURST)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            now = time.monotonic()
            self._tokens = min(float(_BURST), self._tokens + (now - self._at) * self._rate) - 1
            self._at = now
            wait = -self._tokens / self._rate
        if wait > 0:
            time.sleep(wait)


def checked_rate(rate: float, *, option: str) -> float:
    """The rate in requests per second. Raises InvalidInput that names the option."""
    if not _SLOWEST <= rate <= _FASTEST:
        raise InvalidInput(f"{option} must be a number from {_SLOWEST} to {_FASTEST:.0f}.")
    return rate
