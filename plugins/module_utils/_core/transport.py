# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The one HTTP policy: no redirects, nothing from the environment, TLS verified, every wait and every answer bounded.

Reads are repeated freely, writes only when they were certainly not processed (RFC 9110, section 9.2.2).
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.cookiejar
import json
import random
import threading
import time
import traceback
import typing as t
import urllib.parse
import zlib

from ansible_collections.keyturn.credentials.plugins.module_utils._core import deadline
from ansible_collections.keyturn.credentials.plugins.module_utils._core.deps import require
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    RateLimited,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import Wire

USER_AGENT = "KeyturnCredentials/1.0 keyturn"
# A longer Retry-After is not waited for, and all waits for one request together are no longer than the second.
LONGEST_RETRY_AFTER = 60.0
_LONGEST_WAITING = 120.0
# A silent service costs at most this many timeouts in a row, and no connection takes longer than the second (seconds).
_SILENT_TIMEOUTS = 1.6
_CONNECT_TIMEOUT = 10.0
_CHUNK = 65536
# Statuses of requests that were given up half-way, by the service or by something between: nobody knows what was done.
GIVEN_UP = (408, 499)
# Names of urllib3's exceptions after which nothing was sent.
_NO_CONNECTION = ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError")

# read: repeated after anything that may pass. same: a write of one and the same value, repeated likewise.
# write: only if certainly not processed. never: not at all.
Repeat = t.Literal["read", "same", "write", "never"]


@dataclasses.dataclass(frozen=True)
class Request:
    """One request. headers and body are what goes over the wire; none of it is ever shown.

    jar: the cookies of a session, as requests keeps them; those of the answer are put in. Without it, none are sent.
    """

    method: str
    url: str = dataclasses.field(repr=False)
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    body: bytes | None = dataclasses.field(default=None, repr=False)
    jar: t.Any = dataclasses.field(default=None, repr=False, compare=False)


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer; header names are in lower case.

    oversized: the body was longer than the limit, and none of it was kept.
    doubt: an earlier try of the same request may have been processed. cookies: those that it sets.
    """

    status: int
    headers: t.Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    body: bytes = dataclasses.field(default=b"", repr=False)
    oversized: bool = False
    doubt: bool = False
    cookies: t.Iterable[http.cookiejar.Cookie] = dataclasses.field(default=(), repr=False)

    def json(self) -> t.Any:
        """The body as JSON. Raises ValueError for anything else, an oversized body too."""
        if self.oversized:
            raise ValueError("oversized")
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None


class NoAnswer(Exception):
    """The last try got no answer.

    unsent: no try can have been processed. certificate: the server's certificate did not verify.
    """

    def __init__(self, reason: str, *, unsent: bool, certificate: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unsent = unsent
        self.certificate = certificate


# Why: docs/decisions/06-own-http-wrapper.md
class Http:
    """A kept-alive connection under the policy.

    wire: the user's settings. largest: bytes of a body that are read at most. pace: called before each try.
    """

    def __init__(self, wire: Wire, *, largest: int = 1 << 20, pace: t.Callable[[], None] = lambda: None) -> None:
        self._requests = require("requests", package="requests")
        self._broken = (require("urllib3.exceptions", package="urllib3").HTTPError,)
        self._wire = wire
        self._largest = largest
        self._pace = pace
        self._silence = 0.0
        self._session = self._new_session()

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._session.close()

    def _new_session(self) -> t.Any:
        session = self._requests.Session()
        session.trust_env = False
        # Even without following a redirect, requests would read all of its body.
        session.get_redirect_target = lambda response: None
        # A cookie of one login must not vouch for the next.
        session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        session.verify = (self._wire.ca_path or True) if self._wire.validate_certs else False
        if self._wire.client_cert:
            session.cert = (self._wire.client_cert, self._wire.client_key or self._wire.client_cert)
        if self._wire.proxy:
            session.proxies = {"http": self._wire.proxy, "https": self._wire.proxy}
        # Python's own default adds nothing of use and tells the service our versions.
        session.headers = self._requests.structures.CaseInsensitiveDict({"User-Agent": USER_AGENT, "Accept": "*/*"})
        return session

    def send(self, request: Request, repeat: Repeat) -> Answer:
        """The answer to the last try, whatever its status. Raises NoAnswer if that had none."""
        doubt, waited = False, 0.0
        for number in range(self._wire.max_retries + 1):
            self._pace()
            answer: Answer | None = None
            lost: NoAnswer | None = None
            try:
                answer = self._try(request)
                passing = _may_pass(answer.status, repeat)
                doubt_now = answer.status >= 500
            except NoAnswer as error:
                lost = error
                passing = not error.certificate and (error.unsent or repeat in ("read", "same"))
                doubt_now = not error.unsent
            wait = self._wait(number, answer)
            last = number == self._wire.max_retries or wait > LONGEST_RETRY_AFTER or waited + wait > _LONGEST_WAITING
            if repeat == "never" or not passing or last or self._given_up():
                if lost is not None:
                    unsent = lost.unsent and not doubt
                    reason = f"{lost.reason} ({urllib.parse.urlsplit(request.url).netloc})"
                    raise NoAnswer(reason, unsent=unsent, certificate=lost.certificate) from None
                return dataclasses.replace(t.cast(Answer, answer), doubt=doubt)
            doubt = doubt or doubt_now
            time.sleep(wait)
            waited += wait
        raise AssertionError("not reached")

    def _given_up(self) -> bool:
        return self._silence > 0 and self._left() < 1

    def _left(self) -> float:
        """Seconds of silence that are still borne; each answer starts the count anew."""
        return _SILENT_TIMEOUTS * self._wire.timeout - self._silence

    def _wait(self, number: int, answer: Answer | None) -> float:
        """Seconds before the next try: what the service asks for, else 1, 2, 4 … with some jitter."""
        asked = retry_after(answer) if answer is not None else None
        return asked if asked is not None else 2.0**number * random.uniform(1.0, 1.2)  # noqa: S311 (no secret)

    def _try(self, request: Request) -> Answer:
        """One try. Raises NoAnswer."""
        # A service that has been silent for long gets what is left, but always a chance.
        bound = max(1.0, min(self._wire.timeout, self._left()))
        began = time.monotonic()
        try:
            answer = deadline.within(bound + 0.5, lambda: self._exchange(request, bound))
        except deadline.TimedOut:
            self._silence += time.monotonic() - began
            # The thread that is left behind keeps the old session.
            self._session = self._new_session()
            raise NoAnswer("no answer in time", unsent=False) from None
        except Exception as error:
            self._silence += time.monotonic() - began
            raise self._no_answer(error) from None
        self._silence = 0.0
        return answer

    def _exchange(self, request: Request, bound: float) -> Answer:
        response = self._session.request(
            request.method,
            request.url,
            headers={name: value.encode() for name, value in request.headers.items()},
            data=request.body,
            cookies=request.jar,
            allow_redirects=False,
            stream=True,
            timeout=(min(bound, _CONNECT_TIMEOUT), bound),
        )
        with contextlib.closing(response):
            if response.status_code < 200:
                # http.client stops at 102 and 103; the real answer would be taken for that to the next request.
                raise self._requests.exceptions.ConnectionError
            body, oversized = self._read(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            if request.jar is not None:
                # The cookies of the answer alone, so that one that expires goes from the jar, too.
                self._requests.cookies.extract_cookies_to_jar(request.jar, response.request, response.raw)
            return Answer(response.status_code, headers, body, oversized, cookies=response.cookies)

    def _read(self, response: t.Any) -> tuple[bytes, bool]:
        """The body, and whether it was too large; what is compressed is bounded before it is inflated."""
        body = bytearray()
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > self._largest:
                return b"", True
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding in ("", "identity") or not body:
            return bytes(body), False
        if encoding not in ("gzip", "x-gzip", "deflate"):
            raise NoAnswer("its encoding was not asked for", unsent=False)
        # 32: zlib or gzip, whichever it is.
        inflate = zlib.decompressobj(32 + zlib.MAX_WBITS)
        found = inflate.decompress(bytes(body), self._largest + 1)
        if len(found) > self._largest:
            return b"", True
        if not inflate.eof or inflate.unused_data:
            raise NoAnswer("its compressed answer is broken", unsent=False)
        return found, False

    def _no_answer(self, error: Exception) -> NoAnswer:
        """What the exception means; its text may hold the address, so it is looked at and not kept."""
        exceptions = self._requests.exceptions
        if isinstance(error, NoAnswer):
            return error
        if isinstance(error, exceptions.SSLError) and "certificate verify failed" in str(error).lower():
            return NoAnswer("its TLS certificate does not verify", unsent=True, certificate=True)
        if _in_handshake(error):
            return NoAnswer("the TLS handshake failed", unsent=True)
        if isinstance(error, exceptions.SSLError):
            # With TLS 1.3, the server may refuse a handshake after the request has been sent.
            return NoAnswer("TLS failed", unsent=False)
        if isinstance(error, exceptions.ProxyError):
            # urllib3 gives a connection that breaks under a request that was sent the same name.
            cause = getattr(getattr(error.args[0] if error.args else None, "reason", None), "original_error", None)
            if type(cause).__name__ in _NO_CONNECTION or str(cause).startswith("Tunnel connection failed"):
                return NoAnswer("the proxy does not connect", unsent=True)
            return NoAnswer("the connection through the proxy broke", unsent=False)
        if isinstance(error, exceptions.ConnectTimeout):
            return NoAnswer("no connection in time", unsent=True)
        if isinstance(error, (exceptions.ConnectionError, *self._broken)):
            cause = getattr(error.args[0] if error.args else None, "reason", None)
            if type(cause).__name__ in _NO_CONNECTION:
                unknown = type(cause).__name__ == "NameResolutionError"
                return NoAnswer("its host name is not known" if unknown else "no connection", unsent=True)
            return NoAnswer("the connection broke", unsent=False)
        # No InvalidHeader: it may be about the answer.
        if isinstance(error, (exceptions.InvalidURL, exceptions.InvalidProxyURL)):
            return NoAnswer("the request cannot be put into HTTP", unsent=True)
        return NoAnswer(f"no usable answer ({type(error).__name__})", unsent=False)


class Connections:
    """Like one Http, for threads: what is asked while all connections are in use gets one more."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._lock = threading.Lock()
        self._free = [Http(wire)]

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for connection in self._free:
            connection.__exit__()

    def send(self, request: Request, repeat: Repeat) -> Answer:
        """As Http."""
        with self._lock:
            connection = self._free.pop() if self._free else Http(self._wire)
        try:
            return connection.send(request, repeat)
        finally:
            with self._lock:
                self._free.append(connection)


def _in_handshake(error: BaseException | None) -> bool:
    """Whether it broke before anything could be sent."""
    while error is not None:
        if any(frame.f_code.co_name == "do_handshake" for frame, _line in traceback.walk_tb(error.__traceback__)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _may_pass(status: int, repeat: Repeat) -> bool:
    if status == 429:
        return True
    return (repeat == "read" and status in (502, 503, 504)) or (repeat == "same" and status >= 500)


def retry_after(answer: Answer) -> float | None:
    """Seconds that the answer asks to wait, None if it does not; a number or a date (RFC 9110, section 10.2.3)."""
    text = answer.headers.get("retry-after")
    if not text:
        return None
    parse = require("urllib3.util.retry", package="urllib3").Retry().parse_retry_after
    try:
        return float(parse(text))
    except Exception:  # urllib3's InvalidHeader, and what odd dates raise
        return None


def rate_limited(subject: str, answer: Answer) -> RateLimited:
    """The error for an answer 429 that was the last one."""
    asked = retry_after(answer)
    advice = f" It asks to wait {asked:.0f} s." if asked is not None else ""
    return RateLimited(f"{subject}: the service limits the rate (429).{advice} Run again later.", unanswered=1)


def unreachable(subject: str, lost: NoAnswer) -> Unreachable:
    """The error for a read that got no answer, or a write that certainly did not arrive."""
    return Unreachable(f"{subject}: no answer, {lost.reason}.", unanswered=1)
