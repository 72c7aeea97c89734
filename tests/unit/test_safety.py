# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about safety counts tests that are there, and says of what was not run that it was not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.campaigns.safety import CATEGORIES, PAGE, REPOSITORY, THREATS, Result, counted, page, row, soaked

_NAMED = sorted({test for category in CATEGORIES.values() for test in category.tests})


@pytest.mark.parametrize("test", _NAMED)
def test_a_test_that_is_counted_is_there(test: str) -> None:
    file, _separator, function = test.partition("::")
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    assert function in tests if function else tests


def test_what_pytest_reports_is_counted(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text(
        "<testsuites><testsuite><testcase/><testcase/><testcase><failure/></testcase><testcase><error/></testcase>"
        '<testcase><skipped type="pytest.xfail"/></testcase><testcase><skipped type="pytest.skip"/></testcase>'
        "</testsuite></testsuites>"
    )
    found = counted(junit)
    assert (found.tried, found.good, found.bad, found.known, found.skipped) == (5, 2, 2, 1, 1)


def test_only_what_was_run_is_told() -> None:
    written = page({"races": Result(tried=3, good=2, bad=1, short=True)})
    assert written.count("- not run") == len(CATEGORIES) + 2 - 1
    assert "3, the short ones only" in written and ".. the table" not in written
    assert row("kills", None)[1:] == ("not run", "", "", "")


def test_a_divergence_of_a_soak_is_no_promise_kept() -> None:
    numbers = {"rotations": 10, "runs": 2, "requests": 90, "chance": 0.05, "faults": {"answer lost": 4}, "kills": 1}
    more = {"seen": {"lost": 1}, "divergences": ["lost: x"], "seed": 7, "seconds": 60.0}
    result = soaked(numbers | more)
    assert (result.tried, result.bad) == (10, 1) and "Lost: 1;" in result.words


def test_the_page_has_the_threats_as_they_are_written() -> None:
    above, below = THREATS.read_text(encoding="utf-8").split(".. the table\n")
    written = PAGE.read_text(encoding="utf-8")
    assert written.startswith(above) and written.endswith(below)
