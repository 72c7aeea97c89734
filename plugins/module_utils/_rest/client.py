# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Talks to the service: the administrator's login, the lookup, the change, and logins as the user."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t
import urllib.parse

from ansible_collections.keyturn.credentials.plugins.module_utils._core import http, secrets
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    AuthFailed,
    NotFound,
    NotPermitted,
    Refused,
    RotationError,
    UnknownOutcome,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.auth import Auth, Login
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.lookup import every_item, only_match
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import Lookup, Options, Verify
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import CannotPick, Expression, truth
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.requests import basic, build, check_header
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import Step
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.template import Values

_LONGEST_TEXT = 300
_ADMINISTRATOR = "The administrator's login"

Headers = dict[str, str]


@dataclasses.dataclass(frozen=True)
class LoginAnswer:
    """What a login as the user said. reason: in our words, with what fail_if picked. silent: there was no answer."""

    verdict: t.Literal["accepted", "rejected", "unknown"]
    reason: str
    status: int = 0
    silent: bool = False


class LostChange(Exception):
    """The change may have been processed or not. unanswered: as in RotationError."""

    def __init__(self, msg: str, unanswered: int) -> None:
        super().__init__(msg)
        self.msg = msg
        self.unanswered = unanswered


class Client:
    """One service. known: secrets that no text may hold; the tokens that come and go are added."""

    def __init__(self, options: Options, known: t.Iterable[str]) -> None:
        self._options = options
        self._known = {form for secret in known for form in (secret, template.backslash(secret))}
        self._http: http.Http | None = None
        self._tokens: dict[tuple[t.Any, ...], str | RotationError] = {}
        self._listing: tuple[http.Request, list[t.Any]] | None = None

    @contextlib.contextmanager
    def session(self) -> t.Iterator[None]:
        """One connection, kept alive."""
        with http.Http(self._options.wire) as self._http:
            yield

    def _send(self, request: http.Request, repeat: http.Repeat) -> http.Answer:
        return t.cast(http.Http, self._http).send(request, repeat)

    # -- requests

    def rehearse(self, values: Values) -> None:
        """Build every request that these values could lead to. Raises InvalidInput."""
        options = self._options
        if options.auth.login:
            self._login_request(options.auth.login, values)
        authorization = self._direct(options.auth, values) or {}
        if options.lookup:
            template.render([wanted for _path, wanted in options.lookup.match], values, "lookup.match")
            build(options.lookup.step, options, values, options.headers, authorization)
        build(options.change, options, values, options.headers, authorization)
        if options.verify:
            self.login_request(options.verify, values)

    def login_request(self, verify: Verify, values: Values) -> http.Request:
        """The login as the user; the administrator's credentials are not in it."""
        authorization = self._direct(verify.auth, values) or {}
        return build(verify.step, self._options, values, verify.headers, authorization)

    def change_request(self, values: Values) -> http.Request:
        authorization = self._authorization(values)
        return build(self._options.change, self._options, values, self._options.headers, authorization)

    def _direct(self, auth: Auth, values: Values) -> Headers | None:
        """The header for credentials that need no login; None where they do."""
        if auth.basic:
            user, password = (template.text(part, values, auth.where) for part in auth.basic)
            return self._remembered(auth.header, basic(user, password, auth.where))
        if auth.token is not None:
            return self._with_token(auth, template.text(auth.token, values, auth.where))
        return None if auth.login else {}

    def _with_token(self, auth: Auth, token: str) -> Headers:
        self._known.add(token)
        return self._remembered(auth.header, f"{auth.prefix} {token}" if auth.prefix else token)

    def _remembered(self, header: str, value: str) -> Headers:
        check_header(value, f"The header {header}")
        self._known.add(value.rpartition(" ")[2])
        return {header: value}

    # -- the administrator

    def check_administrator(self, values: Values, others: Values) -> None:
        """Log in, where one login serves all users: where these values and the others make the same of it."""
        login = self._options.auth.login
        if login and self._login_request(login, values) == self._login_request(login, others):
            self._authorization(values)

    def _authorization(self, values: Values) -> Headers:
        """The administrator's header. A login runs once, whatever becomes of it, unless users differ in it."""
        auth = self._options.auth
        if auth.login is None:
            return self._direct(auth, values) or {}
        request = self._login_request(auth.login, values)
        key = (request.url, request.body, tuple(sorted(request.headers.items())))
        if key not in self._tokens:
            try:
                self._tokens[key] = self._log_in(auth.login, request)
            except RotationError as error:
                self._tokens[key] = error
        token = self._tokens[key]
        if isinstance(token, RotationError):
            raise token
        return self._with_token(auth, token)

    def _login_request(self, login: Login, values: Values) -> http.Request:
        authorization: Headers = {}
        if login.client:
            # RFC 6749, section 2.3.1: both are encoded as forms are, so that a colon can stand in them.
            user, password = (
                urllib.parse.quote_plus(template.text(part, values, login.step.where)) for part in login.client
            )
            authorization = self._remembered("Authorization", basic(user, password, login.step.where))
        return build(login.step, self._options, values, self._options.headers, authorization)

    def _log_in(self, login: Login, request: http.Request) -> str:
        """The token. Raises RotationError."""
        answer = self._read(login.step, request, _ADMINISTRATOR, AuthFailed)
        if login.token_header:
            token: t.Any = answer.headers.get(login.token_header.lower())
        else:
            try:
                token = t.cast(Expression, login.token_path)(answer.json())
            except (CannotPick, ValueError):
                token = None
        if not isinstance(token, str) or not token or any(character in token for character in "\r\n\0"):
            raise AuthFailed(f"{_ADMINISTRATOR}: the answer holds no token where it should. Nothing was changed.")
        return token

    def _read(self, step: Step, request: http.Request, subject: str, no: type[RotationError]) -> http.Answer:
        """The answer that means yes. no: what an answer raises that means no, whatever its status."""
        try:
            answer = self._send(request, "read")
        except http.NoAnswer as lost:
            raise http.unreachable(subject, lost) from None
        if answer.status not in step.status:
            raise _refusal(subject, step, answer, AuthFailed if no is AuthFailed else None)
        if answer.oversized:
            raise no(f"{subject}: the answer is larger than 1 MiB. Nothing was changed.")
        try:
            refused = self._says_no(step, answer)
        except ValueError:
            raise no(f"{subject}: the answer is not JSON, so fail_if cannot judge it. Nothing was changed.") from None
        if refused is not None:
            raise no(f"{subject}: the service says no{refused}. Nothing was changed.")
        return answer

    def _says_no(self, step: Step, answer: http.Answer) -> str | None:
        """None for a yes; else the text that fail_if picks, scrubbed, behind a colon. Raises ValueError if not JSON."""
        if step.fail_if is None:
            return None
        try:
            found = step.fail_if(answer.json())
        except CannotPick:
            raise ValueError(step.fail_if.where) from None
        if not truth(found):
            return None
        return f": {secrets.foreign_text(found, self._known, _LONGEST_TEXT)}" if isinstance(found, str) else ""

    # -- the user

    def find(self, lookup: Lookup, values: Values, username: str) -> dict[str, t.Any]:
        """What lookup.set picks of the user. A list that serves all users is read once."""
        subject = f"Looking up {username}"
        request = build(lookup.step, self._options, values, self._options.headers, self._authorization(values))
        if self._listing is None or self._listing[0] != request:
            items = every_item(lookup, request, lambda page: self._read(lookup.step, page, subject, Refused), subject)
            self._listing = (request, items)
        return only_match(lookup, self._listing[1], values, subject)

    def change(self, request: http.Request, subject: str) -> None:
        """The one write. Raises LostChange where it may or may not have been processed."""
        step = self._options.change
        try:
            answer = self._send(request, "write")
        except http.NoAnswer as lost:
            if lost.unsent:
                raise Unreachable(f"{subject}: no answer, {lost.reason}. Nothing was changed.", unanswered=1) from None
            raise LostChange(f"{subject}: no answer, {lost.reason}.", unanswered=1) from None
        if answer.status not in step.status:
            if answer.status >= 500 or answer.status in http.GIVEN_UP:
                raise LostChange(f"{subject}: answered with {answer.status}.", unanswered=0)
            raise _refusal(subject, step, answer, administrator=self._asks_alone)
        try:
            refused = self._says_no(step, answer)
        except ValueError:
            raise UnknownOutcome(
                f"{subject}: answered with {answer.status}, but not with JSON that fail_if can judge. Whether it took "
                "effect is not known."
            ) from None
        if refused is not None:
            raise Refused(f"{subject}: the service says no{refused}. Nothing was changed.")

    @property
    def _asks_alone(self) -> bool:
        """Whether a 401 to the change can only be about the administrator, and not about an old password."""
        auth, change = self._options.auth, self._options.change
        own = template.names([change.path, change.query, change.headers, change.body], change.where)
        return bool(auth.basic or auth.token or auth.login) and "old_password" not in own

    def log_in(self, verify: Verify, request: http.Request) -> LoginAnswer:
        """One login as the user, never repeated."""
        try:
            answer = self._send(request, "never")
        except http.NoAnswer as lost:
            return LoginAnswer("unknown", f"got no answer, {lost.reason}", silent=True)
        told = f"was answered with {answer.status}"
        if answer.oversized:
            return LoginAnswer("unknown", f"{told} and more than 1 MiB", answer.status)
        if answer.status in verify.rejected:
            return LoginAnswer("rejected", told, answer.status)
        if answer.status not in verify.step.status:
            return LoginAnswer("unknown", told, answer.status)
        try:
            refused = self._says_no(verify.step, answer)
        except ValueError:
            return LoginAnswer("unknown", f"{told}, but not with JSON that fail_if can judge", answer.status)
        if refused is not None:
            return LoginAnswer("rejected", f"{told} and a no{refused}", answer.status)
        return LoginAnswer("accepted", told, answer.status)


def _refusal(
    subject: str,
    step: Step,
    answer: http.Answer,
    refused_login: type[RotationError] | None = None,
    *,
    administrator: bool = True,
) -> RotationError:
    """The error for a status that does not mean yes.

    refused_login: what any 4xx means. administrator: whether a 401 is about the administrator, for certain.
    """
    status = answer.status
    told = f"{subject}: answered with {status}"
    if status == 429:
        return http.rate_limited(subject, answer)
    if status >= 500:
        return Unreachable(f"{told}, which says neither yes nor no. Nothing was changed.", unanswered=1)
    if 300 <= status < 400:
        return Refused(
            f"{told}, a redirect, which is never followed. Name the final address.", evidence={"status": status}
        )
    if status < 400:
        return Refused(
            f"{told}, which is not among the statuses that mean yes ({step.where}.status).", evidence={"status": status}
        )
    kinds: dict[int, type[RotationError]] = {401: AuthFailed, 403: NotPermitted, 404: NotFound}
    kind = refused_login or kinds.get(status, Refused)
    barred = kind is AuthFailed and administrator
    return kind(f"{told}. Nothing was changed.", evidence={"status": status}, everybody=barred)
