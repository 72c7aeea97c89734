# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operations on networks, their users and action batches: paths, requests and answers."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import typing as t
import urllib.parse

from tests.sandbox.meraki.state import Authorization, Dashboard, Network, User
from tests.sandbox.server import Request, Response

_BASE = "/api/v1/"
# No part of the API: the VPN's own login, so that a test can tell from outside which password it takes.
VPN_PATH = "/vpn-login"
_ACCOUNT_TYPES = ("802.1X", "Client VPN", "Guest")
_CREATED = "2018-02-11T00:00:00.090210Z"
_SYNCHRONOUS, _ASYNCHRONOUS = 20, 100
Body = dict[str, t.Any]


class Failure(Exception):
    """An answer other than success."""

    def __init__(self, status: int, *errors: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.errors, self.headers = status, list(errors), headers or {}


def _json(status: int, content: t.Any, headers: dict[str, str] | None = None) -> Response:
    return Response(status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})


def _parts(path: str) -> list[str]:
    """The decoded words after the base path; none for a path outside of it."""
    if not path.startswith(_BASE):
        return []
    return [urllib.parse.unquote(word) for word in path.removeprefix(_BASE).split("/")]


class MerakiService:
    """Answers requests for a dashboard."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def label(self, request: Request) -> str:
        """As in ``PUT N_1 ann@example.com``, ``GET N_1`` for the list, ``POST batch``."""
        if request.path == VPN_PATH:
            return "vpn login"
        match _parts(request.path):
            case ["networks", network_id, "merakiAuthUsers"]:
                return f"{request.method} {network_id}"
            case ["networks", network_id, "merakiAuthUsers", user_id]:
                network = self._dashboard.networks.get(network_id)
                user = network.users.get(user_id) if network else None
                return f"{request.method} {network_id} {user.email if user else 'unknown'}"
            case ["networks", network_id]:
                return f"{request.method} network {network_id}"
            case ["organizations", _id, "actionBatches", *_more]:
                return f"{request.method} batch"
        return f"{request.method} elsewhere"

    def respond(self, request: Request) -> Response:
        try:
            with self._dashboard.lock:
                if request.path == VPN_PATH:
                    return self._vpn_login(json.loads(request.body))
                return self._route(request, _parts(request.path))
        except Failure as failure:
            return _json(failure.status, {"errors": failure.errors}, failure.headers)

    def _route(self, request: Request, parts: list[str]) -> Response:
        if not parts:
            return Response(404, b"<html><body>Not Found</body></html>", {"Content-Type": "text/html"})
        self._authenticate(request)
        match request.method, parts:
            case "GET", ["networks", network_id]:
                return _json(200, _network_shown(self._network(network_id)))
            case "GET", ["networks", network_id, "merakiAuthUsers"]:
                users = self._network(network_id).users
                return _json(200, [self._shown(user) for user in users.values()])
            case "POST", ["networks", network_id, "merakiAuthUsers"]:
                return _json(201, self._shown(self._create(self._network(network_id), self._body(request))))
            case "GET", ["networks", network_id, "merakiAuthUsers", user_id]:
                return _json(200, self._shown(_found(self._network(network_id), user_id)))
            case "PUT", ["networks", network_id, "merakiAuthUsers", user_id]:
                network = self._network(network_id)
                return _json(200, self._shown(self._update(network, user_id, self._body(request))))
            case "DELETE", ["networks", network_id, "merakiAuthUsers", user_id]:
                network = self._network(network_id)
                del network.users[_found(network, user_id).id]
                return Response(204)
            case "GET", ["organizations", organization, "networks"]:
                networks = [each for each in self._dashboard.networks.values() if each.organization == organization]
                return _json(200, [_network_shown(network) for network in networks])
            case "GET", ["organizations", _organization, "inventoryDevices"]:
                return _json(200, [])
            case method, ["organizations", organization, "actionBatches", *more]:
                return self._batch(method, organization, more, request)
        raise Failure(404, "Not found")

    def _vpn_login(self, login: Body) -> Response:
        users = [user for network in self._dashboard.networks.values() for user in network.users.values()]
        known = {(user.email.casefold(), user.password) for user in users if user.account_type == "Client VPN"}
        return Response(204 if (login["email"].casefold(), login["password"]) in known else 403)

    def _authenticate(self, request: Request) -> None:
        bearer = request.headers.get("Authorization", "")
        if bearer.startswith("Bearer "):
            header, key = "Authorization", bearer.removeprefix("Bearer ")
        else:
            header, key = "X-Cisco-Meraki-API-Key", request.headers.get("X-Cisco-Meraki-API-Key", "")
        self._dashboard.authentications.append(header)
        access = self._dashboard.keys.get(key)
        if access is None:
            raise Failure(401, "No valid authentication method found")
        if access == "read" and request.method != "GET":
            raise Failure(403, "Forbidden")

    def _network(self, network_id: str) -> Network:
        network = self._dashboard.networks.get(network_id)
        if network is None:
            raise Failure(404, "Not found")
        self._limit(network.organization)
        return network

    def _limit(self, organization: str) -> None:
        if self._dashboard.limited(organization):
            wait = self._dashboard.retry_after
            headers = {"Retry-After": wait} if wait is not None else {}
            raise Failure(429, "API rate limit exceeded for organization", headers=headers)

    def _body(self, request: Request) -> Body:
        """The body as it should be; an empty one is an empty object, as the document allows for updates."""
        try:
            body = json.loads(request.body) if request.body else {}
        except ValueError:
            raise Failure(400, "Invalid JSON") from None
        if not isinstance(body, dict):
            raise Failure(400, "The body must be an object")
        self._dashboard.writes.append((request.method, request.path, body))
        return body

    def _shown(self, user: User) -> Body:
        return {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "createdAt": _CREATED,
            "accountType": user.account_type,
            "isAdmin": user.is_admin,
            "authorizations": [self._authorization_shown(each) for each in user.authorizations],
        }

    def _authorization_shown(self, authorization: Authorization) -> Body:
        shown: Body = {
            "authorizedZone": authorization.zone,
            "authorizedByName": "Miles Meraki",
            "authorizedByEmail": "miles@example.com",
        }
        if authorization.ssid is not None:
            shown["ssidNumber"] = authorization.ssid
        if authorization.expires is not None:
            shown["expiresAt"] = authorization.expires.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        elif self._dashboard.never_as_text:
            shown["expiresAt"] = "Never"
        return shown

    # Writes

    def _create(self, network: Network, body: Body) -> User:
        _check(body, {"email": str, "authorizations": list}, required=True)
        _check(body, {"name": str, "password": str, "accountType": str, "emailPasswordToUser": bool, "isAdmin": bool})
        account_type = body.get("accountType", "802.1X")
        if account_type not in _ACCOUNT_TYPES:
            raise Failure(400, "'accountType' must be one of: 'Guest', '802.1X' or 'Client VPN'")
        if any(
            user.email.casefold() == body["email"].casefold() and user.account_type == account_type
            for user in network.users.values()
        ):
            raise Failure(400, "Email has already been taken")
        if not body.get("isAdmin") and not (body.get("name") and body.get("password")):
            raise Failure(400, "'name' and 'password' are required")
        self._check_password(body.get("password"))
        return self._dashboard.add_user(
            network.id,
            body["email"],
            body.get("password", ""),
            name=body.get("name", ""),
            account_type=account_type,
            is_admin=bool(body.get("isAdmin")),
            authorizations=_authorizations(body["authorizations"]),
        )

    def _update(self, network: Network, user_id: str, body: Body) -> User:
        user = _found(network, user_id)
        _check(body, {"name": str, "password": str, "emailPasswordToUser": bool, "authorizations": list})
        if user.is_admin and ("name" in body or "password" in body):
            raise Failure(400, "Name and password of dashboard administrators cannot be changed")
        self._check_password(body.get("password"))
        if "authorizations" in body:
            if not all(isinstance(each, dict) and "ssidNumber" in each for each in body["authorizations"]):
                raise Failure(400, "'ssidNumber' is required")
            user.authorizations = _authorizations(body["authorizations"])
        user.name = body.get("name", user.name)
        if "password" in body:
            user.password, user.sets = body["password"], user.sets + 1
        return user

    def _check_password(self, password: str | None) -> None:
        if password is not None and len(password) < self._dashboard.shortest_password:
            quoted = f" '{password}'" if self._dashboard.quotes_password else ""
            raise Failure(400, f"Password{quoted} is too short (minimum is {self._dashboard.shortest_password})")

    # Action batches

    def _batch(self, method: str, organization: str, more: list[str], request: Request) -> Response:
        if organization not in {network.organization for network in self._dashboard.networks.values()}:
            raise Failure(404, "Not found")
        self._limit(organization)
        batches = self._dashboard.batches
        if not more:
            if method == "POST":
                return _json(201, self._run_batch(organization, self._body(request)))
            if method == "GET":
                return _json(200, [batch for batch in batches.values() if batch["organizationId"] == organization])
            raise Failure(404, "Not found")
        batch = batches.get(more[0])
        if batch is None or len(more) > 1:
            raise Failure(404, "Not found")
        if method == "PUT":
            body = self._body(request)
            if body.get("confirmed") and not batch["confirmed"]:
                batch["confirmed"] = True
                self._execute(batch)
        elif method == "DELETE":
            if batch["confirmed"]:
                raise Failure(400, "A confirmed batch cannot be deleted")
            del batches[batch["id"]]
            return Response(204)
        return _json(200, batch)

    def _run_batch(self, organization: str, body: Body) -> Body:
        _check(body, {"actions": list}, required=True)
        _check(body, {"confirmed": bool, "synchronous": bool})
        if len(body["actions"]) > (_SYNCHRONOUS if body.get("synchronous") else _ASYNCHRONOUS):
            raise Failure(400, "Too many actions")
        for action in body["actions"]:
            _check(action, {"resource": str, "operation": str}, required=True)
        batch: Body = {
            "id": secrets.token_hex(6),
            "organizationId": organization,
            "confirmed": bool(body.get("confirmed")),
            "synchronous": bool(body.get("synchronous")),
            "status": {"completed": False, "failed": False, "errors": [], "createdResources": []},
            # As the document says: bodies are shown again, passwords included.
            "actions": [{"body": {}, **action} for action in body["actions"]],
        }
        self._dashboard.batches[batch["id"]] = batch
        if batch["confirmed"]:
            self._execute(batch)
        return batch

    def _execute(self, batch: Body) -> None:
        """All updates of users, or none."""
        try:
            updates = [self._batched(action) for action in batch["actions"]]
        except Failure as failure:
            batch["status"].update(failed=True, errors=failure.errors)
            return
        for network, user_id, body in updates:
            self._update(network, user_id, body)
        batch["status"]["completed"] = True

    def _batched(self, action: Body) -> tuple[Network, str, Body]:
        match action["operation"], [urllib.parse.unquote(word) for word in action["resource"].strip("/").split("/")]:
            case "update", ["networks", network_id, "merakiAuthUsers", user_id]:
                network = self._dashboard.networks.get(network_id)
                if network is None:
                    raise Failure(404, "Not found")
                _found(network, user_id)
                self._check_password(action["body"].get("password"))
                return network, user_id, action["body"]
        raise Failure(400, "The sandbox only updates users")


def _network_shown(network: Network) -> Body:
    return {
        "id": network.id,
        "organizationId": network.organization,
        "name": network.name,
        "productTypes": ["appliance"],
        "timeZone": "America/Los_Angeles",
        "tags": [],
        "url": f"https://n1.meraki.com/{network.id}/manage/nodes/list",
        "isBoundToConfigTemplate": False,
    }


def _found(network: Network, user_id: str) -> User:
    if user_id not in network.users:
        raise Failure(404, "Not found")
    return network.users[user_id]


def _check(body: Body, fields: dict[str, type], *, required: bool = False) -> None:
    for name, kind in fields.items():
        if name not in body:
            if required:
                raise Failure(400, f"'{name}' is required")
        elif not isinstance(body[name], kind):
            raise Failure(400, f"'{name}' must be of type {kind.__name__}")


def _authorizations(listed: list[t.Any]) -> list[Authorization]:
    found = []
    for each in listed:
        if not isinstance(each, dict):
            raise Failure(400, "'authorizations' must hold objects")
        text = each.get("expiresAt", "Never")
        try:
            expires = None if text == "Never" else dt.datetime.fromisoformat(str(text))
        except ValueError:
            raise Failure(400, "'expiresAt' must be a date") from None
        zone = "Client VPN" if each.get("ssidNumber") is None else f"SSID {each['ssidNumber']}"
        found.append(Authorization(zone, expires, each.get("ssidNumber")))
    return found
