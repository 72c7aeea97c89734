# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes and envelopes: the part of Snowflake's HTTP protocol that the connectors use."""

from __future__ import annotations

import collections
import gzip
import itertools
import json
import re
import secrets
import threading
import typing as t
import uuid

from tests.sandbox.server import Request, Response
from tests.sandbox.snowflake.account import Account
from tests.sandbox.snowflake.errors import LoginError, SqlError
from tests.sandbox.snowflake.login import Attempt, log_in
from tests.sandbox.snowflake.session import Session, Table, status
from tests.sandbox.snowflake.sql import Statement, parse
from tests.sandbox.snowflake.statements import SERVER_VERSION, Executor
from tests.sandbox.snowflake.users import AccessToken

_TOKEN = re.compile(r'Snowflake Token="([^"]*)"')
_REMEMBERED_REQUESTS = 1000
_QUIET_ROUTES = {
    "/session/heartbeat": "heartbeat",
    "/queries/v1/abort-request": "abort",
    "/telemetry/send": "telemetry",
    "/telemetry/send/sessionless": "telemetry",
}


class Call(t.NamedTuple):
    """A request, understood: its label, its JSON, and for a query the statement or why there is none."""

    label: str
    body: dict[str, t.Any]
    statement: Statement | SqlError | None = None
    malformed: bool = False


class SnowflakeService:
    """Answers one account's requests."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.sessions: dict[str, Session] = {}
        self.logins: list[tuple[str, str, str]] = []
        self.tags: list[tuple[str, str]] = []
        self._numbers = itertools.count(1000)
        self._answers: collections.OrderedDict[str, Response] = collections.OrderedDict()
        self._current = threading.local()

    # -- what the shared server asks

    def label(self, request: Request) -> str:
        call = self._understand(request)
        # The same thread asks for the answer next: no need to parse twice.
        self._current.call = (request, call)
        return call.label

    def respond(self, request: Request) -> Response:
        known = getattr(self._current, "call", None)
        call: Call = known[1] if known is not None and known[0] is request else self._understand(request)
        if call.malformed:
            return Response(400, b"no JSON", {"Content-Type": "text/plain"})
        routes = {
            "/session/v1/login-request": self._login,
            "/session/token-request": self._renew,
            "/session": self._logout,
            "/queries/v1/query-request": self._query,
        }
        with self.account.lock:
            if request.path in routes:
                return routes[request.path](request, call)
            if request.path.startswith("/monitoring/queries"):
                return _success({"queries": []})
            if request.path in _QUIET_ROUTES:
                return _success(None)
        return Response(404, b"no such route", {"Content-Type": "text/plain"})

    # -- understanding

    def _understand(self, request: Request) -> Call:
        try:
            body = _json_body(request)
        except (ValueError, OSError, EOFError):
            return Call("unparsable", {}, malformed=True)
        if request.path == "/session/v1/login-request":
            attempt = _attempt(request, body)
            return Call(f"login {attempt.login_name or '-'} {attempt.method}", body)
        if request.path == "/queries/v1/query-request":
            return _understand_query(body)
        if request.path == "/session":
            return Call("logout", body)
        if request.path == "/session/token-request":
            return Call("renew", body)
        if request.path.startswith("/monitoring/queries"):
            return Call("monitoring", body)
        return Call(_QUIET_ROUTES.get(request.path, "unknown"), body)

    # -- sessions

    def _login(self, request: Request, call: Call) -> Response:
        attempt = _attempt(request, call.body)
        try:
            accepted = log_in(self.account, attempt)
        except LoginError as error:
            code = self.account.login_codes[error.reason]
            self.logins.append((attempt.login_name, attempt.method, str(code)))
            return _login_failure(error, code, attempt)
        self.logins.append((attempt.login_name, attempt.method, "ok"))
        restricted = accepted.credential is not None and accepted.credential.role_restriction is not None
        sent = call.body.get("data", {}).get("SESSION_PARAMETERS") or {}
        session = Session(
            token=secrets.token_urlsafe(48),
            master_token=secrets.token_urlsafe(48),
            number=next(self._numbers),
            user=accepted.user,
            role=accepted.role,
            parameters={name.upper(): str(value) for name, value in sent.items() if value is not None},
            secondary_roles=accepted.user.default_secondary_roles == "ALL" and not restricted,
            by_token=isinstance(accepted.credential, AccessToken),
        )
        self.sessions[session.token] = session
        return _success(self._session_data(session))

    def _session_data(self, session: Session) -> dict[str, t.Any]:
        return {
            "token": session.token,
            "masterToken": session.master_token,
            "sessionId": session.number,
            "validityInSeconds": 3600,
            "masterValidityInSeconds": 14400,
            "displayUserName": session.user.name,
            "serverVersion": SERVER_VERSION,
            "parameters": self._parameters(session),
            "sessionInfo": {"databaseName": None, "schemaName": None, "warehouseName": None, "roleName": session.role},
        }

    def _parameters(self, session: Session) -> list[dict[str, t.Any]]:
        return [
            {"name": "CLIENT_TELEMETRY_ENABLED", "value": False},
            {"name": "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT", "value": "JSON"},
            {"name": "TIMEZONE", "value": session.parameters.get("TIMEZONE", self.account.timezone)},
        ]

    def _session(self, request: Request) -> Session | Response:
        match = _TOKEN.search(request.headers.get("Authorization") or "")
        session = self.sessions.get(match[1]) if match else None
        if session is None or self.account.users.get(session.user.name) is not session.user:
            return _failure(390104, "Invalid or missing session token.")
        if session.expired:
            return _failure(390112, "Your session has expired. Please log in again.")
        return session

    def _renew(self, request: Request, call: Call) -> Response:
        match = _TOKEN.search(request.headers.get("Authorization") or "")
        old = next((s for s in self.sessions.values() if match and s.master_token == match[1]), None)
        if old is None:
            return _failure(390114, "Authentication token has expired.  The user must authenticate again.")
        del self.sessions[old.token]
        old.token, old.master_token, old.expired = secrets.token_urlsafe(48), secrets.token_urlsafe(48), False
        self.sessions[old.token] = old
        return _success(
            {
                "sessionToken": old.token,
                "validityInSecondsST": 3600,
                "masterToken": old.master_token,
                "validityInSecondsMT": 14400,
                "sessionId": old.number,
            }
        )

    def _logout(self, request: Request, call: Call) -> Response:
        session = self._session(request)
        if isinstance(session, Response):
            return session
        del self.sessions[session.token]
        return _success(None)

    # -- statements

    def _query(self, request: Request, call: Call) -> Response:
        session = self._session(request)
        if isinstance(session, Response):
            return session
        request_id = (request.query.get("requestId") or [""])[0]
        if self.account.request_id_dedup and request_id in self._answers:
            return self._answers[request_id]
        self.tags.append((call.label, session.parameters.get("QUERY_TAG", "")))
        response = self._run(session, call)
        if request_id:
            self._answers[request_id] = response
            if len(self._answers) > _REMEMBERED_REQUESTS:
                self._answers.popitem(last=False)
        return response

    def _run(self, session: Session, call: Call) -> Response:
        query_id = str(uuid.uuid4())
        try:
            if not isinstance(call.statement, Statement):
                raise call.statement or SqlError(1003, "SQL compilation error:\nsyntax error", "42000")
            if call.body.get("describeOnly"):
                table = status("")
                table.rows = []
            else:
                table = Executor(self.account, session).run(call.statement)
        except SqlError as error:
            return _sql_failure(error, query_id)
        return _success(self._result(session, table, query_id))

    def _result(self, session: Session, table: Table, query_id: str) -> dict[str, t.Any]:
        return {
            "parameters": self._parameters(session),
            "rowtype": table.description(),
            "rowset": table.text_rows(),
            "total": len(table.rows),
            "returned": len(table.rows),
            "queryId": query_id,
            "queryResultFormat": "json",
            "statementTypeId": 24832,
            "finalRoleName": session.role,
        }


def _json_body(request: Request) -> dict[str, t.Any]:
    data = request.body
    if (request.headers.get("Content-Encoding") or "").lower() == "gzip":
        data = gzip.decompress(data)
    body = json.loads(data) if data.strip() else {}
    return body if isinstance(body, dict) else {}


def _attempt(request: Request, body: dict[str, t.Any]) -> Attempt:
    data = body.get("data")
    return Attempt.read(data if isinstance(data, dict) else {}, (request.query.get("roleName") or [""])[0])


def _understand_query(body: dict[str, t.Any]) -> Call:
    bindings = body.get("bindings") or {}
    binds = [bindings[number].get("value") for number in sorted(bindings, key=int)]
    try:
        statement = parse(str(body.get("sqlText") or ""), binds)
    except SqlError as error:
        return Call("unparsable", body, error)
    return Call(statement.label, body, statement)


def _json(answer: dict[str, t.Any]) -> Response:
    return Response(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})


def _success(data: t.Any) -> Response:
    return _json({"success": True, "code": None, "message": None, "data": data})


def _failure(code: int, message: str, data: dict[str, t.Any] | None = None) -> Response:
    return _json({"success": False, "code": f"{code:06d}", "message": message, "data": data, "headers": None})


def _login_failure(error: LoginError, code: int, attempt: Attempt) -> Response:
    action = "PWD_CHANGE" if error.reason == "must_change" else "RETRY_LOGIN"
    data = {"nextAction": action, "authnMethod": attempt.method.upper(), "signInOptions": {}}
    return _failure(code, error.message, data)


def _sql_failure(error: SqlError, query_id: str = "") -> Response:
    code = f"{error.code:06d}"
    data = {
        "internalError": False,
        "errorCode": code,
        "sqlState": error.sql_state,
        "queryId": query_id or str(uuid.uuid4()),
        "line": -1,
        "pos": -1,
        "type": "COMPILATION",
    }
    return _failure(error.code, error.message, data)


def statement_failure(code: int, message: str, sql_state: str) -> Response:
    """The answer of a statement that failed, for a fault."""
    return _sql_failure(SqlError(code, message, sql_state))


def login_failure(code: int, message: str) -> Response:
    """The answer of a login that failed, for a fault."""
    return _failure(code, message, {"nextAction": "RETRY_LOGIN", "authnMethod": "", "signInOptions": {}})
