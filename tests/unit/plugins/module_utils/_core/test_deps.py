# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Libraries that are absent, broken or old."""

from __future__ import annotations

import sys
import types
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deps
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import MissingDependency


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[types.ModuleType]:
    module = types.ModuleType("keyturn_unit_library")
    module.__file__ = "library.py"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield module


def test_an_absent_library_is_named_with_its_package() -> None:
    with pytest.raises(MissingDependency, match="some-package>=1.2"):
        deps.require("keyturn_no_such_library", package="some-package", minimum="1.2")


@pytest.mark.parametrize(
    ("found", "minimum", "enough"),
    [
        ("17.3.0", "17.3.0", True),
        ("17.10.0", "17.3.0", True),
        ("18.0", "17.3.0", True),
        ("17.2.9", "17.3.0", False),
        ("9.9.9", "17.3.0", False),
        ("3.12.4", "3.12", True),
        ("3.2.1", "3.12", False),
    ],
)
def test_versions_compare_as_numbers(
    library: types.ModuleType, monkeypatch: pytest.MonkeyPatch, found: str, minimum: str, enough: bool
) -> None:
    monkeypatch.setattr(deps, "installed_version", lambda package: found)
    if enough:
        assert deps.require(library.__name__, package="p", minimum=minimum) is library
    else:
        with pytest.raises(MissingDependency, match=found):
            deps.require(library.__name__, package="p", minimum=minimum)


def test_a_package_without_metadata_counts_as_the_oldest() -> None:
    assert deps.installed_version("keyturn-no-such-package") == "0"
