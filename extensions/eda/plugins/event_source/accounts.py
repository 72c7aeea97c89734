# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts whose credentials are due, for rulebooks of Event-Driven Ansible."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import os
import sys
import typing as t

DOCUMENTATION = r"""
short_description: Accounts whose credentials are due, unfinished or overdue
description:
  - Reads an inventory of the plugin P(keyturn.credentials.keeper#inventory) again and again, and makes an event for
    each account at which something is to be done, every time, until it is done. What keeps a rule from running too
    often is its C(throttle).
  - C(keyturn.state) of an event is C(overdue) if something has been due for longer than O(overdue_after), else
    C(pending) if a rotation is unfinished, else C(due). C(keyturn.host) is the account, C(keyturn.kinds) what rotates
    there, and C(keyturn.due_since) since when something is older than its C(max_age), if that is known.
  - Where the inventory cannot be read, C(keyturn.state) is C(unreadable), C(keyturn.msg) says so, and the log has what
    Ansible said.
  - Keeper is read by C(ansible-inventory) in a process of its own, so that no secret stays in the rulebook's. Events
    hold names and times only.
options:
  inventory:
    description:
      - The inventory, for example V(/etc/keyturn/production.keeper.yml).
    type: str
    required: true
  interval:
    description:
      - Seconds between two looks. Each reads all records that the Keeper application sees, unless the inventory has a
        cache.
    type: float
    default: 900
  overdue_after:
    description:
      - Seconds that something may be due. By default two days, so that a nightly run has had its chance.
    type: float
    default: 172800
"""

EXAMPLES = r"""
- keyturn.credentials.accounts:
    inventory: /etc/keyturn/production.keeper.yml
    interval: 900
"""

Event = dict[str, t.Any]

# Seconds that Ansible may take for an inventory; Keeper's own timeouts are shorter.
_LONGEST = 600
_STATES = ("due", "pending")
_SETTINGS = {
    # Otherwise Ansible would go on without a source that it cannot read, and nothing would be due.
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    # More words would stand in front of the list.
    "ANSIBLE_VERBOSITY": "0",
    "ANSIBLE_DEBUG": "false",
}

_log = logging.getLogger(__name__)


async def main(queue: asyncio.Queue[Event], args: dict[str, t.Any]) -> None:
    """What ansible-rulebook calls. Raises ValueError for arguments that cannot be."""
    inventory = str(args.get("inventory") or "")
    if not inventory:
        raise ValueError("inventory is missing: the file of an inventory, for example production.keeper.yml")
    interval = _seconds(args, "interval", 900)
    overdue_after = _seconds(args, "overdue_after", 172800)
    while True:
        for event in await _look(inventory, overdue_after):
            await queue.put({"keyturn": event})
        await asyncio.sleep(interval)


def _seconds(args: dict[str, t.Any], name: str, default: float) -> float:
    try:
        seconds = float(args.get(name, default))
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{name} must be a number of seconds, more than 0")
    return seconds


async def _look(inventory: str, overdue_after: float) -> list[Event]:
    """The events of this moment. A vault that is out of reach makes one, because the rulebook must go on."""
    code, out, err = await _list(inventory)
    if code == 0:
        with contextlib.suppress(ValueError):
            return events(json.loads(out, object_hook=_plain), overdue_after, dt.datetime.now(dt.UTC))
    _log.warning("ansible-inventory -i %s: %s", inventory, err.decode("utf-8", "replace").strip())
    text = f"The inventory {inventory} cannot be read; try ansible-inventory -i {inventory} --list."
    return [{"state": "unreadable", "msg": text}]


async def _list(inventory: str) -> tuple[int | None, bytes, bytes]:
    """What ansible-inventory says: exit code (None if it took too long), output, errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ansible", "inventory", "-i", inventory, "--list"),
        env={**os.environ, **_SETTINGS},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _LONGEST)
    except TimeoutError:
        return None, b"", f"no end within {_LONGEST} s".encode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out, err


def _plain(value: dict[str, t.Any]) -> t.Any:
    """Ansible marks texts that are no templates."""
    return value.get("__ansible_unsafe", value)


def events(listed: dict[str, t.Any], overdue_after: float, now: dt.datetime) -> list[Event]:
    """One event for each account at which something is to be done, by name. listed: what ansible-inventory lists."""
    members = {state: set(listed.get(f"keyturn_{state}", {}).get("hosts", [])) for state in _STATES}
    hostvars = listed.get("_meta", {}).get("hostvars", {})
    found = []
    for host in sorted(set().union(*members.values())):
        variables = hostvars.get(host, {})
        since = variables.get("keyturn_due_since")
        overdue = since is not None and (now - dt.datetime.fromisoformat(since)).total_seconds() > overdue_after
        state = "overdue" if overdue else "pending" if host in members["pending"] else "due"
        # Somebody may have written another value, or a template, which is not evaluated here.
        told = variables.get("keyturn_rotations")
        rotations = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
        kinds = {str(rotation.get("kind")) for rotation in rotations} - {"None"}
        found.append({"state": state, "host": host, "kinds": sorted(kinds), "due_since": since})
    return found
