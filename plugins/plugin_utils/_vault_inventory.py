# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""From records with a rotation marker to hosts with ``keyturn_rotations``. Pure; no secret goes past ``extract``.

What ``extract`` gives may be cached: {marked: [{uid, title, login, kind, max_age, rotated_at, expires_at, pending,
not_before, window, after: {title, rotated_at, pending} or none, admin, problem}], admins: {uid: {title, kind, account,
recipe}}, unreadable: n}. Whether a record is due, and waits, is found out anew each time.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import functools
import re
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import parse_duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
    RotationError,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import record as vault
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper import windows
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record, Snapshot
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _record
from ansible_collections.keyturn.credentials.plugins.plugin_utils._fleet import KINDS, MINTED, unknown_kind
from ansible_collections.keyturn.credentials.plugins.plugin_utils._names import CANONICAL

KIND_FIELD = _record.MODULE
ADMIN_FIELD = "rotation_admin_record"
AGE_FIELD = "rotation_max_age"
# On an administrator's record; the last one as the recipes of the role rest_password_rotate call it.
_ADMIN_FIELDS = {"account": "rotation_account", "recipe": "recipe"}
_WAITS = {"not_before": windows.NOT_BEFORE, "window": windows.WINDOW, "after": windows.AFTER}
# The host of records that belong to no account.
NOWHERE = "without_admin_record"

Extract = dict[str, t.Any]
Marked = dict[str, t.Any]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
_UID_PART = 8


@dataclasses.dataclass
class Account:
    """A host of the inventory. due_since: when the first of what is due became older than its max_age, as far as known.

    problems: one line for each reason why some of its records will not rotate.
    """

    rotations: list[dict[str, t.Any]] = dataclasses.field(default_factory=list)
    due: int = 0
    waiting: int = 0
    pending: int = 0
    due_since: dt.datetime | None = None
    problems: list[str] = dataclasses.field(default_factory=list)


def extract(snapshot: Snapshot) -> Extract:
    """What the inventory needs of the records, without any secret."""
    named = _Named(snapshot)
    told = {uid: _told(record) for uid, record in snapshot.records.items()}
    taking_part = {uid: each for uid, each in told.items() if each["takes_part"]}
    admins = {uid for each in taking_part.values() if each["admin"] for uid in [named.find(each["admin"])[0]] if uid}
    return {
        "marked": [
            _marked(snapshot.records[uid], each, named)
            for uid, each in taking_part.items()
            # On an administrator's record, the kind says what all records that name it are.
            if each["admin"] or uid not in admins
        ],
        "admins": {
            uid: {name: told[uid][name] for name in ("title", "kind", *_ADMIN_FIELDS)} for uid in sorted(admins)
        },
        "unreadable": snapshot.unreadable,
    }


class _Named:
    """Finds each administrator's record once: a title is looked for in all records."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._found: dict[str, tuple[str | None, str | None]] = {}

    def find(self, reference: str) -> tuple[str | None, str | None]:
        """(uid, None), or (None, what is wrong)."""
        if reference not in self._found:
            try:
                self._found[reference] = self._snapshot.find(reference).uid, None
            except RotationError as error:
                self._found[reference] = None, f"Its {ADMIN_FIELD} cannot be used: {error.msg}"
        return self._found[reference]

    def other(self, reference: str) -> tuple[dict[str, t.Any] | None, str | None]:
        """(what is to be known of a record that another one waits for, None), or (None, what is wrong)."""
        try:
            record = self._snapshot.find(reference)
            about = {
                "rotated_at": vault.text(record.data, vault.ROTATED_AT),
                "pending": vault.pending(record.data) is not None,
            }
        except RotationError as error:
            return None, f"Its {windows.AFTER} cannot be used: {error.msg}"
        return {"title": record.title, **about}, None


def _told(record: Record) -> dict[str, t.Any]:
    """What the record's own fields say, as far as they can be read, and what is wrong with the others."""
    given: dict[str, t.Any] = {"title": record.title, "takes_part": False, "problem": None, "kind": "", "login": ""}
    given |= dict.fromkeys(("admin", "max_age", *_ADMIN_FIELDS), "") | {
        "rotated_at": None,
        "expires_at": None,
        "pending": False,
    }
    given |= dict.fromkeys(_WAITS)
    fields = _tried(given, lambda: _record.read(record.data)) or {}
    given["takes_part"] = any(fields.get(_record.key(label)) for label in (ADMIN_FIELD, KIND_FIELD))
    if given["takes_part"] or any(fields.get(_record.key(label)) for label in _ADMIN_FIELDS.values()):
        given["kind"] = _tried(given, lambda: _record.kind(fields)) or ""
        for name, label in {"admin": ADMIN_FIELD, "max_age": AGE_FIELD, **_ADMIN_FIELDS}.items():
            given[name] = _tried(given, functools.partial(_record.text, fields, label)) or ""
    if given["takes_part"]:
        # As keeper_rotation will read them.
        given["login"] = _tried(given, lambda: vault.login(record.data)) or ""
        given["rotated_at"] = _tried(given, lambda: vault.text(record.data, label=vault.ROTATED_AT))
        given["pending"] = bool(_tried(given, lambda: vault.under_way(record.data)))
        # Without a kind of its own, it has its administrator's.
        if given["kind"] in (*MINTED, ""):
            given["expires_at"] = _tried(given, lambda: vault.text(record.data, label=vault.TOKEN_EXPIRES_AT))
        for name, label in _WAITS.items():
            given[name] = _tried(given, functools.partial(vault.text, record.data, label))
    return given


def _tried(given: dict[str, t.Any], read: t.Callable[[], t.Any]) -> t.Any:
    try:
        return read()
    except RotationError as error:
        given["problem"] = given["problem"] or error.msg
    except Exception as error:  # a field of a shape that nobody foresaw is its record's problem, and no one else's
        given["problem"] = given["problem"] or f"One of its fields cannot be read ({type(error).__name__})."
    return None


def _marked(record: Record, told: t.Mapping[str, t.Any], named: _Named) -> Marked:
    missing = f"It has no custom field {ADMIN_FIELD}."
    admin, problem = named.find(told["admin"]) if told["admin"] else (None, missing)
    after, unclear = named.other(told["after"]) if told["after"] else (None, None)
    kept = ("title", "login", "kind", "max_age", "rotated_at", "expires_at", "pending", "not_before", "window")
    return {
        **{name: told[name] for name in kept},
        **{"uid": record.uid, "admin": admin, "after": after, "problem": told["problem"] or problem or unclear},
    }


def accounts(found: Extract, default_max_age: str, now: dt.datetime) -> dict[str, Account]:
    """The hosts by name. default_max_age: for records without a field of their own."""
    admins = found["admins"]
    names = _host_names(admins)
    marked = [
        {
            **entry,
            "kind": entry["kind"] or admins.get(entry["admin"], {}).get("kind", ""),
            "max_age": entry["max_age"] or default_max_age,
        }
        for entry in found["marked"]
    ]
    duplicates = _duplicates(marked)
    hosts: dict[str, Account] = collections.defaultdict(Account)
    groups: dict[tuple[str, ...], list[Marked]] = collections.defaultdict(list)
    for entry in marked:
        host = names[entry["admin"]] if entry["admin"] else NOWHERE
        problem = entry["problem"] or duplicates.get(entry["uid"]) or _own_problem(entry)
        groups[host, entry["kind"], entry["admin"] or "", entry["max_age"], problem or ""].append(entry)
    for (host, kind, admin, max_age, problem), entries in sorted(groups.items()):
        recipe = admins[admin]["recipe"] if admin and kind.startswith("rest_") else ""
        rotation = {"kind": kind, "admin_record": admin, "max_age": max_age, "recipe": recipe, "problem": problem}
        account = hosts[host]
        account.rotations.append(
            {key: value for key, value in rotation.items() if value} | {"records": [entry["uid"] for entry in entries]}
        )
        due = [entry for entry in entries if _is_due(entry, now) and not _waits(entry, now)]
        account.due += len(due)
        over = [moment for entry in due for moment in (_over_since(entry, now),) if moment is not None]
        account.due_since = min([*over, *filter(None, [account.due_since])], default=None)
        account.waiting += len([entry for entry in entries if _is_due(entry, now) and _waits(entry, now)])
        account.pending += len([entry for entry in entries if entry["pending"]])
        if problem:
            account.problems.append(f"{', '.join(_name(entry) for entry in entries)}: {problem}")
    if found["unreadable"]:
        number = found["unreadable"]
        text = f"{number} records or folders of Keeper could not be decrypted; what is in them is not rotated."
        hosts[NOWHERE].rotations.append({"problem": text})
        hosts[NOWHERE].problems.append(text)
    return dict(hosts)


def _name(entry: Marked) -> str:
    return f"{entry['title'] or '(no title)'} ({entry['uid']})"


def _own_problem(entry: Marked) -> str | None:
    if entry["kind"] not in KINDS:
        return unknown_kind(entry["kind"], KIND_FIELD)
    if not entry["login"]:
        return "It has no login."
    try:
        parse_duration(entry["max_age"], option=AGE_FIELD)
        windows.held(entry["not_before"], entry["window"], dt.datetime.now(dt.UTC))
    except InvalidInput as error:
        return error.msg
    return None


def _duplicates(marked: t.Sequence[Marked]) -> dict[str, str]:
    """{uid: what is wrong} of records that name one user of one account; one of them would hold a wrong secret."""
    users: dict[tuple[str, str, str], list[Marked]] = collections.defaultdict(list)
    for entry in marked:
        if entry["admin"] and entry["login"] and entry["kind"] in KINDS and entry["kind"] not in MINTED:
            canonical = CANONICAL[KINDS[entry["kind"]].names]
            users[entry["admin"], entry["kind"], canonical(entry["login"])].append(entry)
    return {
        entry["uid"]: f"Several records have the login {entries[0]['login']}: "
        f"{', '.join(sorted(each['uid'] for each in entries))}. Keep the fields in one of them."
        for entries in users.values()
        if len(entries) > 1
        for entry in entries
    }


def _is_due(entry: Marked, now: dt.datetime) -> bool:
    """As keeper_rotation decides; what cannot be read counts as due, so that a run looks at it."""
    last, _note = vault.rotated_at(entry["rotated_at"], now)
    try:
        age = parse_duration(entry["max_age"], option=AGE_FIELD)
    except InvalidInput:
        return True
    ends = entry.get("expires_at") if entry["kind"] in MINTED else None
    return entry["pending"] or vault.is_over(last, age, ends, now)


def _over_since(entry: Marked, now: dt.datetime) -> dt.datetime | None:
    """When the last rotation became older than it may be; None for one that is not, or that nobody knows of."""
    last, _note = vault.rotated_at(entry["rotated_at"], now)
    try:
        moment = last + parse_duration(entry["max_age"], option=AGE_FIELD) if last else None
    except (InvalidInput, OverflowError):
        return None
    return moment if moment and moment <= now else None


def _waits(entry: Marked, now: dt.datetime) -> bool:
    """As keeper_rotation decides for a record that is due; what cannot be read waits for nothing."""
    if entry["pending"]:
        return False
    try:
        age = parse_duration(entry["max_age"], option=AGE_FIELD)
        held = windows.held(entry["not_before"], entry["window"], now)
    except InvalidInput:
        return False
    after = entry["after"]
    return bool(
        held
        or after
        and windows.held_by(
            after["title"], pending=after["pending"], rotated_at=after["rotated_at"], max_age=age, now=now
        )
    )


def _host_names(admins: t.Mapping[str, t.Mapping[str, str]]) -> dict[str, str]:
    """{uid of an administrator's record: host}. A name that two would get by their titles goes on with the UID."""
    given = {uid: _safe(admin["account"]) for uid, admin in admins.items() if _safe(admin["account"])}
    titles = {uid: _safe(admin["title"]) for uid, admin in admins.items() if uid not in given}
    taken = collections.Counter([*titles.values(), *set(given.values()), "", "all", "localhost", "ungrouped", NOWHERE])
    unique = {
        uid: title if taken[title] == 1 else f"{title or 'account'}_{uid[:_UID_PART]}" for uid, title in titles.items()
    }
    return {**unique, **given}


def _safe(name: str) -> str:
    """A name that means nothing in a pattern of hosts."""
    return _NOT_IN_NAMES.sub("_", name).strip("_.-")
