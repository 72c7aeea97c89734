# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin through ansible-inventory and the fleet's playbook, against the sandbox vault."""

from __future__ import annotations

import datetime as dt
import json
import resource
import time
import typing as t
from pathlib import Path

import pytest

from tests.integration.conftest import fresh_password
from tests.integration.inventory import Scene
from tests.integration.support import Ansible
from tests.sandbox.fleet import KIND, Fleet
from tests.sandbox.keeper import KeeperSandbox, crypto
from tests.sandbox.server import Fault

Entry = dict[str, t.Any]

_MANY = 5_000
_ACCOUNTS = 100
_LONGEST = 10.0


@pytest.fixture
def scene(tmp_path: Path, vault: KeeperSandbox) -> Scene:
    vault.write_client_config(tmp_path / "ksm-config.json")
    return Scene(tmp_path, vault, Ansible(tmp_path, vault.environment()))


def rotations(inventory: Entry, host: str) -> list[Entry]:
    return t.cast("list[Entry]", inventory["_meta"]["hostvars"][host]["keyturn_rotations"])


@pytest.mark.core
def test_hosts_groups_and_what_is_wrong(scene: Scene) -> None:
    """One call; a title is no template; each problem is one line, and becomes no secret."""
    admin = scene.add("{{ 6 * 7 }}", "ROTATOR")
    good = scene.add(
        "good", "GOOD", rotation_module=KIND, rotation_admin_record=admin, rotated_at="2999-01-01T00:00:00Z"
    )
    stuck = scene.add(
        "stuck",
        "STUCK",
        rotation_module="{{ lookup('env', 'HOME') }}",
        rotation_admin_record=admin,
        rotation_pending=fresh_password(),
    )
    lost = scene.add("lost", "LOST", rotation_module=KIND, rotation_admin_record="nobody")
    inventory, errors = scene.list(scene.source())
    assert scene.vault.journal.labels() == ["get_secret *"]
    assert set(inventory["_meta"]["hostvars"]) == {"6_7", "without_admin_record"}
    assert inventory["_meta"]["hostvars"]["6_7"]["ansible_connection"] == "local"
    assert inventory["_meta"]["hostvars"]["6_7"]["keeper_config_file"] == str(scene.directory / "ksm-config.json")
    assert sorted(entry["records"] for entry in rotations(inventory, "6_7")) == sorted([[good], [stuck]])
    assert "lookup('env', 'HOME')" in json.dumps(rotations(inventory, "6_7"))
    assert [entry["records"] for entry in rotations(inventory, "without_admin_record")] == [[lost]]
    groups = {name: members["hosts"] for name, members in inventory.items() if "hosts" in members}
    assert groups == {
        KIND: ["6_7", "without_admin_record"],
        "keyturn_due": ["6_7", "without_admin_record"],
        "keyturn_pending": ["6_7"],
        "keyturn_problems": ["6_7", "without_admin_record"],
    }
    for line in ("stuck (", "is unknown. Known are", "lost (", "rotation_admin_record cannot be used"):
        assert line in " ".join(errors.split()), errors


def test_a_configuration_that_everybody_can_read_is_told(scene: Scene) -> None:
    for mode, told in ((0o600, False), (0o644, True)):
        (scene.directory / "ksm-config.json").chmod(mode)
        _inventory, errors = scene.list(scene.source())
        assert ("Everybody on this machine can read the file" in " ".join(errors.split())) is told


@pytest.mark.core
def test_any_record_and_the_healthy_ones_are_there(scene: Scene) -> None:
    """No kind anywhere, typos, doubles and strange fields: each is a problem with a reason, and no one else's."""
    admin = scene.add("Snowflake prod", "ROTATOR")
    good = scene.add(
        "good", "GOOD", **{"Rotation Module": f"keyturn.credentials.{KIND}", "rotation-admin-record": admin}
    )
    reasons = {
        scene.add("no kind", "A", rotation_admin_record=admin): "It has no rotation_module. Known are",
        scene.add("typo", "B", rotation_module="snowflake_user_pasword", rotation_admin_record=admin): f"mean {KIND}?",
        scene.add(
            "title", "C", rotation_module=KIND, rotation_admin_record="Snowflake pord"
        ): "title is Snowflake prod.",
        scene.add(
            "twice", "D", rotation_module=KIND, rotation_admin_record=admin, Rotation_Module="x"
        ): "several values",
    }
    strange = scene.add("strange", "E", rotation_module=KIND, rotation_admin_record=admin)
    scene.vault.edit(strange, lambda content: content["fields"].insert(0, {"type": "login", "value": [{"a": [1]}]}))
    scene.vault.edit(scene.add("odd", "F"), lambda content: content.update(custom=[{"label": 7, "value": {"x": None}}]))
    inventory, errors = scene.list(scene.source())
    told = {
        uid: entry
        for host in inventory["_meta"]["hostvars"]
        for entry in rotations(inventory, host)
        for uid in entry.get("records", [])
    }
    assert "problem" not in told[good] and told[good]["kind"] == KIND
    for uid, words in reasons.items():
        assert words in told[uid]["problem"] and told[uid]["problem"] in " ".join(errors.split())
    assert inventory["keyturn_problems"]["hosts"] == ["Snowflake_prod", "without_admin_record"]


@pytest.mark.core
def test_what_cannot_be_decrypted_is_told_and_the_others_are_there(scene: Scene) -> None:
    admin = scene.add("prod", "ROTATOR")
    good = scene.add("good", "GOOD", rotation_module=KIND, rotation_admin_record=admin)
    broken = scene.add("broken", "BROKEN", rotation_module=KIND, rotation_admin_record=admin)
    scene.vault.records[broken].key = crypto.new_key()
    scene.damaged = {broken}
    inventory, errors = scene.list(scene.source())
    assert [entry["records"] for entry in rotations(inventory, "prod")] == [[good]]
    assert (
        "1 records or folders of Keeper could not be decrypted"
        in rotations(inventory, "without_admin_record")[0]["problem"]
    )
    assert inventory["keyturn_problems"]["hosts"] == ["without_admin_record"] and "could not be decrypted" in errors


@pytest.mark.core
def test_the_cache_holds_no_secret_and_due_is_found_out_anew(scene: Scene) -> None:
    admin = scene.add("prod", "ROTATOR")
    today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    uid = scene.add("A", "A", rotation_module=KIND, rotation_admin_record=admin, rotated_at=today)
    cache = scene.directory / "cache"
    cached = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(cache)}
    first, _errors = scene.list(scene.source(**cached))
    assert "keyturn_not_due" in first and len(scene.vault.journal.labels()) == 1
    (file,) = cache.iterdir()
    assert uid in file.read_text("utf-8")
    scene.assert_no_secret(file.read_text("utf-8"))
    scene.vault.remove(uid)
    again, _errors = scene.list(scene.source(**cached))
    assert again == first and scene.vault.journal.labels() == []
    old = file.read_text("utf-8").replace(today, "2001-01-01")
    file.write_text(old)
    due, _errors = scene.list(scene.source(**cached))
    assert "keyturn_due" in due and "keyturn_not_due" not in due
    fresh, errors = scene.list(scene.source(**cached), "--flush-cache")
    assert "prod" not in json.dumps(fresh) and len(scene.vault.journal.labels()) == 1
    assert "No record that Keeper shows has a custom field rotation_admin_record" in " ".join(errors.split())


@pytest.mark.core
def test_a_vault_that_cannot_be_read_is_one_clear_line(scene: Scene) -> None:
    scene.vault.faults.add(Fault("get_secret", drop="after"))
    _inventory, errors = scene.list(scene.source())
    assert "Reading from Keeper: no answer from Keeper" in " ".join(errors.split()) and "[unreachable]" in errors
    for options, words in (
        ({"keeper_config_file": str(scene.directory / "missing.json")}, "missing.json does not exist"),
        ({"keeper_config_file": None, "keeper_config": "rubbish"}, "neither JSON nor base64 of JSON"),
        ({"max_age": "monthly"}, "max_age must be a number and a unit"),
    ):
        _inventory, errors = scene.list(scene.source(**options))
        assert words in " ".join(errors.split()) and "Traceback" not in errors
        assert scene.vault.journal.labels() == []


@pytest.mark.core
def test_the_fleet_rotates_what_the_vault_names(scene: Scene) -> None:
    """Two accounts from the vault; one record is wrong, and its account's others are done."""
    with Fleet(scene.vault, accounts=2, users=2, marked=True) as fleet:
        first, second = fleet.accounts
        scene.add("astray", "ASTRAY", rotation_module="nonsense", rotation_admin_record=second.admin_uid)
        variables = {"keyturn_report_dir": str(scene.directory / "report")}
        # Where the sandbox is, a real inventory need not say: the accounts' names tell.
        connections = scene.directory / "host_vars"
        connections.mkdir()
        for account in fleet.accounts:
            content = {"keyturn_connections": {KIND: account.connection()}}
            (connections / f"{account.name}.json").write_text(json.dumps(content))
        run = scene.ansible.run("keyturn.credentials.rotate", variables, "-i", str(scene.source()))
        assert run.returncode == 2, run.output
        report = json.loads((scene.directory / "report" / "rotation.json").read_text("utf-8"))
        assert report["counts"]["rotated"] == 4 and report["counts"]["failed"] == 1
        assert [account["state"] for account in report["accounts"]] == ["done", "failed"]
        assert all(fleet.settled(account, user) for account in fleet.accounts for user in account.uids)
        scene.assert_no_secret(run.output)
        assert fleet.errors == []


@pytest.mark.core
@pytest.mark.slow
def test_five_thousand_records(scene: Scene, record_property: t.Callable[[str, object], None]) -> None:
    admins = [scene.add(f"account {number}", "ROTATOR") for number in range(_ACCOUNTS)]
    for number in range(_MANY):
        scene.add(
            f"user {number}", f"U{number}", rotation_module=KIND, rotation_admin_record=admins[number % _ACCOUNTS]
        )
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    inventory, _errors = scene.list(scene.source())
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{_MANY} records: wall {wall:.1f} s, CPU {cpu:.1f} s, {len(scene.vault.journal.labels())} call")
    record_property("inventory", f"{_MANY} records: wall {wall:.1f} s, CPU {cpu:.1f} s")
    assert len(inventory["_meta"]["hostvars"]) == _ACCOUNTS
    assert sum(len(rotations(inventory, host)[0]["records"]) for host in inventory["_meta"]["hostvars"]) == _MANY
    # CPU, because the wall's time is also that of the sandbox, and of whatever else the machine does.
    assert cpu < _LONGEST
