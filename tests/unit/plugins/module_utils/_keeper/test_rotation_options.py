# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the module takes."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import keeper_rotation, rotation_options
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from tests.unit.plugins.module_utils._keeper.conftest import UID, FakeVault


def _params(**given: t.Any) -> dict[str, t.Any]:
    defaults = {name: option.get("default") for name, option in rotation_options.SPEC.options.items()}
    return {**defaults, "record": UID, "state": "staged", **given}


@pytest.mark.parametrize(
    "given",
    [
        {"record": None, "records": []},
        {"record": " "},
        {"key_size": 1024},
        {"rotation_id": ""},
        {"state": "delivered", "rotation_id": "one"},
        {"state": "delivered", "consumer": "app"},
        {"rotation_id": " "},
        {"max_age": ""},
        {"max_age": "a month"},
        {"lease": "soon"},
        {"fields": {"rotation_pending": "x"}},
        {"fields": {"Rotation-Pending": "x"}},
        {"fields": {"password": "x"}},
        {"fields": {"Login": "x"}},
        {"fields": {"private PEM key": "x"}},
        {"fields": {"deploy-key": "x"}, "key_field": "Deploy Key"},
        {"fields": {"account": "x", "Account": "y"}},
        {"key_field": "rotation_pending"},
        {"fields": {"rotation_state": "x"}},
        {"fields": {"rotated_at": "x"}},
        {"fields": {"a": ["x"]}},
        {"fields": {" ": "x"}},
        {"password_policy": {"length": 7}},
    ],
)
def test_input_that_cannot_be_used_is_refused_before_anything_is_saved(
    monkeypatch: pytest.MonkeyPatch, vault: FakeVault, given: dict[str, t.Any]
) -> None:
    monkeypatch.setattr(keeper_rotation, "vault", lambda params, environ: vault)
    try:
        result = keeper_rotation.run(_params(**given), False)
    except InvalidInput as error:
        result = {"error_code": error.error_code}
    assert result["error_code"] == "invalid_input"
    assert vault.saves == 0


def test_the_module_returns_what_the_engine_found(monkeypatch: pytest.MonkeyPatch, vault: FakeVault) -> None:
    monkeypatch.setattr(keeper_rotation, "vault", lambda params, environ: vault)
    result = keeper_rotation.run(_params(rotation_id="job"), False)
    assert result["password"] == result["rotations"][0]["password"] == fields.pending(vault.data)
    result = keeper_rotation.run(_params(state="committed", fields={"port": 443, "none": None}), False)
    assert fields.text(vault.data, label="port") == "443" and result["changed"]
