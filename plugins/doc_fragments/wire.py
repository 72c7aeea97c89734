# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How requests travel; the argument spec is in module_utils/_core/wire.py."""

    DOCUMENTATION = r"""
options:
  validate_certs:
    description:
      - Whether the server's TLS certificate must be valid.
    type: bool
    default: true
  ca_path:
    description:
      - A PEM file with the certificate authorities to trust instead of the usual ones.
    type: path
  proxy:
    description:
      - The address of a proxy. Proxy variables and C(.netrc) of the environment are not used.
    type: str
  timeout:
    description:
      - Seconds until an answer must come.
    type: float
    default: 30
  max_retries:
    description:
      - How often a request is repeated. Reads are repeated after a limited rate (429), 502, 503, 504 and lost answers.
      - After a limited rate the answer's C(Retry-After) is honoured; more than 60 s ends the attempt at once.
    type: int
    default: 3
"""
