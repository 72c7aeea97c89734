# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the demo and ``make sandbox`` show: one account, one vault, their records, and how Ansible gets there."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import secrets
import shutil
import signal
import string
import sys
import tempfile
import types
import typing as t
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.sandbox import keeper_collection
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.keeper.vault import write_private
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.rest import RECIPE, TOKEN_RECIPE, RestSandbox
from tests.sandbox.snowflake import SnowflakeSandbox

REPOSITORY = Path(__file__).resolve().parents[2]
PLAYBOOK = "keyturn.credentials.snowflake_user_password"
KEY_PLAYBOOK = "keyturn.credentials.snowflake_user_keypair"
KEY_USER = "PIPELINE"
TOKEN_USER, TOKEN_ROLE = "INGEST_SVC", "INGEST"
API_TOKEN_USER = "dashboards"
VPN_USERS = ("ann@example.com", "bob@example.com")
REST_USERS = ("alerts", "reporting")
FLEET_PLAYBOOK = "keyturn.credentials.rotate"
USERS = ("DASHBOARD", "ETL_LOADER", "REPORTING")
ADMIN = "ROTATOR"
ROLE = "USER_ROTATOR"
_ADMIN_TITLE = "Snowflake Authentication Record"
_MERAKI_ADMIN_TITLE = "Cisco Authentication Record"
_REST_ADMIN_TITLE = "API Access Details"
_ACCOUNT = "xy12345"
# What a user's environment must not change in our child processes.
_FOREIGN = re.compile(
    r"(ANSIBLE_|SNOWFLAKE_|KSM_|PYTEST_|XDG_|LC_|LANG|PYTHONPATH$|PYTHONIOENCODING$|PRIVATE_KEY_PASSPHRASE$"
    r"|REQUESTS_CA_BUNDLE$|CURL_CA_BUNDLE$|SSL_CERT_|(\w+_)?PROXY$)",
    re.IGNORECASE,
)


def fresh_password() -> str:
    """32 characters, new each time, that meet Snowflake's policy."""
    kinds = (string.ascii_uppercase, string.ascii_lowercase, string.digits, "!#%*+-.:=?@^_~")
    characters = [secrets.choice(kinds[index % len(kinds)]) for index in range(32)]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def fresh_key() -> tuple[str, str]:
    """A new RSA key as PEM texts: the private one, and its public half."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _program() -> str:
    return str(Path(sys.executable).parent / "ansible-playbook")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A record and the Snowflake user in it. special: why it cannot be rotated, empty if it can."""

    uid: str
    title: str
    user: str
    special: str = ""


@dataclasses.dataclass(frozen=True)
class Kind:
    """All that is here of one kind of rotation.

    entries: the records that can be rotated. admin: the title of the administrator's record. options: what the role and
    the fleet are told besides. question: how the judge logs in. host: the fleet's, None to leave it out.
    """

    entries: t.Sequence[Entry]
    admin: str
    options: dict[str, t.Any]
    question: dict[str, t.Any]
    host: str | None


@contextlib.contextmanager
def private_directory() -> t.Iterator[Path]:
    """A 0700 folder that also takes all temporary files of this process, and is gone afterwards."""
    usual = tempfile.tempdir
    directory = Path(tempfile.mkdtemp(prefix="keyturn-sandbox-")).resolve()
    try:
        tempfile.tempdir = str(directory)
        yield directory
    finally:
        tempfile.tempdir = usual
        shutil.rmtree(directory, ignore_errors=True)


class Stopped(SystemExit):
    """A signal asked for the end."""


def exit_on_signals() -> None:
    """SIGINT, SIGTERM and SIGHUP raise Stopped once, so that ``with`` blocks clean up, undisturbed by later signals."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(number: int, frame: types.FrameType | None) -> t.NoReturn:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(128 + number)

    for each in numbers:
        signal.signal(each, leave)


class Scenery:
    """The sandboxes with their records, and in ``directory`` the files that lead there.

    special: also records of users that cannot be rotated. collections: where both collections are installed, else
    this checkout is used.
    """

    def __init__(self, directory: Path, *, special: bool = False, collections: Path | None = None) -> None:
        self.directory = directory
        self.collections = collections or directory / "collections"
        self.first_passwords: dict[str, str] = {}
        with contextlib.ExitStack() as stack:
            self.snowflake = stack.enter_context(SnowflakeSandbox(account=_ACCOUNT))
            self.meraki = stack.enter_context(MerakiSandbox())
            self.rest = stack.enter_context(RestSandbox())
            self.vault = stack.enter_context(KeeperSandbox())
            self._add_admin()
            self.entries = [self._add(user, type="LEGACY_SERVICE") for user in USERS]
            self.key_entry = self._add_key_user()
            self.token_entry = self._add_token_user()
            self.vpn_entries = self._add_vpn_users()
            self.rest_entries = self._add_rest_users()
            self.api_token_entry = self._add_api_token_user()
            if special:
                self.entries += [
                    self._add("LOADER_KEY", "refused: a service user has no password", type="SERVICE"),
                    self._add(
                        "FORMER_STAFF", "a disabled user: gets a password that no login can prove", disabled=True
                    ),
                ]
            self.kinds = self._kinds()
            self.keeper_config_file = self.vault.write_client_config(directory / "ksm-config.json")
            self.passwords_file = self._write("first-passwords.json", self.first_passwords)
            self.vars_file = self._write("vars.json", self._variables())
            self.inventory_file = self._write("fleet.yml", self._inventory())
            if collections is None:
                self._link_collections()
            # Only what is complete is closed later, by ``with``.
            self._stack = stack.pop_all()

    def _add_admin(self) -> None:
        password = fresh_password()
        self.snowflake.add_role(ROLE)
        self.snowflake.add_user(ADMIN, password=password, default_role=ROLE, type="LEGACY_SERVICE")
        self.vault.add_record(
            title=_ADMIN_TITLE,
            fields={"login": ADMIN, "password": password},
            custom=[{"type": "text", "label": "snowflake_account_name", "value": [_ACCOUNT]}],
        )

    def _add(self, user: str, special: str = "", **properties: t.Any) -> Entry:
        password = fresh_password()
        self.snowflake.add_user(user, password=password, owner=ROLE, **properties)
        title = f"Snowflake {user}"
        uid = self.vault.add_record(title=title, type="pamUser", fields={"login": user, "password": password})
        self.first_passwords[uid] = password
        return Entry(uid, title, user, special)

    def _add_key_user(self) -> Entry:
        """A service user, which has no password, with a key in the first slot and in its record."""
        pem, public = fresh_key()
        self.snowflake.add_user(KEY_USER, owner=ROLE, type="SERVICE", public_key=public)
        title = f"Snowflake {KEY_USER}"
        secret = {"type": "secret", "label": "privatePEMKey", "value": [pem]}
        uid = self.vault.add_record(title=title, type="pamUser", fields={"login": KEY_USER}, custom=[secret])
        return Entry(uid, title, KEY_USER)

    def _add_token_user(self) -> Entry:
        """A service user with an access token that somebody made, in its record."""
        token = fresh_password()
        self.snowflake.add_role(TOKEN_ROLE)
        self.snowflake.add_user(TOKEN_USER, owner=ROLE, type="SERVICE", roles=[TOKEN_ROLE])
        self.snowflake.add_pat(TOKEN_USER, token=token, token_name="MADE_BY_HAND")
        title = f"Snowflake {TOKEN_USER}"
        named = {"type": "text", "label": "token_name", "value": ["MADE_BY_HAND"]}
        fields = {"login": TOKEN_USER, "password": token}
        return Entry(
            self.vault.add_record(title=title, type="pamUser", fields=fields, custom=[named]), title, TOKEN_USER
        )

    def _add_vpn_users(self) -> list[Entry]:
        """Client VPN users of a Meraki network, and the record with the API key."""
        key = self.meraki.add_key(secrets.token_hex(20))
        network = {"type": "text", "label": "network_id", "value": [self.meraki.network.id]}
        self.vault.add_record(title=_MERAKI_ADMIN_TITLE, fields={"password": key}, custom=[network])
        entries = []
        for email in VPN_USERS:
            password = fresh_password()
            self.meraki.add_user(self.meraki.network.id, email, password)
            title = f"Meraki {email}"
            uid = self.vault.add_record(title=title, type="pamUser", fields={"login": email, "password": password})
            self.first_passwords[uid] = password
            entries.append(Entry(uid, title, email))
        return entries

    def _add_rest_users(self) -> list[Entry]:
        """Users of a service with an API, and the record that says how to get there."""
        fields = {"login": self.rest.admin, "password": self.rest.admin_password, "url": self.rest.url}
        realm = {"type": "text", "label": "Realm", "value": ["users"]}
        self.vault.add_record(title=_REST_ADMIN_TITLE, fields=fields, custom=[realm])
        entries = []
        for name in REST_USERS:
            password = fresh_password()
            self.rest.add_user(name, password)
            title = f"API {name}"
            uid = self.vault.add_record(title=title, type="pamUser", fields={"login": name, "password": password})
            self.first_passwords[uid] = password
            entries.append(Entry(uid, title, name))
        return entries

    def _add_api_token_user(self) -> Entry:
        """A user of the same service with a token that somebody made, in its record."""
        user = self.rest.add_user(API_TOKEN_USER, fresh_password())
        token = self.rest.tokens.add(user.id, "MADE_BY_HAND")
        title = f"API token of {API_TOKEN_USER}"
        named = {"type": "text", "label": "token_name", "value": ["MADE_BY_HAND"]}
        fields = {"login": API_TOKEN_USER, "password": token.secret}
        uid = self.vault.add_record(title=title, type="pamUser", fields=fields, custom=[named])
        return Entry(uid, title, API_TOKEN_USER)

    def _kinds(self) -> dict[str, Kind]:
        """Each kind of rotation, in the order of the commands that are shown."""
        settings = self.snowflake.settings()
        connection = {name: value for name, value in settings.items() if name != "account"}
        login = {"snowflake": {name.removeprefix("login_"): value for name, value in settings.items()}}
        rotated = [entry for entry in self.entries if not entry.special]
        return {
            "snowflake_user_keypair": Kind(
                [self.key_entry],
                _ADMIN_TITLE,
                {"connection": connection},
                {**login, "key_field": "privatePEMKey"},
                "snowflake",
            ),
            "snowflake_user_token": Kind(
                [self.token_entry],
                _ADMIN_TITLE,
                {"connection": {**connection, "role_restriction": TOKEN_ROLE}},
                {**login, "tokens": True},
                None,
            ),
            "rest_password_rotate": Kind(
                self.rest_entries,
                _REST_ADMIN_TITLE,
                {"recipe": str(RECIPE)},
                {"whoami": f"{self.rest.url}/whoami"},
                "api",
            ),
            "rest_token_rotate": Kind(
                [self.api_token_entry],
                _REST_ADMIN_TITLE,
                {"recipe": str(TOKEN_RECIPE)},
                {"me": f"{self.rest.url}/me"},
                None,
            ),
            "meraki_vpn_user_password": Kind(
                self.vpn_entries,
                _MERAKI_ADMIN_TITLE,
                {"connection": {"api_url": self.meraki.url}},
                {"vpn": self.meraki.vpn_url},
                "meraki",
            ),
            "snowflake_user_password": Kind(rotated, _ADMIN_TITLE, {"connection": connection}, login, "snowflake"),
        }

    def _variables(self) -> dict[str, t.Any]:
        """The playbooks' variables: no secret is among them."""
        named = {
            f"{name}_{option}": value
            for name, kind in self.kinds.items()
            for option, value in {"records": [entry.title for entry in kind.entries], **kind.options}.items()
        }
        return {"keeper_config_file": str(self.keeper_config_file), **named}

    def _inventory(self) -> dict[str, t.Any]:
        """The fleet's: the account, the network and the API, each with all that rotates there."""
        hosts: dict[str, t.Any] = {}
        for name, kind in self.kinds.items():
            if kind.host is not None:
                records = [entry.uid for entry in kind.entries]
                rotation = {"kind": name, "admin_record": kind.admin, "records": records, **kind.options}
                hosts.setdefault(kind.host, {"keyturn_rotations": []})["keyturn_rotations"].append(rotation)
        return {"all": {"hosts": hosts}}

    def _write(self, name: str, content: object) -> Path:
        return write_private(self.directory / name, json.dumps(content, indent=2) + "\n")

    def _link_collections(self) -> None:
        """This checkout and Keeper's collection under their names, for the processes that are started here."""
        link = self.collections / "ansible_collections" / "keyturn" / "credentials"
        link.parent.mkdir(parents=True)
        link.symlink_to(REPOSITORY, target_is_directory=True)
        keeper_collection.install(self.collections)

    def environment(self) -> dict[str, str]:
        """What ansible-playbook needs in its environment to find the collections and to trust the vault."""
        return {"ANSIBLE_COLLECTIONS_PATH": str(self.collections), **self.vault.environment()}

    def child_environment(self) -> dict[str, str]:
        """A whole environment for a process of ours: nothing in it is the user's own configuration."""
        home, temporary = self.directory / "home", self.directory / "tmp"
        for folder in (home, temporary):
            folder.mkdir(mode=0o700, exist_ok=True)
        return {
            **{name: value for name, value in os.environ.items() if not _FOREIGN.match(name)},
            **self.environment(),
            "ANSIBLE_CONFIG": str(write_private(self.directory / "ansible.cfg", "")),
            "ANSIBLE_HOME": str(home / ".ansible"),
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_NOCOLOR": "1",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(REPOSITORY),
            "SNOWFLAKE_HOME": str(home),
            "TMPDIR": str(temporary),
        }

    def command(self, *arguments: str, playbook: str = PLAYBOOK) -> list[str]:
        """The rotation of all records, as a user would type it."""
        return [_program(), playbook, "-e", f"@{self.vars_file}", *arguments]

    def fleet_command(self) -> list[str]:
        """The same for all that is in the inventory, which says the rest."""
        vault = ("-e", f"keeper_config_file={self.keeper_config_file}")
        return [_program(), FLEET_PLAYBOOK, "-i", str(self.inventory_file), *vault]

    def look_command(self) -> list[str]:
        """What shows the vault."""
        return [sys.executable, str(Path(__file__).with_name("look.py")), str(self.keeper_config_file)]

    def records(self) -> list[tuple[str, str]]:
        """Every record's title, with what there is to say of it."""
        return [
            *((entry.title, entry.special) for entry in self.entries),
            (self.key_entry.title, "a service user with a key pair"),
            (self.token_entry.title, "a service user with an access token"),
            (self.api_token_entry.title, "a user of the API with a token"),
            *((entry.title, "") for entry in (*self.vpn_entries, *self.rest_entries)),
            (_ADMIN_TITLE, "the administrator's"),
            (_MERAKI_ADMIN_TITLE, "the administrator's"),
            (_REST_ADMIN_TITLE, "the administrator's"),
        ]

    def question(self, name: str = "snowflake_user_password") -> dict[str, t.Any]:
        """What the judge needs to find the vault, the records that can be rotated, and the service."""
        kind = self.kinds[name]
        records = [entry.uid for entry in kind.entries]
        return {"keeper_config_file": str(self.keeper_config_file), "records": records, **kind.question}

    def settings(self) -> dict[str, t.Any]:
        """All that another program needs to use the sandbox. Secrets are only in the files that it names."""
        return {
            "pid": os.getpid(),
            "directory": str(self.directory),
            "environment": self.environment(),
            "command": self.command(),
            "vars_file": str(self.vars_file),
            "passwords_file": str(self.passwords_file),
            "ca_file": str(self.vault.ca_path),
            "judges": {name: self.question(name) for name in self.kinds},
            "records": [dataclasses.asdict(entry) for entry in self.entries],
        }

    @property
    def errors(self) -> list[Exception]:
        """Bugs of the sandbox itself."""
        return [*self.snowflake.errors, *self.meraki.errors, *self.rest.errors, *self.vault.errors]

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()
