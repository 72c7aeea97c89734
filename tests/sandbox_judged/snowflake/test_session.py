# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Snowflake sandbox, judged by the unmodified connector: the session, faults, and the end."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
import typing as t

import pytest

from tests.sandbox.server import Fault, Response
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox_judged.snowflake.conftest import (
    ADMIN_PASSWORD,
    ALTER,
    NEW,
    OLD,
    connect,
    connector,
    describe,
    log_in,
    refused,
    rows,
    rsa_key,
)

pytestmark = [pytest.mark.connector, pytest.mark.filterwarnings("ignore")]


# -- the session


def test_functions_and_session_statements(sf: SnowflakeSandbox, admin: t.Any) -> None:
    found = rows(admin, "SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_ACCOUNT(), 1, 'x', NULL, TRUE")
    assert found == [("ROTATOR", "ROTATOR_ROLE", "XY12345", 1, "x", None, True)]
    assert rows(admin, "SELECT CURRENT_VERSION();")[0][0][0].isdigit()
    for sql in ("BEGIN", "COMMIT", "ROLLBACK", "USE ROLE PUBLIC", "ALTER SESSION SET QUERY_TAG = 'x'"):
        rows(admin, sql)
    assert rows(admin, "SELECT CURRENT_ROLE()") == [("PUBLIC",)]


def test_binds_are_a_switch(sf: SnowflakeSandbox) -> None:
    with contextlib.closing(connect(sf, "ROTATOR", password=ADMIN_PASSWORD, paramstyle="qmark")) as connection:
        assert rows(connection, "SELECT ? AS a, ? AS b", ("it's", "\\")) == [("it's", "\\")]
        alter = "ALTER USER etl_svc SET PASSWORD = ?"
        with refused(1003):
            rows(connection, alter, (NEW,))
        sf.account.alter_user_binds = True
        rows(connection, alter, (NEW,))
    assert sf.accepts("ETL_SVC", NEW)
    assert sf.journal.labels("ALTER") == ["ALTER USER ETL_SVC SET PASSWORD"] * 2


def test_labels_name_the_operation_and_hold_no_secret(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.journal.clear()
    key = rsa_key()
    for sql in (
        "DESC USER etl_svc",
        "SHOW USERS LIKE 'ETL_SVC'",
        f"ALTER USER etl_svc SET PASSWORD = '{NEW}'",
        "ALTER USER etl_svc SET PASSWORD = 'New-secret-3' MUST_CHANGE_PASSWORD = TRUE",
        f"ALTER USER etl_svc SET RSA_PUBLIC_KEY_2 = '{key.bare}'",
        "ALTER USER etl_svc UNSET RSA_PUBLIC_KEY",
        f"ALTER USER etl_svc ADD KEY PAIR n PUBLIC_KEY = '{rsa_key(1).bare}'",
        "ALTER USER etl_svc MODIFY KEY PAIR n SET DISABLED = TRUE",
        "ALTER USER etl_svc REMOVE KEY PAIR n",
        "SHOW USER KEY PAIRS FOR USER etl_svc",
        "SELECT 'secret'",
        "USE ROLE public",
    ):
        rows(admin, sql)
    with contextlib.suppress(connector.errors.Error):
        rows(admin, "ALTER USER etl_svc SET PASSWORD = 'x' New_Secret_4 = 'y'")
    assert sf.journal.labels() == [
        "DESCRIBE USER ETL_SVC",
        "SHOW USERS",
        "ALTER USER ETL_SVC SET PASSWORD",
        "ALTER USER ETL_SVC SET MUST_CHANGE_PASSWORD PASSWORD",
        "ALTER USER ETL_SVC SET RSA_PUBLIC_KEY_2",
        "ALTER USER ETL_SVC UNSET RSA_PUBLIC_KEY",
        "ALTER USER ETL_SVC ADD KEY PAIR N",
        "ALTER USER ETL_SVC MODIFY KEY PAIR N",
        "ALTER USER ETL_SVC REMOVE KEY PAIR N",
        "SHOW USER KEY PAIRS ETL_SVC",
        "SELECT",
        "USE ROLE PUBLIC",
        "ALTER USER ETL_SVC SET ? PASSWORD",
    ]


def test_settings(sf: SnowflakeSandbox) -> None:
    assert sf.settings() == {
        "account": "xy12345",
        "login_host": "127.0.0.1",
        "login_port": sf.port,
        "login_protocol": "http",
    }


# -- faults

CHANGE = f"ALTER USER etl_svc SET PASSWORD = '{NEW}'"


def test_an_answer_lost_after_the_change_is_repeated(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.faults.add(Fault(ALTER, drop="after"))
    rows(admin, CHANGE)
    assert sf.journal.labels(ALTER) == [ALTER] * 2
    assert sf.user("ETL_SVC").password_history == [OLD] and sf.accepts("ETL_SVC", NEW)


def test_without_dedup_the_repeated_change_is_prior_use(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.account.request_id_dedup = False
    sf.faults.add(Fault(ALTER, drop="after"))
    with refused(3002, "PRIOR_USE"):
        rows(admin, CHANGE)
    assert sf.journal.labels(ALTER) == [ALTER] * 2 and sf.accepts("ETL_SVC", NEW)


def test_a_request_lost_before_the_change(sf: SnowflakeSandbox, admin: t.Any) -> None:
    seen: list[bool] = []
    sf.faults.add(Fault(ALTER, drop="before", before=lambda: seen.append(sf.accepts("ETL_SVC", NEW))))
    sf.faults.add(Fault(ALTER, before=lambda: seen.append(sf.accepts("ETL_SVC", NEW))))
    rows(admin, CHANGE)
    assert seen == [False, False] and sf.accepts("ETL_SVC", NEW)


@pytest.mark.parametrize(("when", "changed"), [("before", False), ("after", True)])
def test_silence(sf: SnowflakeSandbox, when: t.Literal["before", "after"], changed: bool) -> None:
    limits = {"network_timeout": 1, "socket_timeout": 1}
    with contextlib.closing(connect(sf, "ROTATOR", password=ADMIN_PASSWORD, **limits)) as connection:
        sf.faults.add(Fault(ALTER, times=100, hang=when))
        with pytest.raises(connector.errors.Error):
            rows(connection, CHANGE)
        sf.faults.clear()
    assert sf.accepts("ETL_SVC", NEW) is changed


def test_delay(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.faults.add(Fault(ALTER, delay=0.3))
    started = time.monotonic()
    rows(admin, CHANGE)
    assert time.monotonic() - started >= 0.3
    assert sf.journal.labels(ALTER) == [ALTER]


def test_an_error_that_the_test_chose(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.faults.add(Fault(ALTER, response=sf.statement_failure(603, "Processing aborted by error 300002", "XX000")))
    with refused(603, "Processing aborted"):
        rows(admin, CHANGE)
    assert not sf.accepts("ETL_SVC", NEW)
    sf.faults.add(Fault("login ETL_SVC", response=sf.login_failure(390422, "Incoming request with IP is not allowed")))
    with pytest.raises(connector.errors.Error, match="is not allowed"):
        connect(sf, "ETL_SVC", password=OLD)
    assert sf.logins == [("ROTATOR", "password", "ok")]


def test_a_busy_server_is_asked_again(sf: SnowflakeSandbox, admin: t.Any) -> None:
    sf.faults.add(Fault(ALTER, response=Response(503)))
    rows(admin, CHANGE)
    assert sf.journal.labels(ALTER) == [ALTER] * 2 and sf.accepts("ETL_SVC", NEW)


def test_a_login_whose_answer_is_lost(sf: SnowflakeSandbox) -> None:
    sf.faults.add(Fault("login ETL_SVC", drop="after"))
    assert log_in(sf, "ETL_SVC", password=OLD) == "ok"
    assert sf.journal.labels("login") == ["login ETL_SVC password"] * 2


# -- the end


def test_close_leaves_nothing() -> None:
    before = set(threading.enumerate())
    with SnowflakeSandbox() as sandbox:
        sandbox.faults.add(Fault("heartbeat", hang="before"))
        clients = [socket.create_connection((sandbox.host, sandbox.port), timeout=10) for _each in range(3)]
        clients[0].sendall(b"POST /session/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert sandbox.journal.wait_for("heartbeat", 10)
        clients[1].sendall(b"GET /monitoring/queries HTTP/1.1\r\nHost: x\r\n\r\n")
        assert clients[1].recv(12) == b"HTTP/1.1 200"
    for client in clients:
        # A connection that nobody had accepted yet is reset; one that was served ends.
        with contextlib.closing(client), contextlib.suppress(ConnectionResetError):
            while client.recv(4096):
                pass
    assert set(threading.enumerate()) == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((sandbox.host, sandbox.port), timeout=10)
    assert sandbox.errors == []


def test_a_route_that_does_not_exist(sf: SnowflakeSandbox) -> None:
    for path, body, status, label in [
        ("/nothing", b"{}", 404, "unknown"),
        ("/queries/v1/query-request", b"{", 400, "unparsable"),
    ]:
        with contextlib.closing(http.client.HTTPConnection(sf.host, sf.port, timeout=10)) as client:
            client.request("POST", path, body)
            assert client.getresponse().status == status
        assert sf.journal.labels()[-1] == label


def test_an_unknown_session_is_turned_away(sf: SnowflakeSandbox) -> None:
    with contextlib.closing(http.client.HTTPConnection(sf.host, sf.port, timeout=10)) as client:
        body = json.dumps({"sqlText": CHANGE})
        client.request("POST", "/queries/v1/query-request?requestId=1", body, {"Authorization": 'Snowflake Token="x"'})
        assert json.loads(client.getresponse().read())["code"] == "390104"
    assert sf.accepts("ETL_SVC", OLD)


def test_statements_have_the_tag_of_their_session(sf: SnowflakeSandbox, admin: t.Any) -> None:
    options = {"password": ADMIN_PASSWORD, "session_parameters": {"QUERY_TAG": "keyturn: a 'tag'"}}
    with contextlib.closing(connect(sf, "ROTATOR", **options)) as connection:
        describe(connection)
    describe(admin)
    assert sf.tags == [("DESCRIBE USER ETL_SVC", "keyturn: a 'tag'"), ("DESCRIBE USER ETL_SVC", "")]
