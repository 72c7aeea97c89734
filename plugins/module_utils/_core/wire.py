# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""How requests travel, as users say it: the options that all services over HTTP have."""

from __future__ import annotations

import dataclasses
import math
import os
import ssl
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

WIRE_SPEC = ArgumentSpec(
    options={
        "validate_certs": {"type": "bool", "default": True, "no_log": False},
        "ca_path": {"type": "path", "no_log": False},
        # It may hold the proxy's own password.
        "proxy": {"type": "str", "no_log": True},
        "timeout": {"type": "float", "default": 30.0, "no_log": False},
        "max_retries": {"type": "int", "default": 3, "no_log": False},
    }
)


@dataclasses.dataclass(frozen=True)
class Wire:
    """How requests travel; the fields are the options of WIRE_SPEC and of client certificates. timeout: seconds."""

    validate_certs: bool = True
    ca_path: str | None = None
    proxy: str | None = dataclasses.field(default=None, repr=False)
    timeout: float = 30.0
    max_retries: int = 3
    client_cert: str | None = None
    client_key: str | None = None

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> Wire:
        """From validated module parameters. Raises InvalidInput for numbers out of range and files that are absent."""
        wire = cls(**{field.name: params[field.name] for field in dataclasses.fields(cls) if field.name in params})
        if not 0 < wire.timeout < math.inf or wire.max_retries < 0:
            raise InvalidInput("timeout must be more than 0, and max_retries not less than 0.")
        if wire.client_key and not wire.client_cert:
            raise InvalidInput("client_key is given without client_cert.")
        for name in ("ca_path", "client_cert", "client_key"):
            path = getattr(wire, name)
            if path and not os.access(path, os.R_OK):
                raise InvalidInput(f"{name}: {path} cannot be read.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if wire.ca_path and os.path.isfile(wire.ca_path):
                context.load_verify_locations(wire.ca_path)
        except ssl.SSLError:
            raise InvalidInput(f"ca_path: {wire.ca_path} is no PEM file of certificate authorities.") from None
        try:
            if wire.client_cert:
                context.load_cert_chain(wire.client_cert, wire.client_key, password="")
        except (OSError, ValueError):
            raise InvalidInput(
                f"client_cert: {wire.client_cert} and its key are no PEM files that belong together, or the key is "
                "encrypted."
            ) from None
        return wire
