# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A configuration that everybody can read is noticed wherever it comes from; one that is not used is not looked at."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.keyturn.credentials.plugins.plugin_utils._config_file import open_to_others


@pytest.fixture(params=["option", "environment"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, t.Any], dict[str, str]]:
    """The file, and what names it."""
    file = tmp_path / "ksm-config.json"
    file.touch()
    by_option = request.param == "option"
    params = {"keeper_config_file": str(file) if by_option else None, "keeper_config": None}
    return file, params, {} if by_option else {"KSM_CONFIG_FILE": str(file)}


@pytest.mark.parametrize(
    ("mode", "told"), [(0o600, False), (0o640, False), (0o644, True), (0o664, True), (0o604, True)]
)
def test_only_what_everybody_can_read(
    asked: tuple[Path, dict[str, t.Any], dict[str, str]], mode: int, told: bool
) -> None:
    file, params, environ = asked
    file.chmod(mode)
    assert open_to_others(params, environ) is told


def test_only_the_file_that_is_used(tmp_path: Path) -> None:
    file = tmp_path / "ksm-config.json"
    file.touch(mode=0o644)
    file.chmod(0o644)
    environ = {"KSM_CONFIG_FILE": str(file)}
    assert not open_to_others({"keeper_config_file": str(tmp_path / "absent"), "keeper_config": "{}"}, environ)
    assert not open_to_others({"keeper_config_file": None, "keeper_config": {}}, {**environ, "KSM_CONFIG": "{}"})
    assert not open_to_others({"keeper_config_file": None, "keeper_config": None}, {"KSM_CONFIG_FILE": "absent"})
    assert not open_to_others({"keeper_config_file": None, "keeper_config": None}, {})
