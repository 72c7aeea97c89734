# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What meraki_vpn_user_password decides: observe → plan → apply for one user's password; nothing can prove it."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible.module_utils.common.parameters import env_fallback

from ansible_collections.keyturn.credentials.plugins.module_utils._core import transport
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import now
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import Outcome, module_result
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import WIRE_SPEC, Wire
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki import client
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.password_plan import (
    Options,
    SetPassword,
    State,
    plan,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.user import (
    ACCOUNT_TYPES,
    AuthUser,
    address,
    by_address,
    find,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import Rotator, rotate
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.pace import TokenBucket, checked_rate

# Meraki shows neither a password nor anything made of it, and has no login that could be tried.
WRITE_ONLY = "write_only"

_USER = {
    "email": {"type": "str", "no_log": False},
    "password": {"type": "str", "no_log": True},
    "old_password": {"type": "str", "no_log": True},
    "recovered": {"type": "bool", "default": False, "no_log": False},
}

SPEC = WIRE_SPEC.merged(
    ArgumentSpec(
        options={
            "api_key": {
                "type": "str",
                "required": True,
                "no_log": True,
                "fallback": (env_fallback, ["MERAKI_DASHBOARD_API_KEY"]),
            },
            "api_url": {"type": "str", "default": client.DEFAULT_URL, "no_log": False},
            "network_id": {"type": "str", "required": True, "no_log": False},
            "requests_per_second": {"type": "float", "default": 8.0, "no_log": False},
        }
    ),
    ArgumentSpec(
        options={
            **_USER,
            "users": {
                "type": "list",
                "elements": "dict",
                "no_log": False,
                "options": {
                    **_USER,
                    "email": {**_USER["email"], "required": True},
                },
            },
            "account_type": {
                "type": "str",
                "choices": list(ACCOUNT_TYPES),
                "default": ACCOUNT_TYPES[0],
                "no_log": False,
            },
            "update_password": {
                "type": "str",
                "choices": ["if_different", "always"],
                "default": "if_different",
                "no_log": False,
            },
            "require_authorized": {"type": "bool", "default": True, "no_log": False},
            "email_password_to_user": {"type": "bool", "default": False, "no_log": False},
        },
        mutually_exclusive=[("email", "users"), ("password", "users"), ("old_password", "users")],
        required_one_of=[("email", "users")],
        required_by={"password": ("email",), "old_password": ("password",)},
    ),
)


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One user and the password that it shall have.

    password: None in check mode, where it is still to be made. old_password: the one that it has, as far as the caller
    knows. recovered: an earlier run may have set it.
    """

    email: str
    password: str | None = dataclasses.field(repr=False)
    old_password: str | None = dataclasses.field(default=None, repr=False)
    recovered: bool = False


class PasswordRotator(Rotator[Wanted, State, SetPassword]):
    """The verbs on one network."""

    def __init__(
        self, channel: client.Client, options: Options, *, account_type: str, email_it: bool, check_mode: bool = False
    ) -> None:
        self._client = channel
        self._check_mode = check_mode
        self._options = options
        self._account_type = account_type
        self._email_it = email_it
        self._users: dict[str, list[AuthUser]] = {}

    def identity(self, item: Wanted) -> dict[str, str]:
        return {"email": item.email}

    def called(self, item: Wanted) -> str:
        return address(item.email)

    def check(self, item: Wanted) -> None:
        if not item.email.strip():
            raise InvalidInput("A user's email is empty.")
        if item.password is None and self._check_mode:
            return
        if not item.password:
            raise InvalidInput(f"The password for {item.email} is empty.")
        if any(character in "\0\r\n" or "\ud800" <= character <= "\udfff" for character in item.password):
            raise InvalidInput(f"The password for {item.email} contains a NUL, a line end or half a character.")

    def same_secret(self, one: Wanted, other: Wanted) -> bool:
        known = one.password is not None
        return known and (one.password, one.old_password) == (other.password, other.old_password)

    @contextlib.contextmanager
    def session(self) -> t.Iterator[None]:
        """The one list that all items look themselves up in."""
        self._users = by_address(self._client.users())
        yield

    def observe(self, item: Wanted) -> State:
        user = find(self._users, item.email, self._account_type, self._client.network_id)
        return State(user=user, seen_at=now(), held=_held(item))

    def plan(self, item: Wanted, state: State) -> t.Sequence[SetPassword]:
        return plan(self._options, state)

    def apply(self, item: Wanted, state: State, step: SetPassword) -> State:
        self._client.set_password(state.user, t.cast(str, item.password), email_it=self._email_it)
        return dataclasses.replace(state, password_set=True)

    def prove(self, item: Wanted, state: State) -> State:
        return state

    def proven(self, state: State) -> bool:
        """There is nothing that could be asked."""
        return True

    def report(self, item: Wanted, state: State, outcome: Outcome) -> None:
        self._tell(state, outcome)
        outcome.changed = state.password_set
        outcome.in_force = state.password_set or None
        outcome.verify_skipped_reason = WRITE_ONLY
        if state.password_set:
            outcome.after = {"password": "changed"}

    def expected(self, item: Wanted, state: State, steps: t.Sequence[SetPassword], outcome: Outcome) -> None:
        self._tell(state, outcome)
        if steps:
            outcome.after = {"password": "would change"}

    def _tell(self, state: State, outcome: Outcome) -> None:
        user = state.user
        shown = {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "account_type": user.account_type,
            "is_admin": user.is_admin,
            "authorized": user.authorized(state.seen_at),
            "expires_at": user.expires_at,
        }
        outcome.facts = {"user": shown, "network_id": self._client.network_id}


def _held(item: Wanted) -> bool:
    """Whether the caller says so; of what an earlier run may have set nobody can say it."""
    return item.password is not None and item.old_password == item.password and not item.recovered


def run(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """The module's return values for validated parameters."""
    single = params["users"] is None
    users = [params] if single else params["users"]
    if not users:
        raise InvalidInput("users is empty; there is nothing to do.")
    wanted = [Wanted(user["email"], user["password"], user["old_password"], user["recovered"]) for user in users]
    key, url = client.checked_key(params["api_key"]), client.base_url(params["api_url"], params["proxy"])
    network_id = client.checked_network_id(params["network_id"])
    bucket = TokenBucket(checked_rate(params["requests_per_second"], option="requests_per_second"))
    options = Options(always=params["update_password"] == "always", require_authorized=params["require_authorized"])
    wire = Wire.from_params(params)
    with transport.Http(wire, largest=client.LARGEST_ANSWER, pace=bucket) as channel:
        rotator = PasswordRotator(
            client.Client(channel, url, key, network_id),
            options,
            account_type=params["account_type"],
            email_it=params["email_password_to_user"],
            check_mode=check_mode,
        )
        outcomes = rotate(rotator, wanted, check_mode=check_mode)
    return module_result(outcomes, single=single, noun="user")
