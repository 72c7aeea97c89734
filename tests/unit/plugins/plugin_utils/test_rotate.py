# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order a role asks the vault and the service."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.secrets import MASK
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _rotate
from ansible_collections.keyturn.credentials.plugins.plugin_utils._fate import Role
from tests.unit.plugins.plugin_utils.answers import COLUMNS, answer, ended, failed, record, worked

Entry = dict[str, t.Any]
MINTING = Role({"name": "login", "minted": "minted", "orphans": "orphans"}, mints=True)


class Asked:
    """Answers as it was told, and keeps what it was asked."""

    def __init__(self, vault: dict[str, list[Entry]], service: list[Entry]) -> None:
        self.asked: list[str] = []
        self.options: dict[str, Entry] = {}
        self.users: list[t.Sequence[Entry]] = []
        self._vault, self._service = vault, service

    def vault(self, state: str, records: t.Sequence[str], *, check_mode: bool = False, **options: t.Any) -> Entry:
        name = f"look: {state}" if check_mode else state
        self.asked.append(f"{name} {' '.join(records)}")
        self.options[name] = options
        return self._vault[name].pop(0)

    def service(self, users: t.Sequence[Entry], *, check_mode: bool) -> Entry:
        self.users.append(users)
        self.asked.append(f"{'check' if check_mode else 'apply'} {' '.join(user['name'] for user in users)}")
        return self._service.pop(0)

    def rotate(self, role: Role, **more: t.Any) -> dict[str, t.Any]:
        run = _rotate.rotate(role, ["A", "B"], self.vault, self.service, staging={"max_age": "30d"}, **more)
        return _rotate.summary(run)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    waited: list[int] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def test_the_vault_has_it_before_the_service_and_again_after_it(pauses: list[int]) -> None:
    found = answer(record("A", rotation_id="mine"), record("B", rotation_id="mine"))
    applied = answer(worked(account="ACME"), failed("refused", in_force=False))
    vault = {
        "look: staged": [found],
        "staged": [found],
        "committed": [ended("A", rotated_at="now")],
        "discarded": [ended("B")],
    }
    asked = Asked(vault, [answer(worked(), worked()), applied])
    said = asked.rotate(Role(COLUMNS))
    assert asked.asked == [
        *("look: staged A B", "check user_A user_B"),
        *("staged A B", "apply user_A user_B", "committed A", "discarded B"),
    ]
    assert asked.options["look: staged"] == asked.options["staged"] == {"max_age": "30d"}
    assert asked.options["committed"] == {"rotation_id": "mine", "account": "ACME"}
    assert [each["outcome"] for each in said["outcomes"]] == ["rotated", "failed"] and said["changed"]
    assert pauses == []


def test_what_is_minted_is_saved_before_it_is_committed() -> None:
    announced = answer(record("A", rotation_id="mine"), {**record("B"), "due": False, "fingerprint": None})
    vault = {
        "look: announced": [announced],
        "announced": [announced],
        "staged": [ended("A")],
        "committed": [ended("A", rotated_at="now")],
    }
    asked = Asked(vault, [answer(worked()), answer(worked(token="minted", token_name="KEYTURN_1"))])
    asked.rotate(MINTING)
    assert asked.asked == [
        "look: announced A B",
        "check user_A",
        "announced A",
        "apply user_A",
        "staged A",
        "committed A",
    ]
    minted = {"secret": "minted", "announced": None, "expires_at": None, "token_name": "KEYTURN_1"}
    assert asked.options["staged"] == {"secrets": {"A": minted}, "rotation_id": "mine"}


def _minted_and_not_saved(revoked: t.Any, *attempts: Entry) -> tuple[Asked, dict[str, t.Any]]:
    announced = answer(record("A", rotation_id="mine"), {**record("B"), "due": False, "fingerprint": None})
    vault = {"look: announced": [announced], "announced": [announced], "staged": list(attempts)}
    applied = answer(worked(token="minted", token_name="KEYTURN_1"))
    whole = {"failed": True, "msg": "Killed."}
    asked = Asked(vault, [answer(worked()), applied, answer(revoked) if isinstance(revoked, dict) else whole])
    return asked, asked.rotate(MINTING)["outcomes"][0]


def _not_saved(code: str, **fields: t.Any) -> Entry:
    return answer({**failed(code, **fields), "record": "A", "record_uid": "A"})


FORGOTTEN = _not_saved("busy", left="untouched", forgotten=True)


@pytest.mark.parametrize(
    ("revoked", "words"),
    [
        (worked(removed_orphans=["KEYTURN_1"]), "KEYTURN_1, which this run had made, was revoked. Run again."),
        (worked(removed_orphans=[]), "and it could not be revoked: it is not listed."),
        (failed("unreachable"), "and it could not be revoked: It is unreachable."),
        ({**failed("refused"), "msg": "It said: minted!"}, f"could not be revoked: It said: {MASK}!"),
        (
            "the whole task",
            "No record tells of the token KEYTURN_1, which this run had made, and it could not be revoked: Killed.",
        ),
    ],
)
def test_what_is_minted_and_in_no_record_is_revoked(revoked: t.Any, words: str, pauses: list[int]) -> None:
    asked, told = _minted_and_not_saved(revoked, FORGOTTEN)
    assert asked.asked[-2:] == ["staged A", "apply user_A"] and pauses == []
    assert asked.users[-1] == [{"name": "user_A", "minted": True, "orphans": ["KEYTURN_1"]}]
    assert told["msg"].startswith("It is busy.") and "KEYTURN_1" in told["msg"] and told["msg"].endswith(words)
    assert (told["outcome"], told["pending"], told["left"]) == ("failed", False, "changed")


@pytest.mark.parametrize(
    ("attempts", "words"),
    [
        ([_not_saved("busy", left="untouched")] * 3, ""),
        ([_not_saved("vault_error", left="untouched")] * 3, "The next run finds the token KEYTURN_1"),
        ([_not_saved("unreachable", left="unknown"), FORGOTTEN], "No record may tell of the token KEYTURN_1"),
        ([{"failed": True, "msg": "Killed."}, FORGOTTEN], "No record may tell of the token KEYTURN_1"),
    ],
)
def test_what_a_record_may_have_taken_is_not_revoked(attempts: list[Entry], words: str) -> None:
    asked, told = _minted_and_not_saved(worked(), *attempts)
    assert asked.asked[-1] == "staged A" and "revoked" not in told["msg"]
    assert (words in told["msg"]) if words else ("KEYTURN_1" not in told["msg"])
    assert told["left"] == "changed"


def test_check_mode_only_looks() -> None:
    found = {**answer(record("A"), record("B", "idle")), "changed": True}
    asked = Asked({"look: staged": [found]}, [answer(worked())])
    said = asked.rotate(Role(COLUMNS), check_mode=True)
    assert asked.asked == ["look: staged A B", "check user_A"]
    assert said["changed"] and [each["outcome"] for each in said["outcomes"]] == ["due", "not_due"]


def test_what_is_in_force_is_given_to_the_record_three_times(pauses: list[int]) -> None:
    found = answer(record("A"), record("B", "idle"))
    refusals = [answer({**failed("vault_error"), "record": "A", "record_uid": "A"}), {"failed": True, "msg": "Killed."}]
    vault = {"look: staged": [found], "staged": [found], "committed": [*refusals, ended("A", rotated_at="now")]}
    said = Asked(vault, [answer(worked()), answer(worked())]).rotate(Role(COLUMNS))
    assert pauses == [5, 5] and said["outcomes"][0]["outcome"] == "rotated"


def test_a_vault_that_does_not_answer_ends_it() -> None:
    nothing = {"failed": True, "msg": "No configuration.", "error_code": "invalid_input"}
    asked = Asked({"look: staged": [nothing]}, [])
    said = asked.rotate(Role(COLUMNS))
    assert asked.asked == ["look: staged A B"] and not said["changed"]
    assert said["failures"] == ["failed: A, B: No configuration. [invalid_input]"]
