# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What a role does with the answers of its tasks: who gets which secret, and what is committed or discarded."""

from __future__ import annotations

import typing as t

Answer = t.Mapping[str, t.Any]
Entry = dict[str, t.Any]
Which = t.Literal["fresh", "recovered", "due", "idle"]

_NOT_REACHED = "The run ended before it. A secret that was staged is pending in Keeper, and the next run takes it up."
# Refusals after which the service certainly has not got the secret.
_DEFINITE = ("refused", "not_found", "not_permitted", "ambiguous", "invalid_input")


def _entries(answer: Answer | None) -> list[Entry]:
    return list((answer or {}).get("rotations") or [])


def _succeeded(answer: Answer | None) -> list[str]:
    return [entry["record_uid"] for entry in _entries(answer) if not entry["failed"]]


def _usable(entry: Entry) -> bool:
    """Whether the vault gave its secret; it gives none in check mode, and no key that it cannot read."""
    return bool(entry.get("password") or entry.get("private_key"))


def chosen(staged: Answer, which: Which) -> list[Entry]:
    """The staged records with a login and a secret that can be used.

    fresh: their secret was made in this run, so nobody has it yet. recovered: an earlier run may have set it.
    due: both of them. idle: they are not due.
    """
    fresh, recovered = (True, False), (True, True)
    wanted = {"fresh": [fresh], "recovered": [recovered], "due": [fresh, recovered], "idle": [(False, False)]}[which]
    return [
        entry
        for entry in _entries(staged)
        if not entry["failed"]
        and entry.get("login")
        and _usable(entry)
        and (entry.get("due"), entry.get("recovered")) in wanted
    ]


def users(entries: t.Sequence[Entry], columns: t.Mapping[str, str]) -> list[Entry]:
    """The C(users) of a module: each of its options from a field of the entry; what an entry lacks is left out."""
    return [
        {option: entry[field] for option, field in columns.items() if entry.get(field) is not None} for entry in entries
    ]


def namesakes(staged: Answer, canonical: t.Callable[[str], str]) -> list[str]:
    """Logins that several records name; one of those records would hold a wrong secret after a rotation.

    canonical: what the service makes of a login.
    """
    logins = [canonical(entry["login"]) for entry in _entries(staged) if not entry["failed"] and entry.get("login")]
    return sorted({login for login in logins if logins.count(login) > 1})


Pairs = dict[str, tuple[Entry, Entry]]


def _of(pairs: Pairs, *, recovered: bool) -> Pairs:
    return {uid: pair for uid, pair in pairs.items() if pair[0]["recovered"] is recovered}


def _certainly_not_done(outcome: Entry) -> bool:
    """A definite refusal; a service that answers an unexpected 2xx or 3xx may have done what it was asked."""
    refused = outcome["failed"] and outcome["error_code"] in _DEFINITE and not outcome["changed"]
    return refused and not 200 <= outcome.get("status", 0) < 400


class Verdict:
    """What follows from the answers so far; an answer that is not there yet counts as none.

    fresh, recovered: the module's answers for those records; due: its one answer for both. again: its answer for
    ``unproved``.
    idle: its answer, in check mode, for records that are not due.
    by_fingerprint: the service shows what it holds, so that a login which says nothing leaves no doubt.
    """

    def __init__(
        self,
        staged: Answer,
        fresh: Answer | None = None,
        recovered: Answer | None = None,
        again: Answer | None = None,
        committed: Answer | None = None,
        discarded: Answer | None = None,
        idle: Answer | None = None,
        due: Answer | None = None,
        others: t.Sequence[Answer] = (),
        *,
        by_fingerprint: bool = False,
        check_mode: bool = False,
    ) -> None:
        self._by_fingerprint = by_fingerprint
        self._check_mode = check_mode
        self._staged = staged
        self._answers = [staged, fresh, recovered, due, again, committed, discarded, idle, *others]
        both = self._paired(chosen(staged, "due"), due)
        self._fresh = self._paired(chosen(staged, "fresh"), fresh) or _of(both, recovered=False)
        self._recovered = self._paired(chosen(staged, "recovered"), recovered) or _of(both, recovered=True)
        # A service cannot hold a new secret before it was set, so a login that says so proves nothing.
        self._never_sent = {
            uid: record
            for uid, (record, outcome) in _of(both, recovered=False).items()
            if not outcome["failed"] and not outcome["changed"]
        }
        self._again = self._paired(self.unproved, again)
        self._idle = self._paired(chosen(staged, "idle"), idle)
        self._endings = {
            entry["record_uid"]: entry
            for answer in (discarded, committed)
            for entry in _entries(answer)
            if "record_uid" in entry
        }
        self._committed = _succeeded(committed)
        self._discarded = _succeeded(discarded)

    @staticmethod
    def _paired(records: t.Sequence[Entry], answer: Answer | None) -> Pairs:
        """{uid: (record, what became of its user)}; nothing at all unless there is one outcome for every record."""
        outcomes = _entries(answer)
        if len(outcomes) != len(records):
            return {}
        return {record["record_uid"]: (record, outcome) for record, outcome in zip(records, outcomes, strict=True)}

    @property
    def rotation_id(self) -> str | None:
        """The name of this run's rotation: staging without a name gives all its records one and the same."""
        names = [entry.get("rotation_id") for entry in _entries(self._staged) if not entry["failed"]]
        return next((name for name in names if name), None)

    @property
    def unproved(self) -> list[Entry]:
        """Recovered records whose login said neither: "multi-factor authentication required" may have been the answer
        before the password was looked at. Setting the same secret once more leaves no doubt.
        """
        return [
            record
            for record, outcome in self._recovered.values()
            if not outcome["failed"] and not outcome["changed"] and not outcome["verified"] and not self._by_fingerprint
        ]

    @property
    def commit(self) -> list[str]:
        """UIDs of the records whose secret is in force."""
        outcomes = {**self._fresh, **self._recovered, **self._again}
        unsure = ({record["record_uid"] for record in self.unproved} - self._again.keys()) | self._never_sent.keys()
        return [uid for uid, (_record, outcome) in outcomes.items() if not outcome["failed"] and uid not in unsure]

    @property
    def discard(self) -> list[str]:
        """UIDs of the records whose secret is certainly not in force.

        A definite refusal of a user that was not touched is enough for a secret made in this run. One that an earlier
        run may have set must, in addition, have been seen not to log in, and not be refused for having been set before.
        """
        refused = [uid for uid, (_record, outcome) in self._fresh.items() if _certainly_not_done(outcome)]
        seen = [
            uid
            for uid, (_record, outcome) in {**self._recovered, **self._again}.items()
            if outcome["failed"]
            and outcome["error_code"] in _DEFINITE
            and outcome.get("probe") == "rejected"
            and outcome.get("refusal_reason") != "PRIOR_USE"
        ]
        return [*refused, *seen, *self._never_sent]

    @property
    def failures(self) -> list[str]:
        """One text for each task that failed as a whole, each entry that failed, and each record without a login."""
        texts = []
        for answer in self._answers:
            failed = [entry for entry in _entries(answer) if entry["failed"]]
            texts += [f"{entry['msg']} [{entry['error_code']}]" for entry in failed]
            if answer and not _entries(answer) and answer.get("msg"):
                code = f" [{answer['error_code']}]" if answer.get("error_code") else ""
                texts.append(f"{answer['msg']}{code}")
        nameless = [
            entry
            for entry in _entries(self._staged)
            if not entry["failed"] and entry.get("due") and not entry.get("login")
        ]
        texts += [f"Keeper record {entry['title']} ({entry['record_uid']}) has no login." for entry in nameless]
        damaged = [
            entry
            for entry in _entries(self._staged)
            if not entry["failed"] and entry.get("due") and not _usable(entry) and not self._check_mode
        ]
        texts += [
            f"The pending secret of Keeper record {entry['title']} ({entry['record_uid']}) cannot be read. If nobody "
            "needs it, clear it with keeper_rotation and state=discarded."
            for entry in damaged
        ]
        texts += [
            f"The service accepted the new password of Keeper record {record['title']} ({uid}) before it was set, so "
            "the login that should prove it (verify) proves nothing. Nothing was changed."
            for uid, record in self._never_sent.items()
        ]
        texts += [
            f"The key of Keeper record {entry['title']} ({entry['record_uid']}) is not in place at the service, so the "
            "one before it was not retired."
            for entry, outcome in self._idle.values()
            if not outcome["failed"] and outcome["changed"]
        ]
        return list(dict.fromkeys(texts))

    @property
    def in_place(self) -> list[Entry]:
        """Records that are not due whose secret the service was found to hold."""
        return [entry for entry, outcome in self._idle.values() if not outcome["failed"] and not outcome["changed"]]

    @property
    def pending(self) -> list[str]:
        """Titles of the records that still hold a pending secret."""
        ended = {*self._committed, *self._discarded}
        return [
            f"{entry['title']} ({entry['record_uid']})"
            for entry in _entries(self._staged)
            if not entry["failed"] and entry.get("due") and entry["record_uid"] not in ended
        ]

    def summary(self) -> list[str]:
        """The counts, then the failures, then what the next run takes up. No secrets."""
        staged = [entry for entry in _entries(self._staged) if not entry["failed"]]
        due = len([entry for entry in staged if entry.get("due")])
        if self._check_mode:
            return [f"check mode: {due} due, {len(staged) - due} not due, {len(self.failures)} failed", *self.failures]
        rotated = len(self._fresh.keys() & set(self._committed))
        recovered = len(self._recovered.keys() & set(self._committed))
        counts = f"{rotated} rotated, {recovered} recovered, {len(staged) - due} not due, {len(self.failures)} failed"
        left = [f"Still pending in Keeper, and taken up by the next run: {', '.join(self.pending)}."]
        return [counts, *self.failures, *(left if self.pending else [])]

    @property
    def outcomes(self) -> list[Entry]:
        """One entry for each staged record, for reports. No secrets.

        C(record) is the name that was given; C(record_uid, title, login, rotated_at), as far as the vault told;
        C(outcome) is rotated, recovered, not_due, due (in check mode) or failed; C(pending) whether a secret still
        waits in the record; C(verified) after a rotation; C(error_code, msg, retry_safe) of a failure.
        """
        return [self._outcome(entry) for entry in _entries(self._staged)]

    def _outcome(self, entry: Entry) -> Entry:
        uid = entry.get("record_uid")
        due = bool(entry.get("due"))
        told = {name: entry.get(name) for name in ("record", "record_uid", "title", "login", "rotated_at")}
        told["pending"] = due and uid not in {*self._committed, *self._discarded} and not self._check_mode
        failure = self._failure(entry)
        if failure is not None:
            return {**told, "outcome": "failed", **failure}
        if not due:
            return {**told, "outcome": "not_due"}
        if self._check_mode:
            return {**told, "outcome": "due"}
        outcomes = {**self._fresh, **self._recovered, **self._again}
        told["verified"] = bool(outcomes[uid][1]["verified"]) if uid in outcomes else False
        told["rotated_at"] = self._endings.get(uid, {}).get("rotated_at") or told["rotated_at"]
        return {**told, "outcome": "recovered" if entry.get("recovered") else "rotated"}

    def _failure(self, entry: Entry) -> Entry | None:
        """Why this record is not as it should be: its own failure, that of a whole task, or that it was not reached."""
        uid = entry.get("record_uid")
        own = [pairs[uid][1] for pairs in (self._again, self._fresh, self._recovered, self._idle) if uid in pairs]
        for answer in (entry, *own, *([self._endings[uid]] if uid in self._endings else [])):
            if answer["failed"]:
                return {name: answer.get(name) for name in ("error_code", "msg", "retry_safe")}
        if self._check_mode or not entry.get("due") or uid in self._committed:
            return None
        whole = [answer for answer in self._answers if answer and not _entries(answer) and answer.get("msg")]
        texts = [text for text in self.failures if f"({uid})" in text]
        # A task that failed without a code may have died after a write; a record that alone is named is at fault.
        code = (whole[0].get("error_code") or "unknown_outcome") if whole else "invalid_input" if texts else None
        return {
            "error_code": code,
            "msg": str(whole[0]["msg"]) if whole else (texts or [_NOT_REACHED])[0],
            "retry_safe": bool(whole[0].get("retry_safe", True)) if whole else True,
        }
