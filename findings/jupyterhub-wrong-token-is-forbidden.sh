#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# JupyterHub 5.5.4, its REST API: a token that is none, and one that was revoked.
#
# Guess: a request with an API token that does not exist is not authenticated, so it gets 401, and 403 is for a token that
# may not do this.
#
# Seen: 403 for a text that is no token, for a revoked token, for no token at all, and for a good one without the scope. The
# status never tells a wrong token from a missing right, and a proof that takes 401 alone for "wrong" never sees one.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'jupyterhub==5.5.4' 'requests==2.32.5'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/python -c 'import secrets; print(secrets.token_hex(), secrets.token_hex())' >tokens
chmod 600 tokens
cat >jupyterhub_config.py <<PY
from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    should_start = False

    async def add_route(self, routespec, target, data):
        pass

    async def delete_route(self, routespec):
        pass

    async def get_all_routes(self):
        return {}


rotator, reader = open("tokens").read().split()
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.bind_url = "http://127.0.0.1:$port"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:$port/hub/"
c.JupyterHub.db_url = "sqlite:///$work/hub.sqlite"
c.JupyterHub.cookie_secret_file = "$work/cookie_secret"
c.Authenticator.allowed_users = {"bob"}
c.JupyterHub.services = [{"name": "rotator", "api_token": rotator}, {"name": "reader", "api_token": reader}]
c.JupyterHub.load_roles = [{"name": "rotator", "scopes": ["admin:users", "tokens"], "services": ["rotator"]}]
PY
venv/bin/jupyterhub --config jupyterhub_config.py >server.log 2>&1 &
server=$!

venv/bin/python - "$port" <<'PY'
import secrets, sys, time
import requests

api = f"http://127.0.0.1:{sys.argv[1]}/hub/api"
rotator, reader = open("tokens").read().split()


def ask(method, path, token):
    headers = {"Authorization": f"token {token}"} if token else {}
    return requests.request(method, api + path, headers=headers, timeout=20)


for _attempt in range(240):
    try:
        if requests.get(api + "/", timeout=5).status_code == 200:
            break
    except requests.ConnectionError:
        time.sleep(0.25)
made = ask("POST", "/users/bob/tokens", rotator)
assert made.status_code == 201, made.status_code
token, number = made.json()["token"], made.json()["id"]
seen = {"good": ask("GET", "/user", token).status_code}
assert ask("DELETE", f"/users/bob/tokens/{number}", rotator).status_code == 204
seen["revoked"] = ask("GET", "/user", token).status_code
seen["no token"] = ask("GET", "/user", secrets.token_hex()).status_code
seen["none given"] = ask("GET", "/user", None).status_code
seen["without the scope"] = ask("GET", "/users/bob", reader).status_code
print("jupyterhub 5.5.4:", seen)
sys.exit(seen != {"good": 200, "revoked": 403, "no token": 403, "none given": 403, "without the scope": 403})
PY
