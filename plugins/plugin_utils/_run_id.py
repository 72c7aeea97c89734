# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""By which name a run is found again: in events, in the fleet's history, in the logs of a service."""

from __future__ import annotations

import hashlib

from ansible import constants

_LENGTH = 16


def run_id() -> str:
    """16 hexadecimal digits, the same for all hosts and tasks of one ansible-playbook, and others for the next one.

    They come from the name of its temporary folder, which is random, and known to each process that it starts.
    """
    return hashlib.sha256(str(vars(constants)["DEFAULT_LOCAL_TMP"]).encode()).hexdigest()[:_LENGTH]
