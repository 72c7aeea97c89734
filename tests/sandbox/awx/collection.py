# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection awx.awx, from PyPI's package "ansible", of which only this collection is unpacked.

``python -m tests.sandbox.awx.collection DIR`` puts it into ``DIR/ansible_collections``. Nothing of it is kept here.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_PACKAGE = "ansible==12.3.0"  # holds awx.awx 24.6.1, as AWX's last release
_PREFIX = "ansible_collections/awx/awx/"


def install(target: Path) -> Path:
    """Put the collection below ``target`` (a collections path) unless it is there; return the collection's folder."""
    root = target / _PREFIX
    if (root / "MANIFEST.json").exists():
        return root
    with tempfile.TemporaryDirectory(prefix="awx-collection-") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, _PACKAGE]
        subprocess.run(command, check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            # Last, because it says that all is there.
            names = [name for name in archive.namelist() if name.startswith(_PREFIX)]
            for name in sorted(names, key=lambda name: name.endswith("/awx/MANIFEST.json")):
                archive.extract(name, target)
    return root


if __name__ == "__main__":
    print(install(Path(sys.argv[1])))
