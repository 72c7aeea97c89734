# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit tests need neither network nor server; what they generate is small."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("unit", deadline=None, max_examples=80)
hypothesis.settings.load_profile("unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They cost little, and the Python differs as well."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("core")
