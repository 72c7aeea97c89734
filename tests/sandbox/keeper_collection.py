# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeper's Ansible plugins, under their collection's name, from the Python package that is installed.

Keeper publishes the collection on Galaxy; its package on PyPI holds the same plugins. Nothing of it is kept here:
``python -m tests.sandbox.keeper_collection DIR`` puts the collection into ``DIR/ansible_collections``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMESPACE, NAME = "keepersecurity", "keeper_secrets_manager"
_PACKAGE = "keeper_secrets_manager_ansible"
_DISTRIBUTION = "keeper-secrets-manager-ansible"
_RUNTIME = "requires_ansible: '>=2.10'\n"
_README = "Built from the installed package keeper-secrets-manager-ansible, for tests. Not for publication.\n"


def version() -> str:
    """The version of the installed package."""
    return importlib.metadata.version(_DISTRIBUTION)


def _package_plugins() -> Path:
    # Found, not imported: the package needs Ansible at import.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"The Python package {_DISTRIBUTION} is not installed.")
    return Path(spec.submodule_search_locations[0]) / "plugins"


def _about() -> dict[str, object]:
    return {
        "namespace": NAMESPACE,
        "name": NAME,
        "version": version(),
        "readme": "README.md",
        "authors": ["Keeper Security"],
        "description": "Keeper Secrets Manager plugins, from the Python package",
        "license": ["MIT"],
        "dependencies": {},
    }


def _copy_sources(root: Path) -> None:
    """What an installed collection and the sources of one have in common."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(_package_plugins(), root / "plugins", ignore=ignore, dirs_exist_ok=True)
    (root / "meta").mkdir(parents=True, exist_ok=True)
    (root / "meta" / "runtime.yml").write_text(_RUNTIME, encoding="utf-8")
    (root / "README.md").write_text(_README, encoding="utf-8")


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def install(target: Path) -> Path:
    """Put the collection below ``target`` (a collections path), over another version; return its folder."""
    root = target / "ansible_collections" / NAMESPACE / NAME
    # Written last, so that whoever runs beside us never finds half of a collection.
    manifest = root / "MANIFEST.json"
    if manifest.exists() and json.loads(manifest.read_text("utf-8"))["collection_info"]["version"] == version():
        return root
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    _copy_sources(root)
    _write_json(root / "FILES.json", {"files": [], "format": 1})
    files = {"name": "FILES.json", "ftype": "file", "chksum_type": "sha256", "chksum_sha256": None, "format": 1}
    _write_json(manifest, {"collection_info": _about(), "file_manifest_file": files, "format": 1})
    return root


def build(target_dir: Path) -> Path:
    """Make the collection's tarball in ``target_dir``; ``ansible-galaxy collection install`` takes it offline."""
    target_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="keeper-collection-") as scratch:
        root = Path(scratch) / NAME
        _copy_sources(root)
        # galaxy.yml is YAML, of which JSON is a part.
        _write_json(root / "galaxy.yml", _about())
        command = [sys.executable, "-m", "ansible", "galaxy", "collection", "build", "--force"]
        command += ["--output-path", str(target_dir.resolve()), str(root)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root, check=False
        )
    if done.returncode != 0:
        raise SystemExit(f"ansible-galaxy collection build failed:\n{done.stdout}")
    return target_dir / f"{NAMESPACE}-{NAME}-{version()}.tar.gz"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.keeper_collection", description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="collections path, or where the tarball goes")
    parser.add_argument("--build", action="store_true", help="make an installable tarball instead")
    options = parser.parse_args(arguments)
    print((build if options.build else install)(options.directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
