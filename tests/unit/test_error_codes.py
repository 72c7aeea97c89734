# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about error codes is the one that its sources make."""

from __future__ import annotations

from tests import error_codes


def test_the_page_is_up_to_date() -> None:
    # python -m tests.error_codes
    assert error_codes.render() == error_codes.PATH.read_text(encoding="utf-8")


def test_advice_is_given_for_each_code_and_no_other() -> None:
    assert set(error_codes.ADVICE) == {kind.error_code for kind in error_codes.kinds()}
