# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API key and the network from the record that Keeper's guide prescribes."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.plugin_utils._record import first, options_of


def meraki_login(record: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The connection options of the Meraki modules. Holds secrets.

    record: fields by label, each a list, as keeper_get_record returns them. connection: options that win.
    """
    return options_of({"api_key": first(record, "password"), "network_id": first(record, "network_id")}, connection)


class FilterModule:
    """The roles' filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"meraki_login": meraki_login}
