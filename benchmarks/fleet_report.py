# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m benchmarks.fleet_report [--against COLLECTIONS]``: time and memory of a report of 200,000 credentials.

Each build writes the three files in a process of its own, with the results in memory, the builds in turn. Then
``ansible-playbook`` does it for a tenth of them, loaded as variables of the hosts; what a play takes that loads the
same and writes nothing is taken off its time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

BOUND = 0.3


def results(account: int, users: int) -> dict[str, t.Any]:
    """What an account's results are: mostly rotated, some not due, some failed."""
    outcomes = []
    for number in range(users):
        record = f"record{account:06}{number:010}"
        told: dict[str, t.Any] = {
            "record": record,
            "record_uid": record,
            "title": f"User {account}-{number}",
            "login": f"SVC_{number}",
        }
        told |= {"rotated_at": "2026-04-21T12:00:00Z", "pending": False, "outcome": "rotated", "verified": True}
        if number % 10 == 0:
            told["outcome"] = "not_due"
        if number % 50 == 1:
            told |= {"outcome": "failed", "error_code": "not_permitted", "msg": "ROTATOR may not change the user."}
        outcomes.append(told)
    begun, ended = "2026-05-01T11:59:00Z", "2026-05-01T12:00:00Z"
    return {"0": {"begun": begun, "ended": ended, "max_age": "30d", "outcomes": outcomes}}


def write(accounts: int, users: int) -> dict[str, float]:
    """Seconds of wall and CPU, and MiB of this process at most, the results among them."""
    from ansible_collections.keyturn.credentials.plugins.action import fleet_report
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _report

    hosts = []
    for account in range(accounts):
        found = results(account, users)
        records = [outcome["record"] for outcome in found["0"]["outcomes"]]
        rotation = {"kind": "snowflake_user_password", "admin_record": "admin", "records": records}
        hosts.append(_report.Host(f"account_{account}", [rotation], found, True))
    wall, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as directory:
        report = _report.build(hosts, dt.datetime(2026, 5, 1, tzinfo=dt.UTC), check_mode=False, problem=None)
        fleet_report._write(Path(directory), report)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu, "memory": peak}


def prepare(directory: Path, accounts: int, users: int) -> None:
    hosts = {}
    for account in range(accounts):
        found = results(account, users)
        records = [outcome["record"] for outcome in found["0"]["outcomes"]]
        rotation = {"kind": "snowflake_user_password", "admin_record": "admin", "records": records}
        hosts[f"account_{account}"] = {"keyturn_rotations": [rotation], "keyturn_results": found, "keyturn_done": True}
    (directory / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    report = {"directory": str(directory / "report"), "hosts": "{{ groups.all }}"}
    for name, task in (
        ("nothing", {"ansible.builtin.meta": "noop"}),
        ("report", {"keyturn.credentials.fleet_report": report}),
    ):
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}
        (directory / f"{name}.json").write_text(json.dumps([play]))


def measure(directory: Path, collections: str, name: str) -> dict[str, float]:
    """Seconds of wall and CPU of the play, and MiB of its largest process."""
    program = str(Path(sys.executable).parent / "ansible-playbook")
    home = {"ANSIBLE_HOME": str(directory / "home"), "ANSIBLE_COLLECTIONS_PATH": collections}
    started = time.monotonic()
    process = subprocess.Popen(
        [program, "-i", str(directory / "inventory.json"), str(directory / f"{name}.json")],
        env={**os.environ, **home},
        stdout=subprocess.DEVNULL,
    )
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"ansible-playbook ended with {process.returncode}")
    wall, cpu = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    return {"wall": wall, "cpu": cpu, "memory": usage.ru_maxrss / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="the folder with the collections of another build")
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(write(options.accounts, options.users)))
        return
    builds = [os.environ["ANSIBLE_COLLECTIONS_PATH"], *([options.against] if options.against else [])]
    command = [sys.executable, "-m", "benchmarks.fleet_report", "--here"]
    command += [f"--accounts={options.accounts}", f"--users={options.users}"]
    written = []
    for collections in builds:
        path = os.pathsep.join([collections, os.environ.get("PYTHONPATH", "")])
        run = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
        )
        written.append(json.loads(run.stdout))
        print(
            f"{options.accounts * options.users:,} credentials: {rounded(written[-1])} with {collections}", flush=True
        )
    users = options.users // 10
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        prepare(directory, options.accounts, users)
        idle = measure(directory, builds[0], "nothing")
        print(f"ansible-playbook, {options.accounts * users:,} credentials: {rounded(idle)} to load them", flush=True)
        played = []
        for collections in builds:
            played.append(measure(directory, collections, "report"))
            print(f"  and the report: {rounded(played[-1])} with {collections}", flush=True)
    if options.against:
        ratios = {name: written[0][name] / written[1][name] for name in ("cpu", "memory")}
        ratios["play"] = (played[0]["wall"] - idle["wall"]) / (played[1]["wall"] - idle["wall"])
        for name, ratio in ratios.items():
            print(f"  {name}: ratio {ratio:.2f}, bound {BOUND}: {'kept' if ratio <= BOUND else 'BROKEN'}")


def rounded(measured: dict[str, float]) -> str:
    return f"{measured['wall']:.1f} s, CPU {measured['cpu']:.1f} s, {measured['memory']:.0f} MiB"


if __name__ == "__main__":
    main()
