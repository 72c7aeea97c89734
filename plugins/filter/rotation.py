# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters with which the roles of this collection turn answers of modules into the next step."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.plugin_utils._consumers import consumers
from ansible_collections.keyturn.credentials.plugins.plugin_utils._fate import (
    KINDS,
    Entry,
    Result,
    Role,
    Run,
    delivered,
    told,
)
from ansible_collections.keyturn.credentials.plugins.plugin_utils._stats import stats


def _role(role: t.Mapping[str, t.Any], consumers_dir: str, vault: Result) -> Role:
    return Role(**role, consumers=consumers(consumers_dir, vault))


def rotation_users(vault: Result, role: t.Mapping[str, t.Any], consumers_dir: str = "") -> list[Entry]:
    """The C(users) for the service's module, from keeper_rotation's answer. Holds the secrets that the answer holds."""
    return _role(role, consumers_dir, vault).users(vault)


def rotation_run(
    found: Result,
    role: t.Mapping[str, t.Any],
    consumers_dir: str = "",
    records: str | t.Sequence[str] = (),
    **answers: t.Any,
) -> dict[str, t.Any]:
    """What to stage, save, commit, discard and say. Holds no secrets."""
    # As Ansible reads an option that is a list.
    named = [each.strip() for each in records.split(",")] if isinstance(records, str) else records
    run = Run(_role(role, consumers_dir, found), found, named=named, **answers)
    outcomes = run.records()
    lines, failures = run.told(outcomes)
    return {
        "stage": run.to_stage(),
        "save": list(run.minted()),
        "commit": run.ending("commit"),
        "discard": run.ending("discard"),
        "rotation_id": run.rotation_id(),
        "account": run.account(),
        "deliver": run.to_deliver(),
        "outcomes": outcomes,
        "stats": stats(outcomes, KINDS),
        "failure": {name: found.get(name) for name in ("msg", "error_code")},
        "told": lines,
        "failures": failures,
    }


def rotation_delivered(run: t.Mapping[str, t.Any], undelivered: t.Sequence[Entry]) -> dict[str, t.Any]:
    """What C(rotation_run) said before the deliveries, and what became of these. Holds no secrets."""
    if not undelivered:
        return dict(run)
    outcomes = delivered(run["outcomes"], undelivered)
    lines, failures = told(outcomes)
    return {**run, "outcomes": outcomes, "stats": stats(outcomes, KINDS), "told": lines, "failures": failures}


def rotation_minted(
    staged: Result, role: t.Mapping[str, t.Any], applied: Result, consumers_dir: str = ""
) -> dict[str, Entry]:
    """The C(secrets) for keeper_rotation: what the service's module has minted, by record. Holds secrets."""
    return Run(_role(role, consumers_dir, staged), {}, staged=staged, applied=applied).minted()


class FilterModule:
    """The roles' filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "rotation_users": rotation_users,
            "rotation_run": rotation_run,
            "rotation_minted": rotation_minted,
            "rotation_delivered": rotation_delivered,
        }
