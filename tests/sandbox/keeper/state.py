# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the sandbox vault holds: applications, clients, folders and records."""

from __future__ import annotations

import copy
import dataclasses
import json
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from tests.sandbox.keeper import crypto

Field: t.TypeAlias = dict[str, t.Any]
Content: t.TypeAlias = dict[str, t.Any]
Fields: t.TypeAlias = Mapping[str, t.Any] | Iterable[Field] | None


class Refused(Exception):
    """The service says no: HTTP status, code and message of the answer, and further members of its JSON."""

    def __init__(self, status: int, code: str, message: str, **more: object) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.more = more


@dataclasses.dataclass
class App:
    """A Secrets Manager application: whatever is shared with it is sealed with its key."""

    name: str
    uid: str = dataclasses.field(default_factory=crypto.new_uid)
    key: bytes = dataclasses.field(default_factory=crypto.new_key, repr=False)
    owner: ec.EllipticCurvePrivateKey = dataclasses.field(default_factory=crypto.new_private_key, repr=False)


@dataclasses.dataclass
class Client:
    """A device of an application; before it is bound, all that is known is the application key sealed by its token."""

    app: App
    public: bytes | None = None
    sealed_app_key: bytes | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass
class Folder:
    """A shared folder, or (with ``shared`` set) a folder below one."""

    uid: str
    key: bytes = dataclasses.field(repr=False)
    data: bytes = dataclasses.field(repr=False)
    editable: bool = True
    apps: set[str] = dataclasses.field(default_factory=set)
    shared: Folder | None = None
    parent: str | None = None

    @property
    def name(self) -> str:
        return str(json.loads(crypto.unseal_cbc(self.data, self.key))["name"])


@dataclasses.dataclass
class Record:
    """A record; ``data`` is the committed content, and an open transaction holds one of ``staged`` and ``preimage``."""

    uid: str
    key: bytes = dataclasses.field(repr=False)
    data: bytes = dataclasses.field(repr=False)
    revision: int
    editable: bool = True
    folder: Folder | None = None
    subfolder: str | None = None
    apps: set[str] = dataclasses.field(default_factory=set)
    links: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    staged: bytes | None = dataclasses.field(default=None, repr=False)
    preimage: bytes | None = dataclasses.field(default=None, repr=False)

    def shared_with(self, app: App) -> bool:
        return app.uid in self.apps or (self.folder is not None and app.uid in self.folder.apps)

    def may_edit(self, app: App) -> bool:
        """A record that is shared directly and in a folder has the right that the better of the two gives."""
        return self.editable and (app.uid in self.apps or self.folder is None or self.folder.editable)

    def content(self) -> Content:
        """The committed content, decrypted; every call makes a new copy."""
        return crypto.unseal_json(self.data, self.key)


def field_list(fields: Fields) -> list[Field]:
    """Standard or custom fields as the vault stores them; a mapping is field type to value."""
    if fields is None:
        return []
    if not isinstance(fields, Mapping):
        return copy.deepcopy(list(fields))
    return [
        {"type": kind, "value": list(value) if isinstance(value, list | tuple) else [value]}
        for kind, value in fields.items()
    ]


def matching_fields(content: Content, key: str) -> Iterator[Field]:
    """The fields with this label, then those with this type; standard fields before custom ones."""
    every = [field for section in ("fields", "custom") for field in content.get(section) or []]
    for name in ("label", "type"):
        yield from (field for field in every if field.get(name) == key)


def field_value(content: Content, key: str) -> str | None:
    """The first value of the field that ``key`` names; JSON when it is no text; None without field or value."""
    for field in matching_fields(content, key):
        values = field.get("value") or []
        if not values:
            return None
        return values[0] if isinstance(values[0], str) else json.dumps(values[0])
    return None
