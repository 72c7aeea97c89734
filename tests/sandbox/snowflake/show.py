# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""DESCRIBE USER, SHOW USERS, SHOW USER KEY PAIRS and SHOW USER PROGRAMMATIC ACCESS TOKENS."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import re
import typing as t

from tests.sandbox.snowflake import tokens
from tests.sandbox.snowflake.account import OWNERSHIP, Account
from tests.sandbox.snowflake.keypairs import SLOT_NAMES
from tests.sandbox.snowflake.properties import DEFAULTS, DESCRIPTIONS
from tests.sandbox.snowflake.session import Cell, Session, Table
from tests.sandbox.snowflake.users import AccessToken, KeyPair, User

_USER_TIMES = ("created_on", "last_success_login", "expires_at_time", "locked_until_time")
# (source: the columns of a live account; has_pat is unverified and so is which columns an unprivileged role sees)
# fmt: off
_USER_COLUMNS = [
    "name", "created_on", "login_name", "display_name", "first_name", "last_name", "email", "mins_to_unlock",
    "days_to_expiry", "comment", "disabled", "must_change_password", "snowflake_lock", "default_warehouse",
    "default_namespace", "default_role", "default_secondary_roles", "ext_authn_duo", "ext_authn_uid",
    "mins_to_bypass_mfa", "owner", "last_success_login", "expires_at_time", "locked_until_time", "has_password",
    "has_rsa_public_key", "type", "has_mfa", "has_pat", "has_workload_identity",
]
# fmt: on
_ANYONE_SEES = ("name", "created_on", "owner")
_PAIR_TIMES = ("created_on", "last_used_on", "expires_at")
# fmt: off
_PAIR_COLUMNS = [
    "name", "user_name", "fingerprint", "role_scope", "status", "comment", "created_on", "created_by", "last_used_on",
    "expires_at", "rotated_to",
]
_TOKEN_TIMES = ("expires_at", "created_on")
_TOKEN_COLUMNS = [
    "name", "user_name", "role_restriction", "expires_at", "status", "comment", "created_on", "created_by",
    "mins_to_bypass_network_policy_requirement", "rotated_to",
]
# fmt: on


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _remaining(until: dt.datetime | None, now: dt.datetime, unit: dt.timedelta) -> int | None:
    return math.ceil((until - now) / unit) if until is not None and until > now else None


@dataclasses.dataclass
class Shower:
    """Renders users for one session."""

    account: Account
    session: Session

    def _time(self, moment: dt.datetime | None) -> str | None:
        if moment is None:
            return None
        zone = dt.UTC if self.account.desc_times == "utc" else self.session.zone(self.account)
        milliseconds = f"{moment.microsecond // 1000:03d}"
        return moment.astimezone(zone).strftime(self.account.desc_time_format.replace("%f", milliseconds))

    def describe_user(self, user: User) -> Table:
        values = self._properties(user)
        rows: list[list[Cell]] = []
        for name, description in DESCRIPTIONS.items():
            if name not in self.account.desc_omits:
                value, default = values.get(name), DEFAULTS.get(name)
                rows.append(
                    [name, *(self.account.desc_null if x is None else x for x in (value, default)), description]
                )
        return Table(["property", "value", "default", "description"], rows)

    def _properties(self, user: User) -> dict[str, str | None]:
        now = self.account.clock()
        named = self.account.has_keypair_counts_named and bool(user.key_pairs)
        # A property that is an attribute of the same name needs no line of its own below.
        found: dict[str, t.Any] = {name: getattr(user, name.lower(), None) for name in DESCRIPTIONS}
        found |= {
            "DISPLAY_NAME": user.display_name or user.name,
            "PASSWORD": self.account.desc_password if user.usable_password is not None else None,
            "SNOWFLAKE_LOCK": False,
            "SNOWFLAKE_SUPPORT": False,
            "DAYS_TO_EXPIRY": _remaining(user.expires_at, now, dt.timedelta(days=1)),
            "MINS_TO_UNLOCK": _remaining(user.locked_until, now, dt.timedelta(minutes=1)),
            "EXT_AUTHN_DUO": False,
            "HAS_MFA": user.mfa_passcode is not None,
            "HAS_PAT": bool(user.pats),
            "HAS_WORKLOAD_IDENTITY": bool(user.workload_tokens),
            "HAS_KEYPAIR": bool(user.rsa_public_key or user.rsa_public_key_2) or named,
            "IS_EMAIL_VERIFIED": False,
            "ALLOWED_INTERFACES": "ALL",
            "LOCK_DETAILS": _lock_details(user, now),
        }
        times = {name: self._time(value) for name, value in found.items() if isinstance(value, dt.datetime)}
        return {name: None if value is None else _text(value) for name, value in (found | times).items()}

    def users(self, like: str | None) -> Table:
        pattern = _like(like) if like is not None else None
        roles = self.session.roles(self.account)
        rows = []
        for name, user in sorted(self.account.users.items()):
            owned = OWNERSHIP in self.account.privileges(user, roles) or user is self.session.user
            if (owned or self.account.show_users_lists_all) and (pattern is None or pattern.fullmatch(name)):
                cells = self._user_cells(user)
                rows.append([cells[c] if owned or c in _ANYONE_SEES else None for c in _USER_COLUMNS])
        return Table(_USER_COLUMNS, rows, self._types(_USER_TIMES))

    def _user_cells(self, user: User) -> dict[str, Cell]:
        properties = self._properties(user)
        cells: dict[str, Cell] = {name: properties.get(name.upper()) for name in _USER_COLUMNS}
        times = {
            "created_on": user.created_on,
            "last_success_login": user.last_success_login,
            "expires_at_time": user.expires_at,
            "locked_until_time": user.locked_until,
        }
        return (
            cells
            | {name: self._show_time(moment) for name, moment in times.items()}
            | {
                "owner": user.owner,
                "has_password": _text(user.usable_password is not None),
                "has_rsa_public_key": _text(bool(user.rsa_public_key or user.rsa_public_key_2)),
            }
        )

    def key_pairs(self, user: User) -> Table:
        pairs = list(user.key_pairs.values())
        if self.account.key_pairs_list_slots:
            pairs = _slots_as_pairs(user) + pairs
        return Table(_PAIR_COLUMNS, [self._pair_cells(user, pair) for pair in pairs], self._types(_PAIR_TIMES))

    def _pair_cells(self, user: User, pair: KeyPair) -> list[Cell]:
        return [
            pair.name,
            user.name,
            pair.fingerprint,
            pair.role_restriction,
            pair.status(self.account.clock()),
            pair.comment,
            self._show_time(pair.created_on),
            pair.created_by,
            self._show_time(pair.last_used_on),
            self._show_time(pair.expires_at),
            pair.rotated_to,
        ]

    def tokens(self, user: User) -> Table:
        rows = [self._token_cells(user, token) for token in tokens.listed(self.account, user)]
        return Table(_TOKEN_COLUMNS, rows, self._types(_TOKEN_TIMES))

    def _token_cells(self, user: User, token: AccessToken) -> list[Cell]:
        minutes = token.mins_to_bypass_network_policy_requirement
        return [
            token.name,
            user.name,
            token.role_restriction,
            self._show_time(token.expires_at),
            token.status(self.account.clock()),
            token.comment,
            self._show_time(token.created_on),
            token.created_by,
            None if minutes is None else str(minutes),
            token.rotated_to,
        ]

    def _show_time(self, moment: dt.datetime | None) -> Cell:
        return moment if self.account.show_times == "timestamp" else self._time(moment)

    def _types(self, times: t.Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(times, "timestamp_ltz" if self.account.show_times == "timestamp" else "text")


def _slots_as_pairs(user: User) -> list[KeyPair]:
    found = []
    for name, attribute in SLOT_NAMES.items():
        key, set_at = getattr(user, attribute), getattr(user, f"{attribute}_last_set_time")
        if key:
            found.append(KeyPair(name, key, created_on=set_at or user.created_on, created_by=user.owner))
    return found


def _lock_details(user: User, now: dt.datetime) -> str:
    kinds = ("isAdminLocked", "isMfaLocked", "isMfaOTPLocked", "isMfaTOTPLocked", "isSnowflakeLocked")
    return json.dumps(dict.fromkeys(kinds, False) | {"isPasswordLocked": user.locked(now)}, sort_keys=True)


def _like(pattern: str) -> re.Pattern[str]:
    """LIKE ignores case; ``%`` and ``_`` are wildcards, a backslash before them takes that away."""
    pieces = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in pieces), re.IGNORECASE | re.DOTALL)
