# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes what is made from the recipes: their page in the documentation, and the requests that the tests compare."""

from __future__ import annotations

from tests import recipes
from tests.recipes import page, rendering

if __name__ == "__main__":
    page.PATH.write_text(page.render(), encoding="utf-8")
    for recipe in recipes.names():
        rendering.path(recipe).write_text(rendering.render(recipe), encoding="utf-8")
