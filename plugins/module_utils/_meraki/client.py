# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What is asked of Meraki's Dashboard API, and what its answers mean."""

from __future__ import annotations

import contextlib
import json
import re
import typing as t
import urllib.parse

from ansible_collections.keyturn.credentials.plugins.module_utils._core import secrets, transport
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    AuthFailed,
    InvalidInput,
    NotFound,
    NotPermitted,
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import checked_url
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.user import AuthUser, address, parse

DEFAULT_URL = "https://api.meraki.com/api/v1"
# An organization has at most 50,000 such users, of about half a kilobyte each; the list comes in one piece.
LARGEST_ANSWER = 32 << 20
_BASE_PATH = "/api/v1"
_VERSION = re.compile(r"/api(?:/v([0-9]+))?\Z", re.IGNORECASE)
_NETWORK_ID = re.compile(r"[A-Za-z0-9_-]+\Z")
_KEY = re.compile(r"[!-~]+\Z")
_REASONS, _LONGEST_REASON = 3, 200


def base_url(text: str, proxy: str | None = None) -> str:
    """The address of the API with its path. Raises InvalidInput."""
    url = checked_url(text, option="api_url", proxy=proxy)
    ending = _VERSION.search(url)
    if ending and ending[1] not in (None, "1"):
        raise InvalidInput(f"api_url ends in {ending[0]}, but it is version 1 of the API that is spoken: {_BASE_PATH}.")
    return url[: ending.start() if ending else None] + _BASE_PATH


def checked_key(key: str) -> str:
    """The API key. Raises InvalidInput for what cannot go into a header."""
    if not _KEY.match(key):
        raise InvalidInput("api_key is empty, or contains blanks, line ends or other characters that no API key has.")
    return key


def checked_network_id(network_id: str) -> str:
    if not _NETWORK_ID.match(network_id):
        raise InvalidInput(
            "network_id must be the network's id, like N_24329156 or L_646829496481105433; not its name."
        )
    return network_id


class Client:
    """One API key and one network. Every method raises RotationError."""

    def __init__(self, channel: transport.Http, url: str, key: str, network_id: str) -> None:
        self._http = channel
        self._users_url = f"{url}/networks/{urllib.parse.quote(network_id, safe='')}/merakiAuthUsers"
        self._host = urllib.parse.urlsplit(url).netloc
        self._key = key
        self.network_id = network_id

    def users(self) -> list[AuthUser]:
        """All users of the network with Meraki authentication."""
        subject = f"Listing the users of network {self.network_id} at {self._host}"
        try:
            answer = self._http.send(transport.Request("GET", self._users_url, self._headers()), "same")
        except transport.NoAnswer as lost:
            raise transport.unreachable(subject, lost) from None
        refusal = self._refusal(subject, answer, [])
        if refusal is not None:
            raise refusal
        if answer.status >= 500:
            raise Unreachable(f"{subject}: Meraki answered {answer.status}.", advice="Run again later.")
        if answer.status == 200:
            with contextlib.suppress(ValueError):
                return parse(answer.json())
        raise UnknownOutcome(f"{subject}: the answer is not Meraki's list of users.", advice="Check api_url.")

    def set_password(self, user: AuthUser, password: str, *, email_it: bool) -> None:
        """The one write. It is repeated with the same value after 5xx and lost answers."""
        if not user.id.strip("."):
            raise Refused(f"The id of user {user.email} is none.")
        subject = f"Setting the password of {user.email} in network {self.network_id}"
        body: dict[str, t.Any] = {"password": password, **({"emailPasswordToUser": True} if email_it else {})}
        request = transport.Request(
            "PUT",
            f"{self._users_url}/{urllib.parse.quote(user.id, safe='')}",
            {**self._headers(), "Content-Type": "application/json"},
            json.dumps(body).encode(),
        )
        try:
            answer = self._http.send(request, "same")
        except transport.NoAnswer as lost:
            if lost.unsent:
                raise transport.unreachable(subject, lost) from None
            raise _unknown(f"{subject}: no answer, {lost.reason}.", unanswered=1) from None
        if answer.status == 200 and _names(answer, user):
            return
        refusal = self._refusal(subject, answer, [password])
        # The engine stops asking a service that cannot be reached through its limit, as it does for a silent one.
        unanswered = int(answer.status == 429 or answer.status >= 500)
        if refusal is not None and not answer.doubt:
            refusal.unanswered = unanswered
            raise refusal
        strange = ", which does not name this user" if answer.status == 200 else ""
        earlier = " after an earlier try had got no clear answer" if answer.doubt else ""
        raise _unknown(f"{subject}: Meraki answered {answer.status}{strange}{earlier}.", unanswered=unanswered)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}", "Accept": "application/json"}

    def _refusal(self, subject: str, answer: transport.Answer, hidden: list[str]) -> RotationError | None:
        """The error for an answer after which nothing has changed for certain; None for any other answer."""
        status = answer.status
        said = _reasons(answer, [*hidden, self._key])
        if 300 <= status < 400:
            return Refused(
                f"{subject}: the service redirects ({status}), which is not followed, because key and password would "
                "go to another address. Set api_url to the address of the organization's region.",
                evidence={"status": status},
                left="unknown",
            )
        if status == 401:
            return AuthFailed(
                f"{subject}: the API key is wrong, revoked, or of another region than {self._host} (401).",
                everybody=True,
            )
        if status == 403:
            return NotPermitted(f"{subject}: the API key's administrator may not do this (403){said}.")
        if status == 404:
            return NotFound(
                f"{subject}: there is no such thing, or this API key may not see it, or it is in another region than "
                f"{self._host} (404){said}."
            )
        if status == 429:
            return transport.rate_limited(subject, answer)
        if 400 <= status < 500 and status not in transport.GIVEN_UP:
            return Refused(f"{subject}: Meraki refused ({status}){said}.", evidence={"refusal_code": status})
        return None


def _unknown(what: str, *, unanswered: int = 0) -> UnknownOutcome:
    return UnknownOutcome(
        f"{what} The password may or may not have been changed. Run again with the same password, which is safe.",
        unanswered=unanswered,
    )


def _names(answer: transport.Answer, user: AuthUser) -> bool:
    """Whether the body is this user's; a foreign page may answer 200, too."""
    try:
        (told,) = parse([answer.json()])
    except ValueError:
        return False
    return told.id == user.id and address(told.email) == address(user.email)


def _reasons(answer: transport.Answer, hidden: list[str]) -> str:
    """What Meraki gives as reasons, without secrets, control characters and endless texts; '' if it gives none."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    errors = body.get("errors") if isinstance(body, dict) else None
    texts = [text for text in errors if isinstance(text, str)] if isinstance(errors, list) else []
    shown = [secrets.foreign_text(text, hidden, _LONGEST_REASON).rstrip(". ") for text in texts[:_REASONS]]
    return f": {' | '.join(shown)}" if shown else ""
