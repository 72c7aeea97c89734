# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit tests need neither network nor server; what they generate is small."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("unit", deadline=None, max_examples=80)
hypothesis.settings.load_profile("unit")
