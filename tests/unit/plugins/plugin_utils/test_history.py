# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines that several processes append at once stay whole, and none is lost when the file is put aside."""

from __future__ import annotations

import json
import multiprocessing
import stat
from pathlib import Path

from ansible_collections.keyturn.credentials.plugins.plugin_utils import _history

_WRITERS, _TIMES, _LINES = 4, 40, 5
# More than half of what they write, so that the file is put aside once.
_LARGEST = 20_000


def write(path: Path, writer: int) -> None:
    for number in range(_TIMES):
        lines = [json.dumps({"writer": writer, "number": number, "line": line}) for line in range(_LINES)]
        _history.append(path, lines, _LARGEST)


def test_writers_at_once_tear_nothing(tmp_path: Path) -> None:
    path, context = tmp_path / "history.jsonl", multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(path, number)) for number in range(_WRITERS)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["history.jsonl", "history.jsonl.1"]
    kept = [json.loads(line) for file in reversed(files) for line in file.read_text().splitlines()]
    for writer in range(_WRITERS):
        assert [(each["number"], each["line"]) for each in kept if each["writer"] == writer] == [
            (number, line) for number in range(_TIMES) for line in range(_LINES)
        ]
    assert all(file.stat().st_size <= _LARGEST for file in files)
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_the_next_line_after_half_a_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text('{"half')
    _history.append(path, ['{"whole": 1}'])
    assert path.read_text() == '{"half\n{"whole": 1}\n'


def test_what_is_larger_than_the_limit_is_kept_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    for text in ("a", "b"):
        _history.append(path, [text * 100], 10)
    assert (path.read_text(), path.with_name("history.jsonl.1").read_text()) == ("b" * 100 + "\n", "a" * 100 + "\n")
