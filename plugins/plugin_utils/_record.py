# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fields of an administrator's record, as Keeper's own plugin returns them."""

from __future__ import annotations

import typing as t

Record = t.Mapping[str, t.Any]


def first(record: Record, field: str) -> t.Any:
    """The field's first value, None without one."""
    values = record.get(field) or [None]
    return values[0] if isinstance(values, list) else values


def options_of(record_options: t.Mapping[str, t.Any], connection: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The module options of the record, overruled by the connection; empty ones are left out."""
    return {name: value for name, value in {**record_options, **connection}.items() if value not in (None, "")}
