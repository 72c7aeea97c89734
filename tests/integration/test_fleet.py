# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet's playbook through real ansible-playbook: isolation, batches, choices, bad input, and the report."""

from __future__ import annotations

import collections
import functools
import itertools
import json
import re
import secrets
import stat
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.integration.conftest import fresh_password
from tests.integration.scenes import RECIPE
from tests.integration.support import Ansible, Run
from tests.sandbox.fleet import KEY_KIND, KIND, Account, Fleet
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.rest import RestSandbox
from tests.sandbox.scenery import ADMIN
from tests.sandbox.server import Fault

Entry = dict[str, t.Any]

PLAYBOOK = "keyturn.credentials.rotate"
_ALWAYS = 1_000_000
_RECAP = re.compile(r"^(\S+)\s+: ok=.*unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


class Scene:
    """A fleet, its inventory, and the report of the last run."""

    def __init__(self, directory: Path, vault: KeeperSandbox, fleet: Fleet) -> None:
        self.directory, self.vault, self.fleet = directory, vault, fleet
        self.ansible = Ansible(directory, vault.environment())
        self.config = vault.write_client_config(directory / "ksm-config.json")
        self.seen = fleet.secrets()

    def run(self, *arguments: str, hosts: dict[str, t.Any] | None = None, **variables: t.Any) -> Run:
        """The playbook on the usual inventory, as far as ``hosts`` does not say otherwise."""
        inventory = self.fleet.write_inventory(self.directory / "inventory.json", hosts)
        given = {"keeper_config_file": str(self.config), "keyturn_report_dir": str(self.reports), **variables}
        self.vault.journal.clear()
        run = self.ansible.run(PLAYBOOK, given, "-i", str(inventory), *arguments)
        self.seen |= self.fleet.secrets()
        self.assert_no_secret(run.output, *(path.read_text("utf-8") for path in self.reports.glob("*")))
        return run

    def assert_no_secret(self, *texts: str) -> None:
        assert [secret for secret in self.seen if any(secret in text for text in texts)] == []

    @property
    def reports(self) -> Path:
        return self.directory / "report"

    @property
    def report(self) -> Entry:
        return t.cast(Entry, json.loads((self.reports / "rotation.json").read_text("utf-8")))

    def told(self) -> dict[str, list[Entry]]:
        """{host: its credentials}."""
        return {account["name"]: account["credentials"] for account in self.report["accounts"]}

    def outcomes(self) -> dict[str, list[str]]:
        return {name: [row["outcome"] for row in rows] for name, rows in self.told().items()}

    def written(self) -> int:
        return len(self.vault.journal.labels("update_secret"))


def make(directory: Path, vault: KeeperSandbox, accounts: int) -> t.Iterator[Scene]:
    with Fleet(vault, accounts=accounts, users=2) as fleet:
        yield Scene(directory, vault, fleet)
        assert fleet.errors == []


@pytest.fixture
def scene(tmp_path: Path, vault: KeeperSandbox) -> t.Iterator[Scene]:
    """Three accounts with two users each."""
    yield from make(tmp_path, vault, 3)


@pytest.fixture
def large(tmp_path: Path, vault: KeeperSandbox) -> t.Iterator[Scene]:
    """Eight accounts with two users each."""
    yield from make(tmp_path, vault, 8)


def judge_history(scene: Scene) -> None:
    """A line for each credential, with what the report has, and the name of the run."""
    file = scene.reports / "history.jsonl"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    (run_id,) = {line.pop("run_id") for line in lines}
    assert re.fullmatch("[0-9a-f]{16}", run_id) and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(re.fullmatch(r"[-0-9]{10}T[:0-9]{8}Z", line.pop("time")) for line in lines)
    told: dict[str, list[Entry]] = {}
    for line in lines:
        told.setdefault(line.pop("account"), []).append(line)
    assert told == scene.told()


def failed_hosts(run: Run) -> dict[str, bool]:
    """{host: whether it failed or was unreachable} from the play's recap."""
    return {host: (unreachable, failed) != ("0", "0") for host, unreachable, failed in _RECAP.findall(run.stdout)}


def broken_hosts(large: Scene) -> dict[str, t.Any]:
    """What the hosts from account_001 on are given, each with another thing wrong; account_000 has nothing wrong."""
    _good, silent, locked, lost, nameless, _bare, twins, remote = large.fleet.accounts
    silent.snowflake.faults.add(Fault("", times=_ALWAYS, hang="before"))
    second_admin = large.vault.add_record(
        title="second administrator",
        fields={"login": ADMIN, "password": str(locked.snowflake.user(ADMIN).password)},
        custom=[{"type": "text", "label": "snowflake_account_name", "value": [locked.snowflake.account.name]}],
    )
    large.vault.edit(locked.admin_uid, lambda content: content["fields"][1].update(value=[fresh_password()]))
    large.vault.remove(lost.admin_uid)
    twin = large.vault.add_record(title="a twin", fields={"login": "user_000", "password": fresh_password()})
    first, second = locked.uids.values()
    return {
        silent.name: {
            "keyturn_rotations": [silent.rotation(connection={**silent.connection(), "login_timeout": 2})],
        },
        locked.name: {
            "keyturn_rotations": [
                locked.rotation(records=[first]),
                {"kind": "snowflake_user_passwort", "admin_record": second_admin, "records": ["of no known kind"]},
                locked.rotation(records=[second], admin_record=second_admin),
            ],
        },
        nameless.name: {"keyturn_rotations": [nameless.rotation(admin_record=None)]},
        "account_005": {"something": "else"},
        twins.name: {"keyturn_rotations": [twins.rotation(records=[*twins.uids.values(), twin])]},
        remote.name: {
            "keyturn_rotations": [remote.rotation()],
            "ansible_connection": "ssh",
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
        },
    }


@pytest.mark.core
def test_whatever_is_wrong_with_an_account_the_others_are_done(large: Scene) -> None:
    large.ansible.environment |= {"ANSIBLE_SHOW_CUSTOM_STATS": "true"}
    run = large.run("--forks", "4", hosts=broken_hosts(large))
    assert run.returncode not in (0, 1, 250), run.output
    good, silent, locked, lost, nameless, bare, twins, remote = large.fleet.accounts
    told = large.told()
    assert failed_hosts(run) == {"localhost": False} | {
        account.name: account not in (good, remote) for account in large.fleet.accounts
    }
    assert large.outcomes() == {
        good.name: ["rotated", "rotated"],
        silent.name: ["failed", "failed"],
        locked.name: ["failed", "failed", "rotated"],
        lost.name: ["failed", "failed"],
        nameless.name: ["failed", "failed"],
        bare.name: ["failed"],
        # Two records of one user fail themselves only.
        twins.name: ["failed", "rotated", "failed"],
        # Whatever an inventory says: nothing is done on other machines.
        remote.name: ["rotated", "rotated"],
    }, run.output
    assert large.fleet.settled(good, "USER_000") and large.fleet.settled(good, "USER_001")
    assert large.fleet.settled(locked, "USER_001")
    assert {row["error_code"] for row in told[silent.name]} <= {"unreachable", "unknown_outcome"}
    assert [row["error_code"] for row in told[locked.name]] == ["auth_failed", "invalid_input", None]
    assert "snowflake_user_passwort is unknown" in told[locked.name][1]["msg"]
    assert "The administrator's Keeper record is " in run.stdout and f"({locked.admin_uid})." in run.stdout
    assert [row["error_code"] for row in told[lost.name]] == ["not_found", "not_found"]
    assert "no admin_record" in told[nameless.name][0]["msg"]
    assert "no keyturn_rotations" in told[bare.name][0]["msg"]
    assert "user_000" in told[twins.name][0]["msg"].casefold()
    report = large.report
    states = collections.Counter(account["state"] for account in report["accounts"])
    assert states == {"done": 2, "failed": 6} and report["complete"]
    for text in (
        "8 accounts: 2 done, 6 failed, 0 without a result",
        "17 credentials: 6 rotated, 11 failed",
        "8 of 8: ",
    ):
        assert text in run.stdout
    # Each failed account says why in its last line.
    assert len(re.findall(r"^fatal: \[account_00[1-6]\]: FAILED! =>", run.stdout, re.MULTILINE)) >= 6
    assert json.loads(run.stdout.partition("RUN: ")[2].splitlines()[0]) == {
        **{f"keyturn_{name}": count for name, count in report["counts"].items()},
        "keyturn_failed_records": [
            row["record_uid"] or row["record"]
            for rows in told.values()
            for row in rows
            if row["outcome"] == "failed" and row["record"]
        ],
    }
    judge_history(large)
    cases = list(ET.parse(large.reports / "rotation.xml").getroot().iter("testcase"))
    kinds = collections.Counter(child.tag for case in cases for child in case)
    assert len(cases) == 17 and kinds == {"failure": 11, "system-out": 6}


@pytest.mark.slow
def test_the_next_run_and_what_it_is_told(scene: Scene) -> None:
    first, second, third = scene.fleet.accounts
    key = scene.fleet.add_key_user(first, "PIPELINE")
    hosts = {
        first.name: {
            "keyturn_rotations": [
                first.rotation(connection=None),
                first.rotation(kind=KEY_KIND, records=[key], connection=None, max_age="7d"),
            ],
            # The other way to say the same, for a whole group.
            "keyturn_connections": {KIND: first.connection(), KEY_KIND: first.connection()},
        }
    }

    checked = scene.run("--check", hosts=hosts)
    assert checked.returncode == 0, checked.output
    assert scene.written() == 0 and scene.report["check_mode"]
    assert scene.outcomes() == {first.name: ["due"] * 3, second.name: ["due"] * 2, third.name: ["due"] * 2}

    tagged = scene.run("--tags", KEY_KIND, "--limit", first.name, hosts=hosts)
    assert tagged.returncode == 0, tagged.output
    assert scene.outcomes() == {first.name: ["left_out", "left_out", "rotated"]}
    (row,) = [row for row in scene.told()[first.name] if row["kind"] == KEY_KIND]
    assert row["verified"] and row["max_age"] == "7d" and row["next_due"][:10] > row["rotated_at"][:10]

    rest = scene.run(hosts=hosts)
    assert rest.returncode == 0, rest.output
    assert scene.report["complete"] and scene.report["counts"]["rotated"] == 6
    assert scene.outcomes()[first.name] == ["rotated", "rotated", "not_due"]

    again = scene.run(hosts=hosts)
    assert again.returncode == 0 and scene.written() == 0
    assert scene.report["counts"] == dict.fromkeys(scene.report["counts"], 0) | {"not_due": 7}
    # Four rotations, with a read each of the administrator's record and of all others.
    assert len(scene.vault.journal.labels("get_secret")) == 4 * 2

    forced = scene.run("--limit", f"{second.name},{third.name}", hosts=hosts, keyturn_force=True)
    assert forced.returncode == 0 and scene.report["counts"]["rotated"] == 4
    # And before and after staging and committing.
    assert len(scene.vault.journal.labels("get_secret")) == 2 * 6 and scene.written() == 4 * 2
    assert all(scene.fleet.settled(account, user) for account in scene.fleet.accounts for user in account.uids)


def test_every_kind_and_one_twice(scene: Scene, meraki: MerakiSandbox, rest: RestSandbox, tmp_path: Path) -> None:
    """Two rotations of one kind on one host do not mix; what Meraki and a REST API rotate is told alike."""
    first, second, _third = scene.fleet.accounts
    key, password = secrets.token_hex(20), fresh_password()
    meraki.add_key(key)
    meraki.add_user(meraki.network.id, "a@example.com", password)
    vpn_admin = scene.vault.add_record(
        title="Meraki",
        fields={"password": key},
        custom=[{"type": "text", "label": "network_id", "value": [meraki.network.id]}],
    )
    vpn = scene.vault.add_record(title="VPN", fields={"login": "a@example.com", "password": password})
    rest.add_user("A", password)
    api_admin = scene.vault.add_record(
        title="API",
        fields={"login": rest.admin, "password": rest.admin_password, "url": rest.url},
        custom=[{"type": "text", "label": "Realm", "value": ["users"]}],
    )
    api = scene.vault.add_record(title="API user", fields={"login": "A", "password": password})
    recipe = tmp_path / "recipe.yml"
    recipe.write_text(json.dumps(RECIPE))
    hosts: dict[str, t.Any] = {
        first.name: {"keyturn_rotations": [first.rotation(records=[uid]) for uid in first.uids.values()]},
        second.name: {"keyturn_rotations": [second.rotation(), {"kind": "rest_password_rotate", "recipe": "x"}]},
        "vpn": {
            "keyturn_rotations": [{"kind": "meraki_vpn_user_password", "admin_record": vpn_admin, "records": [vpn]}],
            "keyturn_connections": {"meraki_vpn_user_password": {"api_url": meraki.url}},
        },
        "api": {
            "keyturn_rotations": [
                {
                    "kind": "rest_password_rotate",
                    "admin_record": api_admin,
                    "records": [api],
                    "recipe": str(recipe),
                    "connection": {"timeout": 5, "max_retries": 0},
                }
            ],
        },
    }
    run = scene.run(hosts=hosts)
    assert run.returncode == 2, run.output
    outcomes = scene.outcomes()
    assert outcomes[first.name] == ["rotated", "rotated"]
    assert [row["record"] for row in scene.told()[first.name]] == list(first.uids.values())
    assert outcomes[second.name] == ["rotated", "rotated", "failed"]
    assert outcomes["vpn"] == outcomes["api"] == ["rotated"]
    assert scene.told()["api"][0]["verified"] and not scene.told()["vpn"][0]["verified"]
    assert meraki.accepts("a@example.com", str(scene.vault.field(vpn, "password")))
    assert rest.accepts("A", str(scene.vault.field(api, "password")))
    assert all(scene.fleet.settled(account, user) for account in (first, second) for user in account.uids)


@pytest.mark.slow
def test_canaries_and_percentages(scene: Scene) -> None:
    first, second, third = scene.fleet.accounts

    def forget(account: Account) -> dict[str, t.Any]:
        return {account.name: {"keyturn_rotations": [account.rotation(admin_record="no such record")]}}

    canary = scene.run(hosts=forget(first), keyturn_serial=[1, "100%"])
    assert canary.returncode == 2, canary.output
    assert scene.outcomes() == {
        first.name: ["failed", "failed"],
        second.name: ["no_result", "no_result"],
        third.name: ["no_result", "no_result"],
    }
    assert scene.written() == 0

    some = scene.run(hosts=forget(second), keyturn_serial=2, keyturn_max_fail_percentage=40)
    assert some.returncode == 2, some.output
    assert [outcome[0] for outcome in scene.outcomes().values()] == ["rotated", "failed", "no_result"]

    rest = scene.run(hosts=forget(second), keyturn_serial=2)
    assert rest.returncode == 2, rest.output
    assert [outcome[0] for outcome in scene.outcomes().values()] == ["not_due", "failed", "rotated"]
    assert scene.report["complete"]


def test_no_account_at_all_is_no_success(scene: Scene) -> None:
    nothing = scene.ansible.run(
        PLAYBOOK, {"keyturn_report_dir": str(scene.reports)}, "-i", str(scene.directory / "missing.json")
    )
    assert nothing.returncode == 2 and "The inventory has no hosts" in nothing.stdout
    assert scene.report["problem"].startswith("The inventory has no hosts") and not scene.report["complete"]
    assert "The inventory has no hosts" in (scene.reports / "rotation.html").read_text("utf-8")
    (case,) = ET.parse(scene.reports / "rotation.xml").getroot().iter("testcase")
    assert case.find("error") is not None
    limited = scene.ansible.run(PLAYBOOK, {}, "-i", str(scene.directory / "missing.json"), "--limit", "keyturn_due")
    assert limited.returncode != 0 and "The inventory has no hosts" in limited.output
    nobody = scene.run("--limit", "account_999")
    assert nobody.returncode == 1 and scene.written() == 0


def test_what_is_mistyped_spoils_nothing_and_is_no_success(scene: Scene) -> None:
    """A tag that is no kind, and a template of one host that cannot be evaluated."""
    first, *others = scene.fleet.accounts
    tag = scene.run("--tags", "snowflake_user_pasword")
    assert tag.returncode == 2 and "No kind of rotation is called snowflake_user_pasword" in tag.stdout
    assert scene.written() == 0

    run = scene.run(hosts={first.name: {"keyturn_rotations": "{{ nowhere }}"}})
    assert run.returncode == 2, run.output
    assert [host for host, failed in failed_hosts(run).items() if failed] == [first.name]
    assert [row["outcome"] for row in scene.told()[first.name]] == ["failed"]
    assert all(scene.fleet.settled(account, user) for account in others for user in account.uids)


@pytest.mark.parametrize(
    "given", [{"records": ["another record"]}, {"admin_record": "another administrator"}, {"connection": {"port": 1}}]
)
def test_what_would_win_over_every_accounts_own_is_refused(given: dict[str, t.Any], scene: Scene) -> None:
    """An extra variable of a role reaches all accounts; what it says of one is wrong for the others."""
    ((name, value),) = given.items()
    run = scene.run(**{f"{KIND}_{name}": value})
    assert run.returncode == 2, run.output
    assert set(scene.outcomes()) == {account.name for account in scene.fleet.accounts}
    assert {outcome for outcomes in scene.outcomes().values() for outcome in outcomes} == {"failed"}
    assert all(f"{KIND}_{name}" in row["msg"] for rows in scene.told().values() for row in rows)
    assert scene.written() == 0 and not any(account.snowflake.journal.labels() for account in scene.fleet.accounts)


def test_what_a_site_says_for_the_roles_alone_is_not_the_fleets(scene: Scene) -> None:
    hosts = {
        account.name: {
            "keyturn_rotations": [account.rotation()],
            f"{KIND}_connection": {"port": 1},
            f"{KIND}_records": ["another record"],
        }
        for account in scene.fleet.accounts
    }
    run = scene.run(hosts=hosts)
    assert run.returncode == 0, run.output
    assert {outcome for outcomes in scene.outcomes().values() for outcome in outcomes} == {"rotated"}


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_variable_is_none(blank: t.Any, scene: Scene) -> None:
    batches = {"keyturn_serial": blank, "keyturn_max_fail_percentage": blank, "keyturn_task_timeout": blank}
    whole = {"keyturn_force": blank, "keyturn_max_age": blank, "keyturn_consumers_dir": blank}
    run = scene.run(**batches, **whole, keyturn_events_url=blank, keyturn_report_dir=blank)
    assert run.returncode == 0, run.output
    assert all(scene.fleet.settled(account, user) for account in scene.fleet.accounts for user in account.uids)
    assert not scene.reports.exists()


def test_a_report_that_cannot_be_written_fails_the_run_and_stops_no_account(scene: Scene) -> None:
    scene.reports.mkdir()
    (scene.directory / "file").touch()
    run = scene.run(keyturn_report_dir=str(scene.directory / "file" / "report"))
    assert run.returncode == 2 and "The report cannot be written to" in run.output, run.output
    assert all(scene.fleet.settled(account, user) for account in scene.fleet.accounts for user in account.uids)
    assert scene.written() == 2 * sum(len(account.uids) for account in scene.fleet.accounts)


def test_what_the_vault_says_of_no_record_in_particular_is_told_of_each(scene: Scene) -> None:
    run = scene.run(keyturn_max_age=30)
    assert run.returncode == 2 and scene.written() == 0, run.output
    for told in itertools.chain(*scene.told().values()):
        assert (told["error_code"], told["left"]) == ("invalid_input", "untouched")
        assert told["msg"].startswith("max_age must be a number and a unit")


@pytest.mark.slow
def test_a_task_that_hangs_ends_and_the_others_are_done(scene: Scene) -> None:
    """The longest that a task may take is bounded from outside too, whatever it waits for."""
    first, *others = scene.fleet.accounts
    first.snowflake.faults.add(Fault("", times=_ALWAYS, hang="before"))
    patient = first.rotation(connection={**first.connection(), "login_timeout": 3600})
    run = scene.run(hosts={first.name: {"keyturn_rotations": [patient]}}, keyturn_task_timeout=60)
    assert run.returncode == 2, run.output
    told = scene.told()
    assert [row["outcome"] for row in told[first.name]] == ["failed", "failed"]
    assert all("timed out" in row["msg"].lower() for row in told[first.name]), told[first.name]
    assert all(scene.fleet.settled(account, user) for account in others for user in account.uids)


@pytest.mark.slow
def test_a_vault_that_times_out_in_the_middle_fails_only_whom_it_concerns(scene: Scene) -> None:
    """The first account's second save is never answered: what Snowflake has taken is committed by the next run."""
    first, *others = scene.fleet.accounts
    for uid in first.uids.values():
        scene.vault.faults.add(Fault(f"update_secret {uid}", skip=1, times=_ALWAYS, hang="before"))
    run = scene.run()
    assert run.returncode == 2, run.output
    assert [row["outcome"] for row in scene.told()[first.name]] == ["failed", "failed"]
    assert all(row["pending"] and row["retry_safe"] for row in scene.told()[first.name])
    assert all(scene.fleet.settled(account, user) for account in others for user in account.uids)

    scene.vault.faults.clear()
    again = scene.run()
    assert again.returncode == 0, again.output
    assert scene.outcomes()[first.name] == ["recovered", "recovered"]
    assert all(scene.fleet.settled(account, user) for account in scene.fleet.accounts for user in account.uids)


def _extend(custom: list[Entry], content: Entry) -> None:
    content["custom"].extend(custom)


def test_options_on_the_administrators_record_mean_the_same_here(scene: Scene, meraki: MerakiSandbox) -> None:
    """As in the gateway's script: in any spelling, without a connection."""
    first, *_others = scene.fleet.accounts
    options = {name.replace("_", " ").title(): str(value) for name, value in first.connection().items()}
    key, password = secrets.token_hex(20), fresh_password()
    meraki.add_key(key)
    meraki.add_user(meraki.network.id, "a@example.com", password)
    admin = scene.vault.add_record(title="Meraki", fields={"password": key})
    vpn = scene.vault.add_record(title="VPN", fields={"login": "a@example.com", "password": password})
    for uid, fields in (
        (first.admin_uid, options),
        (admin, {"API URL": meraki.url, "network-id": meraki.network.id}),
    ):
        custom = [{"type": "text", "label": label, "value": [value]} for label, value in fields.items()]
        scene.vault.edit(uid, functools.partial(_extend, custom))
    hosts = {
        first.name: {"keyturn_rotations": [first.rotation(connection=None)]},
        "vpn": {"keyturn_rotations": [{"kind": "meraki_vpn_user_password", "admin_record": admin, "records": [vpn]}]},
    }
    run = scene.run("--limit", f"{first.name},vpn", hosts=hosts)
    assert run.returncode == 0, run.output
    assert scene.outcomes() == {first.name: ["rotated", "rotated"], "vpn": ["rotated"]}
    assert "1 rotated" in run.stdout and "VPN: rotated, not proved" in run.stdout


SITES: dict[str, tuple[tuple[str, ...], dict[str, str], dict[str, t.Any]]] = {
    "any errors fatal": ((), {"ANSIBLE_ANY_ERRORS_FATAL": "True"}, {}),
    "a strategy and facts": ((), {"ANSIBLE_STRATEGY": "debug", "ANSIBLE_GATHERING": "implicit"}, {}),
    "become": ((), {"ANSIBLE_BECOME": "True"}, {"ansible_become": True, "ansible_become_password": "x"}),
    "skipped tags": (("--skip-tags", "always"), {"ANSIBLE_DISPLAY_SKIPPED_HOSTS": "False"}, {}),
    "one fork": (("--forks", "1"), {"ANSIBLE_MAX_FAIL_PERCENTAGE": "0"}, {"ansible_connection": "ssh"}),
    "batches": (("-e", "keyturn_serial=1"), {"ANSIBLE_ANY_ERRORS_FATAL": "True"}, {}),
}
FIRST = ("any errors fatal", "become", "skipped tags")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FIRST else pytest.mark.slow) for n in SITES])
def test_a_sites_configuration_changes_nothing(name: str, scene: Scene) -> None:
    """Each account ends with an outcome, the report has all of them, and the code says that one failed."""
    arguments, environment, variables = SITES[name]
    first, second, third = scene.fleet.accounts
    broken = {"keyturn_rotations": [second.rotation(admin_record="no such record")]}
    scene.ansible.environment |= environment
    hosts = {
        account.name: {"keyturn_rotations": [account.rotation()], **variables, **(broken if account is second else {})}
        for account in scene.fleet.accounts
    }
    run = scene.run(*arguments, hosts=hosts)
    if name == "batches":
        # As always in Ansible: no batch follows one of which every host has failed.
        assert run.returncode == 2 and not scene.report["complete"]
        assert [outcome[0] for outcome in scene.outcomes().values()] == ["rotated", "failed", "no_result"]
        return
    assert run.returncode == 2, run.output
    assert scene.report["complete"]
    assert scene.outcomes() == {
        first.name: ["rotated", "rotated"],
        second.name: ["failed", "failed"],
        third.name: ["rotated", "rotated"],
    }
    assert failed_hosts(run) == {"localhost": False, first.name: False, second.name: True, third.name: False}
    # Something moves while a long run works: a line for each account as it ends, with a count.
    assert [f"{number} of 3: " in run.stdout for number in (1, 2, 3)] == [True] * 3
    assert "6 credentials: 4 rotated, 2 failed" in run.stdout and f"Failed: {second.name}" in run.stdout


def test_an_ansible_that_is_too_old_is_told_first(scene: Scene) -> None:
    folder = scene.directory / "old"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import ansible.release\nansible.release.__version__ = '2.18.1'\n")
    scene.ansible.environment |= {"PYTHONPATH": str(folder)}
    inventory = str(scene.fleet.write_inventory(scene.directory / "i.json"))
    for limit in ((), ("--limit", "account_000")):
        run = scene.ansible.run(PLAYBOOK, {}, "-i", inventory, *limit)
        assert run.returncode != 0 and "needs ansible-core 2.19 or newer, and this is 2.18.1." in run.output
        assert "TASK" not in run.stdout
    assert scene.written() == 0


def test_tags_that_skip_everything_are_no_success(scene: Scene) -> None:
    for tags in ("all", "tagged"):
        run = scene.ansible.run(
            PLAYBOOK, {}, "-i", str(scene.fleet.write_inventory(scene.directory / "i.json")), "--skip-tags", tags
        )
        assert run.returncode != 0 and "nothing can be rotated" in run.output
    assert scene.written() == 0


def test_kinds_do_not_wait_for_each_other(scene: Scene) -> None:
    """A service holds its answer back until another kind, on another account, has got to its own service."""
    first, _second, third = scene.fleet.accounts
    key = scene.fleet.add_key_user(third, "PIPELINE")
    met: list[bool] = []
    wait = third.snowflake.journal.wait_for
    held = first.snowflake.faults.add(
        Fault("ALTER USER", before=lambda: met.append(bool(wait("ALTER USER PIPELINE", 40))))
    )
    hosts = {
        first.name: {"keyturn_rotations": [first.rotation()]},
        third.name: {"keyturn_rotations": [third.rotation(kind=KEY_KIND, records=[key])]},
    }
    run = scene.run("--limit", f"{first.name},{third.name}", hosts=hosts)
    assert run.returncode == 0 and held.times == 0, run.output
    assert met == [True]
