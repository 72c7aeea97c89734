# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import os
import sys
import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deadline
from ansible_collections.keyturn.credentials.plugins.module_utils._core.deps import require
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    AuthFailed,
    InvalidInput,
    MissingDependency,
    NotFound,
    RotationError,
    Unreachable,
    VaultError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import looks_like_uid, parse_config
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.connection import config_text
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _config_file
from ansible_collections.keyturn.credentials.plugins.plugin_utils._action import action_of
from ansible_collections.keyturn.credentials.plugins.plugin_utils._censor import Result, censor

_OFFICIAL = "keepersecurity.keeper_secrets_manager.keeper_get_record"
_TIMEOUT = 45


class ActionModule(ActionBase):
    """Reads one record through Keeper's own plugin, with a timeout and the environment's configuration.

    Its texts may quote the server, so they are replaced by ours.
    """

    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        result: Result = super().run(tmp, task_vars)
        return censor({**result, **self._outcome(task_vars or {})})

    def _outcome(self, task_vars: dict[str, t.Any]) -> Result:
        try:
            return {"changed": False, **self._read(task_vars)}
        except RotationError as error:
            return {
                "failed": True,
                "error_code": error.error_code,
                "msg": error.msg,
                "retry_safe": error.retry_safe,
            }

    def _read(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        _validated, params = self.validate_argument_spec(
            {
                "record": {"type": "str", "required": True, "no_log": False},
                "keeper_config": {"type": "raw", "no_log": True},
                "keeper_config_file": {"type": "path", "no_log": False},
            }
        )
        reference = params["record"].strip()
        if not reference:
            raise InvalidInput("The administrator's record is named by an empty text.")
        if _config_file.open_to_others(params, os.environ):
            self._display.warning(_config_file.OPEN_TO_OTHERS)
        config = config_text(params, os.environ)
        parse_config(config)
        require("keeper_secrets_manager_core", package="keeper-secrets-manager-core")
        handle = self._ask_official(reference, config, task_vars)
        content = handle.dict if isinstance(handle.dict, dict) else {}
        record = {name: content.get(name) or [] for name in ("fields", "custom")}
        return {"record": {"uid": str(handle.uid), "title": str(handle.title), **record}, "record_uid": str(handle.uid)}

    def _ask_official(self, reference: str, config: str, task_vars: dict[str, t.Any]) -> t.Any:
        """The record, an object of Keeper's SDK with C(uid), C(title) and C(dict), the vault's own JSON."""
        task = self._task.copy()
        task.args = {}
        plugin = action_of(self, _OFFICIAL, task)
        if plugin is None:
            raise MissingDependency("The collection keepersecurity.keeper_secrets_manager is not installed.")
        # The plugin prefers a file, and a client-config.json in the working directory to everything else.
        variables = {**task_vars, "keeper_config": config, "keeper_config_file": os.devnull}

        def ask() -> t.Any:
            # Its result would lack fields with an empty label, and the UID; what it reads has both.
            reader = sys.modules[type(plugin).__module__].KeeperAnsible(task_vars=variables, action_module=plugin)
            if looks_like_uid(reference):
                # A title may have 22 characters, too.
                with contextlib.suppress(AnsibleError):
                    return reader.get_record(uids=reference)
            return reader.get_record(titles=reference)

        try:
            return deadline.within(_TIMEOUT, ask)
        except deadline.TimedOut:
            raise Unreachable(f"Reading record {reference}: no answer from Keeper within {_TIMEOUT} s.") from None
        except Exception as error:  # AnsibleError, ValueError, and whatever the SDK lets through
            raise _failure(reference, error) from None


def _failure(reference: str, error: Exception) -> RotationError:
    """Our error for the official plugin's, whose text is looked at and not kept."""
    lowered = f"{type(error).__name__} {error}".lower()
    if "multiple records" in lowered:
        return Ambiguous(f"Several Keeper records have the title {reference}. Name the UID instead.")
    if "could not find any records" in lowered or "could not be found" in lowered:
        return NotFound(f"Keeper shows this application no record with the UID or title {reference}.")
    if "access_denied" in lowered:
        return AuthFailed(f"Reading record {reference}: Keeper refused this application (access_denied).")
    if "ssl" in lowered or "certificate" in lowered:
        return VaultError(f"Reading record {reference}: Keeper's TLS certificate does not verify.", retry_safe=False)
    if "connection" in lowered or "max retries" in lowered:
        return Unreachable(f"Reading record {reference}: no answer from Keeper.")
    return VaultError(f"Reading record {reference} from Keeper failed ({type(error).__name__}).")
