# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which user is meant, and what the plan makes of it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    Ambiguous,
    NotFound,
    NotPermitted,
    Refused,
    RotationError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.password_plan import (
    Options,
    SetPassword,
    State,
    plan,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.user import AuthUser, by_address, find, parse

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
PAST, FUTURE = "2026-05-31T23:59:59.999999Z", "2026-06-01T00:00:00.000001Z"
VPN = "Client VPN"


def shown(**fields: t.Any) -> dict[str, t.Any]:
    return {
        "id": "1",
        "email": "ann@example.com",
        "accountType": VPN,
        "isAdmin": False,
        "authorizations": [{}],
        **fields,
    }


def user(*expiries: str | None, **fields: t.Any) -> AuthUser:
    return dataclasses.replace(AuthUser("1", "ann@example.com", "Ann", VPN, False, expiries), **fields)


@pytest.mark.parametrize("spelling", ["ann@example.com", "ANN@Example.COM", "Ann@example.com"])
def test_upper_and_lower_case_are_the_same(spelling: str) -> None:
    assert find(by_address(parse([shown()])), spelling, VPN, "N_1").id == "1"


def test_two_addresses_that_a_dictionary_makes_one_are_two() -> None:
    with pytest.raises(NotFound):
        find(by_address(parse([shown(email="strasse@example.com")])), "straße@example.com", VPN, "N_1")


def test_an_email_with_an_account_of_each_type() -> None:
    users = by_address(parse([shown(id="w", accountType="802.1X"), shown(id="v"), shown(id="g", accountType="Guest")]))
    assert [find(users, "ann@example.com", kind, "N_1").id for kind in ("802.1X", VPN, "Guest")] == ["w", "v", "g"]


def test_absent_and_ambiguous() -> None:
    listed = [shown(), shown(id="2", email="ANN@example.com"), shown(email="b@example.com", accountType="Guest")]
    users = by_address(parse(listed))
    with pytest.raises(Ambiguous, match="2 users"):
        find(users, "ann@example.com", VPN, "N_1")
    with pytest.raises(NotFound, match="It has one of the account type Guest"):
        find(users, "b@example.com", VPN, "N_1")
    with pytest.raises(NotFound) as raised:
        find(users, "ann", VPN, "N_1")
    assert "It has" not in raised.value.msg


@pytest.mark.parametrize("listed", [{}, None, "text", 1])
def test_what_is_no_list(listed: t.Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (whatever subclass)
        parse(listed)


def test_entries_that_name_nobody_are_skipped() -> None:
    assert [each.id for each in parse([None, {}, shown(id=None), shown(email=3), shown(id=""), shown(id="9")])] == ["9"]


@pytest.mark.parametrize(
    ("expiries", "in_force"),
    [
        ((), False),
        ((None,), True),
        ((PAST,), False),
        ((FUTURE,), True),
        ((PAST, FUTURE), True),
        ((PAST, None), True),
        (("soon",), False),
        (("2027-01-01T00:00:00",), False),  # without a zone
    ],
)
def test_authorized(expiries: tuple[str | None, ...], in_force: bool) -> None:
    assert user(*expiries).authorized(NOW) is in_force


def test_spellings_of_no_end() -> None:
    listed = [{"expiresAt": "Never"}, {"expiresAt": None}, {}, {"expiresAt": ""}, {"expiresAt": PAST}, "rubbish"]
    assert parse([shown(authorizations=listed)])[0].expiries == (None, None, None, None, PAST)
    assert parse([shown(authorizations=None)])[0].expiries == ()


def test_expires_at_is_the_last_end() -> None:
    assert [user(*each).expires_at for each in ((), (None,), (PAST, FUTURE), (PAST, None))] == [
        None,
        None,
        FUTURE,
        None,
    ]


@pytest.mark.parametrize(("value", "admin"), [(True, True), (False, False), (None, False), ("true", True), (1, True)])
def test_administrators(value: t.Any, admin: bool) -> None:
    assert parse([shown(isAdmin=value)])[0].is_admin is admin


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("done", [True, False])
def test_the_plan(always: bool, held: bool, done: bool) -> None:
    steps = plan(Options(always=always, require_authorized=True), State(user(None), NOW, held, done))
    assert steps == ([SetPassword()] if not done and (always or not held) else [])


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize(
    ("refused", "error", "words"),
    [
        (user(None, is_admin=True), Refused, "administrator"),
        (user(), NotPermitted, "is not authorized, so"),
        (user(PAST), NotPermitted, f"has an authorization that expired at {PAST}"),
        (user("{{ text }}"), NotPermitted, "is not authorized, so"),
    ],
)
def test_users_that_are_refused(refused: AuthUser, error: type[RotationError], words: str, held: bool) -> None:
    with pytest.raises(error, match=words):
        plan(Options(always=False, require_authorized=True), State(refused, NOW, held))


def test_not_authorized_where_that_does_not_matter() -> None:
    options = Options(always=False, require_authorized=False)
    assert plan(options, State(user(PAST), NOW, held=False)) == [SetPassword()]
    with pytest.raises(Refused):
        plan(options, State(user(PAST, is_admin=True), NOW, held=False))
