# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the playbook that the Keeper Gateway's script runs."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError

# Imports stand in the functions: for one filter of a collection, each process that Ansible forks loads all of them.


def gateway_options(event: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The options of the event's module; for the key pair role, its connection. Holds secrets."""
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _gateway

    try:
        return _gateway.options(event)
    except RotationError as error:
        raise AnsibleFilterError(error.msg) from None


def gateway_event(event: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What was understood of the event. Holds no secrets."""
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _gateway

    return _gateway.told(event)


def gateway_failure(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The reason in a failed task's result."""
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _gateway

    return _gateway.failure(result)


def gateway_receipt(
    event: t.Mapping[str, t.Any], answers: t.Sequence[t.Mapping[str, t.Any]], check_mode: bool = False
) -> dict[str, t.Any]:
    """What the script believes. Holds no secrets."""
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _gateway

    return _gateway.receipt(event, answers, check_mode=check_mode)


class FilterModule:
    """The playbook's filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "gateway_event": gateway_event,
            "gateway_options": gateway_options,
            "gateway_failure": gateway_failure,
            "gateway_receipt": gateway_receipt,
        }
