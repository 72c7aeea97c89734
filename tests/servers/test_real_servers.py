# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every recipe that has a real server rotates passwords on it, through ansible-playbook, and the server itself judges.

The servers are not ours, and neither is the request that asks them whether a password is in force.
"""

from __future__ import annotations

import contextlib
import secrets
import typing as t
from pathlib import Path

import pytest

from tests import recipes
from tests.integration.support import Ansible, Call
from tests.servers.catalogue import SERVERS
from tests.servers.server import Server

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

MODULE = "rest_password_rotate"
# What a password may stumble over on its way; § is where each run puts something of its own.
SHAPES = (
    "§",
    "'§\"\\`",
    "%41%2F§+&=#?/;,",
    "${username}${old_password}$${§",
    "{{ 7*7 }}{% raw %}§",
    "é ü § ☃ 😀",
    "  blanks § around  ",
    "line\nfeed\ttab§",
    ":colons:§",
    "<a>&amp;§]]>",
    "§" + 30 * "long",
)
Entry = dict[str, t.Any]


def password(shape: str = "§") -> str:
    return shape.replace("§", secrets.token_urlsafe(9))


class Scene:
    """Users of one server, one for each shape of a password, and the module's options to rotate them all."""

    def __init__(self, name: str, server: Server) -> None:
        self.recipe = recipes.recipe(name)
        self.server = server
        names = [*server.names, *(server.name(f"user{number}") for number in range(len(SHAPES)))][: len(SHAPES)]
        self.old = {user: password() for user in names}
        self.new = {user: password(shape) for user, shape in zip(names, SHAPES, strict=True)}
        for user, given in self.old.items():
            server.add_user(user, given)

    def options(self, passwords: dict[str, str], **more: t.Any) -> Entry:
        return {
            **self.recipe,
            "url": self.server.url,
            "vars": {**self.recipe.get("vars", {}), **self.server.vars},
            "secrets": self.server.secrets,
            "users": [{"username": user, "password": given} for user, given in passwords.items()],
            **more,
        }

    def accepted(self, passwords: dict[str, str]) -> list[str]:
        return [user for user, given in passwords.items() if self.server.accepts(user, given)]


@contextlib.contextmanager
def scene(name: str) -> t.Iterator[Scene]:
    reason = SERVERS[name].absent()
    if reason:
        pytest.skip(reason)
    with SERVERS[name].start() as server:
        yield Scene(name, server)


def all_are(entries: list[Entry], **expected: t.Any) -> bool:
    return all({key: entry.get(key) for key in expected} == expected for entry in entries)


@pytest.mark.parametrize("name", SERVERS)
def test_rotates(name: str, tmp_path: Path, record_property: t.Callable[[str, object], None]) -> None:
    with scene(name) as found:
        never = {user: password() for user in list(found.old)[:2]}
        wrong = {key: password() for key in found.server.secrets}
        calls = [
            Call(found.options(found.new), keywords={"check_mode": True}),
            Call(found.options({**found.new, found.server.name("nobody"): password()})),
            Call(found.options(found.new)),
            Call(found.options(never, secrets=wrong)),
        ]
        run = Ansible(tmp_path, {}).calls(MODULE, calls)
        assert len(run.answers) == len(calls), run.output
        checked, (*rotated, nobody), again, refused = (answer["rotations"] for answer in run.answers)

        assert all_are(checked, changed=True, failed=False, verified=False), checked
        # The check has changed nothing, or this would be unchanged.
        assert all_are(rotated, changed=True, failed=False, verified=True), rotated
        assert found.accepted(found.new) == list(found.new)
        assert found.accepted(found.old) == []
        assert all_are([nobody], changed=False, failed=True, error_code=found.server.no_user), nobody
        assert all_are(again, changed=False, failed=False, verified=True), again
        assert all_are(refused, changed=False, failed=True, error_code=found.server.wrong_admin), refused
        assert found.accepted(never) == []
        secret = {*found.old.values(), *found.new.values(), *never.values(), *wrong.values()}
        assert not any(given in text for text in (run.output, str(run.answers)) for given in secret)

        count = len(found.new)
        record_property(
            "real server",
            f"{name} {found.server.version}: {count} rotated, {count} proved, {count} old refused, second run "
            f"unchanged, wrong administrator refused ({found.server.wrong_admin})",
        )
