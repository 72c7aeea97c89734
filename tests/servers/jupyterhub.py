# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JupyterHub with nativeauthenticator, from the Python package index; without the proxy that stands before it."""

from __future__ import annotations

import contextlib
import re
import secrets
import typing as t
from pathlib import Path

import requests

from tests.servers import venvs
from tests.servers.launch import Launch, launched, private
from tests.servers.server import Server, call, done

_ADMIN = "admin"
_SETTINGS = """\
from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    should_start = False

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass

    async def get_all_routes(self):
        return {{}}


c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "native"
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{port}/hub/"
c.JupyterHub.db_url = "sqlite:///{directory}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{directory}/cookie_secret"
c.JupyterHub.log_level = "ERROR"
c.Authenticator.admin_users = {{"{admin}"}}
c.Authenticator.allow_all = True
c.NativeAuthenticator.open_signup = True
c.NativeAuthenticator.check_common_password = True
c.NativeAuthenticator.minimum_password_length = 8
c.JupyterHub.services = [{{"name": "rotator", "api_token": "{api_token}"}}]
c.JupyterHub.load_roles = [{{"name": "rotator", "scopes": ["admin:users", "tokens"], "services": ["rotator"]}}]
"""


def absent() -> str:
    return venvs.absent("jupyterhub")


def _prepare(directory: Path, ports: list[int], api_token: str) -> Launch:
    text = _SETTINGS.format(directory=directory, port=ports[0], admin=_ADMIN, api_token=api_token)
    settings = private(directory / "jupyterhub_config.py", text)
    command = [str(venvs.program("jupyterhub", "jupyterhub")), "--config", str(settings)]

    def ready() -> bool:
        return call("GET", f"http://127.0.0.1:{ports[0]}/hub/login").status_code == 200

    return Launch(command, ready, {"HOME": str(directory)})


@contextlib.contextmanager
def start() -> t.Iterator[Server]:
    password, api_token = secrets.token_urlsafe(), secrets.token_hex()
    with launched(lambda directory, ports: _prepare(directory, ports, api_token), ports=1) as ports:
        url = f"http://127.0.0.1:{ports[0]}"

        def send(session: requests.Session, path: str, form: dict[str, str]) -> requests.Response:
            """As a browser: what the page has set as a cookie goes back with the form."""
            session.trust_env = False
            session.get(url + path, timeout=30)
            form = {**form, "_xsrf": session.cookies["_xsrf"]}
            return session.post(url + path, data=form, timeout=30, allow_redirects=False)

        def accepts(name: str, given: str) -> bool:
            with requests.Session() as session:
                answer = send(session, "/hub/login", {"username": name, "password": given})
                return {302: True, 200: False}[answer.status_code]

        def add_user(name: str, given: str) -> None:
            form = {"username": name, "signup_password": given, "signup_password_confirmation": given}
            with requests.Session() as session:
                answer = done(send(session, "/hub/signup", form), 200)
                assert re.search("signup was successful", answer.text), "the user was not created"

        add_user(_ADMIN, password)
        yield Server(
            version=venvs.version("jupyterhub"),
            url=url,
            vars={"admin_username": _ADMIN},
            secrets={"admin_password": password, "api_token": api_token},
            add_user=add_user,
            accepts=accepts,
            names=("é'\"\\${password}",),
            # More bytes than bcrypt takes are an internal error.
            fits=lambda given: given.encode()[:72].decode(errors="ignore"),
        )
