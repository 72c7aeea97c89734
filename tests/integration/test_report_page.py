# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's page in a real browser, if there is one: it sorts and filters, and has its pictures taken."""

from __future__ import annotations

import datetime as dt
import html.parser
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import rfc3339
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _report
from tests.integration.support import REPOSITORY

Entry = dict[str, t.Any]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, _BROWSERS)), None)
# To be looked at by people after a run.
PICTURES = REPOSITORY / "tests" / "output" / "report"
NOW = dt.datetime(2026, 5, 1, 12, 0, 0, tzinfo=dt.UTC)
_DARK = "--blink-settings=preferredColorScheme=0"
_KINDS = ("snowflake_user_password", "snowflake_user_keypair", "meraki_vpn_user_password")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser is here: {', '.join(_BROWSERS)}"),
]


def _outcome(account: int, number: int) -> Entry:
    """Mostly rotated or not due, some failed, one never rotated."""
    record = f"{account:02}-{number:02}"
    rotated = rfc3339(NOW - dt.timedelta(days=(account * 7 + number * 3) % 29, minutes=number))
    told: Entry = {
        "record": record,
        "record_uid": record,
        "title": f"User {record}",
        "login": f"SVC_{record}",
        "rotated_at": rotated,
        "pending": False,
    }
    chance = (account * 31 + number * 17) % 23
    if chance == 0:
        why = "Snowflake did not answer within 20 s. Whether the password was changed is not known."
        more: Entry = {"outcome": "failed", "error_code": "unknown_outcome", "msg": why, "pending": True}
    elif chance == 1:
        more = {"outcome": "failed", "error_code": "not_permitted", "msg": "ROTATOR may not change the user."}
        more["rotated_at"] = None
    elif chance < 8:
        more = {"outcome": "not_due"}
    else:
        more = {"outcome": "rotated", "rotated_at": rfc3339(NOW), "verified": chance > 9}
        more |= {} if chance > 9 else {"verify_skipped_reason": "mfa_required"}
    return {**told, **more}


def _host(account: int, users: int, *, done: bool = True) -> _report.Host:
    outcomes = [_outcome(account, number) for number in range(users)]
    rotation = {
        "kind": _KINDS[account % len(_KINDS)],
        "admin_record": "admin",
        "records": [outcome["record"] for outcome in outcomes],
    }
    begun = rfc3339(NOW - dt.timedelta(seconds=40 + account))
    result = {"begun": begun, "ended": rfc3339(NOW), "max_age": "30d", "outcomes": outcomes}
    return _report.Host(f"account_{account:03}", [rotation], {"0": result} if done else {}, done)


def _page(accounts: int, users: int) -> str:
    """With more than one account, the last one has no result."""
    hosts = [_host(number, users, done=number == 0 or number < accounts - 1) for number in range(accounts)]
    return "".join(_report.page(_report.build(hosts, NOW, check_mode=False, problem=None)))


def _browse(home: Path, *arguments: str) -> str:
    assert BROWSER is not None
    # Nothing may be asked of the network: every host is unknown.
    usual = ("--headless", "--disable-gpu", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    run = subprocess.run(
        [BROWSER, *usual, *root, f"--user-data-dir={home / 'browser'}", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    return run.stdout


@pytest.mark.parametrize(("accounts", "users"), [(1, 3), (60, 50)], ids=["3", "3000"])
def test_pictures(accounts: int, users: int, tmp_path: Path) -> None:
    """In light and dark, wide and narrow; that they look well, a person must say."""
    file = tmp_path / "rotation.html"
    file.write_text(_page(accounts, users), encoding="utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    sizes: dict[str, bytes] = {}
    for name, size, more in (("light", "1280,900", []), ("dark", "1280,900", [_DARK]), ("narrow", "480,900", [])):
        picture = PICTURES / f"{accounts * users}-{name}.png"
        picture.unlink(missing_ok=True)
        _browse(tmp_path, f"--window-size={size}", f"--screenshot={picture}", *more, file.as_uri())
        sizes[name] = picture.read_bytes()
        assert sizes[name].startswith(b"\x89PNG")
    assert len(set(sizes.values())) == len(sizes)


class _Rows(html.parser.HTMLParser):
    """The rows of the first table's body that are shown, as texts of their cells; how its columns are sorted."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.sorted: list[str | None] = []
        self._place = "before"
        self._shown = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if self._place == "before" and tag == "th":
            self.sorted.append(given.get("aria-sort"))
        if self._place == "before" and tag == "tbody":
            self._place = "inside"
        if self._place == "inside" and tag == "tr":
            self._shown = "hidden" not in given
            self.rows += [[]] * self._shown
        if self._place == "inside" and self._shown and tag in ("td", "th"):
            self.rows[-1] = [*self.rows[-1], ""]

    def handle_endtag(self, tag: str) -> None:
        if tag == "tbody":
            self._place = "after"

    def handle_data(self, data: str) -> None:
        if self._place == "inside" and self._shown and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def _after(home: Path, script: str) -> _Rows:
    """The page after a person has done what the script does, by the same events."""
    file = home / "clicked.html"
    file.write_text(_page(3, 12).replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return _Rows(_browse(home, "--dump-dom", file.as_uri()))


def test_sorting_and_filtering(tmp_path: Path) -> None:
    head = "document.querySelectorAll('#credentials thead button')"
    whole = _after(tmp_path, "")
    assert len(whole.rows) == 36 and whole.rows[0][0] == "failed" and whole.sorted[0] == "ascending"

    by_name = _after(tmp_path, f"{head}[2].click()")
    names = [row[2] for row in by_name.rows]
    assert names == sorted(names) and by_name.sorted[2] == "ascending" and by_name.sorted[0] is None
    back = _after(tmp_path, f"{head}[2].click(); {head}[2].click()")
    assert [row[2] for row in back.rows] == names[::-1] and back.sorted[2] == "descending"

    due = [row[5] for row in _after(tmp_path, f"{head}[5].click()").rows if row[5] not in ("now", "–")]
    assert due == sorted(due) and len(due) > 10

    failed = _after(tmp_path, "document.querySelector('button[data-outcome=failed]').click()")
    assert {row[0] for row in failed.rows} == {"failed"} and 0 < len(failed.rows) < 36
    unproved = _after(tmp_path, "document.querySelector('button[data-outcome=unproved]').click()")
    assert {row[0] for row in unproved.rows} == {"not proved"}
    found = _after(
        tmp_path,
        "const s = document.getElementById('search'); s.value = 'ACCOUNT_001 svc'; s.dispatchEvent(new Event('input'))",
    )
    assert {row[1] for row in found.rows} == {"account_001"} and len(found.rows) == 12


def _luminance(color: str) -> float:
    """Relative luminance of #rrggbb or #rgb, by WCAG 2.1."""
    digits = color.lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast() -> None:
    """Text against what it stands on: at least 4.5 to 1, WCAG's level AA, in both schemes."""
    style = _page(1, 3).split("<style>")[1].split("</style>")[0]
    schemes = [block.split("}")[0] for block in style.split(":root {")[1:]]
    assert len(schemes) == 2
    for scheme in schemes:
        colors = dict(part.strip().removeprefix("--").split(": ") for part in scheme.split(";") if "--" in part)
        pairs = [("text", "page"), ("text", "card"), ("text", "head"), ("quiet", "page"), ("quiet", "card")]
        pairs += [(name, f"{name}-soft") for name in ("bad", "warn", "good", "info")] + [("text", "plain-soft")]
        for front, back in pairs:
            light, dark = sorted((_luminance(colors[front]), _luminance(colors[back])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (front, back)
