# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The properties that CREATE USER and ALTER USER know, and the rows that DESCRIBE USER shows."""

from __future__ import annotations

import typing as t

Kind = t.Literal["text", "bool", "int", "name", "list", "key", "type"]

# What a statement may set. The user's attribute is the name in lower case.
PROPERTIES: dict[str, Kind] = {
    "PASSWORD": "text",
    "LOGIN_NAME": "text",
    "DISPLAY_NAME": "text",
    "FIRST_NAME": "text",
    "MIDDLE_NAME": "text",
    "LAST_NAME": "text",
    "EMAIL": "text",
    "COMMENT": "text",
    "TYPE": "type",
    "MUST_CHANGE_PASSWORD": "bool",
    "DISABLED": "bool",
    "DAYS_TO_EXPIRY": "int",
    "MINS_TO_UNLOCK": "int",
    "MINS_TO_BYPASS_MFA": "int",
    "DEFAULT_WAREHOUSE": "name",
    "DEFAULT_NAMESPACE": "name",
    "DEFAULT_ROLE": "name",
    "DEFAULT_SECONDARY_ROLES": "list",
    "RSA_PUBLIC_KEY": "key",
    "RSA_PUBLIC_KEY_2": "key",
}

# What the MODIFY PROGRAMMATIC AUTHENTICATION METHODS privilege is enough for.
AUTHENTICATION_METHODS = frozenset({"RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2"})

_NAMES = frozenset({"FIRST_NAME", "MIDDLE_NAME", "LAST_NAME", "MINS_TO_BYPASS_MFA"})
NOT_ON: dict[str, frozenset[str]] = {
    "SERVICE": _NAMES | {"PASSWORD", "MUST_CHANGE_PASSWORD"},
    "SERVICE_AGENT": _NAMES | {"PASSWORD", "MUST_CHANGE_PASSWORD"},
    "LEGACY_SERVICE": _NAMES,
}

# Rows of DESCRIBE USER, in order: description by name.
DESCRIPTIONS: dict[str, str] = {
    "NAME": "Name",
    "COMMENT": "user comment associated to an object in the dictionary",
    "DISPLAY_NAME": "Display name of the associated object",
    "TYPE": "Type of the user",
    "LOGIN_NAME": "Login name of the user",
    "FIRST_NAME": "First name of the user",
    "MIDDLE_NAME": "Middle name of the user",
    "LAST_NAME": "Last name of the user",
    "EMAIL": "Email address of the user",
    "PASSWORD": "Password of the user",
    "MUST_CHANGE_PASSWORD": "User must change the password",
    "DISABLED": "Whether the user is disabled",
    "SNOWFLAKE_LOCK": "Whether the user, account or organization is locked by Snowflake",
    "SNOWFLAKE_SUPPORT": "Snowflake Support is allowed to use the user or account",
    "DAYS_TO_EXPIRY": "User record will be treated as expired after specified number of days",
    "MINS_TO_UNLOCK": "Temporary lock on the user will be removed after specified number of minutes",
    "DEFAULT_WAREHOUSE": "Default warehouse for this user",
    "DEFAULT_NAMESPACE": "Default database namespace prefix for this user",
    "DEFAULT_ROLE": "Primary principal of user session will be set to this role",
    "DEFAULT_SECONDARY_ROLES": "The secondary roles will be set to all roles provided here",
    "EXT_AUTHN_DUO": "Whether Duo Security is enabled as second factor authentication",
    "EXT_AUTHN_UID": "External authentication ID of the user",
    "DEFAULT_MFA_METHOD": "Default MFA method of the user",
    "HAS_MFA": "Whether the user has MFA enabled",
    "HAS_PAT": "Whether the user has a programmatic access token",
    "HAS_WORKLOAD_IDENTITY": "Whether the user has a workload identity",
    "HAS_KEYPAIR": "Whether the user has a key pair",
    "IS_EMAIL_VERIFIED": "Whether the email address is verified",
    "MINS_TO_BYPASS_MFA": "Temporary bypass MFA for the user for a specified number of minutes",
    "MINS_TO_BYPASS_NETWORK_POLICY": "Temporary bypass network policy for a specified number of minutes",
    "RSA_PUBLIC_KEY": "RSA public key of the user",
    "RSA_PUBLIC_KEY_FP": "Fingerprint of user's RSA public key.",
    "RSA_PUBLIC_KEY_LAST_SET_TIME": "The timestamp at which the user's RSA public key was last set.",
    "RSA_PUBLIC_KEY_2": "Second RSA public key of the user",
    "RSA_PUBLIC_KEY_2_FP": "Fingerprint of user's second RSA public key.",
    "RSA_PUBLIC_KEY_2_LAST_SET_TIME": "The timestamp at which the user's second RSA public key was last set.",
    "SCIM_USER_NAME": "SCIM user name of the user",
    "PASSWORD_LAST_SET_TIME": "The timestamp on which the last non-null password was set for the user.",
    "CUSTOM_LANDING_PAGE_URL": "Snowsight landing page of the user",
    "ALLOWED_INTERFACES": "Interfaces that the user may use",
    "LOCK_DETAILS": "Details of the locks on the user",
}

DEFAULTS: dict[str, str] = {
    "MUST_CHANGE_PASSWORD": "false",
    "DISABLED": "false",
    "SNOWFLAKE_LOCK": "false",
    "SNOWFLAKE_SUPPORT": "false",
    "EXT_AUTHN_DUO": "false",
}
