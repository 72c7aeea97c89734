# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Every form in which a secret may show up in a text, and how to take it out."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
import typing as t
import urllib.parse

try:
    from ansible.module_utils.secrets import register_secret as _register_secret  # ansible-core 2.22+
except ImportError:
    _register_secret = None

MASK = "********"
# Shorter fragments would blank out innocent text: three letters of base64 stand in every log.
_SHORTEST_FORM = 8
_SHORTEST_PEM_LINE = 16
# So many characters in a row of a secret, in whatever case, are a part of it and no chance.
_TELLING = 6
_LONGEST_FOREIGN = 1 << 16
# JSON's, of a character that need not be escaped.
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def _base64_cores(raw: bytes) -> t.Iterator[str]:
    """The part of the base64 text that does not depend on what stands before and after the secret (three offsets)."""
    for offset in range(3):
        # Characters that mix in bits of a neighbour's bytes are left out on both sides.
        encoded = base64.b64encode(b"\0" * offset + raw).decode()
        core = encoded[(0, 2, 3)[offset] :]
        tail = (offset + len(raw)) % 3
        if tail:
            core = core[: -(4 - tail)]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _pem_parts(secret: str) -> t.Iterator[str]:
    lines = [line.strip() for line in secret.splitlines()]
    body = [line for line in lines if line and not line.startswith("-----")]
    if len(lines) > 1 and secret.lstrip().startswith("-----BEGIN "):
        yield "".join(body)
        yield from (line for line in body if len(line) > _SHORTEST_PEM_LINE)


def forms(secret: str, *, short: bool = False) -> list[str]:
    """All spellings of the secret that are scrubbed, longest first; the raw one is always among them.

    short: also those of the whole secret that are so short that they may blank out innocent text.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    whole = {
        urllib.parse.quote(raw, safe=""),
        urllib.parse.quote(raw),
        urllib.parse.quote_plus(raw),
        json.dumps(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
    }
    fragments = {secret.strip(), *_base64_cores(raw), *_pem_parts(secret)}
    if short or len(raw) >= _SHORTEST_FORM:
        fragments |= {raw.hex(), raw.hex().upper()}
    found = {form for form in whole | fragments if len(form) >= _SHORTEST_FORM}
    if short:
        padded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
        found |= whole | padded | {text.rstrip("=") for text in padded}
    if secret:
        found.add(secret)
    return sorted(found, key=len, reverse=True)


class Scrubber:
    """Masks every form of every secret; made once for many texts: hundreds of users have hundreds of secrets.

    Thread-safe: a secret that was added is masked from then on, whoever adds and whoever asks.

    short: as in C(forms), for texts that somebody else wrote.
    """

    def __init__(self, secrets: t.Iterable[str] = (), *, short: bool = False) -> None:
        self._short = short
        self._lock = threading.Lock()
        self._waiting = {secret for secret in secrets if secret}
        self._known: set[str] = set()
        self._spellings: dict[str, set[str]] = {}
        self._lengths: set[int] = set()
        self._parts: set[str] = set()

    def add(self, *secrets: str) -> None:
        """Further secrets. All is prepared when a text is there, which is mostly never."""
        with self._lock:
            self._waiting.update(secret for secret in secrets if secret)

    def _prepare(self) -> None:
        new = self._waiting - self._known
        self._known |= new
        self._waiting = set()
        for secret in new:
            self._parts.update(_grams(secret.casefold(), min(_TELLING, len(secret.casefold()))))
            for spelling in forms(secret, short=self._short):
                start = spelling[:_SHORTEST_FORM]
                self._lengths.add(len(start))
                self._spellings.setdefault(start, set()).add(spelling)

    def text(self, text: str) -> str:
        """The text with every form masked; the longest first, of those that begin somewhere in it."""
        with self._lock:
            self._prepare()
            starts = {start for length in self._lengths for start in _grams(text, length)}
            near = {spelling for start in starts & self._spellings.keys() for spelling in self._spellings[start]}
        for spelling in sorted(near, key=len, reverse=True):
            text = text.replace(spelling, MASK)
        return text

    def foreign(self, text: str, longest: int) -> str:
        """What somebody else wrote, in one printable line of at most so many characters, without any secret.

        It is withheld if it quotes a part of a secret, or one in another case, because those are no forms to mask.
        """
        text = self.text(text[:_LONGEST_FOREIGN])
        for view in (text, urllib.parse.unquote(text), html.unescape(text), _ESCAPE.sub(_unescaped, text)):
            folded = view.casefold()
            if any(not self._parts.isdisjoint(_grams(folded, length)) for length in range(1, _TELLING + 1)):
                return "(not shown, because it quotes a secret)"
        return one_line(text)[:longest]

    def everything(self, value: t.Any) -> t.Any:
        """The same for every text in nested lists and dicts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.everything(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.everything(item) for item in value]
        return value


def scrub(text: str, secrets: t.Iterable[str], *, short: bool = False) -> str:
    """The text with every form of every secret masked. short: as in C(forms), for a text that somebody else wrote."""
    return Scrubber(secrets, short=short).text(text)


def scrub_all(value: t.Any, secrets: t.Iterable[str]) -> t.Any:
    """The same for every text in nested lists and dicts."""
    return Scrubber(secrets).everything(value)


def foreign_text(text: str, secrets: t.Iterable[str], longest: int) -> str:
    """As Scrubber.foreign, for one text."""
    return Scrubber(secrets, short=True).foreign(text, longest)


def one_line(text: str) -> str:
    """The text without what a terminal would act upon."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16))


def _grams(text: str, length: int) -> t.Iterator[str]:
    return (text[at : at + length] for at in range(len(text) - length + 1))


def secrets_in(params: t.Mapping[str, t.Any], options: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """The values of all options marked no_log, nested ones too."""
    found: list[str] = []
    for name, option in options.items():
        value = params.get(name)
        if value is None:
            continue
        if option.get("no_log"):
            found.extend(texts(value))
        elif option.get("options"):
            for entry in value if isinstance(value, list) else [value]:
                found.extend(secrets_in(entry, option["options"]))
    return found


def texts(value: t.Any) -> t.Iterator[str]:
    """All texts in nested lists and dicts' values."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str) and value:
        yield value


def register(no_log_values: set[str], secrets: t.Iterable[str]) -> None:
    """Tell Ansible about every form, so that its own output masks them too."""
    for secret in secrets:
        spellings = [form for form in forms(secret) if len(form) >= _SHORTEST_FORM]
        no_log_values.update(spellings)
        if _register_secret is not None:
            for spelling in spellings:
                _register_secret(spelling)


def found_in(value: t.Any, secrets: t.Iterable[str]) -> set[str]:
    """Those that stand somewhere in nested lists and dicts, whatever their items are."""
    # Each character is escaped for itself, so that a part of a text is a part of the escaped one.
    told = json.dumps(value, default=str)
    return {secret for secret in secrets if json.dumps(secret)[1:-1] in told}
