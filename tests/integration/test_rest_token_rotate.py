# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module rest_token_rotate against the sandbox: in process, then a leak hunt through ansible-playbook."""

from __future__ import annotations

import datetime as dt
import secrets
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.rest_token_rotate import run
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import TOKEN_SPEC
from tests.integration.scenes import TOKENS_PATH as PATH
from tests.integration.scenes import token_settings as settings
from tests.integration.support import Ansible, Call, call_logic
from tests.leaks import leaks, leaks_below
from tests.sandbox.rest import RestSandbox
from tests.sandbox.rest.service import json_answer
from tests.sandbox.rest.tokens import ApiToken
from tests.sandbox.server import Fault

MODULE = "rest_token_rotate"
NEW, OLD = "KEYTURN_NEW", "KEYTURN_OLD"
DAY = dt.timedelta(days=1)
Answer = dict[str, t.Any]


class Bob:
    """The user bob, and what is decided for him."""

    def __init__(self, rest: RestSandbox) -> None:
        self.rest = rest
        self.id = rest.add_user("bob", secrets.token_urlsafe(12)).id

    def add(self, name: str | None, age: dt.timedelta = 2 * DAY) -> ApiToken:
        return self.rest.tokens.add(self.id, name, age)

    @property
    def held(self) -> list[str]:
        return self.rest.tokens.names(self.id)

    def decide(self, check: bool = False, **options: t.Any) -> Answer:
        given = {**settings(self.rest), **options}
        answer = call_logic(TOKEN_SPEC, run, check_mode=check, **given)
        return t.cast(Answer, answer["rotations"][0])

    def nameless(self, **options: t.Any) -> Answer:
        """The same where the service gives the names."""
        mint = {"path": PATH, "body": {}, "token": "token", "name": "name"}
        return self.decide(mint=mint, **options)


@pytest.fixture
def bob(rest: RestSandbox) -> Bob:
    return Bob(rest)


def test_from_the_first_to_the_second(bob: Bob) -> None:
    foreseen = bob.decide(check=True, announced=NEW)
    assert foreseen["changed"] and bob.held == []
    old = bob.add(OLD)
    new = bob.decide(announced=NEW, current_token_name=OLD)
    assert (new["verified"], new["in_force"], new["token_name"], bob.held) == (True, True, NEW, [OLD, NEW])
    assert bob.rest.tokens.owner(old.secret) and bob.rest.tokens.owner(new["token"])
    in_use: Answer = {"token": new["token"], "current_token_name": NEW, "previous_token_names": [OLD]}
    young = bob.decide(**in_use, retire_previous_after="1h")
    assert (young["changed"], young["verified"], bob.held) == (False, True, [OLD, NEW])
    due = bob.decide(**in_use, retire_previous_after="0h")
    assert (due["retired_token_names"], bob.held) == ([OLD], [NEW]) and "token" not in due


def test_the_grace_is_measured_by_the_service(bob: Bob) -> None:
    bob.add(OLD, 3 * DAY)
    new = bob.add(NEW, DAY)
    in_use: Answer = {"token": new.secret, "current_token_name": NEW, "previous_token_names": [OLD]}
    assert not bob.decide(**in_use, retire_previous_after="2d")["changed"]
    assert bob.decide(**in_use, retire_previous_after="23h")["retired_token_names"] == [OLD]


@pytest.mark.parametrize(
    ("fault", "code", "left"),
    [
        # It was made and its secret is lost: revoked at once.
        (Fault("POST tokens", drop="after"), "unknown_outcome", [OLD]),
        (Fault("POST tokens", drop="before"), "unknown_outcome", [OLD]),
        (Fault("POST tokens", response=json_answer(500, {})), "unreachable", [OLD]),
        (Fault("POST tokens", response=json_answer(409, {"error": "no"})), "refused", [OLD]),
        (Fault("POST tokens", response=json_answer(403, {"error": "no"})), "not_permitted", [OLD]),
        (Fault("POST tokens", response=json_answer(201, {"token": None})), "unknown_outcome", [OLD]),
        (Fault("GET tokens", response=json_answer(200, {"nothing": []})), "refused", [OLD]),
    ],
)
def test_no_token_came(bob: Bob, fault: Fault, code: str, left: list[str]) -> None:
    bob.add(OLD)
    bob.rest.faults.add(fault)
    answer = bob.decide(announced=NEW, current_token_name=OLD)
    assert (answer["error_code"], bob.held) == (code, left) and "token" not in answer, answer["msg"]


def test_a_name_that_is_taken(bob: Bob) -> None:
    bob.add(NEW)
    answer = bob.decide(announced=NEW)
    assert (answer["error_code"], bob.held) == ("refused", [NEW])


def test_what_an_earlier_run_has_lost_is_revoked(bob: Bob) -> None:
    bob.add(NEW)
    bob.add("KEYTURN_LOST")
    bob.add("somebody's")
    answer = bob.decide(announced=NEW, recovered=True, orphans=["KEYTURN_LOST"])
    assert set(answer["removed_orphans"]) == {NEW, "KEYTURN_LOST"} and answer["verified"]
    assert set(bob.held) == {NEW, "somebody's"}


def test_a_token_that_does_not_work_yet_is_returned(bob: Bob) -> None:
    bob.rest.tokens.late = True
    answer = bob.decide(announced=NEW)
    assert (answer["error_code"], answer["changed"], bob.held) == ("verify_failed", True, [NEW])
    again: Answer = {"token": answer["token"], "current_token_name": NEW, "recovered": True}
    never = bob.decide(**again)
    assert (never["error_code"], never["in_force"], bob.held) == ("refused", False, [NEW])
    bob.rest.tokens.held[bob.id][0].working = True
    assert bob.decide(**again)["verified"]


def test_a_verify_that_proves_nothing(bob: Bob) -> None:
    bob.rest.gullible = True
    answer = bob.decide(announced=NEW)
    assert (answer["error_code"], answer["verified"]) == ("invalid_input", False) and answer["token"]
    old = bob.add(OLD)
    new: Answer = {"token": old.secret, "current_token_name": OLD, "previous_token_names": [NEW]}
    assert bob.decide(**new, retire_previous_after="0h")["error_code"] == "invalid_input" and NEW in bob.held


def test_without_verify_nothing_is_retired(bob: Bob) -> None:
    bob.add(OLD)
    new = bob.add(NEW)
    in_use: Answer = {"token": new.secret, "current_token_name": NEW, "previous_token_names": [OLD]}
    answer = bob.decide(**in_use, retire_previous_after="0h", verify=None)
    assert (answer["changed"], answer["verified"], bob.held) == (False, False, [OLD, NEW])


@pytest.mark.parametrize(("status", "code"), [(403, "not_permitted"), (500, "unreachable")])
def test_a_removal_that_is_refused(bob: Bob, status: int, code: str) -> None:
    bob.add(OLD)
    new = bob.add(NEW)
    bob.rest.faults.add(Fault("DELETE tokens", response=json_answer(status, {"error": "no"})))
    in_use: Answer = {"token": new.secret, "current_token_name": NEW, "previous_token_names": [OLD]}
    answer = bob.decide(**in_use, retire_previous_after="0h")
    assert (answer["error_code"], answer["in_force"], bob.held) == (code, True, [OLD, NEW]), answer["msg"]


def test_a_token_that_is_gone(bob: Bob) -> None:
    bob.add(NEW)
    answer = bob.decide(token=secrets.token_hex(), current_token_name=OLD)
    assert (answer["error_code"], "in_force" in answer) == ("not_found", False)


def test_one_name_twice(bob: Bob) -> None:
    bob.add(OLD)
    bob.add(OLD)
    assert bob.decide(announced=NEW, orphans=[OLD])["error_code"] == "ambiguous" and bob.held == [OLD, OLD]


def test_names_that_the_service_gives(bob: Bob) -> None:
    first = bob.nameless(announced=NEW)
    assert first["verified"] and bob.held == [first["token_name"]] == [first["token"][-4:]]
    lost = bob.add(None)
    full = {**settings(bob.rest)["list"], "limit": 2}
    kept: Answer = {"announced": NEW, "current_token_name": first["token_name"], "recovered": True, "list": full}
    # Without what was known, nothing unknown is removed.
    assert bob.nameless(**kept)["error_code"] == "slots_full" and len(bob.held) == 2
    second = bob.nameless(**kept, known=[first["token_name"]])
    assert second["removed_orphans"] == [lost.name] and second["verified"]
    assert set(bob.held) == {first["token_name"], second["token_name"]}


def test_the_key_that_asks_is_kept(bob: Bob) -> None:
    old, new = bob.add(None), bob.add(None)
    in_use: Answer = {"token": new.secret, "current_token_name": new.name, "previous_token_names": [old.name]}
    kept = bob.nameless(**in_use, retire_previous_after="0h", current_token=old.secret)
    assert not kept["changed"] and len(bob.held) == 2
    assert bob.nameless(**in_use, retire_previous_after="0h")["retired_token_names"] == [old.name]


def test_who_asks_and_whom(bob: Bob) -> None:
    wrong = bob.decide(secrets={"admin_password": secrets.token_urlsafe()})
    assert wrong["error_code"] == "auth_failed"
    assert bob.decide(username="nobody")["error_code"] == "not_found"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"mint": {"path": PATH, "token": "token"}}, "mint must use"),
        ({"mint": {"path": PATH, "body": {"n": "${token_name}"}, "token": "token", "name": "n"}}, "and not both"),
        ({"verify": {"path": "/me"}}, "does not use"),
        ({"revoke": {"path": PATH + "/${nobody}"}}, "nobody"),
        ({"revoke": {"path": PATH + "/${token}"}}, "revoke"),
        ({"vars": {"token_name": "x"}}, "taken"),
        ({"verify": {"path": "/me/${token}"}}, "into the address"),
    ],
)
def test_options_that_cannot_be_used(bob: Bob, spoil: Answer, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        bob.decide(**spoil)


def test_nothing_leaks(bob: Bob, ansible: Ansible) -> None:
    old = bob.add(OLD)
    given = settings(bob.rest)
    echo = {**given["mint"], "method": "PUT", "path": "/echo", "fail_if": "error"}
    calls = [
        Call({**given, "announced": NEW, "current_token_name": OLD}, keywords={"diff": True}),
        Call({**given, "token": old.secret, "current_token_name": OLD}, keywords={"diff": True}),
        Call({**given, "token": secrets.token_hex(), "current_token_name": OLD}),
        Call({**given, "mint": echo}),
        Call({**given, "announced": "KEYTURN_CHECK"}, keywords={"check_mode": True, "diff": True}),
    ]
    run_ = ansible.calls(MODULE, calls, "-vvvv", "--diff")
    minted, proved, wrong, refused, foreseen = run_.answers
    assert minted["rotations"][0]["token"] == minted["token"] and proved["verified"], run_.output
    assert (wrong["error_code"], refused["error_code"], foreseen["changed"]) == ("verify_failed", "refused", True)
    hidden = [minted["token"], old.secret, bob.rest.admin_password, bob.rest.token, calls[2].options["token"]]
    assert leaks(run_.output, *hidden) == [] and leaks_below(ansible.home, *hidden) == []
