# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user of the account and the keys it may log in with."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from tests.sandbox.snowflake import keys

UserType = t.Literal["PERSON", "SERVICE", "SERVICE_AGENT", "LEGACY_SERVICE"]


@dataclasses.dataclass
class KeyPair:
    """A named key pair; one that ROTATE replaced has ``rotated_to`` and is called ``<name>_ROTATED_<epoch ms>``."""

    name: str
    public_key: str
    created_on: dt.datetime
    created_by: str
    role_restriction: str | None = None
    comment: str | None = None
    days_to_expiry: int | None = None
    expires_at: dt.datetime | None = None
    disabled: bool = False
    last_used_on: dt.datetime | None = None
    rotated_to: str | None = None

    @property
    def fingerprint(self) -> str:
        return keys.fingerprint(self.public_key)

    def status(self, now: dt.datetime) -> str:
        if self.disabled:
            return "DISABLED"
        return "EXPIRED" if self.expires_at is not None and self.expires_at <= now else "ACTIVE"


@dataclasses.dataclass
class AccessToken:
    """A programmatic access token; one that ROTATE replaced has ``rotated_to``."""

    name: str
    secret: str = dataclasses.field(repr=False)
    created_on: dt.datetime
    expires_at: dt.datetime
    created_by: str
    days_to_expiry: int = 15
    role_restriction: str | None = None
    comment: str | None = None
    disabled: bool = False
    mins_to_bypass_network_policy_requirement: int | None = None
    rotated_to: str | None = None

    def status(self, now: dt.datetime) -> str:
        if self.expires_at <= now:
            return "EXPIRED"
        return "DISABLED" if self.disabled else "ACTIVE"


@dataclasses.dataclass
class User:
    """All that the account knows of a user. Tests may change any field, as another administrator would.

    password_history: former passwords, newest first; it does not hold the current one.
    grants: privileges on this user by role, ownership aside. network_policy: whether it is subject to one.
    """

    name: str
    login_name: str
    created_on: dt.datetime
    owner: str
    type: UserType | None = None
    password: str | None = None
    password_last_set_time: dt.datetime | None = None
    password_history: list[str] = dataclasses.field(default_factory=list)
    must_change_password: bool = False
    disabled: bool = False
    mfa_required: bool = False
    mfa_passcode: str | None = None
    failed_logins: int = 0
    locked_until: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    default_role: str | None = None
    roles: set[str] = dataclasses.field(default_factory=set)
    grants: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    default_secondary_roles: str | None = None
    default_warehouse: str | None = None
    default_namespace: str | None = None
    display_name: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    comment: str | None = None
    mins_to_bypass_mfa: int | None = None
    rsa_public_key: str | None = None
    rsa_public_key_last_set_time: dt.datetime | None = None
    rsa_public_key_2: str | None = None
    rsa_public_key_2_last_set_time: dt.datetime | None = None
    key_pairs: dict[str, KeyPair] = dataclasses.field(default_factory=dict)
    pats: dict[str, AccessToken] = dataclasses.field(default_factory=dict)
    network_policy: bool = True
    oauth_tokens: set[str] = dataclasses.field(default_factory=set)
    workload_tokens: set[str] = dataclasses.field(default_factory=set)
    last_success_login: dt.datetime | None = None

    @property
    def rsa_public_key_fp(self) -> str | None:
        return keys.fingerprint(self.rsa_public_key) if self.rsa_public_key else None

    @property
    def rsa_public_key_2_fp(self) -> str | None:
        return keys.fingerprint(self.rsa_public_key_2) if self.rsa_public_key_2 else None

    @property
    def usable_password(self) -> str | None:
        """The password; a service user's is only hidden and returns when its type changes back."""
        return None if self.type in ("SERVICE", "SERVICE_AGENT") else self.password

    def active_keys(self, now: dt.datetime) -> list[tuple[str, KeyPair | None]]:
        """The public keys that may log in, each with its named pair, or None for a slot."""
        slots: list[tuple[str, KeyPair | None]] = [(k, None) for k in (self.rsa_public_key, self.rsa_public_key_2) if k]
        return slots + [(p.public_key, p) for p in self.key_pairs.values() if p.status(now) == "ACTIVE"]

    def locked(self, now: dt.datetime) -> bool:
        return self.locked_until is not None and self.locked_until > now
