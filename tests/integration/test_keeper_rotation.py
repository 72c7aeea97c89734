# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""keeper_rotation and keeper_admin_record, through ansible-playbook, the vendor's SDK and its official plugins."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json
import secrets
import string
import threading
import time
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.conftest import fresh_password
from tests.integration.support import Ansible, Run, unsafe, variants
from tests.sandbox.keeper import KeeperSandbox, error_response
from tests.sandbox.server import Fault, Response

Entry = dict[str, t.Any]

LOGIN = "ETL_SVC"
TITLE = "Nightly load"
NOTES = "Ask the platform team."
FOREIGN = {"type": "text", "label": "owner_team", "value": ["platform"]}
# What the module may take at its defaults, with Ansible's own start.
BOUND = 60


class Keeper:
    """One record, and the two modules over it."""

    def __init__(self, directory: Path, vault: KeeperSandbox, environment: dict[str, str] | None = None) -> None:
        self.vault = vault
        self.ansible = Ansible(directory, vault.environment() if environment is None else environment)
        self.config = vault.write_client_config(directory / "ksm-config.json")
        self.old = fresh_password()
        self.uid = self.add(TITLE, self.old)

    def add(self, title: str, password: str, **more: t.Any) -> str:
        return self.vault.add_record(
            title=title,
            fields={"login": LOGIN, "password": password, "url": "https://etl.example.com"},
            custom=[FOREIGN],
            notes=NOTES,
            **more,
        )

    def options(self, state: str = "staged", **options: t.Any) -> dict[str, t.Any]:
        named = {} if "records" in options else {"record": self.uid}
        return {"keeper_config_file": str(self.config), "state": state, **named, **options}

    def call(self, state: str = "staged", *arguments: str, **options: t.Any) -> Entry:
        """The module's result; the journal afterwards holds this call's requests only. arguments: of a playbook."""
        self.vault.journal.clear()
        if arguments in ((), ("--check",)):
            return self.ansible.alone("keeper_rotation", self.options(state, **options), check_mode=bool(arguments))
        return self.result(self.ansible.module("keeper_rotation", self.options(state, **options), *arguments))

    def result(self, run: Run) -> Entry:
        assert "result" in run.results, run.output
        return t.cast(Entry, run.results["result"])

    def endpoints(self) -> list[str]:
        return [label.split()[0] for label in self.vault.journal.labels()]

    def pending(self, uid: str | None = None) -> str | None:
        return self.vault.field(uid or self.uid, "rotation_pending")

    def foreign_parts(self, uid: str | None = None) -> Entry:
        """The record without what a rotation may change."""
        content = copy.deepcopy(self.vault.record(uid or self.uid))
        own = ("rotation_pending", "rotation_state", "rotated_at", "privatePEMKey")
        content["custom"] = [field for field in content["custom"] if field.get("label") not in own]
        content["fields"] = [field for field in content["fields"] if field["type"] not in ("password", "keyPair")]
        return content


@pytest.fixture
def keeper(tmp_path: Path, vault: KeeperSandbox) -> Keeper:
    return Keeper(tmp_path, vault)


def stage_foreign(
    content: Entry, value: str, *, age: dt.timedelta = dt.timedelta(0), rotation_id: str = "foreign"
) -> None:
    """What another run would have left in a record."""
    started = (dt.datetime.now(dt.UTC) - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {
        "v": 1,
        "rotation_id": rotation_id,
        "run": secrets.token_hex(16),
        "credential": "password",
        "started": started,
    }
    content["custom"] += [
        {"type": "secret", "label": "rotation_pending", "value": [value]},
        {"type": "text", "label": "rotation_state", "value": [json.dumps(state)]},
    ]


def committed_last(keeper: Keeper) -> str | None:
    """The name of the rotation that was committed last; nothing else is left of it."""
    state = json.loads(str(keeper.vault.field(keeper.uid, "rotation_state")))
    assert set(state) <= {"v", "committed"}
    return t.cast("str | None", state.get("committed"))


def committed_last_of_staged(keeper: Keeper) -> str | None:
    return t.cast("str | None", json.loads(str(keeper.vault.field(keeper.uid, "rotation_state"))).get("committed"))


def ago(**duration: int) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(**duration)).strftime("%Y-%m-%dT%H:%M:%SZ")


def assert_hidden(run: Run, *values: str) -> None:
    """None of the values is in the output, nor its base64 at the offset that a whole text has."""
    for value in values:
        for form in (value, json.dumps(value)[1:-1], base64.b64encode(value.encode()).decode().rstrip("=")):
            assert form not in run.output


# -- one rotation


@pytest.mark.core
def test_staged_reused_committed_not_due(keeper: Keeper) -> None:
    """The life of a rotation; the value is never generated twice."""
    before = keeper.foreign_parts()

    first = keeper.call(max_age="30d")
    assert first["changed"] and first["due"] and not first["recovered"]
    assert (first["record_uid"], first["title"], first["login"]) == (keeper.uid, TITLE, LOGIN)
    assert first["old_password"] == keeper.old != first["password"]
    assert keeper.pending() == first["password"]
    assert keeper.vault.field(keeper.uid, "password") == keeper.old
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]

    again = keeper.call(max_age="30d")
    assert again["due"] and again["recovered"] and again["changed"]
    assert again["password"] == first["password"] and again["rotation_id"] != first["rotation_id"]
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]

    assert keeper.call("committed", rotation_id=first["rotation_id"])["error_code"] == "busy"
    committed = keeper.call("committed", rotation_id=again["rotation_id"])
    assert committed["changed"] and not committed["failed"] and "password" not in committed
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]
    assert keeper.vault.field(keeper.uid, "password") == first["password"]
    assert keeper.pending() is None and committed_last(keeper) == again["rotation_id"]
    assert dt.datetime.fromisoformat(str(keeper.vault.field(keeper.uid, "rotated_at"))).tzinfo is not None

    last = keeper.call(max_age="30d")
    assert not last["due"] and not last["changed"] and "password" not in last and "old_password" not in last
    assert keeper.endpoints() == ["get_secret"]
    assert keeper.foreign_parts() == before


def test_fields_are_added_with_their_types(keeper: Keeper) -> None:
    """Records that lack the custom fields get them, the pending value as a hidden one, in one update."""
    revisions = [keeper.vault.revision(keeper.uid)]
    keeper.call()
    custom = {field["label"]: field for field in keeper.vault.record(keeper.uid)["custom"]}
    assert custom["rotation_pending"]["type"] == "secret"
    state = json.loads(custom["rotation_state"]["value"][0])
    assert state["credential"] == "password" and state["started"] and str(keeper.pending()) not in json.dumps(state)
    assert keeper.vault.record(keeper.uid)["notes"] == NOTES
    assert len(keeper.vault.journal.labels("update_secret")) == len(revisions) == 1


def test_a_record_with_empty_fields_is_filled(keeper: Keeper) -> None:
    """Fields that exist, empty or as their owner typed them, are used and not doubled."""
    prepared = [
        {"type": "secret", "label": "rotation_pending", "value": []},
        {"type": "multiline", "label": "rotation_state", "value": []},
        {"type": "text", "label": "rotated_at", "value": [""]},
    ]
    keeper.vault.edit(keeper.uid, lambda content: content["custom"].extend(prepared))
    staged = keeper.call(max_age="30d")
    assert keeper.pending() == staged["password"]
    keeper.call("committed")
    labels = [field.get("label") for field in keeper.vault.record(keeper.uid)["custom"]]
    assert sorted(labels) == ["owner_team", "rotated_at", "rotation_pending", "rotation_state"]


def test_records_by_uid_and_title(keeper: Keeper) -> None:
    """Many records cost 2 + N calls in each phase, and come back in the order of the input."""
    second, third = keeper.add("Second", fresh_password()), keeper.add("Third", fresh_password())
    names = ["Third", keeper.uid, second]
    staged = keeper.call(records=names)
    assert keeper.endpoints() == ["get_secret", *["update_secret"] * 3, "get_secret"]
    assert [entry["record"] for entry in staged["rotations"]] == names
    assert [entry["record_uid"] for entry in staged["rotations"]] == [third, keeper.uid, second]
    assert len({entry["password"] for entry in staged["rotations"]}) == 3
    assert all(keeper.pending(entry["record_uid"]) == entry["password"] for entry in staged["rotations"])

    committed = keeper.call("committed", records=names)
    assert keeper.endpoints() == ["get_secret", *["update_secret"] * 3, "get_secret"]
    assert [entry["changed"] for entry in committed["rotations"]] == [True] * 3
    for entry in staged["rotations"]:
        assert keeper.vault.field(entry["record_uid"], "password") == entry["password"]


def test_one_connection_serves_all_requests(keeper: Keeper) -> None:
    """The vault has a thread for each connection."""
    threads = set[threading.Thread]()
    keeper.vault.faults.add(Fault("", times=99, before=lambda: threads.add(threading.current_thread())))
    assert keeper.call(records=[keeper.uid, keeper.add("Second", fresh_password())])["changed"]
    assert len(keeper.endpoints()) == 4 and len(threads) == 1


def test_a_title_and_a_uid_of_one_record(keeper: Keeper) -> None:
    """One record under two names: the first entry does the work, the second shows it."""
    first, second, third = keeper.call(records=[keeper.uid, TITLE, keeper.uid])["rotations"]
    assert first["changed"] and keeper.pending() == first["password"]
    for entry in (second, third):
        assert (entry["password"], entry["changed"], entry["failed"]) == (first["password"], False, False)
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]


def test_a_title_that_looks_like_a_uid(keeper: Keeper) -> None:
    title = "ThisTitleHas22Letters_"
    assert len(title) == 22
    uid = keeper.add(title, fresh_password())
    assert keeper.call(record=title)["record_uid"] == uid


def test_extra_fields_at_commit(keeper: Keeper) -> None:
    keeper.call(fields={"account": "early"})
    assert keeper.vault.field(keeper.uid, "account") is None
    keeper.call("committed", fields={"account": "xy12345", "owner_team": "data"})
    assert keeper.vault.field(keeper.uid, "account") == "xy12345"
    assert keeper.vault.field(keeper.uid, "owner_team") == "data"


def test_fields_cannot_be_ours(keeper: Keeper) -> None:
    result = keeper.call("committed", fields={"rotation_pending": "x"})
    assert result["error_code"] == "invalid_input" and keeper.endpoints() == []


def test_discarded(keeper: Keeper) -> None:
    staged = keeper.call()
    discarded = keeper.call("discarded")
    assert discarded["changed"] and "password" not in discarded
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]
    assert keeper.pending() is None and keeper.vault.field(keeper.uid, "rotation_state") is None
    assert keeper.vault.field(keeper.uid, "password") == keeper.old
    assert keeper.vault.field(keeper.uid, "rotated_at") is None
    assert not keeper.call("discarded")["changed"]
    assert keeper.call()["password"] != staged["password"]


@pytest.mark.parametrize("state", ["committed", "discarded"])
def test_nothing_pending_empties_nothing(keeper: Keeper, state: str) -> None:
    """Whatever state stands beside an absent value; and nobody has seen such a commit, so it fails."""

    def leave_an_empty_value(content: Entry) -> None:
        stage_foreign(content, "")

    for edit in (lambda content: None, leave_an_empty_value):
        keeper.vault.edit(keeper.uid, edit)
        before = keeper.vault.record(keeper.uid)
        result = keeper.call(state)
        assert not result["changed"]
        assert result.get("error_code") == ("vault_error" if state == "committed" else None)
        assert keeper.endpoints() == ["get_secret"]
        assert keeper.vault.record(keeper.uid) == before


def test_a_commit_is_repeated_for_the_same_rotation_only(keeper: Keeper) -> None:
    """Nothing pending is unchanged for the id that was committed last, also after a discard; else it is an error."""
    keeper.call(rotation_id="first")
    assert keeper.call("committed", rotation_id="first")["changed"]
    again = keeper.call("committed", rotation_id="first")
    assert not again["changed"] and not again["failed"]
    keeper.call(rotation_id="second")
    assert committed_last_of_staged(keeper) == "first"
    keeper.call("discarded", rotation_id="second")
    assert committed_last(keeper) == "first"
    before = keeper.vault.record(keeper.uid)
    for given in ({"rotation_id": "second"}, {}):
        result = keeper.call("committed", **given)
        assert (result["error_code"], result["changed"]) == ("vault_error", False)
    assert not keeper.call("committed", rotation_id="first")["failed"]
    assert keeper.vault.record(keeper.uid) == before


# -- fields that are not what they seem


def field(kind: str, label: str | None, *value: t.Any) -> Entry:
    return {"type": kind, "value": list(value), **({} if label is None else {"label": label})}


@pytest.mark.parametrize(
    ("strange", "options", "named"),
    [
        (field("host", "account", {"hostName": "h", "port": "1"}), {"fields": {"account": "x"}}, ("account", "host")),
        (field("date", "rotated_at", 1700000000000), {}, ("rotated_at", "date")),
        (field("checkbox", "Fingerprint", True), {"fields": {"fingerprint": "x"}}, ("Fingerprint", "checkbox")),
        (field("fileRef", "privatePEMKey", "A" * 22), {"credential": "key_pair"}, ("privatePEMKey", "fileRef")),
        (
            field("login", "Deploy Key", "me"),
            {"credential": "key_pair", "key_field": "deploy_key"},
            ("Deploy Key", "login"),
        ),
        (field("secret", "rotation_pending", {"a": "b"}), {}, ("rotation_pending",)),
    ],
)
def test_a_field_of_another_type_is_refused_before_staging(
    keeper: Keeper, strange: Entry, options: Entry, named: tuple[str, ...]
) -> None:
    """Naming the field and its type; the neighbour goes on."""
    keeper.vault.edit(keeper.uid, lambda content: content["custom"].append(strange))
    before = keeper.vault.record(keeper.uid)
    names = [keeper.uid, keeper.add("Second", fresh_password())]
    checked, real = keeper.call("staged", "--check", records=names, **options), keeper.call(records=names, **options)
    for bad, good in (checked["rotations"], real["rotations"]):
        assert bad["error_code"] == "refused" and all(name in bad["msg"] for name in named)
        assert TITLE in bad["msg"] and good["changed"] and not good["failed"]
    assert keeper.vault.record(keeper.uid) == before


@pytest.mark.parametrize(
    "strange",
    [field("password", "Wiki", "x" * 12), field("secret", "PassWord", "x" * 12), field("text", "Login", "somebody")],
)
def test_two_places_of_which_either_may_be_meant_are_ambiguous(keeper: Keeper, strange: Entry) -> None:
    keeper.vault.edit(keeper.uid, lambda content: content["custom"].append(strange))
    before = keeper.vault.record(keeper.uid)
    assert keeper.call()["error_code"] == "ambiguous"
    assert keeper.vault.record(keeper.uid) == before


SHAPES: list[tuple[list[Entry], int]] = [
    ([field("login", "", LOGIN), field("password", "", "old")], 1),
    ([field("login", "Username", LOGIN), field("password", "Password", "old")], 1),
    ([field("text", " USER-NAME ", LOGIN), field("secret", "pass word", "old")], 1),
    (
        [
            field("login", None),
            field("password", None),
            field("text", "login", LOGIN),
            field("text", "password", "old"),
        ],
        3,
    ),
    ([field("login", None, 4711), field("password", None, 12345678)], 1),
]


@pytest.mark.parametrize(("shape", "place"), SHAPES)
def test_a_write_hits_exactly_the_field_that_was_read(keeper: Keeper, shape: list[Entry], place: int) -> None:
    keeper.vault.edit(keeper.uid, lambda content: content.update(fields=copy.deepcopy(shape), memo="half \ud83d"))
    staged = keeper.call()
    assert (staged["login"], staged["old_password"]) in ((LOGIN, "old"), ("4711", "12345678"))
    assert keeper.call("committed", rotation_id=staged["rotation_id"], fields={"account": 4711})["changed"]
    after = keeper.vault.record(keeper.uid)
    expected = copy.deepcopy(shape)
    expected[place]["value"] = [staged["password"]]
    assert (after["fields"], after["memo"]) == (expected, "half \ud83d")
    assert keeper.vault.field(keeper.uid, "account") == "4711"


@pytest.mark.parametrize("spelling", ["escaped", "mark", "crlf", "openssh", "encrypted", "garbage"])
def test_a_live_key_is_read_or_refused_and_never_taken_for_none(keeper: Keeper, spelling: str) -> None:
    pem, public = private_key()
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    best = serialization.BestAvailableEncryption(secrets.token_bytes(12))
    armour = serialization.PrivateFormat
    told = {
        "escaped": pem.replace("\n", "\\n"),
        "mark": "\ufeff" + pem,
        "crlf": pem.replace("\n", "\r\n"),
        "openssh": key.private_bytes(serialization.Encoding.PEM, armour.OpenSSH, serialization.NoEncryption()).decode(),
        "encrypted": key.private_bytes(serialization.Encoding.PEM, armour.PKCS8, best).decode(),
        "garbage": secrets.token_hex(200),
    }[spelling]
    keeper.vault.edit(
        keeper.uid,
        lambda content: content["custom"].extend([field("keyPair", None), field("secret", "Private-PEM-Key", told)]),
    )
    before = keeper.vault.record(keeper.uid)
    result = keeper.call(credential="key_pair")
    if spelling in ("encrypted", "garbage"):
        assert result["error_code"] == "refused" and "cannot be used" in result["msg"]
        assert keeper.vault.record(keeper.uid) == before
        return
    assert result["current_public_key"] == public
    assert keeper.call("committed", credential="key_pair", rotation_id=result["rotation_id"])["changed"]
    assert keeper.vault.field(keeper.uid, "Private-PEM-Key") == result["private_key"]
    assert field("keyPair", None) in keeper.vault.record(keeper.uid)["custom"]


def test_the_editable_one_of_two_copies_counts(keeper: Keeper) -> None:
    """A record in a folder that may only be read, and shared directly as well."""
    uid = keeper.add("Twice", fresh_password(), folder=keeper.vault.add_folder("Read only", editable=False))
    assert keeper.call(record=uid)["error_code"] == "not_permitted"
    keeper.vault.share(uid)
    assert keeper.call(record="Twice")["changed"]


def test_a_name_of_no_record_and_an_empty_one_fail_themselves(keeper: Keeper) -> None:
    names = [" ", "No such record", keeper.uid]
    empty, absent, good = keeper.call(records=names)["rotations"]
    assert (empty["error_code"], absent["error_code"]) == ("invalid_input", "not_found")
    assert good["changed"] and keeper.pending() == good["password"]


def test_an_old_read_is_made_anew_once_for_all_records(keeper: Keeper) -> None:
    """Somebody edits a record in the two seconds that another one's save takes."""
    names = [keeper.uid, keeper.add("Second", fresh_password()), keeper.add("Third", fresh_password())]
    keeper.vault.faults.add(Fault("update_secret", delay=2.2, before=lambda: keeper.vault.edit(names[2], change_notes)))
    result = keeper.call(records=names)
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret", *["update_secret"] * 2, "get_secret"]
    assert all(entry["changed"] and not entry["failed"] for entry in result["rotations"])
    assert keeper.vault.record(names[2])["notes"] == "Edited meanwhile."


def test_check_mode_names_an_unfinished_rotation(keeper: Keeper) -> None:
    staged = keeper.call(credential="key_pair", rotation_id="job-1")
    checked = keeper.call("staged", "--check", credential="key_pair", rotation_id="job-1")
    for name in ("due", "title", "login", "record_uid", "rotation_id", "public_key", "fingerprint"):
        assert checked[name] == staged[name]
    assert checked["recovered"] and staged["private_key"] not in str(checked)


# -- when it is due


@pytest.mark.parametrize(
    ("rotated_at", "max_age", "force", "due"),
    [
        ({"hours": 1}, "30d", False, False),
        ({"days": 31}, "30d", False, True),
        ({"seconds": 90}, "1m", False, True),
        ({"hours": 1}, "30d", True, True),
        ({"hours": 1}, None, False, True),
        ("yesterday", "30d", False, True),
        ("2026-01-31", "30d", False, True),
        ("today", "30d", False, False),
        ("2999-01-01T00:00:00Z", "30d", False, True),
        ("", "30d", False, True),
    ],
)
def test_due(keeper: Keeper, rotated_at: str | dict[str, int], max_age: str | None, force: bool, due: bool) -> None:
    value = rotated_at if isinstance(rotated_at, str) else ago(**rotated_at)
    value = ago()[:10] if value == "today" else value
    keeper.vault.edit(keeper.uid, lambda content: content["custom"].append(field("text", "rotated_at", value)))
    aged = {} if max_age is None else {"max_age": max_age}
    result = keeper.call("staged", "--check", force=force, **aged)
    assert (result["due"], result["changed"]) == (due, due)
    assert ("note" in result) == (value in ("yesterday", "2999-01-01T00:00:00Z"))


def test_an_unfinished_rotation_is_due_whatever_its_age(keeper: Keeper) -> None:
    pending = fresh_password()

    def leave(content: Entry) -> None:
        content["custom"].append({"type": "text", "label": "rotated_at", "value": [ago(hours=1)]})
        stage_foreign(content, pending)

    keeper.vault.edit(keeper.uid, leave)
    result = keeper.call(max_age="30d")
    assert result["due"] and result["recovered"] and result["password"] == pending


@pytest.mark.parametrize("max_age", ["30", "d", "-1d", "1.5h", "30 days"])
def test_bad_max_age(keeper: Keeper, max_age: str) -> None:
    result = keeper.call(max_age=max_age)
    assert result["error_code"] == "invalid_input" and keeper.endpoints() == []


# -- whose rotation it is


def test_rotation_id(keeper: Keeper) -> None:
    """The same id reuses, another one waits for the lease and then takes over the same value."""
    first = keeper.call(rotation_id="job-1")
    assert keeper.call(rotation_id="job-1")["password"] == first["password"]
    for state in ("staged", "committed", "discarded"):
        busy = keeper.call(state, rotation_id="job-2")
        assert busy["error_code"] == "busy" and busy["retry_safe"] and "password" not in busy
        assert keeper.endpoints() == ["get_secret"]
    assert keeper.pending() == first["password"]
    adopted = keeper.call(rotation_id="job-2", lease="0s")
    assert adopted["password"] == first["password"] and adopted["recovered"] and adopted["changed"]
    assert keeper.call("committed", rotation_id="job-1")["error_code"] == "busy"
    assert keeper.call("committed", rotation_id="job-2")["changed"]
    assert keeper.vault.field(keeper.uid, "password") == first["password"]


def test_a_lease_that_is_over(keeper: Keeper) -> None:
    pending = fresh_password()
    keeper.vault.edit(keeper.uid, lambda content: stage_foreign(content, pending, age=dt.timedelta(minutes=16)))
    result = keeper.call(rotation_id="mine")
    assert result["password"] == pending and result["recovered"]
    assert json.loads(str(keeper.vault.field(keeper.uid, "rotation_state")))["rotation_id"] == "mine"


def test_a_pending_value_without_readable_state(keeper: Keeper) -> None:
    """It may be live, so it is kept, whoever left it."""
    pending = fresh_password()

    def leave(content: Entry) -> None:
        stage_foreign(content, pending)
        content["custom"][-1]["value"] = ["{not JSON"]

    keeper.vault.edit(keeper.uid, leave)
    assert keeper.call()["password"] == pending
    assert keeper.call("committed")["changed"]
    assert keeper.vault.field(keeper.uid, "password") == pending


def test_a_pending_value_of_the_other_kind(keeper: Keeper) -> None:
    keeper.vault.edit(
        keeper.uid,
        lambda content: content["custom"].append({"type": "secret", "label": "privatePEMKey", "value": []}),
    )
    staged = keeper.call()
    for state in ("staged", "committed", "discarded"):
        refused = keeper.call(state, credential="key_pair")
        assert refused["error_code"] == "refused", state
    assert keeper.pending() == staged["password"]


# -- what is generated


def test_password_policy(keeper: Keeper) -> None:
    policy = {
        "length": 24,
        "min_upper": 5,
        "min_lower": 4,
        "min_digits": 6,
        "min_special": 3,
        "special_characters": "!_",
    }
    password = keeper.call(password_policy=policy)["password"]
    assert len(password) == 24
    counts = [
        sum(c in kind for c in password)
        for kind in (string.ascii_uppercase, string.ascii_lowercase, string.digits, "!_")
    ]
    assert sum(counts) == 24 and all(found >= wanted for found, wanted in zip(counts, (5, 4, 6, 3), strict=True))


@pytest.mark.parametrize(
    "policy",
    [{"length": 7}, {"length": 8, "min_digits": 9}, {"min_upper": -1}, {"special_characters": "a"}, {"length": 257}],
)
def test_impossible_password_policy(keeper: Keeper, policy: dict[str, t.Any]) -> None:
    result = keeper.call(password_policy=policy)
    assert result["error_code"] == "invalid_input" and keeper.endpoints() == []


def private_key() -> tuple[str, str]:
    """A private key in PEM, and its public half as Snowflake takes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return pem, public_half(pem)


def public_half(pem: str) -> str:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@pytest.mark.parametrize("kind", ["keyPair", "privatePEMKey", "none"])
def test_key_pair(keeper: Keeper, kind: str) -> None:
    """The new key goes where the old one is; a record without one gets privatePEMKey."""
    old, old_public = private_key()
    fields = {
        "keyPair": {"type": "keyPair", "value": [{"publicKey": old_public, "privateKey": old}]},
        "privatePEMKey": {"type": "secret", "label": "privatePEMKey", "value": [old]},
    }
    custom = [fields[kind]] if kind in fields else []
    keeper.vault.edit(keeper.uid, lambda content: content["custom"].extend(custom))
    before = keeper.foreign_parts()
    staged = keeper.call(credential="key_pair")
    assert staged["private_key"] == keeper.pending() != old
    assert staged["public_key"] == public_half(staged["private_key"])
    assert staged["fingerprint"].startswith("SHA256:") and "password" not in staged
    assert staged["current_public_key"] == (None if kind == "none" else old_public)
    assert keeper.call(credential="key_pair")["private_key"] == staged["private_key"]

    assert keeper.call("committed", credential="key_pair", fields={"fingerprint": staged["fingerprint"]})["changed"]
    if kind == "keyPair":
        (field,) = [each for each in keeper.vault.record(keeper.uid)["custom"] if each["type"] == "keyPair"]
        assert field["value"] == [{"publicKey": staged["public_key"], "privateKey": staged["private_key"]}]
    else:
        assert keeper.vault.field(keeper.uid, "privatePEMKey") == staged["private_key"]
    assert keeper.vault.field(keeper.uid, "fingerprint") == staged["fingerprint"]
    assert keeper.vault.field(keeper.uid, "password") == keeper.old and keeper.pending() is None
    after = keeper.foreign_parts()
    after["custom"] = [field for field in after["custom"] if field.get("label") != "fingerprint"]
    before["custom"] = [field for field in before["custom"] if field["type"] != "keyPair"]
    after["custom"] = [field for field in after["custom"] if field["type"] != "keyPair"]
    assert after == before


def test_small_keys_are_refused(keeper: Keeper) -> None:
    assert keeper.call(credential="key_pair", key_size=1024)["error_code"] == "invalid_input"


# -- others edit the record, answers get lost


def change_notes(content: Entry) -> None:
    content["notes"] = "Edited meanwhile."
    content["custom"].append({"type": "text", "label": "ticket", "value": ["T-1"]})


@pytest.mark.parametrize("state", ["staged", "committed", "discarded"])
def test_an_edit_between_read_and_save_is_kept(keeper: Keeper, state: str) -> None:
    """The vault refuses the stale revision; the second attempt merges into what the other person wrote."""
    staged = keeper.call() if state != "staged" else {}
    keeper.vault.faults.add(Fault("update_secret", before=lambda: keeper.vault.edit(keeper.uid, change_notes)))
    result = keeper.call(state)
    assert result["changed"] and not result["failed"]
    assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret", "update_secret", "get_secret"]
    assert keeper.vault.record(keeper.uid)["notes"] == "Edited meanwhile."
    assert keeper.vault.field(keeper.uid, "ticket") == "T-1"
    if state == "staged":
        assert keeper.pending() == result["password"]
    else:
        assert keeper.pending() is None
        expected = staged["password"] if state == "committed" else keeper.old
        assert keeper.vault.field(keeper.uid, "password") == expected


def test_endless_edits_end(keeper: Keeper) -> None:
    keeper.vault.faults.add(
        Fault("update_secret", times=99, before=lambda: keeper.vault.edit(keeper.uid, change_notes))
    )
    result = keeper.call()
    assert result["error_code"] == "vault_error" and result["retry_safe"] and "password" not in result
    assert keeper.pending() is None
    assert len(keeper.vault.journal.labels("update_secret")) <= 5


@pytest.mark.parametrize("enforced", [True, False])
def test_another_run_that_wins(keeper: Keeper, enforced: bool) -> None:
    """Its value stays, and this run stops without handing out any."""
    keeper.vault.enforce_revisions = enforced
    foreign = fresh_password()

    def win() -> None:
        keeper.vault.edit(keeper.uid, lambda content: stage_foreign(content, foreign))

    def replace() -> None:
        def overwrite(content: Entry) -> None:
            own = ("rotation_pending", "rotation_state")
            content["custom"] = [field for field in content["custom"] if field.get("label") not in own]
            stage_foreign(content, foreign)

        keeper.vault.edit(keeper.uid, overwrite)

    # Enforced, the other run saves first; not enforced, it overwrites right after.
    fault = Fault("update_secret", before=win) if enforced else Fault("update_secret", after=replace)
    keeper.vault.faults.add(fault)
    result = keeper.call()
    assert result["error_code"] == "busy" and result["retry_safe"] and "password" not in result
    assert keeper.pending() == foreign
    assert keeper.vault.field(keeper.uid, "password") == keeper.old


@pytest.mark.parametrize("state", ["staged", "committed", "discarded"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_lost_answer(keeper: Keeper, state: str, side: t.Literal["before", "after"]) -> None:
    """Reading back tells what became of a save without an answer."""
    if state != "staged":
        keeper.call()
    before = keeper.vault.record(keeper.uid)
    keeper.vault.faults.add(Fault("update_secret", drop=side))
    result = keeper.call(state)
    if side == "before":
        assert result["error_code"] == "unreachable" and result["retry_safe"] and not result["changed"]
        assert keeper.vault.record(keeper.uid) == before and "password" not in result
    else:
        assert not result["failed"] and result["changed"]
        assert keeper.endpoints() == ["get_secret", "update_secret", "get_secret"]
        if state == "staged":
            assert keeper.pending() == result["password"]


def test_an_update_that_is_acknowledged_and_not_done(keeper: Keeper) -> None:
    """Only the reading back counts."""
    keeper.vault.faults.add(Fault("update_secret", response=Response(200)))
    result = keeper.call()
    assert result["error_code"] == "vault_error" and "password" not in result
    assert keeper.pending() is None


def test_a_reading_back_that_fails(keeper: Keeper) -> None:
    keeper.vault.faults.add(Fault("get_secret", skip=1, drop="before"))
    result = keeper.call()
    assert result["error_code"] == "unknown_outcome" and result["retry_safe"] and "password" not in result
    pending = keeper.pending()
    assert pending is not None
    assert keeper.call()["password"] == pending


def test_one_record_that_fails_does_not_stop_the_others(keeper: Keeper) -> None:
    others = [keeper.add("Second", fresh_password()), keeper.add("Third", fresh_password())]
    keeper.vault.faults.add(Fault(f"update_secret {others[0]}", drop="before"))
    result = keeper.call(records=[keeper.uid, *others])
    assert [entry["failed"] for entry in result["rotations"]] == [False, True, False]
    assert result["changed"] and result["failed"] and result["error_code"] == "unreachable"
    assert keeper.pending(others[0]) is None
    assert keeper.pending(others[1]) == result["rotations"][2]["password"]


# -- a vault that is slow, full, or talks nonsense


def test_patience_with_throttling(keeper: Keeper) -> None:
    keeper.vault.throttle(2, retry_after=0.1, match="get_secret")
    keeper.vault.throttle(1, retry_after=0.1, match="update_secret")
    result = keeper.call()
    assert keeper.pending() == result["password"]
    assert len(keeper.endpoints()) == 6


@pytest.mark.parametrize(("retry_after", "calls"), [(0.05, 4), (3600.0, 1)])
def test_throttling_is_bounded(keeper: Keeper, retry_after: float, calls: int) -> None:
    keeper.vault.throttle(99, retry_after=retry_after)
    result = keeper.call()
    assert result["error_code"] == "rate_limited" and result["retry_safe"]
    assert len(keeper.endpoints()) == calls


@pytest.mark.slow
def test_throttling_without_a_hint_ends_in_time(keeper: Keeper) -> None:
    keeper.vault.throttle(99)
    start = time.monotonic()
    assert keeper.call()["error_code"] == "rate_limited"
    assert time.monotonic() - start < BOUND


@pytest.mark.slow
def test_throttling_with_an_unreadable_hint(keeper: Keeper) -> None:
    """Our patience, and not the SDK's, which sleeps for minutes."""
    response = error_response(403, "throttled", "Too many requests", retry_after="soon")
    keeper.vault.faults.add(Fault("", times=99, response=response))
    start = time.monotonic()
    assert keeper.call()["error_code"] == "rate_limited"
    assert time.monotonic() - start < BOUND and len(keeper.endpoints()) == 4


def test_throttled_update(keeper: Keeper) -> None:
    """The patience is spent once per task, and not once per record."""
    names = [keeper.uid, *(keeper.add(f"Record {number}", fresh_password()) for number in range(5))]
    keeper.vault.throttle(99, retry_after=0.05, match="update_secret")
    result = keeper.call(records=names)
    assert {entry["error_code"] for entry in result["rotations"]} == {"rate_limited"}
    assert keeper.endpoints() == ["get_secret", *["update_secret"] * 4]
    assert not any(map(keeper.pending, names))


# The first silence costs 15 s, and the read after a silent save another 15 s.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("match", "skip", "code", "staged"),
    [
        ("get_secret", 0, "unreachable", False),
        ("update_secret", 0, "unreachable", False),
        ("get_secret", 1, "unknown_outcome", True),
        ("update_secret|get_secret", 1, "unknown_outcome", False),
    ],
)
def test_a_silent_vault(keeper: Keeper, match: str, skip: int, code: str, staged: bool) -> None:
    times = 2 if "|" in match else 1
    keeper.vault.faults.add(Fault(match, skip=skip, times=times, hang="before"))
    start = time.monotonic()
    result = keeper.call()
    assert time.monotonic() - start < BOUND
    assert result["error_code"] == code and result["retry_safe"] and "password" not in result
    assert (keeper.pending() is not None) == staged
    assert keeper.call()["due"]


def nonsense(kind: str, canary: str) -> Response:
    return {
        "text": Response(200, f"hello {canary}".encode()),
        "empty": Response(200, b""),
        "binary": Response(200, secrets.token_bytes(500)),
        "html error": Response(500, f"<html>{canary}</html>".encode(), {"Content-Type": "text/html"}),
        "html 403": Response(403, f"<html>{canary}</html>".encode(), {"Content-Type": "text/html"}),
        "json list": Response(403, json.dumps([canary]).encode(), {"Content-Type": "application/json"}),
        "json null": Response(400, b"null", {"Content-Type": "application/json"}),
        "error": error_response(400, "bad_request", canary),
        "odd code": error_response(400, canary, "message"),
        "redirect": Response(302, b"", {"Location": f"https://127.0.0.1:1/{canary}"}),
        "not an error": Response(404, json.dumps({"message": canary}).encode()),
    }[kind]


KINDS = [
    *("text", "empty", "binary", "html error", "html 403", "json list", "json null", "error", "odd code", "redirect"),
    "not an error",
]


@pytest.mark.parametrize("kind", variants(KINDS, "text", "odd code", "redirect"))
def test_nonsense(keeper: Keeper, kind: str) -> None:
    """One clear message, without a word of the server; nothing written."""
    canary = "Canary-" + secrets.token_hex(12)
    keeper.vault.faults.add(Fault("get_secret", times=99, response=nonsense(kind, canary)))
    run = keeper.ansible.module("keeper_rotation", keeper.options(), "-vvvv")
    result = keeper.result(run)
    assert result["error_code"] in ("vault_error", "not_found"), result
    assert result["failed"] and "Internal error" not in result["msg"]
    assert canary not in run.output and canary not in json.dumps(result)
    assert "update_secret" not in keeper.endpoints() and len(keeper.endpoints()) <= 4


def test_another_server_key_without_end(keeper: Keeper) -> None:
    """The SDK follows the server's wish for another key, without a limit of its own."""
    response = error_response(401, "key", "Use another server key", key_id=keeper.vault.server_key_id)
    keeper.vault.faults.add(Fault("", times=999, response=response))
    assert keeper.call()["error_code"] == "vault_error"
    assert len(keeper.endpoints()) <= 4


def test_an_application_that_was_removed(keeper: Keeper) -> None:
    keeper.vault.clients.clear()
    result = keeper.call()
    assert result["error_code"] == "auth_failed" and not result["changed"]


@pytest.fixture
def gone(tmp_path: Path) -> Keeper:
    """A vault that is not there any more; its certificate still is."""
    with KeeperSandbox() as sandbox:
        authorities = tmp_path / "authorities.pem"
        authorities.write_bytes(sandbox.ca_path.read_bytes())
        return Keeper(tmp_path, sandbox, {**sandbox.environment(), "REQUESTS_CA_BUNDLE": str(authorities)})


def test_nobody_listens(gone: Keeper) -> None:
    keeper = gone
    start = time.monotonic()
    result = keeper.call()
    assert result["error_code"] == "unreachable" and result["retry_safe"]
    assert f"no answer from Keeper at {gone.vault.hostname}" in result["msg"]
    assert time.monotonic() - start < BOUND


# -- trust


def test_a_certificate_that_is_not_trusted(tmp_path: Path, vault: KeeperSandbox) -> None:
    keeper = Keeper(tmp_path, vault, {})
    result = keeper.call()
    assert result["error_code"] == "vault_error" and "certificate" in result["msg"] and "ca_path" in result["msg"]
    assert keeper.endpoints() == []
    assert keeper.call(ca_path=str(vault.ca_path))["changed"]
    assert keeper.call(validate_certs=False)["recovered"]
    assert keeper.call(ca_path=str(tmp_path / "absent.pem"))["error_code"] == "invalid_input"


def test_ca_path_wins_over_the_environment(tmp_path: Path, vault: KeeperSandbox) -> None:
    with KeeperSandbox() as other:
        keeper = Keeper(tmp_path, vault, other.environment())
        assert "certificate" in keeper.call()["msg"]
        assert keeper.call(ca_path=str(vault.ca_path))["changed"]


# -- the configuration


@pytest.mark.parametrize("form", ["base64", "json", "KSM_CONFIG", "KSM_CONFIG_FILE", "file and text"])
def test_configuration(keeper: Keeper, form: str) -> None:
    text = keeper.config.read_text()
    packed = base64.b64encode(text.encode()).decode()
    options: dict[str, t.Any] = {"record": keeper.uid, "state": "staged"}
    environment: dict[str, str] = {}
    if form == "base64":
        options["keeper_config"] = packed
    elif form == "json":
        options["keeper_config"] = text
    elif form == "file and text":
        # As in the official plugins, the file wins if it exists.
        options.update(keeper_config_file=str(keeper.config), keeper_config="garbage")
    else:
        environment[form] = packed if form == "KSM_CONFIG" else str(keeper.config)
    run = keeper.ansible.module("keeper_rotation", options, "-vvvv", **environment)
    result = keeper.result(run)
    assert result["changed"] and keeper.pending() == result["password"]
    config = json.loads(text)
    assert_hidden(run, config["privateKey"], config["appKey"], packed, result["password"])


def test_no_configuration(keeper: Keeper) -> None:
    result = keeper.result(keeper.ansible.module("keeper_rotation", {"record": keeper.uid, "state": "staged"}))
    assert result["error_code"] == "invalid_input"
    for name in ("keeper_config_file", "keeper_config", "KSM_CONFIG", "KSM_CONFIG_FILE"):
        assert name in result["msg"]


@pytest.mark.parametrize("failing", [False, True])
def test_the_configuration_file_is_left_alone(keeper: Keeper, failing: bool) -> None:
    """The SDK rewrites it, and after some failures deletes it (KSM-807)."""
    before = keeper.config.read_bytes(), keeper.config.stat().st_mtime_ns, keeper.config.stat().st_mode
    if failing:
        keeper.vault.clients.clear()
    assert keeper.call()["failed"] == failing
    assert (keeper.config.read_bytes(), keeper.config.stat().st_mtime_ns, keeper.config.stat().st_mode) == before


def without(config: str, *names: str, **values: t.Any) -> str:
    content = json.loads(config)
    return json.dumps({name: value for name, value in content.items() if name not in names} | values)


def garbage(kind: str, config: str, canary: str) -> str:
    return {
        "text": canary,
        "base64 of text": base64.b64encode(canary.encode()).decode(),
        "cut off": config[:-20],
        "list": json.dumps([canary]),
        "number": "42",
        "one-time token": f"US:{canary}",
        "without appKey": without(config, "appKey"),
        "without keys": json.dumps({"hostname": canary}),
        "null key": without(config, privateKey=None),
        "bad private key": without(config, privateKey=canary),
        "bad appKey": without(config, appKey=canary),
        "bad server key": without(config, serverPublicKey=canary),
        "unknown server key": without(config, "serverPublicKey", serverPublicKeyId="4711"),
        "bad host": without(config, hostname=f"{canary.lower()}.invalid"),
    }[kind]


GARBAGE = [
    *("text", "base64 of text", "cut off", "list", "number", "one-time token", "without appKey", "without keys"),
    *("null key", "bad private key", "bad appKey", "bad server key", "unknown server key", "bad host"),
]


@pytest.mark.parametrize("module", ["keeper_rotation", "keeper_admin_record"])
@pytest.mark.parametrize("kind", variants(GARBAGE, "base64 of text", "cut off", "bad private key"))
def test_garbage_configuration(keeper: Keeper, kind: str, module: str) -> None:
    """One clear message that repeats nothing of it; the file stays as it was."""
    config, canary = keeper.config.read_text(), "Canary-" + secrets.token_hex(12)
    broken = garbage(kind, config, canary)
    keeper.config.write_text(broken)
    state = {"state": "staged"} if module == "keeper_rotation" else {}
    # The text for one module, the file for the other: both take both by the same code.
    as_file = {"keeper_config_file": str(keeper.config)}
    options = {"keeper_config": broken} if module == "keeper_rotation" else as_file
    run = keeper.ansible.module(module, {**options, **state, "record": keeper.uid}, "-vvvv")
    result = keeper.result(run)
    assert result["failed"] and "Internal error" not in result["msg"]
    accepted = ["invalid_input"]
    if kind == "bad host":
        accepted = ["unreachable"]
    elif kind in ("bad appKey", "bad server key", "unknown server key"):
        accepted += ["vault_error", "auth_failed", "not_found"]
    assert result["error_code"] in accepted, result["msg"]
    assert_hidden(run, *(json.loads(config)[name] for name in ("privateKey", "appKey")))
    if kind != "bad host":
        assert canary not in run.output
    assert keeper.config.read_text() == broken
    assert "update_secret" not in keeper.endpoints()


def test_an_unreadable_configuration_file(keeper: Keeper, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in ("folder", "binary", "absent"):
        result = keeper.call(keeper_config_file=str(tmp_path / path))
        assert result["error_code"] == "invalid_input" and path in result["msg"]


# -- records that cannot be rotated


def test_a_record_that_is_missing(keeper: Keeper) -> None:
    for name in ("No such title", "A" * 22):
        result = keeper.call(record=name)
        assert result["error_code"] == "not_found" and name in result["msg"]
    title = keeper.vault.record(keeper.uid)["title"]
    result = keeper.call(record=f"{title}s")
    assert result["error_code"] == "not_found" and f" The nearest title is {title}. " in result["msg"]
    assert keeper.pending() is None


def test_an_ambiguous_title(keeper: Keeper) -> None:
    other = keeper.add(TITLE, fresh_password())
    result = keeper.call(record=TITLE)
    assert result["error_code"] == "ambiguous" and keeper.uid in result["msg"] and other in result["msg"]
    assert "update_secret" not in keeper.endpoints()


@pytest.mark.parametrize("state", ["staged", "committed", "discarded"])
def test_a_read_only_record(keeper: Keeper, state: str) -> None:
    if state != "staged":
        keeper.call()
    before = keeper.vault.record(keeper.uid)
    keeper.vault.revoke_edit(keeper.uid)
    result = keeper.call(state)
    assert result["error_code"] == "not_permitted" and not result["changed"] and "password" not in result
    assert keeper.endpoints() == ["get_secret"]
    assert keeper.vault.record(keeper.uid) == before


def test_a_right_that_is_lost_meanwhile(keeper: Keeper) -> None:
    keeper.vault.faults.add(Fault("update_secret", before=lambda: keeper.vault.revoke_edit(keeper.uid)))
    result = keeper.call()
    assert result["failed"] and "password" not in result and keeper.pending() is None


def test_a_record_without_a_password_field(keeper: Keeper) -> None:
    uid = keeper.vault.add_record(title="Note", type="encryptedNotes", fields={"note": "text"})
    result = keeper.call(record=uid)
    assert result["error_code"] == "refused" and "password" in result["msg"]
    assert keeper.endpoints() == ["get_secret"]


@pytest.mark.parametrize(
    "options",
    [
        {"records": []},
        {"records": [" "]},
        {"record": ""},
        {"rotation_id": " "},
        {"lease": "soon"},
    ],
)
def test_bad_options(keeper: Keeper, options: dict[str, t.Any]) -> None:
    result = keeper.call(**options)
    assert result["failed"] and result["error_code"] == "invalid_input"
    assert keeper.endpoints() == []


# -- what is seen of it


def test_check_mode(keeper: Keeper) -> None:
    before = keeper.vault.record(keeper.uid)
    result = keeper.call("staged", "--check", "--diff")
    assert result["changed"] and result["due"] and "password" not in result and "old_password" not in result
    assert keeper.endpoints() == ["get_secret"] and keeper.vault.record(keeper.uid) == before

    keeper.call()
    staged = keeper.vault.record(keeper.uid)
    for state in ("staged", "committed", "discarded"):
        result = keeper.call(state, "--check", "--diff")
        assert result["changed"] and "password" not in result  # to stage again is to take over
        assert keeper.endpoints() == ["get_secret"] and keeper.vault.record(keeper.uid) == staged


def test_async_is_refused(keeper: Keeper) -> None:
    task = {
        "name": "In the background",
        "keyturn.credentials.keeper_rotation": keeper.options(),
        "async": 30,
        "poll": 1,
        "register": "result",
        "ignore_errors": True,
    }
    run = keeper.ansible.run([keeper.ansible.play(task, keeper.ansible.save("result"))], {})
    assert run.results["result"]["failed"] and "async" in run.results["result"]["msg"]
    assert keeper.endpoints() == [] and keeper.pending() is None


@pytest.mark.parametrize("loop", [False, True])
def test_results_are_censored(keeper: Keeper, loop: bool) -> None:
    """Without no_log in the playbook, at the highest verbosity: nothing shows, and the variable holds it all."""
    second = keeper.add("Second", fresh_password())
    options = {"keeper_config_file": str(keeper.config), "state": "staged"}
    named = {"record": "{{ item }}"} if loop else {"records": [keeper.uid, second]}
    tasks: list[dict[str, t.Any]] = [
        {"name": "Stage", "keyturn.credentials.keeper_rotation": {**options, **named}, "register": "result"},
        {"name": "Stage again", "keyturn.credentials.keeper_rotation": {**options, **named}, "register": "result2"},
        {
            "name": "Commit",
            "keyturn.credentials.keeper_rotation": {**options, **named, "state": "committed"},
            "register": "result3",
        },
    ]
    if loop:
        for task in tasks:
            task["loop"] = [keeper.uid, second]
    play = keeper.ansible.play(*tasks, keeper.ansible.save("result", "result2", "result3"))
    log = keeper.ansible.directory / "ansible.log"
    old = [keeper.old, str(keeper.vault.field(second, "password"))]
    run = keeper.ansible.run([play], {}, "-vvvv", "--diff", ANSIBLE_LOG_PATH=str(log))
    assert run.returncode == 0, run.output
    entries = run.results["result"]["results" if loop else "rotations"]
    staged = [entry["password"] for entry in entries]
    assert [entry["old_password"] for entry in entries] == old
    assert [keeper.vault.field(uid, "password") for uid in (keeper.uid, second)] == staged
    config = json.loads(keeper.config.read_text())
    assert_hidden(run, *staged, *old, config["privateKey"], config["appKey"])
    assert not any(secret in log.read_text() for secret in (*staged, *old))


def test_a_failure_shows_no_secret(keeper: Keeper) -> None:
    """A failed entry beside a good one: the text names the failure, and the good one's secret stays hidden."""
    task = {
        "name": "Stage",
        "keyturn.credentials.keeper_rotation": {
            **keeper.options(records=[keeper.uid, "No such title"]),
        },
        "register": "result",
        "ignore_errors": True,
    }
    run = keeper.ansible.run([keeper.ansible.play(task, keeper.ansible.save("result"))], {}, "-vvvv")
    good, bad = run.results["result"]["rotations"]
    assert bad["error_code"] == "not_found" and keeper.pending() == good["password"]
    assert_hidden(run, good["password"], keeper.old)


# -- keeper_admin_record


def read_admin(keeper: Keeper, *arguments: str, environment: dict[str, str] | None = None, **options: t.Any) -> Run:
    given = {"record": keeper.uid, "keeper_config_file": str(keeper.config)} | options
    given = {name: value for name, value in given.items() if value is not None}
    return keeper.ansible.module("keeper_admin_record", given, *arguments, **(environment or {}))


@pytest.mark.parametrize("by", ["uid", "title"])
def test_admin_record(keeper: Keeper, by: str) -> None:
    keeper.vault.journal.clear()
    run = read_admin(keeper, record=keeper.uid if by == "uid" else TITLE)
    result = keeper.result(run)
    content = keeper.vault.record(keeper.uid)
    assert result["record"] == {
        "uid": keeper.uid,
        "title": TITLE,
        **{section: content[section] for section in ("fields", "custom")},
    }
    assert result["record_uid"] == keeper.uid and not result["changed"]
    assert keeper.endpoints() == ["get_secret"]


def test_admin_record_with_a_title_that_looks_like_a_uid(keeper: Keeper) -> None:
    title = "ThisTitleHas22Letters_"
    uid = keeper.add(title, fresh_password())
    assert keeper.result(read_admin(keeper, record=title))["record_uid"] == uid


def test_admin_record_shows_nothing(keeper: Keeper) -> None:
    """The official plugin and the SDK log at -v; the result is censored without no_log."""
    task = {
        "name": "Read",
        "keyturn.credentials.keeper_admin_record": {"record": TITLE, "keeper_config": "{{ given.config }}"},
        "register": "result",
    }
    play = keeper.ansible.play(task, keeper.ansible.save("result"))
    text = keeper.config.read_text()
    run = keeper.ansible.run([play], {"given": unsafe({"config": text})}, "-vvvv", "--diff")
    assert keeper.old in str(run.results["result"]["record"])
    config = json.loads(text)
    assert_hidden(run, keeper.old, config["privateKey"], config["appKey"], text)


def test_admin_record_in_check_mode(keeper: Keeper) -> None:
    assert keeper.old in str(keeper.result(read_admin(keeper, "--check"))["record"])


def test_admin_record_failures(keeper: Keeper) -> None:
    keeper.add("Twin", fresh_password())
    keeper.add("Twin", fresh_password())
    for record, code in (
        ("Twin", "ambiguous"),
        ("No such title", "not_found"),
        ("A" * 22, "not_found"),
        ("  ", "invalid_input"),
    ):
        result = keeper.result(read_admin(keeper, record=record))
        assert result["failed"] and result["error_code"] == code, result["msg"]
        assert record.strip() in result["msg"]


def test_admin_record_of_a_vault_that_is_down(gone: Keeper) -> None:
    result = gone.result(read_admin(gone))
    assert result["error_code"] == "unreachable" and result["retry_safe"]


def test_admin_record_with_a_certificate_that_is_not_trusted(tmp_path: Path, vault: KeeperSandbox) -> None:
    keeper = Keeper(tmp_path, vault, {})
    result = keeper.result(read_admin(keeper))
    assert result["error_code"] == "vault_error" and "certificate" in result["msg"]


@pytest.mark.slow
def test_admin_record_of_a_silent_vault(keeper: Keeper) -> None:
    keeper.vault.faults.add(Fault("", times=99, hang="before"))
    start = time.monotonic()
    result = keeper.result(read_admin(keeper))
    assert result["error_code"] == "unreachable" and result["retry_safe"]
    assert time.monotonic() - start < BOUND


@pytest.mark.slow
def test_admin_record_of_a_throttling_vault(keeper: Keeper) -> None:
    """The SDK alone would sleep for minutes."""
    keeper.vault.throttle(99)
    start = time.monotonic()
    assert keeper.result(read_admin(keeper))["error_code"] in ("unreachable", "rate_limited")
    assert time.monotonic() - start < BOUND


@pytest.mark.parametrize("kind", KINDS)
def test_admin_record_of_a_vault_that_talks_nonsense(keeper: Keeper, kind: str) -> None:
    canary = "Canary-" + secrets.token_hex(12)
    keeper.vault.faults.add(Fault("get_secret", times=99, response=nonsense(kind, canary)))
    run = read_admin(keeper, "-vvvv")
    result = keeper.result(run)
    assert result["failed"] and result["error_code"] in ("vault_error", "not_found", "unreachable")
    assert canary not in result["msg"] and canary not in run.stdout
    # The SDK writes what it was answered to stderr.
    assert_hidden(run, keeper.old)


@pytest.mark.parametrize("form", ["KSM_CONFIG", "KSM_CONFIG_FILE", "mapping", "json", "base64"])
def test_admin_record_configuration(keeper: Keeper, form: str) -> None:
    """The environment too, which the official plugins do not look at."""
    text = keeper.config.read_text()
    packed = base64.b64encode(text.encode()).decode()
    values: dict[str, t.Any] = {"mapping": json.loads(text), "json": text, "base64": packed}
    environment = {"KSM_CONFIG": packed, "KSM_CONFIG_FILE": str(keeper.config)}
    run = read_admin(
        keeper,
        keeper_config_file=None,
        keeper_config=values.get(form),
        environment={form: environment[form]} if form in environment else {},
    )
    assert keeper.old in str(keeper.result(run)["record"])


def test_admin_record_ignores_a_file_in_the_working_directory(keeper: Keeper) -> None:
    """The official plugins would prefer it to everything else."""
    (keeper.ansible.directory / "client-config.json").write_text("{}")
    run = read_admin(keeper, keeper_config_file=None, keeper_config=keeper.config.read_text())
    assert keeper.old in str(keeper.result(run)["record"])
    assert (keeper.ansible.directory / "client-config.json").read_text() == "{}"


def test_admin_record_leaves_the_configuration_file_alone(keeper: Keeper) -> None:
    before = keeper.config.read_bytes(), keeper.config.stat().st_mtime_ns
    read_admin(keeper)
    keeper.vault.clients.clear()
    assert keeper.result(read_admin(keeper))["failed"]
    assert (keeper.config.read_bytes(), keeper.config.stat().st_mtime_ns) == before
