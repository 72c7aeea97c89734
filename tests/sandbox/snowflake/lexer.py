# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snowflake SQL text to tokens: both ways to write a string, quoted identifiers, comments and binds."""

from __future__ import annotations

import re
import typing as t

from tests.sandbox.snowflake.errors import syntax_error

Kind = t.Literal["word", "quoted", "string", "number", "op", "end"]


class Token(t.NamedTuple):
    """One token; ``text`` is the decoded content, ``bound`` tells that a client-side bind supplied it."""

    kind: Kind
    text: str
    position: int
    bound: bool = False


_SKIP = re.compile(r"(?:\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
_DOLLARS = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
_STRING = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_PIECE = re.compile(r"''|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[0-7]{3}|.)", re.DOTALL)
_BIND = re.compile(r"\?|:([1-9][0-9]*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}


def tokenize(sql: str, binds: t.Sequence[str | None] = ()) -> list[Token]:
    """The tokens of a statement, closed by an ``end`` token; SqlError where the text is no SQL."""
    tokens: list[Token] = []
    at = bound = 0
    while True:
        if skip := _SKIP.match(sql, at):
            at = skip.end()
        if at >= len(sql):
            tokens.append(Token("end", "<EOF>", at))
            return tokens
        if bind := _BIND.match(sql, at):
            bound += 1
            tokens.append(_bind(binds, int(bind[1] or bound), at))
            at = bind.end()
            continue
        token, at = _next(sql, at)
        tokens.append(token)


def _next(sql: str, at: int) -> tuple[Token, int]:
    if match := _WORD.match(sql, at):
        return Token("word", match[0], at), match.end()
    if match := _STRING.match(sql, at):
        return Token("string", _join_surrogates(_PIECE.sub(_unescape, match[1])), at), match.end()
    if match := _DOLLARS.match(sql, at):
        return Token("string", match[1], at), match.end()
    if (match := _QUOTED.match(sql, at)) and match[1]:
        return Token("quoted", match[1].replace('""', '"'), at), match.end()
    if match := _NUMBER.match(sql, at):
        return Token("number", match[0], at), match.end()
    if sql[at] in "=,;()-.*+":
        return Token("op", sql[at], at), at + 1
    raise syntax_error(at, sql[at])


def _unescape(match: re.Match[str]) -> str:
    piece = match[0]
    if piece == "''":
        return "'"
    code = piece[1:]
    if len(code) > 1:
        return chr(int(code, 8) if code[0] in "01234567" else int(code[1:], 16))
    return _ESCAPES.get(code, code)


def _join_surrogates(text: str) -> str:
    r"""Two ``\uXXXX`` escapes may spell one character beyond U+FFFF."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _bind(binds: t.Sequence[str | None], number: int, at: int) -> Token:
    if number > len(binds):
        raise syntax_error(at, "?")
    value = binds[number - 1]
    return Token("word", "NULL", at, True) if value is None else Token("string", value, at, True)
