# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Users with Meraki authentication, as a network's list shows them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import parse_rfc3339
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Ambiguous, NotFound

ACCOUNT_TYPES = ("Client VPN", "802.1X", "Guest")


@dataclasses.dataclass(frozen=True)
class AuthUser:
    """One user.

    expiries: until when each of its authorizations lasts, as Meraki writes it; None for one without end.
    """

    id: str
    email: str
    name: str
    account_type: str
    is_admin: bool
    expiries: tuple[str | None, ...]

    def authorized(self, now: dt.datetime) -> bool:
        """Whether any authorization is in force. A time that cannot be read counts as over."""
        return any(_lasts(expiry, now) for expiry in self.expiries)

    @property
    def expires_at(self) -> str | None:
        """When the last authorization ends, as Meraki writes it; None if one has no end, or if there is none."""
        ends = [expiry for expiry in self.expiries if expiry is not None]
        return max(ends) if len(ends) == len(self.expiries) and ends else None


def _lasts(expiry: str | None, now: dt.datetime) -> bool:
    if expiry is None:
        return True
    end = parse_rfc3339(expiry)
    return end is not None and end > now


def parse(listed: t.Any) -> list[AuthUser]:
    """The users of a list; an entry without id or email is nobody's. Raises ValueError for what is no list."""
    if not isinstance(listed, list):
        raise ValueError("no list")
    return [_user(entry) for entry in listed if isinstance(entry, dict) and _named(entry)]


def _named(entry: dict[str, t.Any]) -> bool:
    return all(isinstance(entry.get(field), str) and entry[field] for field in ("id", "email"))


def _user(entry: dict[str, t.Any]) -> AuthUser:
    authorizations = entry.get("authorizations")
    return AuthUser(
        id=entry["id"],
        email=entry["email"],
        name=str(entry.get("name") or ""),
        account_type=str(entry.get("accountType") or ""),
        is_admin=entry.get("isAdmin") not in (False, None),
        expiries=tuple(
            _expiry(authorization.get("expiresAt"))
            for authorization in (authorizations if isinstance(authorizations, list) else [])
            if isinstance(authorization, dict)
        ),
    )


def _expiry(value: t.Any) -> str | None:
    return None if value is None or value in ("", "Never") else str(value)


def address(email: str) -> str:
    """What is compared: case makes no difference, but casefold() would make one address of straße@ and strasse@."""
    return email.lower()


def by_address(users: t.Iterable[AuthUser]) -> dict[str, list[AuthUser]]:
    """For C(find)."""
    found: dict[str, list[AuthUser]] = {}
    for user in users:
        found.setdefault(address(user.email), []).append(user)
    return found


def find(users: t.Mapping[str, list[AuthUser]], email: str, account_type: str, network_id: str) -> AuthUser:
    """The one user with this email and account type. Raises NotFound or Ambiguous."""
    namesakes = users.get(address(email), [])
    found = [user for user in namesakes if user.account_type == account_type]
    if len(found) > 1:
        raise Ambiguous(
            f"Network {network_id} has {len(found)} users with the email {email} and the account type {account_type}."
        )
    if not found:
        others = sorted({user.account_type for user in namesakes})
        hint = f" It has one of the account type {' and one of '.join(others)}." if others else ""
        raise NotFound(
            f"Network {network_id} has no user with the email {email} and the account type {account_type}.{hint}",
            in_force=False,
        )
    return found[0]
