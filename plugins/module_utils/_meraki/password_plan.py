# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The plan of meraki_vpn_user_password: from what has been seen of a user to the step that is left. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import parse_rfc3339
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import NotPermitted, Refused
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.user import AuthUser


@dataclasses.dataclass(frozen=True)
class Options:
    """What holds for all users of the task."""

    always: bool
    require_authorized: bool


@dataclasses.dataclass(frozen=True)
class State:
    """What has been seen and done.

    seen_at: when the user was seen. held: the caller knows that the user has this password already.
    password_set: Meraki has acknowledged the password in this run.
    """

    user: AuthUser
    seen_at: dt.datetime
    held: bool
    password_set: bool = False


@dataclasses.dataclass(frozen=True)
class SetPassword:
    """One PUT."""


def plan(options: Options, state: State) -> list[SetPassword]:
    """The step from here to the wanted state; pure. Raises Refused or NotPermitted where none may be taken."""
    user = state.user
    if user.is_admin:
        raise Refused(f"{user.email} is a dashboard administrator, whose password Meraki does not let others set.")
    if options.require_authorized and not user.authorized(state.seen_at):
        expired = parse_rfc3339(user.expires_at)
        state_now = f"has an authorization that expired at {user.expires_at}" if expired else "is not authorized"
        raise NotPermitted(
            f"{user.email} ({user.account_type}) {state_now}, so a new password would be of no use.",
            advice="Authorize it in the dashboard, or set require_authorized=false.",
        )
    if state.password_set or (state.held and not options.always):
        return []
    return [SetPassword()]
