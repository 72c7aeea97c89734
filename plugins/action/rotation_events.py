# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections
import pathlib
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import now
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _events, _run_id

Result = dict[str, t.Any]


class ActionModule(ActionBase):
    """Sends events from the controller; whatever becomes of them, it does not fail."""

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        _validated, params = self.validate_argument_spec(
            {
                # The path of a webhook is often its password.
                "url": {"type": "str", "required": True, "no_log": True},
                "secret": {"type": "str", "no_log": True},
                "kind": {"type": "str", "required": True, "no_log": False},
                "account": {"type": "str", "no_log": False},
                "records": {"type": "list", "elements": "str", "default": [], "no_log": False},
                "outcomes": {"type": "list", "elements": "dict", "default": [], "no_log": False},
                "failure": {"type": "dict", "default": {}, "no_log": False},
            }
        )
        about = {
            "run_id": _run_id.run_id(),
            "kind": params["kind"],
            "host": (task_vars or {}).get("inventory_hostname"),
            "account": params["account"] or None,
        }
        outcomes = params["outcomes"] or _events.unknown(params["records"], params["failure"])
        told = [] if self._task.check_mode else _events.events(outcomes, about, now())
        lost = _deliver(params, told) if told else _events.Lost(collections.Counter())
        undelivered = lost.reasons.total()
        result.update(changed=False, delivered=len(told) - undelivered, undelivered=undelivered)
        if undelivered:
            result["msg"] = lost.told()
        return result


def _deliver(params: Result, told: list[_events.Event]) -> _events.Lost:
    """A receiver that was silent is not waited for again in the same run, whatever else rotates there."""
    silent = pathlib.Path(vars(constants)["DEFAULT_LOCAL_TMP"], "keyturn-events-silent")
    if silent.exists():
        return _events.Lost(collections.Counter({"the receiver has not answered before in this run": len(told)}))
    try:
        lost = _events.deliver(params["url"], params["secret"], told)
    except RotationError as error:
        return _events.Lost(collections.Counter({error.msg.rstrip("."): len(told)}))
    except Exception as error:  # no event is worth a rotation, and the text may hold the address
        return _events.Lost(collections.Counter({f"internal error {type(error).__name__}": len(told)}))
    if lost.silent:
        silent.touch()
    return lost
