# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/_keeper/connection.py."""

    DOCUMENTATION = r"""
options:
  keeper_config:
    description:
      - The Keeper Secrets Manager client configuration, as JSON, its base64, or a mapping.
      - Falls back to the environment variable E(KSM_CONFIG).
    type: raw
  keeper_config_file:
    description:
      - A file with the client configuration. It is read only, and wins over O(keeper_config) if it exists.
      - Falls back to the environment variable E(KSM_CONFIG_FILE).
    type: path
  ca_path:
    description:
      - A PEM file of the certificate authorities to trust.
      - Falls back to the environment variable E(REQUESTS_CA_BUNDLE).
    type: path
  validate_certs:
    description:
      - Whether Keeper's TLS certificate must verify. The SDK's own E(KSM_SKIP_VERIFY) is not looked at.
    type: bool
    default: true
requirements:
  - keeper-secrets-manager-core >= 17.3.0
  - cryptography
"""
