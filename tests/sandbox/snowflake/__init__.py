# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Snowflake account in memory that the unmodified Snowflake connectors can log in to and query."""

from __future__ import annotations

from tests.sandbox.snowflake.sandbox import SnowflakeSandbox

__all__ = ["SnowflakeSandbox"]
