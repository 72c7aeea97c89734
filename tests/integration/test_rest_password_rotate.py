# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module through ansible-playbook, against services of odd kinds: what is returned, shown and left."""

from __future__ import annotations

import secrets
import typing as t

import pytest

from tests.integration.support import Ansible, Call
from tests.leaks import leaks, leaks_below
from tests.sandbox.rest.odd import KINDS, OddSandbox
from tests.sandbox.server import Fault, Response

MODULE = "rest_password_rotate"


@pytest.fixture
def odd() -> t.Iterator[OddSandbox]:
    with OddSandbox() as sandbox:
        yield sandbox
        assert sandbox.errors == []


def settings(odd: OddSandbox, kind: str) -> dict[str, t.Any]:
    given = {"url": odd.url, "secrets": {"admin_password": odd.admin_password}, "vars": {"admin_username": odd.admin}}
    return {**given, **KINDS[kind]}


@pytest.mark.parametrize("kind", ["form", pytest.param("rpc", marks=pytest.mark.slow), "doc"])
def test_through_ansible(odd: OddSandbox, ansible: Ansible, kind: str) -> None:
    old, new = secrets.token_urlsafe(12), f"a\"'\\${{username}} ä {secrets.token_urlsafe(12)}"
    odd.add_document("bob", old)
    bob = {**settings(odd, kind), "username": "bob", "password": new}
    calls = [
        Call(bob, keywords={"check_mode": True, "diff": True}),
        Call(bob, keywords={"diff": True}),
        Call(bob),
        Call({**bob, "update_password": "always", "recovered": True}),
        Call({**bob, "username": "nobody"}),
        Call({name: value for name, value in bob.items() if name != "password"}),
        Call({name: value for name, value in bob.items() if name != "password"}, keywords={"check_mode": True}),
    ]
    run = ansible.calls(MODULE, calls, "-vvvv", "--diff")
    foreseen, changed, same, again, nobody, without, to_be_made = run.answers
    assert foreseen["changed"] and not foreseen["verified"], foreseen
    assert changed["changed"] and changed["verified"] and changed["in_force"], changed
    assert (same["changed"], same["verified"], again["changed"], again["in_force"]) == (False, True, True, True)
    assert nobody["error_code"] == "not_found" and without["error_code"] == "invalid_input"
    assert to_be_made["changed"] and not to_be_made["failed"], to_be_made
    # Each step is shown, by -vvvv and by --diff, and none of its values.
    line = next(line for line in changed["diff"]["prepared"].splitlines() if line.startswith("change: "))
    assert run.output.count(line) >= 2, run.output
    hidden = [new, old, odd.admin_password, *odd.opened, *odd.forms, *odd.forms.values()]
    assert leaks(run.output, *hidden) == [] and leaks_below(ansible.home, *hidden) == []


def test_a_token_that_lives_one_second(odd: OddSandbox, ansible: Ansible) -> None:
    """Four users whose changes take 0.7 seconds each: four are rotated, with the fewest logins that will do."""
    odd.lasts = 1
    users = []
    for name in ("ann", "bob", "cyd", "dan"):
        odd.add_user(name, secrets.token_urlsafe(12))
        users.append({"username": name, "password": secrets.token_urlsafe(12)})
    odd.faults.add(Fault("PUT /form/users", times=9, delay=0.7))
    run = ansible.calls(MODULE, [Call({**settings(odd, "form"), "users": users})])
    rotations = run.answers[0]["rotations"]
    assert [(found["changed"], found["verified"]) for found in rotations] == [(True, True)] * 4, rotations
    administrators = [each for each in odd.requests if odd.admin_password.encode() in each.body]
    assert 2 <= len(administrators) <= 4


@pytest.mark.parametrize("kind", ["form", "doc"])
def test_proofs_at_the_same_time(odd: OddSandbox, ansible: Ansible, kind: str) -> None:
    """In order, with every step shown; what is silent, rubbish or cut stays with its own user."""
    names = ["ann", "bob", "cyd", "dan", "eve", "fay"]
    for name in names:
        odd.add_document(name, secrets.token_urlsafe(12))
    users = [{"username": name, "password": secrets.token_urlsafe(12)} for name in names]
    given = {**settings(odd, kind), "users": users, "update_password": "always", "verify_parallel": 4, "timeout": 2}
    proof = "POST /form" if kind == "form" else "GET /whoami"
    # The administrator of the first kind asks like that, too, and comes first.
    first = int(kind == "form")
    odd.faults.add(Fault(proof, skip=first + 1, hang="before"))
    odd.faults.add(Fault(proof, skip=first + 1, response=Response(200, b"\0" * (2 << 20))))
    run = ansible.calls(MODULE, [Call(given, keywords={"diff": True})], "-vvvv", "--diff")
    answer = run.answers[0]
    assert [found["username"] for found in answer["rotations"]] == names
    assert sorted(found["verified"] for found in answer["rotations"]) == [False] * 2 + [True] * 4, answer
    assert all(found["changed"] for found in answer["rotations"])
    shown = [line for steps in answer["diff"] for line in steps.get("prepared", "").splitlines()]
    proofs = [line for line in shown if line.startswith("verify: ")]
    assert len(proofs) == len(names) and all(line in run.output for line in shown)
    for found, line in zip(answer["rotations"], proofs, strict=True):
        assert ("no answer" in line) is ("no answer" in found.get("msg", "")), (found, line)
    hidden = [*(user["password"] for user in users), odd.admin_password, *odd.opened, *odd.forms, *odd.forms.values()]
    assert leaks(run.output, *hidden) == [] and leaks_below(ansible.home, *hidden) == []
