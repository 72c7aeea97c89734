# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filters of the fleet playbook."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import now, rfc3339
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fleet


def fleet_chosen(rotations: t.Any, run_tags: t.Iterable[str], skip_tags: t.Iterable[str]) -> list[int]:
    """The indices of the rotations that may run and whose kind the tags of the run mean."""
    return _fleet.chosen(rotations, run_tags, skip_tags)


def fleet_failure(task: t.Mapping[str, t.Any], result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What made a task fail. Holds no secrets."""
    return _fleet.failure(task, result)


def fleet_result(
    rotation: _fleet.Rotation,
    outcomes: t.Sequence[_fleet.Credential],
    begun: str,
    max_age: str,
    failure: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """What became of one rotation that has just ended. Holds no secrets."""
    told = _fleet.outcomes_of(rotation, outcomes, failure)
    return {"begun": begun, "ended": rfc3339(now()), "max_age": str(max_age), "outcomes": told}


class FilterModule:
    """The playbook's filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "fleet_chosen": fleet_chosen,
            "fleet_failure": fleet_failure,
            "fleet_result": fleet_result,
        }
