# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's login from the record that Keeper's guide prescribes."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError

# Imports stand in the function: for one filter of a collection, each process that Ansible forks loads all of them.

_WAYS = ("login_password", "login_private_key", "login_private_key_path", "login_token")
# Where the record's C(login_authenticator) names a token, the record has it in its password field.
_TOKENS = ("oauth", "programmatic_access_token")


def snowflake_login(
    record: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any], module: str | None = None
) -> dict[str, t.Any]:
    """The connection options of the Snowflake modules. Holds secrets.

    record: fields by label, as keeper_get_record returns them; one that is named like a connection option sets it, and
    with C(module) every option of that module's. connection: options that win. Whatever says how to log in replaces
    the record's secret. With C(module), what the session does has a tag that names the run.
    """
    from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.connection import CONNECTION_SPEC
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _record, _run_id

    spec = _record.spec_of(module) if module else CONNECTION_SPEC
    try:
        fields = _record.read(record)
        given = {
            "query_tag": f"keyturn.credentials:{module}:{_run_id.run_id()}" if module else None,
            "account": _record.text(fields, "snowflake_account_name"),
            "login_user": _record.text(fields, "login"),
            **_record.options(fields, spec),
            **connection,
        }
        if not any(way in given for way in _WAYS) and "login_authenticator" not in connection:
            given.update(_secret(fields, given.get("login_authenticator")))
    except RotationError as error:
        raise AnsibleFilterError(error.msg) from None
    return _record.filled(given)


def _secret(fields: dict[str, list[t.Any]], authenticator: str | None) -> dict[str, t.Any]:
    """The record's secret as an option: its password if it has one, unless its authenticator says otherwise."""
    from ansible_collections.keyturn.credentials.plugins.plugin_utils import _record

    password = None if authenticator == "key_pair" else _record.secret(fields, "password")
    if password:
        return {"login_token" if authenticator in _TOKENS else "login_password": password}
    return {} if authenticator == "workload_identity" else {"login_private_key": _record.private_key(fields)}


class FilterModule:
    """The roles' filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"snowflake_login": snowflake_login}
