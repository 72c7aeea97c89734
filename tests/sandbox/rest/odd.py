# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services of the odd kinds, all on one server that shares its users: what a recipe has to cope with.

GET  /form            a page whose hidden field goes with the cookie that it sets
POST /form            the hidden field, name, password and the cookie → 302 and a session cookie; Ok. or Fails. as text
GET  /form/users/{n}  with the session cookie → the user
PUT  /form/users/{n}  with the session cookie and the field in X-Form
POST /rpc             {method, params, auth} → always 200: {result} or {error: {message, data}}
GET  /doc/{name}      HTTP Basic → the whole document, which PUT replaces; _rev guards it (409)
POST /check           administrator's HTTP Basic, a form with name and password → 204 and 403
GET  /count/{name}    a bare 1 or 0
POST /out             ends the session
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import typing as t
import urllib.parse

from tests.sandbox.rest.service import RestSandbox, json_answer
from tests.sandbox.server import Request, Response


class OddSandbox(RestSandbox):
    """lives: how many requests a session or token lives through; None for ever. sessions: those that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.lives: int | None = None
        self.sessions: dict[str, int] = {}
        self.forms: dict[str, str] = {}
        self.documents: dict[str, dict[str, t.Any]] = {}
        self.ended: list[str] = []

    def add_document(self, name: str, password: str) -> dict[str, t.Any]:
        self.add_user(name, password)
        self.documents[name] = {"_id": name, "_rev": "1-a", "password": password, "roles": ["x"], "mail": {"to": "y"}}
        return self.documents[name]

    def label(self, request: Request) -> str:
        return f"{request.method} {request.path}"

    def respond(self, request: Request) -> Response:
        self.requests.append(request)
        kind = request.path.split("/")[1]
        known = {"form": self._form, "rpc": self._rpc, "doc": self._doc, "check": self._check, "count": self._count}
        if kind == "out":
            self.ended.append(self._cookie(request, "session"))
            return Response(204)
        if kind in known:
            return known[kind](request)
        return super().respond(request)

    # -- sessions

    def _open(self) -> str:
        token = secrets.token_urlsafe(12)
        self.sessions[token] = 0
        return token

    def _alive(self, token: str) -> bool:
        if token not in self.sessions:
            return False
        self.sessions[token] += 1
        if self.lives is not None and self.sessions[token] > self.lives:
            del self.sessions[token]
            return False
        return True

    @staticmethod
    def _cookie(request: Request, name: str) -> str:
        found = re.search(rf"(?:^|; ){name}=([^;]*)", request.headers.get("Cookie") or "")
        return found[1] if found else ""

    def _right(self, name: str, password: str) -> bool:
        if (name, password) == (self.admin, self.admin_password):
            return True
        accepted = any((user.name, user.password) == (name, password) for user in self.users.values())
        self.logins.append((name, accepted))
        return accepted or self.gullible

    # -- kinds

    def _form(self, request: Request) -> Response:
        if request.path == "/form" and request.method == "GET":
            cookie, field = secrets.token_urlsafe(9), secrets.token_urlsafe(9)
            self.forms[cookie] = field
            page = f'<html><input type="hidden" name="field" value="{field}"></html>'
            return Response(200, page.encode(), {"Set-Cookie": f"form={cookie}; Path=/form; HttpOnly", "X-Form": field})
        if request.path == "/form":
            form = {name: values[0] for name, values in urllib.parse.parse_qs(request.body.decode()).items()}
            if self.forms.get(self._cookie(request, "form")) != form.get("field"):
                return Response(403, b"Forged.")
            if not self._right(form["name"], form["password"]):
                return Response(200, b"Fails.")
            return Response(200, b"Ok.", {"Set-Cookie": f"session={self._open()}; Path=/"})
        if not self._alive(self._cookie(request, "session")):
            return json_answer(401, {"error": "log in"})
        if request.method == "PUT" and request.headers.get("X-Form") not in self.forms.values():
            return Response(403, b"Forged.")
        return self._user(request)

    def _user(self, request: Request) -> Response:
        found = [user for user in self.users.values() if user.name == request.path.rpartition("/")[2]]
        if not found:
            return Response(404)
        if request.method == "PUT":
            found[0].password = json.loads(request.body)["password"]
            return Response(204)
        return json_answer(200, {"id": found[0].id, "name": found[0].name})

    def _rpc(self, request: Request) -> Response:
        given = json.loads(request.body)
        method, params = given["method"], given["params"]
        if method == "login":
            if self._right(params["name"], params["password"]):
                return json_answer(200, {"result": self._open()})
            return json_answer(
                200, {"error": {"message": "Invalid params.", "data": "Incorrect user name or password."}}
            )
        if not self._alive(given.get("auth") or ""):
            return json_answer(200, {"error": {"message": "Invalid params.", "data": "Session terminated."}})
        found = [user for user in self.users.values() if user.name == params["name"] or user.id == params["name"]]
        if method == "get":
            return json_answer(200, {"result": [{"id": user.id, "name": user.name} for user in found]})
        if not found:
            return json_answer(200, {"error": {"message": "No such user.", "data": ""}})
        found[0].password = params["password"]
        return json_answer(200, {"result": True})

    def _doc(self, request: Request) -> Response:
        if self._basic(request) != (self.admin, self.admin_password):
            return json_answer(401, {"error": "unauthorized", "reason": "Name or password is incorrect."})
        name = request.path.rpartition("/")[2]
        if name not in self.documents:
            return json_answer(404, {"error": "not_found", "reason": "missing"})
        if request.method == "PUT":
            given = json.loads(request.body)
            if given.get("_rev") != self.documents[name]["_rev"]:
                return json_answer(409, {"error": "conflict", "reason": "Document update conflict."})
            self.documents[name] = {**given, "_rev": "2-b"}
            self.user(name).password = given["password"]
            return json_answer(201, {"ok": True})
        return json_answer(200, self.documents[name])

    def _check(self, request: Request) -> Response:
        if self._basic(request) != (self.admin, self.admin_password):
            return Response(401)
        form = {name: values[0] for name, values in urllib.parse.parse_qs(request.body.decode()).items()}
        return Response(204 if self._right(form["name"], form["password"]) else 403)

    def _count(self, request: Request) -> Response:
        found = any(user.name == request.path.rpartition("/")[2] for user in self.users.values())
        return Response(200, b"0" if found else b"1", {"Content-Type": "application/json"})


def basic(name: str, password: str) -> str:
    """The value of Authorization."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
