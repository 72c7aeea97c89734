# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""A file to which several runs append lines at once, and which is put aside when it is large."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import typing as t

# Bytes, of the file and of the one that was put aside.
LARGEST = 10 * 1024 * 1024


def append(path: pathlib.Path, lines: t.Sequence[str], largest: int = LARGEST) -> None:
    """Add the lines in one piece; the file is for its owner only. What would be larger than that becomes C(.1) first.

    Raises OSError.
    """
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
    with _locked(path) as file:
        size = os.fstat(file).st_size
        full = size > 0 and size + len(text) > largest
        if full:
            path.replace(path.with_name(f"{path.name}.1"))
        else:
            # Half a line is what a run leaves that died while it wrote.
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            _write(file, b"\n" + text if torn else text)
    if full:
        append(path, lines, largest)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> t.Iterator[int]:
    """The file under this name, opened to be appended to, with nobody else at it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with contextlib.closing(os.fdopen(file, "rb", buffering=0)):
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had the lock before may have put the file aside.
            if _is_still(path, file):
                yield file
                return


def _is_still(path: pathlib.Path, file: int) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _write(file: int, text: bytes) -> None:
    while text:
        text = text[os.write(file, text) :]
