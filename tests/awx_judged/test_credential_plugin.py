# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The installed credential plugin, found and loaded as AWX does. Its lookups are tested in tests/unit/extensions."""

from __future__ import annotations

import importlib.metadata
import json

import pytest

pytest.importorskip("awx_plugins", reason="make judge-awx installs AWX's code")

from awx_plugins.credentials.plugin import CredentialPlugin  # noqa: E402

from tests.sandbox.awx import rules  # noqa: E402
from tests.sandbox.scenery import Scenery  # noqa: E402


# The second is the name of the group in AWX 24.6.1 and older.
@pytest.mark.parametrize("group", ["awx_plugins.credentials", "awx.credential_plugins"])
def test_awx_finds_the_plugin(group: str, scenery: Scenery, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = [entry for entry in importlib.metadata.entry_points(group=group) if entry.name == "keeper"]
    plugin = found.load()
    assert plugin._fields == CredentialPlugin._fields
    assert plugin.name == "Keeper Secrets Manager"
    asked = [*plugin.inputs["fields"], *plugin.inputs["metadata"]]
    rules.check({"fields": asked, "required": plugin.inputs["required"]}, rules.INPUTS_SCHEMA)
    assert set(plugin.inputs["required"]) == {field["id"] for field in asked}
    # AWX hands over what the form holds, by these names.
    for name, value in scenery.vault.environment().items():
        monkeypatch.setenv(name, value)
    uid, password = next(iter(scenery.first_passwords.items()))
    answers = {"config": json.dumps(scenery.vault.client_config()), "notation": f"keeper://{uid}/field/password"}
    assert plugin.backend(**answers) == password


def test_no_other_plugin_has_this_name() -> None:
    names = [entry.name for entry in importlib.metadata.entry_points(group="awx_plugins.credentials")]
    assert len(names) > 5 and names.count("keeper") == 1
