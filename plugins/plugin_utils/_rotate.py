# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What every role does: read → check → stage → apply → save what was minted → commit or discard.

A run that dies anywhere is finished by the next one, because a secret is in its record before the service hears of it.
"""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import scrub_all
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

# What a record did not take is given to it twice more, after so many seconds.
_AGAIN = (5, 5)


class Vault(t.Protocol):
    """Asks keeper_rotation; its result, which says so where anything failed."""

    def __call__(self, state: str, records: t.Sequence[str], **options: t.Any) -> Result: ...


class Service(t.Protocol):
    """Asks the service's module about these users; its result, as Vault's."""

    def __call__(self, users: t.Sequence[Entry], *, check_mode: bool) -> Result: ...


def rotate(
    role: Role,
    records: t.Sequence[str],
    vault: Vault,
    service: Service,
    *,
    staging: t.Mapping[str, t.Any],
    consumers: t.Callable[[Result], t.Mapping[str, str]] = lambda _found: {},
    check_mode: bool = False,
) -> Run:
    """Rotate the records that are due. The answers hold secrets; what Run makes of them does not.

    staging: what keeper_rotation is told when it looks and when it stages. consumers: the files of those that its
    answer names.
    """
    state = "announced" if role.mints else "staged"
    found = vault(state, records, check_mode=True, **staging)
    role = dataclasses.replace(role, consumers=consumers(found))
    run = Run(role, found, named=records, check_mode=check_mode)
    if users := role.users(run.found):
        run = run.heard(checked=service(users, check_mode=True))
    if check_mode:
        return run
    if uids := run.to_stage():
        run = run.heard(staged=vault(state, uids, **staging))
    if users := role.users(run.staged, among=run.found):
        run = run.heard(applied=service(users, check_mode=False))
    if minted := run.minted():
        saving = {"secrets": minted, "rotation_id": run.rotation_id()}
        attempts = _attempts(vault, "staged", list(minted), **saving)
        run = run.heard(saved=attempts[-1], lost=run.forgotten(attempts))
        if users := role.users(run.lost):
            # Asked by the name, the module does not know the secret, which the service may quote.
            revoked = scrub_all(service(users, check_mode=False), [each["secret"] for each in minted.values()])
            run = run.heard(revoked=revoked)
    if uids := run.ending("commit"):
        about = {"rotation_id": run.rotation_id(), "account": run.account() or ""}
        run = run.heard(committed=_attempts(vault, "committed", uids, **about)[-1])
    if uids := run.ending("discard"):
        run = run.heard(discarded=vault("discarded", uids, rotation_id=run.rotation_id()))
    return run


def _attempts(vault: Vault, state: str, records: t.Sequence[str], **options: t.Any) -> list[Result]:
    answers = [vault(state, records, **options)]
    for seconds in _AGAIN:
        if answers[-1].get("rotations") and not any(map(_may_come, answers[-1]["rotations"])):
            break
        time.sleep(seconds)
        answers.append(vault(state, records, **options))
    return answers


def _may_come(entry: Entry) -> bool:
    """Whether it failed, and may be taken later."""
    return bool(entry["failed"]) and not entry.get("forgotten")


def summary(run: Run) -> dict[str, t.Any]:
    """What became of it, for the role's further tasks. Holds no secrets."""
    outcomes = run.records()
    return {
        "changed": run.changed(),
        "account": run.account(),
        "deliver": run.to_deliver(),
        "failure": {name: run.found.get(name) for name in ("msg", "error_code")},
        **_about(outcomes, run.told(outcomes)),
    }


def after_deliveries(before: t.Mapping[str, t.Any], undelivered: t.Sequence[Entry]) -> dict[str, t.Any]:
    """What C(summary) said before the deliveries, with these that failed. Holds no secrets."""
    outcomes = delivered(before["outcomes"], undelivered)
    return {**before, **_about(outcomes, told(outcomes))}


def _about(outcomes: list[Entry], lines: tuple[list[str], list[str]]) -> dict[str, t.Any]:
    return {"outcomes": outcomes, "stats": stats(outcomes, KINDS), "told": lines[0], "failures": lines[1]}
