# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the vault holds now, read with Keeper's unmodified SDK: a block for each record.

A secret is shown as the first characters of its SHA-256, which tell whether it is still the same. With --secrets the
secrets of this make-believe vault are shown themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import typing as t
from pathlib import Path

import keeper_secrets_manager_core
import keeper_secrets_manager_core.storage

_SECRET = ("password", "secret", "keyPair")


def lines(record: dict[str, t.Any], *, secrets: bool) -> list[str]:
    """The record's fields that hold something, by their labels or else types."""
    found = [str(record["title"])]
    for field in [*record["fields"], *record.get("custom", [])]:
        for value in field["value"]:
            text = value if isinstance(value, str) else json.dumps(value)
            if field["type"] in _SECRET and not secrets:
                text = f"(SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:8]})"
            if text:
                name = field.get("label") or field["type"]
                found += [f"  {name:<24}{line}" for line in text.splitlines()]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="the file with the Keeper client configuration")
    parser.add_argument("--secrets", action="store_true", help="show the secrets themselves")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    storage = keeper_secrets_manager_core.storage.InMemoryKeyValueStorage(options.config.read_text(encoding="utf-8"))
    records = [record.dict for record in keeper_secrets_manager_core.SecretsManager(config=storage).get_secrets()]
    for record in sorted(records, key=lambda record: str(record["title"])):
        print("\n".join(lines(record, secrets=options.secrets)), end="\n\n")


if __name__ == "__main__":
    main()
