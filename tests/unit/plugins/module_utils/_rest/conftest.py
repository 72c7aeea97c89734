# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service of the sandbox, and the module's logic called as the module calls it."""

from __future__ import annotations

import copy
import secrets
import time
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.rest_password_rotate import run
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import SPEC
from tests.sandbox.rest import RestSandbox
from tests.sandbox.rest.odd import OddSandbox

Result = dict[str, t.Any]


def validated(options: dict[str, t.Any]) -> dict[str, t.Any]:
    """Module parameters as AnsibleModule hands them over; what it would refuse is an assertion error."""
    checked = ArgumentSpecValidator(**SPEC.module_arguments()).validate(copy.deepcopy(options))
    assert checked.error_messages == []
    return t.cast("dict[str, t.Any]", checked.validated_parameters)


class Caller:
    """Options that fit the sandbox, and calls with some of them changed.

    ``old`` and ``new`` are passwords of the user alice. An option given as None is left out.
    """

    def __init__(self, rest: RestSandbox) -> None:
        self.rest = rest
        self.old, self.new = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        rest.add_user("alice", self.old)
        self.options: dict[str, t.Any] = {
            "url": rest.url,
            "secrets": {"admin_password": rest.admin_password},
            "vars": {"admin_username": rest.admin},
            "timeout": 5,
            "max_retries": 1,
            "auth": {
                "type": "login",
                "path": "/login",
                "body": {"name": "${admin_username}", "password": "${admin_password}"},
                "token_path": "token",
                "prefix": "Bearer",
            },
            "lookup": {
                "path": "/users",
                "items": "users",
                "match": {"name": "${username}"},
                "set": {"id": "id", "tags": "tags"},
            },
            "change": {
                "method": "PUT",
                "path": "/users/${id}",
                "body": {"password": "${password}", "tags": "${tags}"},
                "status": [204],
            },
            "verify": {
                "path": "/whoami",
                "auth": {"type": "basic", "username": "${username}", "password": "${password}"},
            },
        }

    def __call__(self, *, check_mode: bool = False, **changed: t.Any) -> Result:
        """What the module returns; the journal afterwards holds this call's requests."""
        self.rest.journal.clear()
        self.rest.requests.clear()
        self.rest.logins.clear()
        who = {} if "users" in changed else {"username": "alice", "password": self.new}
        given = {**self.options, **who, **changed}
        params = validated({name: value for name, value in given.items() if value is not None})
        try:
            return run(params, check_mode)
        except InvalidInput as error:
            return {"failed": True, "changed": False, "error_code": "invalid_input", "msg": error.msg}

    def step(self, name: str, **changed: t.Any) -> dict[str, t.Any]:
        """One of the options, with some of its keys changed."""
        return {**self.options[name], **changed}

    @property
    def asked(self) -> list[str]:
        return self.rest.journal.labels()


@pytest.fixture
def rest() -> t.Iterator[RestSandbox]:
    with RestSandbox() as sandbox:
        yield sandbox
        assert sandbox.errors == []


@pytest.fixture
def call(rest: RestSandbox) -> Caller:
    return Caller(rest)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def entry(result: Result) -> Result:
    return t.cast(Result, result["rotations"][0])


def failed(result: Result, code: str, *, changed: bool = False, text: str = "") -> Result:
    """The one entry, which failed like this."""
    assert result["failed"] and result["error_code"] == code, result
    assert result["changed"] is changed and text in result["msg"], result
    found = entry(result) if "rotations" in result else result
    assert not found.get("verified") and found["msg"].count("Nothing was changed") <= 1
    return found


@pytest.fixture
def odd() -> t.Iterator[OddSandbox]:
    with OddSandbox() as sandbox:
        yield sandbox
        assert sandbox.errors == []


@pytest.fixture
def ask(odd: OddSandbox) -> Caller:
    call = Caller(odd)
    odd.add_document("bob", call.old)
    call.options |= {"auth": None, "lookup": None, "verify": None}
    return call


AUTH: dict[str, dict[str, t.Any]] = {
    "bearer": {"type": "bearer", "token": "${api_token}"},
    "header": {"type": "header", "prefix": "Bearer", "token": "${api_token}"},
    "literal": {"type": "bearer", "token": None},
    "oauth": {
        "type": "oauth2_client_credentials",
        "token_url": "/oauth/token",
        "client_id": "${admin_username}",
        "client_secret": "${admin_password}",
        "scope": "users",
        "audience": "for ${admin_username}",
    },
    "oauth basic": {
        "type": "oauth2_client_credentials",
        "token_url": "/oauth/token",
        "client_id": "${admin_username}",
        "client_secret": "${admin_password}",
        "client_auth": "basic",
    },
    "login header": {
        "type": "login",
        "path": "/login",
        "body": {"name": "${admin_username}", "password": "${admin_password}"},
        "token_header": "x-token",
        "prefix": "Bearer",
    },
}
