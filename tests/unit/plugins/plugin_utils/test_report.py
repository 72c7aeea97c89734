# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report in its three forms: complete, harmless, and the same in each."""

from __future__ import annotations

import datetime as dt
import html.parser
import json
import re
import typing as t
import xml.etree.ElementTree as ET

import pytest

from ansible_collections.keyturn.credentials.plugins.plugin_utils import _report

Entry = dict[str, t.Any]

NOW = dt.datetime(2026, 5, 1, 12, 0, 0, tzinfo=dt.UTC)
HOSTILE = "</td><script>alert(1)</script>\x00\x1b[31m\ud800 \"'&<![CDATA[ {{ 7*7 }}"


def outcome(record: str, kind: str = "rotated", **fields: t.Any) -> Entry:
    return {
        "record": record,
        "record_uid": record,
        "title": f"Title of {record}",
        "login": f"USER_{record}",
        "rotated_at": "2026-04-21T12:00:00Z",
        "pending": False,
        "outcome": kind,
        **fields,
    }


def host(name: str, *outcomes: Entry, done: bool = True) -> _report.Host:
    records = [row["record"] for row in outcomes] or ["Z"]
    rotation = {"kind": "snowflake_user_password", "admin_record": "admin", "records": records}
    result = {
        "begun": "2026-05-01T11:59:00Z",
        "ended": "2026-05-01T11:59:42Z",
        "max_age": "30d",
        "outcomes": list(outcomes),
    }
    return _report.Host(name, [rotation], {"0": result} if outcomes else {}, done)


def everything() -> _report.Report:
    hosts = [
        host(
            "one",
            outcome("A", verified=True),
            outcome("B", "not_due"),
            outcome("W", "waiting", waiting="rotation_window is sat 01:00-02:00"),
            outcome("C", "recovered", verified=False, verify_skipped_reason="mfa"),
            outcome("D", "due"),
            outcome("E", "failed", msg=HOSTILE, title=HOSTILE, error_code="refused", retry_safe=False, pending=True),
        ),
        host("two", done=False),
        host("three"),
    ]
    return _report.build(hosts, NOW, check_mode=False, problem=None)


def data(report: _report.Report) -> Entry:
    return t.cast(Entry, json.loads("".join(_report.as_json(report))))


def junit(report: _report.Report) -> ET.Element:
    return ET.fromstring("".join(_report.junit(report)).encode("utf-8", "replace"))


def page_of(report: _report.Report) -> str:
    return "".join(_report.page(report))


class Reader(html.parser.HTMLParser):
    """Rows of the first table as texts, and every address that the page names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self._tables = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._tables += tag == "table"
        if self._tables == 1 and tag == "tr":
            self.rows.append([])
        if self._tables == 1 and tag in ("td", "th"):
            self.rows[-1].append("")
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "action", "srcset")]

    def handle_data(self, data: str) -> None:
        if self._tables == 1 and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def test_every_credential_is_in_each_form() -> None:
    report = data(everything())
    assert report["counts"] == dict.fromkeys(_report.OUTCOMES, 1)
    assert [account["state"] for account in report["accounts"]] == ["failed", "no_result", "done"]
    assert not report["complete"] and report["generated_at"] == "2026-05-01T12:00:00Z"
    assert sum(len(account["credentials"]) for account in report["accounts"]) == 8
    cases = list(junit(everything()).iter("testcase"))
    assert len(cases) == 8
    page = Reader(page_of(everything()))
    header, *rows = page.rows
    assert header == ["Outcome", "Account", "Credential", "Kind", "Last rotated", "Next due", "What happened"]
    assert [row[0] for row in rows] == ["failed", "no result", "left out", "not proved", "due", "rotated"] + [
        "waiting",
        "not due",
    ]
    assert rows[5] == [
        *("rotated", "one", "Title of AUSER_A", "Snowflake password"),
        *("2026-04-2110 d ago", "2026-05-21in 20 d", "A login proved it."),
    ]
    assert rows[6][-1] == "It is due, and waits: rotation_window is sat 01:00-02:00."
    # What no login proved looks different, and no cell is empty.
    assert rows[3][-1] == "An unfinished rotation was finished. No login proved it (mfa)." and report["unproved"] == 1
    assert all(cell for row in rows for cell in row)


def test_no_text_of_a_record_gets_out_of_its_place() -> None:
    page = page_of(everything())
    assert page.count("<script>") == 1 and "alert(1)</script>" not in page
    assert Reader(page).addresses == [] and not re.search(r"https?:|url\(|@import|//cdn", page)
    assert "49" not in page.split("{{ 7*7 }}", maxsplit=1)[0][-200:]
    (failure,) = junit(everything()).iter("failure")
    assert "<script>alert(1)</script>" in failure.attrib["message"] and "\x00" not in failure.attrib["message"]


def test_junit_says_what_a_gate_must_know() -> None:
    suites = {suite.attrib["name"]: suite.attrib for suite in junit(everything())}
    assert suites["one"] | {"name": ""} == {
        **{"name": "", "tests": "6", "failures": "1", "errors": "0", "skipped": "2", "time": "42"},
        "timestamp": "2026-05-01T11:59:00Z",
    }
    assert suites["two"]["errors"] == "1" and suites["three"]["skipped"] == "1"
    whole = junit(everything()).attrib
    totals = {"tests": "8", "failures": "1", "errors": "1", "skipped": "3", "time": "42"}
    assert whole == {"name": "keyturn.credentials.rotate", "timestamp": "2026-05-01T12:00:00Z", **totals}
    cases = list(junit(everything()).iter("testcase"))
    assert sum(float(case.attrib["time"]) for case in cases) == pytest.approx(42)
    assert [case.attrib["name"] for case in cases if case.find("skipped") is not None] == [
        "Title of B",
        "Title of W",
        "Z",
    ]
    nothing = junit(_report.build([], NOW, check_mode=False, problem="No hosts."))
    assert nothing.attrib["errors"] == "1" and nothing.find("testsuite/testcase/error") is not None


def test_next_due_and_age() -> None:
    rows = [
        outcome("A", "not_due", rotated_at=None),
        outcome("B", "not_due", rotated_at="rubbish"),
        outcome("C", "not_due", rotated_at="9999-12-31T00:00:00Z"),
        outcome("D", "not_due"),
    ]
    report = _report.build([host("one", *rows)], NOW, check_mode=True, problem=None)
    due = [row["next_due"] for row in data(report)["accounts"][0]["credentials"]]
    assert due == [None, None, None, "2026-05-21T12:00:00Z"]
    page = Reader(page_of(report))
    assert page.rows[1][4:6] == ["never", "now"]


def test_what_is_said_of_a_failure() -> None:
    assert _report.what_happened(outcome("A", "failed", msg="No.")) == "No."


def test_the_summary_is_short() -> None:
    many = [
        host(f"h{n}", *(outcome(f"{n}-{m}", "failed", msg="No.", error_code="busy") for m in range(9)))
        for n in range(30)
    ]
    lines = _report.summary(_report.build(many, NOW, check_mode=False, problem=None))
    named = ", ".join(f"h{n}" for n in range(20))
    assert lines == [
        "30 accounts: 0 done, 30 failed, 0 without a result",
        "270 credentials: 270 failed",
        f"Failed: {named} and 10 more, see the report",
    ]
    assert _report.summary(everything())[1].endswith("1 failed (1 of them not proved)")
    assert _report.summary(_report.build([], NOW, check_mode=False, problem="Nothing."))[0] == "Nothing."


@pytest.mark.parametrize(("accounts", "users"), [(0, 0), (1, 3), (60, 50)])
def test_a_page_of_any_size(accounts: int, users: int) -> None:
    hosts = [host(f"account_{n}", *(outcome(f"{n}-{m}", verified=True) for m in range(users))) for n in range(accounts)]
    page = Reader(page_of(_report.build(hosts, NOW, check_mode=False, problem=None)))
    assert len(page.rows) == accounts * users + (1 if accounts else 0)
    for opened in ("html", "head", "title", "body", "main", "h1", "script"):
        assert page.tags.count(opened) == 1
