#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# ansible-core 2.19.4, Python 3.11: an eighth or more of the CPU of an empty ansible-playbook is spent after its last line.
#
# Guess: what an empty playbook costs is imports, configuration and the inventory; ending the process is free.
#
# Seen: when the interpreter ends it looks for garbage in all that was loaded, a hundred thousand objects and more, to free
# what the system frees anyway. With nothing but gc.freeze() at exit, which hides them from that search, the same run takes
# less CPU: a median of 0.75 to 0.87. Workers do not pay it, because they leave without the interpreter's ending.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet 'ansible-core==2.19.4'

mkdir frozen
printf 'import atexit\nimport gc\n\natexit.register(gc.freeze)\n' >frozen/sitecustomize.py
printf -- '- hosts: all\n  gather_facts: false\n' >play.yml
cat >compare.py <<'END'
import os
import resource
import statistics
import subprocess
import sys

COMMAND = ("venv/bin/ansible-playbook", "-i", "host,", "-c", "local", "play.yml")


def cpu(**environment):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(COMMAND, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


os.environ["ANSIBLE_HOME"] = os.path.abspath("home")
cpu()  # compiles what was installed
ratios = [cpu(PYTHONPATH="frozen") / cpu() for _round in range(9)]
print("with gc.freeze() at exit / without:", *(f"{ratio:.2f}" for ratio in sorted(ratios)))
sys.exit(not statistics.median(ratios) < 0.97)
END
env -u PYTHONDONTWRITEBYTECODE venv/bin/python compare.py
