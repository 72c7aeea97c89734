# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as services write them, and a token that is surely wrong; the rest is in tests/integration."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._rest import rest_token_rotate as module
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.token_options import fresh_name
from tests import recipes

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T13:00:00.000+01:00", NOON),
        (NOON.timestamp(), NOON),
        (int(NOON.timestamp() * 1000), NOON),
        # Without a zone it could be any hour.
        ("2026-01-31T12:00:00", None),
        ("never", None),
        (True, None),
        (1e300, None),
        (None, None),
        ([], None),
        # How services say that a token does not end.
        (0, None),
        (-1, None),
        ("0001-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-08:00", None),
    ],
)
def test_times(value: t.Any, moment: dt.datetime | None) -> None:
    assert module._moment(value) == moment


def test_the_end_of_a_token_may_be_a_date() -> None:
    """As GitLab says it, in UTC; a zone that is named counts all the same."""
    midnight = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    assert module._moment("2026-01-31", zone=dt.UTC) == midnight
    assert module._moment("2026-01-31T01:00:00+01:00", zone=dt.UTC) == midnight
    assert module._moment("never", zone=dt.UTC) is None and module._moment("2026-01-31") is None


def test_our_names_tell_the_time() -> None:
    assert module._from_name("KEYTURN_20260131T120000Z_0A1B2C3D") == NOON
    made = module._from_name(fresh_name("a_b"))
    assert made is not None and abs(dt.datetime.now(dt.UTC) - made) < dt.timedelta(minutes=1)
    assert module._from_name("KEYTURN_20260131T120000Z") is None and module._from_name("x") is None


def test_the_clock_of_the_service() -> None:
    assert module._http_date("Sat, 31 Jan 2026 12:00:00 GMT") == NOON
    assert module._http_date(None) is None and module._http_date("noon") is None


@pytest.mark.parametrize("token", [secrets.token_hex(20), secrets.token_urlsafe(40), "0", "---", ""], ids=range(5))
def test_a_wrong_token_looks_like_the_right_one(token: str) -> None:
    wrong = module._wrong(token)
    assert wrong != token and len(wrong) - len(token) in (0, 1)


def test_a_key_of_meraki_is_named_by_its_end() -> None:
    key = secrets.token_hex(20)
    pattern = recipes.recipe("meraki", recipes.TOKENS)["mint"]["name"]["text"]
    found = re.search(pattern, f'{{"key": "{key}"}}')
    assert found is not None and found[1] == key[-4:]
