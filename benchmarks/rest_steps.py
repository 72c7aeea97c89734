# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m benchmarks.rest_steps COMMIT``: CPU of the REST module with no new key, against that commit.

The runs alternate. Each is a process of its own that changes the passwords of hundreds of users, with a login, a lookup
for each, and a proof; the service is another process. Only what the module's logic takes is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import checkout
from tests.integration.support import REPOSITORY
from tests.sandbox.rest import RestSandbox

BOUND = 1.05

# Runs in either tree: the options are those that both know.
_CHILD = """
import json, sys, time
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.rest_password_rotate import run
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import SPEC
given = json.load(sys.stdin)
checked = ArgumentSpecValidator(**SPEC.module_arguments()).validate(given)
assert not checked.error_messages, checked.error_messages
began = time.process_time()
result = run(checked.validated_parameters, False)
print(time.process_time() - began)
assert all(found["changed"] and found["verified"] for found in result["rotations"]), result["rotations"][0]
"""


def options(service: RestSandbox, users: int, word: str) -> dict[str, object]:
    return {
        "url": service.url,
        "users": [{"username": f"user-{number}", "password": f"{word}-{number:06}"} for number in range(users)],
        "secrets": {"admin_password": service.admin_password},
        "auth": {
            "type": "login",
            "path": "/login",
            "body": {"name": service.admin, "password": "${admin_password}"},
            "token_path": "token",
            "prefix": "Bearer",
        },
        "lookup": {
            "path": "/users",
            "query": {"name": "${username}"},
            "items": "users",
            "match": {"name": "${username}"},
            "set": {"id": "id"},
        },
        "change": {"method": "PUT", "path": "/users/${id}", "body": {"password": "${password}"}, "status": [204]},
        "verify": {
            "path": "/whoami",
            "auth": {"type": "basic", "username": "${username}", "password": "${password}"},
        },
    }


def seconds(collections: Path, given: dict[str, object]) -> float:
    """CPU of one run with the code of this collections path. Raises CalledProcessError if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(collections)}
    command = [sys.executable, "-c", _CHILD]
    told = subprocess.run(command, env=environment, input=json.dumps(given), capture_output=True, text=True, check=True)
    return float(told.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--runs", type=int, default=15)
    chosen = parser.parse_args()
    here = REPOSITORY / ".cache" / "collections"
    with checkout(chosen.commit) as other, RestSandbox() as service:
        for number in range(chosen.users):
            service.add_user(f"user-{number}", "until now")
        taken: dict[Path, list[float]] = {other: [], here: []}
        for run in range(chosen.runs + 1):
            for collections, found in taken.items():
                found.append(seconds(collections, options(service, chosen.users, f"{run}-{collections.name}")))
                # A service that remembers everything grows slow.
                service.requests.clear()
                service.journal.clear()
    before, now = (statistics.median(found[1:]) for found in taken.values())
    print(
        f"{chosen.users} users, {chosen.runs} runs, medians: {before:.3f} s before, {now:.3f} s now, {now / before:.3f}"
    )
    return 0 if now / before <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
