# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An AWX credential plugin that reads a field of a Keeper record through Keeper's SDK.

AWX finds ``plugin`` by an entry point, shows ``plugin.inputs`` as a form, and calls ``plugin.backend`` with the answers
before each job. Whatever is raised is shown to the user, so no text here comes from Keeper or holds a value.
"""

from __future__ import annotations

import base64
import json
import queue
import threading
import types
import typing as t

import keeper_secrets_manager_core as ksm
import requests
from keeper_secrets_manager_core.dto.payload import KSMHttpResponse
from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage

# Seconds for the connection, for silence on it, and for everything together: AWX waits, and the SDK has no bounds.
_CONNECT_TIMEOUT = 10
_READ_TIMEOUT = 20
_TOTAL_TIMEOUT = 60
_SELECTORS = ("field", "custom_field")


class CredentialPlugin(t.NamedTuple):
    """What AWX reads of a plugin (``CredentialType.load_plugin`` in awx/main/models/credential.py)."""

    name: str
    inputs: dict[str, t.Any]
    backend: t.Callable[..., str]
    plugin_description: str = ""


class KeeperLookupError(Exception):
    """Why there is no value, in words for the person who set the lookup up."""


def lookup(*, config: str, notation: str, **_other: t.Any) -> str:
    """The one value that the notation names. Raises KeeperLookupError."""
    _check(notation)
    try:
        values = _within(_TOTAL_TIMEOUT, lambda: _client(config).get_notation_results(notation))
    except KeeperLookupError:
        raise
    except Exception as error:  # the SDK's texts may quote the server
        raise _explained(error) from None
    if len(values) > 1:
        raise KeeperLookupError("The field has several values; name one, for example field/url[0].")
    if not values or not values[0] or values[0] == "null":
        raise KeeperLookupError("The field is empty.")
    return str(values[0])


def _check(notation: str) -> None:
    try:
        section = ksm.SecretsManager.parse_notation(notation)[2]
    except ValueError:
        section = None
    if section is None or section.text[0].lower() not in _SELECTORS:
        raise KeeperLookupError("The notation is not valid. It looks like keeper://<record>/field/password.")


def _client(config: str) -> t.Any:
    """The SDK on the configuration, in memory. The SDK takes JSON or base64 of it."""
    try:
        storage = InMemoryKeyValueStorage(config.strip())
        needed = {"hostname", "clientId", "privateKey", "appKey"}
        if not needed <= {name for name, value in storage.read_storage().items() if value}:
            raise ValueError
        return ksm.SecretsManager(config=storage, custom_post_function=_post)
    except Exception:  # its text may quote the configuration
        raise KeeperLookupError(
            "The Keeper client configuration is not usable: it must be JSON or base64 of it, with hostname, clientId, "
            "privateKey and appKey. A one-time token must be redeemed first."
        ) from None


def _post(url: str, transmission_key: t.Any, signed: t.Any, *_ignored: t.Any) -> KSMHttpResponse:
    """The SDK's post function with timeouts, no redirects, no netrc, and TLS always verified."""
    answer = requests.post(
        url,
        data=signed.encrypted_payload,
        headers={
            "Content-Type": "application/octet-stream",
            "PublicKeyId": str(transmission_key.publicKeyId),
            "TransmissionKey": base64.b64encode(transmission_key.encryptedKey).decode(),
            "Authorization": "Signature " + base64.b64encode(signed.signature).decode(),
        },
        auth=lambda request: request,
        verify=True,
        timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
        allow_redirects=False,
    )
    if answer.status_code == 403 and _throttled(answer.content):
        # The SDK would sleep up to seven minutes; AWX can start the job again.
        raise KeeperLookupError("Keeper is throttling this application. Launch the job again in a few minutes.")
    plain = types.SimpleNamespace(status_code=answer.status_code, reason="", text=answer.text, request=None)
    return KSMHttpResponse(answer.status_code, answer.content, plain)


def _throttled(body: bytes) -> bool:
    try:
        answer = json.loads(body)
        return bool(answer.get("result_code", answer.get("error")) == "throttled")
    except (ValueError, AttributeError):
        return False


def _within(seconds: float, call: t.Callable[[], list[str]]) -> list[str]:
    """The call's result or exception. One that is stuck is left behind in its daemon thread."""
    answers: queue.Queue[tuple[list[str] | None, Exception | None]] = queue.Queue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:  # handed to the caller
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        values, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise KeeperLookupError(f"No complete answer from Keeper within {seconds:.0f} s.") from None
    if error is not None:
        raise error
    return values or []


def _explained(error: Exception) -> KeeperLookupError:
    """Our words for the SDK's or requests' error, of whose text nothing is kept."""
    if isinstance(error, requests.exceptions.SSLError):
        return KeeperLookupError("Keeper's TLS certificate does not verify. A company proxy needs REQUESTS_CA_BUNDLE.")
    # The SDK itself raises an HTTPError for an answer that it does not understand.
    if isinstance(error, requests.exceptions.RequestException) and not isinstance(error, requests.exceptions.HTTPError):
        return KeeperLookupError(f"No answer from Keeper ({type(error).__name__}).")
    text = str(error)
    for phrase, meaning in (
        ("multiple records", "Several records have this title. Name the UID instead."),
        ("no records", "Keeper shows this application no record with this UID or title."),
        ("multiple fields", "The record has several such fields."),
        ("no fields", "The record has no such field."),
        ("out of bounds", "The field has no value at this position."),
        ("access_denied", "Keeper refused this application (access_denied)."),
    ):
        if phrase in text:
            return KeeperLookupError(meaning)
    return KeeperLookupError(f"Keeper could not be read ({type(error).__name__}).")


plugin = CredentialPlugin(
    name="Keeper Secrets Manager",
    inputs={
        "fields": [
            {
                "id": "config",
                "label": "Client configuration",
                "type": "string",
                "secret": True,
                "multiline": True,
                "help_text": "The client configuration of a Secrets Manager application: JSON, or its base64.",
            },
        ],
        "metadata": [
            {
                "id": "notation",
                "label": "Keeper notation",
                "type": "string",
                "help_text": (
                    "Record by UID or title, then field or custom_field, then label or type: "
                    "keeper://uQ9wE8rT7yU6iO5pA4sD3f/field/password"
                ),
            },
        ],
        "required": ["config", "notation"],
    },
    backend=lookup,
    plugin_description="Reads one field of a Keeper record, by Keeper's own notation.",
)
