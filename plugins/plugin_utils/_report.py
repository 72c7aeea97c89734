# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The report of a fleet's run: as data, JUnit XML, a page, and lines for the play's output. Pure; holds no secret.

{format, generated_at, check_mode, complete, problem, counts: {outcome: n}, accounts: [{name, state: done | failed |
no_result, begun, ended, credentials: [{kind, admin_record, record, record_uid, title, login, outcome, verified,
pending, rotated_at, max_age, next_due, error_code, msg, retry_safe}]}]}. Times are RFC 3339; whatever is not known is
null.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import pathlib
import re
import typing as t
import xml.etree.ElementTree as ET

import jinja2

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import (
    parse_duration,
    parse_rfc3339,
    rfc3339,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fleet

Report = dict[str, t.Any]

_FORMAT = 1
# What wants attention comes first.
OUTCOMES = ("failed", "no_result", "left_out", "due", "recovered", "rotated", "not_due")
_WORDS = {name: name.replace("_", " ") for name in OUTCOMES}
_KINDS = {
    "meraki_vpn_user_password": "Meraki VPN password",
    "rest_password_rotate": "REST password",
    "snowflake_user_keypair": "Snowflake key pair",
    "snowflake_user_password": "Snowflake password",
}
_FIELDS = (
    *("kind", "admin_record", "record", "record_uid", "title", "login", "outcome", "verified", "pending"),
    *("rotated_at", "max_age", "next_due", "error_code", "msg", "retry_safe"),
)
_NAMED_FAILURES = 20
# What XML 1.0 cannot hold, in any spelling (section 2.2).
_NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_PAGE = pathlib.Path(__file__).with_name("_report_page.html.j2")


@dataclasses.dataclass(frozen=True)
class Host:
    """A host as the play knows it. done: it has come to the end of the play."""

    name: str
    rotations: t.Any
    results: _fleet.Results
    done: bool


def build(hosts: t.Sequence[Host], now: dt.datetime, *, check_mode: bool, problem: str | None) -> Report:
    """The report of these hosts. problem: what is wrong with the run as a whole."""
    accounts = [_account(host) for host in hosts]
    counts = collections.Counter(row["outcome"] for account in accounts for row in account["credentials"])
    return {
        "format": _FORMAT,
        "generated_at": rfc3339(now),
        "check_mode": check_mode,
        "complete": problem is None and all(account["state"] != "no_result" for account in accounts),
        "problem": problem,
        "counts": {outcome: counts[outcome] for outcome in OUTCOMES},
        "accounts": accounts,
    }


def _account(host: Host) -> dict[str, t.Any]:
    rows = [_row(told) for told in _fleet.credentials(host.rotations, host.results, done=host.done)]
    state = "done" if host.done else "no_result"
    if any(row["outcome"] == "failed" for row in rows) and host.done:
        state = "failed"
    times = [(str(result["begun"]), str(result["ended"])) for result in host.results.values()]
    return {
        "name": host.name,
        "state": state,
        "begun": min((begun for begun, _ended in times), default=None),
        "ended": max((ended for _begun, ended in times), default=None),
        "credentials": rows,
    }


def _row(told: _fleet.Outcome) -> dict[str, t.Any]:
    """One credential with all fields, in plain types: what Ansible hands over is more than a str."""
    row = {name: told.get(name) for name in _FIELDS}
    row["next_due"] = _next_due(told)
    return {name: str(value) if isinstance(value, str) else value for name, value in row.items()}


def _next_due(told: _fleet.Outcome) -> str | None:
    last = parse_rfc3339(told.get("rotated_at"))
    try:
        return rfc3339(last + parse_duration(told["max_age"], option="max_age")) if last and told["max_age"] else None
    except (InvalidInput, OverflowError):
        return None


def summary(report: Report) -> list[str]:
    """Lines for the play's output."""
    states = collections.Counter(account["state"] for account in report["accounts"])
    total = sum(report["counts"].values())
    counted = [f"{report['counts'][name]} {_WORDS[name]}" for name in reversed(OUTCOMES) if report["counts"][name]]
    failed = [
        f"{account['name']}: {line}"
        for account in report["accounts"]
        for line in _fleet.failures(account["credentials"])
    ]
    more = len(failed) - _NAMED_FAILURES
    return [
        *([report["problem"]] if report["problem"] else []),
        f"{len(report['accounts'])} accounts: {states['done']} done, {states['failed']} failed, {states['no_result']} "
        "without a result",
        f"{total} credentials: {', '.join(counted) or 'none'}",
        *failed[:_NAMED_FAILURES],
        *([f"and {more} more lines, see the report"] if more > 0 else []),
    ]


def junit(report: Report) -> bytes:
    """A suite for each account, a case for each credential; what has no result is an error, so that no gate passes."""
    root = ET.Element("testsuites", name="keyturn.credentials.rotate")
    if report["problem"]:
        suite = ET.SubElement(root, "testsuite", name="inventory", tests="1", errors="1")
        case = ET.SubElement(suite, "testcase", classname="inventory", name="accounts")
        ET.SubElement(case, "error", message=_xml_text(report["problem"]), type="invalid_input")
    for account in report["accounts"]:
        outcomes = collections.Counter(row["outcome"] for row in account["credentials"])
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_xml_text(account["name"]),
            tests=str(len(account["credentials"])),
            failures=str(outcomes["failed"]),
            errors=str(outcomes["no_result"]),
            skipped=str(outcomes["left_out"]),
            time=str(_seconds(account)),
        )
        for row in account["credentials"]:
            _add_case(suite, account["name"], row)
    ET.indent(root)
    return t.cast(bytes, ET.tostring(root, encoding="utf-8", xml_declaration=True))


def _add_case(suite: ET.Element, account: str, row: dict[str, t.Any]) -> None:
    name = label(row)
    case = ET.SubElement(
        suite, "testcase", classname=_xml_text(f"{account}.{row['kind']}"), name=_xml_text(name), time="0"
    )
    message = _xml_text(what_happened(row))
    if row["outcome"] == "failed":
        ET.SubElement(case, "failure", message=message, type=_xml_text(row["error_code"] or "failed"))
    elif row["outcome"] == "no_result":
        ET.SubElement(case, "error", message=message, type="no_result")
    elif row["outcome"] == "left_out":
        ET.SubElement(case, "skipped", message=message)
    else:
        ET.SubElement(case, "system-out").text = message


def _xml_text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _seconds(account: t.Mapping[str, t.Any]) -> int:
    begun, ended = parse_rfc3339(account["begun"]), parse_rfc3339(account["ended"])
    return int((ended - begun).total_seconds()) if begun and ended else 0


def label(row: t.Mapping[str, t.Any]) -> str:
    """What a person calls this credential."""
    return str(row["title"] or row["record"] or "(the whole rotation)")


def what_happened(row: t.Mapping[str, t.Any]) -> str:
    """One or two sentences on the outcome."""
    pending = " A new secret is pending in Keeper; the next run takes it up." if row["pending"] else ""
    if row["outcome"] == "failed":
        return f"{row['msg']}{'' if 'pending' in (row['msg'] or '') else pending}"
    proof = "A login proved it." if row["verified"] else "No login proved it."
    return {
        "rotated": proof,
        "recovered": f"An unfinished rotation was finished. {proof}",
        "not_due": "",
        "due": "Check mode: nothing was written.",
        "left_out": "Its kind was not among the tags of this run.",
        "no_result": "The run had not come to its end here when this report was written.",
    }[row["outcome"]]


def page(report: Report) -> str:
    """The report as one HTML file that needs no other."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        away=_away,
        happened=what_happened,
        kind=lambda kind: _KINDS.get(kind, kind or ""),
        label=label,
        number="{:,}".format,
        seconds=_seconds,
        words=_WORDS.__getitem__,
    )
    now = parse_rfc3339(report["generated_at"])
    template = environment.from_string(_PAGE.read_text(encoding="utf-8"))
    return template.render(report=report, outcomes=OUTCOMES, now=now)


def _away(moment: str, now: dt.datetime) -> str:
    """How far away a time is, in its largest unit: ``12 d ago``, ``in 5 h``, ``now``."""
    parsed = parse_rfc3339(moment)
    seconds = int((parsed - now).total_seconds()) if parsed else 0
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            count = f"{abs(seconds) // size} {unit}"
            return f"in {count}" if seconds > 0 else f"{count} ago"
    return "now"
