# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Keeper Secrets Manager service on the loopback interface, for the vendor's unmodified SDK and Ansible plugins.

It shows how our clients behave, not how Keeper's service does: where that is undocumented, ``Vault`` has switches.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import typing as t
from pathlib import Path

from tests.sandbox.keeper.service import KeeperService, error_response
from tests.sandbox.keeper.state import App, Folder
from tests.sandbox.keeper.tls import server_context
from tests.sandbox.keeper.vault import Vault, config_base64, write_private
from tests.sandbox.server import Fault, LoopbackServer

__all__ = ["App", "Folder", "KeeperSandbox", "error_response"]


class KeeperSandbox(Vault):
    """A vault and its HTTPS server, for as long as the ``with`` block lasts."""

    def __init__(self, *, port: int = 0) -> None:
        super().__init__()
        self._directory = Path(tempfile.mkdtemp(prefix="keeper-sandbox-"))
        try:
            context, self.ca_path = server_context(self._directory)
            self._server = LoopbackServer(KeeperService(self), tls=context, port=port)
        except BaseException:
            shutil.rmtree(self._directory)
            raise
        self.host, self.port = self._server.host, self._server.port
        self.hostname = f"{self.host}:{self.port}"
        self.journal, self.faults, self.errors = self._server.journal, self._server.faults, self._server.errors

    def throttle(self, n: int, *, retry_after: float | None = None, match: str = "") -> None:
        """Answer the next ``n`` requests (those whose label matches) as the service throttles."""
        more: dict[str, t.Any] = {} if retry_after is None else {"retry_after": retry_after}
        response = error_response(403, "throttled", "Too many requests", member=self.error_member, **more)
        self.faults.add(Fault(match, times=n, response=response))

    def client_config(self, app: App | None = None) -> dict[str, str]:
        """The configuration of a new client that is bound already; every call makes another client."""
        return self.bound_config(self.hostname, app)

    def client_config_base64(self, app: App | None = None) -> str:
        return config_base64(self.client_config(app))

    def write_client_config(self, path: Path, app: App | None = None) -> Path:
        """Write a configuration file, mode 0600."""
        return write_private(path, json.dumps(self.client_config(app)))

    def environment(self) -> dict[str, str]:
        """What a client's process needs in its environment to trust and reach this server."""
        return {
            "REQUESTS_CA_BUNDLE": str(self.ca_path),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "KSM_CONFIG_SKIP_MODE_WARNING": "TRUE",
        }

    def close(self) -> None:
        """Stop, and leave no thread, socket or file."""
        self._server.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
