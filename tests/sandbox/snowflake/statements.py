# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements to effects: privileges first, then all or nothing."""

from __future__ import annotations

import dataclasses
import typing as t

from tests.sandbox.snowflake import alter, errors, keypairs, tokens
from tests.sandbox.snowflake.account import MODIFY_METHODS, OWNERSHIP, Account
from tests.sandbox.snowflake.properties import AUTHENTICATION_METHODS
from tests.sandbox.snowflake.session import Cell, Session, Table, status
from tests.sandbox.snowflake.show import Shower
from tests.sandbox.snowflake.sql import Statement, Value
from tests.sandbox.snowflake.users import User

SERVER_VERSION = "10.40.0"
_DONE = "Statement executed successfully."


@dataclasses.dataclass
class Executor:
    """Runs the statements of one session. The caller holds the account's lock."""

    account: Account
    session: Session

    def run(self, statement: Statement) -> Table:
        verb = statement.verb.lower().replace(" ", "_")
        run: t.Callable[[Statement], Table] = getattr(self, f"_run_{verb}")
        return run(statement)

    # -- whom, and whether they may

    def _user(self, name: str) -> tuple[User, set[str]]:
        """The user and the session's privileges on it; a user that the session cannot see does not exist."""
        user = self.account.users.get(name)
        privileges = self.account.privileges(user, self.session.roles(self.account)) if user is not None else set()
        if user is None or not (privileges or user is self.session.user):
            raise errors.SqlError(
                2003, f"SQL compilation error:\nUser '{name}' does not exist or not authorized.", "02000"
            )
        return user, privileges

    def _user_with(self, name: str, *wanted: str) -> User:
        user, privileges = self._user(name)
        if privileges.isdisjoint(wanted):
            raise errors.insufficient("user", name)
        return user

    def _absent(self, statement: Statement) -> bool:
        return "IF EXISTS" in statement.flags and statement.name not in ("", *self.account.users)

    # -- reading

    def _run_describe_user(self, statement: Statement) -> Table:
        user, privileges = self._user(statement.name)
        if privileges == {MODIFY_METHODS} and user is not self.session.user and not self.account.modify_can_describe:
            raise errors.insufficient("user", statement.name)
        return Shower(self.account, self.session).describe_user(user)

    def _run_show_users(self, statement: Statement) -> Table:
        like = statement.values.get("LIKE")
        return Shower(self.account, self.session).users(like.text if like else None)

    def _run_show_user_key_pairs(self, statement: Statement) -> Table:
        self._check_named_key_pairs()
        return Shower(self.account, self.session).key_pairs(self._owner_of_methods(statement.name))

    def _run_show_user_pats(self, statement: Statement) -> Table:
        return Shower(self.account, self.session).tokens(self._owner_of_methods(statement.name))

    def _owner_of_methods(self, name: str) -> User:
        """Whose keys or tokens these are; one's own need no privilege."""
        own = name in ("", self.session.user.name)
        return self.session.user if own else self._user_with(name, OWNERSHIP, MODIFY_METHODS)

    def _check_named_key_pairs(self) -> None:
        if not self.account.named_key_pairs_supported:
            raise errors.syntax_error(0, "KEY")

    # -- users

    def _check_binds(self, statement: Statement) -> None:
        if statement.bound and not self.account.alter_user_binds:
            raise errors.syntax_error(0, "?")

    def _run_create_user(self, statement: Statement) -> Table:
        self._check_binds(statement)
        alter.check_known(statement.values)
        name = statement.name
        if "USERADMIN" not in self.session.roles(self.account):
            raise errors.insufficient("account", self.account.name.upper())
        if name in self.account.users and "OR REPLACE" not in statement.flags:
            if "IF NOT EXISTS" in statement.flags:
                return status(f"{name} already exists, statement succeeded.")
            raise errors.already_exists("Object", name)
        user = User(name, name.upper(), self.account.clock(), owner=self.session.role)
        if self.account.by_login_name(user.login_name) not in (None, self.account.users.get(name)):
            raise errors.already_exists("Login name", user.login_name)
        alter.apply(self.account, user, statement.values)
        self.account.users[name] = user
        return status(f"User {name} successfully created.")

    def _run_drop_user(self, statement: Statement) -> Table:
        if self._absent(statement):
            return status("Drop statement executed successfully (already dropped).")
        self._user_with(statement.name, OWNERSHIP)
        del self.account.users[statement.name]
        return status(f"{statement.name} successfully dropped.")

    def _run_alter_user(self, statement: Statement) -> Table:
        self._check_binds(statement)
        if statement.action in ("SET", "UNSET"):
            alter.check_known(statement.values)
            enough = set(statement.values) <= AUTHENTICATION_METHODS
        else:
            if statement.action.endswith("KEY PAIR"):
                self._check_named_key_pairs()
            enough = True
        if self._absent(statement):
            return status("Statement executed successfully (user does not exist).")
        if statement.action.endswith("PAT"):
            with self.account.editing(self._owner_of_methods(statement.name)) as draft:
                return tokens.change(self.account, self.session, draft, statement)
        user = self._user_with(statement.name, OWNERSHIP, *([MODIFY_METHODS] if enough else []))
        with self.account.editing(user) as draft:
            if statement.action.endswith("KEY PAIR"):
                keypairs.change(draft, statement, self.account.clock(), self.session.role)
            else:
                alter.apply(self.account, draft, statement.values)
        return status(_DONE)

    # -- the session

    def _run_alter_session(self, statement: Statement) -> Table:
        for name, value in statement.values.items():
            if statement.action == "SET":
                self.session.parameters[name] = value.text
            else:
                self.session.parameters.pop(name, None)
        return status(_DONE)

    def _run_use_role(self, statement: Statement) -> Table:
        if statement.name not in self.account.roles:
            raise errors.SqlError(
                2043, "SQL compilation error:\nObject does not exist, or operation cannot be performed.", "02000"
            )
        if not self.account.may_use(self.session.user, statement.name):
            message = (
                f"SQL access control error:\nRequested role '{statement.name}' is not assigned to the executing user."
            )
            raise errors.SqlError(3013, message, "42501")
        self.session.role = statement.name
        return status(_DONE)

    def _run_use_secondary_roles(self, statement: Statement) -> Table:
        self.session.secondary_roles = statement.name == "ALL"
        return status(_DONE)

    def _run_begin(self, statement: Statement) -> Table:
        """DDL commits by itself, so that transactions have nothing to do here."""
        return status(_DONE)

    _run_commit = _run_rollback = _run_begin

    def _run_select(self, statement: Statement) -> Table:
        cells = [self._evaluate(value) for value in statement.values.values()]
        kinds = {name: kind for name, (_text, kind) in zip(statement.values, cells, strict=True)}
        return Table(list(statement.values), [[text for text, _rest in cells]], kinds)

    def _evaluate(self, value: Value) -> tuple[Cell, str]:
        if value.kind == "call" and value.text == "CURRENT_TIMESTAMP":
            return self.account.clock(), "timestamp_ltz"
        if value.kind == "call":
            functions = {
                "CURRENT_USER": self.session.user.name,
                "CURRENT_ROLE": self.session.role,
                "CURRENT_ACCOUNT": self.account.name.upper(),
                "CURRENT_VERSION": SERVER_VERSION,
            }
            if value.text not in functions:
                raise errors.SqlError(2140, f"SQL compilation error:\nUnknown function {value.text}", "42601")
            return functions[value.text], "text"
        if value.kind == "word":
            text = value.text.upper()
            return (None, "text") if text == "NULL" else (str(int(text == "TRUE")), "boolean")
        return value.text, "fixed" if value.kind == "number" and "." not in value.text else "text"
