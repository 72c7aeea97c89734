# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values arrive as they are, wherever they stand: through the real library, to a server that takes requests apart."""

from __future__ import annotations

import dataclasses
import json
import typing as t
import urllib.parse

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core import transport
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import Wire
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import requests
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import PasswordOptions, options_from
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import step_from
from tests.sandbox.server import LoopbackServer, Request, Response
from tests.unit.plugins.module_utils._rest.conftest import validated

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
AWKWARD = "ä €/?#%25&=+ ;:@\\\"'<>\t\n${password}%2e\U0001f511"


class Mirror:
    """Remembers the last request."""

    def __init__(self) -> None:
        self.last = t.cast(Request, None)

    def label(self, request: Request) -> str:
        return request.method

    def respond(self, request: Request) -> Response:
        self.last = request
        return Response(200, b"{}")


@pytest.fixture(scope="module")
def mirror() -> t.Iterator[LoopbackServer]:
    with LoopbackServer(Mirror()) as server:
        yield server


@pytest.fixture(scope="module")
def client() -> t.Iterator[transport.Http]:
    with transport.Http(Wire(timeout=10)) as connection:
        yield connection


def options(url: str, **change: t.Any) -> PasswordOptions:
    change = {"method": "POST", "status": [200], **change}
    given = {"url": url, "username": "x", "password": "x", "vars": {"v": "", "more": []}, "allow_secrets_in_url": True}
    usable = {**change, "body": {"new": "${password}"}, "body_format": "json", "headers": {}}
    asked = validated({**given, "change": change})["change"]
    return dataclasses.replace(options_from(validated({**given, "change": usable})), change=step_from(asked, "change"))


def send(mirror: LoopbackServer, client: transport.Http, values: dict[str, t.Any], **change: t.Any) -> Request:
    chosen = options(f"http://{mirror.host}:{mirror.port}/base/", **change)
    client.send(requests.build(chosen.change, chosen, values, chosen.headers, {}), "never")
    return t.cast(Mirror, mirror.service).last


@given(TEXTS)
def test_path(mirror: LoopbackServer, client: transport.Http, value: str) -> None:
    assume(value not in ("", ".", ".."))
    path = send(mirror, client, {"v": value}, path="/a/${v}/b").path
    assert [urllib.parse.unquote(segment) for segment in path.split("/")] == ["", "base", "a", value, "b"]


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_query(mirror: LoopbackServer, client: transport.Http, value: str, more: list[str]) -> None:
    query = {"q": "<${v}>", "whole": "${v}", "more": "${more}", "yes": True, "n": 5, "é&": "x"}
    found = send(mirror, client, {"v": value, "more": more}, query=query).query
    expected = {"q": [f"<{value}>"], "whole": [value], "more": more, "yes": ["true"], "n": ["5"], "é&": ["x"]}
    assert found == {name: values for name, values in expected.items() if values}


@given(TEXTS, st.lists(TEXTS, max_size=3))
def test_form(mirror: LoopbackServer, client: transport.Http, value: str, more: list[str]) -> None:
    body = {"q": "<${v}>", "more": "${more}", "no": False}
    request = send(mirror, client, {"v": value, "more": more}, body=body, body_format="form")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    found = urllib.parse.parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)
    assert found == {"q": [f"<{value}>"], "no": ["false"], **({"more": more} if more else {})}


@given(TEXTS, st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, st.lists, max_leaves=5))
def test_json(mirror: LoopbackServer, client: transport.Http, value: str, more: t.Any) -> None:
    request = send(mirror, client, {"v": value, "more": more}, body={"q": ["<${v}>", "${v}"], "more": "${more}"})
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {"q": [f"<{value}>", value], "more": more}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])))
@settings(max_examples=40)
def test_header(mirror: LoopbackServer, client: transport.Http, value: str) -> None:
    request = send(mirror, client, {"v": value}, headers={"X-Value": "<${v}>"})
    # http.server hands headers out as Latin-1.
    assert request.headers["X-Value"].encode("latin-1").decode() == f"<{value}>"


def test_everything_awkward_at_once(mirror: LoopbackServer, client: transport.Http) -> None:
    request = send(
        mirror, client, {"v": AWKWARD}, path="/${v}", query={"q": "${v}"}, body={"b": "${v}"}, headers={"accept": "x/y"}
    )
    assert urllib.parse.unquote(request.path.rpartition("/")[2]) == AWKWARD
    assert request.query == {"q": [AWKWARD]} and json.loads(request.body) == {"b": AWKWARD}
    assert request.headers.get_all("Accept") == ["x/y"]


def built(value: t.Any = "x", authorization: t.Mapping[str, str] | None = None, **change: t.Any) -> transport.Request:
    chosen = options("https://host.example/api/", **change)
    return requests.build(chosen.change, chosen, {"v": value, "more": value}, chosen.headers, authorization or {})


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ({"path": "/a/${v}/b"}, ".."),
        ({"path": "/a/${v}"}, "."),
        ({"path": "/a/.${v}/b"}, "."),
        ({"path": "/a/${v}/b"}, ""),
        ({"path": "/a/../b"}, "x"),
        ({"path": "/a/%2E%2e/b"}, "x"),
        ({"path": "/${v}"}, ["x"]),
        ({"path": "/${v}"}, None),
        ({"query": {"q": "${v}"}}, {"x": 1}),
        ({"query": {"q": "${v}"}}, None),
        ({"body": {"q": [["x"]]}, "body_format": "form"}, "x"),
        ({"headers": {"X-A": "a${v}"}}, "\r\nX-B: b"),
        ({"headers": {"X-A": "a${v}"}}, "\n"),
        ({"headers": {"X-A": "a${v}"}}, "\0"),
        ({"headers": {"X-A": "${v}"}}, " x"),
        ({"headers": {"X-A": "${v}"}}, ["x"]),
        ({"body": {"q": "${v}"}}, float("nan")),
    ],
)
def test_values_that_cannot_stand_where_they_are_put(change: dict[str, t.Any], value: t.Any) -> None:
    with pytest.raises(InvalidInput):
        built(value, **change)


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("", "https://host.example/api"),
        ("/", "https://host.example/api/"),
        ("/a/${v}", "https://host.example/api/a/x%2Fy"),
        ("https://other.example:444/b/${v}", "https://other.example:444/b/x%2Fy"),
        ("http://127.0.0.1:8080/b", "http://127.0.0.1:8080/b"),
    ],
)
def test_addresses(path: str, url: str) -> None:
    assert built("x/y", path=path).url == url


def test_the_last_header_wins_whatever_its_case() -> None:
    request = built(
        headers={"content-type": "a/json+b", "AUTHORIZATION": "mine"}, body={}, authorization={"Authorization": "x"}
    )
    assert dict(request.headers) == {"content-type": "a/json+b", "Authorization": "x"}


def test_no_body_when_there_is_none() -> None:
    assert built().body is None and built().headers == {}
    assert built(body={}).body == b"{}" and built(body=[]).body == b"[]"


def test_a_page_parameter_replaces_its_namesake() -> None:
    assert requests.with_param("https://h/x?page=1&q=a%2Bb&page=2", "page", "3&") == "https://h/x?q=a%2Bb&page=3%26"


def test_basic_is_utf8_and_has_no_colon_in_the_name() -> None:
    assert requests.basic("é", "a:\U0001f511", "auth") == "Basic w6k6YTrwn5SR"
    with pytest.raises(InvalidInput, match="colon"):
        requests.basic("a:b", "c", "auth")


def test_nothing_of_a_request_is_shown() -> None:
    chosen = options("https://host.example", body={"p": "${v}"}, headers={"X": "${v}"}, path="/${v}")
    request = requests.build(chosen.change, chosen, {"v": "seen"}, {}, {"Authorization": "seen"})
    assert "seen" not in repr(request) and "seen" not in repr(dataclasses.replace(chosen, values={"v": "seen"}))
