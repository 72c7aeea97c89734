# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sandbox and Ansible for the tests of this folder."""

from __future__ import annotations

import os
import secrets
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.module import Run as Logic
from tests.gateway import Gateway
from tests.integration.support import SECRET_OPTIONS, Ansible, Decide, call_logic
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.rest import RestSandbox
from tests.sandbox.snowflake import SnowflakeSandbox

ACCOUNT = "xy12345"
ADMIN = "ROTATOR"


# The native part of Snowflake's connector 5 can crash the process when a call that hangs was left behind. Its test gets
# a second try then; one that fails in the ordinary way does not.
survives_crashes = pytest.mark.flaky(reruns=1, only_rerun=["^$."])


def somebody_elses_login() -> dict[str, str]:
    """What an environment may export for another login to Snowflake."""
    return {
        "SNOWFLAKE_ROLE": "NO_SUCH_ROLE",
        "SNOWFLAKE_HOST": "192.0.2.1",
        "PRIVATE_KEY_PASSPHRASE": fresh_password(),
        "SNOWFLAKE_PASSWORD": fresh_password(),
    }


def fresh_password() -> str:
    """A password that meets Snowflake's policy, different each time, so that no test holds a literal."""
    return f"Aa1-{secrets.token_urlsafe(18)}"


@pytest.fixture
def snowflake() -> t.Iterator[SnowflakeSandbox]:
    """An account with the administrator ROTATOR, whose role SECURITYADMIN owns every user."""
    with SnowflakeSandbox(account=ACCOUNT) as sandbox:
        sandbox.add_user(ADMIN, password=fresh_password(), default_role="SECURITYADMIN", roles=["SECURITYADMIN"])
        yield sandbox
        assert sandbox.errors == []


@pytest.fixture
def vault() -> t.Iterator[KeeperSandbox]:
    with KeeperSandbox() as sandbox:
        yield sandbox
        assert sandbox.errors == []


@pytest.fixture
def meraki() -> t.Iterator[MerakiSandbox]:
    """A dashboard with one network and no users."""
    with MerakiSandbox() as sandbox:
        yield sandbox
        assert sandbox.errors == []


@pytest.fixture
def rest() -> t.Iterator[RestSandbox]:
    """A service with an API and no users."""
    with RestSandbox() as sandbox:
        yield sandbox
        assert sandbox.errors == []


@pytest.fixture
def ansible(tmp_path: Path) -> Ansible:
    """Ansible without a vault."""
    return Ansible(tmp_path, {})


@pytest.fixture
def login(snowflake: SnowflakeSandbox) -> dict[str, t.Any]:
    """Module options that log in as the administrator with a password."""
    return {**snowflake.settings(), "login_user": ADMIN, "login_password": snowflake.user(ADMIN).password}


@pytest.fixture
def decider(login: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> t.Callable[..., Decide]:
    """Takes a module's specification, its logic, and usual options besides the administrator's login."""
    for name in [name for name in os.environ if name.startswith(("SNOWFLAKE_", "PRIVATE_KEY_"))]:
        monkeypatch.delenv(name)
    # The module sets it for its own process, which here is the test's: it is put back afterwards.
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path / "snowflake"))
    # It removes its folder when Python ends, which a worker of xdist never does.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")

    def make(spec: ArgumentSpec, logic: Logic, **usual: t.Any) -> Decide:
        def call(**options: t.Any) -> dict[str, t.Any]:
            check_mode = options.pop("check", False)
            given = {**login, **usual, **options}
            if "users" in options:
                given.pop("name", None)
            if any(name in options for name in SECRET_OPTIONS):
                given.pop("login_password")
            given = {name: value for name, value in given.items() if value is not None}
            return call_logic(spec, logic, check_mode=check_mode, **given)

        return call

    return make


@pytest.fixture
def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> t.Iterator[Gateway]:
    """The Keeper Gateway's script; how each of its runs ended is shown, and none may leave a file."""
    made = Gateway(tmp_path)
    yield made
    for result in made.results:
        request.node.user_properties.append(("gateway", f"{result.ending} | {request.node.name}"))
    assert made.leftovers() == []


@pytest.fixture
def table(request: pytest.FixtureRequest) -> t.Callable[[str], None]:
    """Adds a line to what a kill matrix shows: with ``-s`` or ``-rP``, and as a property of the test's report."""

    def add(line: str) -> None:
        request.node.user_properties.append(("kill matrix", line))
        print(line)

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _show_kill_matrix(terminalreporter)
    _show_gateway(terminalreporter)


def _show_gateway(terminalreporter: pytest.TerminalReporter) -> None:
    """How every run of the gateway's script ended."""
    reports = [
        report for found in terminalreporter.stats.values() for report in found if isinstance(report, pytest.TestReport)
    ]
    lines = {
        (report.nodeid, number): str(line)
        for report in reports
        for number, (name, line) in enumerate(report.user_properties)
        if name == "gateway"
    }
    if not lines:
        return
    terminalreporter.section("gateway script: exit code, error code, case")
    for line in sorted(lines.values()):
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"{len(lines)} runs")


def _show_kill_matrix(terminalreporter: pytest.TerminalReporter) -> None:
    """The kill matrices: what every killed run left, and how many were finished by the next run."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if "/test_kill_matrix" in report.nodeid and "::test_killed" in report.nodeid and report.when == "call"
    ]
    if not reports:
        return
    terminalreporter.section("kill matrix")
    for line in sorted(line for r in reports for name, line in r.user_properties if name == "kill matrix"):
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"{sum(r.passed for r in reports)} of {len(reports)} converged")
