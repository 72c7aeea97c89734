# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One hunter for secrets: the forms in which a text could give one away, looked for in texts, files and processes."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import os
import secrets
import threading
import typing as t
import urllib.parse
from pathlib import Path

_URL = str.maketrans("+/", "-_")
_SHORTEST = 6


def canary() -> str:
    """A password of two random halves with all that trips over quoting between them."""
    return f"{secrets.token_hex(8)}{{{{ \"' \\ % $\n}}}}Aa1{secrets.token_hex(8)}"


def spellings(secret: str) -> list[tuple[str, str]]:
    """Forms, and the texts to look for. Random halves count as well, so that no line break can hide the rest.

    Base64 is found wherever it stands in what was encoded, as after the name in an Authorization header.
    """
    found: list[tuple[str, str]] = []
    halves = {secret[:16], secret[-16:]} if "\n" in secret and "-----" not in secret else set[str]()
    lines = {line for line in secret.splitlines() if len(line) > 16 and "-----" not in line}
    for part in {secret} | halves | lines:
        raw = part.encode()
        found += [
            (f"raw {part[:4]}", part),
            (f"reversed {part[:4]}", part[::-1]),
            (f"hex {part[:4]}", raw.hex()),
            (f"url {part[:4]}", urllib.parse.quote(part, safe="")),
            (f"url+ {part[:4]}", urllib.parse.quote_plus(part)),
            (f"json {part[:4]}", json.dumps(part)[1:-1]),
            (f"repr {part[:4]}", repr(part)[1:-1]),
        ]
        for offset in range(3):
            # The characters at both ends depend on what stands beside it.
            text = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")[4:-2]
            found += [(f"base64+{offset} {part[:4]}", text), (f"base64url+{offset} {part[:4]}", text.translate(_URL))]
    if "-----" in secret:
        found.append(("joined", "".join(line for line in secret.splitlines() if "-----" not in line)))
    # Of a short secret, a form that is shorter still would be chance.
    return [(form, text) for form, text in found if len(text) >= _SHORTEST or text == secret]


def leaks(text: str, *secrets_: str) -> list[str]:
    """The forms in which a secret is in the text."""
    return [form for secret in secrets_ for form, spelling in spellings(secret) if spelling in text]


def leaks_below(directory: Path, *secrets_: str) -> list[str]:
    """The same for all files of a directory, with the file's name."""
    found = []
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            found += [f"{path.relative_to(directory)}: {form}" for form in leaks(text, *secrets_)]
    return found


@dataclasses.dataclass
class Watcher:
    """Samples every 20 ms what other users of the machine could see of the process tree, and which files exist.

    seen: whether the tree was ever seen; found: where a secret was.
    """

    root: int
    secrets: tuple[str, ...]
    directories: tuple[Path, ...]
    seen: set[int] = dataclasses.field(default_factory=set)
    found: set[str] = dataclasses.field(default_factory=set)
    _stop: threading.Event = dataclasses.field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._needles = [text.encode() for secret in self.secrets for _form, text in spellings(secret)]
        self._before = set(self._files())

    def _files(self) -> t.Iterator[Path]:
        for directory in self.directories:
            for parent, _folders, names in os.walk(directory):
                yield from (Path(parent, name) for name in names)

    def _look(self, path: Path, what: str) -> None:
        with contextlib.suppress(OSError):
            if path.is_file() or path.parts[1] == "proc":
                content = path.read_bytes()
                if any(needle in content for needle in self._needles):
                    self.found.add(what)

    def _tree(self) -> list[int]:
        """The processes below the root; from /proc, because starting ps every 20 ms would slow down what is watched."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    children.setdefault(parent, []).append(int(entry.name))
        tree = [self.root]
        for pid in tree:
            tree.extend(children.get(pid, []))
        return tree

    def _watch(self) -> None:
        while True:
            last = self._stop.is_set()
            for pid in self._tree():
                self.seen.add(pid)
                for name in ("cmdline", "environ"):
                    self._look(Path("/proc", str(pid), name), name)
            for path in set(self._files()) - self._before:
                self._look(path, str(path))
            if last:
                return
            self._stop.wait(0.02)

    def __enter__(self) -> t.Self:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()
