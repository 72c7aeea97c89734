# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that come as npm packages, each in a folder of its own below .cache.

python -m tests.servers.npm [couchdb …]: installs these or all, which later runs find done.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

from tests.servers.launch import REPOSITORY

# The versions that the recipes are tested with.
PACKAGES: dict[str, dict[str, t.Any]] = {
    "couchdb": {"dependencies": {"pouchdb-server": "4.2.0"}},
    # One of its dependencies names a version of node-fetch that is gone.
    "verdaccio": {"dependencies": {"verdaccio": "6.8.0"}, "overrides": {"node-fetch": "2.7.0"}},
}


def _folder(name: str) -> Path:
    return REPOSITORY / ".cache" / "servers" / f"{name}-node"


def program(name: str, command: str) -> Path:
    """Where the package's command is, installed or not."""
    return _folder(name) / "node_modules" / ".bin" / command


def version(name: str) -> str:
    (found,) = PACKAGES[name]["dependencies"].values()
    return str(found)


def installed(name: str) -> bool:
    """Whether this version was installed to the end."""
    done = _folder(name) / "installed"
    return done.exists() and done.read_text() == json.dumps(PACKAGES[name])


def absent(name: str) -> str:
    return "" if installed(name) else f"{name} is not installed (python -m tests.servers.npm {name})"


def install(name: str) -> None:
    """Raises CalledProcessError when that fails; then nothing counts as installed."""
    folder = _folder(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"private": True, **PACKAGES[name]}))
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)
    (folder / "installed").write_text(json.dumps(PACKAGES[name]))


if __name__ == "__main__":
    names = sys.argv[1:] or list(PACKAGES)
    if shutil.which("npm") is None:
        print(f"npm is not installed, so neither are {' and '.join(names)}.")
        sys.exit()
    for wanted in names:
        if not installed(wanted):
            print(f"installing {wanted} {version(wanted)}", flush=True)
            install(wanted)
