# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of keeper_rotation and of services, as a role gets them."""

from __future__ import annotations

import typing as t

Entry = dict[str, t.Any]

COLUMNS = {"name": "login", "private_key": "private_key", "public_key": "public_key", "recovered": "recovered"}


def record(uid: str, kind: str = "fresh", **fields: t.Any) -> Entry:
    """An entry of keeper_rotation's answer; kind: fresh, recovered, idle or failed."""
    if kind == "failed":
        return {"record": uid, "failed": True, "error_code": "vault_error", "msg": f"{uid} cannot be read.", **fields}
    return {
        "record": uid,
        "record_uid": uid,
        "title": f"Title of {uid}",
        "login": f"user_{uid}",
        "failed": False,
        "due": kind != "idle",
        "recovered": kind == "recovered",
        "private_key": f"secret of {uid}",
        "fingerprint": f"SHA256:{uid}",
        **fields,
    }


def answer(*entries: Entry) -> dict[str, t.Any]:
    return {"rotations": list(entries), "changed": any(entry.get("changed") for entry in entries)}


def worked(changed: bool = True, verified: bool = True, **fields: t.Any) -> Entry:
    return {"failed": False, "changed": changed, "verified": verified, **fields}


def failed(code: str, **fields: t.Any) -> Entry:
    return {"failed": True, "changed": False, "verified": False, "error_code": code, "msg": f"It is {code}.", **fields}


def ended(*uids: str, **fields: t.Any) -> dict[str, t.Any]:
    return answer(*({"record": uid, "record_uid": uid, "failed": False, "changed": True, **fields} for uid in uids))
