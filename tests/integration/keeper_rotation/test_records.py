# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records whose fields are not what they seem, that cannot be rotated, and what is seen of any."""

from __future__ import annotations

import copy
import json
import secrets
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization

from tests.integration.conftest import fresh_password
from tests.integration.keeper_rotation.conftest import (
    LOGIN,
    TITLE,
    Entry,
    Keeper,
    assert_hidden,
    change_notes,
    field,
    private_key,
)
from tests.sandbox.server import Fault

# -- fields that are not what they seem


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
