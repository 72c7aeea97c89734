#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Verdaccio 6.8.0 with its own npm tokens: what a revoked one is answered.
#
# Guess: GET /-/npm/v1/user with a bearer token that was revoked gets 401, as every token does that is none.
#
# Seen: 401 for a text that is no token, and 403 for one that was valid and has been revoked. Who takes only 401 for "this
# token is wrong" holds a revoked one for a token that works and may not do this.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "dependencies": {"verdaccio": "6.8.0"}, "overrides": {"node-fetch": "2.7.0"}}' >package.json
npm install --silent --no-audit --no-fund >/dev/null
cat >config.yaml <<YAML
storage: $work/storage
auth:
  htpasswd:
    file: $work/htpasswd
packages:
  "**":
    access: \$authenticated
web:
  enable: false
log:
  type: stdout
  level: http
YAML
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
HOME=$work node_modules/.bin/verdaccio --config config.yaml --listen "127.0.0.1:$port" >server.log 2>&1 &
server=$!

python3 - "$port" <<'PY'
import base64, json, secrets, sys, time, urllib.error, urllib.request

registry = f"http://127.0.0.1:{sys.argv[1]}"


def ask(method, path, authorization=None, body=None):
    headers = {"Content-Type": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(registry + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refusal:
        return refusal.code, None


for _attempt in range(240):
    try:
        if ask("GET", "/-/ping")[0] == 200:
            break
    except OSError:
        time.sleep(0.25)
password = secrets.token_urlsafe()
assert ask("PUT", "/-/user/org.couchdb.user:bob", body={"name": "bob", "password": password})[0] == 201
basic = "Basic " + base64.b64encode(f"bob:{password}".encode()).decode()
wanted = {"password": password, "readonly": False, "cidr_whitelist": []}
_status, made = ask("POST", "/-/npm/v1/tokens", basic, wanted)
bearer, seen = "Bearer " + made["token"], {}
seen["valid"] = ask("GET", "/-/npm/v1/user", bearer)[0]
assert ask("DELETE", f"/-/npm/v1/tokens/token/{made['key']}", basic)[0] == 200
seen["revoked"] = ask("GET", "/-/npm/v1/user", bearer)[0]
seen["no token"] = ask("GET", "/-/npm/v1/user", "Bearer " + secrets.token_urlsafe(40))[0]
print("verdaccio 6.8.0, GET /-/npm/v1/user:", seen)
sys.exit(seen != {"valid": 200, "revoked": 403, "no token": 401})
PY
