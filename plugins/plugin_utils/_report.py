# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The report of a fleet's run: as data, JUnit XML, a page, and lines for the play's output. Pure; holds no secret.

{format, generated_at, check_mode, complete, problem, counts: {outcome: n}, unproved: n, accounts: [{name, state: done |
failed | no_result, begun, ended, credentials: [{kind, admin_record, record, record_uid, title, login, outcome,
verified, verify_skipped_reason, pending, rotated_at, max_age, next_due, waiting, error_code, msg, left,
retry_safe}]}]}. Times are RFC 3339; whatever is not known is null. Every form is made piece by piece, so that only one
account is in memory.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import functools
import html
import json
import pathlib
import re
import typing as t
from xml.sax import saxutils

import jinja2
import markupsafe

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import (
    parse_duration,
    parse_rfc3339,
    rfc3339,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fleet

Row = dict[str, t.Any]

_FORMAT = 1
OUTCOMES = _fleet.OUTCOMES
# As the page has them: what no login proved looks different.
SHOWN = ("failed", "no_result", "left_out", "unproved", "due", "recovered", "rotated", "waiting", "not_due")
_WORDS = {name: name.replace("_", " ") for name in SHOWN} | {"unproved": "not proved"}
_LABELS = {name: kind.label for name, kind in _fleet.KINDS.items()}
_FIELDS = (
    *("kind", "admin_record", "record", "record_uid", "title", "login", "outcome", "verified", "verify_skipped_reason"),
    *("pending", "rotated_at", "max_age", "next_due", "waiting", "error_code", "msg", "left", "retry_safe"),
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
    failure: t.Mapping[str, t.Any] | None = None

    def told(self) -> t.Iterator[_fleet.Credential]:
        return _fleet.credentials(self.rotations, self.results, done=self.done, failure=self.failure)


@dataclasses.dataclass(frozen=True)
class Account:
    """A host's summary. shown: how many credentials the page shows as what; seconds: between begun and ended."""

    name: str
    state: str
    begun: str | None
    ended: str | None
    seconds: float
    shown: collections.Counter[str]


@dataclasses.dataclass(frozen=True)
class Report:
    """What is known of all hosts. problem: what is wrong with the run as a whole."""

    hosts: t.Sequence[Host]
    accounts: t.Sequence[Account]
    counts: collections.Counter[str]
    shown: collections.Counter[str]
    now: dt.datetime
    check_mode: bool
    problem: str | None

    @property
    def complete(self) -> bool:
        return self.problem is None and all(account.state != "no_result" for account in self.accounts)


def build(hosts: t.Sequence[Host], now: dt.datetime, *, check_mode: bool, problem: str | None) -> Report:
    """The report of these hosts."""
    counts: collections.Counter[str] = collections.Counter()
    accounts = [_account(host, counts) for host in hosts]
    shown = sum((account.shown for account in accounts), collections.Counter())
    return Report(hosts, accounts, counts, shown, now, check_mode, problem)


def _account(host: Host, counts: collections.Counter[str]) -> Account:
    shown: collections.Counter[str] = collections.Counter()
    for told in host.told():
        counts[told["outcome"]] += 1
        shown[_shown(told)] += 1
    state = ("failed" if shown["failed"] else "done") if host.done else "no_result"
    begun = min((str(result["begun"]) for result in host.results.values()), default=None)
    ended = max((str(result["ended"]) for result in host.results.values()), default=None)
    return Account(host.name, state, begun, ended, _fleet.seconds(begun, ended), shown)


def _shown(told: _fleet.Credential) -> str:
    return "unproved" if _fleet.unproved(told) else str(told["outcome"])


def _row(told: _fleet.Credential) -> Row:
    """One credential with all fields."""
    due = _next_due(told.get("rotated_at"), told.get("max_age"))
    return {**{name: told.get(name) for name in _FIELDS}, "next_due": due}


@functools.lru_cache(maxsize=4096)
def _next_due(rotated_at: str | None, max_age: str | None) -> str | None:
    last = parse_rfc3339(rotated_at)
    try:
        return rfc3339(last + parse_duration(max_age, option="max_age")) if last and max_age else None
    except (InvalidInput, OverflowError):
        return None


def as_json(report: Report) -> t.Iterator[str]:
    """The report as data."""
    head = {
        "format": _FORMAT,
        "generated_at": rfc3339(report.now),
        "check_mode": report.check_mode,
        "complete": report.complete,
        "problem": report.problem,
        "counts": {outcome: report.counts[outcome] for outcome in OUTCOMES},
        "unproved": report.shown["unproved"],
    }
    yield json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "accounts": ['
    for number, (host, account) in enumerate(zip(report.hosts, report.accounts, strict=True)):
        facts = {"name": account.name, "state": account.state, "begun": account.begun, "ended": account.ended}
        yield f'{"," if number else ""}\n  {json.dumps(facts, ensure_ascii=False)[:-1]}, "credentials": ['
        yield ",".join("\n   " + json.dumps(_row(told), ensure_ascii=False) for told in host.told())
        yield "\n  ]}"
    yield "\n ]\n}\n"


def history(host: Host, run_id: str, now: dt.datetime) -> list[str]:
    """A JSON line for each credential of a host that has ended: what the report has, and C(run_id, time, account)."""
    about = {"run_id": run_id, "time": rfc3339(now), "account": host.name}
    return [json.dumps({**about, **_row(told)}, ensure_ascii=False) for told in host.told()]


def summary(report: Report) -> list[str]:
    """Lines for the play's output; the reasons of failures stand where each account came to its end."""
    states = collections.Counter(account.state for account in report.accounts)
    counted = [f"{report.counts[name]} {_WORDS[name]}" for name in reversed(OUTCOMES) if report.counts[name]]
    unproved = f" ({report.shown['unproved']} of them not proved)" if report.shown["unproved"] else ""
    wrong = [account.name for account in report.accounts if account.state == "failed"]
    more = f" and {len(wrong) - _NAMED_FAILURES} more, see the report" if wrong[_NAMED_FAILURES:] else ""
    return [
        *([report.problem] if report.problem else []),
        f"{len(report.accounts)} accounts: {states['done']} done, {states['failed']} failed, {states['no_result']} "
        "without a result",
        f"{report.counts.total()} credentials: {', '.join(counted) or 'none'}{unproved}",
        *([f"Failed: {', '.join(wrong[:_NAMED_FAILURES])}{more}"] if wrong else []),
    ]


def junit(report: Report) -> t.Iterator[str]:
    """A suite for each account, a case for each credential; what has no result is an error, so that no gate passes.

    A case's time is its share of its rotation's.
    """
    counts, problem = report.counts, report.problem
    whole = {
        "name": "keyturn.credentials.rotate",
        "tests": counts.total() + bool(problem),
        "failures": counts["failed"],
        "errors": counts["no_result"] + bool(problem),
        "skipped": _skipped(counts),
        "time": _time(sum(account.seconds for account in report.accounts)),
        "timestamp": rfc3339(report.now),
    }
    yield f"<?xml version='1.0' encoding='utf-8'?>\n<testsuites{_attributes(whole)}>\n"
    if problem:
        yield '<testsuite name="inventory" tests="1" failures="0" errors="1" skipped="0" time="0">'
        yield '<testcase classname="inventory" name="accounts" time="0">'
        yield f"<error{_attributes({'message': problem, 'type': 'invalid_input'})}/></testcase></testsuite>\n"
    for host, account in zip(report.hosts, report.accounts, strict=True):
        suite = {
            "name": account.name,
            "tests": account.shown.total(),
            "failures": account.shown["failed"],
            "errors": account.shown["no_result"],
            "skipped": _skipped(account.shown),
            "time": _time(account.seconds),
            "timestamp": account.begun or rfc3339(report.now),
        }
        cases = (_case(account.name, told) for told in host.told())
        yield f"<testsuite{_attributes(suite)}>\n{''.join(cases)}</testsuite>\n"
    yield "</testsuites>\n"


_ELEMENTS = {
    "failed": "failure",
    "no_result": "error",
    "left_out": "skipped",
    "waiting": "skipped",
    "not_due": "skipped",
}


def _skipped(counts: collections.Counter[str]) -> int:
    return sum(counts[outcome] for outcome, tag in _ELEMENTS.items() if tag == "skipped")


def _case(account: str, told: _fleet.Credential) -> str:
    outcome = told["outcome"]
    name = {"classname": f"{account}.{told['kind']}", "name": label(told), "time": _time(told.get("seconds") or 0.0)}
    message, tag = what_happened(told), _ELEMENTS.get(outcome)
    if tag is None:
        inside = f"<system-out>{saxutils.escape(_NOT_XML.sub(_UNKNOWN, message))}</system-out>"
    else:
        kind = {} if tag == "skipped" else {"type": told.get("error_code") or outcome}
        inside = f"<{tag}{_attributes({'message': message, **kind})}/>"
    return f"<testcase{_attributes(name)}>{inside}</testcase>\n"


_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def _attributes(given: t.Mapping[str, t.Any]) -> str:
    return "".join(f" {name}={saxutils.quoteattr(_NOT_XML.sub(_UNKNOWN, str(value)))}" for name, value in given.items())


def _time(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def label(row: t.Mapping[str, t.Any]) -> str:
    """What a person calls this credential."""
    return str(row.get("title") or row.get("record") or "(the whole rotation)")


def what_happened(row: t.Mapping[str, t.Any]) -> str:
    """One or two sentences on the outcome."""
    if row["outcome"] == "failed":
        return _fleet.reason(row)
    why = f" ({row['verify_skipped_reason']})" if row.get("verify_skipped_reason") else ""
    proof = "A login proved it." if row.get("verified") else f"No login proved it{why}."
    age = row.get("max_age")
    return {
        "rotated": proof,
        "recovered": f"An unfinished rotation was finished. {proof}",
        "not_due": f"Its last rotation is younger than {age}." if age else "Its last rotation is young enough.",
        "due": "Check mode: nothing was written.",
        "waiting": f"It is due, and waits: {row.get('waiting')}.",
        "left_out": "Its kind was not among the tags of this run.",
        "no_result": "The run had not come to its end here when this report was written.",
    }[str(row["outcome"])]


def page(report: Report) -> t.Iterator[str]:
    """The report as one HTML file that needs no other."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number="{:,}".format, seconds=_time, words=_WORDS.__getitem__)
    template = environment.from_string(_PAGE.read_text(encoding="utf-8"))
    stream = template.stream(report=report, shown=SHOWN, rows=_rows, generated_at=rfc3339(report.now))
    stream.enable_buffering(200)
    return iter(stream)


def _rows(report: Report, shown: str) -> t.Iterator[markupsafe.Markup]:
    """The rows for the credentials that the page shows so; hundreds of thousands are too many for a template."""
    rank, mark = SHOWN.index(shown), f'<span class="mark">{_WORDS[shown]}</span>'
    start = f'<tr class="{shown}"><td data-key="{rank}">{mark}</td><td>'
    cell = functools.lru_cache(maxsize=4096)(functools.partial(_time_cell, now=report.now))
    for host, account in zip(report.hosts, report.accounts, strict=True):
        for told in host.told() if account.shown[shown] else ():
            if _shown(told) == shown:
                yield markupsafe.Markup(f"{start}{html.escape(account.name)}</td>{_cells(told, cell)}</tr>\n")


def _cells(told: _fleet.Credential, cell: t.Callable[[str | None, str, str], str]) -> str:
    """From the credential's name on; every value is escaped."""
    known, last, kind = told.get("record_uid"), told.get("rotated_at"), told["kind"]
    login = f"<small>{html.escape(str(told['login']))}</small>" if told.get("login") else ""
    code = f" <code>{html.escape(str(told['error_code']))}</code>" if told.get("error_code") else ""
    due = _next_due(last, told.get("max_age"))
    return (
        f'<th scope="row"><span class="name">{html.escape(label(told))}</span>{login}</th>'
        f'<td class="kind">{html.escape(_LABELS.get(kind, kind or "–"))}</td>'
        f"{cell(last, 'never' if known else '–', 'last')}"
        f"{cell(due, 'now' if known and not last else '–', 'next')}"
        f'<td class="what">{html.escape(what_happened(told))}{code}</td>'
    )


def _time_cell(moment: str | None, missing: str, kind: str, *, now: dt.datetime) -> str:
    text = html.escape(moment or missing)
    shown = f"<small>{text}</small>"
    if moment:
        shown = f'<time datetime="{text}" title="{text}">{text[:10]}</time><small>{_away(moment, now)}</small>'
    return f'<td class="time {kind}" data-key="{text}">{shown}</td>'


def _away(moment: str, now: dt.datetime) -> str:
    """How far away a time is, in its largest unit: ``12 d ago``, ``in 5 h``, ``now``."""
    parsed = parse_rfc3339(moment)
    seconds = int((parsed - now).total_seconds()) if parsed else 0
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            count = f"{round(abs(seconds) / size)} {unit}"
            return f"in {count}" if seconds > 0 else f"{count} ago"
    return "now"
