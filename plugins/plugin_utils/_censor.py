# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The action plugin of every module that returns a secret."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

Result = dict[str, t.Any]


class CensoringActionModule(ActionBase):
    """Marks the result, and every entry of ``rotations``, as not to be shown; a module cannot set the mark itself.

    The registered variable keeps the values. Ansible itself refuses async, whose result would lie in a file.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        result.update(self.outcome(task_vars or {}))
        for entry in result.get("rotations") or []:
            entry["_ansible_no_log"] = True
        result["_ansible_no_log"] = True
        return result

    def outcome(self, task_vars: dict[str, t.Any]) -> Result:
        """What the module of the same name returns."""
        return t.cast(Result, self._execute_module(task_vars=task_vars))
