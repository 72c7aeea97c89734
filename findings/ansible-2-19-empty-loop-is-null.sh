#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-core 2.19.14, beside 2.18.19: a loop in a template that writes nothing is no empty text any more.
#
# Guess: a variable that lists what is wrong, "{% for name in names if ... %}{{ name }} {% endfor %}", is an empty text if
# nothing is wrong, so that "when: text | trim | length > 0" fails nobody. That is how it was until 2.18; 2.19 made types
# of templates strict, which does not seem to concern a template that is made of text only.
#
# Seen: in 2.19 the result is null. "| length" is an error, which one would find; but "| trim | length" is 4, the length
# of "None", and so a guard of this form refuses everybody, with an empty list of reasons.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv || python3 -m venv venv

seen() { # version of ansible-core, expression
  venv/bin/pip install --quiet "ansible-core==$1"
  env ANSIBLE_HOME="$work/home" ANSIBLE_NOCOLOR=1 ANSIBLE_LOCALHOST_WARNING=0 ANSIBLE_INVENTORY_UNPARSED_WARNING=0 \
    venv/bin/ansible localhost -e '{"text": "{% for name in [] %}{{ name }} {% endfor %}"}' \
    -m ansible.builtin.debug -a "msg='{{ $2 }}'" 2>&1 | grep -oE '"msg": ("[^"]*"|[a-z0-9]+)' | head -n 1
}
before="$(seen 2.18.19 'text'), $(seen 2.18.19 'text | trim | length')"
after="$(seen 2.19.14 'text'), $(seen 2.19.14 'text | trim | length')"
echo "2.18.19: $before"
echo "2.19.14: $after"
[ "$before" = '"msg": "", "msg": "0"' ] && [ "$after" = '"msg": null, "msg": 4' ]
