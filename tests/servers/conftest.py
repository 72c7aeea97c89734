# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The summary: what was seen of each real server."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    lines = [line for report in reports for name, line in report.user_properties if name == "real server"]
    if lines:
        terminalreporter.section("real servers")
        terminalreporter.write_line(
            f"{'recipe':<12}{'version':<11}{'rotated':>8}{'proved':>8}  {'second run':<12}{'no such user':<13}"
            f"{'wrong admin':<15}{'logins':>6}  disabled user"
        )
        for line in lines:
            terminalreporter.write_line(line)
