# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: keeper
short_description: Accounts whose credentials rotate, from Keeper records
version_added: 1.0.0
description:
  - Makes the inventory of the playbook C(keyturn.credentials.rotate) from the records that name their administrator's
    record, by UID or title, in the custom text field C(rotation_admin_record). All records are read with one call to
    Keeper. No secret becomes a variable or goes into the cache.
  - The custom text field C(rotation_module) of a record, or else of its administrator's record, is the kind of its
    secret, for example C(snowflake_user_password). A record may have a C(rotation_max_age).
  - Every administrator's record becomes a host, named by its custom text field C(rotation_account) or else by its
    title. Its custom text field C(recipe) is the recipe of a REST API.
  - Hosts are in the groups of their kinds, for example C(snowflake_user_password), in C(keyturn_due) if at least one
    record is due and else in C(keyturn_not_due), in C(keyturn_waiting) if one would be due but for its
    C(rotation_not_before), C(rotation_window) or C(rotation_after), in C(keyturn_pending) if a rotation is unfinished,
    and in C(keyturn_problems) if something is wrong with a record.
  - Where a record that is due has been rotated before, the host's C(keyturn_due_since) is the time since when the first
    of them is older than its C(max_age).
  - What is wrong with a record is warned of, and makes its host fail in the playbook; the host's other records rotate.
    Records without a usable administrator's record belong to the host C(without_admin_record).
author:
  - keyturn.credentials contributors (@keyturn)
extends_documentation_fragment:
  - keyturn.credentials.keeper
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [keyturn.credentials.keeper]
  max_age:
    description:
      - For records without a C(rotation_max_age). Units are s, m, h and d.
    type: str
    default: 30d
notes:
  - The source's name must end in C(keeper.yml) or C(keeper.yaml).
  - Ansible goes on without a source that cannot be read. Set E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED) if there are
    several sources.
seealso:
  - ref: ansible_collections.keyturn.credentials.docsite.guide_fleet
    description: Many accounts in one run.
"""

EXAMPLES = r"""
# production.keeper.yml
plugin: keyturn.credentials.keeper
keeper_config_file: /etc/keyturn/ksm-config.json

# With a cache for ten minutes; it holds titles, logins and times, but no secrets
# plugin: keyturn.credentials.keeper
# keeper_config_file: /etc/keyturn/ksm-config.json
# max_age: 14d
# cache: true
# cache_plugin: ansible.builtin.jsonfile
# cache_connection: /var/cache/keyturn
# cache_timeout: 600
"""

import os
import typing as t

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import now, parse_duration, rfc3339
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError
from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import one_line
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.connection import vault
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _config_file, _fleet, _vault_inventory

_CONNECTION = ("keeper_config", "keeper_config_file", "ca_path", "validate_certs")
_MOST_WARNINGS = 20


class InventoryModule(BaseInventoryPlugin, Cacheable):
    """Reads once, and hands the records' metadata to _vault_inventory."""

    NAME = "keyturn.credentials.keeper"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("keeper.yml", "keeper.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            parse_duration(self.get_option("max_age"), option="max_age")
            found = self._found(path, cache)
        except RotationError as error:
            raise AnsibleParserError(f"{error.msg} [{error.error_code}]") from None
        accounts = _vault_inventory.accounts(found, self.get_option("max_age"), now())
        for name, account in sorted(accounts.items()):
            self._add(inventory, name, account)
        self._warn(found, [line for account in accounts.values() for line in account.problems])

    def _found(self, path: str, cache: bool) -> _vault_inventory.Extract:
        """The records' metadata, from the cache if it may be used and has them."""
        key = self.get_cache_key(path)
        enabled = self.get_option("cache")
        if enabled and cache and key in self._cache:
            return t.cast(_vault_inventory.Extract, self._cache[key])
        params = {name: self.get_option(name) for name in _CONNECTION}
        if _config_file.open_to_others(params, os.environ):
            self.display.warning(_config_file.OPEN_TO_OTHERS)
        client = vault(params, os.environ)
        found = _vault_inventory.extract(client.read_all())
        if enabled:
            self._cache[key] = found
        return found

    def _add(self, inventory: t.Any, name: str, account: _vault_inventory.Account) -> None:
        inventory.add_host(name)
        kinds = {str(rotation.get("kind")) for rotation in account.rotations} & set(_fleet.KINDS)
        states = {
            "keyturn_due" if account.due else "keyturn_not_due": True,
            "keyturn_waiting": account.waiting > 0,
            "keyturn_pending": account.pending > 0,
            "keyturn_problems": bool(account.problems),
        }
        for group in sorted(kinds) + [group for group, member in states.items() if member]:
            inventory.add_group(group)
            inventory.add_child(group, name)
        inventory.set_variable(name, "ansible_connection", "local")
        inventory.set_variable(name, "keyturn_rotations", account.rotations)
        if account.due_since is not None:
            inventory.set_variable(name, "keyturn_due_since", rfc3339(account.due_since))
        if self.get_option("keeper_config_file"):
            inventory.set_variable(name, "keeper_config_file", self.get_option("keeper_config_file"))

    def _warn(self, found: _vault_inventory.Extract, problems: list[str]) -> None:
        for line in problems[:_MOST_WARNINGS]:
            self.display.warning(one_line(line))
        if len(problems) > _MOST_WARNINGS:
            self.display.warning(f"{len(problems) - _MOST_WARNINGS} more problems: they are in keyturn_rotations.")
        if not found["marked"]:
            self.display.warning(f"No record that Keeper shows has a custom field {_vault_inventory.ADMIN_FIELD}.")
