# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tokens that the sandbox's service makes for its users.

GET    /users/{id}/tokens        → {tokens: [{id, name, created, expires}]}
POST   /users/{id}/tokens        {name} → 201 {id, name, token}, 409; without a name it is the token's last four
DELETE /users/{id}/tokens/{id}   → 204, 404
GET    /me                       Bearer, as a user → 200 {name}, 401
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import secrets
import typing as t


@dataclasses.dataclass
class ApiToken:
    """One token. working: whether it is accepted."""

    id: str
    name: str
    secret: str = dataclasses.field(repr=False)
    created: dt.datetime
    working: bool = True


class Store:
    """limit: how many tokens a user may have. late: new ones are listed, and do not work. expires: told of each."""

    def __init__(self) -> None:
        self.held: dict[str, list[ApiToken]] = {}
        self.limit: int | None = None
        self.late = False
        self.expires: t.Any = None
        self._count = 0

    def add(self, user: str, name: str | None, age: dt.timedelta = dt.timedelta()) -> ApiToken:
        self._count += 1
        secret = secrets.token_hex(20)
        made = ApiToken(
            str(self._count), name or secret[-4:], secret, dt.datetime.now(dt.UTC) - age, working=not self.late
        )
        self.held.setdefault(user, []).append(made)
        return made

    def names(self, user: str) -> list[str]:
        return [token.name for token in self.held.get(user, [])]

    def owner(self, secret: str) -> str | None:
        """The ID of the user whose working token it is."""
        found = [user for user, held in self.held.items() for token in held if token.working and token.secret == secret]
        return found[0] if found else None

    def respond(self, method: str, user: str, rest: list[str], body: bytes) -> tuple[int, t.Any]:
        """Status and body. rest: of the path, after C(tokens)."""
        held = self.held.setdefault(user, [])
        if method == "GET":
            shown = [
                {"id": one.id, "name": one.name, "created": one.created.isoformat(), "expires": self.expires}
                for one in held
            ]
            return 200, {"tokens": shown}
        if method == "POST":
            name = json.loads(body or b"{}").get("name")
            if name in self.names(user):
                return 409, {"error": "the name is taken"}
            if self.limit is not None and len(held) >= self.limit:
                return 409, {"error": "too many tokens"}
            made = self.add(user, name)
            return 201, {"id": made.id, "name": made.name, "token": made.secret}
        left = [one for one in held if [one.id] != rest]
        if len(left) == len(held):
            return 404, {"error": "no such token"}
        self.held[user] = left
        return 204, None
