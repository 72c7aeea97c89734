# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The options of rest_password_rotate and rest_token_rotate, as AnsibleModule takes them."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import WIRE_SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation import token_options

Options = dict[str, dict[str, t.Any]]

_TEXT = {"type": "str", "no_log": False}
_NUMBERS = {"type": "list", "elements": "int", "no_log": False}
_MAPPING = {"type": "dict", "no_log": False}
_SECRET = {"type": "str", "no_log": True}

# What every step has.
_STEP: Options = {
    "method": _TEXT,
    "path": {**_TEXT, "default": ""},
    "query": _MAPPING,
    "headers": _MAPPING,
    "body": {"type": "raw", "no_log": False},
    "body_from": _TEXT,
    "body_format": {**_TEXT, "choices": ["json", "form", "text"], "default": "json"},
    "set": _MAPPING,
    "status": _NUMBERS,
    "fail_if": _TEXT,
    "auth_failed_if": _TEXT,
    "not_found_if": _TEXT,
    "not_found": {**_NUMBERS, "default": [404]},
    "reason": _TEXT,
}
_READ: Options = {**_STEP, "method": {**_TEXT, "default": "GET"}, "status": {**_NUMBERS, "default": [200]}}
# A step of before or logout.
_SMALL: Options = {**_READ, "status": {**_NUMBERS, "default": [200, 201, 204]}}
_BEFORE = {"type": "list", "elements": "dict", "no_log": False, "options": _SMALL}
_COOKIES = {"type": "bool", "default": False, "no_log": False}

# What the user's own login and the administrator's share.
_CREDENTIALS: Options = {
    "username": _TEXT,
    "password": _SECRET,
    "token": _SECRET,
    "header": {**_TEXT, "default": "Authorization"},
    "prefix": {**_TEXT, "default": ""},
}

_AUTH: Options = {
    "type": {
        **_TEXT,
        "choices": ["none", "bearer", "basic", "header", "oauth2_client_credentials", "login", "session"],
        "default": "none",
    },
    **_CREDENTIALS,
    "token_url": _TEXT,
    "client_id": _TEXT,
    "client_secret": _SECRET,
    "scope": _TEXT,
    "audience": _TEXT,
    "client_auth": {**_TEXT, "choices": ["body", "basic"], "default": "body"},
    **_STEP,
    "method": {**_TEXT, "default": "POST"},
    # Its default depends on the type.
    "body_format": {**_TEXT, "choices": ["json", "form", "text"]},
    "status": {**_NUMBERS, "default": [200, 201]},
    "basic": {**_MAPPING, "options": {"username": _TEXT, "password": _SECRET}},
    "token_path": _TEXT,
    "token_header": _TEXT,
    "before": _BEFORE,
    "logout": {**_MAPPING, "options": {**_SMALL, "method": {**_TEXT, "default": "POST"}}},
    "cookies": _COOKIES,
}

# Of each step; the option itself is raw, because it may be one step or a list.
LOOKUP: Options = {
    **_READ,
    "items": {**_TEXT, "default": "@"},
    "match": _MAPPING,
    "case_insensitive": {"type": "bool", "default": False, "no_log": False},
    "next": {
        **_MAPPING,
        "options": {
            "link": {"type": "bool", "no_log": False},
            "url": _TEXT,
            "cursor": _TEXT,
            "header": _TEXT,
            "param": _TEXT,
            "start": {"type": "int", "default": 1, "no_log": False},
            "step": {"type": "int", "default": 1, "no_log": False},
        },
    },
    "max_pages": {"type": "int", "default": 50, "no_log": False},
}

_CHANGE: Options = {**_STEP, "method": {**_TEXT, "required": True}, "status": {**_NUMBERS, "required": True}}

_VERIFY: Options = {
    **_READ,
    "auth": {
        **_MAPPING,
        "options": {
            "type": {**_TEXT, "choices": ["none", "basic", "bearer", "header"], "default": "none"},
            **_CREDENTIALS,
        },
    },
    "before": _BEFORE,
    "cookies": _COOKIES,
    "rejected": {**_NUMBERS, "default": [401]},
    "rejected_if": _TEXT,
    "accepted_if": _TEXT,
    "control": {**_TEXT, "choices": ["once", "never"], "default": "once"},
    "attempts": {"type": "int", "default": 1, "no_log": False},
    "delay": {"type": "float", "default": 2.0, "no_log": False},
}

_RECOVERED = {"type": "bool", "default": False, "no_log": False}

# What both modules have.
_SHARED: Options = {
    "url": {**_TEXT, "required": True},
    "secrets": {"type": "dict", "no_log": True},
    "vars": _MAPPING,
    "headers": _MAPPING,
    "auth": {**_MAPPING, "options": _AUTH},
    "lookup": {"type": "raw", "no_log": False},
    "verify": {**_MAPPING, "options": _VERIFY},
    "allow_http": {"type": "bool", "default": False, "no_log": False},
    "allow_secrets_in_url": {"type": "bool", "default": False, "no_log": False},
    "client_cert": {"type": "path", "no_log": False},
    "client_key": {"type": "path", "no_log": False},
}

SPEC = WIRE_SPEC.merged(
    ArgumentSpec(
        options={
            **_SHARED,
            "username": _TEXT,
            "password": _SECRET,
            "old_password": _SECRET,
            "recovered": _RECOVERED,
            "users": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {
                    "username": {**_TEXT, "required": True},
                    "password": _SECRET,
                    "old_password": _SECRET,
                    "recovered": _RECOVERED,
                },
            },
            "change": {**_MAPPING, "required": True, "options": _CHANGE},
            "update_password": {**_TEXT, "choices": ["if_different", "always"], "default": "if_different"},
            "rollback": {**_TEXT, "choices": ["none", "old_password"], "default": "none"},
            "verify_parallel": {"type": "int", "default": 1, "no_log": False},
        },
        mutually_exclusive=[("username", "users"), ("password", "users"), ("old_password", "users")],
        required_one_of=[("username", "users")],
        required_by={"password": ("username",), "old_password": ("username",)},
    )
)

# Where a value is, as in C(set).
_SOURCE = {"type": "raw", "no_log": False}
_TOKEN_USER: Options = {
    **token_options.USER_OPTIONS,
    "password": _SECRET,
    "current_token": _SECRET,
    "known": {"type": "list", "elements": "str", "no_log": False},
}
_WRITE_STATUS = {**_NUMBERS, "default": [200, 201, 202, 204]}

TOKEN_SPEC = WIRE_SPEC.merged(
    ArgumentSpec(
        options={
            **_SHARED,
            "username": _TEXT,
            **_TOKEN_USER,
            "users": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {"username": {**_TEXT, "required": True}, **_TOKEN_USER, **token_options.OVERRULES},
            },
            **{name: told for name, told in token_options.TASK_OPTIONS.items() if name != "verify"},
            "mint": {
                **_MAPPING,
                "required": True,
                "options": {
                    **_STEP,
                    "method": {**_TEXT, "default": "POST"},
                    "status": {**_NUMBERS, "default": [200, 201]},
                    "token": {**_SOURCE, "required": True},
                    "name": _SOURCE,
                },
            },
            "list": {
                **_MAPPING,
                "required": True,
                "options": {
                    **LOOKUP,
                    "name": {**_SOURCE, "default": "name"},
                    "created": _SOURCE,
                    "expires": _SOURCE,
                    "active": _SOURCE,
                    "limit": {"type": "int", "no_log": False},
                },
            },
            "revoke": {
                **_MAPPING,
                "required": True,
                "options": {**_STEP, "method": {**_TEXT, "default": "DELETE"}, "status": _WRITE_STATUS},
            },
        },
        mutually_exclusive=[
            (name, "users") for name in ("username", "password", "current_token", "known", *token_options.OF_ONE_USER)
        ],
        required_one_of=[("username", "users")],
    )
)
