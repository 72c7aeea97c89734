# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client over a connector that misbehaves as no server can make a real one misbehave."""

from __future__ import annotations

import atexit
import dataclasses
import logging
import os
import pathlib
import threading
import types
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deps
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    AuthFailed,
    NotFound,
    RotationError,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import client
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.connection import Endpoint, Login

CANARY = "ALTER USER X SET PASSWORD = 'canary'"
ADMIN = Login(user="ADMIN", role="R", credentials={"password": "p"})
SOON = t.cast(int, 0.05)


class ConnectorError(Exception):
    """As the connector's: number and text, and attributes that hold the statement."""

    def __init__(self, errno: t.Any, text: str = CANARY) -> None:
        super().__init__(text)
        self.errno = errno
        self.query = CANARY


class Connection:
    """A session; ``close`` and ``statement`` are what these calls do."""

    def __init__(self) -> None:
        self.statement: t.Callable[[str], t.Any] = lambda sql: [("v",)]
        self.close: t.Callable[[], None] = self._close
        self.closed = False
        self.executed: list[tuple[t.Any, ...]] = []
        self.description: t.Any = [("NAME", "more")]

    def _close(self) -> None:
        self.closed = True

    def _close_at_exit(self) -> None:
        raise AssertionError("closed once more at exit, without a bound")

    def cursor(self) -> t.Any:
        connection = self

        class Cursor:
            description = connection.description

            def execute(self, *arguments: t.Any) -> None:
                connection.executed.append(arguments)
                self.rows = connection.statement(arguments[0])

            def fetchall(self) -> t.Any:
                return self.rows

            def close(self) -> None:
                raise ConnectorError(1)

        return Cursor()


class Connector(types.SimpleNamespace):
    """``snowflake.connector``; answers come from ``ways``, the last one again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = Connection()
        self.way: t.Callable[[], t.Any] = lambda: self.connection
        self.arguments: list[dict[str, t.Any]] = []
        self.release = threading.Event()
        self.waited_for = False

    def connect(self, **arguments: t.Any) -> t.Any:
        self.arguments.append(arguments)
        return self.way()

    def hang(self, *_arguments: t.Any) -> t.Any:
        """Answers late; nobody may wait for it."""
        self.waited_for = not self.release.wait(3)
        return [("late",)]


def _failing(error: BaseException) -> t.Callable[..., t.Any]:
    def fail(*_arguments: t.Any) -> t.Any:
        raise error

    return fail


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Connector]:
    fake = Connector()
    monkeypatch.setenv("SNOWFLAKE_HOME", "/nonexistent")
    monkeypatch.setattr(deps, "require", lambda module, **_conditions: fake)
    monkeypatch.setattr(deps, "installed_version", lambda package: "5.2.0")
    yield fake
    fake.release.set()
    assert not fake.waited_for


def _client(timeout: int = 30) -> client.Client:
    return client.Client(Endpoint(account="acc", host=None, port=None, protocol=None, timeout=timeout))


def _execute(connector: Connector, timeout: int = 30) -> list[dict[str, t.Any]]:
    one = _client(timeout)
    with one.session(ADMIN):
        return one.execute("SELECT 1", "Subject")


# -- the bound on everything


def test_a_login_that_hangs_is_no_answer(connector: Connector) -> None:
    connector.way = connector.hang
    with pytest.raises(Unreachable) as raised, _client(SOON).session(ADMIN):
        pytest.fail("there is no session")
    assert raised.value.retry_safe
    assert _client(SOON).try_login("U", {"password": "x"}).verdict == "silent"


def test_a_statement_that_hangs_is_an_open_question(connector: Connector) -> None:
    connector.connection.statement = connector.hang
    with pytest.raises(client.NoAnswer) as raised:
        _execute(connector, SOON)
    assert raised.value.unanswered == 1


def test_a_close_that_hangs_or_fails_takes_nothing_away(connector: Connector) -> None:
    for close in (connector.hang, _failing(ConnectorError(1))):
        connector.connection.close = close
        assert _execute(connector, SOON) == [{"name": "v"}]
        assert _client(SOON).try_login("U", {"password": "x"}).verdict == "accepted"


def test_nothing_is_left_to_be_closed_at_exit(connector: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[t.Any] = []
    monkeypatch.setattr(atexit, "unregister", gone.append)
    _execute(connector)
    _client().try_login("U", {"password": "x"})
    assert gone == [connector.connection._close_at_exit] * 2
    assert connector.connection.closed


def test_the_session_is_closed_when_the_work_in_it_fails(connector: Connector) -> None:
    with pytest.raises(ZeroDivisionError), _client().session(ADMIN):
        raise ZeroDivisionError
    assert connector.connection.closed


# -- texts


@pytest.mark.parametrize("errno", [2003, 3001, 3002, 604, 250001, 390112, None, "2003", -1])
def test_no_errors_text_statement_or_cause_leaves(connector: Connector, errno: t.Any) -> None:
    connector.connection.statement = _failing(ConnectorError(errno))
    with pytest.raises(RotationError) as raised:
        _execute(connector)
    error = raised.value
    assert "canary" not in f"{error} {error.evidence} {vars(error)}"
    assert error.__suppress_context__
    assert isinstance(error, NotFound) is (errno == 2003)


@pytest.mark.parametrize("errno", [604, 250001, 390112, None, "2003", -1])
def test_whatever_is_not_certain_is_an_open_question(connector: Connector, errno: t.Any) -> None:
    connector.connection.statement = _failing(ConnectorError(errno))
    with pytest.raises(client.NoAnswer) as raised:
        _execute(connector)
    assert raised.value.unanswered == 1


@pytest.mark.parametrize(("errno", "error"), [(390100, AuthFailed), (390999, AuthFailed), (250001, Unreachable)])
def test_a_refused_administrator_is_told_from_silence(
    connector: Connector, errno: int, error: type[RotationError]
) -> None:
    connector.way = _failing(ConnectorError(errno))
    with pytest.raises(error) as raised, _client().session(ADMIN):
        pytest.fail("there is no session")
    assert "canary" not in raised.value.msg and "ADMIN" in raised.value.msg and str(errno) in raised.value.msg


@pytest.mark.parametrize("error", [ValueError(CANARY), OSError(5, CANARY), MemoryError()])
def test_whatever_a_login_raises_is_an_answer(connector: Connector, error: Exception) -> None:
    connector.way = _failing(error)
    assert _client().try_login("U", {"password": "x"}).verdict == "silent"


# -- what the connector is given


def test_statements_go_without_parameters_so_that_percent_signs_stay(connector: Connector) -> None:
    _execute(connector)
    assert connector.connection.executed == [("SELECT 1",)]


def test_a_statement_without_columns_has_rows_without_columns(connector: Connector) -> None:
    connector.connection.description = None
    connector.connection.statement = lambda sql: []
    assert _execute(connector) == []


def test_the_administrator_has_the_role_and_a_proof_has_none(connector: Connector) -> None:
    one = _client()
    with one.session(ADMIN):
        one.try_login("U", {"password": "x"})
    admin, user = connector.arguments
    assert (admin["user"], admin["role"], admin["password"]) == ("ADMIN", "R", "p")
    assert (user["user"], user["password"], "role" in user) == ("U", "x", False)
    assert {call["account"] for call in connector.arguments} == {"acc"}
    assert all(call["session_parameters"] == {"TIMEZONE": "UTC"} for call in connector.arguments)


def test_the_tag_is_the_administrators_sessions(connector: Connector) -> None:
    one = _client()
    with one.session(dataclasses.replace(ADMIN, query_tag="a tag")):
        one.try_login("U", {"password": "x"})
    admin, user = (call["session_parameters"] for call in connector.arguments)
    assert (admin, user) == ({"TIMEZONE": "UTC", "QUERY_TAG": "a tag"}, {"TIMEZONE": "UTC"})


@pytest.mark.parametrize(("version", "bounds"), [("3.12.4", True), ("4.8.1", True), ("5.2.0", False), ("10.0", False)])
def test_older_connectors_need_bounds_that_newer_ones_deprecate(
    connector: Connector, monkeypatch: pytest.MonkeyPatch, version: str, bounds: bool
) -> None:
    monkeypatch.setattr(deps, "installed_version", lambda package: version)
    _client(7).try_login("U", {"password": "x"})
    (given,) = connector.arguments
    assert given["login_timeout"] == 7
    assert ("network_timeout" in given, "socket_timeout" in given) == (bounds, bounds)


# -- the user's own configuration


def test_the_users_own_configuration_and_logs_are_kept_out(
    connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNOWFLAKE_CONNECTIONS_DEFAULT_PASSWORD", "x")
    monkeypatch.setenv("SNOWFLAKE_LOG_LEVEL", "DEBUG")
    logger = logging.getLogger("snowflake")
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    monkeypatch.setattr(logger, "propagate", True)
    cleaned: list[tuple[t.Any, ...]] = []
    monkeypatch.setattr(atexit, "register", lambda *arguments, **_keywords: cleaned.append(arguments))
    _client()
    home = pathlib.Path(os.environ["SNOWFLAKE_HOME"])
    assert home.stat().st_mode & 0o777 == 0o700 and list(home.iterdir()) == []
    assert not [name for name in os.environ if name.startswith(("SNOWFLAKE_CONNECTIONS", "SNOWFLAKE_LOG"))]
    assert (logger.level, logger.propagate) == (logging.WARNING, False)
    ((remove, path),) = cleaned
    remove(path)
    assert not home.exists()
