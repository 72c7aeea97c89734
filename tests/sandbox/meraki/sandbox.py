# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dashboard with its server: what the demo and the tests start."""

from __future__ import annotations

import typing as t

from tests.sandbox.meraki.service import VPN_PATH, MerakiService
from tests.sandbox.meraki.state import Access, Dashboard, Network, User
from tests.sandbox.server import LoopbackServer

ORGANIZATION = "2930418"
NETWORK = "N_24329156"


class MerakiSandbox(Dashboard):
    """One dashboard on 127.0.0.1, plain HTTP, for as long as the ``with`` block lasts; it has one network."""

    def __init__(self, *, port: int = 0) -> None:
        super().__init__()
        self.network = self.add_network(NETWORK)
        self._server = LoopbackServer(MerakiService(self), port=port)
        self.host, self.port = self._server.host, self._server.port
        self.url = f"http://{self.host}:{self.port}/api/v1"
        self.vpn_url = f"http://{self.host}:{self.port}{VPN_PATH}"
        self.journal, self.faults, self.errors = self._server.journal, self._server.faults, self._server.errors

    def settings(self, key: str) -> dict[str, t.Any]:
        """The options of this collection's modules that lead here."""
        return {"api_url": self.url, "api_key": key, "network_id": self.network.id}

    def add_key(self, key: str, access: Access = "full") -> str:
        self.keys[key] = access
        return key

    def add_network(self, network_id: str, organization: str = ORGANIZATION) -> Network:
        self.networks[network_id] = Network(network_id, organization, f"Network {network_id}")
        return self.networks[network_id]

    def user(self, email: str, account_type: str = "Client VPN") -> User:
        with self.lock:
            found = [user for user in self.network.users.values() if user.email.casefold() == email.casefold()]
            (user,) = [user for user in found if user.account_type == account_type]
            return user

    def accepts(self, email: str, password: str) -> bool:
        """Whether the VPN lets this user in with this password."""
        return self.user(email).password == password

    def close(self) -> None:
        self._server.close()

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
