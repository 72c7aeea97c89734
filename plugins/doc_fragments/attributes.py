# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What modules say of check mode, diff mode and action groups."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
    support: full
    details:
      - Reads and probing logins run. Nothing is written, nothing is generated, and nothing is called verified.
  diff_mode:
    description: Will return details on what has changed (or would change in C(check_mode)), when in diff mode.
    support: full
    details:
      - Shows metadata only, never a secret.
"""

    ACTIONGROUP_SNOWFLAKE = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/keyturn.credentials.snowflake) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - keyturn.credentials.snowflake
"""

    ACTIONGROUP_MERAKI = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/keyturn.credentials.meraki) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - keyturn.credentials.meraki
"""

    ACTIONGROUP_REST = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/keyturn.credentials.rest) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - keyturn.credentials.rest
"""
