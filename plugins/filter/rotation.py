# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters with which the roles of this collection turn answers of modules into the next step."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.plugin_utils._names import CANONICAL
from ansible_collections.keyturn.credentials.plugins.plugin_utils._verdict import (
    Answer,
    Entry,
    Verdict,
    Which,
    chosen,
    namesakes,
    users,
)


def rotation_users(
    staged: Answer, which: Which, common: t.Mapping[str, t.Any] | None = None, **columns: str
) -> list[Entry]:
    """The C(users) for a module, from keeper_rotation's answer; C(common) goes into each. Holds secrets."""
    return [{**(common or {}), **user} for user in users(chosen(staged, which), columns)]


def rotation_verdict(staged: Answer, names: str = "email", **answers: t.Any) -> dict[str, t.Any]:
    """What to commit, discard and say. Holds no secrets."""
    verdict = Verdict(staged, **answers)
    return {
        "commit": verdict.commit,
        "discard": verdict.discard,
        "failures": verdict.failures,
        "namesakes": namesakes(staged, CANONICAL[names]),
        "rotation_id": verdict.rotation_id,
        "outcomes": verdict.outcomes,
        "summary": verdict.summary(),
    }


def rotation_unproved(staged: Answer, recovered: Answer, **columns: str) -> list[Entry]:
    """The C(users) whose secret must be set again, because no login could tell. Holds secrets."""
    return users(Verdict(staged, recovered=recovered).unproved, columns)


def rotation_in_place(
    staged: Answer, idle: Answer, common: t.Mapping[str, t.Any] | None = None, **columns: str
) -> list[Entry]:
    """The C(users) that are not due, and whose secret the service was found to hold. Holds secrets."""
    return [{**(common or {}), **user} for user in users(Verdict(staged, idle=idle).in_place, columns)]


class FilterModule:
    """The roles' filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "rotation_users": rotation_users,
            "rotation_verdict": rotation_verdict,
            "rotation_unproved": rotation_unproved,
            "rotation_in_place": rotation_in_place,
        }
