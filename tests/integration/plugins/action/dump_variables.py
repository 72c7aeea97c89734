# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes all that a task can see into a file: variables, as they are and evaluated, of every host; module defaults."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """dump_variables: {dest: path}"""

    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        variables = dict(task_vars or {})
        hostvars = variables.pop("hostvars")
        seen = [f"{name}: {self._both(value)}" for name, value in variables.items()]
        for host in hostvars:
            seen += [f"{host} {name}: {self._both(value)}" for name, value in hostvars.raw_get(host).items()]
        seen += [f"defaults: {self._both(defaults)}" for defaults in self._task.module_defaults]
        Path(self._task.args["dest"]).write_text("\n".join(seen), encoding="utf-8")
        return {**result, "changed": True}

    def _both(self, value: t.Any) -> str:
        """As it is, and evaluated; of a mapping that fails, each item that does not."""
        try:
            return f"{value!r} {self._templar.template(value)!r}"
        except (AnsibleError, TypeError) as error:
            if isinstance(value, dict):
                return " ".join(f"{name}: {self._both(item)}" for name, item in value.items())
            return f"{value!r} {error!r}"
