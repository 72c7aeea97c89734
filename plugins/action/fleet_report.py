# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import pathlib
import secrets
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import now
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fleet, _report

_NAME = "rotation"
Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Writes the fleet's report on the controller, in check mode too: it is about the run, not about a target."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        _validated, params = self.validate_argument_spec(
            {
                "hosts": {"type": "list", "elements": "str", "required": True, "no_log": False},
                "directory": {"type": "path", "no_log": False},
                "problem": {"type": "str", "no_log": False},
            }
        )
        hostvars = (task_vars or {})["hostvars"]
        hosts = [_host(name, hostvars) for name in params["hosts"]]
        report = _report.build(hosts, now(), check_mode=self._task.check_mode, problem=params["problem"])
        result.update(changed=False, summary=_report.summary(report), counts=report["counts"], files=[])
        if params["directory"]:
            try:
                result["files"] = _write(pathlib.Path(params["directory"]), report)
            except OSError as error:
                result.update(
                    failed=True, msg=f"The report cannot be written to {params['directory']}: {error.strerror}."
                )
        return result


def _host(name: str, hostvars: t.Any) -> _report.Host:
    variables = hostvars[name]
    return _report.Host(
        name=str(name),
        rotations=_rotations(variables),
        results=variables.get("keyturn_results") or {},
        done=bool(variables.get("keyturn_done")),
    )


def _rotations(variables: t.Any) -> t.Any:
    """A host's own variable may hold a template that fails: that host's problem, and no one else's."""
    try:
        rotations = variables.get("keyturn_rotations")
        # Templates are evaluated only when they are looked at.
        _fleet.credentials(rotations, {}, done=False)
    except AnsibleError:
        return [{"problem": "keyturn_rotations of this host holds a template that cannot be evaluated."}]
    return rotations


def _write(directory: pathlib.Path, report: _report.Report) -> list[str]:
    """The three files; each replaces the one before it as a whole, so that no reader sees half of it."""
    directory.mkdir(parents=True, exist_ok=True)
    contents = {
        "json": json.dumps(report, indent=1, ensure_ascii=False).encode("utf-8", "replace"),
        "xml": _report.junit(report),
        "html": _report.page(report).encode("utf-8", "replace"),
    }
    return [_replace(directory / f"{_NAME}.{kind}", content) for kind, content in contents.items()]


def _replace(path: pathlib.Path, content: bytes) -> str:
    # A name that nobody can have taken before us, and no link of somebody else's.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return str(path)
