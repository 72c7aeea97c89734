# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""How an action plugin comes by another one, as Ansible's own do."""

from __future__ import annotations

import typing as t

from ansible.playbook.task import Task
from ansible.plugins.action import ActionBase


def action_of(own: ActionBase, name: str, task: Task) -> t.Any:
    """The action plugin of this name for the task, where C(own) runs; None if there is no such plugin."""
    return own._shared_loader_obj.action_loader.get(
        name,
        task=task,
        connection=own._connection,
        play_context=own._play_context,
        loader=own._loader,
        templar=own._templar,
        shared_loader_obj=own._shared_loader_obj,
    )
