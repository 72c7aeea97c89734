# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that come as Python packages, each in a virtual environment of its own below .cache.

python -m tests.servers.venvs [keystone …]: installs these or all, which later runs find done.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.servers.launch import REPOSITORY

# The versions that the recipes are tested with.
PACKAGES = {
    "keystone": "keystone==30.0.0",
    "devpi": "devpi-server==6.20.3",
    "synapse": "matrix-synapse==1.163.2",
    "jupyterhub": "jupyterhub==5.5.4 jupyterhub-nativeauthenticator==1.3.0",
    "kinto": "kinto==26.5.0",
    "superset": "flask-appbuilder==5.3.0 marshmallow==3.26.1",
}


def _folder(name: str) -> Path:
    return REPOSITORY / ".cache" / "servers" / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"


def program(name: str, command: str) -> Path:
    """Where the environment's command is, installed or not."""
    return _folder(name) / "bin" / command


def installed(name: str) -> bool:
    """Whether this version was installed to the end."""
    done = _folder(name) / "installed"
    return done.exists() and done.read_text() == PACKAGES[name]


def version(name: str) -> str:
    """Of the first package."""
    return PACKAGES[name].split()[0].partition("==")[2]


def absent(name: str) -> str:
    return "" if installed(name) else f"{PACKAGES[name]} is not installed (python -m tests.servers.venvs {name})"


def install(name: str) -> None:
    """Raises CalledProcessError when that fails; then nothing counts as installed."""
    shutil.rmtree(_folder(name), ignore_errors=True)
    venv.create(_folder(name), with_pip=shutil.which("uv") is None)
    python = str(program(name, "python"))
    # uv needs a tenth of the time.
    uv = ["uv", "pip", "install", "--python", python]
    command = uv if shutil.which("uv") else [python, "-m", "pip", "install"]
    subprocess.run([*command, "--quiet", *PACKAGES[name].split()], check=True)
    (_folder(name) / "installed").write_text(PACKAGES[name])


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PACKAGES:
        if not installed(wanted):
            print(f"installing {PACKAGES[wanted]}", flush=True)
            install(wanted)
