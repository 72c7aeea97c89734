# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sandbox vault as its owner and the tests see it; what clients may do to it is in ``operations``."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import os
import threading
import typing as t
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.sandbox.keeper import crypto
from tests.sandbox.keeper.state import App, Client, Content, Field, Fields, Folder, Record, field_list, field_value

# No id that the SDK knows: it must then use the key of its configuration.
SERVER_KEY_ID = "99"
# Revisions of the real service are numbers of the account, so two records never count in step.
_FIRST_REVISION = 1000
_EMPTY: Content = {"title": None, "type": None, "fields": [], "custom": [], "notes": None}


class Vault:
    """State in memory, behind one lock.

    Where the real service's behaviour is not documented, an attribute chooses:

    enforce_revisions: refuse an update whose revision is not the record's (false: the last writer wins)
    stale_status, stale_code: how a stale revision is refused
    denied_code: the code of every 403 for want of a right
    error_member: the JSON member that holds an error's code, ``error`` or ``result_code``
    staged_visible: whether readers see the value of a rotation transaction before it is finalized
    limit: how many requests a client may send to one endpoint within how many seconds; (100, 10) is what is published
    """

    def __init__(self) -> None:
        self.enforce_revisions = True
        self.stale_status = 403
        self.stale_code = "out_of_sync"
        self.denied_code = "access_denied"
        self.error_member = "error"
        self.staged_visible = True
        self.limit: tuple[int, float] | None = None
        self.lock = threading.RLock()
        self.server_key = crypto.new_private_key()
        self.server_key_id = SERVER_KEY_ID
        self.apps: dict[str, App] = {}
        self.clients: dict[str, Client] = {}
        self.folders: dict[str, Folder] = {}
        self.records: dict[str, Record] = {}
        self._revisions = itertools.count(_FIRST_REVISION)
        self.app = self.add_app("keyturn sandbox")

    def next_revision(self) -> int:
        return next(self._revisions)

    # What is there

    def add_app(self, name: str) -> App:
        app = App(name)
        with self.lock:
            self.apps[app.uid] = app
        return app

    def add_folder(self, name: str, *, editable: bool = True, app: App | None = None) -> Folder:
        """A shared folder; records go in by ``add_record(folder=...)``, as the folder itself or its uid."""
        key = crypto.new_key()
        data = crypto.seal_cbc(json.dumps({"name": name}).encode(), key)
        folder = Folder(crypto.new_uid(), key, data, editable, {(app or self.app).uid})
        with self.lock:
            self.folders[folder.uid] = folder
        return folder

    def add_record(
        self,
        *,
        title: str | None,
        type: str = "login",  # noqa: A002  # the word that Keeper uses
        fields: Fields = None,
        custom: Sequence[Field] = (),
        folder: Folder | str | None = None,
        editable: bool = True,
        notes: str | None = None,
        app: App | None = None,
    ) -> str:
        """Add a record to a folder, or share it directly, and return its uid."""
        content: Content = {"title": title, "type": type, "fields": field_list(fields), "custom": field_list(custom)}
        if notes is not None:
            content["notes"] = notes
        key = crypto.new_key()
        with self.lock:
            place = self.folders[folder] if isinstance(folder, str) else folder
            record = Record(
                crypto.new_uid(), key, crypto.seal_json(content, key), self.next_revision(), editable, place
            )
            if place is None:
                record.apps.add((app or self.app).uid)
            self.records[record.uid] = record
        return record.uid

    def share(self, uid: str, app: App | None = None) -> None:
        """Share a record or a folder with one more application; a record in a folder is then there twice."""
        with self.lock:
            holder: Record | Folder = self.records[uid] if uid in self.records else self.folders[uid]
            holder.apps.add((app or self.app).uid)

    def record(self, uid: str) -> Content:
        """The committed content, decrypted: title, type, fields, custom, notes; what the record lacks is empty."""
        with self.lock:
            return copy.deepcopy(_EMPTY) | self.records[uid].content()

    def staged(self, uid: str) -> Content | None:
        """What an open rotation transaction holds, decrypted."""
        with self.lock:
            record = self.records[uid]
            return (
                None if record.staged is None else copy.deepcopy(_EMPTY) | crypto.unseal_json(record.staged, record.key)
            )

    def field(self, uid: str, key: str) -> str | None:
        """The first committed value by label, then by type, in the standard fields, then the custom ones."""
        return field_value(self.record(uid), key)

    def revision(self, uid: str) -> int:
        with self.lock:
            return self.records[uid].revision

    # What others do meanwhile

    def edit(self, uid: str, change: Callable[[Content], object]) -> None:
        """A person's edit: ``change`` mutates the committed content. It ends an open transaction."""
        with self.lock:
            record = self.records[uid]
            content = record.content()
            change(content)
            record.data = crypto.seal_json(content, record.key)
            record.staged = record.preimage = None
            record.revision = self.next_revision()

    def remove(self, uid: str) -> None:
        with self.lock:
            del self.records[uid]

    def revoke_edit(self, uid: str) -> None:
        with self.lock:
            self.records[uid].editable = False

    def expire_transactions(self) -> None:
        """What becomes of transactions that nobody finishes: they are discarded."""
        with self.lock:
            for record in self.records.values():
                self.end_transaction(record, commit=False)

    def end_transaction(self, record: Record, *, commit: bool) -> None:
        """Commit or roll back; without an open transaction nothing happens."""
        if record.staged is None and record.preimage is None:
            return
        if commit and record.staged is not None:
            record.data = record.staged
        if not commit and record.preimage is not None:
            record.data = record.preimage
        record.staged = record.preimage = None
        record.revision = self.next_revision()

    # How clients get in

    def one_time_token(self, app: App | None = None) -> str:
        """A token that binds one client, without a host: clients take that separately."""
        target, token = app or self.app, crypto.new_key()
        with self.lock:
            self.clients[crypto.client_id(token)] = Client(target, sealed_app_key=crypto.seal(target.key, token))
        return crypto.encode_urlsafe(token)

    def bound_config(self, hostname: str, app: App | None = None) -> dict[str, str]:
        """The configuration of a new client that is bound already."""
        target, device = app or self.app, crypto.new_private_key()
        client_id = crypto.client_id(crypto.new_key())
        with self.lock:
            self.clients[client_id] = Client(target, crypto.point(device))
        return {
            "hostname": hostname,
            "clientId": client_id,
            "privateKey": crypto.encode(crypto.pkcs8(device)),
            "appKey": crypto.encode(target.key),
            "appOwnerPublicKey": crypto.encode(crypto.point(target.owner)),
            "serverPublicKeyId": self.server_key_id,
            "serverPublicKey": crypto.encode_urlsafe(crypto.point(self.server_key)),
        }


def config_base64(config: Mapping[str, t.Any]) -> str:
    """A client configuration as one base64 word, which ``KSM_CONFIG`` and ``keeper_config`` take."""
    return base64.b64encode(json.dumps(config).encode()).decode("ascii")


def write_private(path: Path, text: str) -> Path:
    """Write a new or existing file that only its owner may read, from the first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
    return path
