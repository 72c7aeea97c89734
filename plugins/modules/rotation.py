#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rotation
short_description: (internal) The work of a role in one task
version_added: 1.0.0
description:
  - Internal to this collection, whose roles use it. It may change in any release.
  - Asks M(keyturn.credentials.keeper_admin_record), M(keyturn.credentials.keeper_rotation) and the service's module in
    turn, with their defaults from C(module_defaults) and the role's variables. It returns no secrets.
  - It does not fail because a record did; the role's last task does.
options:
  kind:
    description:
      - The role, for example V(snowflake_user_password). Its variables begin with this name.
    type: str
    required: true
attributes:
  action:
    description: It has an action plugin that runs on the controller.
    support: full
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Rotate what is due
  keyturn.credentials.rotation:
    kind: snowflake_user_password
  no_log: true
  register: run
"""

RETURN = r"""
records:
  description: The records that were named.
  returned: always
  type: list
  elements: str
outcomes:
  description: What became of each record.
  returned: always
  type: list
  elements: dict
deliver:
  description: What consumers are to be told.
  returned: when the administrator's record could be read
  type: list
  elements: dict
account:
  description: The account, as the service names it.
  returned: when the service tells it
  type: str
failure:
  description: C(msg) and C(error_code) where nothing could be said of any record.
  returned: when the administrator's record could be read
  type: dict
stats:
  description: For C(set_stats).
  returned: when the administrator's record could be read
  type: dict
told:
  description: Lines for a person.
  returned: when the administrator's record could be read
  type: list
  elements: str
failures:
  description: A line for each failure.
  returned: when the administrator's record could be read
  type: list
  elements: str
error_code:
  description: Why the administrator's record could not be read.
  returned: failure
  type: str
"""
