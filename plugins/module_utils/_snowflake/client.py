# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The only code that talks to Snowflake, through snowflake-connector-python."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import shutil
import tempfile
import threading
import typing as t
import warnings

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deadline, deps
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import AuthFailed, Unreachable
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.answers import (
    ACCEPTED,
    LoginAnswer,
    login_answer,
    statement_refusal,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.connection import Endpoint, Login

_PACKAGE = "snowflake-connector-python"
_MINIMUM = "3.12"
# 3.12 refuses a token: "Password is empty", and asks nobody.
TAKES_TOKENS = "3.13"
_APPLICATION = "keyturn_credentials"
_CLOSE_SHARE = 0.25
# Logins are slow and each is another user's; more at the same time would look like an attack.
PROOFS_AT_ONCE = 4
_Result = t.TypeVar("_Result")
# Connections with a call under way, kept until the process ends.
_ABANDONED: list[t.Any] = []


class NoAnswer(Unreachable):
    """A statement whose answer never came: it may or may not have taken effect.

    under_way: we stopped waiting, and the connector may still send it again.
    """

    under_way = False


def _isolate() -> None:
    """Keep the user's Snowflake configuration, log settings and credential cache out of this process.

    The connector reads them at import, from SNOWFLAKE_HOME if that exists.
    """
    home = tempfile.mkdtemp(prefix="keyturn-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["SNOWFLAKE_HOME"] = home
    # Otherwise 4.8 and 5.x look for cloud metadata services at every login, which can stall it for seconds.
    os.environ["SNOWFLAKE_DISABLE_PLATFORM_DETECTION"] = "true"
    for variable in [name for name in os.environ if re.match(r"SNOWFLAKE_(CONNECTIONS|LOG)", name)]:
        del os.environ[variable]
    # They would end up in the module's output.
    warnings.filterwarnings("ignore", module=r"snowflake\.")
    # At DEBUG, connectors up to 4.5 log whole ALTER statements.
    logger = logging.getLogger("snowflake")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())


class Client:
    """An administrator's session, and logins of other users to the same account.

    Every call is bounded by ``endpoint.timeout`` seconds, whatever the connector does inside.
    """

    def __init__(self, endpoint: Endpoint, minimum: str = _MINIMUM) -> None:
        self._endpoint = endpoint
        self._admin: t.Any = None
        # Proofs run in threads; this session does one thing at a time.
        self._one_statement = threading.Lock()
        _isolate()
        self._connector: t.Any = deps.require("snowflake.connector", package=_PACKAGE, minimum=minimum)

    @contextlib.contextmanager
    def session(self, login: Login) -> t.Iterator[None]:
        """The administrator's one login. Raises AuthFailed, or Unreachable when no answer came."""
        role = {"role": login.role} if login.role else {}
        tag = {"QUERY_TAG": login.query_tag} if login.query_tag else {}
        answer, self._admin = self._connect({"user": login.user or "", **role, **login.credentials}, tag)
        who = f"Login of {login.user or 'the workload identity'} to account {self._endpoint.account}"
        if answer.verdict == "silent":
            place = f" from {self._endpoint.host}" if self._endpoint.host else ""
            raise Unreachable(
                f"{who}: no answer{place} within {self._endpoint.timeout} s{_code(answer)}. Check account, login_host "
                "and the network."
            )
        if self._admin is None:
            raise AuthFailed(f"{who} was refused: {answer.reason}{_code(answer)}.")
        try:
            yield
        finally:
            if self._admin not in _ABANDONED:
                self._close(self._admin)

    def execute(self, sql: str, subject: str) -> list[dict[str, t.Any]]:
        """Rows as dictionaries with lower-case names.

        Raises NotFound, NotPermitted or Refused where the server said no, NoAnswer where nothing certain was said.
        """
        try:
            with self._one_statement:
                return self._bounded(lambda: self._run(sql))
        except deadline.TimedOut:
            # To close or free a connection under a call that is still on its way crashes connector 5.x.
            _ABANDONED.append(self._admin)
            lost = NoAnswer(f"{subject}: no answer within {self._endpoint.timeout} s.", unanswered=1)
            lost.under_way = True
            raise lost from None
        except Exception as error:  # the connector's errors hold SQL, so only number and class leave this place
            errno = _number(error)
            refusal = statement_refusal(errno, str(error), subject)
            lost = NoAnswer(f"{subject}: no certain answer ({type(error).__name__}, code {errno}).", unanswered=1)
            raise refusal or lost from None

    def try_login(self, user: str, credentials: dict[str, t.Any]) -> LoginAnswer:
        """One login of a user with its own secret, without a role; the session is closed at once."""
        answer, connection = self._connect({"user": user, **credentials})
        if connection is not None:
            self._close(connection)
        return answer

    def _run(self, sql: str) -> list[dict[str, t.Any]]:
        cursor = self._admin.cursor()
        try:
            # No parameters: with them the connector would interpret '%', and log them.
            cursor.execute(sql)
            names = [str(column[0]).lower() for column in cursor.description or []]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        finally:
            with contextlib.suppress(Exception):
                cursor.close()

    def _connect(
        self, arguments: dict[str, t.Any], parameters: t.Mapping[str, str] | None = None
    ) -> tuple[LoginAnswer, t.Any]:
        """parameters: of the session, besides its time zone."""
        session = {"session_parameters": {"TIMEZONE": "UTC", **(parameters or {})}}
        everything = {**self._endpoint.arguments(), **self._limits(), **session, **arguments}
        try:
            return ACCEPTED, self._bounded(lambda: self._connector.connect(**everything))
        except deadline.TimedOut:
            return LoginAnswer("silent", "no_answer"), None
        except Exception as error:  # classified by number and text; neither the text nor the error leaves
            return login_answer(_number(error), str(error)), None

    def _limits(self) -> dict[str, t.Any]:
        timeout = self._endpoint.timeout
        limits: dict[str, t.Any] = {"login_timeout": timeout, "application": _APPLICATION}
        if int(deps.installed_version(_PACKAGE).split(".")[0]) < 5:
            # 5.x deprecates these two; older ones wait 60 s in a socket without them.
            limits.update(network_timeout=timeout, socket_timeout=timeout)
        return limits

    def _bounded(self, call: t.Callable[[], _Result]) -> _Result:
        return deadline.within(self._endpoint.timeout, call)

    def _close(self, connection: t.Any) -> None:
        """Without waiting long for a service that may be gone."""
        with contextlib.suppress(Exception):
            deadline.within(_CLOSE_SHARE * self._endpoint.timeout, connection.close)
        # 3.x and 4.x close once more at exit, without a bound.
        hook = getattr(connection, "_close_at_exit", None)
        if hook is not None:
            atexit.unregister(hook)


def _number(error: Exception) -> int | None:
    errno = getattr(error, "errno", None)
    return errno if isinstance(errno, int) and errno >= 0 else None


def _code(answer: LoginAnswer) -> str:
    return f" (code {answer.code})" if answer.code is not None else ""
