# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What a receiver of events is told of a role's run: CloudEvents 1.0, as docs/events.schema.json has them.

Events are made by pure functions, from outcomes, which hold no secret. C(deliver) sends them.
"""

from __future__ import annotations

import collections
import datetime as dt
import hashlib
import hmac
import json
import os
import time
import typing as t
import urllib.parse
import uuid

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deadline, transport
from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import rfc3339
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import checked_url
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import Wire

Entry = t.Mapping[str, t.Any]
Event = dict[str, t.Any]

# Seconds that all events of a role's run may take together, whatever the receiver does.
BUDGET = 5.0
SIGNATURE = "X-Keyturn-Signature-256"
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
# In this order, so that a slow receiver hears first of what wants attention.
_TOLD = ("failed", "recovered", "rotated", "retired")
_PREFIX = "io.github.keyturn.credentials"
_FIELDS = (
    *("record", "record_uid", "title", "login", "outcome", "verified", "verify_skipped_reason", "pending"),
    *("rotated_at", "retired", "note", "error_code", "msg", "left", "retry_safe"),
)
_NOTHING_KNOWN = "The run failed before anything could be said of this record; its output says why."


def events(outcomes: t.Sequence[Entry], about: Entry, moment: dt.datetime) -> list[Event]:
    """One event for each credential with which something happened; being not due, or waiting, is no event.

    outcomes: of Run.records. about: C(run_id, kind, host, account), the same for all.
    """
    told = [(what, each) for each in outcomes for what in (_what(each),) if what in _TOLD]
    return [_event(what, each, about, moment) for what, each in sorted(told, key=lambda pair: _TOLD.index(pair[0]))]


def _what(outcome: Entry) -> str:
    """The last part of an event's type: the outcome, or that an earlier secret was retired."""
    return "retired" if outcome.get("retired") and outcome["outcome"] == "not_due" else str(outcome["outcome"])


def _event(what: str, outcome: Entry, about: Entry, moment: dt.datetime) -> Event:
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/keyturn.credentials/{about['kind']}",
        "type": f"{_PREFIX}.{what}",
        "time": rfc3339(moment),
        "subject": str(outcome.get("record_uid") or outcome["record"]),
        "datacontenttype": "application/json",
        "data": {**about, **{name: outcome.get(name) for name in _FIELDS}},
    }


def unknown(records: t.Iterable[str], failure: Entry) -> list[Event]:
    """The outcomes of a run that could tell nothing of its records. failure: C(msg, error_code), as far as known."""
    reason = {"msg": failure.get("msg") or _NOTHING_KNOWN, "error_code": failure.get("error_code")}
    return [{"record": record, "outcome": "failed", **reason} for record in records]


def signature(secret: str, body: bytes) -> str:
    """The value of the header by which a receiver knows who has sent the body (HMAC-SHA256)."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class Lost(t.NamedTuple):
    """What was not delivered: {reason: how many}. silent: the receiver has never answered, and all time is used up."""

    reasons: collections.Counter[str]
    silent: bool = False

    def told(self) -> str:
        """One line; the receiver's host is all that it names of the address, which may hold a secret."""
        number = self.reasons.total()
        several = len(self.reasons) > 1
        why = "; ".join(f"{reason} ({count})" if several else reason for reason, count in self.reasons.items())
        return f"{number} event{'s were' if number > 1 else ' was'} not delivered: {why}."


def deliver(url: str, secret: str | None, told: t.Sequence[Event], budget: float = BUDGET) -> Lost:
    """Post each event once, and take no longer than so many seconds in all. Raises InvalidInput for such an address."""
    url = checked_url(url, option="keyturn_events_url")
    host = urllib.parse.urlsplit(url).netloc
    end = time.monotonic() + budget
    answers: list[str] = []

    def post_all() -> None:
        # The authorities that Keeper's certificate is held against, too.
        wire = Wire(ca_path=os.environ.get("REQUESTS_CA_BUNDLE") or None, timeout=budget, max_retries=0)
        with transport.Http(wire) as connection:
            for event in told:
                if time.monotonic() >= end:
                    return
                answers.append(_post(connection, url, secret, json.dumps(event).encode()))

    timed_out = False
    try:
        deadline.within(budget, post_all)
    except deadline.TimedOut:
        timed_out = True
    # A copy, because a call that is left behind may come to an answer yet.
    seen = answers[: len(told)]
    reasons = collections.Counter(answer for answer in seen if answer)
    if len(seen) < len(told):
        reasons[f"no answer within {budget:g} s ({host})"] += len(told) - len(seen)
    return Lost(reasons, silent=timed_out and not seen)


def _post(connection: transport.Http, url: str, secret: str | None, body: bytes) -> str:
    """Why it was not delivered, empty if it was."""
    headers = {"Content-Type": CONTENT_TYPE, **({SIGNATURE: signature(secret, body)} if secret else {})}
    try:
        answer = connection.send(transport.Request("POST", url, headers, body), "never")
    except transport.NoAnswer as lost:
        return lost.reason
    return "" if 200 <= answer.status < 300 else f"the receiver answered {answer.status}"
