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
from requests.cookies import create_cookie

from ansible_collections.keyturn.credentials.plugins.module_utils._core import transport
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import rest_password_rotate
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.client import Client
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import Step
from tests import recipes

# Nothing here is anybody's secret: each text says what it is, with what its place in a request may stumble over.
AWKWARD = "'\"\\/?#[]@!$&()*+,;=%41 {{ 7*7 }}${username}é☃😀"
USERNAME = f"name {AWKWARD}"
PASSWORD = f"new:{AWKWARD}"
OLD_PASSWORD = f"old:{AWKWARD}"
VALUES = {
    "admin_username": "admin é",
    "admin_password": f"admin:{AWKWARD}",
    "api_token": "token ~+/=",
    "client_id": "client é&",
    "client_secret": f"client:{AWKWARD}",
    "tenant": "tenant.example.com",
    "realm": "realm/é",
    "host": "host é",
}
_OTHER = "somebody else"

# What each service answers to steps that have more to say than their status: header fields, body (a text is no JSON)
# and, for a login as the user, the status; in the shape of the service's documentation.
Told = tuple[dict[str, str], t.Any] | tuple[dict[str, str], t.Any, int]
_ANSWERS: dict[str, dict[str, list[Told]]] = {
    "okta": {
        "lookup": [
            (
                {"link": '<https://host.example/api/v1/users?after=100>; rel="next"'},
                [{"id": "00u1", "profile": {"login": _OTHER}}],
            ),
            ({}, [{"id": "00u2", "profile": {"login": USERNAME}}]),
        ]
    },
    "auth0": {"lookup": [({}, [{"user_id": "auth0|2", "email": USERNAME.upper()}])]},
    "keycloak": {
        "lookup": [({}, [{"id": "b2", "username": USERNAME, "enabled": True}])],
        "verify": [({}, {}, 401), ({}, {"access_token": "token of the user"}, 200)],
    },
    "grafana": {"lookup": [({}, {"id": 2, "login": USERNAME, "isDisabled": False})]},
    "elasticsearch": {"lookup": [({}, {USERNAME: {"username": USERNAME, "enabled": True}})]},
    "gitlab": {
        "lookup": [
            ({"x-next-page": "2"}, [{"id": 1, "username": _OTHER, "state": "active"}]),
            ({"x-next-page": ""}, [{"id": 2, "username": USERNAME, "state": "active"}]),
        ]
    },
    "gitea": {"lookup": [({}, {"id": 2, "login": USERNAME, "login_name": "cn=é", "source_id": 7, "active": True})]},
    "servicenow": {"lookup": [({}, {"result": [{"sys_id": "a2", "user_name": USERNAME, "active": "true"}]})]},
    "rabbitmq": {"lookup": [({}, {"name": USERNAME, "tags": ["management", "policymaker"]})]},
    "keystone": {
        "lookup": [
            ({}, {"users": [], "links": {"next": "https://host.example/v3/users?marker=a1"}}),
            ({}, {"users": [{"id": "a2", "name": USERNAME, "enabled": True}], "links": {"next": None}}),
        ],
        "verify": [
            ({}, {"error": {"message": "The request you have made requires authentication."}}, 401),
            ({}, {"token": {"user": {"id": "a2"}}}, 201),
        ],
    },
    "synapse": {"lookup": [({}, {"name": USERNAME, "deactivated": False})]},
    "directus": {"lookup": [({}, {"data": [{"id": "a2", "email": USERNAME, "status": "active"}]})]},
    "ejabberd": {
        "lookup": [({}, 0)],
        "change": [({}, 0)],
        "verify": [({}, 1, 200), ({}, 0, 200)],
    },
    "mailman": {"lookup": [({}, {"user_id": "a2"})]},
    "couchdb": {
        "lookup": [({}, {"_id": "org.couchdb.user:…", "_rev": "3-a2", "name": USERNAME, "roles": ["é"], "team": None})]
    },
    "verdaccio": {"lookup": [({}, {"name": USERNAME})]},
    "qbittorrent": {
        "auth.before[0]": [({}, "Ok.")],
        "verify": [({}, "Fails.", 200), ({}, "Ok.", 200)],
    },
    "zabbix": {
        "lookup": [({}, {"result": [{"userid": "2", "username": USERNAME, "users_status": "0"}]})],
        "change": [({}, {"result": {"userids": ["2"]}})],
        "verify": [
            ({}, {"error": {"data": "Incorrect user name or password or account is temporarily blocked."}}, 200),
            ({}, {"result": "token of the user"}, 200),
        ],
    },
    "jupyterhub": {
        "auth.before[0]": [({"set-cookie": "_xsrf=first|é"}, "a page")],
        "auth.before[1]": [({"set-cookie": "_xsrf=second|é"}, "")],
        "change": [({}, '<div class="alert alert-success">')],
        "verify.before[0]": [({"set-cookie": "_xsrf=third|é"}, "a page"), ({"set-cookie": "_xsrf=fourth"}, "a page")],
        "verify": [({}, "Invalid username or password", 200), ({}, "", 302)],
    },
    "kinto": {
        "lookup": [({}, {"data": {"id": USERNAME}})],
        "verify": [({}, {"project_name": "kinto"}, 200), ({}, {"user": {"id": "account:…"}}, 200)],
    },
    "ios_xe": {"lookup": [({}, {"Cisco-IOS-XE-native:username": {"name": USERNAME, "secret": {}}})]},
    "airflow": {"lookup": [({}, {"username": USERNAME, "active": True})]},
    "superset": {"lookup": [({}, {"result": [{"id": 2, "username": USERNAME, "active": True}]})]},
    "redmine": {
        "lookup[0]": [
            ({}, {"users": [{"id": 1, "login": _OTHER}]}),
            ({}, {"users": [{"id": 2, "login": USERNAME}]}),
            ({}, {"users": []}),
        ],
        "lookup[1]": [({}, {"user": {"id": 2, "status": 1}})],
    },
    "icinga2": {
        "lookup": [({}, {"results": [{"name": USERNAME}]})],
        "change": [({}, {"results": [{"code": 200, "status": "Attributes updated."}]})],
    },
}


class _Service:
    """Says what a service would say to each step, and keeps the requests."""

    def __init__(self, name: str) -> None:
        self.recipe = recipes.recipe(name)
        self.answers = {where: list(answers) for where, answers in _ANSWERS.get(name, {}).items()}
        self.logins = 0
        self.sent: list[str] = []

    def send(self, step: Step, request: transport.Request) -> transport.Answer:
        self.sent.append(_readable(request))
        headers, body, *told = self.answers[step.where].pop(0) if self.answers.get(step.where) else ({}, None)
        (status,) = told or [step.status[0]]
        if step.where == "verify":
            # No before the change, yes after it.
            self.logins += 1
            if not told and self.logins == 1:
                status = self.recipe["verify"].get("rejected", [401])[0]
        if step.where == "auth" and body is None:
            headers, body = self._login()
        text = body if isinstance(body, str) else json.dumps({} if body is None else body)
        name, _equals, value = headers.get("set-cookie", "").partition("=")
        cookies = [create_cookie(name, value)] if name else []
        for cookie in cookies:
            request.jar.set_cookie(cookie)
        return transport.Answer(status, headers, text.encode(), cookies=cookies)

    def _login(self) -> tuple[dict[str, str], t.Any]:
        auth, token = self.recipe["auth"], "token of the login"
        if "token_header" in auth:
            return {auth["token_header"].lower(): token}, {}
        body: t.Any = token
        for key in reversed(auth.get("token_path", "access_token").split(".")):
            body = {key: body}
        return {}, body


def _options(name: str) -> dict[str, t.Any]:
    """The module's parameters, validated as Ansible validates them."""
    found = recipes.recipe(name)
    wanted = recipes.given(name)
    values = {key: value for key, value in VALUES.items() if key in wanted}
    variables = {key: value for key, value in values.items() if not recipes.is_secret(key)}
    # The vault's, not the module's.
    found.pop("password_policy", None)
    given = {
        **found,
        "url": "https://host.example",
        "username": USERNAME,
        "password": PASSWORD,
        "old_password": OLD_PASSWORD if "old_password" in wanted else None,
        "secrets": {key: value for key, value in values.items() if recipes.is_secret(key)},
        "vars": {**found.get("vars", {}), **variables},
    }
    arguments = SPEC.module_arguments()
    result = ArgumentSpecValidator(**arguments).validate(given)
    assert result.error_messages == [], result.error_messages
    return t.cast("dict[str, t.Any]", result.validated_parameters)


def _readable(request: transport.Request) -> str:
    """As it goes over the wire, but HTTP Basic decoded."""
    lines = [f"{request.method} {request.url}"]
    for name, value in sorted(request.headers.items()):
        kind, _blank, rest = value.partition(" ")
        if name == "Authorization" and kind == "Basic":
            value = f"Basic, decoded: {base64.b64decode(rest).decode()}"
        lines.append(f"{name}: {value}")
    lines += [f"Cookie: {cookie.name}={cookie.value}" for cookie in request.jar or ()]
    if request.body is not None:
        lines += ["", request.body.decode()]
    return "\n".join(lines)


def path(name: str) -> Path:
    """The file with the requests of this recipe that somebody has looked at."""
    return Path(__file__).resolve().parent / "requests" / f"{name}.txt"


def render(name: str) -> str:
    """All requests of one rotation of USERNAME to PASSWORD, in order."""
    service = _Service(name)
    with mock.patch.object(
        Client, "_send", lambda _self, step, _session, request, _repeat: service.send(step, request)
    ):
        result = rest_password_rotate.run(_options(name), False)
    assert result["changed"] and not result.get("failed"), result
    assert result["rotations"][0]["verified"] == ("verify" in service.recipe)
    assert not any(service.answers.values()), service.answers
    return "\n\n\n".join(service.sent) + "\n"
