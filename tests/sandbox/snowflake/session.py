# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A logged-in session, and the tables that its statements answer with."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t
import zoneinfo

from tests.sandbox.snowflake.account import Account
from tests.sandbox.snowflake.users import User


@dataclasses.dataclass
class Session:
    """Who is logged in, with which role and session parameters. ``by_token``: a programmatic access token opened
    it. ``expired``: the token must be renewed first."""

    token: str
    master_token: str
    number: int
    user: User
    role: str
    parameters: dict[str, str]
    secondary_roles: bool = False
    by_token: bool = False
    expired: bool = False

    def roles(self, account: Account) -> set[str]:
        """The roles whose privileges the session has."""
        found = account.includes(self.role)
        if self.secondary_roles:
            found = found.union(*(account.includes(role) for role in self.user.roles))
        return found

    def zone(self, account: Account) -> dt.tzinfo:
        name = self.parameters.get("TIMEZONE", account.timezone)
        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            # A machine without time zone data: any fixed zone that is not UTC tells the same story.
            return dt.UTC if name.upper() in ("UTC", "ETC/UTC") else dt.timezone(dt.timedelta(hours=-8))


Cell = str | dt.datetime | None


@dataclasses.dataclass
class Table:
    """What a statement answers; ``types`` names the columns that are not text."""

    columns: t.Sequence[str]
    rows: t.Sequence[t.Sequence[Cell]]
    types: dict[str, str] = dataclasses.field(default_factory=dict)

    def description(self) -> list[dict[str, t.Any]]:
        """The ``rowtype`` of the answer."""
        return [_described(name, self.types.get(name, "text")) for name in self.columns]

    def text_rows(self) -> list[list[str | None]]:
        """The ``rowset``: every cell as the text that the wire format has for its type."""
        return [[_wire(cell) for cell in row] for row in self.rows]


def status(text: str) -> Table:
    return Table(["status"], [[text]])


def _described(name: str, kind: str) -> dict[str, t.Any]:
    text = kind == "text"
    return {
        "name": name,
        "type": kind,
        "nullable": True,
        "length": 16777216 if text else None,
        "byteLength": 16777216 if text else None,
        "precision": None if text or kind == "boolean" else 38 if kind == "fixed" else 0,
        "scale": None if text or kind == "boolean" else 0 if kind == "fixed" else 9,
        "collation": None,
        "database": "",
        "schema": "",
        "table": "",
    }


def _wire(cell: Cell) -> str | None:
    if isinstance(cell, dt.datetime):
        return f"{int(cell.timestamp())}.{cell.microsecond * 1000:09d}"
    return cell
