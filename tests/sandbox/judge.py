# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which passwords really log in: read with Keeper's unmodified SDK, tried with Snowflake's unmodified connector.

Those of Meraki's users, with ``"vpn": URL`` instead of ``"snowflake"``, are tried at the sandbox's VPN, and those of an
API's users, with ``"whoami": URL``, there. With ``"key_field": LABEL`` as well, the record's private key logs in, and
with ``"tokens": true`` its password is an access token, as it is for an API with ``"me": URL``.

``python -m tests.sandbox.judge`` answers each line on stdin, a question in JSON, by one line on stdout:

    {"keeper_config_file": PATH, "snowflake": {connector arguments}, "records": [UID, ...], "old_passwords": {UID: ...}}
    [{"uid": UID, "old_password": VERDICT, "password": VERDICT, "pending": VERDICT}, ...]

A verdict is ``accepted``, ``refused`` (wrong password), another error's number, or null where there is no password.
Answers hold no secret.
"""

from __future__ import annotations

import json
import logging
import sys
import typing as t
from pathlib import Path

import keeper_secrets_manager_core
import keeper_secrets_manager_core.storage
import requests
import snowflake.connector
import snowflake.connector.errors
from cryptography.hazmat.primitives import serialization

_WRONG_PASSWORD = 390100


def vpn_verdict(url: str, user: str, password: str | None) -> str | None:
    """One login at the VPN."""
    if not password:
        return None
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, json={"email": user, "password": password}, timeout=20)
    return {204: "accepted", 403: "refused"}.get(answer.status_code, str(answer.status_code))


def api_verdict(url: str, user: str | None, password: str | None) -> str | None:
    """One login at the API, with a token where there is no user."""
    if not password:
        return None
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": f"Bearer {password}"} if user is None else {}
        answer = session.get(url, auth=None if user is None else (user, password), headers=headers, timeout=20)
    return {200: "accepted", 401: "refused"}.get(answer.status_code, str(answer.status_code))


def verdict(arguments: dict[str, t.Any], user: str, password: str | None, *, token: bool = False) -> str | None:
    """One login, with a password, a private key in PEM or an access token."""
    if not password:
        return None
    secret: dict[str, t.Any] = {"password": password}
    if token:
        secret = {"token": password, "authenticator": "PROGRAMMATIC_ACCESS_TOKEN"}
    if password.startswith("-----BEGIN"):
        key = serialization.load_pem_private_key(password.encode(), None)
        plain = serialization.NoEncryption()
        der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, plain)
        secret = {"private_key": der, "authenticator": "SNOWFLAKE_JWT"}
    try:
        connection = snowflake.connector.connect(**arguments, user=user, **secret, login_timeout=20)
    except snowflake.connector.errors.Error as error:
        return "refused" if error.errno == _WRONG_PASSWORD else str(error.errno)
    connection.close()
    return "accepted"


def _text(read: t.Callable[..., t.Any], field: str) -> str | None:
    """A field's one text; None where there is no such field, or nothing in it."""
    try:
        value = read(field, single=True)
    except ValueError:
        return None
    return value if isinstance(value, str) and value else None


def judge(question: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    config = Path(question["keeper_config_file"]).read_text(encoding="utf-8")
    storage = keeper_secrets_manager_core.storage.InMemoryKeyValueStorage(config)
    found = keeper_secrets_manager_core.SecretsManager(config=storage).get_secrets(question["records"])
    by_uid = {record.uid: record for record in found}
    answers = []
    for uid in question["records"]:
        record = by_uid[uid]
        passwords = {
            "old_password": question.get("old_passwords", {}).get(uid),
            "password": _text(record.custom_field, question["key_field"])
            if "key_field" in question
            else _text(record.field, "password"),
            "pending": _text(record.custom_field, "rotation_pending"),
        }
        user = _text(record.field, "login") or ""
        if "vpn" in question:
            verdicts = {name: vpn_verdict(question["vpn"], user, value) for name, value in passwords.items()}
        elif "whoami" in question:
            verdicts = {name: api_verdict(question["whoami"], user, value) for name, value in passwords.items()}
        elif "me" in question:
            verdicts = {name: api_verdict(question["me"], None, value) for name, value in passwords.items()}
        else:
            token, service = bool(question.get("tokens")), question["snowflake"]
            verdicts = {name: verdict(service, user, value, token=token) for name, value in passwords.items()}
        answers.append({"uid": uid, **verdicts})
    return answers


def main() -> int:
    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        print(json.dumps(judge(json.loads(line))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
