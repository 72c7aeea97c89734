#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-core 2.19.4: a task that is delegated to another host may run on the controller, and is told as done there.
#
# Guess: delegate_to is how a play against an API (connection: local) has something done on a real host, such as a file
# written or a service restarted. The play's connection is about the play's own hosts; the other host is reached as the
# inventory says, and if it cannot be reached, the task fails.
#
# Seen: "connection: local" of the play holds for the delegated host, too, if the inventory says nothing of its
# connection; and "ansible_connection: local" in the play's vars wins even over "ansible_connection=ssh" in the
# inventory of that host. Both times the task runs on the controller and is shown as "changed: [localhost -> other]",
# although the address (TEST-NET, RFC 5737) leads nowhere. Without the play's connection the same task is unreachable. So
# whoever restarts services from such a play must set the connection in the delegated task itself.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'ansible-core==2.19.4'
printf 'localhost\nplain ansible_host=192.0.2.1\nssh ansible_host=192.0.2.1 ansible_connection=ssh\n' >hosts

seen() { # host, lines of the play
  printf -- '- hosts: localhost\n  gather_facts: false\n%b  tasks:\n    - delegate_to: %s\n      ansible.builtin.raw: "true"\n' \
    "$2" "$1" >play.yml
  env ANSIBLE_HOME="$work/home" ANSIBLE_TIMEOUT=2 ANSIBLE_NOCOLOR=1 venv/bin/ansible-playbook -i hosts play.yml 2>&1 |
    grep -oE '^(changed|fatal): \[localhost -> [a-z]+|UNREACHABLE' | tr '\n' ' ' || true
}
play=$(seen plain '  connection: local\n')
vars=$(seen ssh '  vars: {ansible_connection: local}\n')
none=$(seen ssh '  vars: {x: y}\n')
echo "connection: local in the play:         $play"
echo "ansible_connection in the play's vars: $vars"
echo "neither:                               $none"
[ "$play" = "changed: [localhost -> plain " ] && [ "$vars" = "changed: [localhost -> ssh " ] &&
  [ "${none##* U}" != "$none" ]
