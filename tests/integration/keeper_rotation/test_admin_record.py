# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""keeper_admin_record, through the vendor's official plugins."""

from __future__ import annotations

import base64
import json
import secrets
import time
import typing as t
from pathlib import Path

import pytest

from tests.integration.conftest import fresh_password
from tests.integration.keeper_rotation.conftest import BOUND, KINDS, TITLE, Keeper, assert_hidden, nonsense
from tests.integration.support import Run, unsafe
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault


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
