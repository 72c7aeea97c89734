# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is given: keys and files in every form, one clear error for each that cannot be used, many users, check mode."""

from __future__ import annotations

import json
import re
import stat
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from tests.integration.conftest import ADMIN, survives_crashes
from tests.integration.keys import pem, print_of, public, public_pem
from tests.integration.snowflake_user_keypair.conftest import WRONG_KEY, fill, proofs, slots, weak, writes
from tests.integration.support import Decide
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox
from tests.sandbox.snowflake.account import MODIFY_METHODS

pytestmark = [pytest.mark.connector, survives_crashes]


# -- the sandbox


def key_text(*names: str) -> set[str]:
    """What must be in no answer: the lines of the private keys."""
    return {line for name in names for line in pem(name).splitlines() if "-----" not in line}


# -- bad input: one clear error each, nothing written

# Options, the error's code, what it says; slots hold "in use" and "foreign".
BAD: dict[str, tuple[t.Callable[[Path], dict[str, t.Any]], str, tuple[str, ...]]] = {
    "both full, none named": (
        lambda path: {"private_key": pem("new")},
        "slots_full",
        ("slot 1: $in use, set 20", "slot 2: $foreign, set 20", "Nothing was changed"),
    ),
    "current in neither": (
        lambda path: {"private_key": pem("new"), "current_private_key": pem("elsewhere")},
        "slots_full",
        ("$in use", "$foreign", "in neither"),
    ),
    "current in neither, key file": (
        lambda path: {"private_key_path": str(path / "no.p8"), "current_fingerprint": print_of("elsewhere")},
        "slots_full",
        ("$in use", "$foreign"),
    ),
    "the same as new and current": (
        lambda path: {"private_key": pem("new"), "current_private_key": pem("new")},
        "invalid_input",
        ("$new", "same"),
    ),
    "the same, public": (
        lambda path: {"private_key": pem("in use"), "current_public_key": public("in use")},
        "invalid_input",
        ("$in use", "same"),
    ),
    "the same, fingerprint": (
        lambda path: {"public_key": public("new"), "verify": False, "current_fingerprint": print_of("new")},
        "invalid_input",
        ("$new", "same"),
    ),
    "public key with verify": (lambda path: {"public_key": public("new")}, "invalid_input", ("verify=false",)),
    "passphrase wrong": (
        lambda path: {"private_key": pem("new", passphrase="right"), "private_key_passphrase": "wr0ng-one"},
        "invalid_input",
        ("wrong passphrase",),
    ),
    "passphrase missing": (
        lambda path: {"private_key": pem("new", passphrase="right")},
        "invalid_input",
        ("no passphrase is given",),
    ),
    "passphrase needless": (
        lambda path: {"private_key": pem("new"), "private_key_passphrase": "n33dless"},
        "invalid_input",
        ("not encrypted",),
    ),
    "current passphrase wrong": (
        lambda path: {
            "private_key": pem("new"),
            "current_private_key": pem("in use", passphrase="right"),
            "current_private_key_passphrase": "wr0ng-one",
        },
        "invalid_input",
        ("wrong passphrase",),
    ),
    "no such folder": (
        lambda path: {"private_key_path": str(path / "no" / "key.p8")},
        "invalid_input",
        ("no/key.p8", "folder"),
    ),
    "a folder": (lambda path: {"private_key_path": str(path)}, "invalid_input", ("cannot be read",)),
    "foreign file": (
        lambda path: {"private_key_path": str(path / "foreign")},
        "invalid_input",
        ("foreign", "left alone"),
    ),
    "key file with another passphrase": (
        lambda path: {"private_key_path": str(path / "encrypted.p8"), "private_key_passphrase": "wr0ng-one"},
        "invalid_input",
        ("encrypted.p8", "wrong passphrase", "left alone"),
    ),
    "garbage": (lambda path: {"private_key": "Tr0ub4dor no key"}, "invalid_input", ("no PEM private key",)),
    "1024 bits": (lambda path: weak("1024"), "invalid_input", ("1024 bits", "2048")),
    "secp256k1": (lambda path: weak("secp256k1"), "invalid_input", ("secp256k1",)),
    "Ed25519": (lambda path: weak("Ed25519"), "invalid_input", ("neither RSA nor EC",)),
    "no fingerprint": (
        lambda path: {"private_key": pem("new"), "current_fingerprint": "00:11:22"},
        "invalid_input",
        ("current_fingerprint",),
    ),
    "named without a name": (
        lambda path: {"private_key": pem("new"), "method": "named"},
        "invalid_input",
        ("key_pair_name",),
    ),
    "reserved name": (
        lambda path: {"private_key": pem("new"), "method": "named", "key_pair_name": "public_key_1"},
        "invalid_input",
        ("PUBLIC_KEY_1", "reserved"),
    ),
    "a tombstone's name": (
        lambda path: {"private_key": pem("new"), "method": "named", "key_pair_name": "etl_rotated_1781524800000"},
        "invalid_input",
        ("ETL_ROTATED_1781524800000",),
    ),
    "a name with slots": (
        lambda path: {"private_key": pem("new"), "key_pair_name": "etl"},
        "invalid_input",
        ("method=named",),
    ),
    "a broken user name": (
        lambda path: {"name": '"a"b"', "private_key": pem("new")},
        "invalid_input",
        ("double quote",),
    ),
}


def spoken(text: str) -> str:
    """The expected words with ``$name`` replaced by that key's fingerprint."""
    return re.sub(r"\$(in use|foreign|new)", lambda match: print_of(match[1]), text)


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("check", [False, True])
def test_bad_input(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path, case: str, check: bool) -> None:
    fill(etl, "in use", "foreign")
    keep = tmp_path / "keys"
    keep.mkdir()
    (keep / "foreign").write_text("notes of somebody else")
    (keep / "encrypted.p8").write_text(pem("new", passphrase="right"))
    before = {path.name: path.read_bytes() for path in keep.iterdir()}
    options, code, words = BAD[case]
    answer = decide(check=check, **options(keep))
    assert answer["failed"] and not answer["changed"] and answer["error_code"] == code
    assert not answer["retry_safe"] and not answer["verified"]
    assert [word for word in map(spoken, words) if word not in answer["msg"]] == [], answer["msg"]
    said = json.dumps(answer)
    assert not any(line in said for line in key_text("new", "in use", "elsewhere"))
    assert not any(word in said for word in ("wr0ng", "n33dless", "Tr0ub4dor", "BEGIN"))
    assert writes(etl) == [] and slots(etl) == [print_of("in use"), print_of("foreign")]
    assert {path.name: path.read_bytes() for path in keep.iterdir()} == before
    if code == "invalid_input":
        assert etl.journal.labels() == []


CONTRADICTIONS: dict[str, dict[str, t.Any]] = {
    "retire a named pair": {"method": "named", "key_pair_name": "etl", "retire_previous_after": "0h"},
    "retire without proof": {"verify": False, "retire_previous_after": "0h"},
    "no duration": {"retire_previous_after": "soon"},
    "negative hours": {"method": "named", "key_pair_name": "etl", "rotated_key_expiry_hours": -1},
    "small keys": {"key_size": 1024},
    "no users": {"users": []},
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_options_that_contradict_each_other(etl: SnowflakeSandbox, decide: Decide, case: str) -> None:
    options = CONTRADICTIONS[case]
    given = options if "users" in options else {"private_key": pem("new"), **options}
    with pytest.raises(InvalidInput):
        decide(**given)
    assert etl.journal.labels() == []


def test_named_on_an_account_without_it(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    etl.account.named_key_pairs_supported = False
    for given in ({"private_key": pem("new")}, {"private_key_path": str(tmp_path / "no.p8")}):
        answer = decide(method="named", key_pair_name="etl", **given)
        assert answer["error_code"] == "refused" and "method=slots" in answer["msg"]
        assert answer["left"] == "untouched"
    assert writes(etl) == [] and not (tmp_path / "no.p8").exists()


def test_one_user_twice(etl: SnowflakeSandbox, decide: Decide) -> None:
    twice = [{"name": "etl", "private_key": pem("new")}, {"name": '"ETL"', "private_key": pem("other")}]
    answer = decide(users=twice)
    assert answer["error_code"] == "invalid_input" and writes(etl) == []
    twice[1]["private_key"] = pem("new")
    answer = decide(users=twice)
    assert not answer["failed"] and [entry["changed"] for entry in answer["rotations"]] == [True, False]
    assert len(writes(etl)) == 1 and proofs(etl) == ["ok"]


# -- public keys and files


def test_a_public_key_alone(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "orphan")
    answer = decide(public_key=public_pem("new"), verify=False, current_public_key=public("in use"))
    assert answer["changed"] and not answer["verified"] and answer["verify_skipped_reason"]
    assert slots(etl) == [print_of("in use"), print_of("new")] and proofs(etl) == []
    again = decide(public_key=public("new"), verify=False)
    assert not again["changed"] and not again["verified"] and len(writes(etl)) == 1


@pytest.mark.parametrize("passphrase", [None, "pass phrase"])
def test_a_key_file(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path, passphrase: str | None) -> None:
    """In place before Snowflake hears of the key, used again afterwards, never overwritten."""
    path = tmp_path / "etl.p8"
    seen: list[bytes] = []
    etl.faults.add(Fault("ALTER USER", before=lambda: seen.append(path.read_bytes())))
    options = {"private_key_path": str(path), "private_key_passphrase": passphrase}
    answer = decide(key_size=3072, **options)
    assert answer["changed"] and answer["verified"] and seen == [path.read_bytes()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = serialization.load_pem_private_key(seen[0], passphrase.encode() if passphrase else None)
    assert isinstance(loaded, rsa.RSAPrivateKey) and loaded.key_size == 3072
    again = decide(**options)
    assert not again["changed"] and again["verified"] and path.read_bytes() == seen[0]
    assert answer["fingerprint"] == again["fingerprint"] == slots(etl)[0]


def test_a_key_file_that_is_there(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    path = tmp_path / "etl.p8"
    path.write_text(pem("new"))
    answer = decide(private_key_path=str(path))
    assert answer["changed"] and answer["fingerprint"] == print_of("new") and path.read_text() == pem("new")


@pytest.mark.parametrize("failure", ["not permitted", "refused", "lost"])
def test_a_key_file_is_kept_for_the_next_run(
    etl: SnowflakeSandbox, decide: Decide, tmp_path: Path, failure: str
) -> None:
    path = tmp_path / "etl.p8"
    if failure == "not permitted":
        etl.add_role("OTHERS")
        etl.user("ETL").owner = "OTHERS"
        etl.grant("MONITOR", "ETL", "SECURITYADMIN")
    elif failure == "refused":
        etl.faults.add(Fault("ALTER USER", response=etl.statement_failure(3002, "New public key rejected")))
    else:
        etl.faults.add(Fault("ALTER USER", times=99, drop="before"))
    answer = decide(private_key_path=str(path), login_timeout=3)
    assert answer["failed"] and answer["changed"] and slots(etl) == [None, None]
    made = path.read_bytes()
    etl.faults.clear()
    etl.user("ETL").owner = "SECURITYADMIN"
    assert decide(private_key_path=str(path))["verified"] and path.read_bytes() == made


def test_a_file_that_appears_meanwhile(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    path = tmp_path / "etl.p8"
    etl.faults.add(Fault("DESCRIBE USER", after=lambda: path.write_text(pem("new"))))
    answer = decide(private_key_path=str(path))
    assert answer["failed"] and writes(etl) == [] and path.read_text() == pem("new")
    assert decide(private_key_path=str(path))["fingerprint"] == print_of("new")


# -- the administrator's own keys


@pytest.mark.parametrize("how", ["text", "path"])
@pytest.mark.parametrize("options", [{}, {"on_slots_full": "replace_oldest"}, {"retire_previous_after": "0h"}])
def test_an_administrator_that_rotates_itself(
    snowflake: SnowflakeSandbox, decide: Decide, tmp_path: Path, how: str, options: dict[str, t.Any]
) -> None:
    """The session's own key is never overwritten or retired, whatever is said about the key in use."""
    path = tmp_path / "admin.p8"
    path.write_text(pem("admin"))
    login = {"login_private_key": pem("admin")} if how == "text" else {"login_private_key_path": str(path)}
    for first, second, current in (
        ("admin", None, "admin"),
        ("admin", "orphan", "admin"),
        ("orphan", "admin", "admin"),
        ("admin", "in use", "in use"),
        ("in use", "admin", "in use"),
        ("admin", "orphan", None),
        ("admin", "orphan", "elsewhere"),
        ("admin", "new", None),
        ("new", "admin", None),
    ):
        fill(snowflake, first, second, ADMIN)
        given = {"current_public_key": public(current)} if current else {}
        answer = decide(name=ADMIN, login_user="rotator", private_key=pem("new"), **login, **given, **options)
        assert print_of("admin") in slots(snowflake, ADMIN), (first, second, current)
        if answer["failed"]:
            assert answer["error_code"] == "slots_full" and slots(snowflake, ADMIN) == [
                print_of(first),
                print_of(str(second)),
            ]
            assert current != "admin"
        else:
            assert print_of("new") in slots(snowflake, ADMIN) and answer["verified"]
            assert current != "in use"


def test_another_users_key_is_not_the_administrators(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "admin", name=ADMIN)
    fill(etl, "in use", "admin")
    answer = decide(private_key=pem("new"), login_private_key=pem("admin"), current_public_key=public("in use"))
    assert answer["verified"] and slots(etl) == [print_of("in use"), print_of("new")]


# -- many users


def test_fifty_users_in_one_task(snowflake: SnowflakeSandbox, decide: Decide) -> None:
    """One login of the administrator, 50 ALTERs, 50 proofs."""
    names = [f"U{number:02}" for number in range(50)]
    for name in names:
        snowflake.add_user(name, type="SERVICE")
        fill(snowflake, "in use", "orphan", name)
    users = [{"name": name, "private_key": pem("new"), "current_public_key": public("in use")} for name in names]
    answer = decide(users=users)
    assert not answer["failed"] and answer["changed"]
    assert [entry["name"] for entry in answer["rotations"]] == names
    assert all(entry["changed"] and entry["verified"] for entry in answer["rotations"])
    first, *proofs = snowflake.logins
    assert first == (ADMIN, "password", "ok")
    # Several at a time, so in any order.
    assert sorted(proofs) == [(name, "key_pair", "ok") for name in names]
    assert writes(snowflake) == [f"ALTER USER {name} SET RSA_PUBLIC_KEY_2" for name in names]
    assert snowflake.open_sessions() == 0
    snowflake.journal.clear()
    again = decide(users=users)
    assert not again["changed"] and all(entry["verified"] for entry in again["rotations"])
    assert writes(snowflake) == []


def test_one_that_fails_stops_no_other(snowflake: SnowflakeSandbox, decide: Decide, tmp_path: Path) -> None:
    for name in ("GOOD", "FULL", "OTHERS", "REFUSED", "UNPROVED", "LAST"):
        snowflake.add_user(name, type="SERVICE")
    fill(snowflake, "in use", "foreign", "FULL")
    snowflake.add_role("OTHERS")
    snowflake.user("OTHERS").owner = "OTHERS"
    snowflake.grant("MONITOR", "OTHERS", "SECURITYADMIN")
    text = "New public key rejected by current policy. Reason: 'Invalid Public key'"
    snowflake.faults.add(Fault("ALTER USER REFUSED", response=snowflake.statement_failure(3002, text)))
    snowflake.faults.add(Fault("login UNPROVED", response=snowflake.login_failure(WRONG_KEY, "JWT token is invalid.")))
    names = ["GOOD", "FULL", "NOBODY", "OTHERS", "REFUSED", "UNPROVED", "LAST"]
    answer = decide(users=[{"name": name, "private_key": pem("new")} for name in names])
    entries = {entry["name"]: entry for entry in answer["rotations"]}
    assert list(entries) == names and answer["failed"] and answer["changed"] and "error_code" not in answer
    assert {name: entry.get("error_code") for name, entry in entries.items()} == {
        "GOOD": None,
        "FULL": "slots_full",
        "NOBODY": "not_found",
        "OTHERS": "not_permitted",
        "REFUSED": "refused",
        "UNPROVED": "verify_failed",
        "LAST": None,
    }
    assert entries["REFUSED"]["refusal_code"] == 3002
    assert [name for name, entry in entries.items() if entry["changed"]] == ["GOOD", "UNPROVED", "LAST"]
    assert [name for name, entry in entries.items() if entry["verified"]] == ["GOOD", "LAST"]
    assert [name for name, entry in entries.items() if entry.get("retry_safe")] == ["UNPROVED"]


def test_the_finer_privilege_is_enough(etl: SnowflakeSandbox, decide: Decide) -> None:
    """MODIFY PROGRAMMATIC AUTHENTICATION METHODS instead of OWNERSHIP, where such a role may DESCRIBE."""
    etl.add_role("USER_ROTATOR", granted_to=["SECURITYADMIN"])
    etl.user(ADMIN).roles.add("USER_ROTATOR")
    etl.add_role("OWNERS")
    etl.user("ETL").owner = "OWNERS"
    refused = decide(private_key=pem("new"), login_role="USER_ROTATOR")
    assert refused["error_code"] in ("not_found", "not_permitted")
    etl.grant(MODIFY_METHODS, "ETL", "USER_ROTATOR")
    for method in ({}, {"method": "named", "key_pair_name": "etl", "private_key": pem("other")}):
        answer = decide(**{"private_key": pem("new"), "login_role": "USER_ROTATOR", **method})
        assert answer["verified"], answer
    etl.account.modify_can_describe = False
    answer = decide(private_key=pem("third"), login_role="USER_ROTATOR")
    assert answer["failed"] and answer["error_code"] in ("not_found", "not_permitted")


# -- check mode and diff


def test_check_mode_announces_a_retirement_and_the_new_fingerprint(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "new")
    answer = decide(check=True, private_key=pem("new"), retire_previous_after="0h")
    assert answer["changed"] and {"planned": "Retire", "slot": 1} in answer["diff"]["after"]["keys"]
    assert not decide(check=True, private_key=pem("new"), retire_previous_after="7d")["changed"]
    answer = decide(check=True, private_key=pem("other"), current_public_key=public("new"))
    assert answer["diff"]["after"]["keys"][-1] == {
        "planned": "SetSlot",
        "fingerprint": print_of("other"),
        "slot": 1,
    }
    users = [{"name": "etl"}, {"name": "etl", "current_public_key": public("new")}]
    answer = decide(check=True, users=users[:1])
    assert answer["rotations"][0]["error_code"] == "slots_full"
    assert decide(check=True, users=users[1:])["changed"]
    assert writes(etl) == [] and proofs(etl) == []


@pytest.mark.parametrize("method", ["slots", "named"])
def test_check_mode(etl: SnowflakeSandbox, decide: Decide, tmp_path: Path, method: str) -> None:
    fill(etl, "in use", "orphan")
    named = {"method": "named", "key_pair_name": "etl"} if method == "named" else {}
    current = {"current_public_key": public("in use")}
    for given in ({"private_key": pem("new")}, {"private_key_path": str(tmp_path / "etl.p8")}):
        answer = decide(check=True, **given, **current, **named)
        assert answer["changed"] and not answer["verified"] and answer["verify_skipped_reason"] == "check_mode"
        assert answer["diff"]["before"] != answer["diff"]["after"]
        assert not any(line in json.dumps(answer) for line in key_text("new"))
    assert writes(etl) == [] and proofs(etl) == [] and not (tmp_path / "etl.p8").exists()
    assert decide(private_key=pem("new"), **current, **named)["changed"]
    answer = decide(check=True, private_key=pem("new"), **current, **named)
    assert not answer["changed"] and not answer["verified"] and "diff" not in answer


def test_the_diff_holds_fingerprints_and_no_keys(etl: SnowflakeSandbox, decide: Decide) -> None:
    fill(etl, "in use", "orphan")
    answer = decide(private_key=pem("new"), current_public_key=public("in use"))
    before, after = (json.dumps(answer["diff"][side]) for side in ("before", "after"))
    assert print_of("orphan") in before and print_of("new") not in before
    assert print_of("new") in after and print_of("orphan") not in after and print_of("in use") in after
    said = json.dumps(answer)
    assert not any(line in said for line in key_text("new")) and public("new")[:60] not in said
