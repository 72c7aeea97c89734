# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""No spelling of a secret survives scrub(); the spellings are made here by other means than in the code."""

from __future__ import annotations

import base64
import concurrent.futures
import json
import threading
import time
import typing as t
import urllib.parse
from secrets import token_urlsafe

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys, secrets

# An asterisk would make the mask itself look like a part of the secret.
_CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="*")
_PASSWORDS = st.text(_CHARACTERS, min_size=8, max_size=40) | st.text("aZ9+/ =&%'\"\\{}-_\n\t", min_size=8, max_size=40)
_TEXT = st.text(_CHARACTERS, max_size=20)


@pytest.fixture(scope="module")
def pem() -> str:
    return keys.private_pem(keys.generate_rsa(2048))


SPELLINGS: dict[str, t.Callable[[str], str]] = {
    "raw": str,
    "stripped": str.strip,
    "url": lambda secret: urllib.parse.quote(secret, safe=""),
    "url with slashes": urllib.parse.quote,
    "form": lambda secret: urllib.parse.urlencode({"": secret})[1:],
    "json": lambda secret: json.dumps([secret])[2:-2],
    "json, not ASCII": lambda secret: json.dumps([secret], ensure_ascii=False)[2:-2],
    "json of PHP": lambda secret: json.dumps([secret])[2:-2].replace("/", r"\/"),
    "repr": lambda secret: repr([secret])[2:-2],
    "base64": lambda secret: base64.b64encode(secret.encode()).decode().rstrip("="),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@example(secret="p\u00e4/ss w\u00f6rd+'\"\\", before="", after="")
@given(secret=_PASSWORDS, before=_TEXT, after=_TEXT)
def test_no_spelling_survives_in_any_text(spelling: str, secret: str, before: str, after: str) -> None:
    spelt = SPELLINGS[spelling](secret)
    scrubbed = secrets.scrub(f"{before}{spelt}{after}", [secret])
    # The last character of unpadded base64 depends on what would follow.
    certain = spelt[:-1] if spelling == "base64" else spelt
    if len(certain) >= 8:
        assert certain not in scrubbed
        assert secrets.MASK in scrubbed


@pytest.mark.parametrize("altchars", [b"+/", b"-_"])
@given(secret=_PASSWORDS, before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_no_base64_survives_at_any_offset_of_longer_data(
    altchars: bytes, secret: str, before: bytes, after: bytes
) -> None:
    raw = secret.encode()
    text = base64.b64encode(before + raw + after, altchars=altchars).decode()
    # The characters, six bits each, in which there is nothing but the secret.
    first = -(-8 * len(before) // 6)
    last = 8 * len(before + raw) // 6
    assert text[first:last] not in secrets.scrub(f'{{"data": "{text}"}}', [secret])


@given(wanted=st.lists(_PASSWORDS, min_size=1, max_size=4), glue=_TEXT)
def test_many_secrets_in_one_text_all_go(wanted: list[str], glue: str) -> None:
    scrubbed = secrets.scrub(glue.join(wanted), wanted)
    assert not [secret for secret in wanted if secret in scrubbed]


@given(outer=_PASSWORDS, cut=st.integers(1, 7))
def test_a_secret_inside_another_one_does_not_leave_its_rest(outer: str, cut: int) -> None:
    inner = outer[:cut]
    assert outer[cut:] not in secrets.scrub(f"\u2060{outer}\u2060", [inner, outer])


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(str, id="as it is"),
        pytest.param(lambda pem: pem.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda pem: json.dumps({"key": pem}), id="JSON"),
        pytest.param(lambda pem: "    " + pem.replace("\n", "\n    "), id="indented"),
        pytest.param(lambda pem: "".join(pem.splitlines()[1:-1]), id="joined body"),
        pytest.param(lambda pem: "Error in line 7: " + pem.splitlines()[7], id="one line"),
        pytest.param(lambda pem: base64.b64encode(b"x" + pem.encode()).decode(), id="base64"),
        pytest.param(urllib.parse.quote_plus, id="form"),
    ],
)
def test_no_line_of_a_private_key_survives(pem: str, spelling: t.Callable[[str], str]) -> None:
    scrubbed = secrets.scrub(f"before {spelling(pem)} after", [pem])
    body = [line for line in pem.splitlines()[1:-1] if len(line) > 16]
    assert len(body) > 20
    assert not [line for line in body if line in scrubbed]
    assert not [line for line in body if line[8:-8] in urllib.parse.unquote_plus(scrubbed)]
    assert base64.b64encode(pem.encode()).decode()[4:40] not in scrubbed
    assert scrubbed.startswith("before ") and scrubbed.endswith(" after")


@given(lines=st.lists(st.text("AZaz09+/", min_size=64, max_size=64), min_size=1, max_size=3), last=st.integers(1, 64))
def test_a_short_last_line_goes_with_the_joined_body(pem: str, lines: list[str], last: int) -> None:
    head, *_body, foot = pem.splitlines()
    body = [*lines, lines[0][:last]]
    key = "\n".join([head, *body, foot, ""])
    assert secrets.scrub("<" + "".join(body) + ">", [key]) == f"<{secrets.MASK}>"


def test_a_key_with_carriage_returns_is_masked_line_by_line_too(pem: str) -> None:
    windows = pem.replace("\n", "\r\n")
    assert pem.splitlines()[5] not in secrets.scrub(pem, [windows])


def test_innocent_words_stay() -> None:
    # Three letters are a secret's base64 of no meaning, but the raw text is masked however short.
    assert secrets.scrub("YWJj abc", ["abc"]) == f"YWJj {secrets.MASK}"
    assert secrets.scrub("plain text", [""]) == "plain text"
    assert secrets.scrub("plain text", []) == "plain text"


@given(_PASSWORDS)
def test_texts_in_nested_values_are_scrubbed_and_other_values_are_kept(secret: str) -> None:
    value = {"a": [secret, ("b", f"{secret}.")], "n": 7, "none": None, "flag": True}
    assert secrets.scrub_all(value, [secret]) == {
        "a": [secrets.MASK, ["b", f"{secrets.MASK}."]],
        "n": 7,
        "none": None,
        "flag": True,
    }


def test_secrets_are_found_by_no_log_alone_and_in_suboptions() -> None:
    options: dict[str, dict[str, t.Any]] = {
        "name": {"no_log": False},
        "token": {"no_log": True},
        "more": {"no_log": True, "type": "dict"},
        "unset": {"no_log": True},
        "one": {"type": "dict", "options": {"password": {"no_log": True}, "name": {"no_log": False}}},
        "users": {"type": "list", "options": {"password": {"no_log": True}, "name": {"no_log": False}}},
    }
    params = {
        "name": "N",
        "token": "T",
        "more": {"a": "M1", "b": ["M2", {"c": "M3"}], "d": 5, "e": ""},
        "unset": None,
        "one": {"password": "O", "name": "N"},
        "users": [{"password": "U1", "name": "N"}, {"password": "U2", "name": "N"}, {"password": None, "name": "N"}],
    }
    assert sorted(secrets.secrets_in(params, options)) == ["M1", "M2", "M3", "O", "T", "U1", "U2"]


@given(secret=_PASSWORDS, offset=st.integers(0, 2))
def test_ansible_is_told_the_spellings_too(secret: str, offset: int) -> None:
    registered: set[str] = set()
    secrets.register(registered, [secret])
    encoded = base64.b64encode(b"-" * offset + secret.encode() + b"----").decode()
    assert secret in registered
    assert any(spelling in encoded for spelling in registered)
    assert any(spelling in urllib.parse.quote(secret, safe="") for spelling in registered)


def test_ansible_is_not_told_a_short_secret_which_would_blank_out_its_own_words() -> None:
    registered: set[str] = set()
    secrets.register(registered, ["ok", "true", ""])
    assert registered == set()


def test_newer_ansible_is_told_through_its_own_register(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(secrets, "_register_secret", told.append)
    secrets.register(set(), ["a/secret&more"])
    assert {"a/secret&more", "a%2Fsecret%26more"} <= set(told)


def test_a_foreign_text_holds_no_spelling_of_a_short_secret() -> None:
    text = 'a\\"b YSJi a%22b YWJj a"b'
    assert secrets.scrub(text, ['a"b'], short=True).replace(secrets.MASK, "*") == "* * * YWJj *"
    assert secrets.scrub("x", [""], short=True) == "x"


def test_hundreds_of_secrets_and_texts_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """The forms of a secret are found once, however many texts there are."""
    asked: list[str] = []
    found = secrets.forms

    def counted(secret: str, *, short: bool) -> list[str]:
        asked.append(secret)
        return found(secret, short=short)

    monkeypatch.setattr(secrets, "forms", counted)
    known = [f"secret-number-{number}" for number in range(50)]
    texts = [{"msg": f"no {each} here", "short": "x", "empty": ""} for each in known]
    assert secrets.scrub_all(texts, known) == [{"msg": f"no {secrets.MASK} here", "short": "x", "empty": ""}] * 50
    assert len(asked) == 50


@pytest.mark.parametrize(
    "text", ["too short: Hunter2Hun", "not allowed: nter2H", "HUNTER2HUNTER2 is refused", "hunter2hunter2"]
)
def test_a_foreign_text_that_quotes_a_part_of_a_secret_is_withheld(text: str) -> None:
    assert secrets.foreign_text(text, ["Hunter2Hunter2"], 100) == "(not shown, because it quotes a secret)"


def test_a_foreign_text_becomes_one_printable_line() -> None:
    text = "Password\n\x1b[31m  Hunter2Hunter2 is\u202e too old" + "!" * 100
    told = secrets.foreign_text(text, ["Hunter2Hunter2", ""], 40)
    assert told == f"Password [31m {secrets.MASK} is too old!!!!!!!"


def test_one_scrubber_costs_what_its_secrets_and_texts_cost() -> None:
    """Four times the users, each with a refusal of its own, take about four times as long: not sixteen times."""

    def seconds(users: int) -> float:
        began = time.process_time()
        scrubber = secrets.Scrubber(short=True)
        for number in range(users):
            scrubber.add(f"secret-{number:06}-{number * 7919:012}")
            assert scrubber.foreign(f"user {number} may not do what it does", 300).startswith("user")
        return time.process_time() - began

    seconds(50)
    assert seconds(1600) < 9 * max(seconds(400), 0.01)


def test_a_secret_is_masked_while_another_thread_still_prepares_it(monkeypatch: pytest.MonkeyPatch) -> None:
    secret, forms = token_urlsafe(12), secrets.forms
    scrubber, begun, may_end = secrets.Scrubber([secret]), threading.Event(), threading.Event()

    def slow_forms(secret: str, *, short: bool = False) -> list[str]:
        begun.set()
        may_end.wait(30)
        return forms(secret, short=short)

    monkeypatch.setattr(secrets, "forms", slow_forms)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(scrubber.text, secret)
        begun.wait(30)
        second = pool.submit(scrubber.text, secret)
        concurrent.futures.wait([second], 0.2)
        may_end.set()
        assert (first.result(), second.result()) == (secrets.MASK, secrets.MASK)


@given(before=_TEXT, secret=_PASSWORDS, other=_PASSWORDS, after=_TEXT)
def test_the_secrets_that_are_there_are_found(before: str, secret: str, other: str, after: str) -> None:
    text = before + secret + after
    assert secrets.found_in({"a": [{"b": text}, 1]}, {secret, other}) == {
        each for each in (secret, other) if each in text
    }
    assert secrets.found_in({"a": 1234}, ["1234", "4321"]) == {"1234"}
