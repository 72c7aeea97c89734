# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Which addresses may be asked, and whether one stays where another is."""

from __future__ import annotations

import ipaddress
import urllib.parse

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput


def checked_url(text: str, *, option: str, allow_http: bool = False, proxy: str | None = None) -> str:
    """The base address without a slash at its end.

    Raises InvalidInput unless it is https (or http to loopback, or to anywhere with allow_http) with nothing but a
    host, a port and a path. Through a proxy elsewhere, loopback is the proxy's.
    """
    try:
        parts = urllib.parse.urlsplit(text.strip())
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise InvalidInput(f"{option} is no address.") from None
    if parts.scheme not in ("https", "http") or not host:
        raise InvalidInput(f"{option} must be an address that begins with https://.")
    if parts.username is not None or parts.password is not None or "?" in text or "#" in text:
        raise InvalidInput(f"{option} must have no user info, query or fragment.")
    if any(character.isspace() or not character.isprintable() for character in text.strip()):
        raise InvalidInput(f"{option} contains blanks or control characters.")
    near = is_loopback(host) and (not proxy or is_loopback(_host(proxy)))
    if parts.scheme == "http" and not allow_http and not near:
        raise InvalidInput(f"{option} is http:// to a host that is not loopback, where anybody could read the secrets.")
    return text.strip().rstrip("/")


def _host(address: str) -> str:
    try:
        return urllib.parse.urlsplit(address).hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether what is sent there never leaves the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port, to tell whether an address stays where it was (RFC 6454)."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme.lower(), (parts.hostname or "").lower(), port
