# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Quoting: no text whatsoever leaves its literal or its identifier.

Two readers judge: the sandbox's lexer, and a smaller one below, written from Snowflake's documentation.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import sql
from tests.sandbox.snowflake.lexer import tokenize

_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
# What breaks quoting elsewhere, much denser than chance would have it.
_NASTY = st.text("'\"\\$;-/*%?:{}nrtbfux0419 \n\r\t\u2019é", max_size=40)
TEXTS = _ANY | _NASTY
NAMES = TEXTS.filter(lambda name: bool(name.strip()))

_SIMPLE_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}


def read_literal(text: str) -> tuple[str, str]:
    """A single-quoted string at the start of the text, decoded, and the rest ("String constants", escape sequences)."""
    assert text[0] == "'"
    value, at = "", 1
    while True:
        character = text[at]
        if character == "'" and text[at + 1 : at + 2] == "'":
            value, at = value + "'", at + 2
        elif character == "'":
            return value, text[at + 1 :]
        elif character != "\\":
            value, at = value + character, at + 1
        elif text[at + 1] == "u":
            value, at = value + chr(int(text[at + 2 : at + 6], 16)), at + 6
        elif text[at + 1] == "x":
            value, at = value + chr(int(text[at + 2 : at + 4], 16)), at + 4
        elif text[at + 1] in "1234567":
            value, at = value + chr(int(text[at + 1 : at + 4], 8)), at + 4
        else:
            value, at = value + _SIMPLE_ESCAPES.get(text[at + 1], text[at + 1]), at + 2


def read_identifier(text: str) -> tuple[str, str]:
    """A double-quoted identifier; only the doubled quote is special ("Double-quoted identifiers")."""
    assert text[0] == '"'
    value, at = "", 1
    while True:
        if text[at] != '"':
            value, at = value + text[at], at + 1
        elif text[at + 1 : at + 2] == '"':
            value, at = value + '"', at + 2
        else:
            return value, text[at + 1 :]


@example("\\")
@example("\\'")
@example("'; DROP USER x; --")
@example("\\'; DROP USER x; --")
@example("$$")
@example("\\u0027")
@given(TEXTS)
def test_a_literal_is_read_back_as_it_was(text: str) -> None:
    assert read_literal(sql.literal(text)) == (text, "")
    kinds = [(token.kind, token.text) for token in tokenize(sql.literal(text))]
    assert kinds == [("string", text), ("end", "<EOF>")]


@example('"')
@example('a" SET PASSWORD = "b')
@example("\\")
@given(NAMES)
def test_an_identifier_is_read_back_as_it_was(name: str) -> None:
    assert read_identifier(sql.identifier(name)) == (name, "")
    kinds = [(token.kind, token.text) for token in tokenize(sql.identifier(name))]
    assert kinds == [("quoted", name), ("end", "<EOF>")]


@given(name=NAMES, password=TEXTS, flag=st.booleans())
def test_a_whole_statement_is_what_was_meant_and_nothing_more(name: str, password: str, flag: bool) -> None:
    statement = sql.set_user_properties(name, {"PASSWORD": password, "MUST_CHANGE_PASSWORD": flag, "MINS_TO_UNLOCK": 0})
    assert [(token.kind, token.text) for token in tokenize(statement)] == [
        ("word", "ALTER"),
        ("word", "USER"),
        ("quoted", name),
        ("word", "SET"),
        ("word", "PASSWORD"),
        ("op", "="),
        ("string", password),
        ("word", "MUST_CHANGE_PASSWORD"),
        ("op", "="),
        ("word", "TRUE" if flag else "FALSE"),
        ("word", "MINS_TO_UNLOCK"),
        ("op", "="),
        ("number", "0"),
        ("end", "<EOF>"),
    ]
    described = [(token.kind, token.text) for token in tokenize(sql.describe_user(name))]
    assert described == [("word", "DESCRIBE"), ("word", "USER"), ("quoted", name), ("end", "<EOF>")]


@given(name=NAMES, token=NAMES, role=NAMES, comment=TEXTS, days=st.integers(1, 365))
def test_a_statement_on_a_token_is_what_was_meant(name: str, token: str, role: str, comment: str, days: int) -> None:
    subject = [("word", "ALTER"), ("word", "USER"), ("quoted", name)]
    thing = [("word", "PROGRAMMATIC"), ("word", "ACCESS"), ("word", "TOKEN"), ("quoted", token)]
    bare = role == role.upper() and role.isascii() and role.replace("$", "_").isidentifier() and role[0] != "$"
    options = [
        [("word", "ROLE_RESTRICTION"), ("op", "="), ("string" if bare else "quoted", role)],
        [("word", "DAYS_TO_EXPIRY"), ("op", "="), ("number", str(days))],
        [("word", "COMMENT"), ("op", "="), ("string", comment)],
    ]
    end = [("end", "<EOF>")]

    def read(statement: str) -> list[tuple[str, str]]:
        return [(token.kind, token.text) for token in tokenize(statement)]

    assert read(sql.add_token(name, token, role, days, comment)) == [
        *subject,
        ("word", "ADD"),
        *thing,
        *sum(options, end[:0]),
        *end,
    ]
    assert read(sql.add_token(name, token, None, None, None)) == [*subject, ("word", "ADD"), *thing, *end]
    assert read(sql.remove_token(name, token)) == [*subject, ("word", "REMOVE"), *thing, *end]
    assert read(sql.show_tokens(name))[-2:] == [("quoted", name), *end]


def test_a_token_is_named_as_in_sql() -> None:
    names = ("keyturn_1", "KEYTURN_1", "a b", "straße", "")
    assert [sql.bare_name(name) for name in names] == ["KEYTURN_1", "KEYTURN_1", "a b", "straße", ""]


def test_a_nul_never_reaches_a_statement() -> None:
    with pytest.raises(InvalidInput) as raised:
        sql.literal("before\0after")
    assert "before" not in raised.value.msg
    with pytest.raises(InvalidInput):
        sql.exact_name("before\0after")


@given(st.from_regex(r"[A-Za-z_][A-Za-z0-9_$]{0,200}", fullmatch=True))
def test_a_bare_identifier_folds_to_upper_case(name: str) -> None:
    folded = sql.exact_name(name)
    assert folded.lower() == name.lower() and folded == folded.upper()
    assert sql.exact_name(name.swapcase()) == folded


@given(NAMES)
def test_a_name_in_double_quotes_is_exact(name: str) -> None:
    assert sql.exact_name('"' + name.replace('"', '""') + '"') == name


@pytest.mark.parametrize(
    "name",
    [
        "jane.doe@example.com",
        "first-last",
        "1st",
        "two words",
        "straße",
        "élan",
        "$dollar",
        'has"quote',
        '"only_at_the_start',
        'only_at_the_end"',
        '"',
    ],
)
def test_what_is_no_bare_identifier_is_taken_exactly(name: str) -> None:
    assert sql.exact_name(name) == name


@pytest.mark.parametrize("name", ["", " ", '""', '" "', '"a"b"', '"""', '"a""', '""a"', '"a"""b"', "x" * 256])
def test_what_can_be_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        sql.exact_name(name)


def test_255_characters_are_allowed() -> None:
    assert len(sql.exact_name("x" * 255)) == 255
    assert len(sql.exact_name('"' + '""' * 255 + '"')) == 255
