# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The options that all modules have whose service mints the secret, and what they mean."""

from __future__ import annotations

import datetime as dt
import secrets
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.token_plan import Options

_RETIRE = "retire_previous_after"

# Of one user, at the top or in ``users``.
USER_OPTIONS: dict[str, dict[str, t.Any]] = {
    "announced": {"type": "str", "no_log": False},
    "token": {"type": "str", "no_log": True},
    "current_token_name": {"type": "str", "no_log": False},
    "minted": {"type": "bool", "default": False, "no_log": False},
    "recovered": {"type": "bool", "default": False, "no_log": False},
    "orphans": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "previous_token_names": {"type": "list", "elements": "str", "default": [], "no_log": False},
}
# In ``users`` only; at the top it is the task's.
OVERRULES: dict[str, dict[str, t.Any]] = {_RETIRE: {"type": "str", "no_log": False}}
TASK_OPTIONS: dict[str, dict[str, t.Any]] = {
    "token_name": {"type": "str", "default": "KEYTURN", "no_log": False},
    _RETIRE: {"type": "str", "default": "24h", "no_log": False},
    "verify": {"type": "bool", "default": True, "no_log": False},
}
# Those that say something of themselves, so that ``users`` excludes them at the top.
OF_ONE_USER = ("announced", "token", "current_token_name")


def read_options(params: t.Mapping[str, t.Any]) -> Options:
    """Raises InvalidInput."""
    return Options(
        prefix=params["token_name"],
        retire_after=duration.parse_duration(params[_RETIRE], option=_RETIRE),
        verify=params["verify"],
    )


def read_user(params: t.Mapping[str, t.Any], stored: t.Callable[[str], str] = str) -> dict[str, t.Any]:
    """The fields of Wanted that these options fill in. Raises InvalidInput.

    stored: a name as the service lists it. params: of one user; those at the top may be the task's as well.
    """
    token, name, announced = params["token"], params["current_token_name"], params["announced"]
    exists = token is not None or params["minted"]
    cleans = params["minted"] and token is None and name is None and params["orphans"]
    if exists and not cleans and (not name or (token is not None and not token.strip())):
        raise InvalidInput("token goes with current_token_name, and neither may be empty.")
    if exists and announced is not None:
        raise InvalidInput("announced names a token that is still to be made, so it does not go with token.")
    if params["recovered"] and not exists and announced is None:
        raise InvalidInput("recovered goes with announced or token.")
    for option in ("announced", "current_token_name"):
        if params[option] is not None and not params[option].strip():
            raise InvalidInput(f"{option} is empty.")
    taken = [name, *params["previous_token_names"]]
    if announced is not None and stored(announced) in [stored(other) for other in taken if other is not None]:
        raise InvalidInput("announced is the name of a token that is or was in use.")
    grace = params[_RETIRE]
    return {
        "token": token,
        "token_name": None if name is None else stored(name),
        "announced": None if announced is None else stored(announced),
        "minted": params["minted"],
        "recovered": params["recovered"],
        "orphans": tuple(map(stored, params["orphans"])),
        "previous": tuple(map(stored, params["previous_token_names"])),
        "retire_after": None if grace is None else duration.parse_duration(grace, option=_RETIRE),
    }


def check_lifetime(life: dt.timedelta, grace: dt.timedelta, option: str) -> None:
    """Raise InvalidInput where a token would end before the one before it is retired."""
    if life <= grace:
        raise InvalidInput(f"{option} must be longer than {_RETIRE}, or a token ends before the one before it.")


def fresh_name(prefix: str) -> str:
    """A name that nobody has used: C(KEYTURN_20260131T235959Z_0A1B2C3D)."""
    return f"{prefix}_{duration.now():%Y%m%dT%H%M%SZ}_{secrets.token_hex(4).upper()}"
