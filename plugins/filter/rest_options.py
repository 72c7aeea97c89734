# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the REST modules, and what passwords the service takes, from a record and a recipe."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError

# Imports stand in the functions: for one filter of a collection, each process that Ansible forks loads all of them.


def rest_options(
    record: t.Mapping[str, t.Any],
    recipe: str,
    folder: str,
    connection: t.Mapping[str, t.Any],
    module: str = "rest_password_rotate",
) -> dict[str, t.Any]:
    """The options, users aside. Holds secrets."""
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _rest_record

    try:
        given = _rest_record.recipe_of(record, recipe, folder, module)
        return _rest_record.module_options(record, given, connection, module)
    except RotationError as error:
        raise AnsibleFilterError(error.msg) from None


def rest_password_policy(record: t.Mapping[str, t.Any], recipe: str, folder: str) -> dict[str, t.Any]:
    """The recipe's C(password_policy), empty where it has none."""
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _rest_record

    try:
        return t.cast("dict[str, t.Any]", _rest_record.recipe_of(record, recipe, folder).get("password_policy") or {})
    except RotationError as error:
        raise AnsibleFilterError(error.msg) from None


class FilterModule:
    """The role's filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"rest_options": rest_options, "rest_password_policy": rest_password_policy}
