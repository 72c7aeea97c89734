# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files of a folder are consumers; what Ansible cannot load is tested with Ansible."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.keyturn.credentials.plugins.plugin_utils._consumers import consumers
from tests.unit.plugins.plugin_utils.answers import answer, record


def known(folder: Path | str, *names: str) -> list[str]:
    return sorted(consumers(str(folder), answer(record("A", consumers=[*names]))))


def test_they_are_files_of_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "consumers"
    folder.mkdir()
    for path in (tmp_path / "outside.yml", folder / "app.yml", folder / "web.yaml", folder / ".hidden.yml"):
        path.write_text("[]")
    (folder / "sub.yml").mkdir()
    (folder / "link.yml").symlink_to(tmp_path / "outside.yml")
    (folder / "alias.yml").symlink_to(folder / "app.yml")
    names = ["alias", "app", "web", "link", "sub", "hidden", ".hidden", "../outside", "outside"]
    assert known(folder, *names) == ["alias", "app", "web"]
    assert known("", *names) == known(tmp_path / "none", *names) == []
    assert known(folder, "app") == ["app"], "one that nobody names is not read"
