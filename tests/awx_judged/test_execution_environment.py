# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The execution environment's definition, rendered by ansible-builder; the image itself is not built."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ansible_builder", reason="make judge-awx installs ansible-builder")

from tests.awx_judged.conftest import AWX, load  # noqa: E402
from tests.sandbox.scenery import REPOSITORY  # noqa: E402


def builder(*arguments: str) -> str:
    command = [str(Path(sys.executable).parent / "ansible-builder"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    return done.stdout


@pytest.mark.parametrize(
    ("name", "core"), [("execution-environment", "2.21.0"), ("execution-environment-2.22", "2.22.0rc1")]
)
def test_the_context_renders(name: str, core: str, tmp_path: Path) -> None:
    context = tmp_path / "context"
    definition = AWX / f"{name}.yml"
    builder("create", "--file", str(definition), "--context", str(context), "--output-filename", "Containerfile")
    assert load(definition)["version"] == 3
    requirements = load(context / "_build" / "requirements.yml")["collections"]
    assert [collection["name"] for collection in requirements] == [
        "keyturn.credentials",
        "keepersecurity.keeper_secrets_manager",
    ]
    containerfile = (context / "Containerfile").read_text()
    assert f"ansible-core~={core}" in containerfile and "ansible-runner" in containerfile
    # A collection from git needs git, before it is fetched.
    assert containerfile.index("git-core") < containerfile.index("ansible-galaxy collection install")
    assert containerfile.count("RUN $PYCMD -m compileall") == 2


def test_the_collection_brings_its_requirements(tmp_path: Path) -> None:
    installed = tmp_path / "ansible_collections" / "keyturn" / "credentials"
    shutil.copytree(REPOSITORY / "meta", installed / "meta")
    shutil.copy(REPOSITORY / "galaxy.yml", installed)
    found = builder("introspect", str(tmp_path))
    wanted = (REPOSITORY / "meta" / "ee-requirements.txt").read_text().splitlines()
    assert {line for line in wanted if line and not line.startswith("#")} == set(re.findall(r"- '(.+)  # from", found))
