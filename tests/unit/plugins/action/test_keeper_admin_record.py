# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words for what Keeper's own plugin raises; its texts may quote the server."""

from __future__ import annotations

import pytest

from ansible_collections.keyturn.credentials.plugins.action.keeper_admin_record import _failure

CANARY = "a text of the server"


@pytest.mark.parametrize(
    ("text", "code", "retry_safe"),
    [
        ("Found multiple records for title", "ambiguous", False),
        ("Could not find any records for", "not_found", False),
        ("SSLError: certificate verify failed", "vault_error", False),
        ("HTTPSConnectionPool: Max retries exceeded", "unreachable", True),
        ("Connection refused", "unreachable", True),
        ("Something else", "vault_error", True),
    ],
)
def test_the_kind_is_told_and_the_text_is_not(text: str, code: str, retry_safe: bool) -> None:
    error = _failure("Admin record", ValueError(f"{text} {CANARY}"))
    assert (error.error_code, error.retry_safe) == (code, retry_safe)
    assert CANARY not in error.msg and "Admin record" in error.msg
