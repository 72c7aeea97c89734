# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m benchmarks.gateway_overhead``: CPU of the gateway's script against the same playbook started by hand.

Both rotate a Meraki user, the cheapest kind, so that the script's own share shows most. The runs alternate, and each
has all its processes counted; the bound holds for the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

from extensions.keeper_gateway import post_rotation
from tests.gateway import SCRIPT, Gateway, Payload, fresh_secret
from tests.sandbox.meraki import Authorization, MerakiSandbox

BOUND = 1.4


def cpu(command: list[str], environment: dict[str, str], stdin: Path | None = None) -> float:
    """Seconds of CPU of a command and all that it waited for. Raises RuntimeError if it fails."""
    with open(stdin or os.devnull, "rb") as given:
        process = subprocess.Popen(command, env=environment, stdin=given, stdout=subprocess.DEVNULL)
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[:2]} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


class Comparison:
    """One event, as the gateway's line and as the variables of a playbook."""

    def __init__(self, directory: Path, meraki: MerakiSandbox) -> None:
        user = "jo@example.com"
        meraki.add_user(meraki.network.id, user, fresh_secret(), authorizations=[Authorization()])
        record = {
            "uid": "mErAkI0000000000000000",
            "title": "Cisco Authentication Record",
            "password": meraki.add_key(secrets.token_hex(20)),
            "network_id": meraki.network.id,
            "api_url": meraki.url,
        }
        line = Payload(record, user).line()
        self._gateway = Gateway(directory)
        self._line = directory / "line"
        self._variables = directory / "variables.json"
        for path in (self._line, self._variables):
            path.touch(mode=0o600)
        self._line.write_bytes(line)
        payload = post_rotation.decode(line, "the line")
        payload["records"] = post_rotation.decode(payload["records"].encode(), "records")
        given = {"run_id": "by-hand", "module": "", "explain": False, "receipt": str(directory / "receipt.json")}
        given["payload"] = {"__ansible_unsafe": json.dumps(payload)}
        self._variables.write_text(json.dumps({"keyturn_gateway": given}))
        self._home = directory

    def script(self) -> float:
        return cpu([sys.executable, str(SCRIPT)], self._gateway.environment(), self._line)

    def by_hand(self) -> float:
        inherited = self._gateway.environment()
        environment = {name: value for name, value in inherited.items() if not name.startswith("ANSIBLE_")}
        environment |= {
            "ANSIBLE_COLLECTIONS_PATH": inherited["ANSIBLE_COLLECTIONS_PATH"],
            "ANSIBLE_HOME": str(self._home / "ansible"),
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_PIPELINING": "True",
            "LC_ALL": "C.UTF-8",
        }
        program = str(Path(sys.executable).parent / "ansible-playbook")
        return cpu([program, post_rotation.PLAYBOOK, "-e", f"@{self._variables}"], environment)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway_overhead", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each kind; default 5")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="keyturn-") as directory, MerakiSandbox() as meraki:
        comparison = Comparison(Path(directory), meraki)
        # The first run fills caches of both.
        comparison.by_hand()
        pairs = [(comparison.script(), comparison.by_hand()) for _run in range(runs)]
    script, by_hand = (statistics.median(column) for column in zip(*pairs, strict=True))
    figures: dict[str, t.Any] = {
        "runs": runs,
        "script_cpu_s": round(script, 3),
        "by_hand_cpu_s": round(by_hand, 3),
        "ratio": round(script / by_hand, 3),
        "bound": BOUND,
    }
    print(json.dumps(figures))
    return 0 if script <= BOUND * by_hand else 1


if __name__ == "__main__":
    sys.exit(main())
