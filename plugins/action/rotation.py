# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleError
from ansible.executor.module_common import _apply_action_arg_defaults
from ansible.module_utils.common.validation import check_type_list
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

from ansible_collections.keyturn.credentials.plugins.plugin_utils._action import action_of
from ansible_collections.keyturn.credentials.plugins.plugin_utils._consumers import consumers
from ansible_collections.keyturn.credentials.plugins.plugin_utils._fate import Result, Role, with_administrator
from ansible_collections.keyturn.credentials.plugins.plugin_utils._in_process import preload
from ansible_collections.keyturn.credentials.plugins.plugin_utils._rotate import rotate, summary

_COLLECTION = "keyturn.credentials"
# Ansible loads this plugin before it forks: what the tasks of every role need is then there.
_PLUGINS = __name__.rpartition(".action.")[0]
preload(
    *("requests", "keeper_secrets_manager_core", "cryptography.hazmat.primitives.asymmetric.rsa"),
    *(f"{_PLUGINS}.{name}" for name in ("action.keeper_admin_record", "action.keeper_rotation", "filter.key_login")),
)


# Why: docs/decisions/11-a-role-is-one-task.md
class ActionModule(ActionBase):
    """The work of a role in one task, so that no answer of a module, which may hold secrets, is in a variable."""

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validated, params = self.validate_argument_spec({"kind": {"type": "str", "required": True, "no_log": False}})
        self._kind: str = params["kind"]
        self._variables = task_vars or {}
        self._tell(keyturn_admin={}, keyturn_account=None)
        # As Ansible reads an option that is a list.
        records = [str(record).strip() for record in check_type_list(self._option("records"))]
        result.update(records=records, outcomes=[])
        admin = self._ask("keeper_admin_record", "keyturn_vault", record=self._option("admin_record"))
        if admin.get("failed"):
            result.update(
                {name: admin[name] for name in ("failed", "msg", "error_code", "retry_safe") if name in admin}
            )
        else:
            self._tell(keyturn_admin=admin)
            result.update(self._rotate(records, admin["record"]))
        return result

    def _rotate(self, records: list[str], administrator: dict[str, t.Any]) -> dict[str, t.Any]:
        role, folder = Role(**self._option("role")), self._value("keyturn_consumers_dir | default('', true)")
        told = {"consumers": self._option("consumers")}
        staging = {"max_age": str(self._option("max_age")), "force": self._option("force"), **told}

        def vault(state: str, records: t.Sequence[str], **options: t.Any) -> Result:
            if "account" in options:
                self._tell(keyturn_account=options.pop("account"))
            options = {"state": state, "records": list(records), **(told if state == "committed" else {}), **options}
            return self._ask("keeper_rotation", f"keyturn_vault | combine({self._kind}_vault)", **options)

        def service(users: t.Sequence[dict[str, t.Any]], *, check_mode: bool) -> Result:
            options = {"users": list(users), **role.options}
            answer = self._ask(self._kind, f"{self._kind}_login", check_mode=check_mode, **options)
            return with_administrator(answer, administrator)

        return summary(
            rotate(
                *(role, records, vault, service),
                staging=staging,
                consumers=functools.partial(consumers, folder),
                check_mode=self._task.check_mode,
            )
        )

    def _tell(self, **variables: t.Any) -> None:
        """What the role's own variables are made of."""
        self._templar.available_variables = {**self._templar.available_variables, **variables}
        self._values: dict[str, t.Any] = {}

    def _option(self, name: str) -> t.Any:
        return self._value(f"{self._kind}_{name}")

    def _value(self, expression: str) -> t.Any:
        if expression not in self._values:
            self._values[expression] = self._templar.template(trust_as_template(f"{{{{ {expression} }}}}"))
        return self._values[expression]

    def _ask(self, module: str, common: str, *, check_mode: bool = False, **options: t.Any) -> Result:
        """What a task with the module would register; common: the variable with more options."""
        name = f"{_COLLECTION}.{module}"
        task = self._task.copy()
        task.action, task.check_mode = name, check_mode
        try:
            options = {**self._value(common), **options}
            task.args = _apply_action_arg_defaults(name, self._task, options, self._templar)
            return t.cast(Result, action_of(self, name, task).run(task_vars=self._variables))
        except AnsibleError as error:  # a variable that cannot be evaluated, a timeout
            return {"failed": True, "msg": str(error)}
        except Exception as error:  # what was done before is still told, and what is in force still committed
            return {"failed": True, "msg": f"{name}: internal error {type(error).__name__}."}
