# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A vault that others edit, that is slow, full or talks nonsense; whom it trusts, and how it is configured."""

from __future__ import annotations

import base64
import json
import secrets
import time
import typing as t
from pathlib import Path

import pytest

from tests.integration.conftest import fresh_password
from tests.integration.keeper_rotation.conftest import (
    BOUND,
    KINDS,
    Entry,
    Keeper,
    assert_hidden,
    change_notes,
    garbage,
    nonsense,
    stage_foreign,
)
from tests.integration.support import variants
from tests.sandbox.keeper import KeeperSandbox, error_response
from tests.sandbox.server import Fault, Response

# -- others edit the record, answers get lost


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
