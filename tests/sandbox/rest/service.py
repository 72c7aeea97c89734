# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users, a login, a list in pages, a change of passwords, and what a person may ask with a password.

    POST /login          {name, password} → {token}, also in the header X-Token
    POST /oauth/token    a form with client_id and client_secret, or HTTP Basic → {access_token}
    GET  /users          ?name=, ?page= or ?cursor= → {users: [{id, name, tags}], next, cursor}, Link, X-Next-Page
    PUT  /users/{id}     {password, tags} → 204, 404
    GET  /whoami         HTTP Basic → 200 {name}, 401
    /users/{id}/tokens…  see tokens.py
    PUT  /echo           anything → 200 {error}, which quotes the whole request, as careless services do

The administrator's token goes in C(Authorization: Bearer).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import json
import secrets
import ssl
import typing as t
import urllib.parse

from tests.sandbox.rest.tokens import Store
from tests.sandbox.server import LoopbackServer, Request, Response


@dataclasses.dataclass
class User:
    """One user. tags: taken away by a change that does not repeat them."""

    id: str
    name: str
    password: str
    tags: list[str] = dataclasses.field(default_factory=list)


def json_answer(status: int, value: t.Any, **headers: str) -> Response:
    extra = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json", **extra})


class RestSandbox(LoopbackServer):
    """The service on loopback, plain HTTP unless ``tls`` is given.

    requests: all that came, in order. logins: (user, whether it was accepted), in order.
    page: users on one page. gullible: logins as users are accepted with any password.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.users: dict[str, User] = {}
        self.admin = "administrator"
        self.admin_password = secrets.token_urlsafe(12)
        self.token = secrets.token_urlsafe(18)
        self.page = 100
        self.gullible = False
        self.tokens = Store()
        self.requests: list[Request] = []
        self.logins: list[tuple[str, bool]] = []
        super().__init__(self, tls=tls)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    def add_user(self, name: str, password: str) -> User:
        number = str(len(self.users) + 1)
        self.users[number] = User(number, name, password, ["reader"])
        return self.users[number]

    def user(self, name: str) -> User:
        return next(user for user in self.users.values() if user.name == name)

    def accepts(self, name: str, password: str) -> bool:
        return self.user(name).password == password

    # -- answers

    def label(self, request: Request) -> str:
        """Method and path, and the user of a login in place of the credentials."""
        if request.path == "/whoami":
            return f"whoami {self._basic(request)[0]}"
        if request.path.startswith("/users/") and "/tokens" in request.path:
            return f"{request.method} tokens"
        if request.path.startswith("/users/"):
            number = request.path.rpartition("/")[2]
            return f"change {self.users[number].name if number in self.users else '?'}"
        if request.path == "/users":
            return "users"
        return f"{request.method} {request.path}"

    def respond(self, request: Request) -> Response:
        self.requests.append(request)
        if request.path == "/login":
            return self._login(request)
        if request.path == "/oauth/token":
            return self._client(request)
        if request.path == "/whoami":
            return self._whoami(request)
        if request.path == "/me":
            return self._me(request)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return json_answer(401, {"error": "who are you?"})
        if request.path == "/users":
            return self._list(request)
        if request.path == "/echo":
            words = ["you said", *request.headers.values(), request.body.decode()]
            return json_answer(200, {"error": "\n".join(words)})
        parts = request.path.split("/")[2:]
        if request.path.startswith("/users/") and parts[1:2] == ["tokens"] and parts[0] in self.users:
            status, body = self.tokens.respond(request.method, parts[0], parts[2:], request.body)
            return json_answer(status, body) if body is not None else Response(status)
        if request.method == "PUT" and request.path.startswith("/users/"):
            return self._change(request)
        return json_answer(404, {"error": "no such path"})

    def _login(self, request: Request) -> Response:
        given = json.loads(request.body)
        if (given.get("name"), given.get("password")) != (self.admin, self.admin_password):
            return json_answer(401, {"error": "wrong"})
        return json_answer(200, {"token": self.token}, X_Token=self.token)

    def _client(self, request: Request) -> Response:
        form = {name: values[0] for name, values in urllib.parse.parse_qs(request.body.decode()).items()}
        basic = [urllib.parse.unquote_plus(part) for part in self._basic(request)]
        given = [form.get("client_id"), form.get("client_secret")] if "client_id" in form else basic
        if form.get("grant_type") != "client_credentials" or given != [self.admin, self.admin_password]:
            return json_answer(401, {"error": "invalid_client"})
        return json_answer(200, {"access_token": self.token, "token_type": "Bearer"})

    def _whoami(self, request: Request) -> Response:
        name, password = self._basic(request)
        accepted = self.gullible or any((user.name, user.password) == (name, password) for user in self.users.values())
        self.logins.append((name, accepted))
        return json_answer(200, {"name": name}) if accepted else json_answer(401, {"error": "wrong"})

    def _me(self, request: Request) -> Response:
        owner = self.tokens.owner((request.headers.get("Authorization") or "").removeprefix("Bearer "))
        if owner is None and not self.gullible:
            return json_answer(401, {"error": "wrong"})
        return json_answer(200, {"name": self.users[owner].name if owner else "anybody"})

    def _list(self, request: Request) -> Response:
        found = list(self.users.values())
        if "name" in request.query:
            found = [user for user in found if user.name == request.query["name"][0]]
        number = int((request.query.get("page") or request.query.get("cursor") or ["1"])[0])
        shown = [
            {"id": user.id, "name": user.name, "tags": user.tags}
            for user in found[(number - 1) * self.page : number * self.page]
        ]
        if number * self.page >= len(found):
            return json_answer(200, {"users": shown, "next": None, "cursor": None})
        pairs = [(name, value) for name, values in request.query.items() for value in values if name != "page"]
        address = f"{self.url}/users?{urllib.parse.urlencode([*pairs, ('page', number + 1)])}"
        headers = {"Link": f'<{self.url}/users>; rel="first", <{address}>; rel="next"', "X-Next-Page": str(number + 1)}
        return json_answer(200, {"users": shown, "next": address, "cursor": number + 1}, **headers)

    def _change(self, request: Request) -> Response:
        user = self.users.get(request.path.rpartition("/")[2])
        given = json.loads(request.body)
        if user is None:
            return json_answer(404, {"error": "no such user"})
        if not isinstance(given.get("password"), str) or len(given["password"]) < 4:
            return json_answer(400, {"error": f"bad password {given.get('password')}"})
        user.password = given["password"]
        user.tags = given.get("tags", [])
        return Response(204)

    @staticmethod
    def _basic(request: Request) -> tuple[str, str]:
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            given = request.headers.get("Authorization") or ""
            name, _colon, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
            return name, password
        return "", ""
