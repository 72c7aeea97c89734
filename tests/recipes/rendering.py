# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests of a recipe for awkward names and passwords, as the module itself makes them, in readable form."""

from __future__ import annotations

import base64
import json
import typing as t
from pathlib import Path
from unittest import mock

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.keyturn.credentials.plugins.module_utils._core import http
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import rest_password_rotate
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import SPEC
from tests import recipes

# Nothing here is anybody's secret: each text says what it is, with what its place in a request may stumble over.
AWKWARD = "'\"\\/?#[]@!$&()*+,;=%41 {{ 7*7 }}${username}é☃😀"
USERNAME = f"name {AWKWARD}"
PASSWORD = f"new:{AWKWARD}"
VALUES = {
    "admin_username": "admin é",
    "admin_password": f"admin:{AWKWARD}",
    "api_token": "token ~+/=",
    "client_id": "client é&",
    "client_secret": f"client:{AWKWARD}",
    "tenant": "tenant.example.com",
    "realm": "realm/é",
}
_OTHER = "somebody else"

# What the lookup of each service answers: the pages' headers and bodies, in the shape of the service's documentation.
Page = tuple[dict[str, str], t.Any]
_LOOKUPS: dict[str, list[Page]] = {
    "okta": [
        (
            {"link": '<https://host.example/api/v1/users?after=100>; rel="next"'},
            [{"id": "00u1", "profile": {"login": _OTHER}}],
        ),
        ({}, [{"id": "00u2", "profile": {"login": USERNAME}}]),
    ],
    "auth0": [({}, [{"user_id": "auth0|2", "email": USERNAME.upper()}])],
    "keycloak": [({}, [{"id": "b2", "username": USERNAME}])],
    "grafana": [({}, {"id": 2, "login": USERNAME})],
    "elasticsearch": [({}, {USERNAME: {"username": USERNAME, "enabled": True}})],
    "gitlab": [
        ({"x-next-page": "2"}, [{"id": 1, "username": _OTHER}]),
        ({"x-next-page": ""}, [{"id": 2, "username": USERNAME}]),
    ],
    "gitea": [({}, {"id": 2, "login": USERNAME, "login_name": "cn=é", "source_id": 7})],
    "servicenow": [({}, {"result": [{"sys_id": "a2", "user_name": USERNAME}]})],
    "rabbitmq": [({}, {"name": USERNAME, "tags": ["management", "policymaker"]})],
    "keystone": [
        ({}, {"users": [], "links": {"next": "https://host.example/v3/users?marker=a1"}}),
        ({}, {"users": [{"id": "a2", "name": USERNAME}], "links": {"next": None}}),
    ],
    "synapse": [({}, {"name": USERNAME, "deactivated": False})],
    "directus": [({}, {"data": [{"id": "a2", "email": USERNAME}]})],
}


class _Service:
    """Says what a service would say to each step, and keeps the requests."""

    def __init__(self, name: str) -> None:
        self.recipe = recipes.recipe(name)
        self.pages = list(_LOOKUPS.get(name, []))
        self.login_due = self.recipe["auth"]["type"] in ("login", "oauth2_client_credentials")
        self.verify_before = True
        self.sent: list[http.Request] = []

    def send(self, request: http.Request, repeat: http.Repeat) -> http.Answer:
        self.sent.append(request)
        if repeat == "never":
            return self._verify()
        if repeat == "write":
            return http.Answer(self.recipe["change"]["status"][0], {}, b"{}")
        if self.login_due:
            self.login_due = False
            return self._login()
        headers, body = self.pages.pop(0)
        return http.Answer(200, headers, json.dumps(body).encode())

    def _verify(self) -> http.Answer:
        """No before the change, yes after it."""
        step, before = self.recipe["verify"], self.verify_before
        self.verify_before = False
        status = step.get("rejected", [401])[0] if before else step.get("status", [200])[0]
        return http.Answer(status, {}, b"{}")

    def _login(self) -> http.Answer:
        auth, token = self.recipe["auth"], "token of the login"
        if "token_header" in auth:
            return http.Answer(auth["status"][0], {auth["token_header"].lower(): token})
        body: t.Any = token
        for key in reversed(auth.get("token_path", "access_token").split(".")):
            body = {key: body}
        return http.Answer(200, {}, json.dumps(body).encode())


def _options(name: str) -> dict[str, t.Any]:
    """The module's parameters, validated as Ansible validates them."""
    found = recipes.recipe(name)
    wanted = recipes.given(name)
    values = {key: value for key, value in VALUES.items() if key in wanted}
    variables = {key: value for key, value in values.items() if not recipes.is_secret(key)}
    given = {
        **found,
        "url": "https://host.example",
        "username": USERNAME,
        "password": PASSWORD,
        "secrets": {key: value for key, value in values.items() if recipes.is_secret(key)},
        "vars": {**found.get("vars", {}), **variables},
    }
    arguments = SPEC.module_arguments()
    result = ArgumentSpecValidator(**arguments).validate(given)
    assert result.error_messages == [], result.error_messages
    return t.cast("dict[str, t.Any]", result.validated_parameters)


def _readable(request: http.Request) -> str:
    """As it goes over the wire, but HTTP Basic decoded."""
    lines = [f"{request.method} {request.url}"]
    for name, value in sorted(request.headers.items()):
        kind, _blank, rest = value.partition(" ")
        if name == "Authorization" and kind == "Basic":
            value = f"Basic, decoded: {base64.b64decode(rest).decode()}"
        lines.append(f"{name}: {value}")
    if request.body is not None:
        lines += ["", request.body.decode()]
    return "\n".join(lines)


def path(name: str) -> Path:
    """The file with the requests of this recipe that somebody has looked at."""
    return Path(__file__).resolve().parent / "requests" / f"{name}.txt"


def render(name: str) -> str:
    """All requests of one rotation of USERNAME to PASSWORD, in order."""
    service = _Service(name)
    with mock.patch.object(http.Http, "send", lambda _self, request, repeat: service.send(request, repeat)):
        result = rest_password_rotate.run(_options(name), False)
    assert result["changed"] and not result.get("failed"), result
    assert result["rotations"][0]["verified"] == ("verify" in service.recipe) and service.pages == []
    return "\n\n\n".join(map(_readable, service.sent)) + "\n"
