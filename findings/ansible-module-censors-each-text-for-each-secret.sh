#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-core 2.19.4: what AnsibleModule spends on masking no_log values grows with the square of a list of users.
#
# Guess: exit_json looks through the result once. A list option with a password in each entry, twice as long, costs
# twice as much; that the result holds none of the passwords costs nothing.
#
# Seen: each text of the result, and of the invocation that exit_json adds, is searched and copied by one str.replace per
# no_log value of the whole task, found or not. Twice the users are four times the calls. A module that takes a thousand
# users with a password each, and returns three texts about each, makes millions of them: most of its CPU.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'ansible-core==2.19.4'

cat >count.py <<'END'
import contextlib
import io
import secrets
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args

ENTRY = {"name": {"type": "str"}, "password": {"type": "str", "no_log": True}}


def replaced(number):
    """Calls of str.replace in exit_json, for so many users of whom the result tells the names."""
    users = [{"name": f"user {each}", "password": secrets.token_hex(16)} for each in range(number)]
    calls = 0

    def count(_frame, event, function):
        nonlocal calls
        calls += event == "c_call" and function.__name__ == "replace"

    with patch_module_args({"users": users}):
        module = AnsibleModule({"users": {"type": "list", "elements": "dict", "options": ENTRY}})
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            sys.setprofile(count)
            try:
                module.exit_json(users=[each["name"] for each in users])
            finally:
                sys.setprofile(None)
    return calls


few, many = replaced(100), replaced(200)
print(f"100 users: {few} replacements, 200 users: {many}")
sys.exit(not (few > 100 * 100 and 3.5 < many / few < 4.5))
END
venv/bin/python count.py
