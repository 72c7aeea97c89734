# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP side of the Keeper sandbox: envelopes, signatures, binding, labels."""

from __future__ import annotations

import collections
import dataclasses
import json
import re
import threading
import time
import typing as t

from tests.sandbox.keeper import crypto
from tests.sandbox.keeper.operations import Operations, Payload, is_uid
from tests.sandbox.keeper.state import Client, Refused
from tests.sandbox.keeper.vault import Vault
from tests.sandbox.server import Request, Response

PREFIX = "/api/rest/sm/v1/"
_SIGNATURE = re.compile(r"Signature (\S+)\Z")
# Where each payload names its target.
_TARGETS = {
    "get_secret": "requestedRecords",
    "delete_secret": "recordUids",
    "delete_folder": "folderUids",
    "create_folder": "folderUid",
    "update_folder": "folderUid",
    "add_file": "ownerRecordUid",
    "get_folders": "",
}


@dataclasses.dataclass(frozen=True)
class Opened:
    """A request whose envelope could be opened."""

    key: bytes = dataclasses.field(repr=False)
    payload: Payload = dataclasses.field(repr=False)


def error_response(status: int, code: str, message: str, *, member: str = "error", **more: object) -> Response:
    """An error as the service words it: plain JSON, never sealed."""
    body = {"path": PREFIX, "additional_info": "", member: code, "message": message} | more
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _target(endpoint: str, payload: Payload) -> str:
    """The uids that a payload names; only what looks like a uid is ever repeated."""
    member = _TARGETS.get(endpoint, "recordUid")
    if not member:
        return ""
    named = payload.get(member)
    if endpoint == "get_secret" and not named:
        return " *"
    uids = named if isinstance(named, list) else [named]
    return " " + ",".join(str(uid) if is_uid(uid) else "?" for uid in uids)


class KeeperService:
    """Answers for one vault."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.operations = Operations(vault)
        # One thread serves one connection, and asks for the label right before the answer.
        self._latest = threading.local()
        # When each client asked each endpoint, within the vault's limit.
        self._asked: dict[tuple[str, str], collections.deque[float]] = collections.defaultdict(collections.deque)

    def label(self, request: Request) -> str:
        endpoint = self._endpoint(request)
        if endpoint is None:
            return "unknown"
        opened = self._open(request)
        return f"unreadable {endpoint}" if opened is None else endpoint + _target(endpoint, opened.payload)

    def respond(self, request: Request) -> Response:
        endpoint = self._endpoint(request)
        try:
            if endpoint is None:
                raise Refused(404, "not_found", "No such route")
            return self._answer(endpoint, request)
        except Refused as refused:
            more: dict[str, t.Any] = dict(refused.more)
            return error_response(refused.status, refused.code, refused.message, member=self.vault.error_member, **more)

    def _endpoint(self, request: Request) -> str | None:
        name = request.path.removeprefix(PREFIX)
        known = request.method == "POST" and request.path.startswith(PREFIX) and name in self.operations.endpoints
        return name if known else None

    def _open(self, request: Request) -> Opened | None:
        latest: tuple[Request, Opened | None] | None = getattr(self._latest, "value", None)
        if latest is None or latest[0] is not request:
            latest = (request, self._open_envelope(request))
            self._latest.value = latest
        return latest[1]

    def _open_envelope(self, request: Request) -> Opened | None:
        try:
            sealed = crypto.decode(request.headers.get("TransmissionKey"))
            key = crypto.unseal_ecies(sealed, self.vault.server_key)
            return Opened(key, crypto.unseal_json(request.body, key))
        except crypto.Unopenable:
            return None

    def _answer(self, endpoint: str, request: Request) -> Response:
        if request.headers.get("PublicKeyId") != self.vault.server_key_id:
            raise Refused(401, "key", "Use another server key", key_id=self.vault.server_key_id)
        opened = self._open(request)
        if opened is None:
            raise Refused(400, "bad_request", "The payload cannot be opened")
        with self.vault.lock:
            client = self._authenticate(request, opened.payload)
            self._count(str(opened.payload.get("clientId")), endpoint)
            extra = self._bind(client, endpoint, opened.payload)
            try:
                reply = self.operations.endpoints[endpoint](client.app, opened.payload)
            except crypto.Unopenable as error:
                raise Refused(400, "bad_request", f"The content cannot be opened: {error}") from None
        if reply is None:
            return Response(200, b"", {"Content-Type": "application/octet-stream"})
        body = crypto.seal_json(reply | extra, opened.key)
        return Response(200, body, {"Content-Type": "application/octet-stream"})

    def _count(self, client_id: str, endpoint: str) -> None:
        """Refuse one request too many within the vault's limit; a refused one does not count."""
        if self.vault.limit is None:
            return
        most, seconds = self.vault.limit
        asked, now = self._asked[client_id, endpoint], time.monotonic()
        while asked and now - asked[0] >= seconds:
            asked.popleft()
        if len(asked) >= most:
            raise Refused(403, "throttled", "Too many requests")
        asked.append(now)

    def _denied(self, message: str) -> Refused:
        return Refused(403, self.vault.denied_code, message)

    def _authenticate(self, request: Request, payload: Payload) -> Client:
        """The client that signed the request; a client that is not bound yet vouches for the key that it brings."""
        client = self.vault.clients.get(str(payload.get("clientId")))
        if client is None:
            raise self._denied("Unable to validate application access")
        match = _SIGNATURE.match(request.headers.get("Authorization") or "")
        try:
            public = client.public or crypto.decode(payload.get("publicKey"))
            signature = crypto.decode(match and match[1])
            signed = crypto.decode(request.headers.get("TransmissionKey")) + request.body
        except crypto.Unopenable:
            raise self._denied("The signature is missing") from None
        if not crypto.signed_by(public, signature, signed):
            raise self._denied("The signature is invalid")
        return client

    def _bind(self, client: Client, endpoint: str, payload: Payload) -> dict[str, str]:
        """Use up a one-time token; what the reply must then hold besides."""
        if client.public is not None:
            if payload.get("publicKey") is not None:
                raise self._denied("The one-time token has been used")
            return {}
        if endpoint != "get_secret" or client.sealed_app_key is None:
            raise self._denied("The client is not bound")
        client.public, sealed, client.sealed_app_key = crypto.decode(payload["publicKey"]), client.sealed_app_key, None
        return {
            "encryptedAppKey": crypto.encode_urlsafe(sealed),
            "appOwnerPublicKey": crypto.encode_urlsafe(crypto.point(client.app.owner)),
        }
