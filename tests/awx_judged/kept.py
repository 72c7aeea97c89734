# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWX keeps of a job must hold no secret."""

from __future__ import annotations

import json

from tests.leaks import leaks, leaks_below
from tests.sandbox.awx import job


def kept(outcome: job.Outcome) -> str:
    """All that AWX stores or receives of a job, besides the files of the artifacts."""
    return json.dumps([outcome.events, outcome.job_env]) + outcome.returned.decode("utf-8", "replace")


def assert_nothing_kept(outcome: job.Outcome, canaries: set[str]) -> None:
    assert leaks(kept(outcome), *canaries) == []
    assert leaks_below(outcome.artifacts, *canaries) == []
    assert list(outcome.artifacts.glob("job_events/*.json")), "there was something to look at"
    assert not outcome.worker.exists(), "--delete removes what was injected"
