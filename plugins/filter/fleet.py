# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the fleet playbook."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import now, rfc3339
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fleet


def fleet_of_kind(rotations: t.Any, kind: str) -> list[dict[str, t.Any]]:
    """The rotations of this kind that may run."""
    return _fleet.of_kind(rotations, kind)


def fleet_result(
    rotation: _fleet.Rotation,
    outcomes: t.Sequence[_fleet.Outcome],
    begun: str,
    max_age: str,
    task: t.Mapping[str, t.Any] | None = None,
    failure: t.Mapping[str, t.Any] | None = None,
) -> dict[str, t.Any]:
    """What became of one rotation that has just ended. Holds no secrets."""
    text = None if failure is None else _fleet.failure_text(task or {}, failure)
    told = _fleet.outcomes_of(rotation, outcomes, text, (failure or {}).get("error_code"))
    return {"begun": begun, "ended": rfc3339(now()), "max_age": str(max_age), "outcomes": told}


def fleet_failures(rotations: t.Any, results: _fleet.Results) -> list[str]:
    """Why the host fails, at its end. Holds no secrets."""
    return _fleet.failures(_fleet.credentials(rotations, results, done=True))


class FilterModule:
    """The playbook's filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "fleet_of_kind": fleet_of_kind,
            "fleet_result": fleet_result,
            "fleet_failures": fleet_failures,
        }
