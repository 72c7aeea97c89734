# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens to statements: the small part of Snowflake's SQL that user administration needs."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from tests.sandbox.snowflake import errors
from tests.sandbox.snowflake.lexer import Token, tokenize
from tests.sandbox.snowflake.properties import PROPERTIES

_ACTIONS = ("ADD", "ROTATE", "MODIFY", "REMOVE")
_THINGS = {"KEY PAIR": "KEY PAIR", "PAT": "PAT", "PROGRAMMATIC ACCESS TOKEN": "PAT"}
_SHOWN = {
    "KEY PAIRS": "SHOW USER KEY PAIRS",
    "PATS": "SHOW USER PATS",
    "PROGRAMMATIC ACCESS TOKENS": "SHOW USER PATS",
}


class Value(t.NamedTuple):
    """A value as it was written. For a list, ``text`` joins the items with commas."""

    kind: t.Literal["word", "quoted", "string", "number", "list", "call"]
    text: str


@dataclasses.dataclass(frozen=True)
class Statement:
    """What a text asks for.

    verb: ``ALTER USER``; name: whom it is about; action: ``SET``, ``ADD KEY PAIR``; item: the key pair or token;
    values: properties and options; flags: ``IF EXISTS`` and the like; bound: whether a bind supplied any of it.
    """

    verb: str
    name: str = ""
    action: str = ""
    item: str = ""
    values: dict[str, Value] = dataclasses.field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    bound: bool = False

    @property
    def label(self) -> str:
        """What the journal may show: names and property names, never a value."""
        parts = [self.verb, _shown(self.name), self.action, _shown(self.item)]
        if self.verb in ("ALTER USER", "CREATE USER") and not self.item:
            parts += sorted({name if name in PROPERTIES else "?" for name in self.values})
        return " ".join(part for part in parts if part)


def parse(sql: str, binds: t.Sequence[str | None] = ()) -> Statement:
    """The one statement in the text; SqlError if there is none, several, or one that nobody knows."""
    tokens = tokenize(sql, binds)
    statement = _Parser(tokens).statement()
    return dataclasses.replace(statement, bound=any(token.bound for token in tokens))


def _shown(name: str) -> str:
    return name if not name or re.fullmatch(r"[A-Z_][A-Z0-9_$]*", name) else '"' + name.replace('"', '""') + '"'


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    # -- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._token
        self._at += token.kind != "end"
        return token

    def _unexpected(self) -> errors.SqlError:
        return errors.syntax_error(self._token.position, self._token.text)

    def _is(self, *words: str) -> bool:
        ahead = self._tokens[self._at : self._at + len(words)]
        return [token.text.upper() if token.kind == "word" else None for token in ahead] == list(words)

    def _skip(self, *words: str) -> bool:
        found = self._is(*words)
        self._at += len(words) * found
        return found

    def _expect(self, *words: str) -> None:
        if not self._skip(*words):
            raise self._unexpected()

    def _op(self, op: str) -> bool:
        found = self._token.kind == "op" and self._token.text == op
        self._at += found
        return found

    def _end(self) -> None:
        while self._op(";"):
            pass
        if self._token.kind != "end":
            if self._at and self._tokens[self._at - 1].text == ";":
                message = "Actual statement count 2 did not match the desired statement count 1."
                raise errors.SqlError(8, message, "0A000")
            raise self._unexpected()

    def _identifier(self) -> str:
        if self._token.kind == "word":
            return self._take().text.upper()
        if self._token.kind == "quoted":
            return self._take().text
        raise self._unexpected()

    def _string(self) -> str:
        if self._token.kind != "string":
            raise self._unexpected()
        return self._take().text

    # -- statements

    def statement(self) -> Statement:
        word = self._token.text.upper() if self._token.kind == "word" else ""
        rule: t.Callable[[], Statement] | None = getattr(self, f"_rule_{word.lower()}", None) if word else None
        if rule is None:
            raise self._unexpected()
        self._take()
        statement = rule()
        self._end()
        return statement

    def _rule_describe(self) -> Statement:
        self._expect("USER")
        return Statement("DESCRIBE USER", self._identifier())

    _rule_desc = _rule_describe

    def _rule_show(self) -> Statement:
        for words, verb in _SHOWN.items():
            if self._skip("USER", *words.split()):
                return Statement(verb, self._identifier() if self._skip("FOR", "USER") else "")
        self._skip("TERSE")
        self._expect("USERS")
        like = {"LIKE": Value("string", self._string())} if self._skip("LIKE") else {}
        self._skip("IN", "ACCOUNT")
        return Statement("SHOW USERS", values=like)

    def _rule_create(self) -> Statement:
        replace = self._skip("OR", "REPLACE")
        self._expect("USER")
        flags = {"IF NOT EXISTS"} if self._skip("IF", "NOT", "EXISTS") else set()
        flags |= {"OR REPLACE"} if replace else set()
        return Statement("CREATE USER", self._identifier(), values=self._properties(), flags=frozenset(flags))

    def _rule_drop(self) -> Statement:
        self._expect("USER")
        flags = self._if_exists()
        return Statement("DROP USER", self._identifier(), flags=flags)

    def _rule_alter(self) -> Statement:
        if self._skip("SESSION"):
            if self._skip("UNSET"):
                return Statement("ALTER SESSION", action="UNSET", values=self._names())
            self._expect("SET")
            return Statement("ALTER SESSION", action="SET", values=self._properties(required=True))
        self._expect("USER")
        flags = self._if_exists()
        # Without a name, it is about the user of the session.
        unnamed = any(self._is(action, *words.split()) for action in _ACTIONS for words in _THINGS)
        statement = self._alter_user("" if unnamed else self._identifier())
        return dataclasses.replace(statement, flags=statement.flags | flags)

    def _alter_user(self, name: str) -> Statement:
        if self._skip("SET"):
            return Statement("ALTER USER", name, "SET", values=self._properties(required=True))
        if self._skip("UNSET"):
            return Statement("ALTER USER", name, "UNSET", values=self._names())
        for action in _ACTIONS:
            for words, thing in _THINGS.items():
                if self._skip(action, *words.split()):
                    return self._alter_item(name, action, thing)
        raise self._unexpected()

    def _alter_item(self, name: str, action: str, thing: str) -> Statement:
        flags = frozenset({"IF NOT EXISTS"} if thing == "PAT" and self._skip("IF", "NOT", "EXISTS") else ())
        item = self._identifier()
        if action != "MODIFY":
            return Statement("ALTER USER", name, f"{action} {thing}", item, self._properties(), flags)
        if thing == "PAT" and self._skip("RENAME", "TO"):
            return Statement("ALTER USER", name, f"RENAME {thing}", item, {"TO": Value("quoted", self._identifier())})
        if thing == "PAT" and self._skip("UNSET"):
            return Statement("ALTER USER", name, f"UNSET {thing}", item, self._names())
        self._expect("SET")
        return Statement("ALTER USER", name, f"MODIFY {thing}", item, self._properties(required=True))

    def _rule_use(self) -> Statement:
        if self._skip("SECONDARY", "ROLES"):
            return Statement("USE SECONDARY ROLES", self._identifier())
        self._expect("ROLE")
        return Statement("USE ROLE", self._identifier())

    def _rule_begin(self) -> Statement:
        if not self._skip("TRANSACTION"):
            self._skip("WORK")
        return Statement("BEGIN")

    def _rule_commit(self) -> Statement:
        self._skip("WORK")
        return Statement("COMMIT")

    def _rule_rollback(self) -> Statement:
        self._skip("WORK")
        return Statement("ROLLBACK")

    def _rule_select(self) -> Statement:
        columns: dict[str, Value] = {}
        while True:
            written, value = self._expression()
            name = self._identifier() if self._skip("AS") else written
            if name in columns:
                raise self._unexpected()
            columns[name] = value
            if not self._op(","):
                return Statement("SELECT", values=columns)

    # -- parts

    def _if_exists(self) -> frozenset[str]:
        return frozenset({"IF EXISTS"} if self._skip("IF", "EXISTS") else ())

    def _names(self) -> dict[str, Value]:
        names = {self._identifier(): Value("word", "NULL")}
        while self._op(","):
            name = self._identifier()
            self._once(name, names)
            names[name] = Value("word", "NULL")
        return names

    def _properties(self, *, required: bool = False) -> dict[str, Value]:
        values: dict[str, Value] = {}
        while self._token.kind == "word" or (required and not values):
            if self._token.kind != "word":
                raise self._unexpected()
            name = self._take().text.upper()
            self._once(name, values)
            if not self._op("="):
                raise self._unexpected()
            values[name] = self._value()
            if self._op(",") and self._token.kind != "word":
                raise self._unexpected()
        return values

    def _once(self, name: str, names: t.Container[str]) -> None:
        if name in names:
            shown = name if name in PROPERTIES else "?"
            raise errors.SqlError(1003, f"SQL compilation error:\nduplicate property '{shown}';", "42000")

    def _value(self) -> Value:
        if self._op("("):
            items = [] if self._op(")") else [self._string()]
            while items and not self._op(")"):
                if not self._op(","):
                    raise self._unexpected()
                items.append(self._string())
            return Value("list", ",".join(items))
        sign = "-" if self._op("-") else ""
        token = self._token
        if token.kind in ("end", "op") or (sign and token.kind != "number"):
            raise self._unexpected()
        self._take()
        return Value(t.cast(t.Any, token.kind), sign + token.text)

    def _expression(self) -> tuple[str, Value]:
        if self._token.kind == "word" and not self._is("NULL") and not self._is("TRUE") and not self._is("FALSE"):
            name = self._take().text.upper()
            if not self._op("(") or not self._op(")"):
                raise self._unexpected()
            return f"{name}()", Value("call", name)
        if self._token.kind == "quoted":
            raise self._unexpected()
        value = self._value()
        return (f"'{value.text}'" if value.kind == "string" else value.text).upper(), value
