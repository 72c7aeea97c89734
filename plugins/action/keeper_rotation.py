# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.plugin_utils._censor import CensoringActionModule, Result


class ActionModule(CensoringActionModule):
    """keeper_rotation returns secrets, so no callback may show its result."""

    def outcome(self, task_vars: dict[str, t.Any]) -> Result:
        return t.cast(Result, self._execute_module(task_vars=task_vars))
