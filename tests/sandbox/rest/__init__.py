# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service with users and a small API, for what real servers do not do on demand."""

from pathlib import Path

from tests.sandbox.rest.service import RestSandbox

__all__ = ["RECIPE", "TOKEN_RECIPE", "RestSandbox"]

# The role's recipe for it.
RECIPE = Path(__file__).with_name("recipe.yml")
TOKEN_RECIPE = Path(__file__).with_name("token_recipe.yml")
