# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Which consumers a folder has: task files that somebody has written, and that Ansible can load."""

from __future__ import annotations

import functools
import pathlib
import re
import typing as t

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


def consumers(folder: str, vault: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The task files of a folder by their names; only of those that the vault's answer names, the others are not read.

    None that a link has elsewhere.
    """
    entries = vault.get("rotations") or []
    named = {name for entry in entries for told in ("consumers", "undelivered") for name in entry.get(told) or []}
    root = pathlib.Path(folder).expanduser().resolve()
    files = [path for ending in ("*.yml", "*.yaml") for path in sorted(root.glob(ending))] if folder else []
    return {
        path.stem: str(path)
        for path in files
        if path.stem in named
        and _NAME.match(path.stem)
        and path.is_file()
        and path.resolve().parent == root
        and _can_be_loaded(str(path), path.stat().st_mtime_ns)
    }


@functools.lru_cache(maxsize=256)
def _can_be_loaded(path: str, _changed: int) -> bool:
    """Whether Ansible can read the file. Including one that it cannot would end the whole run, with all its accounts.

    What only shows when its tasks run makes just its consumer fail.
    """
    # Here, because all filters are loaded for a single one, and few runs have consumers.
    from ansible.errors import AnsibleParserError
    from ansible.parsing.dataloader import DataLoader
    from ansible.playbook.helpers import load_list_of_blocks
    from ansible.playbook.play import Play

    loader = DataLoader()
    try:
        # As the tasks of a role of this collection are read, where such a file is included.
        play = Play.load({"hosts": "localhost", "collections": ["keyturn.credentials"]}, loader=loader)
        load_list_of_blocks(loader.load_from_file(path, trusted_as_template=True) or [], play, loader=loader)
    except AnsibleParserError:
        return False
    except Exception:  # such as a static import, which needs variables that are not here
        return True
    return True
