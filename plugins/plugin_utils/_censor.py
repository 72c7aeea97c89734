# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What an action plugin does whose result holds a secret."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.plugin_utils._in_process import InProcessActionModule

Result = dict[str, t.Any]


def censor(result: Result) -> Result:
    """Mark the result, and every entry of C(rotations), as not to be shown; a module cannot set the mark itself.

    The registered variable keeps the values.
    """
    for entry in result.get("rotations") or []:
        entry["_ansible_no_log"] = True
    result["_ansible_no_log"] = True
    return result


class CensoringModule(InProcessActionModule):
    """The action plugin of a module that returns secrets."""

    # Its result would lie in a file.
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        return censor(super().run(tmp, task_vars))
