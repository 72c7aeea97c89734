# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""qBittorrent without a window, from Debian: one user, whose password this is."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import shutil
import typing as t
from pathlib import Path

from tests.servers.launch import Launch, launched, private
from tests.servers.server import Server, call, done

_NAME = "üser'\"\\${password}"
_SETTINGS = """\
[LegalNotice]
Accepted=true
[Preferences]
WebUI\\Enabled=true
WebUI\\Address=127.0.0.1
WebUI\\Port={port}
WebUI\\UseUPnP=false
WebUI\\LocalHostAuth=true
WebUI\\Username=first
WebUI\\Password_PBKDF2="@ByteArray({hashed})"
WebUI\\MaxAuthenticationFailCount=1000
[BitTorrent]
Session\\Port={torrents}
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=false
Session\\Interface=lo
[Network]
PortForwardingEnabled=false
"""


def absent() -> str:
    return "" if shutil.which("qbittorrent-nox") else "qbittorrent-nox is not installed (Debian: qbittorrent-nox)"


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 100000)
    return f"{base64.b64encode(salt).decode()}:{base64.b64encode(key).decode()}"


def _prepare(directory: Path, ports: list[int], password: str) -> Launch:
    folder = directory / "qBittorrent" / "config"
    folder.mkdir(parents=True)
    private(folder / "qBittorrent.conf", _SETTINGS.format(port=ports[0], torrents=ports[1], hashed=_hashed(password)))

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/").status_code == 200

    return Launch(["qbittorrent-nox", f"--profile={directory}"], ready, {"HOME": str(directory)})


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    password = secrets.token_urlsafe()
    with launched(lambda directory, ports: _prepare(directory, ports, password), ports=2) as ports:
        url = f"http://127.0.0.1:{ports[0]}"

        def login(name: str, given: str) -> t.Any:
            return call("POST", f"{url}/api/v2/auth/login", data={"username": name, "password": given})

        def accepts(name: str, given: str) -> bool:
            return {"Ok.": True, "Fails.": False}[done(login(name, given), 200).text]

        def add_user(name: str, given: str) -> None:
            """Renames the only one."""
            cookies = done(login(*current), 200).cookies
            told = json.dumps({"web_ui_username": name, "web_ui_password": given})
            done(call("POST", f"{url}/api/v2/app/setPreferences", data={"json": told}, cookies=cookies), 200)
            current[:] = [name, given]

        current = ["first", password]
        cookies = done(login(*current), 200).cookies
        yield Server(
            version=call("GET", f"{url}/api/v2/app/version", cookies=cookies).text,
            url=url,
            vars={},
            secrets={},
            add_user=add_user,
            accepts=accepts,
            names=(_NAME,),
            no_user="auth_failed",
            users=1,
            own=True,
        )
