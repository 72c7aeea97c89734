#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Kinto 26.5.0 with its accounts: the page that says who is logged in answers a wrong password with 200.
#
# Guess: GET /v1/ with HTTP Basic says who one is, so a wrong password gets 401 there, as on every other path.
#
# Seen: 200 for the right password, a wrong one, and none at all. Only the member "user" of the body tells them apart, and
# the wrong password gets no WWW-Authenticate either. A proof that looks at the status proves every password.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'kinto==26.5.0' 'requests==2.32.5'

cat >kinto.ini <<INI
[app:main]
use = egg:kinto
kinto.includes = kinto.plugins.accounts
kinto.userid_hmac_secret = $(venv/bin/python -c 'import secrets; print(secrets.token_hex())')
kinto.storage_backend = kinto.core.storage.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.cache_backend = kinto.core.cache.memory
multiauth.policies = account
multiauth.policy.account.use = kinto.plugins.accounts.authentication.AccountsAuthenticationPolicy
kinto.account_create_principals = system.Everyone
INI
cat >server.py <<'PY'
from wsgiref.simple_server import make_server
from pyramid.paster import get_app

server = make_server("127.0.0.1", 0, get_app("kinto.ini", "main"))
print(server.server_port, flush=True)
server.serve_forever()
PY
mkfifo port
venv/bin/python server.py >port 2>server.log &
server=$!
read -r number <port

venv/bin/python - "$number" <<'PY'
import secrets, sys
import requests

api, right = f"http://127.0.0.1:{sys.argv[1]}/v1", secrets.token_urlsafe()
assert requests.put(f"{api}/accounts/bob", json={"data": {"password": right}}).status_code == 201
seen = {}
for kind, auth in (("right", ("bob", right)), ("wrong", ("bob", right + "x")), ("none", None)):
    root, own = (requests.get(api + path, auth=auth) for path in ("/", "/accounts/bob"))
    user = (root.json().get("user") or {}).get("id")
    seen[kind] = (root.status_code, user, "WWW-Authenticate" in root.headers, own.status_code)
    print(f"{kind:<6} GET /v1/: {root.status_code}, user {user}; GET /v1/accounts/bob: {own.status_code}")
expected = {"right": (200, "account:bob", False, 200), "wrong": (200, None, False, 401), "none": (200, None, False, 401)}
sys.exit(seen != expected)
PY
