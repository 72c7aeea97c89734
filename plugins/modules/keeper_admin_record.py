#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: keeper_admin_record
short_description: (internal) Read an administrator's record for a rotation role
version_added: 1.0.0
description:
  - Reads one record as C(keepersecurity.keeper_secrets_manager.keeper_get_record) does, and adds what a rotation needs.
    The read is bounded in time, the configuration may come from the environment, the result is never shown, and errors
    hold no text of the server.
  - Internal to this collection, whose roles use it. It may change in any release. For other purposes, use Keeper's own
    module.
options:
  record:
    description:
      - The record's UID or its title, which must be unique.
    type: str
    required: true
  keeper_config:
    description:
      - The client configuration, as JSON, its base64, or a mapping.
      - Falls back to the environment variable E(KSM_CONFIG) of the controller.
    type: raw
  keeper_config_file:
    description:
      - A file with the client configuration, on the controller. Wins over O(keeper_config) if it exists.
      - Falls back to the environment variable E(KSM_CONFIG_FILE) of the controller.
    type: path
requirements:
  - the collection keepersecurity.keeper_secrets_manager
seealso:
  - module: keyturn.credentials.keeper_rotation
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Read the administrator's record
  keyturn.credentials.keeper_admin_record:
    record: Snowflake Authentication Record
  register: admin
"""

RETURN = r"""
record:
  description: The record as the vault keeps it, C(uid), C(title), and lists of C(fields) and C(custom) fields.
  returned: success
  type: dict
record_uid:
  description: The record's UID.
  returned: success
  type: str
error_code:
  description: The kind of failure.
  returned: failure
  type: str
"""
