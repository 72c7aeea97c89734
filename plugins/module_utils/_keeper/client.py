# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The only code that talks to Keeper, through the unmodified keeper-secrets-manager-core."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import difflib
import http.cookiejar
import json
import random
import re
import time
import types
import typing as t
import urllib.parse

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deadline, deps
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    AuthFailed,
    InvalidInput,
    NotFound,
    RateLimited,
    RotationError,
    Unreachable,
    VaultError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.record import Data

_PACKAGE = "keeper-secrets-manager-core"
_MINIMUM = "17.3.0"
_UID = re.compile(r"[A-Za-z0-9_-]{22}\Z")
# As Keeper shows it, with the region or host before it, or bare; a configuration is much longer.
_TOKEN = re.compile(r"([\w.-]+:[\w-]+|[\w-]{43})\Z")
# An AES-256 key, and the least that a P-256 key takes as PKCS#8.
_APP_KEY_BYTES = 32
_SMALLEST_PRIVATE_KEY_BYTES = 64
_NEEDED_KEYS = ("hostname", "clientId", "privateKey", "appKey")

# Seconds for the connection, for silence on it, and for one whole request.
_CONNECT_TIMEOUT = 10
_READ_TIMEOUT = 15
_REQUEST_TIMEOUT = 25
# The service counts 100 requests in 10 s (docs.keeper.io), so one longer pause mostly suffices.
_THROTTLE_DELAYS = (3.0, 11.0, 20.0)
_LONGEST_RETRY_AFTER = 20.0
_LARGEST_ANSWER = 64 * 1024 * 1024
# The SDK follows the server's wish for another public key without a limit.
_MOST_POSTS = 4


class _Throttled(Exception):
    def __init__(self, retry_after: float) -> None:
        super().__init__()
        self.retry_after = retry_after


class _TooMuch(Exception):
    """An answer or a dialogue that does not end."""


@dataclasses.dataclass
class Record:
    """One record as read: C(data) is a private copy; C(handle) is the SDK's object, needed to save.

    read_at: seconds of the monotonic clock.
    """

    uid: str
    data: Data
    revision: int
    editable: bool
    handle: t.Any = dataclasses.field(repr=False)
    read_at: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def title(self) -> str:
        return str(self.data.get("title") or "")


def looks_like_uid(reference: str) -> bool:
    """Whether this may be a record's UID: 16 bytes in URL-safe base64. A title can look like one, too."""
    return _UID.match(reference) is not None


def parse_config(text: str) -> dict[str, str]:
    """A client configuration from JSON or its base64. Raises InvalidInput, which quotes nothing of it."""
    stripped = text.strip("\ufeff \t\r\n")
    if _TOKEN.match(stripped):
        raise InvalidInput(
            "The Keeper configuration is a one-time token. It must be redeemed first (ksm profile init, or "
            "keepersecurity.keeper_secrets_manager.keeper_init), and what that gives is the configuration."
        )
    try:
        if not stripped.startswith("{"):
            stripped = base64.b64decode("".join(stripped.split()), validate=True).decode("utf-8-sig")
        config = json.loads(stripped)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidInput("The Keeper configuration is neither JSON nor base64 of JSON.") from None
    if not isinstance(config, dict):
        raise InvalidInput("The Keeper configuration is no JSON object.")
    missing = [key for key in _NEEDED_KEYS if not isinstance(config.get(key), str) or not config[key]]
    if missing:
        raise InvalidInput(
            f"The Keeper configuration lacks {', '.join(missing)}. A one-time token must be redeemed first "
            "(ksm profile init, or keepersecurity.keeper_secrets_manager.keeper_init)."
        )
    for key, smallest in (("appKey", _APP_KEY_BYTES), ("privateKey", _SMALLEST_PRIVATE_KEY_BYTES)):
        if len(_decoded(config[key])) < smallest:
            raise InvalidInput(f"The Keeper configuration's {key} is damaged.")
    return t.cast("dict[str, str]", config)


def _decoded(text: str) -> bytes:
    """The bytes behind base64 of either alphabet, padded or not; none behind anything else."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


class Vault:
    """One application's view of the vault. verify: True, False, or a PEM file of authorities."""

    def __init__(self, config: dict[str, str], *, verify: bool | str) -> None:
        core = deps.require("keeper_secrets_manager_core", package=_PACKAGE, minimum=_MINIMUM)
        storage = deps.require("keeper_secrets_manager_core.storage", package=_PACKAGE)
        self._http_response: t.Any = deps.require(
            "keeper_secrets_manager_core.dto.payload", package=_PACKAGE
        ).KSMHttpResponse
        self._requests = deps.require("requests", package="requests")
        self._verify = verify
        self._posts = 0
        # For all requests of a task together: a vault that asks for patience asks every one of them.
        self._patience = list(_THROTTLE_DELAYS)
        self._exhausted = False
        self._session = self._new_session()
        try:
            # In memory: the SDK would rewrite a file, and on some failures delete it (KSM-807).
            self._sdk: t.Any = core.SecretsManager(config=storage.InMemoryKeyValueStorage(json.dumps(config)))
        except Exception:  # its text may quote the configuration
            raise InvalidInput("The Keeper configuration is not usable: the SDK does not accept its keys.") from None
        self._sdk.post_function = self._post

    def _new_session(self) -> t.Any:
        """A connection that is kept alive: a new one for each request would cost three round trips more."""
        session = self._requests.Session()
        # Even without following a redirect, requests would read all of its body.
        session.get_redirect_target = lambda response: None
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        return session

    def read(self, references: t.Sequence[str]) -> Snapshot:
        """The records named by UID or title, with one call where the names allow it."""
        uids = [reference for reference in references if looks_like_uid(reference)]
        if len(uids) == len(references):
            snapshot = self._read(uids)
            if all(snapshot.has(uid) for uid in uids):
                return snapshot
            # Whatever looks like a UID and is none may still be a title.
        return self._read(None)

    def read_all(self) -> Snapshot:
        """Every record that this application sees, with one call."""
        return self._read(None)

    def save(self, record: Record, data: Data) -> None:
        """Replace the record's data, guarded by the revision that was read. Any failure leaves the outcome open."""
        # Escaped, because half a character in somebody's memo cannot be put into UTF-8.
        record.handle.raw_json = json.dumps(data)
        self._call("Saving the record", lambda: self._sdk.save(record.handle))

    def _read(self, uids: list[str] | None) -> Snapshot:
        response = self._call("Reading from Keeper", lambda: self._sdk.get_secrets(uids, full_response=True))
        handles = list(response.records or [])
        records = [record for record in map(_record, handles) if record is not None]
        # A record that is shared twice comes twice, and perhaps only one of the two may be edited.
        records.sort(key=lambda record: record.editable)
        unreadable = len(handles) - len(records) + len(response.bad_records or []) + len(response.bad_folders or [])
        return Snapshot({record.uid: record for record in records}, unreadable)

    def _call(self, what: str, call: t.Callable[[], t.Any]) -> t.Any:
        """One SDK operation, repeated while Keeper asks for patience. Once that is used up, all that follow fail."""
        while not self._exhausted:
            try:
                return self._once(what, call)
            except _Throttled as throttled:
                asked = throttled.retry_after
            self._exhausted = not self._patience or asked > _LONGEST_RETRY_AFTER
            if not self._exhausted:
                time.sleep((asked or self._patience[0]) * random.uniform(1.0, 1.25))
                del self._patience[0]
        raise RateLimited(f"{what}: Keeper is throttling this application. Run again in a few minutes.")

    def _once(self, what: str, call: t.Callable[[], t.Any]) -> t.Any:
        self._posts = 0
        try:
            return deadline.within(_REQUEST_TIMEOUT, call)
        except _Throttled:
            raise
        except deadline.TimedOut:
            # The thread that is left behind keeps the old one.
            self._session = self._new_session()
            raise Unreachable(f"{what}: no complete answer from Keeper within {_REQUEST_TIMEOUT} s.") from None
        except Exception as error:  # texts of the SDK quote the server, so only codes go on
            raise _failure(what, error) from None

    def _post(self, url: str, transmission_key: t.Any, signed: t.Any, *_ignored: t.Any) -> t.Any:
        """The SDK's post_function with what it lacks: timeouts, a size limit, no redirects, no netrc."""
        self._posts += 1
        if self._posts > _MOST_POSTS:
            raise _TooMuch
        answer = self._session.post(
            url,
            data=signed.encrypted_payload,
            headers={
                "Content-Type": "application/octet-stream",
                "PublicKeyId": str(transmission_key.publicKeyId),
                "TransmissionKey": base64.b64encode(transmission_key.encryptedKey).decode(),
                "Authorization": "Signature " + base64.b64encode(signed.signature).decode(),
            },
            auth=lambda request: request,
            verify=self._verify,
            timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
            allow_redirects=False,
            stream=True,
        )
        with answer:
            body = answer.raw.read(_LARGEST_ANSWER + 1, decode_content=True)
        if len(body) > _LARGEST_ANSWER:
            raise _TooMuch
        if answer.status_code == 403:
            _raise_if_throttled(body)
        plain = types.SimpleNamespace(
            status_code=answer.status_code, reason="", text=body.decode("utf-8", "replace"), request=None
        )
        return self._http_response(answer.status_code, body, plain)


@dataclasses.dataclass
class Snapshot:
    """What one read showed."""

    records: dict[str, Record]
    unreadable: int = 0

    def has(self, uid: str) -> bool:
        return uid in self.records

    def shows(self, reference: str) -> bool:
        """Whether there is one record, and no more, with this UID or title."""
        return reference in self.records or [each.title for each in self.records.values()].count(reference) == 1

    def find(self, reference: str) -> Record:
        """The record with this UID or title. Raises NotFound or Ambiguous."""
        if reference in self.records:
            return self.records[reference]
        matches = [record for record in self.records.values() if record.title == reference]
        if len(matches) > 1:
            uids = ", ".join(sorted(record.uid for record in matches))
            raise Ambiguous(f"{len(matches)} Keeper records have the title {reference}: {uids}. Name the UID.")
        if not matches:
            near = difflib.get_close_matches(reference, {record.title for record in self.records.values()}, 1)
            hint = f" The nearest title is {near[0]}." if near else ""
            hint += f" {self.unreadable} records or folders could not be decrypted." if self.unreadable else ""
            raise NotFound(f"Keeper shows this application no record with the UID or title {reference}.{hint}")
        return matches[0]


def _record(handle: t.Any) -> Record | None:
    """The record; None for one that is not what the SDK promises, which must not hide its neighbours."""
    try:
        data = json.loads(handle.raw_json)
        return Record(str(handle.uid), {**data}, int(handle.revision or 0), bool(handle.is_editable), handle)
    except Exception:  # whatever a record of somebody else's making may be
        return None


def _raise_if_throttled(body: bytes) -> None:
    try:
        answer = json.loads(body)
        throttled = answer.get("result_code", answer.get("error")) == "throttled"
    except (ValueError, AttributeError):
        return
    if not throttled:
        return
    try:
        retry_after = float(answer.get("retry_after") or 0)
    except (ValueError, TypeError):
        retry_after = 0.0
    raise _Throttled(max(retry_after, 0.0))


def _failure(what: str, error: Exception) -> RotationError:
    """Our error for one of the SDK's or of requests; of its text only Keeper's own short code is kept."""
    if isinstance(error, RotationError):
        return error
    names = {base.__name__ for base in type(error).__mro__}
    if "SSLError" in names:
        return VaultError(
            f"{what}: Keeper's TLS certificate does not verify. Set ca_path if a company proxy signs its own.",
            retry_safe=False,
        )
    if names & {"ConnectionError", "Timeout", "ProtocolError", "TimeoutError"}:
        url = getattr(getattr(error, "request", None), "url", None)
        host = f" at {urllib.parse.urlsplit(url).netloc}" if isinstance(url, str) else ""
        return Unreachable(f"{what}: no answer from Keeper{host} ({type(error).__name__}).")
    match = re.match(r"Error: ([a-z_]{1,40}),", str(error)) if "KeeperError" in names else None
    code = match[1] if match else ""
    if code in ("access_denied", "invalid_client", "signature_is_invalid", "invalid_client_version"):
        return AuthFailed(f"{what}: Keeper refused this application (code {code}).")
    return VaultError(f"{what}: Keeper answered with an error ({code or type(error).__name__}).")
