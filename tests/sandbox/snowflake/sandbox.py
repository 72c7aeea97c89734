# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account with its server: what the demo and the tests start."""

from __future__ import annotations

import datetime as dt
import typing as t

from tests.sandbox.server import LoopbackServer, Response
from tests.sandbox.snowflake import keys, service, tokens
from tests.sandbox.snowflake.account import Account
from tests.sandbox.snowflake.errors import LoginError
from tests.sandbox.snowflake.login import Attempt, judge
from tests.sandbox.snowflake.names import fold
from tests.sandbox.snowflake.users import AccessToken, User, UserType


class SnowflakeSandbox:
    """One Snowflake account on 127.0.0.1, plain HTTP, for as long as the ``with`` block lasts.

    journal, faults, errors: of the shared server; account: state and switches; logins: (login name, method, ``ok`` or
    the number), in order; tags: (statement, QUERY_TAG of its session), in order. Users and roles are named as in SQL:
    ``etl_svc`` is ``ETL_SVC``, ``"Mixed Case"`` is exact.
    """

    def __init__(
        self,
        account: str = "xy12345",
        *,
        clock: t.Callable[[], dt.datetime] | None = None,
        port: int = 0,
        poll: float = 0.02,
    ) -> None:
        self.account = Account(account) if clock is None else Account(account, clock=clock)
        self._service = service.SnowflakeService(self.account)
        self._server = LoopbackServer(self._service, port=port, poll=poll)
        self.host, self.port = self._server.host, self._server.port
        self.journal, self.faults, self.errors = self._server.journal, self._server.faults, self._server.errors
        self.logins, self.tags = self._service.logins, self._service.tags

    def settings(self) -> dict[str, t.Any]:
        """The options of this collection's Snowflake modules that lead here."""
        return {
            "account": self.account.name,
            "login_host": self.host,
            "login_port": self.port,
            "login_protocol": "http",
        }

    def add_role(self, name: str, *, inherits: t.Iterable[str] = (), granted_to: t.Iterable[str] = ()) -> None:
        """A new role. inherits: roles granted to it; granted_to: roles that get it."""
        with self.account.lock:
            self.account.roles.setdefault(fold(name), {"PUBLIC"}).update(map(fold, inherits))
            for role in granted_to:
                self.account.roles[fold(role)].add(fold(name))

    def add_user(
        self,
        name: str,
        *,
        password: str | None = None,
        login_name: str | None = None,
        type: UserType | None = None,  # noqa: A002 (the property's name)
        default_role: str | None = None,
        roles: t.Iterable[str] = (),
        owner: str = "SECURITYADMIN",
        public_key: str | None = None,
        public_key_2: str | None = None,
        **fields: t.Any,
    ) -> User:
        """A new user, past every policy. fields: any other field of User, such as disabled or mfa_required."""
        name, now = fold(name), self.account.clock()
        granted = {fold(role) for role in roles} | ({fold(default_role)} if default_role and not roles else set())
        for role in granted | {fold(owner)}:
            if role not in self.account.roles:
                raise ValueError(f"no role {role}: call add_role first")
        user = User(
            name=name,
            login_name=(login_name or name).upper(),
            created_on=now,
            owner=fold(owner),
            type=type,
            password=password,
            password_last_set_time=now if password is not None else None,
            default_role=fold(default_role) if default_role else None,
            roles=granted,
            rsa_public_key=public_key,
            rsa_public_key_last_set_time=now if public_key else None,
            rsa_public_key_2=public_key_2,
            rsa_public_key_2_last_set_time=now if public_key_2 else None,
            **fields,
        )
        with self.account.lock:
            self.account.users[name] = user
        return user

    def user(self, name: str) -> User:
        return self.account.users[fold(name)]

    def grant(self, privilege: str, user: str, role: str) -> None:
        """Give a role a privilege on a user: MONITOR, or account.MODIFY_METHODS."""
        with self.account.lock:
            self.account.grant(privilege, fold(user), fold(role))

    def add_pat(
        self, name: str, *, token: str, token_name: str = "TOKEN", age: dt.timedelta = dt.timedelta(0), **fields: t.Any
    ) -> AccessToken:
        """A token that somebody made that long ago, past every rule. fields: any other field of AccessToken."""
        made = self.account.clock() - age
        fields = {"expires_at": made + dt.timedelta(days=self.account.token_default_days), **fields}
        with self.account.lock:
            added = AccessToken(fold(token_name), token, made, created_by="SOMEBODY", **fields)
            self.user(name).pats[added.name] = added
        return added

    def add_oauth_token(self, name: str, *, token: str) -> None:
        self.user(name).oauth_tokens.add(token)

    def add_workload_identity(self, name: str, *, token: str) -> None:
        """An OIDC token that logs this user in."""
        self.user(name).workload_tokens.add(token)

    def accepts(self, name: str, password: str) -> bool:
        """Whether a login with this password alone would succeed now. Leaves no trace."""
        attempt = Attempt(self.user(name).login_name, "password", password, None, None)
        with self.account.lock:
            try:
                judge(self.account, attempt)
            except LoginError:
                return False
        return True

    def accepts_token(self, name: str, token: str) -> bool:
        """Whether a login with this programmatic access token would succeed now."""
        with self.account.lock:
            user = self.user(name)
            return tokens.why_not(self.account, user, tokens.find(self.account, user, token)) is None

    def accepts_key(self, name: str, public_key_or_fingerprint: str) -> bool:
        """Whether that key is in a slot or in an active named pair."""
        wanted = public_key_or_fingerprint
        if not wanted.startswith("SHA256:"):
            wanted = keys.fingerprint(wanted)
        with self.account.lock:
            active = self.user(name).active_keys(self.account.clock())
            return any(keys.fingerprint(text) == wanted for text, _rest in active)

    def expire_sessions(self) -> None:
        """Every session token is too old from now on; the clients renew them."""
        with self.account.lock:
            for session in self._service.sessions.values():
                session.expired = True

    def open_sessions(self) -> int:
        """How many sessions were not closed."""
        return len(self._service.sessions)

    @staticmethod
    def statement_failure(code: int, message: str, sql_state: str = "42000") -> Response:
        """For Fault(response=…): a statement that the account refuses."""
        return service.statement_failure(code, message, sql_state)

    @staticmethod
    def login_failure(code: int, message: str) -> Response:
        """For Fault(response=…): a login that the account refuses."""
        return service.login_failure(code, message)

    def close(self) -> None:
        self._server.close()

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
