#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Flask-AppBuilder 5.3.0 (the users' API of Apache Superset): the list filter q is percent-decoded twice.
#
# Guess: a client that encodes its query correctly, as requests does, finds each user by the filter
#   {"col": "username", "opr": "eq", "value": NAME}
# because the same names log in, and because an & or a + inside a parameter is what percent-encoding is for.
#
# Seen: "first+last@example.com" is not found (200 and an empty list: the + has become a blank), and "a&b" is answered
# with 400 "Not a valid rison/json argument". Both are found when the name is encoded once more inside q. So a rotator
# that believes an empty list says "no such user" of everybody with a plus address.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'flask-appbuilder==5.3.0' 'marshmallow==3.26.1' 'requests==2.32.5'

cat >server.py <<'PY'
import secrets, sys
from flask import Flask
from flask_appbuilder import AppBuilder
from flask_appbuilder.utils.legacy import get_sqla_class
from werkzeug.serving import make_server

app = Flask(__name__)
app.config.update(SECRET_KEY=secrets.token_hex(), JWT_SECRET_KEY=secrets.token_hex(), FAB_ADD_SECURITY_API=True,
                  SQLALCHEMY_DATABASE_URI="sqlite:///users.db")
database = get_sqla_class()(app)
with app.app_context():
    manager = AppBuilder(app, database.session).sm
    manager.add_user("admin", "A", "B", "admin@example.com", manager.find_role("Admin"), sys.argv[1])
server = make_server("127.0.0.1", 0, app)
print(server.server_port, flush=True)
server.serve_forever()
PY
password=$(venv/bin/python -c 'import secrets; print(secrets.token_urlsafe())')
mkfifo port
venv/bin/python server.py "$password" >port 2>server.log &
server=$!
read -r number <port

venv/bin/python - "$number" "$password" <<'PY'
import json, sys, urllib.parse
import requests

api = f"http://127.0.0.1:{sys.argv[1]}/api/v1/security"
given = {"username": "admin", "password": sys.argv[2], "provider": "db"}
token = requests.post(f"{api}/login", json=given).json()["access_token"]
headers = {"Authorization": f"Bearer {token}"}


def find(name, written):
    asked = json.dumps({"filters": [{"col": "username", "opr": "eq", "value": written}]})
    answer = requests.get(f"{api}/users/", params={"q": asked}, headers=headers)
    found = [user["username"] for user in answer.json().get("result", [])] == [name]
    return f"{answer.status_code} {'found' if found else 'not found'}"


seen = {}
for number, name in enumerate(["plain", "first+last@example.com", "a&b"]):
    person = {"first_name": "A", "last_name": "B", "email": f"{number}@example.com", "active": True, "roles": [1]}
    new = requests.post(f"{api}/users/", json={**person, "username": name, "password": sys.argv[2]}, headers=headers)
    assert new.status_code == 201, new.status_code
    login = requests.post(f"{api}/login", json={**given, "username": name}).status_code
    seen[name] = (login, find(name, name), find(name, urllib.parse.quote(name, safe="")))
    print(f"{name:<24} login {login}, encoded once: {seen[name][1]}, encoded twice: {seen[name][2]}")
expected = {
    "plain": (200, "200 found", "200 found"),
    "first+last@example.com": (200, "200 not found", "200 found"),
    "a&b": (200, "400 not found", "200 found"),
}
sys.exit(seen != expected)
PY
