# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What became of each item, and the module's result made of it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    SENTENCES,
    Left,
    RotationError,
    in_words,
)

# Why ``verified`` is false although nothing failed.
CHECK_MODE = "check_mode"
VERIFY_DISABLED = "verify_disabled"

_NAMED_FAILURES = 5


@dataclasses.dataclass
class Outcome:
    """One item's entry of ``rotations``.

    identity: the item's own name as ``{"name": …}`` (or email, username, record_uid).
    in_force: whether the service holds the secret, as seen or acknowledged; None where nobody knows (and always for
    items of the vault, which is where no secret is in force).
    left: what the error left behind. untouched: the sentence for nothing. facts: the service's further return values.
    before, after: the diff, metadata.
    """

    identity: dict[str, str]
    changed: bool = False
    verified: bool | None = False
    verify_skipped_reason: str | None = None
    error: RotationError | None = None
    left: Left = "untouched"
    untouched: str = SENTENCES["untouched"]
    in_force: bool | None = None
    facts: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    before: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    after: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return self.error is not None

    @property
    def msg(self) -> str:
        if self.error is None:
            return ""
        return in_words(self.error.msg, self.left, self.error.advice, untouched=self.untouched)

    def entry(self) -> dict[str, t.Any]:
        """The entry as the user sees it. An item without a notion of proof has ``verified`` None and shows none."""
        entry: dict[str, t.Any] = {**self.identity, "changed": self.changed, "failed": self.failed, **self.facts}
        if self.verified is not None:
            entry["verified"] = self.verified
            if not self.verified and self.verify_skipped_reason:
                entry["verify_skipped_reason"] = self.verify_skipped_reason
        if self.in_force is not None:
            entry["in_force"] = self.in_force
        if self.error is not None:
            entry["error_code"] = self.error.error_code
            entry["msg"] = self.msg
            entry["left"] = self.left
            entry["retry_safe"] = self.error.retry_safe
            if self.error.everybody:
                entry["everybody"] = True
            entry.update(self.error.evidence)
        return entry


def module_result(outcomes: t.Sequence[Outcome], *, single: bool, noun: str) -> dict[str, t.Any]:
    """The module's return values.

    single: repeat the one item's fields at the top. noun: what an item is called in the summary ("user", "record").
    """
    entries = [outcome.entry() for outcome in outcomes]
    result: dict[str, t.Any] = dict(entries[0]) if single else {}
    result["rotations"] = entries
    result["changed"] = any(outcome.changed for outcome in outcomes)
    result["failed"] = any(outcome.failed for outcome in outcomes)
    diffs = [
        {"before_header": name, "after_header": name, "before": outcome.before, "after": outcome.after}
        for outcome in outcomes
        if outcome.before != outcome.after
        for name in ["/".join(outcome.identity.values())]
    ]
    if diffs:
        result["diff"] = diffs[0] if single else diffs
    errors = [(outcome, outcome.error) for outcome in outcomes if outcome.error is not None]
    if errors:
        for name in ("error_code", "left"):
            values = {entry[name] for entry in entries if entry["failed"]}
            if len(values) == 1:
                result[name] = values.pop()
        result["retry_safe"] = all(error.retry_safe for _outcome, error in errors)
        result["msg"] = errors[0][0].msg if single else _summary(errors, len(outcomes), noun)
    return result


def _summary(errors: t.Sequence[tuple[Outcome, RotationError]], total: int, noun: str) -> str:
    named = [
        f"{'/'.join(outcome.identity.values())} ({error.error_code}): {outcome.msg}"
        for outcome, error in errors[:_NAMED_FAILURES]
    ]
    more = len(errors) - len(named)
    if more:
        named.append(f"and {more} more, see rotations")
    return f"{len(errors)} of {total} {noun}s failed. " + " | ".join(named)
