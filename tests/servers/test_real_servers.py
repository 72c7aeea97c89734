# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every recipe that has a real server rotates passwords on it, through ansible-playbook, and the server itself judges.

The servers are not ours, and neither is the request that asks them whether a password is in force.
"""

from __future__ import annotations

import collections
import re
import typing as t
from pathlib import Path

import pytest

from tests import recipes
from tests.integration.support import Ansible, Call
from tests.sandbox.keeper import KeeperSandbox
from tests.servers import synapse
from tests.servers.catalogue import SERVERS, start
from tests.servers.server import Server, password

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

MODULE = "rest_password_rotate"
# What a password may stumble over on its way; § is where each run puts something of its own.
SHAPES = (
    "§",
    "'§\"\\`%41%2F+&=#?/;,<a>&amp;]]>",
    "${username}${old_password}$${§ {{ 6*7 }}{% raw %}",
    ":é ü § ☃ 😀",
    "  blanks §\nline feed\ttab  ",
    "§" + 30 * "long",
)
Entry = dict[str, t.Any]


def options_for(name: str, server: Server, passwords: dict[str, str], **more: t.Any) -> Entry:
    """The module's options for users of a server."""
    # What passwords may look like is the role's business.
    recipe = {key: told for key, told in recipes.recipe(name).items() if key != "password_policy"}
    return {
        **recipe,
        "url": server.url,
        "vars": {**recipe.get("vars", {}), **server.vars},
        "secrets": server.secrets,
        "users": [{"username": user, "password": given} for user, given in passwords.items()],
        **more,
    }


class Scene:
    """Users of one server, one for each shape of a password, and the module's options to rotate them all."""

    def __init__(self, name: str, server: Server) -> None:
        self.recipe = name
        self.server = server
        # A server with one user gets all that is awkward at once.
        shapes = SHAPES if server.users >= len(SHAPES) else ["".join(SHAPES[1:5])]
        names = [*server.names, *(server.name(f"user{number}") for number in range(len(shapes)))][: len(shapes)]
        self.old = {user: password() for user in names}
        self.new = {user: server.fits(password(shape)) for user, shape in zip(names, shapes, strict=True)}
        for user, given in self.old.items():
            server.add_user(user, given)

    def options(self, passwords: dict[str, str], old: dict[str, str] | None = None, **more: t.Any) -> Entry:
        """old: for servers where users change their own."""
        options = options_for(self.recipe, self.server, passwords, **more)
        if self.server.own:
            for user in options["users"]:
                user["old_password"] = (old or self.old).get(user["username"]) or password()
        return options

    def accepted(self, passwords: dict[str, str]) -> list[str]:
        return [user for user, given in passwords.items() if self.server.accepts(user, given)]

    def switched_off(self) -> str | None:
        """A user who is there, and may not log in; None where the server knows no such thing."""
        if self.server.disable is None:
            return None
        user = self.server.name("off")
        self.server.add_user(user, password())
        self.server.disable(user)
        return user


def unlike(entries: list[Entry], **expected: t.Any) -> list[Entry]:
    """The entries that are not as expected."""
    return [entry for entry in entries if {key: entry.get(key) for key in expected} != expected]


def logins(answer: Entry) -> int:
    """How often the administrator has logged in: the last of the steps that do it is called auth or auth.before."""
    told = "".join(part.get("prepared", "") for part in answer["diff"])
    asked = re.findall(r"^(auth(?:\.before\[\d+\])?): ", told, re.MULTILINE)
    return max(collections.Counter(asked).values(), default=0)


@pytest.mark.parametrize("name", SERVERS)
def test_rotates(name: str, tmp_path: Path, record_property: t.Callable[[str, object], None]) -> None:
    with start(name) as server:
        found = Scene(name, server)
        off = found.switched_off()
        never = {user: password() for user in list(found.old)[:2]}
        wrong = {key: password() for key in found.server.secrets}
        calls = [
            Call(found.options(found.new), keywords={"check_mode": True}),
            Call(found.options({**found.new, found.server.name("nobody"): password()})),
            Call(found.options(found.new)),
            Call(found.options(never, dict.fromkeys(never, password()), secrets=wrong)),
            *([Call(found.options({off: password()}))] if off else []),
        ]
        run = Ansible(tmp_path, {}).calls(MODULE, calls)
        assert len(run.answers) == len(calls), run.output
        checked, (*rotated, nobody), again, refused, *disabled = (answer["rotations"] for answer in run.answers)

        assert unlike(checked, changed=True, failed=False, verified=False) == []
        # The check has changed nothing, or this would be unchanged.
        assert unlike(rotated, changed=True, failed=False, verified=True) == []
        assert found.accepted(found.new) == list(found.new)
        assert found.accepted(found.old) == []
        assert all(map(server.whole, found.new)), "something else of a user has changed"
        assert server.own or logins(run.answers[1]) <= 1, run.answers[1]["diff"]
        assert unlike([nobody], changed=False, failed=True, error_code=found.server.no_user) == []
        assert unlike(again, changed=False, failed=False, verified=True) == []
        assert unlike(refused, changed=False, failed=True, error_code=found.server.wrong_admin) == []
        assert found.accepted(never) == []
        for (entry,) in disabled:
            assert unlike([entry], changed=False, failed=True, error_code="refused") == []
            assert re.search(rf"{off}.*the user is (disabled|deactivated|not active)", entry["msg"]), entry
        secret = {*found.old.values(), *found.new.values(), *never.values(), *wrong.values()}
        assert not any(given in text for text in (run.output, str(run.answers)) for given in secret)

        count = len(found.new)
        record_property(
            "real server",
            f"{name:<12}{server.version:<11}{count:>8}{count:>8}  unchanged   {server.no_user:<13}"
            f"{server.wrong_admin:<15}{'own' if server.own else logins(run.answers[1]) or '-':>6}  "
            f"{'refused' if off else '-'}",
        )


def test_the_guide_can_be_followed(tmp_path: Path) -> None:
    """Its playbook, as it stands there, with the recipe of the server that starts fastest."""
    (tmp_path / "try.yml").write_text(recipes.in_guide("try.yml"))
    with start("etcd") as server:
        old, new = password(), password("{§}'\"")
        server.add_user("test", old)
        variables = {
            "recipe": str(recipes.path("etcd")),
            "url": server.url,
            "user": "test",
            "admin_password": server.secrets["admin_password"],
            "new_password": {"__ansible_unsafe": new},
        }
        ansible = Ansible(tmp_path, {})
        run = ansible.run(str(tmp_path / "try.yml"), variables, "--check")
        assert run.returncode == 0 and '"changed": true' in run.stdout, run.output
        assert server.accepts("test", old) and not server.accepts("test", new)
        run = ansible.run(str(tmp_path / "try.yml"), variables)
        assert run.returncode == 0 and '"verified": true' in run.stdout, run.output
        assert server.accepts("test", new) and not server.accepts("test", old)
        assert new not in run.output


def test_the_role_from_the_vault_to_a_real_server(tmp_path: Path) -> None:
    """A recipe by its name, the administrator's record of Keeper's guide, and nothing else."""
    with start("etcd") as server, KeeperSandbox() as vault:
        old = password()
        server.add_user("app", old)
        admin = {"login": server.vars["admin_username"], "password": server.secrets["admin_password"]}
        vault.add_record(title="API Access Details", fields={**admin, "url": server.url})
        uid = vault.add_record(title="app", type="pamUser", fields={"login": "app", "password": old})
        config = vault.write_client_config(tmp_path / "ksm-config.json")
        ansible = Ansible(tmp_path, vault.environment())
        variables = {
            "keeper_config_file": str(config),
            "rest_password_rotate_records": ["app"],
            "rest_password_rotate_recipe": "etcd",
        }
        run = ansible.run("keyturn.credentials.rest_password_rotate", variables)
        assert run.returncode == 0 and "1 rotated, 0 recovered, 0 not due, 0 failed" in run.stdout, run.output
        new = str(vault.field(uid, "password"))
        assert server.accepts("app", new) and not server.accepts("app", old)
        run = ansible.run("keyturn.credentials.rest_password_rotate", variables)
        assert run.returncode == 0 and "0 rotated, 0 recovered, 1 not due, 0 failed" in run.stdout, run.output
        assert vault.field(uid, "password") == new and vault.errors == []


def test_a_real_limit_of_logins(tmp_path: Path, record_property: t.Callable[[str, object], None]) -> None:
    """Synapse as it comes lets an address log in a few times: what was not proved is not claimed."""
    reason = synapse.absent()
    if reason:
        pytest.skip(reason)
    with synapse.start(limited=True) as server:
        names = [server.name(name) for name in ("one", "two", "three")]
        for user in names:
            server.add_user(user, password())
        options = options_for("synapse", server, {user: password() for user in names})
        run = Ansible(tmp_path, {}).calls(MODULE, [Call(options)])
        first, *others = run.answers[0]["rotations"]
        assert unlike([first], changed=True, verified=True, failed=False) == []
        limited = [entry for entry in others if entry["failed"]]
        assert limited and unlike(limited, verified=False, retry_safe=True) == []
        # Before the change it is a limit; after it, nobody knows.
        seen = [(entry["error_code"], entry["changed"]) for entry in limited]
        assert set(seen) <= {("rate_limited", False), ("unknown_outcome", True)}, seen
        record_property("real server", f"synapse with its own limits: 1 rotated and proved, then {seen}")
