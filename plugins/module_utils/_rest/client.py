# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Talks to the service: one way to run a step, for the administrator's session, the lookups, the change, and logins."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
import typing as t
import urllib.parse

from ansible_collections.keyturn.credentials.plugins.module_utils._core import secrets, transport
from ansible_collections.keyturn.credentials.plugins.module_utils._core.deps import require
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    AuthFailed,
    RateLimited,
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.url import origin
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import answers, template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.answers import LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.auth import Auth
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.lookup import (
    Item,
    every_item,
    matching,
    only_match,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import Lookup, Options, Verify
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import (
    CannotPick,
    Source,
    content,
    kind,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.requests import basic, build, check_header
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import Step
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.template import Values
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.trace import Trace

_SHORTEST_SECRET = 6
# Server errors by the service itself, which is done with the request then; a gateway's says nothing of that.
_ENDED = (500, 501, 503, 505, 507)
# Sources of what is a secret whatever it looks like.
_TOKENS = (".token_path", ".token_header", "mint.token")
T = t.TypeVar("T")


class LostChange(Exception):
    """The change may have been processed or not, or, if it is under_way, still be. unanswered: as in RotationError."""

    def __init__(self, msg: str, unanswered: int, *, under_way: bool) -> None:
        super().__init__(msg)
        self.msg = msg
        self.unanswered = unanswered
        self.under_way = under_way


@dataclasses.dataclass
class Session:
    """What the steps of one login share. who: for messages. common: the headers of all its requests.

    header: credentials. values: what its steps have set. everybody: it is the administrator's.
    worked: something was answered that was no failed login. renewable: if it ends, one more can be made.
    jars: the cookies of each origin, None to keep none.
    """

    who: str
    common: t.Mapping[str, str]
    wire: transport.Connections | None = None
    everybody: bool = False
    header: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)
    values: dict[str, t.Any] = dataclasses.field(default_factory=dict, repr=False)
    worked: bool = False
    renewable: bool = False
    jars: dict[t.Any, t.Any] | None = dataclasses.field(default=None, repr=False)


class Client:
    """One service. known: secrets that no text may hold; the tokens that come and go are added.

    Users may be logged in by several threads at the same time; what the administrator does is done one by one.
    """

    def __init__(self, options: Options, known: t.Iterable[str]) -> None:
        self._options = options
        spellings = [form for secret in known for form in (secret, template.backslash(secret))]
        self._scrubber = secrets.Scrubber(spellings, short=True)
        self._http: transport.Connections | None = None
        self._people: transport.Connections | None = None
        self._sessions: dict[tuple[tuple[str, t.Any], ...], Session | RotationError] = {}
        self._listings: dict[str, tuple[transport.Request, list[Item]]] = {}
        self._one_at_a_time = threading.Lock()
        self.trace = Trace()
        # By the clock of the service, as its last answer told.
        self.date: str | None = None

    @contextlib.contextmanager
    def session(self) -> t.Iterator[None]:
        """Kept-alive connections. Those of the users' own logins have no certificate of the administrator."""
        wire = self._options.wire
        with contextlib.ExitStack() as stack:
            self._http = self._people = stack.enter_context(transport.Connections(wire))
            if wire.client_cert:
                plain = dataclasses.replace(wire, client_cert=None, client_key=None)
                self._people = stack.enter_context(transport.Connections(plain))
            try:
                yield
            finally:
                self._log_out()

    # -- one step

    def _build(self, step: Step, session: Session, values: Values) -> transport.Request:
        header = session.header
        if session.values:
            values = {**values, **session.values}
        if step.basic:
            user, password = (template.text(part, values, step.where) for part in step.basic)
            if step.oauth:
                # RFC 6749, section 2.3.1: encoded as forms are, so that a colon can stand in them.
                user, password = urllib.parse.quote_plus(user), urllib.parse.quote_plus(password)
            header = self._remembered("Authorization", basic(user, password, step.where))
        request = build(step, self._options, values, session.common, header)
        if session.jars is None:
            return request
        place = origin(request.url)
        if place not in session.jars:
            session.jars[place] = require("requests", package="requests").cookies.RequestsCookieJar()
        return dataclasses.replace(request, jar=session.jars[place])

    def _send(
        self, step: Step, session: Session, request: transport.Request, repeat: transport.Repeat
    ) -> transport.Answer:
        asked = f"{step.where}: {step.method} {step.path or '(url)'}"
        try:
            answer = t.cast(transport.Connections, session.wire).send(request, repeat)
        except transport.NoAnswer as lost:
            self.trace.tell(f"{asked}: no answer, {lost.reason}")
            raise
        self.trace.tell(f"{asked}: {answer.status}")
        self.date = answer.headers.get("date")
        if session.jars is not None:
            self._hide(*(cookie.value for cookie in answer.cookies))
        return answer

    def _ask(
        self, step: Step, session: Session, request: transport.Request, subject: str, no: type[RotationError],
        repeat: transport.Repeat = "read",
    ) -> transport.Answer:  # fmt: skip
        """The answer that means yes. no: what an answer raises that means no, whatever its status."""
        try:
            answer = self._send(step, session, request, repeat)
        except transport.NoAnswer as lost:
            raise transport.unreachable(subject, lost) from None
        try:
            refusal = self._refusal(step, session, answer, subject, no)
        except answers.Unreadable as unreadable:
            refusal = no(f"{subject}: {unreadable}.")
        if refusal is None and answer.oversized:
            refusal = no(f"{subject}: the answer is larger than 1 MiB.")
        if refusal is not None:
            raise refusal
        return answer

    def _run(
        self, steps: t.Iterable[Step], session: Session, values: Values, subject: str, no: type[RotationError],
        repeat: transport.Repeat = "read",
    ) -> None:  # fmt: skip
        """Steps whose answers leave values to those after them."""
        for step in steps:
            answer = self._ask(step, session, self._build(step, session, values), subject, no, repeat)
            for name, source in step.picked.items():
                value = self._picked(source, answer)
                if value is None and not source.has_default:
                    raise no(f"{subject}: the answer holds no {name} where it should.")
                session.values[name] = value
            self._note(session.values, step)

    def _picked(self, source: Source, answer: transport.Answer) -> t.Any:
        """What it picks of the answer, None for nothing; a token is a text that can stand in a header."""
        try:
            value = source(content(answer) if source.expression else None, answer)
        except CannotPick:
            return None
        token = source.where.endswith(_TOKENS)
        if token and not (isinstance(value, str) and value and value.isprintable() and value == value.strip()):
            return None
        told = [*secrets.texts(value), *([str(value)] if isinstance(value, (int, float)) else [])]
        (self._scrubber.add if token else self._hide)(*told)
        return value

    def _note(self, values: Values, step: Step) -> None:
        for name in step.picked:
            self.trace.tell(f"    {name}: {kind(values[name])}")

    def _refusal(
        self, step: Step, session: Session, answer: transport.Answer, subject: str, no: type[RotationError]
    ) -> RotationError | None:
        """As answers.refusal; what it says of the session is noted there."""
        heard = session.worked and not session.renewable
        refusal = answers.refusal(step, answer, subject, no, self._scrubber, heard=heard)
        if not isinstance(refusal, (AuthFailed, RateLimited, Unreachable)):
            session.worked = True
        elif isinstance(refusal, AuthFailed) and session.everybody and not session.worked:
            # It stands in the entries of all users; one who has been heard before is refused for this user only.
            refusal.everybody = not step.names & self._options.own_secrets
            if refusal.everybody and subject != session.who:
                return self._refusal(step, session, answer, session.who, no)
        return refusal

    def _hide(self, *texts: str | None) -> None:
        self._scrubber.add(*(text for text in texts if text and len(text) >= _SHORTEST_SECRET))

    def _remembered(self, header: str, value: str) -> dict[str, str]:
        check_header(value, f"The header {header}")
        self._scrubber.add(value.rpartition(" ")[2])
        return {header: value}

    def _header(self, auth: Auth, values: Values) -> dict[str, str]:
        """The header that holds credentials, if there is one."""
        if auth.basic:
            user, password = (template.text(part, values, auth.where) for part in auth.basic)
            return self._remembered(auth.header, basic(user, password, auth.where))
        if auth.token is None:
            return {}
        token = template.text(auth.token, values, auth.where)
        self._scrubber.add(token)
        return self._remembered(auth.header, f"{auth.prefix} {token}" if auth.prefix else token)

    # -- before anything is asked

    def rehearse(self, values: Values) -> None:
        """Build every request that these values could lead to. Raises InvalidInput."""
        options, auth = self._options, self._options.auth
        known = {**options.stand_ins, **values}
        session = Session("", options.headers, header=self._header(auth, known))
        lookups = [lookup.step for lookup in options.lookups]
        for step in (*auth.steps, *([auth.logout] if auth.logout else []), *lookups, *options.work):
            self._build(step, session, known)
        for lookup in options.lookups:
            template.render([wanted for _path, wanted in lookup.match], known, "lookup.match")
        if options.verify:
            self.rehearse_login(options.verify, known)

    def rehearse_login(self, verify: Verify, values: Values) -> None:
        """The same for the login as the user alone."""
        known = {**self._options.stand_ins, **values}
        session = Session("", verify.headers, header=self._header(verify.auth, known))
        for step in (*verify.before, verify.step):
            self._build(step, session, known)

    # -- the administrator

    @functools.cached_property
    def administrators(self) -> frozenset[str]:
        """What may be the name of who asks, so that such a user is changed last."""
        options, auth = self._options, self._options.auth
        if options.own_login:
            return frozenset()
        known = {**options.stand_ins, **options.values}
        parts = [auth.basic, *([step.basic, step.body, step.query] for step in auth.steps)]
        named = [known[name] for name in auth.names if name in options.values]
        return frozenset(secrets.texts([template.render(parts, known, auth.where), named]))

    @property
    def credentials(self) -> list[str]:
        """The secrets that who asks may be using."""
        auth, values = self._options.auth, self._options.values
        return [auth.token or "", *(text for name in auth.names for text in secrets.texts(values.get(name)))]

    def check_administrator(self, values: Values) -> None:
        """Log in, where one login serves all users."""
        if not self._options.own_login:
            self._session(values)

    def _key(self, values: Values) -> tuple[tuple[str, t.Any], ...]:
        """What makes a login another one."""
        return tuple((name, values.get(name)) for name in sorted(self._options.own)) if self._options.own_login else ()

    def _session(self, values: Values) -> Session:
        """What the login has left. It runs once, whatever becomes of it, unless it is the user's own."""
        options, auth, key = self._options, self._options.auth, self._key(values)
        if key not in self._sessions:
            asks = bool(auth.basic or auth.token or auth.steps or template.names(options.headers, "headers"))
            who = f"The login as {values['username']}" if options.own_login else "The administrator's login"
            session = Session(who, options.headers, self._http, everybody=asks and not options.own_login)
            session.jars = {} if auth.cookies else None
            session.renewable = bool(auth.steps)
            try:
                self._run(auth.steps, session, values, who, AuthFailed)
                session.header = self._header(auth, {**values, **session.values})
                session.worked = False
                self._sessions[key] = session
            except RotationError as error:
                self._sessions[key] = error
        found = self._sessions[key]
        if isinstance(found, RotationError):
            raise found
        return found

    def _as_administrator(self, values: Values, work: t.Callable[[Session], T]) -> T:
        """A login that has worked may end: then one more is made, and the work is done once more."""
        with self._one_at_a_time:
            session = self._session(values)
            try:
                return work(session)
            except AuthFailed:
                if not session.renewable or not session.worked:
                    raise
            del self._sessions[self._key(values)]
            session = self._session(values)
            # It has just logged in: whatever is refused now is refused for another reason.
            session.worked, session.renewable = True, False
            try:
                return work(session)
            finally:
                session.renewable = True

    def _log_out(self) -> None:
        """Best effort: the tokens that are left end by themselves."""
        logout = self._options.auth.logout
        for key, session in self._sessions.items():
            if logout and isinstance(session, Session):
                with contextlib.suppress(Exception):
                    request = self._build(logout, session, {**self._options.values, **dict(key)})
                    self._send(logout, session, request, "never")

    # -- the user

    def find(self, values: Values, username: str, *, afresh: bool = False) -> dict[str, t.Any]:
        """What the lookups pick of the user. A list that serves all users is read once, unless asked for afresh."""

        def look(session: Session) -> dict[str, t.Any]:
            if afresh:
                self._listings.clear()
            return self._find(session, values, f"Looking up {username}")

        return self._as_administrator(values, look)

    def _find(self, session: Session, values: Values, subject: str) -> dict[str, t.Any]:
        picked: dict[str, t.Any] = {}
        for lookup in self._options.lookups:
            step = lookup.step
            known = {**values, **session.values, **picked}
            request = self._build(step, session, known)
            if step.where not in self._listings or self._listings[step.where][0] != request:
                ask = functools.partial(self._ask_page, step, session, subject)
                self._listings[step.where] = (request, every_item(lookup, request, ask, subject))
            picked |= only_match(lookup, self._listings[step.where][1], known, subject)
            self._note(picked, step)
        return picked

    def _ask_page(self, step: Step, session: Session, subject: str, request: transport.Request) -> transport.Answer:
        return self._ask(step, session, request, subject, Refused)

    def every(self, listing: Lookup, values: Values, subject: str) -> list[Item]:
        """All items of a list that match, read anew."""

        def ask(session: Session) -> list[Item]:
            request = self._build(listing.step, session, values)
            asks = functools.partial(self._ask_page, listing.step, session, subject)
            known = {**values, **session.values}
            return matching(listing, every_item(listing, request, asks, subject), known, subject)

        return self._as_administrator(values, ask)

    def write(self, step: Step, values: Values, subject: str) -> transport.Answer:
        """One write, and the answer that means yes. Raises LostChange where it may or may not have been processed."""
        return self._as_administrator(values, lambda session: self._write(step, session, values, subject))

    def _write(self, step: Step, session: Session, values: Values, subject: str) -> transport.Answer:
        request = self._build(step, session, values)
        if self._options.verify:
            # What cannot be asked must show before the change.
            self.rehearse_login(self._options.verify, values)
        try:
            answer = self._send(step, session, request, "write")
        except transport.NoAnswer as lost:
            if lost.unsent:
                raise Unreachable(f"{subject}: no answer, {lost.reason}.", unanswered=1) from None
            raise LostChange(f"{subject}: no answer, {lost.reason}.", unanswered=1, under_way=True) from None
        doubt = answer.status >= 500 or answer.status in transport.GIVEN_UP
        if doubt and answer.status not in (*step.status, *step.not_found):
            told = f"{subject}: answered with {answer.status}{answers.words(step, answer, self._scrubber)}."
            raise LostChange(told, unanswered=0, under_way=answer.status not in _ENDED)
        try:
            refusal = self._refusal(step, session, answer, subject, Refused)
        except answers.Unreadable as unreadable:
            raise UnknownOutcome(
                f"{subject}: answered with {answer.status}, but {unreadable}. Whether it took effect is not known."
            ) from None
        if refusal:
            raise refusal
        return answer

    def picked(self, source: Source, answer: transport.Answer) -> t.Any:
        """What it picks of an answer to a write, None for nothing."""
        return self._picked(source, answer)

    def hide(self, secret: str) -> None:
        """No text may hold it from now on."""
        self._scrubber.add(secret)

    def log_in(self, verify: Verify, values: Values) -> LoginAnswer:
        """One login as the user, never repeated."""
        session = Session("", verify.headers, self._people, jars={} if verify.cookies else None)
        try:
            self._run(verify.before, session, values, "before the login itself", Refused, "never")
            session.header = self._header(verify.auth, {**values, **session.values})
            answer = self._send(verify.step, session, self._build(verify.step, session, values), "never")
        except transport.NoAnswer as lost:
            return LoginAnswer("unknown", f"got no answer, {lost.reason}", silent=True)
        except RotationError as error:
            status = 429 if isinstance(error, RateLimited) else error.evidence.get("status", 0)
            why = error.msg.rstrip(".")
            return LoginAnswer(
                "unknown", f"could not be made: {why}", status, silent=bool(error.unanswered and not status)
            )
        return answers.login_answer(verify, answer, self._scrubber)
