# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and secrets as clients write them."""

from __future__ import annotations

import hmac
import re


def fold(name: str) -> str:
    """A user, role or token as a client names it: a bare identifier folds to upper case, a quoted one is exact."""
    if len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name.upper() if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", name) else name


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
