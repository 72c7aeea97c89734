#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-core 2.19.4: ansible_failed_result, the variable of a rescue, is there in later plays, and clear_facts keeps it.
#
# Guess: ansible_failed_task and ansible_failed_result describe the failure that a rescue deals with. They exist in its
# tasks, as item exists in a loop, and are gone after the block; at the latest a new play, or meta: clear_facts, which is
# there to forget what is known of a host, ends them.
#
# Seen: once a failure was rescued, both stay with the host: after the block, in the next play of the playbook, and after
# clear_facts, until another rescue or a set_fact overwrites them. What a failed task was given and said (a module's
# invocation among it) can so be read by whatever runs later for that host, task files of somebody else included. A task
# that asks whether the variable is defined learns that something failed once, not that it failed now.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'ansible-core==2.19.4'

cat >play.yml <<'END'
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "before {{ ansible_failed_result.msg | default('nothing') }}."}
    - block:
        - ansible.builtin.fail: {msg: first failure}
      rescue:
        - ansible.builtin.debug: {msg: "rescue {{ ansible_failed_result.msg }}."}
    - ansible.builtin.debug: {msg: "block over {{ ansible_failed_result.msg | default('nothing') }}."}
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug: {msg: "next play {{ ansible_failed_result.msg | default('nothing') }}."}
    - ansible.builtin.meta: clear_facts
    - ansible.builtin.debug: {msg: "cleared {{ ansible_failed_result.msg | default('nothing') }}."}
    - ansible.builtin.set_fact: {ansible_failed_result: {msg: overwritten}}
    - ansible.builtin.debug: {msg: "set_fact {{ ansible_failed_result.msg | default('nothing') }}."}
END
seen=$(env ANSIBLE_HOME="$work/home" ANSIBLE_NOCOLOR=1 venv/bin/ansible-playbook -i host, -c local play.yml |
  sed -n 's/^ *"msg": "\(.*\)\."$/\1/p')
echo "$seen"
[ "$seen" = "before nothing
rescue first failure
block over first failure
next play first failure
cleared first failure
set_fact overwritten" ]
