# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client that keeps logging in with the private key that it once read from Keeper, and counts.

``python -m tests.sandbox.steady_client`` takes one line on stdin, {"keeper_config_file", "snowflake", "record"}, says
``ready`` after the first login, and when stdin ends {"accepted": N, "refused": N}. Both clients are unmodified.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import typing as t
from pathlib import Path

import keeper_secrets_manager_core
import keeper_secrets_manager_core.storage
import snowflake.connector
import snowflake.connector.errors
from cryptography.hazmat.primitives import serialization


def _login_arguments(question: dict[str, t.Any]) -> dict[str, t.Any]:
    config = Path(question["keeper_config_file"]).read_text(encoding="utf-8")
    storage = keeper_secrets_manager_core.storage.InMemoryKeyValueStorage(config)
    (record,) = keeper_secrets_manager_core.SecretsManager(config=storage).get_secrets([question["record"]])
    key = serialization.load_pem_private_key(record.custom_field("privatePEMKey", single=True).encode(), password=None)
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    user = record.field("login", single=True)
    return {**question["snowflake"], "user": user, "private_key": der, "authenticator": "SNOWFLAKE_JWT"}


def _accepted(arguments: dict[str, t.Any]) -> bool:
    try:
        snowflake.connector.connect(**arguments, login_timeout=20).close()
    except snowflake.connector.errors.Error:
        return False
    return True


def main() -> int:
    logging.disable(logging.CRITICAL)
    arguments = _login_arguments(json.loads(sys.stdin.readline()))
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    counts = {True: 0, False: 0}
    counts[_accepted(arguments)] += 1
    print("ready", flush=True)
    # A short breath between logins, so that the demo's other processes get some of the processor.
    while not ended.wait(0.05):
        counts[_accepted(arguments)] += 1
    print(json.dumps({"accepted": counts[True], "refused": counts[False]}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
