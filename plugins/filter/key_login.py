# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An administrator's API key, and what else a module needs to get there, from a record."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError

# Imports stand in the function: for one filter of a collection, each process that Ansible forks loads all of them.


def key_login(record: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any], module: str) -> dict[str, t.Any]:
    """The connection options of a module of this collection. Holds secrets.

    record: fields by label, as keeper_get_record returns them; one that is named like an option of the module sets it.
    connection: options that win. The record's password is C(api_key).
    """
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _record

    try:
        fields = _record.read(record)
        own = {"api_key": _record.secret(fields, "password"), **_record.options(fields, _record.spec_of(module))}
    except RotationError as error:
        raise AnsibleFilterError(error.msg) from None
    return _record.filled(own, connection)


class FilterModule:
    """The roles' filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"key_login": key_login}
