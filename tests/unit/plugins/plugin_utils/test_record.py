# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Administrators' records, as Keeper's guides have them and as people fill them in."""

from __future__ import annotations

import secrets
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.filter.meraki_login import meraki_login
from ansible_collections.keyturn.credentials.plugins.plugin_utils._record import first

KEY = secrets.token_hex(20)


@pytest.mark.parametrize(
    ("record", "value"),
    [({"x": ["a", "b"]}, "a"), ({"x": []}, None), ({"x": None}, None), ({}, None), ({"x": "text"}, "text")],
)
def test_first(record: dict[str, t.Any], value: str | None) -> None:
    assert first(record, "x") == value


@pytest.mark.parametrize(
    ("record", "connection", "options"),
    [
        ({"password": [KEY], "network_id": ["N_1"], "login": ["x"]}, {}, {"api_key": KEY, "network_id": "N_1"}),
        ({"password": [KEY]}, {"network_id": "N_2"}, {"api_key": KEY, "network_id": "N_2"}),
        ({"password": [KEY], "network_id": ["N_1"]}, {"network_id": "N_2"}, {"api_key": KEY, "network_id": "N_2"}),
        ({"password": [""], "network_id": []}, {"timeout": 5}, {"timeout": 5}),
    ],
)
def test_meraki_login(record: dict[str, t.Any], connection: dict[str, t.Any], options: dict[str, t.Any]) -> None:
    assert meraki_login(record, connection) == options
