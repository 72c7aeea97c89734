# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the account answers when it says no. Numbers marked (unverified) were never seen on a live account."""

from __future__ import annotations


class SqlError(Exception):
    """A statement that failed: the number, the text and the SQLSTATE that the client reports."""

    def __init__(self, code: int, message: str, sql_state: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.sql_state = sql_state


class LoginError(Exception):
    """A login that failed; ``reason`` is a key of ``Account.login_codes``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def syntax_error(position: int, found: str) -> SqlError:
    text = f"SQL compilation error:\nsyntax error line 1 at position {position} unexpected '{found}'."
    return SqlError(1003, text, "42000")


def no_such(kind: str, name: str) -> SqlError:
    return SqlError(2003, f"SQL compilation error:\n{kind} '{name}' does not exist or not authorized.", "02000")


def already_exists(kind: str, name: str) -> SqlError:
    return SqlError(2002, f"SQL compilation error:\n{kind} '{name}' already exists.", "42710")


def insufficient(kind: str, name: str) -> SqlError:
    text = f"SQL access control error:\nInsufficient privileges to operate on {kind} '{name}'"
    return SqlError(3001, text, "42501")


def invalid_property(name: str) -> SqlError:
    return SqlError(1420, f"SQL compilation error:\ninvalid property '{name}' for 'USER'", "22023")


def invalid_value(name: str) -> SqlError:
    """(unverified)"""
    return SqlError(1008, f"SQL compilation error:\ninvalid value for property '{name}'", "22023")


def password_refused(reason: str) -> SqlError:
    text = f"SQL execution error: New password rejected by current password policy. Reason: '{reason}'."
    return SqlError(3002, text, "28P01")


def key_refused(reason: str) -> SqlError:
    """The number is (unverified), the text is not."""
    text = f"SQL execution error: New public key rejected by current policy. Reason: '{reason}'"
    return SqlError(3002, text, "28P01")


def not_on_service_user(name: str, user_type: str) -> SqlError:
    return SqlError(511503, f"SQL execution error: Cannot set {name} on users with TYPE={user_type}.", "23001")


def token_refused(code: int, message: str) -> SqlError:
    """(unverified)"""
    return SqlError(code, f"SQL execution error: {message}", "22023")


def key_pair_refused(message: str) -> SqlError:
    """(unverified)"""
    return SqlError(394600, f"SQL execution error: {message}", "22023")
