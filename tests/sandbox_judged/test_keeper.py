# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Keeper sandbox, judged by Keeper's unmodified SDK and Ansible plugins."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from ansible.parsing.vault import VaultLib, VaultSecret
from cryptography.exceptions import InvalidTag
from keeper_secrets_manager_core import SecretsManager
from keeper_secrets_manager_core.core import CreateOptions
from keeper_secrets_manager_core.dto.dtos import RecordCreate, RecordField
from keeper_secrets_manager_core.dto.payload import QueryOptions
from keeper_secrets_manager_core.exceptions import KeeperError, KeeperThrottleError
from keeper_secrets_manager_core.storage import FileKeyValueStorage, InMemoryKeyValueStorage

from tests.sandbox import keeper_collection
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault, Response

CUSTOM = [{"type": "text", "label": "snowflake_account_name", "value": ["xy12345"]}]
PAM_USER = [
    {"type": "login", "value": ["SVC_A"]},
    {"type": "password", "value": ["old"]},
    {"type": "secret", "label": "privatePEMKey", "value": []},
    {"type": "text", "label": "distinguishedName", "value": []},
    {"type": "checkbox", "label": "managed", "value": [True]},
]
HAND_ON = """
import os

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        config = self._task.args.pop("config")
        official = self._shared_loader_obj.action_loader.get(
            "keepersecurity.keeper_secrets_manager.keeper_get",
            task=self._task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        # No regular file, so that neither this variable nor a client-config.json nearby goes before the config.
        variables = dict(task_vars, keeper_config=config, keeper_config_file=os.devnull)
        return official.run(task_vars=variables)
"""
KSM = "keepersecurity.keeper_secrets_manager."


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeeperSandbox]:
    for name in ("KSM_CONFIG", "KSM_CONFIG_FILE", "KSM_TOKEN", "KSM_HOSTNAME", "KSM_SKIP_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    with KeeperSandbox() as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        yield sandbox
        assert sandbox.errors == []


def add(vault: KeeperSandbox, **more: t.Any) -> str:
    given = {"title": "SVC_A", "fields": {"login": "SVC_A", "password": "old"}, "custom": CUSTOM} | more
    return vault.add_record(**given)


def client(vault: KeeperSandbox, **changes: str) -> SecretsManager:
    return SecretsManager(config=InMemoryKeyValueStorage(vault.client_config() | changes))


def read(manager: SecretsManager, uid: str) -> t.Any:
    (record,) = manager.get_secrets([uid])
    return record


def save(manager: SecretsManager, uid: str, password: str, kind: str | None = None) -> None:
    record = read(manager, uid)
    record.field("password", password)
    manager.save(record, transaction_type=kind)


class TestReading:
    def test_by_uid_and_all(self, vault: KeeperSandbox) -> None:
        folder = vault.add_folder("Rotation")
        inside, outside = add(vault, type="pamUser", folder=folder), add(vault, title="B", notes="a note")
        manager = client(vault)
        assert {r.uid for r in manager.get_secrets()} == {inside, outside}
        record = read(manager, inside)
        assert (record.title, record.type, record.is_editable) == ("SVC_A", "pamUser", True)
        assert (record.folder_uid, record.revision) == (folder.uid, vault.revision(inside))
        assert record.field("password", single=True) == "old"
        assert read(manager, outside).dict == vault.record(outside)
        assert vault.journal.labels() == ["get_secret *", f"get_secret {inside}", f"get_secret {outside}"]

    def test_several_uids_and_folders(self, vault: KeeperSandbox) -> None:
        folder = vault.add_folder("Rotation")
        uids = [add(vault, title=str(i), folder=folder if i else None) for i in range(3)]
        manager = client(vault)
        assert {r.uid for r in manager.get_secrets(uids[1:])} == set(uids[1:])
        found = manager.get_secrets_with_options(QueryOptions(None, [folder.uid], True))
        assert {r.uid for r in found} == set(uids[1:])
        assert vault.journal.labels()[0] == f"get_secret {uids[1]},{uids[2]}"

    def test_title_and_notation(self, vault: KeeperSandbox) -> None:
        uid = add(vault)
        manager = client(vault)
        assert manager.get_secret_by_title("SVC_A").uid == uid
        assert manager.get_notation(f"keeper://{uid}/field/password") == "old"
        assert manager.get_notation("SVC_A/custom_field/snowflake_account_name") == "xy12345"
        assert vault.field(uid, "snowflake_account_name") == "xy12345"
        assert vault.field(uid, "absent") is None

    def test_shared_in_two_ways(self, vault: KeeperSandbox) -> None:
        uid = add(vault, folder=vault.add_folder("Rotation"))
        vault.share(uid)
        assert [r.uid for r in client(vault).get_secrets()] == [uid, uid]

    def test_other_app_sees_nothing(self, vault: KeeperSandbox) -> None:
        uid = add(vault)
        other = SecretsManager(config=InMemoryKeyValueStorage(vault.client_config(vault.add_app("other"))))
        assert other.get_secrets() == []
        record = read(client(vault), uid)
        with pytest.raises(KeeperError, match="access_denied"):
            other.save(record)

    def test_application_data(self, vault: KeeperSandbox) -> None:
        response = client(vault).get_secrets(full_response=True)
        assert response.appData.title == vault.app.name


class TestWriting:
    def test_plain_and_general_save(self, vault: KeeperSandbox) -> None:
        uid = add(vault)
        manager = client(vault)
        revision = vault.revision(uid)
        save(manager, uid, "one")
        assert vault.field(uid, "password") == "one"
        assert vault.revision(uid) > revision
        save(manager, uid, "two", "general")
        assert vault.field(uid, "password") == "two"
        manager.complete_transaction(uid, rollback=True)
        assert vault.field(uid, "password") == "one"
        assert vault.journal.labels("^[^g]") == [f"update_secret {uid}"] * 2 + [f"rollback_secret_update {uid}"]

    @pytest.mark.parametrize("visible", [True, False])
    @pytest.mark.parametrize("rollback", [True, False])
    def test_rotation(self, vault: KeeperSandbox, visible: bool, rollback: bool) -> None:
        vault.staged_visible = visible
        uid = add(vault)
        manager = client(vault)
        save(manager, uid, "new", "rotation")
        assert vault.field(uid, "password") == "old"
        assert read(manager, uid).field("password", single=True) == ("new" if visible else "old")
        manager.complete_transaction(uid, rollback=rollback)
        expected = "old" if rollback else "new"
        assert (vault.field(uid, "password"), vault.staged(uid)) == (expected, None)
        assert read(manager, uid).field("password", single=True) == expected

    def test_abandoned_transaction(self, vault: KeeperSandbox) -> None:
        uid = add(vault)
        save(client(vault), uid, "new", "rotation")
        vault.expire_transactions()
        assert vault.staged(uid) is None

    @pytest.mark.parametrize(("status", "code"), [(403, "out_of_sync"), (400, "invalid_revision")])
    def test_stale_revision_is_refused(self, vault: KeeperSandbox, status: int, code: str) -> None:
        vault.stale_status, vault.stale_code = status, code
        uid = add(vault)
        manager = client(vault)
        record = read(manager, uid)
        vault.edit(uid, lambda content: content.update(title="Renamed"))
        record.field("password", "mine")
        with pytest.raises(KeeperError, match=code):
            manager.save(record)
        assert (vault.record(uid)["title"], vault.field(uid, "password")) == ("Renamed", "old")

    def test_last_writer_wins(self, vault: KeeperSandbox) -> None:
        vault.enforce_revisions = False
        uid = add(vault)
        manager = client(vault)
        record = read(manager, uid)
        vault.edit(uid, lambda content: content.update(title="Renamed"))
        record.field("password", "mine")
        manager.save(record)
        assert (vault.record(uid)["title"], vault.field(uid, "password")) == ("SVC_A", "mine")

    def test_read_only(self, vault: KeeperSandbox) -> None:
        uids = [add(vault, editable=False), add(vault, folder=vault.add_folder("Fixed", editable=False)), add(vault)]
        vault.revoke_edit(uids[2])
        manager = client(vault)
        for uid in uids:
            assert not read(manager, uid).is_editable
            with pytest.raises(KeeperError, match="access_denied"):
                save(manager, uid, "new")
            assert vault.field(uid, "password") == "old"

    def test_data_of_another_key(self, vault: KeeperSandbox) -> None:
        manager = client(vault)
        uid, record = add(vault), read(manager, add(vault, title="B"))
        record.uid, record.revision = uid, vault.revision(uid)
        with pytest.raises(KeeperError, match="bad_request"):
            manager.save(record)
        assert vault.field(uid, "login") == "SVC_A"

    def test_create_in_empty_folder_and_delete(self, vault: KeeperSandbox) -> None:
        folder = vault.add_folder("Empty")
        manager = client(vault)
        new = RecordCreate("login", "Made")
        new.fields = [RecordField(field_type="login", value="SVC_B"), RecordField(field_type="password", value="p")]
        uid = manager.create_secret_with_options(CreateOptions(folder.uid, None), new)
        assert (vault.record(uid)["title"], vault.field(uid, "password")) == ("Made", "p")
        assert read(manager, uid).folder_uid == folder.uid
        assert vault.journal.labels() == ["get_folders", f"create_secret {uid}", f"get_secret {uid}"]
        assert manager.delete_secret(uid)[0]["responseCode"] == "ok"
        assert manager.get_secrets() == []

    def test_folders(self, vault: KeeperSandbox) -> None:
        shared = vault.add_folder("Rotation")
        manager = client(vault)
        uid = manager.create_folder(CreateOptions(shared.uid, None), "Below")
        manager.update_folder(uid, "Renamed")
        assert {f.name: f.parent_uid for f in manager.get_folders()} == {"Rotation": "", "Renamed": shared.uid}
        manager.delete_folder(uid)
        assert [f.folder_uid for f in manager.get_folders()] == [shared.uid]


class TestAccess:
    def test_one_time_token(self, vault: KeeperSandbox, tmp_path: Path) -> None:
        uid, token = add(vault), vault.one_time_token()
        key = vault.client_config()

        def bind(path: Path) -> SecretsManager:
            return SecretsManager(
                token=token,
                hostname=vault.hostname,
                config=FileKeyValueStorage(str(path)),
                server_public_key=key["serverPublicKey"],
                server_public_key_id=key["serverPublicKeyId"],
            )

        manager = bind(tmp_path / "config.json")
        save(manager, uid, "new")
        assert vault.field(uid, "password") == "new"
        # The binding call, the call that reads, and the save.
        assert len(vault.journal.labels()) == 3
        with pytest.raises(KeeperError, match="has been removed"):
            bind(tmp_path / "again.json").get_secrets()

    def test_wrong_server_key_id(self, vault: KeeperSandbox) -> None:
        manager = client(vault, serverPublicKeyId="7")
        assert manager.get_secrets() == []
        assert vault.journal.labels() == ["get_secret *"] * 2

    def test_wrong_server_key(self, vault: KeeperSandbox) -> None:
        with KeeperSandbox() as other:
            manager = client(vault, serverPublicKey=other.client_config()["serverPublicKey"])
        with pytest.raises(KeeperError, match="bad_request"):
            manager.get_secrets()
        assert vault.journal.labels() == ["unreadable get_secret"]

    @pytest.mark.parametrize("name", ["clientId", "privateKey"])
    def test_foreign_client(self, vault: KeeperSandbox, name: str) -> None:
        with KeeperSandbox() as other:
            manager = client(vault, **{name: other.client_config()[name]})
        with pytest.raises(KeeperError, match="access_denied"):
            manager.get_secrets()

    @pytest.mark.parametrize("member", ["error", "result_code"])
    def test_throttled(self, vault: KeeperSandbox, monkeypatch: pytest.MonkeyPatch, member: str) -> None:
        delays: list[float] = []
        monkeypatch.setattr("keeper_secrets_manager_core.core.time.sleep", delays.append)
        vault.error_member = member
        vault.throttle(1)
        vault.throttle(1, retry_after=40)
        manager = client(vault)
        assert manager.get_secrets() == []
        assert 8 < delays[0] < 14 and 30 <= delays[1] <= 50
        vault.throttle(6)
        with pytest.raises(KeeperThrottleError):
            manager.get_secrets()
        assert len(vault.journal.labels()) == 9

    def test_tls_is_verified(self, vault: KeeperSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(requests.exceptions.SSLError):
            client(vault).get_secrets()

    def test_config_file_is_private(self, vault: KeeperSandbox, tmp_path: Path) -> None:
        path = vault.write_client_config(tmp_path / "config.json")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert SecretsManager(config=FileKeyValueStorage(str(path))).get_secrets() == []
        assert InMemoryKeyValueStorage(vault.client_config_base64()).read_storage()["hostname"] == vault.hostname

    def test_journal_holds_no_payload(self, vault: KeeperSandbox) -> None:
        client(vault).get_secrets(["a secret, sent by mistake"])
        assert vault.journal.labels() == ["get_secret ?"]


class TestFaults:
    @pytest.mark.parametrize(("when", "result"), [("before", "old"), ("after", "new")])
    def test_drop(self, vault: KeeperSandbox, when: t.Literal["before", "after"], result: str) -> None:
        uid = add(vault)
        vault.faults.add(Fault("^update_secret", drop=when))
        with pytest.raises(requests.exceptions.ConnectionError):
            save(client(vault), uid, "new")
        assert vault.field(uid, "password") == result

    def test_garbage(self, vault: KeeperSandbox) -> None:
        manager = client(vault)
        vault.faults.add(Fault("^get_secret", response=Response(200, b"not sealed with the transmission key")))
        with pytest.raises(InvalidTag):
            manager.get_secrets()
        vault.faults.add(Fault("^get_secret", response=Response(502, b"<html>Bad Gateway</html>")))
        with pytest.raises(requests.HTTPError, match="502"):
            manager.get_secrets()

    def test_edit_between_read_and_write(self, vault: KeeperSandbox) -> None:
        uid = add(vault)
        vault.faults.add(Fault("^update", before=lambda: vault.edit(uid, lambda content: content.update(notes="n"))))
        with pytest.raises(KeeperError, match="out_of_sync"):
            save(client(vault), uid, "new")

    def test_clean_close_while_hanging(self, vault: KeeperSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        before = set(threading.enumerate())
        with KeeperSandbox() as other:
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.ca_path))
            other.faults.add(Fault("", hang="before"))
            failures: list[Exception] = []
            manager = client(other)
            caller = threading.Thread(target=_call, args=(manager, failures))
            caller.start()
            assert other.journal.wait_for("^get_secret", 5)
            # A client that connects and says nothing must not keep the server either.
            idle = socket.create_connection((other.host, other.port))
            time.sleep(0.1)
            assert caller.is_alive()
            started = time.monotonic()
        assert time.monotonic() - started < 2
        caller.join(5)
        idle.close()
        assert isinstance(failures[0], requests.exceptions.ConnectionError)
        assert set(threading.enumerate()) == before
        assert not other.ca_path.parent.exists()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((other.host, other.port))


def _call(manager: SecretsManager, failures: list[Exception]) -> None:
    try:
        manager.get_secrets()
    except Exception as error:
        failures.append(error)


class Play:
    """Runs ``ansible-playbook`` on localhost in a private home; ``show`` is what the play leaves for the test."""

    def __init__(self, vault: KeeperSandbox, collections: Path, home: Path) -> None:
        self.vault = vault
        self.home = home
        self.environment = vault.environment() | {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANSIBLE_HOME": str(home / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(collections),
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
            "ANSIBLE_NOCOLOR": "1",
        }
        self.output = ""
        self.calls: list[str] = []

    def run(
        self, *tasks: dict[str, t.Any], show: str = "{}", environment: dict[str, str] | None = None, **play: t.Any
    ) -> t.Any:
        """Run the tasks; the expression ``show`` as data, or None when the play failed."""
        shown = self.home / "shown.json"
        shown.unlink(missing_ok=True)
        last = {
            "ansible.builtin.copy": {"content": "{{ (" + show + ") | to_json }}", "dest": str(shown), "mode": "0600"}
        }
        book = self.home / "book.json"
        book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [*tasks, last]} | play]))
        self.vault.journal.clear()
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", str(book)],
            env=self.environment | (environment or {}),
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        self.output, self.calls = done.stdout, self.vault.journal.labels()
        return json.loads(shown.read_text()) if done.returncode == 0 else None


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("collections")
    keeper_collection.install(path)
    return path


@pytest.fixture
def play(vault: KeeperSandbox, collections: Path, tmp_path: Path) -> Play:
    return Play(vault, collections, tmp_path)


def task(plugin: str, register: str = "r", /, **options: t.Any) -> dict[str, t.Any]:
    return {KSM + plugin: options, "register": register}


class TestPlugins:
    def test_read_and_write(self, vault: KeeperSandbox, play: Play) -> None:
        """One HTTPS call per read, by uid and by title; two per write."""
        uid = add(vault)
        by_uid, everything, write = f"get_secret {uid}", "get_secret *", f"update_secret {uid}"
        lookup = f"lookup('{KSM}keeper', "
        shown = play.run(
            task("keeper_get", "a", uid=uid, field="password"),
            task("keeper_get", "b", title="SVC_A", custom_field="snowflake_account_name"),
            task("keeper_get", "c", notation=f"{uid}/field/login"),
            task("keeper_get", "d", notation="SVC_A/field/login"),
            task("keeper_set", "e", uid=uid, field="password", value="new"),
            task("keeper_set", "f", title="SVC_A", custom_field="snowflake_account_name", value="ab1"),
            show="[a.value, b.value, c.value, d.value, e.updated, f.updated, e.changed, "
            f"{lookup}uid='{uid}', field='password'), {lookup}title='SVC_A', field='login')]",
            vars={"keeper_config": vault.client_config_base64()},
        )
        assert shown == ["old", "xy12345", "SVC_A", "SVC_A", True, True, False, "new", "SVC_A"], play.output
        assert (vault.field(uid, "password"), vault.field(uid, "snowflake_account_name")) == ("new", "ab1")
        reads = [by_uid, everything, by_uid, everything]
        assert play.calls == [*reads, by_uid, write, everything, write, by_uid, everything]

    @pytest.mark.slow
    def test_record_keys(self, vault: KeeperSandbox, play: Play) -> None:
        login = add(vault)
        add(vault, title="PAM", type="pamUser", fields=PAM_USER)
        # A label that is empty hides the field, and a repeated key gets a number.
        odd = [{"type": "login", "label": "", "value": ["x"]}, {"type": "password", "value": ["p"]}]
        odd_uid = add(vault, fields=odd, custom=[{"type": "secret", "label": "password", "value": ["q"]}])
        shown = play.run(
            task("keeper_get_record", "a", uid=login),
            task("keeper_get_record", "b", title="PAM"),
            task("keeper_get_record", "c", uid=odd_uid),
            show="[a.record, b.record, c.record]",
            vars={"keeper_config": vault.client_config_base64()},
        )
        common = {"login": ["SVC_A"], "password": ["old"], "snowflake_account_name": ["xy12345"]}
        assert shown[0] == common
        assert shown[1] == common | {"privatePEMKey": [], "distinguishedName": [], "managed": [True]}
        assert shown[2] == {"password": ["p"], "password_1": ["q"]}
        assert play.calls == [f"get_secret {login}", "get_secret *", f"get_secret {odd_uid}"]

    @pytest.mark.slow
    def test_same_title_twice(self, vault: KeeperSandbox, play: Play) -> None:
        add(vault), add(vault)
        config = {"keeper_config": vault.client_config_base64()}
        assert play.run(task("keeper_get_record", title="SVC_A"), vars=config) is None
        assert "Found multiple records for the Title" in play.output
        assert play.calls == ["get_secret *"]

    @pytest.mark.slow
    def test_same_record_shared_twice(self, vault: KeeperSandbox, play: Play) -> None:
        vault.share(add(vault, folder=vault.add_folder("Rotation")))
        config = {"keeper_config": vault.client_config_base64()}
        shown = play.run(task("keeper_get_record", title="SVC_A"), show="r.record.login", vars=config)
        assert shown == ["SVC_A"], play.output

    @pytest.mark.parametrize("kind", ["base64", "json", "mapping"])
    def test_literal_config_is_taken(self, vault: KeeperSandbox, play: Play, kind: str) -> None:
        config = vault.client_config()
        values = {"base64": vault.client_config_base64(), "json": json.dumps(config), "mapping": config}
        read_login = task("keeper_get", uid=add(vault), field="login") | {"vars": {"keeper_config": values[kind]}}
        assert play.run(read_login, show="r.value") == "SVC_A", play.output

    def test_config_template_is_not_resolved(self, vault: KeeperSandbox, play: Play) -> None:
        read_login = task("keeper_get", uid=add(vault), field="login")
        template = {"keeper_config": "{{ lookup('env', 'KSM_CONFIG') }}"}
        environment = {"KSM_CONFIG": vault.client_config_base64()}
        for given in ({"block": [read_login], "vars": template}, read_login | {"vars": template}):
            assert play.run(given, environment=environment) is None
            assert "object of type 'NoneType' has no len()" in play.output
            assert play.calls == []
        assert play.run(read_login, environment=environment) is None
        assert "no config keys" in play.output

    def test_config_in_inline_vault_is_not_decrypted(self, vault: KeeperSandbox, play: Play) -> None:
        (play.home / "password").write_text("a password of this test")
        secret = VaultSecret(b"a password of this test")
        sealed = VaultLib([("default", secret)]).encrypt(vault.client_config_base64()).decode()
        read_login = task("keeper_get", uid=add(vault), field="login")
        environment = {"ANSIBLE_VAULT_PASSWORD_FILE": str(play.home / "password")}
        config = {"keeper_config": {"__ansible_vault": sealed}}
        (play.home / "sealed.json").write_text(json.dumps(config))
        assert play.run(read_login, environment=environment, vars_files=["sealed.json"]) is None
        assert "Keeper Ansible error" in play.output
        assert play.calls == []
        # A file that is sealed as a whole is plain data by the time the plugin looks.
        whole = VaultLib([("default", secret)]).encrypt(json.dumps({"keeper_config": vault.client_config_base64()}))
        (play.home / "sealed.json").write_bytes(whole)
        shown = play.run(read_login, show="r.value", environment=environment, vars_files=["sealed.json"])
        assert shown == "SVC_A", play.output

    @pytest.mark.slow
    def test_config_in_loop_variable_is_resolved(self, vault: KeeperSandbox, play: Play) -> None:
        (play.home / "read.json").write_text(json.dumps([task("keeper_get", uid=add(vault), field="login")]))
        loop = {"loop": ["{{ lookup('env', 'KSM_CONFIG') }}"], "loop_control": {"loop_var": "keeper_config"}}
        include = {"ansible.builtin.include_tasks": "read.json", "no_log": True} | loop
        environment = {"KSM_CONFIG": vault.client_config_base64()}
        shown = play.run(include, show="[r.value, keeper_config is defined]", environment=environment)
        assert shown == ["SVC_A", False], play.output
        assert environment["KSM_CONFIG"] not in play.output

    def test_config_handed_on_by_an_action(
        self, vault: KeeperSandbox, play: Play, collections: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An action plugin can call the official one with task variables of its own: no fact, no file."""
        monkeypatch.setitem(play.environment, "ANSIBLE_ACTION_PLUGINS", str(play.home))
        (play.home / "hand_on.py").write_text(HAND_ON)
        (play.home / "client-config.json").write_text("{}")
        config = "{{ lookup('env', 'KSM_CONFIG') }}"
        hand_on = {"hand_on": {"uid": add(vault), "field": "login", "config": config}, "register": "r"}
        environment = {"KSM_CONFIG": vault.client_config_base64()}
        assert play.run(hand_on, show="r.value", environment=environment) == "SVC_A", play.output

    @pytest.mark.slow
    def test_config_file_template_is_resolved(self, vault: KeeperSandbox, play: Play) -> None:
        path = vault.write_client_config(play.home / "config.json")
        before = path.read_text()
        read_login = task("keeper_get", uid=add(vault), field="login")
        read_login["vars"] = {"keeper_config_file": "{{ lookup('env', 'KSM_CONFIG_FILE') }}"}
        environment = {"KSM_CONFIG_FILE": str(path)}
        assert play.run(read_login, show="r.value", environment=environment) == "SVC_A", play.output
        assert path.read_text() == before

    @pytest.mark.slow
    def test_file_in_working_directory_wins(self, vault: KeeperSandbox, play: Play) -> None:
        (play.home / "client-config.json").write_text("{}")
        read_login = task("keeper_get", uid=add(vault), field="login")
        config = {"keeper_config": vault.client_config_base64()}
        assert play.run(read_login, vars=config) is None
        disarmed = config | {"keeper_config_file": "/dev/null"}
        assert play.run(read_login, show="r.value", vars=disarmed) == "SVC_A", play.output

    def test_server_gone(self, vault: KeeperSandbox, play: Play) -> None:
        vault.faults.add(Fault("^get_secret", drop="before"))
        config = {"keeper_config": vault.client_config_base64()}
        assert play.run(task("keeper_get", uid=add(vault), field="login"), vars=config) is None
        assert "Cannot get record" in play.output


class TestCollection:
    def test_install_is_listed(self, collections: Path, play: Play) -> None:
        root = keeper_collection.install(collections)
        assert root == collections / "ansible_collections" / "keepersecurity" / "keeper_secrets_manager"
        command = [sys.executable, "-m", "ansible", "galaxy", "collection", "list"]
        listed = subprocess.run(command, env=play.environment, capture_output=True, text=True, check=False).stdout
        assert f"keepersecurity.keeper_secrets_manager {keeper_collection.version()}" in listed

    def test_tarball_installs(self, play: Play) -> None:
        tarball = keeper_collection.build(play.home / "dist")
        target = play.home / "installed"
        # Without a path of its own, ansible-galaxy finds the collection installed elsewhere and does nothing.
        environment = play.environment | {"ANSIBLE_COLLECTIONS_PATH": str(target)}
        command = [sys.executable, "-m", "ansible", "galaxy", "collection", "install", "--offline"]
        done = subprocess.run(
            [*command, str(tarball), "-p", str(target)], env=environment, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stdout
        assert (target / "ansible_collections/keepersecurity/keeper_secrets_manager/plugins/action").is_dir()
