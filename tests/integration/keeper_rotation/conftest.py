# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A vault with one record, and keeper_rotation called with it."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
import secrets
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.conftest import fresh_password
from tests.integration.support import Ansible, Run
from tests.sandbox.keeper import KeeperSandbox, error_response
from tests.sandbox.server import Response

Entry = dict[str, t.Any]

LOGIN = "ETL_SVC"

TITLE = "Nightly load"

NOTES = "Ask the platform team."

FOREIGN = {"type": "text", "label": "owner_team", "value": ["platform"]}

# What the module may take at its defaults, with Ansible's own start.
BOUND = 60


class Keeper:
    """One record, and the two modules over it."""

    def __init__(self, directory: Path, vault: KeeperSandbox, environment: dict[str, str] | None = None) -> None:
        self.vault = vault
        self.ansible = Ansible(directory, vault.environment() if environment is None else environment)
        self.config = vault.write_client_config(directory / "ksm-config.json")
        self.old = fresh_password()
        self.uid = self.add(TITLE, self.old)

    def add(self, title: str, password: str, **more: t.Any) -> str:
        return self.vault.add_record(
            title=title,
            fields={"login": LOGIN, "password": password, "url": "https://etl.example.com"},
            custom=[FOREIGN],
            notes=NOTES,
            **more,
        )

    def options(self, state: str = "staged", **options: t.Any) -> dict[str, t.Any]:
        named = {} if "records" in options else {"record": self.uid}
        return {"keeper_config_file": str(self.config), "state": state, **named, **options}

    def call(self, state: str = "staged", *arguments: str, **options: t.Any) -> Entry:
        """The module's result; the journal afterwards holds this call's requests only. arguments: of a playbook."""
        self.vault.journal.clear()
        if arguments in ((), ("--check",)):
            return self.ansible.alone("keeper_rotation", self.options(state, **options), check_mode=bool(arguments))
        return self.result(self.ansible.module("keeper_rotation", self.options(state, **options), *arguments))

    def result(self, run: Run) -> Entry:
        assert "result" in run.results, run.output
        return t.cast(Entry, run.results["result"])

    def endpoints(self) -> list[str]:
        return [label.split()[0] for label in self.vault.journal.labels()]

    def pending(self, uid: str | None = None) -> str | None:
        return self.vault.field(uid or self.uid, "rotation_pending")

    def foreign_parts(self, uid: str | None = None) -> Entry:
        """The record without what a rotation may change."""
        content = copy.deepcopy(self.vault.record(uid or self.uid))
        own = ("rotation_pending", "rotation_state", "rotated_at", "privatePEMKey")
        content["custom"] = [field for field in content["custom"] if field.get("label") not in own]
        content["fields"] = [field for field in content["fields"] if field["type"] not in ("password", "keyPair")]
        return content


@pytest.fixture
def keeper(tmp_path: Path, vault: KeeperSandbox) -> Keeper:
    return Keeper(tmp_path, vault)


def stage_foreign(
    content: Entry, value: str, *, age: dt.timedelta = dt.timedelta(0), rotation_id: str = "foreign"
) -> None:
    """What another run would have left in a record."""
    started = (dt.datetime.now(dt.UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {
        "v": 1,
        "rotation_id": rotation_id,
        "run": secrets.token_hex(16),
        "credential": "password",
        "started": started,
    }
    content["custom"] += [
        {"type": "secret", "label": "rotation_pending", "value": [value]},
        {"type": "text", "label": "rotation_state", "value": [json.dumps(state)]},
    ]


def assert_hidden(run: Run, *values: str) -> None:
    """None of the values is in the output, nor its base64 at the offset that a whole text has."""
    for value in values:
        for form in (value, json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode().rstrip("=")):
            assert form not in run.output


def field(kind: str, label: str | None, *value: t.Any) -> Entry:
    return {"type": kind, "value": list(value), **({} if label is None else {"label": label})}


def private_key() -> tuple[str, str]:
    """A private key in PEM, and its public half as Snowflake takes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return pem, public_half(pem)


def public_half(pem: str) -> str:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def change_notes(content: Entry) -> None:
    content["notes"] = "Edited meanwhile."
    content["custom"].append({"type": "text", "label": "ticket", "value": ["T-1"]})


def nonsense(kind: str, canary: str) -> Response:
    return {
        "text": Response(200, f"hello {canary}".encode()),
        "empty": Response(200, b""),
        "binary": Response(200, secrets.token_bytes(500)),
        "html error": Response(500, f"<html>{canary}</html>".encode(), {"Content-Type": "text/html"}),
        "html 403": Response(403, f"<html>{canary}</html>".encode(), {"Content-Type": "text/html"}),
        "json list": Response(403, json.dumps([canary]).encode(), {"Content-Type": "application/json"}),
        "json null": Response(400, b"null", {"Content-Type": "application/json"}),
        "error": error_response(400, "bad_request", canary),
        "odd code": error_response(400, canary, "message"),
        "redirect": Response(302, b"", {"Location": f"https://127.0.0.1:1/{canary}"}),
        "not an error": Response(404, json.dumps({"message": canary}).encode()),
    }[kind]


KINDS = [
    *("text", "empty", "binary", "html error", "html 403", "json list", "json null", "error", "odd code", "redirect"),
    "not an error",
]


@pytest.fixture
def gone(tmp_path: Path) -> Keeper:
    """A vault that is not there any more; its certificate still is."""
    with KeeperSandbox() as sandbox:
        authorities = tmp_path / "authorities.pem"
        authorities.write_bytes(sandbox.ca_path.read_bytes())
        return Keeper(tmp_path, sandbox, {**sandbox.environment(), "REQUESTS_CA_BUNDLE": str(authorities)})


def without(config: str, *names: str, **values: t.Any) -> str:
    content = json.loads(config)
    return json.dumps({name: value for name, value in content.items() if name not in names} | values)


def garbage(kind: str, config: str, canary: str) -> str:
    return {
        "text": canary,
        "base64 of text": base64.b64encode(canary.encode()).decode(),
        "cut off": config[:-20],
        "list": json.dumps([canary]),
        "number": "42",
        "one-time token": f"US:{canary}",
        "without appKey": without(config, "appKey"),
        "without keys": json.dumps({"hostname": canary}),
        "null key": without(config, privateKey=None),
        "bad private key": without(config, privateKey=canary),
        "bad appKey": without(config, appKey=canary),
        "bad server key": without(config, serverPublicKey=canary),
        "unknown server key": without(config, "serverPublicKey", serverPublicKeyId="4711"),
        "bad host": without(config, hostname=f"{canary.lower()}.invalid"),
    }[kind]
