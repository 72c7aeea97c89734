# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checkout against the map in CONTRIBUTING.md: who may name a vendor, what each service's folder holds, and what
tests share."""

from __future__ import annotations

import pathlib
import re

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
UTILS = REPOSITORY / "plugins" / "module_utils"
SHARED = ("_core", "_rotation")
VENDORS = re.compile(r"(?i)snowflake|meraki|cisco|keeper")
# Still to be moved to their service.
NAME_A_VENDOR = {"_core/keys.py"}
SERVICES = sorted(folder.name for folder in UTILS.glob("_[a-z]*") if folder.name not in SHARED)


def test_what_is_shared_names_no_vendor() -> None:
    files = [path for folder in SHARED for path in (UTILS / folder).glob("*.py")]
    naming = {str(path.relative_to(UTILS)) for path in files if VENDORS.search(path.read_text(encoding="utf-8"))}
    assert naming == NAME_A_VENDOR


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_client_a_plan_and_its_modules(service: str) -> None:
    files = {path.stem for path in (UTILS / service).glob("*.py")}
    modules = {path.stem for path in (REPOSITORY / "plugins" / "modules").glob("*.py")}
    assert "client" in files
    assert any(re.fullmatch(r"(\w+_)?plan", name) for name in files)
    assert files & modules


def test_no_test_module_is_imported() -> None:
    """What several tests need is in a module of its own, so that any of them may be split or renamed."""
    importing = re.compile(r"^\s*(?:from|import) [\w.]*\btest_\w+(?: import|$)", re.MULTILINE)
    files = [path for folder in ("tests", "benchmarks") for path in (REPOSITORY / folder).rglob("*.py")]
    assert [str(path) for path in files if importing.search(path.read_text(encoding="utf-8"))] == []
