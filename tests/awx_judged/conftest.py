# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where our files are, and what AWX would be given."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from tests.integration.conftest import meraki, rest, vault  # noqa: F401 # pylint: disable=unused-import
from tests.sandbox.scenery import REPOSITORY, Scenery

AWX = REPOSITORY / "extensions" / "awx"
COLLECTIONS = REPOSITORY / ".cache" / "collections"
Variables = dict[str, t.Any]


def load(path: Path) -> Variables:
    return t.cast(Variables, yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def types() -> dict[str, Variables]:
    """Our credential types by the names of their files."""
    return {path.stem: load(path) for path in sorted((AWX / "credential_types").glob("*.yml"))}


@pytest.fixture(scope="session")
def blocked() -> frozenset[str]:
    """The environment variables that AWX keeps for itself."""
    from awx_plugins.interfaces._temporary_private_inject_api import ENV_BLOCKLIST

    return t.cast("frozenset[str]", ENV_BLOCKLIST)


@pytest.fixture
def scenery(tmp_path: Path) -> t.Iterator[Scenery]:
    """Three users with passwords and one with a key, their records, and a vault; the administrator's says where."""
    with Scenery(tmp_path) as scenery:
        where = {name: value for name, value in scenery.snowflake.settings().items() if name != "account"}
        custom = [{"type": "text", "label": name, "value": [str(value)]} for name, value in where.items()]
        titles = {scenery.vault.record(uid)["title"]: uid for uid in scenery.vault.records}
        scenery.vault.edit(titles["Snowflake Authentication Record"], lambda record: record["custom"].extend(custom))
        yield scenery
        assert scenery.errors == []
