# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What rest_token_rotate asks of a service behind an API, for the rotator of minted secrets."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import email.utils
import json
import re
import time
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    InvalidInput,
    Refused,
    Unreachable,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import module_result
from ansible_collections.keyturn.credentials.plugins.module_utils._core.transport import Answer
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.answers import LoginAnswer
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.client import Client, LostChange
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.lookup import Item, pick_each
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import Verify
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import comparable, truth
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.result import known_secrets, with_trace
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import TOKEN_SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import Step
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.token_options import (
    TokenOptions,
    token_options_from,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation import token_options
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.engine import rotate
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.token_plan import (
    Options,
    Owner,
    Proof,
    Token,
    Wanted,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rotation.tokens import Minted, TokenRotator, Tokens

# Lengths of the ends of a token that services use as its name.
_ENDS = range(4, 9)
# Our own names tell when they were made up.
_OUR_NAME = re.compile(r".*_(\d{8}T\d{6}Z)_[0-9A-F]{8}\Z", re.DOTALL)
# From here on, a number counts milliseconds.
_MILLISECONDS = 1e11
_FIRST = dt.datetime.fromtimestamp(0, dt.UTC)


@dataclasses.dataclass(frozen=True)
class RestUser(Wanted):
    """One user. password, current_token: for services where users make their tokens themselves."""

    password: str | None = dataclasses.field(default=None, repr=False)
    current_token: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True)
class RestToken(Token):
    """picked: by list.set."""

    picked: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)


@dataclasses.dataclass
class _Seen:
    """What is known of one user in this run. picked: by the lookups. minted: by mint.set. name: of the wanted token."""

    picked: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict, repr=False)
    minted: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict, repr=False)
    tokens: tuple[RestToken, ...] = ()
    name: str | None = None


class RestTokens(Tokens):
    """Tokens of one service."""

    title = "The service"

    def __init__(self, client: Client, options: TokenOptions, grace: dt.timedelta) -> None:
        self._client = client
        self._options = options
        self._grace = grace
        self._seen: dict[Wanted, _Seen] = {}
        self._proves: bool | None = None
        self.named = options.named

    def identity(self, item: Wanted) -> dict[str, str]:
        return {"username": item.name}

    def called(self, item: Wanted) -> str:
        folds = any(lookup.case_insensitive for lookup in self._options.lookups)
        return item.name.lower() if folds else item.name

    def last(self, item: Wanted) -> bool:
        return item.name in self._client.administrators

    def check(self, item: Wanted) -> None:
        user = t.cast(RestUser, item)
        if not user.name:
            raise InvalidInput("A username is empty.")
        for name in sorted(self._options.own_secrets & self._needed()):
            if not getattr(user, name):
                raise InvalidInput(f"{name} of {user.name} is needed and not given.")
        grace = self._grace if user.retire_after is None else user.retire_after
        dated = self.named or "created" in self._options.listing.told
        if user.previous and grace and not dated:
            raise InvalidInput(
                "The age of a token cannot be known: the service gives the names, and list.created is not given."
            )
        called = user.announced or user.token_name
        self._client.rehearse({**self._values(user), **({"token_name": called} if called else {})})

    def _needed(self) -> frozenset[str]:
        return self._options.auth.names.union(*(step.names for step in self._options.work))

    def session(self) -> contextlib.AbstractContextManager[None]:
        return self._client.session()

    def describe(self, item: Wanted) -> Owner:
        seen = self._seen[item] = _Seen(name=item.token_name if item.exists else None)
        if self._options.lookups:
            seen.picked = self._client.find(self._values(item), item.name, afresh=True)
        # Where a name is the end of a token, the one that asks can be told, and is kept.
        asking = [] if self.named else [*self._client.credentials, t.cast(RestUser, item).current_token or ""]
        spared = frozenset(text[-length:] for text in asking for length in _ENDS if len(text) > length)
        return Owner(who=f"user {item.name}", room=self._options.listing.limit, spared=spared)

    def listed(self, item: Wanted) -> tuple[Token, ...]:
        subject = f"Listing the tokens of {item.name}"
        items = self._client.every(self._options.listing.lookup, self._values(item), subject)
        tokens = tuple(self._token(found, subject) for found in items)
        names = [token.name for token in tokens]
        for name in (item.token_name, item.announced, *item.orphans, *item.previous):
            if name is not None and names.count(name) > 1:
                raise Ambiguous(f"{subject}: {names.count(name)} are called {name}.")
        self._seen[item].tokens = tokens
        return tokens

    def _token(self, item: Item, subject: str) -> RestToken:
        listing = self._options.listing
        told = pick_each(listing.told, item, subject)
        picked = pick_each(listing.lookup.step.picked, item, subject)
        name = comparable(told["name"])
        if not name:
            raise Refused(f"{subject}: one of them has no name (list.name).")
        return RestToken(
            name=name,
            id=json.dumps(picked, sort_keys=True, default=str),
            created=_moment(told.get("created")) or _from_name(name),
            expires=_moment(told.get("expires"), zone=dt.UTC),
            active=None if told.get("active") is None else truth(told["active"]),
            picked={key: value for key, value in picked.items() if value is not None},
        )

    def mint(self, item: Wanted, name: str) -> Minted:
        options, seen = self._options, self._seen[item]
        values = {**self._values(item), "token_name": name}
        answer = self._written(options.mint, values, f"Making a new token of {item.name}")
        secret = self._client.picked(options.token, answer)
        picked = {key: self._client.picked(source, answer) for key, source in options.mint.picked.items()}
        seen.minted = {key: value for key, value in picked.items() if value is not None}
        given = comparable(self._client.picked(options.name, answer)) if options.name else None
        seen.name = given or name
        # Without the name that the service has given, nobody could find it again.
        return Minted(secret if isinstance(secret, str) and (self.named or given) else None, given)

    def revoke(self, item: Wanted, token: Token) -> None:
        values = {**self._values(item), **t.cast(RestToken, token).picked, "token_name": token.name}
        self._written(self._options.revoke, values, f"Revoking the token {token.name} of {item.name}")

    def _written(self, step: Step, values: dict[str, t.Any], subject: str) -> Answer:
        try:
            return self._client.write(step, values, subject)
        except LostChange as lost:
            error = Unreachable(lost.msg, unanswered=lost.unanswered)
            error.under_way = lost.under_way  # type: ignore[attr-defined]
            raise error from None

    def login(self, item: Wanted, owner: Owner, secret: str) -> Proof:
        verify = t.cast(Verify, self._options.verify)
        answer = self._log_in(item, secret)
        # One that has been in use works at once or not at all.
        patience = verify.attempts if not item.exists or item.recovered else 1
        for _attempt in range(patience - 1):
            if answer.verdict != "rejected":
                break
            time.sleep(verify.delay)
            answer = self._log_in(item, secret)
        if answer.silent:
            return Proof("silent", "no_answer")
        if answer.verdict == "rejected":
            return Proof("rejected", "a no", answer.status)
        if answer.verdict == "unknown":
            return Proof("unknown", "unclear_login", answer.status)
        return Proof("accepted") if self._tells_apart(item, secret) else Proof("unknown", "unclear_control")

    def _log_in(self, item: Wanted, secret: str) -> LoginAnswer:
        seen = self._seen[item]
        own = next((token.picked for token in seen.tokens if token.name == seen.name), {})
        values = {**self._values(item), **seen.minted, **own, "token_name": seen.name, "token": secret}
        return self._client.log_in(t.cast(Verify, self._options.verify), values)

    def _tells_apart(self, item: Wanted, secret: str) -> bool:
        """One login with a wrong token in the whole run: whether it is rejected. Raises InvalidInput if it is not."""
        if not t.cast(Verify, self._options.verify).control:
            return True
        if self._proves is None:
            wrong = _wrong(secret)
            self._client.hide(wrong)
            answer = self._log_in(item, wrong)
            if answer.verdict == "accepted":
                raise InvalidInput(
                    f"The login of {item.name} is accepted, and so is one with a wrong token, so verify proves "
                    "nothing. Nothing was removed.",
                    advice="Correct verify.",
                )
            self._proves = answer.tells_apart
        return self._proves

    def now(self) -> dt.datetime | None:
        return _http_date(self._client.date)

    def _values(self, item: Wanted) -> dict[str, t.Any]:
        user, seen = t.cast(RestUser, item), self._seen.get(item, _Seen())
        own = {name: getattr(user, name) for name in self._options.own_secrets if getattr(user, name)}
        return {**self._options.values, **seen.picked, "username": user.name, **own}


def _moment(value: t.Any, *, zone: dt.tzinfo | None = None) -> dt.datetime | None:
    """A time, of a date its first second, or a number of seconds or milliseconds since 1970; None for anything else.

    zone: of a time that names none; without, that is no time. A time up to 1970 is none: by a zero, -1 or the year 1,
    services say never.
    """
    moment = duration.parse_time(value) if isinstance(value, str) else _from_number(value)
    if moment is not None and moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone) if zone is not None else None
    return moment if moment is not None and moment > _FIRST else None


def _from_number(value: t.Any) -> dt.datetime | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return dt.datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS else value, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _from_name(name: str) -> dt.datetime | None:
    """When a name of ours was made up, for services that do not date their tokens."""
    found = _OUR_NAME.match(name)
    return duration.parse_rfc3339(found[1]) if found else None


def _http_date(text: str | None) -> dt.datetime | None:
    try:
        return email.utils.parsedate_to_datetime(text or "").astimezone(dt.UTC)
    except (TypeError, ValueError):
        return None


def _wrong(token: str) -> str:
    """Of the same shape, and another one: one character before the last quarter is another of its kind."""
    for place in reversed(range((len(token) * 3 + 3) // 4)):
        for kind in ("0123456789", "abcdef", "ABCDEF", "ghijklmnopqrstuvwxyz", "GHIJKLMNOPQRSTUVWXYZ"):
            if token[place] in kind:
                return token[:place] + kind[kind.index(token[place]) - 1] + token[place + 1 :]
    return f"{token}x"


def _read_user(params: t.Mapping[str, t.Any], *, named: bool) -> RestUser:
    name = params["username"]
    current = params["current_token"] or params["token"]
    try:
        fields = token_options.read_user(params)
        known = None if named or params["known"] is None else tuple(params["known"])
        return RestUser(name, password=params["password"], current_token=current, known=known, **fields)
    except InvalidInput as error:
        return RestUser(name, unusable=InvalidInput(f"User {name}: {error.msg}"))


def _task_options(params: t.Mapping[str, t.Any]) -> Options:
    return token_options.read_options({**params, "verify": params["verify"] is not None})


def run(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """The module's return values for validated parameters."""
    single = params["users"] is None
    users = [params] if single else params["users"]
    if not users:
        raise InvalidInput("users is empty; there is nothing to do.")
    task, options = _task_options(params), token_options_from(params)
    # At the top, the grace is the task's.
    wanted = [_read_user(user, named=options.named) for user in users]
    client = Client(options, known_secrets(params, TOKEN_SPEC))
    service = RestTokens(client, options, task.retire_after)
    outcomes = rotate(TokenRotator(service, task, check_mode=check_mode), wanted, check_mode=check_mode)
    return with_trace(module_result(outcomes, single=single, noun="user"), client.trace.lines(), single=single)
