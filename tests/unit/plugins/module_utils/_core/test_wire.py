# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of requests that cannot be used."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import Wire


@pytest.mark.parametrize(
    "params",
    [{"timeout": 0}, {"max_retries": -1}, {"ca_path": "/absent.pem"}, {"client_key": "/dev/null"}],
    ids=str,
)
def test_settings_that_cannot_be_used(params: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidInput):
        Wire.from_params(params)
