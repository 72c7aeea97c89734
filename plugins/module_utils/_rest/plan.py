# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The plan of rest_password_rotate: from what has been seen of a user to the step that is left. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
    RateLimited,
    RotationError,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.answers import LoginAnswer, final
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import PasswordOptions

# Why ``verified`` is false although nothing failed.
NO_VERIFY = "no_verify"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """One user and the passwords that it shall have and has had.

    password: None in check mode, where it is still to be made. recovered: an earlier run may have set it.
    """

    username: str
    password: str | None = dataclasses.field(repr=False)
    old_password: str | None = dataclasses.field(default=None, repr=False)
    recovered: bool = False


@dataclasses.dataclass(frozen=True)
class State:
    """What has been seen and done.

    probe: the login with the new password before the change. control: one with a wrong password after that was
    accepted, None if none was needed. picked: by lookup.set. held: a change was refused, and a login has shown that the
    password is in force all the same. login: the login that decides after the change.
    """

    probe: LoginAnswer | None = None
    control: LoginAnswer | None = None
    picked: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict, repr=False)
    changed: bool = False
    held: bool = False
    login: LoginAnswer | None = None
    proof_done: bool = False


@dataclasses.dataclass(frozen=True)
class Change:
    """Send the change."""


@dataclasses.dataclass(frozen=True)
class RollBack:
    """Send it with the two passwords swapped."""


Write = t.Union[Change, RollBack]  # noqa: UP007 - ansible-test's pylint takes no "|" at run time


def plan(options: PasswordOptions, item: Wanted, state: State) -> list[Write]:
    """The write from here to the wanted state. Raises RotationError where none may be taken."""
    if state.changed:
        rejected = state.login is not None and state.login.verdict == "rejected"
        # The service has taken a recovered value twice: to set another one each time would never end.
        return [RollBack()] if rejected and options.rollback and not item.recovered else []
    return [Change()] if not state.held and is_due(options, item, state) else []


def is_due(options: PasswordOptions, item: Wanted, state: State) -> bool:
    """Whether the change has to be sent."""
    if options.always or item.password is None:
        return True
    if state.probe is None:
        return item.recovered or item.old_password != item.password
    if state.probe.verdict == "rejected":
        return True
    if state.probe.verdict == "unknown":
        if item.recovered:
            # Every doubt ends: the same value once more, which then counts by the service's word for it.
            return True
        raise _unknown_before(item, state.probe)
    if state.control is None or state.control.tells_apart:
        return False
    if state.control.verdict == "accepted":
        raise InvalidInput(
            f"The login as {item.username} is accepted, and so is one with a wrong password, so verify proves nothing.",
            advice="Correct verify; if the service lets old passwords live on for a while, run again later.",
        )
    raise _unknown_before(item, state.control, " with a wrong password, which shows that verify means something,")


def asks_first(item: Wanted, state: State) -> bool:
    """Whether the lookup is made although the login before the change said nothing clear.

    It has its own words for a user who does not exist, and for an administrator who is refused.
    """
    probe = state.probe
    if probe is None or probe.verdict != "unknown":
        return False
    return item.recovered or final(probe.status) or 200 <= probe.status < 300


def _unknown_before(item: Wanted, probe: LoginAnswer, which: str = " before the change") -> RotationError:
    kind = RateLimited if probe.status == 429 else Unreachable
    return kind(
        f"The login as {item.username}{which} {probe.reason}. That says neither that the password is right nor that it "
        "is wrong.",
        unanswered=1 if probe.silent else 0,
        retry_safe=not final(probe.status),
    )
