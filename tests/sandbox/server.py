# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every sandbox server shares: a loopback HTTP server, a journal of requests, and faults on demand.

A service is a function ``respond(Request) -> Response`` plus ``label(Request) -> str``; the label is what the journal
records and what faults match, so it must name the operation and its target and must never hold a secret.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.message
import http.server
import io
import re
import select
import socket
import socketserver
import ssl
import threading
import time
import typing as t
import urllib.parse


# Why: docs/decisions/07-own-sandbox.md
@dataclasses.dataclass
class Request:
    """One HTTP request, its body undecoded."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: email.message.Message
    body: bytes


@dataclasses.dataclass
class Response:
    """One HTTP answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Fault:
    """What goes wrong with the next ``times`` requests whose label matches the regular expression ``match``.

    before: called when the request has arrived, before the service sees it
    delay: seconds to wait before the service sees it
    drop: ``before`` closes the connection and the service never sees the request;
        ``after`` lets the service act, then closes the connection without an answer
    hang: like drop, but the connection stays open, silent, until the client leaves or the server stops
    response: answered instead of asking the service
    instead: answered in place of what the service says, which has acted
    after: called when the service has acted, before the answer is sent
    half: half of the body is sent, of an answer without one half of the head, then the connection is closed
    drip: seconds between any two bytes of the answer
    deaf: seconds in which new connections are refused, as where nobody listens
    over: set when it has happened, and connections are accepted again
    skip: how many matching requests go through unharmed first
    """

    match: str
    times: int = 1
    skip: int = 0
    before: t.Callable[[], object] | None = None
    delay: float = 0.0
    drop: t.Literal["before", "after"] | None = None
    hang: t.Literal["before", "after"] | None = None
    response: Response | None = None
    instead: Response | None = None
    after: t.Callable[[], object] | None = None
    half: bool = False
    drip: float = 0.0
    deaf: float = 0.0
    over: threading.Event = dataclasses.field(default_factory=threading.Event, compare=False)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the journal: monotonic seconds, the label, and what the fault did to the request ('' for nothing)."""

    at: float
    label: str
    fault: str = ""


class Journal:
    """The requests that arrived, in order. Thread-safe."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._arrived = threading.Condition()

    def add(self, label: str, fault: str = "") -> None:
        with self._arrived:
            self._entries.append(Entry(time.monotonic(), label, fault))
            self._arrived.notify_all()

    def labels(self, match: str = "") -> list[str]:
        """The labels that match the regular expression, in order of arrival."""
        with self._arrived:
            return [entry.label for entry in self._entries if re.search(match, entry.label)]

    def entries(self) -> list[Entry]:
        with self._arrived:
            return list(self._entries)

    def clear(self) -> None:
        with self._arrived:
            self._entries.clear()

    def wait_for(self, match: str, timeout: float) -> bool:
        """Wait until a matching request has arrived; false when the timeout (seconds) is over first."""
        with self._arrived:
            return self._arrived.wait_for(lambda: any(re.search(match, e.label) for e in self._entries), timeout)


class Faults:
    """The faults that wait for their request. Thread-safe.

    chance: asked about each request for which none waits.
    """

    def __init__(self) -> None:
        self.chance: t.Callable[[str], Fault | None] = lambda label: None
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, label: str) -> Fault | None:
        """The first fault that applies to this request, its counter moved on."""
        with self._lock:
            for fault in self._faults:
                if not re.search(fault.match, label):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.times > 0:
                    fault.times -= 1
                    return fault
        return self.chance(label)


class Service(t.Protocol):
    """What a sandbox server must provide."""

    def label(self, request: Request) -> str: ...

    def respond(self, request: Request) -> Response: ...


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    request_queue_size = 128
    sandbox: LoopbackServer

    def get_request(self) -> tuple[socket.socket, t.Any]:
        if not self.sandbox.listening.is_set():
            # A deaf socket is always ready, and accepts nothing.
            self.sandbox.listening.wait()
            raise OSError
        connection, address = super().get_request()
        if self.sandbox.tls is not None:
            # The handshake happens in the connection's own thread, so that one bad client cannot block the others.
            connection = self.sandbox.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self.sandbox.lock:
            self.sandbox.connections.add(connection)
        return connection, address

    def process_request(self, request: t.Any, client_address: t.Any) -> None:
        thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        with self.sandbox.lock:
            self.sandbox.threads.add(thread)
        thread.start()

    def process_request_thread(self, request: t.Any, client_address: t.Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.sandbox.lock:
                self.sandbox.threads.discard(threading.current_thread())

    def shutdown_request(self, request: t.Any) -> None:
        with self.sandbox.lock:
            self.sandbox.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """A client that goes away (or is killed by a test) is no news; a bug in a service is answered as 500."""


def _cut(connection: socket.socket) -> None:
    """End the connection under TLS, as a cable that is cut: TLS's own shutdown() would leave the socket unencrypted."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: t.Any) -> None:
        """The journal is the log."""

    def _read(self) -> Request:
        url = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return Request(
            method=self.command,
            path=url.path,
            query=urllib.parse.parse_qs(url.query, keep_blank_values=True),
            headers=self.headers,
            body=body,
        )

    def _answer(self) -> None:
        sandbox = self.server.sandbox
        request = self._read()
        label = sandbox.service.label(request)
        fault = sandbox.faults.take(label)
        if fault is None:
            sandbox.journal.add(label)
            self._send(self._respond(request))
            return
        sandbox.journal.add(label, fault.drop or fault.hang or "fault")
        try:
            self._go_wrong(request, fault)
        finally:
            if not fault.deaf:
                fault.over.set()

    def _go_wrong(self, request: Request, fault: Fault) -> None:
        sandbox = self.server.sandbox
        if fault.before is not None:
            fault.before()
        if fault.delay:
            sandbox.stopping.wait(fault.delay)
        if fault.deaf:
            sandbox.refuse(fault.deaf, fault.over)
        if "before" in (fault.drop, fault.hang):
            self._vanish(silent=fault.hang == "before")
            return
        response = fault.response if fault.response is not None else self._respond(request)
        if fault.after is not None:
            fault.after()
        if "after" in (fault.drop, fault.hang):
            self._vanish(silent=fault.hang == "after")
            return
        self._send_badly(fault.instead or response, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer

    def _respond(self, request: Request) -> Response:
        try:
            return self.server.sandbox.service.respond(request)
        except Exception as error:  # the sandbox's own bug must be seen by the test, not hang it
            self.server.sandbox.errors.append(error)
            return Response(500, b"sandbox error", {"Content-Type": "text/plain"})

    def _vanish(self, *, silent: bool) -> None:
        self.close_connection = True
        while silent and not self.server.sandbox.stopping.wait(0.2):
            silent = not select.select([self.connection], [], [], 0)[0]
        _cut(self.connection)

    def _send_badly(self, response: Response, fault: Fault) -> None:
        """The answer, or half of it, or byte by byte."""
        connection, self.wfile = self.wfile, io.BytesIO()
        self._send(response)
        whole, self.wfile = self.wfile.getvalue(), connection
        if fault.drip:
            for number in range(len(whole)):
                self.wfile.write(whole[number : number + 1])
                self.server.sandbox.stopping.wait(fault.drip)
            return
        half = len(whole) - (len(response.body) or len(whole)) // 2
        self.wfile.write(whole[:half] if fault.half else whole)
        if fault.half:
            self._vanish(silent=False)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)


class LoopbackServer:
    """A service on 127.0.0.1 and a free port, for as long as the ``with`` block lasts.

    service: who answers; tls: a server-side context, or None for plain HTTP.
    errors: exceptions that the service raised; tests assert that it stays empty. poll: seconds that close() may take; a
    short one costs CPU where there are many servers.
    """

    def __init__(
        self, service: Service, *, tls: ssl.SSLContext | None = None, port: int = 0, poll: float = 0.02
    ) -> None:
        self.service = service
        self.tls = tls
        self.journal = Journal()
        self.faults = Faults()
        self.errors: list[Exception] = []
        self.stopping = threading.Event()
        self.listening = threading.Event()
        self.listening.set()
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        self.threads: set[threading.Thread] = set()
        with socket.socket() as chosen:
            chosen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            chosen.bind(("127.0.0.1", port))
            # By its number, because a port that the kernel has chosen is free again while the server is deaf.
            self._server = _Server(chosen.getsockname(), _Handler)
        self._server.sandbox = self
        # One that was ready because it was deaf may have nothing to accept any more.
        self._server.socket.settimeout(1)
        self.host = "127.0.0.1"
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(poll,), daemon=True)
        self._thread.start()

    def refuse(self, seconds: float, over: threading.Event) -> None:
        """Refuse new connections for so long. Those that are open go on."""
        with self.lock:
            if self.listening.is_set():
                self.listening.clear()
                self._server.socket.shutdown(socket.SHUT_RD)
        threading.Thread(target=self._listen_again, args=(seconds, over), daemon=True).start()

    def _listen_again(self, seconds: float, over: threading.Event) -> None:
        if not self.stopping.wait(seconds):
            self._server.socket.listen(self._server.request_queue_size)
        self.listening.set()
        over.set()

    def close(self) -> None:
        """Stop listening, wake whatever hangs, and close every connection."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self.lock:
            connections, threads = list(self.connections), list(self.threads)
        for connection in connections:
            _cut(connection)
        for thread in threads:
            thread.join(5)

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
