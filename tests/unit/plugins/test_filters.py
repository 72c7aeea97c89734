# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the filters cost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

COLLECTION = "ansible_collections.keyturn.credentials"
FOLDER = Path(__file__).parents[3] / "plugins" / "filter"
LOADED = f"""
import importlib, json, sys
for name in {sorted(path.stem for path in FOLDER.glob("*.py"))}:
    importlib.import_module("{COLLECTION}.plugins.filter." + name)
print(json.dumps(list(sys.modules)))
"""


def test_loading_all_filters_loads_no_service() -> None:
    """Every process that Ansible forks loads all of them for a single one: a tenth of a second for each task."""
    program = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(program.stdout)
    assert f"{COLLECTION}.plugins.filter.rotation_delivered" in loaded
    services = (
        f"{COLLECTION}.plugins.module_utils.{name}" for name in ("_keeper", "_meraki", "_rest", "_core.transport")
    )
    assert [name for name in loaded if name.startswith((*services, "requests", "cryptography", "jmespath"))] == []
