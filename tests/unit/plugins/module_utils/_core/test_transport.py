# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP policy, against a server on loopback that misbehaves as told."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import email.utils
import gzip
import socket
import ssl
import threading
import time
import tracemalloc
import typing as t
import zlib
from pathlib import Path

import pytest
import requests

from ansible_collections.keyturn.credentials.plugins.module_utils._core import transport
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import Wire
from tests.sandbox.keeper.tls import server_context
from tests.sandbox.server import Fault, LoopbackServer, Request, Response

WIRE = Wire(timeout=5, max_retries=2)


class Echo:
    """Answers 200 and remembers what came."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def label(self, request: Request) -> str:
        return f"{request.method} {request.path}"

    def respond(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(200, b'{"ok": true}')


@pytest.fixture
def server() -> t.Iterator[LoopbackServer]:
    with LoopbackServer(Echo()) as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that would have been waited."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def url(server: LoopbackServer, path: str = "/x") -> str:
    return f"http://{server.host}:{server.port}{path}"


def send(server: LoopbackServer, repeat: transport.Repeat, method: str = "GET", wire: Wire = WIRE) -> transport.Answer:
    with transport.Http(wire) as client:
        return client.send(transport.Request(method, url(server)), repeat)


def arrived(server: LoopbackServer) -> int:
    return len(server.journal.labels())


@pytest.mark.parametrize(
    ("repeat", "status", "tries"),
    [
        *[(repeat, 429, 3) for repeat in ("read", "same", "write")],
        ("never", 429, 1),
        *[("read", status, 3) for status in (502, 503, 504)],
        ("read", 500, 1),
        *[("same", status, 3) for status in (500, 502, 503)],
        *[("write", status, 1) for status in (500, 502, 503)],
        *[(repeat, 404, 1) for repeat in ("read", "same", "write", "never")],
    ],
)
def test_what_is_repeated(
    server: LoopbackServer, waits: list[float], repeat: transport.Repeat, status: int, tries: int
) -> None:
    server.faults.add(Fault("", times=9, response=Response(status)))
    answer = send(server, repeat)
    assert (answer.status, arrived(server), len(waits)) == (status, tries, tries - 1)
    assert answer.doubt == (tries > 1 and status >= 500)


@pytest.mark.parametrize(("repeat", "tries"), [("read", 3), ("same", 3), ("write", 1), ("never", 1)])
def test_a_lost_answer(server: LoopbackServer, waits: list[float], repeat: transport.Repeat, tries: int) -> None:
    server.faults.add(Fault("", times=9, drop="after"))
    with pytest.raises(transport.NoAnswer) as raised:
        send(server, repeat)
    assert (raised.value.unsent, arrived(server)) == (False, tries)


def test_a_refused_connection_is_certainly_unsent_and_is_tried_again(waits: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with transport.Http(WIRE) as client, pytest.raises(transport.NoAnswer) as raised:
            client.send(transport.Request("PUT", address), "write")
    assert raised.value.unsent
    assert len(waits) == 2


def test_a_refused_connection_after_a_lost_answer_leaves_the_doubt(
    server: LoopbackServer, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults.add(Fault("", drop="after"))
    with transport.Http(dataclasses.replace(WIRE, max_retries=1)) as client:
        monkeypatch.setattr(time, "sleep", lambda _seconds: server.close())
        with pytest.raises(transport.NoAnswer) as raised:
            client.send(transport.Request("PUT", url(server)), "same")
    assert not raised.value.unsent


def test_doubt_survives_a_later_answer(server: LoopbackServer, waits: list[float]) -> None:
    server.faults.add(Fault("", drop="after"))
    server.faults.add(Fault("", response=Response(403)))
    answer = send(server, "same", "PUT")
    assert (answer.status, answer.doubt) == (403, True)


def test_retry_after_in_seconds_and_as_a_date(server: LoopbackServer, waits: list[float]) -> None:
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    server.faults.add(Fault("", response=Response(429, headers={"Retry-After": "7"})))
    server.faults.add(Fault("", response=Response(429, headers={"Retry-After": date})))
    assert send(server, "write", "PUT").status == 200
    assert waits[0] == 7
    assert 15 < waits[1] <= 20


@pytest.mark.parametrize("value", ["soon", "-3", "", "1e3", "Thu, 99 Foo"])
def test_a_senseless_retry_after_counts_as_none(server: LoopbackServer, waits: list[float], value: str) -> None:
    server.faults.add(Fault("", response=Response(429, headers={"Retry-After": value})))
    assert send(server, "read").status == 200
    assert 1 <= waits[0] <= 1.2


def test_a_retry_after_beyond_the_bound_is_not_waited_for(server: LoopbackServer, waits: list[float]) -> None:
    server.faults.add(Fault("", response=Response(429, headers={"Retry-After": "61"})))
    answer = send(server, "read")
    assert (answer.status, waits, arrived(server)) == (429, [], 1)
    assert "61 s" in transport.rate_limited("Listing", answer).msg


def test_all_waits_together_are_bounded(server: LoopbackServer, waits: list[float]) -> None:
    server.faults.add(Fault("", times=99, response=Response(429, headers={"Retry-After": "50"})))
    assert send(server, "read", wire=dataclasses.replace(WIRE, max_retries=50)).status == 429
    assert waits == [50, 50]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(server: LoopbackServer, waits: list[float], status: int) -> None:
    with LoopbackServer(Echo()) as other:
        server.faults.add(Fault("", response=Response(status, headers={"Location": url(other)})))
        assert send(server, "same", "PUT").status == status
        assert arrived(other) == 0


def test_a_silent_service_is_given_up_in_time(server: LoopbackServer, waits: list[float]) -> None:
    server.faults.add(Fault("", times=9, hang="before"))
    began = time.monotonic()
    with pytest.raises(transport.NoAnswer) as raised:
        send(server, "read", wire=Wire(timeout=2, max_retries=9))
    assert not raised.value.unsent
    assert time.monotonic() - began < 2 * 1.6 + 5
    assert arrived(server) == 2


def test_an_answer_that_drips_is_given_up(server: LoopbackServer, waits: list[float]) -> None:
    """Each byte comes in time, the whole does not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"

        def drip() -> None:
            connection, _peer = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while not done.wait(0.2):
                    connection.sendall(b"X-More: 1\r\n")

        done = threading.Event()
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with (
            transport.Http(Wire(timeout=1, max_retries=0)) as client,
            pytest.raises(transport.NoAnswer, match="in time"),
        ):
            client.send(transport.Request("GET", address), "read")
        done.set()
        thread.join(5)


def test_a_body_beyond_the_limit_is_not_kept(server: LoopbackServer) -> None:
    server.faults.add(Fault("", response=Response(200, b"x" * 70_000)))
    with transport.Http(WIRE, largest=60_000) as client:
        answer = client.send(transport.Request("GET", url(server)), "read")
    assert (answer.body, answer.oversized) == (b"", True)
    with pytest.raises(ValueError, match="oversized"):
        answer.json()


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": ', b"[" * 100_000, b"\xff\xfe"])
def test_rubbish_is_no_json(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (whatever subclass)
        transport.Answer(200, body=body).json()


def test_nothing_comes_from_the_environment(
    server: LoopbackServer, monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert requests.utils.get_netrc_auth(url(server)) is not None  # the trap is set
    assert send(server, "read").status == 200
    assert "Authorization" not in t.cast(Echo, server.service).requests[0].headers


def test_one_connection_serves_all(server: LoopbackServer) -> None:
    with transport.Http(WIRE) as client:
        for _number in range(5):
            client.send(transport.Request("GET", url(server)), "read")
        assert len(server.connections) == 1


def serve_once(behave: t.Callable[[socket.socket], None]) -> tuple[str, threading.Thread]:
    """The address of a server of one connection; ``behave`` gets it after each request until it returns."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listener:
            connection, _peer = listener.accept()
            with connection:
                behave(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", thread


def test_each_session_does_one_thing_at_a_time(server: LoopbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of requests are not made for threads. One after the other, one serves all."""
    meeting, asking, used = threading.Barrier(4), list[object](), set[int]()
    ask = requests.Session.request

    def request(self: requests.Session, *words: t.Any, **options: t.Any) -> requests.Response:
        assert self not in asking
        asking.append(self)
        used.add(id(self))
        try:
            if together:
                meeting.wait(30)
            return ask(self, *words, **options)
        finally:
            asking.remove(self)

    monkeypatch.setattr(requests.Session, "request", request)
    wanted = transport.Request("GET", url(server))
    with transport.Connections(WIRE) as connections, concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = False
        statuses = [connections.send(wanted, "never").status for _each in range(3)]
        assert len(used) == 1
        together = True
        statuses += [answer.status for answer in pool.map(lambda _each: connections.send(wanted, "never"), range(8))]
    assert statuses == [200] * 11 and len(used) == 4


def test_an_answer_after_103_is_not_taken_for_that_to_the_next_request() -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        connection.recv(65536)

    address, thread = serve_once(behave)
    with transport.Http(dataclasses.replace(WIRE, max_retries=0)) as client:
        with pytest.raises(transport.NoAnswer) as raised:
            client.send(transport.Request("PUT", address), "write")
        assert not raised.value.unsent
        # The connection is not used again, and nobody else listens.
        with pytest.raises(transport.NoAnswer):
            client.send(transport.Request("GET", address), "never")
    thread.join(5)


def test_an_answer_with_headers_that_contradict_each_other_is_no_request_that_was_not_sent(waits: list[float]) -> None:
    seen: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ")

    address, thread = serve_once(behave)
    with transport.Http(WIRE) as client, pytest.raises(transport.NoAnswer) as raised:
        client.send(transport.Request("PUT", address), "write")
    thread.join(5)
    assert not raised.value.unsent and len(seen) == 1 and waits == []


@pytest.mark.parametrize("target", ["http://service.example/x", "https://service.example/x"])
def test_a_lost_answer_behind_a_proxy_is_no_refused_connection(waits: list[float], target: str) -> None:
    """What was handed to the proxy may have arrived; a tunnel that was not made has let nothing through."""
    seen: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))

    address, thread = serve_once(behave)
    with (
        transport.Http(dataclasses.replace(WIRE, proxy=address)) as client,
        pytest.raises(transport.NoAnswer) as raised,
    ):
        client.send(transport.Request("PUT", target), "write")
    thread.join(5)
    assert raised.value.unsent is False or target.startswith("https")
    assert len(seen) == 1


def test_the_body_of_a_redirect_is_bounded_too(server: LoopbackServer) -> None:
    headers = {"Location": url(server, "/other")}
    server.faults.add(Fault("", response=Response(302, b"x" * 70_000, headers)))
    with transport.Http(WIRE, largest=60_000) as client:
        answer = client.send(transport.Request("GET", url(server)), "read")
    assert (answer.status, answer.oversized) == (302, True)


def compressed(server: LoopbackServer, body: bytes, encoding: str) -> transport.Answer:
    server.faults.add(Fault("", response=Response(200, body, {"Content-Encoding": encoding})))
    return send(server, "never")


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)]
)
def test_an_answer_that_is_compressed_unasked(
    server: LoopbackServer, encoding: str, pack: t.Callable[[bytes], bytes]
) -> None:
    assert compressed(server, pack(b'{"a": 1}'), encoding).json() == {"a": 1}
    assert compressed(server, b"", encoding).body == b""


def test_what_an_answer_inflates_to_is_bounded_before_it_is_inflated(server: LoopbackServer) -> None:
    limit = 1 << 20
    assert len(compressed(server, gzip.compress(b" " * limit), "gzip").body) == limit
    assert compressed(server, gzip.compress(b" " * (limit + 1)), "gzip").oversized
    # What would take hundreds of megabytes takes hardly more than the limit.
    large = gzip.compress(b" " * (1 << 28))
    tracemalloc.start()
    assert len(large) < limit and compressed(server, large, "gzip").oversized
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * limit


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(gzip.compress(b"{}")), "gzip, gzip"),
        (b"{}", "br"),
        (b"{}", "gzip"),
        (gzip.compress(b"{}")[:-4], "gzip"),
        (gzip.compress(b"{}") + b"more", "gzip"),
    ],
    # Not by the body, which holds the time.
    ids=["twice", "unknown", "not compressed", "cut off", "with a rest"],
)
def test_encodings_that_are_no_answer(server: LoopbackServer, body: bytes, encoding: str) -> None:
    with pytest.raises(transport.NoAnswer) as lost:
        compressed(server, body, encoding)
    assert not lost.value.unsent


@pytest.mark.parametrize("kind", ["plain text", "nothing in common", "closes"])
def test_a_handshake_that_fails_has_sent_nothing(tmp_path: Path, kind: str) -> None:
    context, authority = server_context(tmp_path)
    wire = dataclasses.replace(WIRE, max_retries=0, ca_path=str(authority))
    if kind == "nothing in common":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE-RSA-NULL-SHA:@SECLEVEL=0")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _address = listener.accept()
            with connection:
                if kind == "plain text":
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    connection.recv(1 << 16)
                elif kind == "nothing in common":
                    with contextlib.suppress(OSError):
                        context.wrap_socket(connection, server_side=True)

        server = threading.Thread(target=serve)
        server.start()
        try:
            with (
                pytest.raises(transport.NoAnswer, match="TLS handshake failed") as lost,
                transport.Http(wire) as client,
            ):
                client.send(transport.Request("PUT", f"https://127.0.0.1:{listener.getsockname()[1]}/"), "write")
        finally:
            server.join()
    assert lost.value.unsent


def test_cookies_are_kept_where_there_is_a_jar_and_only_there(server: LoopbackServer) -> None:
    echo = t.cast(Echo, server.service)
    jar = requests.cookies.RequestsCookieJar()
    server.faults.add(Fault("", times=2, response=Response(200, b"", {"Set-Cookie": "a=1"})))
    with transport.Http(WIRE) as client:
        answer = client.send(transport.Request("GET", url(server), jar=jar), "never")
        assert [(cookie.name, cookie.value) for cookie in answer.cookies] == [("a", "1")]
        client.send(transport.Request("GET", url(server)), "never")
        client.send(transport.Request("GET", url(server)), "never")
        client.send(transport.Request("GET", url(server), jar=jar), "never")
    assert [request.headers.get("Cookie") for request in echo.requests] == [None, "a=1"]


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_asked(tmp_path: Path) -> None:
    context, ca_path = server_context(tmp_path)
    with LoopbackServer(Echo(), tls=context) as server:
        request = transport.Request("GET", f"https://127.0.0.1:{server.port}/")
        with transport.Http(WIRE) as client, pytest.raises(transport.NoAnswer) as caught:
            client.send(request, "read")
        assert caught.value.certificate and caught.value.unsent and arrived(server) == 0
        for wire in (
            dataclasses.replace(WIRE, ca_path=str(ca_path)),
            dataclasses.replace(WIRE, validate_certs=False),
        ):
            with transport.Http(wire) as client:
                assert client.send(request, "read").status == 200
