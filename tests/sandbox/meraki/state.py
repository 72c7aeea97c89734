# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Organizations, networks, users and API keys, in memory; and the rate limit of an organization."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import threading
import time
import typing as t

Access = t.Literal["full", "read"]


@dataclasses.dataclass
class Authorization:
    """expires: None for one without end. ssid: its number, for wireless networks only."""

    zone: str = "Client VPN"
    expires: dt.datetime | None = None
    ssid: int | None = None


@dataclasses.dataclass
class User:
    """One user with Meraki authentication. sets: how often its password was set."""

    id: str
    email: str
    name: str
    password: str = dataclasses.field(repr=False)
    account_type: str = "Client VPN"
    is_admin: bool = False
    authorizations: list[Authorization] = dataclasses.field(default_factory=lambda: [Authorization()])
    sets: int = 0


@dataclasses.dataclass
class Network:
    id: str
    organization: str
    name: str
    users: dict[str, User] = dataclasses.field(default_factory=dict)


class Limiter:
    """Requests of one organization. Real seconds, because clients wait them."""

    def __init__(self) -> None:
        self._times: collections.deque[float] = collections.deque()
        self._tokens, self._at = 10.0, time.monotonic()

    def allows(self, rate: float, *, burst: bool) -> bool:
        """burst: as documented, ten more at once after a pause; else no second ever holds more than ``rate``."""
        now = time.monotonic()
        if burst:
            self._tokens = min(10.0, self._tokens + (now - self._at) * rate)
            self._at = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
        while self._times and now - self._times[0] >= 1:
            self._times.popleft()
        if len(self._times) >= rate:
            return False
        self._times.append(now)
        return True


def user_id(email: str) -> str:
    """Like the example in Cisco's document, which is base64."""
    return base64.b64encode(email.encode()).decode()


class Dashboard:
    """All state, behind one lock. Where the real service's behaviour is not documented, an attribute chooses:

    rate: requests per second of an organization; None for no limit. burst: see ``Limiter``.
    retry_after: what a 429 says; None to say nothing.
    shortest_password: what is refused with 400; quotes_password: whether that answer quotes it.
    never_as_text: an authorization without end says ``Never``; else it has no ``expiresAt``.
    """

    def __init__(self) -> None:
        self.rate: float | None = 10.0
        self.burst = True
        self.retry_after: str | None = "1"
        self.shortest_password = 8
        self.quotes_password = False
        self.never_as_text = False
        self.lock = threading.RLock()
        self.keys: dict[str, Access] = {}
        self.networks: dict[str, Network] = {}
        self.batches: dict[str, dict[str, t.Any]] = {}
        self.limiters: dict[str, Limiter] = collections.defaultdict(Limiter)
        self.limited_answers = 0
        # What clients sent: (method, path, body), secrets included.
        self.writes: list[tuple[str, str, t.Any]] = []
        # How they authenticated: the names of the headers.
        self.authentications: list[str] = []

    def limited(self, organization: str) -> bool:
        with self.lock:
            if self.rate is None or self.limiters[organization].allows(self.rate, burst=self.burst):
                return False
            self.limited_answers += 1
            return True

    def add_user(self, network_id: str, email: str, password: str, **fields: t.Any) -> User:
        with self.lock:
            users = self.networks[network_id].users
            key = fields.pop("id", None) or user_id(email)
            while key in users:
                key += "A"
            users[key] = User(key, email, fields.pop("name", email.partition("@")[0]), password, **fields)
            return users[key]
