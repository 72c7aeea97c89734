# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each decision is cited where it says that its rule is coded."""

from __future__ import annotations

import pathlib
import re

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
DECISIONS = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_cited_where_its_rule_is_coded(decision: pathlib.Path) -> None:
    (coded,) = re.findall(r"## Where\n\n`(.+)`\n\Z", decision.read_text(encoding="utf-8"))
    assert f"# Why: docs/decisions/{decision.name}\n" in (REPOSITORY / coded).read_text(encoding="utf-8")
