# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a client may ask of the vault: one function per endpoint, decrypted payload in, reply out."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable

from tests.sandbox.keeper import crypto
from tests.sandbox.keeper.state import App, Folder, Record, Refused
from tests.sandbox.keeper.vault import Vault

Payload: t.TypeAlias = dict[str, t.Any]
Reply: t.TypeAlias = dict[str, t.Any] | None

_UID = re.compile(r"[A-Za-z0-9_-]{22}\Z")
_TRANSACTIONS = (None, "general", "rotation")


def is_uid(value: object) -> bool:
    return isinstance(value, str) and _UID.match(value) is not None


def _bad(message: str) -> Refused:
    return Refused(400, "bad_request", message)


class Operations:
    """The endpoints. The caller holds the vault's lock and has authenticated the application."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.endpoints: dict[str, Callable[[App, Payload], Reply]] = {
            "get_secret": self.get_secret,
            "get_folders": self.get_folders,
            "create_secret": self.create_secret,
            "update_secret": self.update_secret,
            "finalize_secret_update": self.finalize_secret_update,
            "rollback_secret_update": self.rollback_secret_update,
            "delete_secret": self.delete_secret,
            "create_folder": self.create_folder,
            "update_folder": self.update_folder,
            "delete_folder": self.delete_folder,
            "add_file": self.add_file,
        }

    def _denied(self, message: str) -> Refused:
        return Refused(403, self.vault.denied_code, message)

    # Reading

    def get_secret(self, app: App, payload: Payload) -> Reply:
        wanted, places = payload.get("requestedRecords"), payload.get("requestedFolders")
        links = bool(payload.get("requestLinks"))
        uids = set(wanted or ())
        records = [r for r in self.vault.records.values() if not wanted or r.uid in uids]
        direct = [] if places else [r for r in records if app.uid in r.apps]
        return {
            "appData": crypto.encode_urlsafe(crypto.seal_json({"title": app.name, "type": "app"}, app.key)),
            "expiresOn": 0,
            "records": [self._record(r, app.key, r.editable, links=links) for r in direct],
            "folders": self._shared_folders(app, records, places, links=links),
        }

    def _shared_folders(
        self, app: App, records: list[Record], places: list[str] | None, *, links: bool
    ) -> list[dict[str, t.Any]]:
        """The shared folders with their records; the service leaves out those without any."""
        replies = []
        for folder in self._folders(app):
            inside = [r for r in records if r.folder is folder]
            if folder.shared is not None or not inside or (places and folder.uid not in places):
                continue
            replies.append(
                {
                    "folderUid": folder.uid,
                    "folderKey": crypto.encode(crypto.seal(folder.key, app.key)),
                    "records": [
                        self._record(r, folder.key, r.editable and folder.editable, links=links) for r in inside
                    ],
                }
            )
        return replies

    def _record(self, record: Record, holder: bytes, editable: bool, *, links: bool) -> dict[str, t.Any]:
        """A record whose key is sealed with ``holder``, the key of the application or of the folder."""
        visible = record.staged if record.staged is not None and self.vault.staged_visible else record.data
        reply = {
            "recordUid": record.uid,
            "recordKey": crypto.encode(crypto.seal(record.key, holder)),
            "data": crypto.encode(visible),
            "revision": record.revision,
            "isEditable": editable,
            "innerFolderUid": record.subfolder,
            "files": [],
        }
        return reply | {"links": record.links} if links else reply

    def _folders(self, app: App) -> list[Folder]:
        return [f for f in self.vault.folders.values() if app.uid in (f.shared or f).apps]

    def get_folders(self, app: App, payload: Payload) -> Reply:
        return {"folders": [self._folder(app, folder) for folder in self._folders(app)]}

    def _folder(self, app: App, folder: Folder) -> dict[str, t.Any]:
        sealed = (
            crypto.seal(folder.key, app.key)
            if folder.shared is None
            else crypto.seal_cbc(folder.key, folder.shared.key)
        )
        return {
            "folderUid": folder.uid,
            "parent": folder.parent,
            "folderKey": crypto.encode(sealed),
            "data": crypto.encode(folder.data),
        }

    # Writing records

    def _reachable(self, app: App, uid: object) -> Record:
        record = self.vault.records.get(uid) if isinstance(uid, str) else None
        if record is None or not record.shared_with(app):
            raise self._denied("The record is not shared with the application")
        return record

    def _editable(self, app: App, uid: object) -> Record:
        record = self._reachable(app, uid)
        if not record.may_edit(app):
            raise self._denied("The application may not edit the record")
        return record

    def update_secret(self, app: App, payload: Payload) -> Reply:
        record = self._editable(app, payload.get("recordUid"))
        transaction = payload.get("transactionType")
        if transaction not in _TRANSACTIONS:
            raise _bad("Unknown transaction type")
        data = crypto.decode(payload.get("data"))
        crypto.unseal_json(data, record.key)
        if self.vault.enforce_revisions and payload.get("revision") != record.revision:
            raise Refused(self.vault.stale_status, self.vault.stale_code, "The record has changed since it was read")
        self._write(record, data, transaction)
        return None

    def _write(self, record: Record, data: bytes, transaction: str | None) -> None:
        if transaction == "rotation":
            record.staged = data
        else:
            # The first write of a transaction keeps the content that rollback restores; a plain write ends it.
            before = record.data if record.preimage is None else record.preimage
            record.preimage = before if transaction == "general" else None
            record.data, record.staged = data, None
        record.revision = self.vault.next_revision()

    def finalize_secret_update(self, app: App, payload: Payload) -> Reply:
        self.vault.end_transaction(self._editable(app, payload.get("recordUid")), commit=True)
        return None

    def rollback_secret_update(self, app: App, payload: Payload) -> Reply:
        self.vault.end_transaction(self._editable(app, payload.get("recordUid")), commit=False)
        return None

    def create_secret(self, app: App, payload: Payload) -> Reply:
        uid, below = payload.get("recordUid"), payload.get("subFolderUid")
        folder = self._editable_shared_folder(app, payload.get("folderUid"))
        if not isinstance(uid, str) or not is_uid(uid) or uid in self.vault.records:
            raise _bad("The record uid is not usable")
        if below is not None and (below not in self.vault.folders or self.vault.folders[below].shared is not folder):
            raise _bad("The subfolder is not in the folder")
        key = crypto.unseal_ecies(crypto.decode(payload.get("recordKey")), app.owner)
        if crypto.unseal(crypto.decode(payload.get("folderKey")), folder.key) != key:
            raise _bad("The record key is sealed in two ways that differ")
        data = crypto.decode(payload.get("data"))
        crypto.unseal_json(data, key)
        self.vault.records[uid] = Record(uid, key, data, self.vault.next_revision(), folder=folder, subfolder=below)
        return None

    def delete_secret(self, app: App, payload: Payload) -> Reply:
        return {"records": [self._delete(app, uid) for uid in payload.get("recordUids") or []]}

    def _delete(self, app: App, uid: str) -> dict[str, str]:
        try:
            del self.vault.records[self._editable(app, uid).uid]
        except Refused as refused:
            return {"recordUid": uid, "responseCode": refused.code, "errorMessage": refused.message}
        return {"recordUid": uid, "responseCode": "ok", "errorMessage": ""}

    def add_file(self, app: App, payload: Payload) -> Reply:
        raise Refused(400, "not_supported", "The sandbox stores no files")

    # Writing folders

    def _own_folder(self, app: App, uid: object) -> Folder:
        folder = self.vault.folders.get(uid) if isinstance(uid, str) else None
        if folder is None or folder not in self._folders(app):
            raise self._denied("The folder is not shared with the application")
        return folder

    def _editable_shared_folder(self, app: App, uid: object) -> Folder:
        folder = self._own_folder(app, uid)
        if folder.shared is not None:
            raise _bad("The folder is not a shared folder")
        if not folder.editable:
            raise self._denied("The application may not edit the folder")
        return folder

    def create_folder(self, app: App, payload: Payload) -> Reply:
        uid, parent = payload.get("folderUid"), payload.get("parentUid")
        shared = self._editable_shared_folder(app, payload.get("sharedFolderUid"))
        if not isinstance(uid, str) or not is_uid(uid) or uid in self.vault.folders:
            raise _bad("The folder uid is not usable")
        if parent and (parent not in self.vault.folders or self.vault.folders[parent].shared is not shared):
            raise _bad("The parent folder is not in the shared folder")
        key = crypto.unseal_cbc(crypto.decode(payload.get("sharedFolderKey")), shared.key)
        folder = Folder(uid, key, b"", shared=shared, parent=parent or shared.uid)
        self._rename(folder, payload)
        self.vault.folders[uid] = folder
        return None

    def _rename(self, folder: Folder, payload: Payload) -> None:
        data = crypto.decode(payload.get("data"))
        crypto.unseal_cbc(data, folder.key)
        folder.data = data

    def update_folder(self, app: App, payload: Payload) -> Reply:
        folder = self._own_folder(app, payload.get("folderUid"))
        if not (folder.shared or folder).editable:
            raise self._denied("The application may not edit the folder")
        self._rename(folder, payload)
        return None

    def delete_folder(self, app: App, payload: Payload) -> Reply:
        force = bool(payload.get("forceDeletion"))
        return {"folders": [self._delete_folder(app, uid, force) for uid in payload.get("folderUids") or []]}

    def _delete_folder(self, app: App, uid: str, force: bool) -> dict[str, str]:
        folder = self.vault.folders.get(uid)
        if folder is None or folder not in self._folders(app):
            return {"folderUid": uid, "responseCode": "ok", "errorMessage": ""}
        if not (folder.shared or folder).editable:
            return {"folderUid": uid, "responseCode": self.vault.denied_code, "errorMessage": "No right to edit"}
        below = [f.uid for f in self.vault.folders.values() if f.parent == uid]
        inside = [r.uid for r in self.vault.records.values() if uid == (r.subfolder or (r.folder and r.folder.uid))]
        if (below or inside) and not force:
            return {"folderUid": uid, "responseCode": "not_empty", "errorMessage": "The folder is not empty"}
        for child in below:
            self._delete_folder(app, child, force)
        for record in inside:
            del self.vault.records[record]
        del self.vault.folders[uid]
        return {"folderUid": uid, "responseCode": "ok", "errorMessage": ""}
