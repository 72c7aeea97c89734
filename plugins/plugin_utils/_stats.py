# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What a run hands to the next node of a workflow, where AWX makes extra variables of it. Holds no secret."""

from __future__ import annotations

import typing as t


def stats(outcomes: t.Iterable[t.Mapping[str, t.Any]], names: t.Iterable[str]) -> dict[str, t.Any]:
    """C(keyturn_<outcome>), how many, for each of the names, and C(keyturn_failed_records): UIDs, as far as known."""
    counts = {f"keyturn_{name}": 0 for name in names}
    failed = []
    for each in outcomes:
        counts[f"keyturn_{each['outcome']}"] += 1
        if each["outcome"] == "failed":
            failed.append(each.get("record_uid") or each["record"])
    return {**counts, "keyturn_failed_records": [record for record in failed if record]}
