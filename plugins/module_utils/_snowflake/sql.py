# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""All SQL of this collection: names and literals are quoted here and nowhere else.

Rules: docs.snowflake.com, "Identifier requirements" and "String & binary data types" (both ' and \\ are special in a
single-quoted literal).
"""

from __future__ import annotations

import re

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*\Z")
_LONGEST_IDENTIFIER = 255


def exact_name(name: str, kind: str = "user") -> str:
    """The name as Snowflake stores it. kind: what it names.

    A bare identifier is folded to upper case, C("Quoted") loses its quotes and keeps its case, and anything else (an
    email address) is taken exactly. Raises InvalidInput for what can be no identifier.
    """
    if _BARE.match(name):
        stored = name.upper()
    elif len(name) >= 2 and name[0] == name[-1] == '"':
        stored = name[1:-1].replace('""', '"')
        if name[1:-1].replace('""', "").count('"'):
            raise InvalidInput(f"The {kind} name is in double quotes, and a double quote inside it is not doubled.")
    else:
        stored = name
    if name != name.strip():
        raise InvalidInput(f"The {kind} name is {name!r}, with a blank at an end.")
    unsendable = any(character == "\0" or "\ud800" <= character <= "\udfff" for character in stored)
    if not stored.strip() or unsendable or len(stored) > _LONGEST_IDENTIFIER:
        raise InvalidInput(
            f"The {kind} name must have 1 to {_LONGEST_IDENTIFIER} characters, and no NUL or half a character."
        )
    return stored


def same_name(one: str | None, other: str) -> bool:
    """Whether both name the same user."""
    return one is not None and exact_name(one) == exact_name(other)


def bare_name(name: str) -> str:
    """A token's name as Snowflake stores it: one that is no bare identifier is taken exactly."""
    return name.upper() if _BARE.match(name) else name


def identifier(stored: str) -> str:
    """A stored name as a quoted identifier."""
    return '"' + stored.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string literal; the backslash comes first, or it would escape the quote's escape."""
    if "\0" in text:
        raise InvalidInput("A value for Snowflake cannot contain a NUL character.")
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _value(value: str | bool | int) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value) if isinstance(value, int) else literal(value)


def describe_user(stored: str) -> str:
    return f"DESCRIBE USER {identifier(stored)}"


def service_time() -> str:
    """One row with the time of the service, in the session's zone; needs no warehouse."""
    return "SELECT CURRENT_TIMESTAMP()"


def unset_user_property(stored: str, name: str) -> str:
    return f"ALTER USER {identifier(stored)} UNSET {name}"


def show_key_pairs(stored: str) -> str:
    return f"SHOW USER KEY PAIRS FOR USER {identifier(stored)}"


def add_key_pair(stored: str, pair: str, public_key: str) -> str:
    return f"ALTER USER {identifier(stored)} ADD KEY PAIR {identifier(pair)} PUBLIC_KEY = {literal(public_key)}"


def rotate_key_pair(stored: str, pair: str, public_key: str, hours: int) -> str:
    return (
        f"ALTER USER {identifier(stored)} ROTATE KEY PAIR {identifier(pair)} PUBLIC_KEY = {literal(public_key)} "
        f"EXPIRE_ROTATED_KEY_PAIR_AFTER_HOURS = {hours}"
    )


def remove_key_pair(stored: str, pair: str) -> str:
    return f"ALTER USER {identifier(stored)} REMOVE KEY PAIR {identifier(pair)}"


def show_tokens(stored: str) -> str:
    return f"SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER {identifier(stored)}"


def add_token(stored: str, token: str, role: str | None, days: int | None, comment: str | None) -> str:
    """Never with IF NOT EXISTS, which is answered without a secret where the name is taken."""
    options = {
        "ROLE_RESTRICTION": None if role is None else _role(role),
        "DAYS_TO_EXPIRY": None if days is None else str(days),
        "COMMENT": None if comment is None else literal(comment),
    }
    given = "".join(f" {name} = {value}" for name, value in options.items() if value is not None)
    return f"ALTER USER {identifier(stored)} ADD PROGRAMMATIC ACCESS TOKEN {identifier(token)}{given}"


def remove_token(stored: str, token: str) -> str:
    return f"ALTER USER {identifier(stored)} REMOVE PROGRAMMATIC ACCESS TOKEN {identifier(token)}"


def _role(stored: str) -> str:
    """The documents want a literal, in which a bare name is folded; any other is exact as a quoted identifier."""
    return literal(stored) if _BARE.match(stored) and stored == stored.upper() else identifier(stored)


def set_user_properties(stored: str, properties: dict[str, str | bool | int]) -> str:
    """One atomic ALTER USER … SET; the property names are our own constants."""
    assignments = " ".join(f"{name} = {_value(value)}" for name, value in properties.items())
    return f"ALTER USER {identifier(stored)} SET {assignments}"
