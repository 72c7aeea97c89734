# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Whether the file with Keeper's client configuration is as private as it should be."""

from __future__ import annotations

import os
import stat
import typing as t

# Not even a path is in it: somebody may have put the configuration where its file's name belongs.
OPEN_TO_OTHERS = (
    "Everybody on this machine can read the file with Keeper's client configuration, and with it the vault: "
    "chmod 600 it, and replace the device in Keeper if others are on this machine."
)


def open_to_others(params: t.Mapping[str, t.Any], environ: t.Mapping[str, str]) -> bool:
    """Whether the configuration comes from a file, in the order of C(connection.config_text), that all may read."""
    path = params["keeper_config_file"]
    if not (path and os.path.exists(path)):
        elsewhere = params["keeper_config"] or environ.get("KSM_CONFIG")
        path = "" if elsewhere else environ.get("KSM_CONFIG_FILE", "")
    try:
        return bool(path) and bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False
