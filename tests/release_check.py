# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make release-check``: everything that a release needs, in one go, as a checklist.

Each line is a session of noxfile.py, or a fact about the checkout. A session that was skipped is told as skipped:
somebody must run it where its interpreter is. The exit code is 0 if nothing failed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CORES = ("2.19", "2.20", "2.21", "2.22")
SESSIONS = (
    *("lint", "site", "build", "importer", "sbom", "molecule", "judge-meraki", "judge-awx"),
    *(f"sanity({core})" for core in CORES),
    *("test-connector4", "test-lowest", "test-gateway", "test-rest-servers", "mutations"),
    *(f"test({core})" for core in CORES),
)
Line = tuple[str, str, str]


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def facts() -> t.Iterator[Line]:
    """What can be seen without running anything."""
    changed = _git("status", "--porcelain")
    yield "the checkout is what was committed", "failed" if changed else "success", changed.replace("\n", ", ")
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text("utf-8"))["version"]
    released = yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text("utf-8"))["releases"] or {}
    tagged = _git("tag", "--list", version, f"v{version}")
    yield f"version {version} is not tagged yet", "failed" if tagged else "success", tagged
    fragments = list((ROOT / "changelogs" / "fragments").glob("*.yml"))
    told = version in released or bool(fragments)
    yield "the changelog tells of it", "success" if told else "failed", f"{len(fragments)} fragments"


def sessions(names: t.Sequence[str]) -> t.Iterator[Line]:
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.json")
        subprocess.run(
            [sys.executable, "-m", "nox", "--report", str(report), "--session", *names], cwd=ROOT, check=False
        )
        told = json.loads(report.read_text("utf-8"))["sessions"] if report.exists() else []
    for name in names:
        each: dict[str, t.Any] = next((each for each in told if name in each["signatures"]), {})
        seconds = each.get("duration")
        yield name, str(each.get("result", "failed")), "" if seconds is None else f"{seconds:.0f} s"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.release_check", description=__doc__)
    parser.add_argument("sessions", nargs="*", default=SESSIONS, help="some sessions instead of all")
    lines = [*facts(), *sessions(parser.parse_args().sessions)]
    print("\nRelease check")
    for name, result, more in lines:
        mark = {"success": "x", "skipped": "-"}.get(result, " ")
        print(f"[{mark}] {name}: {result}{f' ({more})' if more else ''}")
    return int(any(result not in ("success", "skipped") for _name, result, _more in lines))


if __name__ == "__main__":
    sys.exit(main())
