# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administrator's login from the record that Keeper's guide prescribes."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.plugin_utils._record import first, options_of

_WAYS = ("login_password", "login_private_key", "login_private_key_path", "login_token", "login_authenticator")


def snowflake_login(record: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The connection options of the Snowflake modules. Holds secrets.

    record: fields by label, each a list, as keeper_get_record returns them. connection: options that win; one that says
    how to log in replaces the record's secret.
    """
    pair = first(record, "keyPair")
    key = first(record, "privatePEMKey") or (pair or {}).get("privateKey")
    password = first(record, "password")
    options = {
        "account": first(record, "snowflake_account_name"),
        "login_user": first(record, "login"),
    }
    if not any(way in connection for way in _WAYS):
        options.update({"login_password": password} if password else {"login_private_key": key})
    return options_of(options, connection)


class FilterModule:
    """The roles' filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"snowflake_login": snowflake_login}
