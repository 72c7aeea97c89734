# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Meraki's Dashboard API on the loopback interface, for the vendor's unmodified SDK and the collection cisco.meraki.

It answers as Cisco's OpenAPI document says, and where that is silent as the documentation does, or with a switch.
"""

from __future__ import annotations

from tests.sandbox.meraki.sandbox import MerakiSandbox
from tests.sandbox.meraki.state import Authorization, Network, User

__all__ = ["Authorization", "MerakiSandbox", "Network", "User"]
