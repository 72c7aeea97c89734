# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The credential types: AWX's rules for them, and what awx-plugins-core makes of them."""

from __future__ import annotations

import copy
import json
import secrets
import stat
import types as python_types
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("awx_plugins", reason="make judge-awx installs AWX's code")

from awx_plugins.interfaces import _temporary_private_container_api as container  # noqa: E402
from awx_plugins.interfaces._temporary_private_credential_api import Credential  # noqa: E402
from awx_plugins.interfaces._temporary_private_inject_api import inject_credential  # noqa: E402

from tests.sandbox.awx import rules  # noqa: E402

Variables = dict[str, t.Any]
NAMES = ("keeper", "meraki", "rest_token", "snowflake")


def canary() -> str:
    """A secret with all that trips over templates, quoting and lines."""
    return f"{secrets.token_hex(8)}{{{{7*7}}}}{{% raw %}}\"'\\ %$\n{secrets.token_hex(8)}"


def secret_ids(kind: Variables) -> list[str]:
    return [field["id"] for field in kind["inputs"]["fields"] if field.get("secret")]


def test_there_are_these(types: dict[str, Variables]) -> None:
    assert tuple(types) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_awx_accepts_the_type(types: dict[str, Variables], blocked: frozenset[str], name: str) -> None:
    kind = types[name]
    rules.check_credential_type(kind["inputs"], kind["injectors"], blocked)
    assert kind["kind"] == "cloud"
    assert set(kind["inputs"]["required"]) <= {field["id"] for field in kind["inputs"]["fields"]}


def break_env(kind: Variables, name: str, value: str = "x") -> None:
    kind["injectors"].setdefault("env", {})[name] = value


@pytest.mark.parametrize(
    "damage",
    [
        lambda kind: break_env(kind, "ANSIBLE_CONFIG"),
        lambda kind: break_env(kind, "PATH"),
        lambda kind: break_env(kind, "1X"),
        lambda kind: break_env(kind, "X", "\u00e4"),
        lambda kind: break_env(kind, "X", "{{ unknown }}"),
        lambda kind: break_env(kind, "X", "{{ tower.filename.unknown }}"),
        lambda kind: break_env(kind, "X", "{{ broken"),
        lambda kind: kind["injectors"]["file"].update({"template.other": "x"}),
        lambda kind: kind["injectors"]["file"].update({"other": "x"}),
        lambda kind: kind["injectors"].update({"stdin": "x"}),
        lambda kind: kind["inputs"]["fields"].append({"id": "tower", "label": "x"}),
        lambda kind: kind["inputs"]["fields"].append(dict(kind["inputs"]["fields"][0])),
        lambda kind: kind["inputs"]["fields"].append({"id": "x", "label": "x", "type": "boolean", "secret": True}),
        lambda kind: kind["inputs"]["fields"].append({"id": "x"}),
    ],
)
def test_the_rules_reject_what_awx_rejects(
    types: dict[str, Variables], blocked: frozenset[str], damage: t.Callable[[Variables], t.Any]
) -> None:
    kind = copy.deepcopy(types["keeper"])
    damage(kind)
    with pytest.raises(rules.Rejected):
        rules.check_credential_type(kind["inputs"], kind["injectors"], blocked)


class Injected:
    """What awx-plugins-core did with a type and inputs."""

    def __init__(self, kind: Variables, inputs: Variables, private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (private / "env").mkdir()
        monkeypatch.setattr(container, "CONTAINER_ROOT", str(private))
        self.env: dict[str, str] = {}
        self.safe_env: dict[str, str] = {}
        self.arguments: list[str] = []
        managed = python_types.SimpleNamespace(
            inputs=kind["inputs"], injectors=kind["injectors"], managed=False, custom_injectors=None
        )
        inject_credential(
            t.cast(t.Any, managed), Credential(inputs), self.env, self.safe_env, self.arguments, str(private)
        )
        self.files = sorted((private / "env").iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_secrets_go_into_private_files_only(
    types: dict[str, Variables], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = types[name]
    inputs = {field["id"]: canary() if field.get("secret") else "plain" for field in kind["inputs"]["fields"]}
    injected = Injected(kind, dict(inputs), tmp_path, monkeypatch)
    written = {path.read_text(encoding="utf-8") for path in injected.files}
    assert {inputs[name] for name in secret_ids(kind)} <= written, "the file holds exactly the secret"
    assert {stat.S_IMODE(path.stat().st_mode) for path in injected.files} <= {0o600, 0o400}
    seen = json.dumps([injected.env, injected.safe_env, injected.arguments])
    halves = [half for name in secret_ids(kind) for half in (inputs[name][:16], inputs[name][-16:])]
    assert [half for half in halves if half in seen] == []
    extra_vars = [Path(word[1:]).read_text() for word in injected.arguments if word.startswith("@")]
    assert [half for half in halves for text in extra_vars if half in text] == []


def test_keeper_names_the_file_to_jobs_and_to_inventory_sources(
    types: dict[str, Variables], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (field,) = types["keeper"]["inputs"]["fields"]
    assert field["secret"] and "config" in field["id"]
    config = canary()
    injected = Injected(types["keeper"], {field["id"]: config}, tmp_path, monkeypatch)
    assert Path(injected.env["KSM_CONFIG_FILE"]).read_text() == config
    (flag, file) = injected.arguments
    assert (flag, Path(file[1:]).read_text()) == ("-e", f"keeper_config_file: {injected.env['KSM_CONFIG_FILE']}\n")


@pytest.mark.parametrize("given", ["private_key", "password"])
def test_snowflake_names_only_the_secret_that_was_given(
    types: dict[str, Variables], given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = canary()
    injected = Injected(
        types["snowflake"], {"account": "xy12345", "user": "ROTATOR", given: secret}, tmp_path, monkeypatch
    )
    names = {"private_key": "SNOWFLAKE_PRIVATE_KEY_PATH", "password": "SNOWFLAKE_PASSWORD_FILE"}
    assert Path(injected.env[names.pop(given)]).read_text() == secret
    # The modules take an empty variable for none.
    assert [injected.env[other] for other in (*names.values(), "SNOWFLAKE_ROLE")] == ["", ""]
    assert injected.env["SNOWFLAKE_ACCOUNT"] == "xy12345"
