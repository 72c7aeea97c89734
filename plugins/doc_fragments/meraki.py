# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/_meraki/ that are about the API."""

    DOCUMENTATION = r"""
options:
  api_key:
    description:
      - The key of a dashboard administrator with full access to the network. It is sent as a bearer token and in no
        other way.
      - Falls back to the environment variable E(MERAKI_DASHBOARD_API_KEY).
    type: str
    required: true
  api_url:
    description:
      - The address of the API of the organization's region. A missing C(/api/v1) is added.
      - Other regions are V(https://api.meraki.ca/api/v1), V(https://api.meraki.cn/api/v1),
        V(https://api.meraki.in/api/v1) and V(https://api.gov-meraki.com/api/v1).
      - A redirect is never followed; it is an error.
    type: str
    default: https://api.meraki.com/api/v1
  network_id:
    description:
      - The network, like V(N_24329156) or V(L_646829496481105433). Not its name.
    type: str
    required: true
  requests_per_second:
    description:
      - How many requests all users of the task together may cause. An organization has 10 per second for all its
        applications.
    type: float
    default: 8.0
requirements:
  - requests
"""
