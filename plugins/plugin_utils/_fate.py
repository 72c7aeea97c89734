# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What a role does with the results of its tasks: whom it asks about, what is staged, committed, discarded and told.

A result is what a module returned, {} for a task that did not run. Its C(rotations) hold one entry for each record
(keeper_rotation) or user (a service's module). Pure, and nothing here holds a secret but what C(users) returns.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.duration import parse_duration
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import SENTENCES, in_words
from ansible_collections.keyturn.credentials.plugins.plugin_utils._names import CANONICAL

Result = t.Mapping[str, t.Any]
Entry = dict[str, t.Any]
Fate = t.Literal["commit", "discard", "keep"]
# {user, as the service tells them apart: {uid: entry} of its records}
Users = t.Mapping[str, t.Mapping[str, Entry]]

# Refusals after which the service certainly has not got a secret that it had never been given before.
_DEFINITE = ("refused", "not_found", "not_permitted", "ambiguous", "invalid_input")
_NOT_REACHED = {
    "error_code": None,
    "msg": "The run ended before it.",
    "left": "untouched",
    "retry_safe": True,
}


# The service has acknowledged it, so the record is where it must be looked for.
_KEPT = " The record holds the new secret all the same. If the service refuses it, rotate the record again with force."


def _entries(answer: Result) -> list[Entry]:
    return list(answer.get("rotations") or [])


def _by_uid(vault: Result) -> dict[str, Entry]:
    """The entries of a task that named its records by UID."""
    return {entry["record"]: entry for entry in _entries(vault)}


def with_administrator(answer: Result, record: Result) -> Result:
    """A service's answer that names the administrator's record (C(uid), C(title)) wherever its login was refused."""
    where = f" The administrator's Keeper record is {record.get('title')} ({record.get('uid')})."
    entries = [
        {**entry, "msg": f"{entry['msg']}{where}"}
        if entry.get("everybody") and entry.get("error_code") == "auth_failed"
        else entry
        for entry in _entries(answer)
    ]
    return {**answer, "rotations": entries} if entries else answer


# Why: docs/decisions/01-pending-before-service.md
def fate(record: Entry, outcome: Entry | None) -> Fate:
    """What becomes of the pending secret of a staged record. Total: every outcome, also one that nobody listed.

    outcome: of its user, None where the service's module did not get to it.
    """
    if outcome is None:
        return "keep"
    fresh = not record["recovered"]
    if not outcome["failed"]:
        # A service cannot hold a new secret before it was set, so a login that says so proves nothing.
        return "discard" if fresh and not outcome["changed"] else "commit"
    if outcome.get("in_force"):
        return "commit"
    # A service that answers an unexpected 2xx or 3xx may have done what it was asked.
    refused = outcome["error_code"] in _DEFINITE and outcome.get("left") != "unknown"
    nobody_has_it = outcome.get("in_force") is False or (fresh and not outcome["changed"])
    # What this user has not got, the one may have whom the record named when the secret was staged.
    known = not record.get("former_logins") or record.get("token_name")
    return "discard" if refused and nobody_has_it and known else "keep"


@dataclasses.dataclass(frozen=True)
class Role:
    """How a role speaks of its records.

    columns: option of the service's module → field of a record's entry. options: of the module, besides its users.
    common: options of each user. settled: options of the users of records that are not due, None where those are not
    asked about. names: how logins are compared.
    consumers: the files of those that can be told of a new secret, by their names.
    administrator: C(uid) and C(login) whose secret may not rotate here, because the next run would need the old one.
    mints: whether the service makes the secrets. Then one user can have many, each in a record of its own; they must
    live longer (C(days), None where they do not end) than they are used (C(max_age)).
    """

    columns: t.Mapping[str, str]
    options: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    common: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    settled: t.Mapping[str, t.Any] | None = None
    names: str = "exact"
    consumers: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    administrator: t.Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    mints: bool = False
    days: int | None = None
    max_age: str = "0s"

    def users_of(self, vault: Result) -> Users:
        """Whose records were named, due or not."""
        users: dict[str, dict[str, Entry]] = {}
        for entry in _entries(vault):
            if entry.get("login"):
                users.setdefault(CANONICAL[self.names](entry["login"]), {})[entry["record_uid"]] = entry
        return users

    def refusal(self, entry: Entry, users: Users, outcome: Result) -> Entry | None:
        """Why this record cannot rotate, whatever the service would say.

        users: as C(users_of) tells. outcome: what the service's module has found out about its user, {} for nothing.
        """
        login, own = entry.get("login"), self.administrator.get("login")
        if not login:
            return _refusal("It has no login.")
        unknown = [name for name in entry.get("consumers") or [] if name not in self.consumers]
        if unknown and entry.get("due") and not entry.get("recovered"):
            return _refusal(
                f"It names consumers that keyturn_consumers_dir does not have, or that Ansible cannot load: "
                f"{', '.join(unknown)}."
            )
        if self.days is not None and dt.timedelta(days=self.days) <= parse_duration(self.max_age, option="max_age"):
            return _refusal(
                f"Its token would live {self.days} days (days_to_expiry), and is to be used for {self.max_age} "
                "(max_age): it would end before it is rotated. Let it live longer, or rotate it more often."
            )
        user = CANONICAL[self.names](login)
        if entry["record_uid"] == self.administrator.get("uid") or (own and self._is(own, user, outcome)):
            return _refusal(
                "It is the administrator's own: a run that died on the way could not log in to finish it. Rotate it by "
                "another administrator.",
                "refused",
            )
        same = [other for uid, other in users.get(user, {}).items() if uid != entry["record_uid"]]
        # What an earlier run may have set comes to its end; of two such, nobody knows which was.
        ends = entry.get("recovered") and not any(other.get("recovered") for other in same)
        if same and not ends and not self.mints:
            return _refusal(
                f"The same user is in {' and '.join(map(_name, same))}, and {login} can have one secret only: the "
                "other record would end up wrong. Take one of them out."
            )
        return None

    def _is(self, name: str, user: str, outcome: Result) -> bool:
        """Whether the name is the user's, or what the user logs in by."""
        return CANONICAL[self.names](name) == user or str(outcome.get("login_name")).casefold() == name.casefold()

    def concerns(self, entry: Entry) -> bool:
        """Whether this run is about it: it is due, or has a key that is looked after all the same."""
        older = any(entry.get(name) for name in ("fingerprint", "previous_token_names", "orphans"))
        # What the previous one is still used by, has not been told of the new one.
        idle = self.settled is not None and older and not entry.get("undelivered")
        # Without a token of its own that can be proved, nothing goes.
        return bool(entry.get("due") or (idle and (entry.get("minted") or not self.mints)))

    def asked(self, vault: Result) -> list[Entry]:
        """The records whose users the service's module is given, each once."""
        users = self.users_of(vault)
        found = {
            entry["record_uid"]: entry
            for entry in _entries(vault)
            if not entry["failed"] and self.concerns(entry) and self.refusal(entry, users, {}) is None
        }
        return list(found.values())

    def users(self, vault: Result, among: Result | None = None) -> list[Entry]:
        """The C(users) of the service's module. Holds secrets where the vault's answer does.

        among: the vault's answer about all records that were named, if this one is about some of them.
        """
        users, in_use = [], {entry.get("current_token_name") for entry in (*_entries(vault), *_entries(among or {}))}
        for entry in self.asked(vault):
            own = {option: entry[field] for option, field in self.columns.items() if entry.get(field) is not None}
            if "previous_token_names" in own:
                # A name that another record holds, too, is not this one's to retire.
                own["previous_token_names"] = [name for name in own["previous_token_names"] if name not in in_use]
            if "private_key" in own:
                # The module takes one half or the other; in check mode the vault shows only the public one.
                own.pop("public_key", None)
            users.append({**self.common, **own, **({} if entry["due"] else self.settled or {})})
        return users

    def outcomes(self, vault: Result, service: Result) -> dict[str, Entry]:
        """{uid: what became of its user}; nothing unless there is one outcome for each that was asked about."""
        asked, answered = self.asked(vault), _entries(service)
        pairs = zip(asked, answered, strict=True) if len(asked) == len(answered) else ()
        return {record["record_uid"]: outcome for record, outcome in pairs}


def _refusal(msg: str, error_code: str = "invalid_input") -> Entry:
    msg = in_words(msg, "untouched")
    return {"failed": True, "error_code": error_code, "msg": msg, "left": "untouched", "retry_safe": False}


@dataclasses.dataclass(frozen=True)
class Run:
    """The results so far. found, checked: of the check before staging. staged, applied, saved, committed, discarded: of
    the work; saved is of what the service has minted, lost of what of that is in no record, revoked of its end. named:
    the records, as they were named. Lists are made from C(fate) and from one question: why a record is not as it should
    be.
    """

    role: Role
    found: Result
    checked: Result = dataclasses.field(default_factory=dict)
    staged: Result = dataclasses.field(default_factory=dict)
    applied: Result = dataclasses.field(default_factory=dict)
    saved: Result = dataclasses.field(default_factory=dict)
    lost: Result = dataclasses.field(default_factory=dict)
    revoked: Result = dataclasses.field(default_factory=dict)
    committed: Result = dataclasses.field(default_factory=dict)
    discarded: Result = dataclasses.field(default_factory=dict)
    check_mode: bool = False
    named: t.Sequence[str] = ()

    def heard(self, **answer: Result) -> Run:
        """The same run with one more answer."""
        return dataclasses.replace(self, **answer)  # type: ignore[arg-type]

    def changed(self) -> bool:
        """Whether the vault or the service was changed; in check mode, whether a real run would."""
        asked = (
            (self.found,)
            if self.check_mode
            else (self.staged, self.applied, self.saved, self.committed, self.discarded)
        )
        return any(answer.get("changed") for answer in asked)

    def to_stage(self) -> list[str]:
        """UIDs: what the check did not object to, and what an earlier run may have set, which must come to an end."""
        checked, users = self.role.outcomes(self.found, self.checked), self.role.users_of(self.found)
        return [
            entry["record_uid"]
            for entry in self.role.asked(self.found)
            for outcome in (checked.get(entry["record_uid"]),)
            if outcome is not None
            and self.role.refusal(entry, users, outcome) is None
            # A login that was refused to the administrator is not tried twice in a run.
            and (not outcome["failed"] or (entry["recovered"] and not outcome.get("everybody")))
        ]

    def minted(self) -> dict[str, Entry]:
        """{uid: what is to be saved} of the records for which the service has just minted a secret. Holds it."""
        applied, staged = self.role.outcomes(self.staged, self.applied), _by_uid(self.staged)
        return {
            uid: {
                **{"secret": outcome["token"], "announced": staged[uid].get("token_name")},
                **{name: outcome.get(name) for name in ("expires_at", "token_name")},
            }
            for uid, outcome in applied.items()
            if outcome.get("token")
        }

    def forgotten(self, attempts: t.Sequence[Result]) -> Result:
        """As a vault's answer, for C(Role.users): the records that have not taken the minted secret, and tell no later
        run its name, because another one has written over the announcement. Then nobody but this run can revoke it.

        attempts: to save it. What one of them has sent without an answer may still arrive, and be used.
        """
        minted, told = self.minted(), [_by_uid(answer) for answer in attempts]
        about = ("record", "record_uid", "title", "login", "due", "failed")
        return {
            "rotations": [
                {**{name: entry.get(name) for name in about}, "minted": True, "orphans": [minted[uid]["token_name"]]}
                for entry in self.role.asked(self.staged)
                for uid in (entry["record_uid"],)
                if uid in minted
                and told[-1].get(uid, {}).get("forgotten")
                and all(each.get(uid, {}).get("left", "unknown") != "unknown" for each in told)
            ]
        }

    def ending(self, wanted: Fate) -> list[str]:
        """UIDs of the staged records with this fate."""
        applied = self.role.outcomes(self.staged, self.applied)
        saved = {uid for uid, entry in _by_uid(self.saved).items() if not entry["failed"]}
        unsaved = self.minted().keys() - saved
        return [
            entry["record_uid"]
            for entry in self.role.asked(self.staged)
            for uid in (entry["record_uid"],)
            if entry["due"] and ("keep" if uid in unsaved else fate(entry, applied.get(uid))) == wanted
        ]

    def to_deliver(self) -> list[Entry]:
        """{consumer, file, record_uid, title, login, rotation_id} of what was committed now, and of what was left over.

        A consumer without a file is there, so that it is told as failed.
        """
        committed = {uid for uid, entry in _by_uid(self.committed).items() if not entry["failed"]}
        deliveries: dict[tuple[str, str], Entry] = {}
        for entry in [] if self.check_mode else _entries(self.found):
            uid = entry.get("record_uid")
            if uid in committed:
                names, rotation = entry.get("consumers"), self.rotation_id()
            else:
                names, rotation = None if entry.get("due") else entry.get("undelivered"), entry.get("committed_id")
            for name in names or []:
                about = {key: entry[key] for key in ("record_uid", "title", "login")}
                file = self.role.consumers.get(name, "")
                deliveries[entry["record_uid"], name] = {
                    **about,
                    "consumer": name,
                    "file": file,
                    "rotation_id": rotation,
                }
        return list(deliveries.values())

    def rotation_id(self) -> str | None:
        """The name of this run's rotation: staging without a name gives all its records one and the same."""
        due = (entry for entry in _entries(self.staged) if entry.get("due"))
        return next((entry["rotation_id"] for entry in due if entry.get("rotation_id")), None)

    def account(self) -> str | None:
        """The account as the service's module found it, where it tells."""
        return next((entry["account"] for entry in _entries(self.applied) if entry.get("account")), None)

    def records(self) -> list[Entry]:
        """One entry for each record that was named, in order, for the report and the fleet. No secrets.

        C(record) is the name that was given; C(record_uid, title, login, rotated_at, note), as far as the vault told;
        C(outcome) is rotated, recovered, not_due, waiting, due (in check mode) or failed; C(pending) whether a secret
        still waits in the record; C(waiting) what for a record does; C(verified, verify_skipped_reason) after a
        rotation; C(retired) the fingerprint of a previous key that was, or in check mode would be, removed;
        C(error_code, msg, retry_safe, left) of a failure.
        """
        about = {
            "checked": self.role.outcomes(self.found, self.checked),
            "staged": _by_uid(self.staged),
            "applied": self.role.outcomes(self.staged, self.applied),
            "saved": _by_uid(self.saved),
            "revoked": self.role.outcomes(self.lost, self.revoked),
            "ended": {**_by_uid(self.discarded), **_by_uid(self.committed)},
        }
        users = self.role.users_of(self.found)
        return [
            self._record(entry, {name: told[uid] for name, told in about.items() if uid in told}, users)
            for entry in self._found()
            for uid in (entry.get("record_uid"),)
        ]

    def _found(self) -> list[Entry]:
        """The entries of the vault's answer; one that speaks of no record is about each that was named."""
        whole = {name: self.found[name] for name in ("msg", "error_code", "left", "retry_safe") if name in self.found}
        return _entries(self.found) or [{**whole, "record": name, "failed": True} for name in self.named if whole]

    def _record(self, found: Entry, told: dict[str, Entry], users: Users) -> Entry:
        entry = {**found, **told.get("staged", {}), "record": found["record"]}
        due, over = bool(entry.get("due")), not told.get("ended", {"failed": True})["failed"]
        staged = told.get("staged", {"failed": True})
        # An update that nobody could look at may have been saved.
        held = found.get("recovered") or not staged["failed"] or staged.get("error_code") == "unknown_outcome"
        if self.role.mints:
            # An announcement is no secret; what was minted and not saved is nobody's, and the next run revokes it.
            held = entry.get("token") or not told.get("saved", {"failed": True})["failed"]
        record = {name: entry.get(name) for name in ("record", "record_uid", "title", "login", "rotated_at", "note")}
        # Where the vault has looked since, it knows.
        seen = told.get("ended", told.get("saved", {})).get("pending", True)
        record["pending"] = bool(held and seen and due and not over and not self.check_mode)
        failure = self._failure(entry, told, users, due=due, over=over)
        if failure is not None:
            # A task that failed without a code may have died after a write.
            record["error_code"] = failure.get("error_code", "unknown_outcome")
            record["retry_safe"] = bool(failure.get("retry_safe", True))
            kept = _KEPT if over and fate(entry, told.get("applied")) == "commit" else ""
            if record["pending"] and entry.get("former_logins"):
                kept += f" It was staged for user {', '.join(entry['former_logins'])}, whom the record named then."
            left = failure.get("left", "unknown")
            if "saved" in told:
                kept += self._end_of_token(entry["record_uid"], told)
                left = "changed" if left == "untouched" else left
            if record["pending"] and left != "staged":
                kept += f" {SENTENCES['staged']}"
            record["left"] = "staged" if record["pending"] and left == "untouched" else left
            return {**record, "outcome": "failed", "msg": f"{failure['msg']}{kept}"}
        outcome = told.get("applied") or told.get("checked") or {}
        if not due:
            gone = outcome.get("retired_token_names") or [outcome.get("evicted_fingerprint")]
            retired = " and ".join(filter(None, gone)) if outcome.get("changed") else None
            about = {"retired": retired, "retired_kind": "token" if self.role.mints else "key"} if retired else {}
            waits = {"waiting": entry["waiting"]} if entry.get("waiting") else {}
            return {**record, "outcome": "waiting" if waits else "not_due", **waits, **about}
        if self.check_mode:
            return {**record, "outcome": "due"}
        record["rotated_at"] = told["ended"].get("rotated_at")
        proof = {name: outcome.get(name) for name in ("verified", "verify_skipped_reason")}
        return {**record, **proof, "outcome": "recovered" if entry["recovered"] else "rotated"}

    def _end_of_token(self, uid: str, told: dict[str, Entry]) -> str:
        """What became of a token that its record did not take; empty where another run goes on with it."""
        saved, made = told["saved"], f"the token {told['applied'].get('token_name')}, which this run had made"
        if not saved["failed"] or (saved["error_code"] == "busy" and not saved.get("forgotten")):
            return ""
        if not saved.get("forgotten"):
            return f" The next run finds {made}."
        if uid not in _by_uid(self.lost):
            return f" No record may tell of {made}: look for it at the service."
        revoked = told.get("revoked", {**self.revoked, "failed": True})
        if told["applied"].get("token_name") in (revoked.get("removed_orphans") or []):
            return f" So {made}, was revoked. Run again."
        return f" No record tells of {made}, and it could not be revoked: {revoked.get('msg') or 'it is not listed.'}"

    def _failure(self, entry: Entry, told: dict[str, Entry], users: Users, *, due: bool, over: bool) -> Result | None:
        """Why this record is not as it should be: its own failure, that of a whole task, or that it was not reached."""
        own = [entry, *(told[name] for name in ("ended", "applied", "saved") if name in told)]
        if "staged" not in told and not entry["failed"]:
            checked = told.get("checked")
            own += [
                answer for answer in (self.role.refusal(entry, users, checked or {}), checked) if answer is not None
            ]
        failed = next((answer for answer in own if answer["failed"]), None)
        if failed is None and due and "applied" in told and fate(entry, told["applied"]) == "discard":
            return _refusal(
                "The service accepted the password before it was set, so its login (verify) proves nothing."
            )
        if failed is not None or over or not self.role.concerns(entry):
            return failed
        whole = next((answer for answer in self._answers() if answer.get("msg") and not _entries(answer)), None)
        return whole or (_NOT_REACHED if due and not self.check_mode else None)

    def _answers(self) -> tuple[Result, ...]:
        return self.found, self.checked, self.staged, self.applied, self.saved, self.committed, self.discarded

    def told(self, records: t.Sequence[Entry]) -> tuple[list[str], list[str]]:
        """As the function C(told), of what C(records) says. Where no record was named at all, the vault says why."""
        nothing = [f"failed: {self.found.get('msg')} [{self.found.get('error_code', 'unknown_outcome')}]"]
        return told(records, [] if records else nothing, check_mode=self.check_mode)


KINDS = ("rotated", "recovered", "due", "not_due", "waiting", "failed")


def told(
    records: t.Sequence[Entry], further: t.Sequence[str] = (), *, check_mode: bool = False
) -> tuple[list[str], list[str]]:
    """Lines for a person: what is as it should be, after the counts; and each failure once. No secrets."""
    failures = [f"failed: {', '.join(names)}: {text}" for text, names in _grouped(records).items()] + [*further]
    count = {kind: len([record for record in records if record["outcome"] == kind]) for kind in KINDS}
    failed = count["failed"] or len(failures)
    waiting = f"{count['waiting']} waiting, " if count["waiting"] else ""
    if check_mode:
        head = f"check mode: {count['due']} due, {count['not_due']} not due, {waiting}{failed} failed"
    else:
        head = (
            f"{count['rotated']} rotated, {count['recovered']} recovered, {count['not_due']} not due, "
            f"{waiting}{failed} failed"
        )
    return [head, *(line for record in records for line in _lines(record))], failures


def delivered(records: t.Sequence[Entry], undelivered: t.Sequence[Entry]) -> list[Entry]:
    """The records of a run as they are after its deliveries, of which these failed. They stay committed."""
    missed: dict[str, list[Entry]] = {}
    for each in undelivered:
        missed.setdefault(each["record_uid"], []).append(each)
    return [
        {**record, "outcome": "failed", **_missed(missed[record["record_uid"]])}
        if record["outcome"] != "failed" and record["record_uid"] in missed
        else record
        for record in records
    ]


def _missed(deliveries: t.Sequence[Entry]) -> Entry:
    names = ", ".join(f"{each['consumer']} ({each['msg']})" for each in deliveries)
    return {
        "error_code": "delivery_failed",
        "msg": f"The record holds the new secret, which could not be delivered to {names}. The next run delivers it.",
        "left": "changed",
        "retry_safe": True,
    }


def _name(record: Entry) -> str:
    title, uid = record.get("title"), record.get("record_uid")
    return f"{title} ({uid})" if uid else str(record["record"])


def _grouped(records: t.Sequence[Entry]) -> dict[str, list[str]]:
    """{text: names}: one line for a failure that many records share."""
    groups: dict[str, list[str]] = {}
    for record in records:
        if record["outcome"] == "failed":
            code = f" [{record['error_code']}]" if record["error_code"] else ""
            names = groups.setdefault(f"{record['msg']}{code}", [])
            names += [name for name in (_name(record),) if name not in names]
    return groups


def _lines(record: Entry) -> t.Iterator[str]:
    """What became of a record that did not fail."""
    if record["outcome"] == "failed":
        return
    words = record["outcome"].replace("_", " ")
    if record["outcome"] in ("rotated", "recovered") and not record["verified"]:
        words += f", not proved ({record['verify_skipped_reason'] or 'nothing to log in with'})"
    if record["outcome"] == "waiting":
        words += f" ({record['waiting']})"
    retired = "; the previous {retired_kind} {retired} is retired".format(**record) if record.get("retired") else ""
    note = f" {record['note']}" if record.get("note") else ""
    yield f"{words}: {_name(record)}, user {record['login']}{retired}.{note}"
