# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Snowflake's times, and the time by Snowflake's clock."""

from __future__ import annotations

import datetime as dt
import time
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import UnknownOutcome
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import sql
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.client import Client


class ServiceClock:
    """The clock with which Snowflake has dated its keys and tokens; it is read once, in the session."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # The service's time at the zero of time.monotonic().
        self._zero: dt.datetime | None = None

    @property
    def known(self) -> bool:
        return self._zero is not None

    def now(self) -> dt.datetime:
        """Raises UnknownOutcome where it cannot be read."""
        if self._zero is None:
            rows = self._client.execute(sql.service_time(), "Asking Snowflake for its time")
            told = as_moment(next((value for row in rows for value in row.values()), None))
            if told is None:
                raise UnknownOutcome("Snowflake's time cannot be read, so nothing was retired.")
            self._zero = told - dt.timedelta(seconds=time.monotonic())
        return self._zero + dt.timedelta(seconds=time.monotonic())


def as_moment(value: t.Any) -> dt.datetime | None:
    """A cell with a time, as the connector hands it over: a time or its text; without a zone it is UTC."""
    if not isinstance(value, dt.datetime):
        return parse_time(None if value is None else str(value))
    return value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)


def parse_time(text: str | None) -> dt.datetime | None:
    """Snowflake's C(YYYY-MM-DD HH:MM:SS.mmm), with or without a zone; without one it is UTC, the session's zone."""
    try:
        moment = dt.datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
