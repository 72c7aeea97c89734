# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses are taken."""

from __future__ import annotations

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import checked_url, origin


@pytest.mark.parametrize(
    "bad",
    [
        "http://example.com",
        "ftp://example.com",
        "example.com",
        "https://",
        "https://user@example.com",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://exa mple.com",
        "https://example.com:port",
        "https://[::1",
        "http://127.0.0.1.example.com",
    ],
)
def test_addresses_that_are_refused(bad: str) -> None:
    with pytest.raises(InvalidInput, match="api_url"):
        checked_url(bad, option="api_url")


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("https://example.com/api/v1/", "https://example.com/api/v1"),
        (" http://127.0.0.1:8080 ", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_addresses_that_are_taken(text: str, taken: str) -> None:
    assert checked_url(text, option="api_url") == taken


def test_plain_http_where_the_user_says_so() -> None:
    assert checked_url("http://example.com", option="url", allow_http=True) == "http://example.com"


def test_loopback_is_not_near_through_a_proxy_elsewhere() -> None:
    assert checked_url("http://localhost:1", option="url", proxy="http://127.0.0.1:3128") == "http://localhost:1"
    with pytest.raises(InvalidInput, match="loopback"):
        checked_url("http://localhost:1", option="url", proxy="http://proxy.example:3128")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://Example.com/a", "HTTPS://example.com:443/b?c", True),
        ("http://example.com", "http://example.com:80", True),
        ("https://example.com", "http://example.com", False),
        ("https://example.com", "https://example.com:8443", False),
        ("https://example.com", "https://example.com.evil.example", False),
    ],
)
def test_where_an_address_stays(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) is same
