# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The vault's client: configuration, names, and answers that no well-behaved server gives."""

from __future__ import annotations

import base64
import json
import threading
import time
import types
import typing as t

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    AuthFailed,
    InvalidInput,
    NotFound,
    RateLimited,
    RotationError,
    Unreachable,
    VaultError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import client
from tests.sandbox.keeper.vault import Vault as Sandbox

CANARY = "a text of the server"

# -- the configuration

CONFIG = {
    "hostname": "h",
    "clientId": "c",
    "privateKey": base64.b64encode(bytes(138)).decode(),
    "appKey": base64.b64encode(bytes(32)).decode(),
    "serverPublicKeyId": "10",
}


@pytest.mark.parametrize("spoil", ["{}", "\n {}\n", "\ufeff{}", "\ufeff\r\n{}"])
@pytest.mark.parametrize("encoded", [False, True])
def test_json_and_its_base64_are_read(spoil: str, encoded: bool) -> None:
    text = json.dumps(CONFIG)
    text = base64.b64encode(text.encode()).decode() if encoded else text
    assert client.parse_config(spoil.replace("{}", text)) == CONFIG


def test_base64_may_be_wrapped_and_hold_a_byte_order_mark() -> None:
    packed = base64.encodebytes(("\ufeff" + json.dumps(CONFIG)).encode()).decode()
    assert "\n" in packed.strip()
    assert client.parse_config(packed) == CONFIG


@pytest.mark.parametrize("key", ["hostname", "clientId", "privateKey", "appKey"])
@pytest.mark.parametrize("value", [None, "", 7])
def test_what_is_missing_is_named_and_nothing_is_quoted(key: str, value: t.Any) -> None:
    config = {**dict.fromkeys(CONFIG, CANARY), key: value}
    with pytest.raises(InvalidInput, match=key) as raised:
        client.parse_config(json.dumps(config))
    assert CANARY not in raised.value.msg


@given(st.text(max_size=40) | st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode()))
def test_anything_else_is_invalid_input(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        client.parse_config(text)
    assert len(text) < 8 or text not in raised.value.msg


@pytest.mark.parametrize("region", ["", "US:", "GOV_EU:", "keepersecurity.eu:"])
def test_a_one_time_token_is_told_what_to_do(region: str) -> None:
    with pytest.raises(InvalidInput, match="one-time token"):
        client.parse_config(region + base64.urlsafe_b64encode(bytes(range(200, 232))).decode().rstrip("="))


# -- names


def _record(uid: str, title: t.Any) -> client.Record:
    return client.Record(uid=uid, data={"title": title}, revision=1, editable=True, handle=None)


def _snapshot(**titles: t.Any) -> client.Snapshot:
    return client.Snapshot({uid: _record(uid, title) for uid, title in titles.items()})


def test_a_uid_comes_before_a_title_and_a_title_must_be_unique() -> None:
    snapshot = _snapshot(one="first", two="one", three="twice", four="twice", five=None)
    assert snapshot.find("one").uid == "one"
    assert snapshot.find("first").uid == "one"
    with pytest.raises(Ambiguous) as raised:
        snapshot.find("twice")
    assert "four, three" in raised.value.msg
    for absent in ("absent", "FIRST", "fir", "None"):
        with pytest.raises(NotFound):
            snapshot.find(absent)


def test_records_that_could_not_be_decrypted_are_mentioned() -> None:
    with pytest.raises(NotFound, match="3 records or folders could not be decrypted"):
        client.Snapshot({}, unreadable=3).find("x")


@pytest.mark.parametrize(
    ("reference", "uid"),
    [
        (base64.urlsafe_b64encode(bytes(range(240, 256))).decode().rstrip("="), True),
        ("A" * 22, True),
        ("A" * 21, False),
        ("A" * 23, False),
        ("A" * 22 + "\n", False),
        ("A" * 21 + "=", False),
        ("A" * 21 + " ", False),
    ],
)
def test_what_may_be_a_uid(reference: str, uid: bool) -> None:
    assert client.looks_like_uid(reference) is uid


# -- the wire


class Answer:
    """A response of requests, as far as the client uses it."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self.closed = False
        self.raw = types.SimpleNamespace(read=lambda most, decode_content: body[:most])

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.closed = True


class Wire:
    """Replaces a session's post; ``answer`` makes the next response, ``posts`` are the keyword arguments of each."""

    def __init__(self) -> None:
        self.posts: list[dict[str, t.Any]] = []
        self.answer: t.Callable[[int], Answer] = lambda number: Answer(500, CANARY.encode())

    def post(self, url: str, **arguments: t.Any) -> Answer:
        self.posts.append({"url": url, **arguments})
        return self.answer(len(self.posts))


def _error(status: int, code: str, **more: t.Any) -> Answer:
    return Answer(status, json.dumps({"error": code, "result_code": code, "message": CANARY, **more}).encode())


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    fake = Wire()
    monkeypatch.setattr(requests.Session, "post", fake.post)
    return fake


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


@pytest.fixture
def vault(wire: Wire) -> client.Vault:
    return client.Vault(Sandbox().bound_config("keeper.invalid"), verify=True)


def _read(vault: client.Vault) -> RotationError:
    with pytest.raises(RotationError) as raised:
        vault.read(["A" * 22])
    assert CANARY not in f"{raised.value} {vars(raised.value)}"
    assert raised.value.__suppress_context__ or raised.value.__cause__ is None
    return raised.value


def test_every_request_is_bounded_and_stays_with_keeper(vault: client.Vault, wire: Wire) -> None:
    assert isinstance(_read(vault), VaultError)
    (post,) = wire.posts
    connect, read = post["timeout"]
    assert 0 < connect <= 10 and 0 < read <= 15
    assert (post["allow_redirects"], post["verify"], post["stream"]) == (False, True, True)
    request = types.SimpleNamespace()
    assert post["auth"](request) is request, "netrc would add a header"


def test_throttling_is_met_with_patience_that_ends(vault: client.Vault, wire: Wire, naps: list[float]) -> None:
    wire.answer = lambda number: _error(403, "throttled")
    error = _read(vault)
    assert isinstance(error, RateLimited) and error.retry_safe
    assert len(wire.posts) == len(naps) + 1 == 4
    assert naps == sorted(naps) and 30 <= sum(naps) <= 45


def test_the_servers_own_wish_is_honoured_within_a_bound(vault: client.Vault, wire: Wire, naps: list[float]) -> None:
    wire.answer = lambda number: _error(403, "throttled", retry_after=7)
    _read(vault)
    assert len(naps) == 3 and all(7 <= nap <= 7 * 1.25 for nap in naps)


def test_the_patience_is_spent_once_for_all_calls(vault: client.Vault, wire: Wire, naps: list[float]) -> None:
    """Waits in between count together, and once they are used up nobody is asked any more."""
    wire.answer = lambda number: _error(403, "throttled") if number % 2 else _error(403, "access_denied")
    assert [type(_read(vault)) for _each in range(3)] == [AuthFailed] * 3
    assert len(naps) == 3
    assert isinstance(_read(vault), RateLimited)
    posts = len(wire.posts)
    assert posts == 7 and isinstance(_read(vault), RateLimited)
    assert (len(wire.posts), len(naps)) == (posts, 3)


@pytest.mark.parametrize("wish", [21, 3600, 1e308])
def test_a_long_wait_is_given_up_at_once(vault: client.Vault, wire: Wire, naps: list[float], wish: float) -> None:
    wire.answer = lambda number: _error(403, "throttled", retry_after=wish)
    assert isinstance(_read(vault), RateLimited)
    assert (len(wire.posts), naps) == (1, [])


@pytest.mark.parametrize("wish", [-5, None, 0, "0"])
def test_a_wish_that_is_none_is_not_taken_at_its_word(
    vault: client.Vault, wire: Wire, naps: list[float], wish: t.Any
) -> None:
    wire.answer = lambda number: _error(403, "throttled", retry_after=wish)
    _read(vault)
    assert len(naps) == 3 and min(naps) >= 3


def test_throttling_that_ends_is_no_failure(vault: client.Vault, wire: Wire, naps: list[float]) -> None:
    wire.answer = lambda number: _error(403, "throttled") if number < 3 else _error(403, "access_denied")
    assert isinstance(_read(vault), AuthFailed)
    assert len(naps) == 2


def test_endless_wishes_for_another_key_end(vault: client.Vault, wire: Wire) -> None:
    wire.answer = lambda number: _error(401, "key", key_id=7 + number % 8)
    assert isinstance(_read(vault), VaultError)
    assert 2 <= len(wire.posts) <= 5


@pytest.mark.parametrize("status", [200, 403, 500])
def test_an_answer_without_end_is_cut_off(
    vault: client.Vault, wire: Wire, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(client, "_LARGEST_ANSWER", 1000)
    monkeypatch.setattr(vault, "_http_response", lambda *_arguments: pytest.fail("what was cut off is no answer"))
    asked: list[int] = []

    def endless(most: int, decode_content: bool) -> bytes:
        asked.append(most)
        return b"x" * most

    answer = Answer(status, b"")
    answer.raw.read = endless
    wire.answer = lambda number: answer
    assert isinstance(_read(vault), VaultError)
    assert asked == [1001] and answer.closed


@pytest.mark.parametrize(
    ("error", "expected", "retry_safe"),
    [
        (requests.exceptions.ConnectTimeout(CANARY), Unreachable, True),
        (requests.exceptions.ReadTimeout(CANARY), Unreachable, True),
        (requests.exceptions.ConnectionError(CANARY), Unreachable, True),
        (requests.exceptions.ChunkedEncodingError(CANARY), VaultError, True),
        (requests.exceptions.SSLError(CANARY), VaultError, False),
        (ValueError(CANARY), VaultError, True),
    ],
)
def test_failures_of_the_wire_by_their_kind(
    vault: client.Vault, wire: Wire, error: Exception, expected: type[RotationError], retry_safe: bool
) -> None:
    def fail(number: int) -> Answer:
        raise error

    wire.answer = fail
    raised = _read(vault)
    assert (type(raised), raised.retry_safe) == (expected, retry_safe)


@pytest.mark.parametrize("code", ["access_denied", "invalid_client", "signature_is_invalid"])
def test_a_refused_application_is_named_by_keepers_code(vault: client.Vault, wire: Wire, code: str) -> None:
    wire.answer = lambda number: _error(403, code)
    error = _read(vault)
    assert isinstance(error, AuthFailed) and code in error.msg


@pytest.mark.parametrize("code", ["something_new", "UPPER CASE", "x" * 99])
def test_other_codes_are_errors_of_the_vault(vault: client.Vault, wire: Wire, code: str) -> None:
    wire.answer = lambda number: _error(400, code)
    error = _read(vault)
    assert error.error_code == VaultError.error_code
    assert (code in error.msg) is (code == "something_new")


def test_a_call_that_hangs_is_left_behind(vault: client.Vault, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(client, "_REQUEST_TIMEOUT", 0.05)

    def hang(number: int) -> Answer:
        release.wait(60)
        return Answer(500, b"")

    wire.answer = hang
    try:
        assert isinstance(_read(vault), Unreachable)
    finally:
        release.set()


def test_titles_cost_one_read_of_everything_and_uids_only_if_they_are_none(
    vault: client.Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[t.Any] = []
    known, title = "A" * 22, "B" * 22

    def get_secrets(uids: list[str] | None, full_response: bool) -> t.Any:
        asked.append(uids)
        handle = types.SimpleNamespace(uid=known, raw_json=json.dumps({"title": title}), revision=5, is_editable=True)
        return types.SimpleNamespace(records=[handle], bad_records=[1], bad_folders=None)

    monkeypatch.setattr(vault._sdk, "get_secrets", get_secrets)
    assert vault.read([known]).find(known).revision == 5
    assert asked == [[known]]
    assert vault.read([title]).find(title).uid == known
    assert asked[1:] == [[title], None]
    assert vault.read(["a title", known]).unreadable == 1
    assert asked[3:] == [None]


@pytest.mark.parametrize("copies", [[True, False], [False, True], [False, False]])
def test_of_two_copies_of_a_record_the_editable_one_counts(
    vault: client.Vault, monkeypatch: pytest.MonkeyPatch, copies: list[bool]
) -> None:
    """And a record that is none hides no other one."""
    uid = "A" * 22
    handles = [types.SimpleNamespace(uid=uid, raw_json="{}", revision=5, is_editable=copy) for copy in copies]
    broken = [types.SimpleNamespace(uid="B", raw_json=raw, revision=1, is_editable=True) for raw in ("{", "[1]", None)]
    answer = types.SimpleNamespace(records=[*broken, *handles], bad_records=None, bad_folders=None)
    monkeypatch.setattr(vault._sdk, "get_secrets", lambda uids, full_response: answer)
    snapshot = vault.read([uid])
    assert snapshot.find(uid).editable is any(copies)
    assert (len(snapshot.records), snapshot.unreadable) == (1, 3)
