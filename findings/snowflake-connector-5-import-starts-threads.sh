#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# snowflake-connector-python 5.2.0: to import it starts native threads, which Python's own threading does not show.
#
# Guess: "import snowflake.connector" defines names, as in 3.x and 4.x; threads come with the first connection. So a
# program that forks workers (Ansible, a preloading web server) can import it once before it forks, and save that time
# in each worker.
#
# Seen (Linux): a process that has one thread has more after the import of 5.2.0, without any connection, while
# threading.enumerate() still shows the main thread alone. Of a process with many threads, fork(2) gives the child only
# the one that called it. So 5.x must be imported after the last fork, and a check with Python's means does not tell.
#
# Exit 0: still so. Exit 1: it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet 'snowflake-connector-python==5.2.0'
seen=$(
  venv/bin/python - <<'PY'
import os, threading
before = len(os.listdir("/proc/self/task"))
import snowflake.connector
after = len(os.listdir("/proc/self/task"))
print(snowflake.connector.__version__, before, "more" if after > before else "as before", len(threading.enumerate()))
PY
)
echo "version, threads before the import, after it, threads that Python shows:"
echo "$seen"
[ "$seen" = "5.2.0 1 more 1" ]
