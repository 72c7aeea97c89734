# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What an entry of keeper_rotation tells of its record, and hands on to the next step of the rotation. Pure."""

from __future__ import annotations

import datetime as dt
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import keys
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as fields
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_plan import (
    ENDS,
    LATER,
    Options,
    State,
    is_due,
    is_forgotten,
)


def facts(options: Options, state: State, now: dt.datetime) -> dict[str, t.Any]:
    """Of the record, without secrets."""
    data = state.record.data
    found: dict[str, t.Any] = {
        "record_uid": state.record.uid,
        "title": state.record.title,
        "login": fields.login(data),
        "rotated_at": fields.text(data, fields.ROTATED_AT),
    }
    told = {
        "consumers": fields.consumers(data, options.consumers),
        "undelivered": fields.undelivered(data),
        "committed_id": fields.last_committed(data) if fields.undelivered(data) else None,
    }
    found.update({name: value for name, value in told.items() if value})
    _moment, note = fields.rotated_at(found["rotated_at"], now)
    if note is not None:
        found["note"] = note
    if options.target in LATER and not state.unseen:
        found["pending"] = fields.pending(data) is not None
    certain = not (state.unseen or state.late)
    if options.target == "saved" and certain and is_forgotten(options, state.record):
        found["forgotten"] = True
    if options.target not in ENDS:
        found["due"] = _due(options, state, now)
        found["recovered"] = state.recovered
        if state.waiting is not None:
            found["waiting"] = state.waiting
    return found


def _due(options: Options, state: State, now: dt.datetime) -> bool:
    data = state.record.data
    due = state.waiting is None and is_due(options, data, now)
    return fields.under_way(data) or due


def secrets(options: Options, state: State, now: dt.datetime) -> dict[str, t.Any]:
    """What the next step of the rotation needs.

    Of a record that is not due only its key, so that the previous one can be retired. In check mode a record that
    is due may have nothing pending yet: then it is the key that is in use.
    """
    data = state.record.data
    pending, live = fields.pending(data), fields.live_secret(data, options.place)
    mark = fields.marker(data)
    # What a record that is not under way has left of former times names no rotation of this run.
    found: dict[str, t.Any] = {"rotation_id": name_of(data) if fields.under_way(data) else None}
    if mark is not None and mark.former_logins:
        found["former_logins"] = list(mark.former_logins)
    if options.target == "announced":
        return {**found, **_token_facts(options, state, mark, idle=not _due(options, state, now))}
    if options.place.credential != "key_pair":
        return found if pending is None else {**found, "password": pending, "old_password": live}
    key, current = _key_facts(pending), _key_facts(live)
    if not _due(options, state, now):
        return {**found, **current}
    # The same key in both fields is in use under either name; as the one to be spared it would contradict itself.
    spared = None if current.get("public_key") == key.get("public_key") else current.get("public_key")
    return {**found, **key, "current_public_key": spared}


def _token_facts(options: Options, state: State, mark: fields.Marker | None, *, idle: bool) -> dict[str, t.Any]:
    """Names of tokens; and the pending one, or that of a record that is not due, so that it can be proved."""
    data = state.record.data
    coming = mark.token_name if mark is not None else None
    pending, live = fields.pending(data), fields.live_secret(data, options.place)
    # What a person has put into the record since is another token than the name says.
    held = (fields.text(data, fields.TOKEN_NAME) or "").strip() if fields.holds(data, live) else None
    told = {
        "token_name": coming,
        "announced": coming if pending is None else None,
        "minted": bool(idle and held) or pending is not None,
        "token": pending if pending is not None else live if idle and held else None,
        "current_token_name": held if pending is None else coming,
        "token_expires_at": fields.text(data, fields.TOKEN_EXPIRES_AT),
        "previous_token_names": [*fields.names(data, "previous"), *([held] if held and pending else [])],
        "orphans": fields.names(data, "orphans"),
    }
    return {name: value for name, value in told.items() if value}


def name_of(data: fields.Data) -> str | None:
    """What the rotation is called that the record is in the middle of."""
    mark = fields.marker(data)
    return mark.rotation_id if mark is not None else None


def _key_facts(pem: str | None) -> dict[str, str]:
    """The key with its public half; nothing where there is no key, or none that can be read without its passphrase."""
    try:
        key = keys.load_private_key(pem) if pem else None
    except InvalidInput:
        key = None
    if pem is None or key is None:
        return {}
    return {"private_key": pem, "public_key": keys.public_base64(key), "fingerprint": keys.fingerprint(key)}


def metadata(data: fields.Data) -> dict[str, t.Any]:
    return {
        "pending": fields.pending(data) is not None,
        "rotated_at": fields.text(data, fields.ROTATED_AT),
    }
