#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-core 2.19.4: one host's task file that cannot be parsed ends the play of all hosts, in spite of a rescue.
#
# Guess: include_tasks is dynamic. Its file is found and read while the play runs, for the hosts that ask for it; a file
# that is missing makes the task fail on those hosts, and a rescue around it takes over. A file that is there, but whose
# task has two actions, is the same one step later: it fails for its host, is rescued, and the other hosts go on, all
# the more with strategy host_pinned, where hosts do not wait for one another.
#
# Seen: the missing file is rescued, and the other host goes on. The file that cannot be parsed is not rescued: Ansible
# ends with exit code 4 at once, without a recap and without a word of the other host, whose own file is fine and is
# never run. So whoever lets accounts (hosts) name task files of their own must try to load each file before the
# include, or one account stops all of them.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'ansible-core==2.19.4'

cat >fine.yml <<'END'
- ansible.builtin.debug:
    msg: told
END
cat >two_actions.yml <<'END'
- ansible.builtin.debug:
    msg: told
  ansible.builtin.meta: noop
END
cat >play.yml <<'END'
- hosts: all
  connection: local
  gather_facts: false
  strategy: ansible.builtin.host_pinned
  tasks:
    - block:
        - ansible.builtin.include_tasks: "{{ file }}"
      rescue:
        - ansible.builtin.debug:
            msg: rescued
END

seen() { # the first host's file
  local code=0
  printf 'first file=%s\nother file=fine.yml\n' "$1" >hosts
  env ANSIBLE_HOME="$work/home" ANSIBLE_NOCOLOR=1 venv/bin/ansible-playbook -i hosts play.yml >out 2>&1 || code=$?
  echo "exit $code, rescued $(grep -c '"rescued"' out || true), other host $(grep -c '"told"' out || true)," \
    "recap $(grep -c '^PLAY RECAP' out || true)"
}
missing=$(seen missing.yml)
broken=$(seen two_actions.yml)
echo "a file that is missing:          $missing"
echo "a file that cannot be parsed:    $broken"
[ "$missing" = "exit 0, rescued 1, other host 1, recap 1" ] && [ "$broken" = "exit 4, rescued 0, other host 0, recap 0" ]
