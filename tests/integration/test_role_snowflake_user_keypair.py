# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and its playbook by their full names: key pairs from the vault to Snowflake, and back into the record."""

from __future__ import annotations

import datetime as dt
import functools
import json
import re
import signal
import typing as t
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.campaigns.keypair import (
    KEY_FIELD,
    Crash,
    KeyScene,
    Reader,
    ThroughRole,
    campaign,
    crashes,
    journal,
    read_key,
    run_clean,
    run_killed,
    slots,
)
from tests.integration.conftest import ADMIN, somebody_elses_login
from tests.integration.keys import pem, print_of, public
from tests.integration.support import recap, says, variants
from tests.leaks import leaks, leaks_below
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox

Entry = dict[str, t.Any]


@pytest.fixture
def scene(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> KeyScene:
    """The service users A, B and C, without keys."""
    return KeyScene(tmp_path, snowflake, vault, "A", "B", "C")


@pytest.fixture
def single(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> KeyScene:
    """User A, and a service that is given up after three seconds."""
    return KeyScene(tmp_path, snowflake, vault, "A", login_timeout=3)


def fields_of(scene: KeyScene, name: str = "A") -> Entry:
    return {label: scene.vault.field(scene.uids[name], label) for label in ("account", "user", "fingerprint")}


def fill(scene: KeyScene, first: str | None, second: str | None = None, name: str = "A") -> None:
    user, now = scene.snowflake.user(name), scene.snowflake.account.clock()
    user.rsa_public_key, user.rsa_public_key_2 = (public(key) if key else None for key in (first, second))
    user.rsa_public_key_last_set_time = user.rsa_public_key_2_last_set_time = now


def put(scene: KeyScene, label: str, value: str | None, name: str = "A", kind: str = "secret") -> None:
    """A person edits the record."""

    def change(content: Entry) -> None:
        content["custom"] = [field for field in content["custom"] if field.get("label") != label]
        if value is not None:
            content["custom"].append({"type": kind, "label": label, "value": [value]})

    scene.vault.edit(scene.uids[name], change)


def publish(scene: KeyScene, key: str, name: str = "A") -> None:
    put(scene, KEY_FIELD, pem(key), name)


def alters(scene: KeyScene) -> list[str]:
    return scene.snowflake.journal.labels("^ALTER ")


# -- the way it should go


def test_first_key_second_key_and_retirement(scene: KeyScene) -> None:
    """The previous key stays valid until a later run retires it."""
    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 0 and says(run, "3 rotated, 0 recovered, 0 not due, 0 failed"), run.output
    first = {name: scene.key(name) for name in scene.uids}
    assert len(scene.snowflake.journal.labels("login ROTATOR")) == 2 and len(alters(scene)) == 3
    assert len(scene.vault.journal.labels()) == 6 + 2 * 3
    for name, pem_ in first.items():
        key, fingerprint = read_key(str(pem_))
        assert scene.settled(name) and key.key_size == 2048 and slots(scene, name) == [fingerprint, None]
        assert fields_of(scene, name) == {"account": "xy12345", "user": name, "fingerprint": fingerprint}
        when = dt.datetime.fromisoformat(str(scene.vault.field(scene.uids[name], "rotated_at")))
        assert abs(dt.datetime.now(dt.UTC) - when) < dt.timedelta(minutes=5)
    hidden = scene.secrets()
    assert leaks(run.output, *hidden) == []

    scene.connection["retire_previous_after"] = "0h"
    run = scene.run("-vvvv", "--diff", force=True)
    # Not in the run that replaces it, even if it is to go at once.
    assert run.returncode == 0 and says(run, "3 rotated"), run.output
    for name, old in first.items():
        assert scene.key(name) != old and scene.accepts(name, old) and scene.settled(name)
    assert scene.snowflake.journal.labels("UNSET") == []
    hidden |= scene.secrets()
    assert leaks(run.output, *hidden) == []

    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 0 and says(run, "0 rotated, 0 recovered, 3 not due, 0 failed"), run.output
    for name, old in first.items():
        assert not scene.accepts(name, old) and scene.settled(name)
    assert len(scene.snowflake.journal.labels("UNSET")) == 3
    assert {answer for _name, _method, answer in scene.snowflake.logins} == {"ok"}
    assert leaks(run.output, *hidden) == []
    assert leaks_below(scene.ansible.home, *hidden) + leaks_below(scene.ansible.temporary, *hidden) == []
    assert scene.snowflake.open_sessions() == 0


@pytest.mark.slow
def test_retired_after_the_grace_period_only(single: KeyScene) -> None:
    fill(single, "in use")
    publish(single, "in use")
    single.connection["retire_previous_after"] = "7d"
    assert single.run().returncode == 0
    assert single.run().returncode == 0 and single.accepts("A", pem("in use"))
    assert single.snowflake.journal.labels("login A") and alters(single) == []
    user, now = single.snowflake.user("A"), single.snowflake.account.clock()
    user.rsa_public_key_last_set_time = now - dt.timedelta(days=37)
    user.rsa_public_key_2_last_set_time = now - dt.timedelta(days=7)
    assert single.run().returncode == 0 and not single.accepts("A", pem("in use")) and single.settled("A")


@pytest.mark.slow
def test_not_due_and_nothing_to_retire_asks_nobody(single: KeyScene) -> None:
    assert single.run().returncode == 0
    before = single.vault.record(single.uids["A"])
    run = single.run()
    assert run.returncode == 0 and recap(run) == (0, 0) and single.snowflake.journal.labels() == []
    assert single.vault.record(single.uids["A"]) == before


@pytest.mark.core
def test_check_mode_writes_nothing(scene: KeyScene) -> None:
    before = {uid: scene.vault.record(uid) for uid in scene.uids.values()}
    run = scene.run("--check", "--diff")
    assert run.returncode == 0 and says(run, "check mode: 3 due")
    assert {uid: scene.vault.record(uid) for uid in scene.uids.values()} == before
    labels = scene.snowflake.journal.labels("^(login|DESCRIBE|ALTER)")
    assert labels == ["login ROTATOR password", *[f"DESCRIBE USER {name}" for name in "ABC"]]


def test_check_mode_tells_of_a_retirement_that_is_due(single: KeyScene) -> None:
    assert single.run().returncode == 0 and single.run(force=True).returncode == 0
    single.connection["retire_previous_after"] = "0h"
    old = next(found for found in slots(single) if found != read_key(str(single.key("A")))[1])
    run = single.run("--check", "--diff")
    assert run.returncode == 0 and says(run, f"the previous key {old} is retired"), run.stdout
    assert None not in slots(single)
    assert single.run().returncode == 0 and old not in slots(single)


def test_the_administrators_record_may_hold_any_option(single: KeyScene) -> None:
    """As for the Gateway's script and the password role."""
    field = {"type": "text", "label": "Retire previous after", "value": ["0h"]}
    single.vault.edit(single.admin_uid, lambda content: content["custom"].append(field))
    assert single.run().returncode == 0 and single.run(force=True).returncode == 0 and None not in slots(single)
    run = single.run()
    assert run.returncode == 0 and None in slots(single), run.stdout


def test_a_key_that_another_run_has_placed_meanwhile_is_not_retired(single: KeyScene) -> None:
    """What goes is looked at once more, right before; a slot that holds another key by then stays as it is."""
    assert single.run().returncode == 0 and single.run(force=True).returncode == 0
    single.connection["retire_previous_after"] = "0h"
    mine = slots(single).index(read_key(str(single.key("A")))[1])
    user = single.snowflake.user("A")

    def place() -> None:
        name = ("rsa_public_key_2", "rsa_public_key")[mine]
        setattr(user, name, public("foreign"))
        setattr(user, f"{name}_last_set_time", single.snowflake.account.clock())

    single.snowflake.faults.add(Fault("^login A", after=place))
    run = single.run()
    assert print_of("foreign") in slots(single) and single.snowflake.journal.labels("UNSET") == [], run.stdout


def test_nothing_is_retired_once_the_own_key_has_gone(single: KeyScene) -> None:
    """Another run has just overwritten it; the slot to be retired may then be the only one that works."""
    assert single.run().returncode == 0 and single.run(force=True).returncode == 0
    single.connection["retire_previous_after"] = "0h"
    mine = slots(single).index(read_key(str(single.key("A")))[1])
    name = ("rsa_public_key", "rsa_public_key_2")[mine]
    place = functools.partial(setattr, single.snowflake.user("A"), name, public("foreign"))
    single.snowflake.faults.add(Fault("^login A", after=place))
    run = single.run()
    assert run.returncode == 2 and single.snowflake.journal.labels("UNSET") == [], run.stdout


@pytest.mark.parametrize("hours", variants([-48, 48], 48))
def test_ages_are_measured_with_snowflakes_own_clock(single: KeyScene, hours: int) -> None:
    clock = single.snowflake.account.clock
    single.snowflake.account.clock = lambda: clock() + dt.timedelta(hours=hours)
    assert single.run().returncode == 0 and single.run(force=True).returncode == 0
    single.connection["retire_previous_after"] = "24h"
    assert single.run().returncode == 0 and None not in slots(single)
    single.snowflake.account.clock = lambda: clock() + dt.timedelta(hours=hours + 25)
    assert single.run().returncode == 0 and None in slots(single)


@pytest.mark.connector
@pytest.mark.parametrize("pending", [True, False])
def test_a_login_that_says_neither_ends_no_rotation(single: KeyScene, pending: bool) -> None:
    """DESCRIBE shows that the key is in place."""
    staged = single.stage("A") if pending else None
    strange = single.snowflake.login_failure(394777, "A reason that nobody has listed.")
    single.snowflake.faults.add(Fault("login A", times=99, response=strange))
    run = single.run()
    assert run.returncode == 0 and says(run, "not proved (other)") and single.settled("A"), run.stdout
    assert staged in (None, single.key("A"))


@pytest.mark.connector
def test_the_environment_is_no_part_of_the_administrators_login(single: KeyScene) -> None:
    run = single.run(environment=somebody_elses_login())
    assert run.returncode == 0 and single.settled("A"), run.output


def test_a_clock_error_is_called_that(single: KeyScene) -> None:
    late = dt.datetime.now(dt.UTC) + dt.timedelta(hours=3)
    single.snowflake.account.jwt_clock = lambda: late
    run = single.run()
    assert run.returncode == 0 and says(run, "not proved (clock_differs)"), run.stdout


@pytest.mark.slow
def test_a_key_of_an_earlier_run_that_stands_nowhere_is_discarded_after_a_refusal(single: KeyScene) -> None:
    pending = single.stage("A")
    refusal = single.snowflake.statement_failure(999123, "A reason that nobody has listed.")
    single.snowflake.faults.add(Fault("ALTER USER A", response=refusal))
    assert single.run().returncode == 2 and single.pending("A") is None
    assert single.run().returncode == 0 and single.settled("A") and single.key("A") != pending


@pytest.mark.parametrize("form", variants(["literal line feeds", "BOM", "CRLF"], "literal line feeds"))
def test_a_live_key_that_is_written_oddly_is_read(single: KeyScene, form: str) -> None:
    plain = pem("in use")
    text = {
        "literal line feeds": plain.strip().replace("\n", "\\n"),
        "BOM": f"\ufeff{plain}",
        "CRLF": plain.replace("\n", "\r\n"),
    }[form]
    fill(single, "in use", "orphan")
    put(single, KEY_FIELD, text)
    run = single.run()
    assert run.returncode == 0 and single.accepts("A", plain) and single.settled("A"), run.stdout


def test_a_live_key_that_cannot_be_read_is_refused_before_staging(single: KeyScene) -> None:
    fill(single, "in use", "orphan")
    put(single, KEY_FIELD, pem("in use", passphrase="pw"))
    run = single.run()
    assert run.returncode == 2 and says(run, "encrypted") and single.pending("A") is None
    assert slots(single) == [print_of("in use"), print_of("orphan")]


def test_the_administrator_comes_last_among_its_users(scene: KeyScene) -> None:
    admin_by_key(scene)
    run = scene.run(records=[scene.admin_uid, *scene.uids.values()])
    assert run.returncode == 0 and [label.split()[2] for label in alters(scene)] == ["A", "B", "C", ADMIN], run.stdout


def test_the_key_in_use_comes_from_the_record(single: KeyScene) -> None:
    """Both slots are full; the one whose key the record publishes stays."""
    for first, second in (("in use", "orphan"), ("orphan", "in use")):
        fill(single, first, second)
        publish(single, "in use")
        run = single.run(force=True)
        assert run.returncode == 0 and single.accepts("A", pem("in use")) and single.settled("A"), run.output
        assert not single.accepts("A", pem("orphan"))


@pytest.mark.parametrize("published", variants([None, "elsewhere"], "elsewhere"))
@pytest.mark.slow
def test_slots_that_are_full_of_others_keys(single: KeyScene, published: str | None) -> None:
    """Nothing is overwritten, and nothing is staged; a key goes in once there is a place."""
    fill(single, "foreign", "orphan")
    if published:
        publish(single, published)
    run = single.run()
    assert run.returncode == 2 and says(run, print_of("foreign")) and says(run, print_of("orphan"))
    assert says(run, "[slots_full]") and slots(single) == [print_of("foreign"), print_of("orphan")]
    assert single.pending("A") is None and single.key("A") == (pem(published) if published else None)
    fill(single, "foreign")
    run = single.run()
    assert run.returncode == 0 and single.settled("A")
    assert single.accepts("A", pem("foreign"))


# -- where the key is kept


@pytest.mark.slow
def test_fields_for_the_key(scene: KeyScene) -> None:
    """The record's keyPair field, a field of one's own, and one that is missing."""
    scene.vault.edit(scene.uids["A"], lambda content: content["fields"].append({"type": "keyPair", "value": []}))
    assert scene.run(records=[scene.uids["A"], scene.uids["B"]]).returncode == 0
    pair = json.loads(str(scene.vault.field(scene.uids["A"], "keyPair")))
    assert set(pair) == {"publicKey", "privateKey"} and scene.accepts("A", pair["privateKey"])
    assert scene.snowflake.accepts_key("A", pair["publicKey"]) and scene.vault.field(scene.uids["A"], KEY_FIELD) is None
    assert scene.settled("B") and scene.vault.field(scene.uids["B"], "keyPair") is None

    run = scene.run(records=[scene.uids["C"]], key_field="Snowflake key", key_size=3072)
    mine = str(scene.key("C", "Snowflake key"))
    assert run.returncode == 0 and scene.accepts("C", mine) and scene.key("C") is None
    assert read_key(mine)[0].key_size == 3072
    # Once more: the field is found, and its key is the one in use.
    run = scene.run(records=[scene.uids["A"], scene.uids["B"]], force=True)
    assert run.returncode == 0 and scene.accepts("A", pair["privateKey"])
    run = scene.run(records=[scene.uids["C"]], key_field="Snowflake key", force=True)
    assert run.returncode == 0 and scene.accepts("C", mine) and scene.key("C", "Snowflake key") != mine


@pytest.mark.slow
def test_what_else_is_in_the_record_stays(single: KeyScene) -> None:
    put(single, "notes of a person", "keep me", kind="text")
    publish(single, "in use")
    fill(single, "in use")
    assert single.run().returncode == 0 and single.settled("A")
    assert single.vault.field(single.uids["A"], "notes of a person") == "keep me"
    assert single.vault.field(single.uids["A"], "login") == "A"


# -- the administrator


def admin_by_key(scene: KeyScene, key: str = "admin") -> None:
    """The administrator's record holds a key and no password."""
    fill(scene, key, name=ADMIN)

    def replace(content: Entry) -> None:
        content["fields"] = [field for field in content["fields"] if field["type"] != "password"]
        content["custom"].append({"type": "secret", "label": KEY_FIELD, "value": [pem(key)]})

    scene.vault.edit(scene.admin_uid, replace)


@pytest.mark.parametrize("how", variants(["record", "path"], "record"))
def test_an_administrator_with_a_key(single: KeyScene, how: str) -> None:
    if how == "record":
        admin_by_key(single)
    else:
        fill(single, "admin", name=ADMIN)
        path = single.directory / "admin.p8"
        path.touch(mode=0o600)
        path.write_text(pem("admin", passphrase="pw"))
        single.connection.update(login_private_key_path=str(path), login_private_key_passphrase="pw")
    run = single.run("-vvvv")
    assert run.returncode == 0 and single.settled("A"), run.output
    assert (ADMIN, "key_pair", "ok") in single.snowflake.logins
    assert leaks(run.output, *single.secrets(), pem("admin")) == []


@pytest.mark.slow
def test_an_administrator_that_rotates_its_own_record(single: KeyScene) -> None:
    """Every run logs in with what the last one published, and the session's key is never taken away."""
    admin_by_key(single)
    single.uids[ADMIN] = single.admin_uid
    for times in range(3):
        before = single.key(ADMIN)
        run = single.run(records=[single.admin_uid], force=True)
        assert run.returncode == 0 and single.settled(ADMIN), (times, run.output)
        assert single.key(ADMIN) != before and single.accepts(ADMIN, before)
    both = slots(single, ADMIN)
    single.connection["retire_previous_after"] = "0h"
    run = single.run(records=[single.admin_uid])
    assert run.returncode == 0 and single.settled(ADMIN)
    assert [fingerprint for fingerprint in slots(single, ADMIN) if fingerprint] == [read_key(str(single.key(ADMIN)))[1]]
    assert None not in both


# -- named key pairs


def test_named_pairs(single: KeyScene) -> None:
    single.connection.update(method="named", rotated_key_expiry_hours=12)
    first = single.run()
    old = single.key("A")
    assert first.returncode == 0 and list(single.snowflake.user("A").key_pairs) == ["KEYTURN"], first.output
    assert single.run(force=True).returncode == 0
    assert single.settled("A") and single.accepts("A", old) and single.key("A") != old
    later = single.snowflake.account.clock() + dt.timedelta(hours=13)
    single.snowflake.account.clock = lambda: later
    assert single.settled("A") and not single.accepts("A", old)
    run = single.run(force=True, key_pair_name="other")
    assert run.returncode == 0 and {"KEYTURN", "OTHER"} < set(single.snowflake.user("A").key_pairs), run.output


@pytest.mark.slow
def test_named_where_there_is_none(single: KeyScene) -> None:
    single.snowflake.account.named_key_pairs_supported = False
    single.connection["method"] = "named"
    run = single.run()
    # Definitely refused, so nothing is left pending.
    assert run.returncode == 2 and says(run, "method=slots") and single.pending("A") is None
    del single.connection["method"]
    assert single.run().returncode == 0 and single.settled("A")


# -- failures


def test_one_that_fails_stops_no_other(scene: KeyScene) -> None:
    fill(scene, "foreign", "orphan", "B")
    del scene.snowflake.account.users["C"]
    scene.add("D")
    run = scene.run()
    assert run.returncode == 2 and says(run, "2 rotated, 0 recovered, 0 not due, 2 failed"), run.stdout
    assert scene.settled("A") and scene.settled("D")
    assert scene.pending("B") is None and scene.pending("C") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["lost after", "lost before", "refused proof", "silent proof"],
)
def test_what_is_left_open_is_kept_and_finished(single: KeyScene, kind: str) -> None:
    fill(single, "in use")
    publish(single, "in use")
    fault = {
        "lost after": Fault("ALTER USER A|login A", times=99, drop="after"),
        "lost before": Fault("ALTER USER A", times=99, drop="before"),
        "refused proof": Fault("login A", response=single.snowflake.login_failure(394304, "JWT token is invalid.")),
        "silent proof": Fault("login A", times=99, hang="before"),
    }[kind]
    single.snowflake.faults.add(fault)
    run = single.run()
    pending = single.pending("A")
    assert run.returncode == 2 and pending and single.key("A") == pem("in use") and single.accepts("A", pem("in use"))
    single.snowflake.faults.clear()
    run = single.run()
    assert run.returncode == 0 and says(run, "1 recovered") and single.key("A") == pending and single.settled("A")
    assert single.accepts("A", pem("in use"))


def test_two_records_of_one_user(single: KeyScene) -> None:
    second = single.add_key_record("a")
    run = single.run(records=[single.uids["A"], second])
    assert run.returncode == 2 and says(run, "The same user is in") and alters(single) == []
    assert single.pending("A") is None


# What is in Snowflake for certain needs no login to be committed: DESCRIBE has shown its fingerprint.
@pytest.mark.parametrize(
    "why",
    ["user disabled", *[pytest.param(why, marks=pytest.mark.slow) for why in ("verify false", "user locked")]],
)
def test_a_key_that_is_in_place_and_cannot_log_in_is_committed_all_the_same(single: KeyScene, why: str) -> None:
    """A killed run left it in its slot; without this the record would stay pending for ever, and nobody would hear."""
    pending = single.stage("A")
    user = single.snowflake.user("A")
    user.rsa_public_key, user.rsa_public_key_last_set_time = _public_of(pending), single.snowflake.account.clock()
    if why == "user disabled":
        user.disabled = True
    elif why == "user locked":
        single.snowflake.account.lock_blocks_keys = True
        user.locked_until = single.snowflake.account.clock() + dt.timedelta(minutes=15)
    else:
        single.connection["verify"] = False
    run = single.run()
    assert run.returncode == 0 and single.key("A") == pending and single.pending("A") is None, run.stdout


def _public_of(private: str) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    text = read_key(private)[0].public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    return "".join(line for line in text.splitlines() if "-----" not in line)


def test_a_record_without_a_usable_key_stops_no_other_from_retiring(scene: KeyScene) -> None:
    """A record whose password was rotated lately is not due and has no key; one has a key with a passphrase."""
    for name in "AB":
        fill(scene, "in use", "orphan", name)
        publish(scene, "in use", name)
    put(scene, KEY_FIELD, pem("in use", passphrase="pw"), "B")
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in "ABC":
        put(scene, "rotated_at", now, name, "text")
    scene.connection["retire_previous_after"] = "0h"
    run = scene.run()
    assert says(run, "0 rotated, 0 recovered, 3 not due")
    assert slots(scene) == [print_of("in use"), None], run.stdout


@pytest.mark.slow
def test_a_pending_key_that_cannot_be_read_stops_no_other(scene: KeyScene) -> None:
    pending = scene.stage("A")
    put(scene, "rotation_pending", pem("new", passphrase="pw"), "B")
    run = scene.run()
    assert run.returncode == 2
    assert scene.settled("C") and scene.settled("A") and scene.key("A") == pending, run.stdout


# -- a key that is there already


@pytest.mark.slow
@pytest.mark.parametrize("place", ["slot 1", "slot 2", "named"])
def test_adopting_a_key_without_rotating_it(single: KeyScene, place: str) -> None:
    """The existing key is put where a staged one would be; the role proves it, publishes it, and changes no key."""
    fill(single, *({"slot 1": ("in use", "foreign"), "slot 2": ("foreign", "in use")}.get(place, (None, None))))
    if place == "named":
        single.connection["method"] = "named"
        options = {**single.snowflake.settings(), "login_user": ADMIN, "method": "named", "key_pair_name": "KEYTURN"}
        options |= {"login_password": single.snowflake.user(ADMIN).password, "name": "A", "private_key": pem("in use")}
        assert single.ansible.module("snowflake_user_keypair", options).results["result"]["verified"]
    before = slots(single)
    put(single, "rotation_pending", pem("in use"))
    run = single.run()
    assert run.returncode == 0 and says(run, "0 rotated, 1 recovered"), run.output
    assert alters(single) == [] and slots(single) == before
    assert ("A", "key_pair", "ok") in single.snowflake.logins
    assert str(single.key("A")).strip() == pem("in use").strip() and single.pending("A") is None
    assert fields_of(single) == {"account": "xy12345", "user": "A", "fingerprint": print_of("in use")}
    assert single.vault.field(single.uids["A"], "rotated_at")
    # From now on it is like any other: not due, and the key in use of the next rotation.
    run = single.run()
    assert run.returncode == 0 and says(run, "1 not due") and single.key("A")
    run = single.run(force=True)
    assert run.returncode == 0 and single.accepts("A", pem("in use")) and single.settled("A")


@pytest.mark.slow
def test_adopting_by_the_time_alone(single: KeyScene) -> None:
    """A key in its normal field, and the time by hand: not due until that is too old. Nothing is proved then."""
    fill(single, "in use", "foreign")
    publish(single, "in use")
    now = dt.datetime.now(dt.UTC)
    put(single, "rotated_at", now.strftime("%Y-%m-%dT%H:%M:%SZ"), kind="text")
    run = single.run()
    assert run.returncode == 0 and says(run, "1 not due") and single.snowflake.journal.labels() == []
    put(single, "rotated_at", (now - dt.timedelta(days=31)).strftime("%Y-%m-%dT%H:%M:%SZ"), kind="text")
    run = single.run()
    assert run.returncode == 0 and says(run, "1 rotated") and single.accepts("A", pem("in use"))


@pytest.mark.slow
def test_from_password_to_key_pair(single: KeyScene) -> None:
    """A record whose password was rotated yesterday is not due; force gives it its first key."""
    user = single.snowflake.user("A")
    user.type, user.password = None, "Old-passw0rd"
    put(single, "rotated_at", dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), kind="text")
    assert says(single.run(), "1 not due")
    run = single.run(force=True)
    assert run.returncode == 0 and single.settled("A") and single.snowflake.accepts("A", "Old-passw0rd")


@pytest.mark.slow
def test_from_slots_to_named_pairs(single: KeyScene) -> None:
    """The key in the slot stays valid until somebody empties the slot."""
    assert single.run().returncode == 0
    old = single.key("A")
    single.connection["method"] = "named"
    run = single.run(force=True)
    assert run.returncode == 0 and single.settled("A") and single.accepts("A", old), run.output
    assert list(single.snowflake.user("A").key_pairs) == ["KEYTURN"] and slots(single)[0] == read_key(str(old))[1]


# -- killed at every request


# A clean run for user A, in order: both slots are full, so the one that is overwritten is looked at once more.
REQUESTS = [
    *[("vault", "get_secret")] * 2,
    ("snowflake", "login ROTATOR password"),
    ("snowflake", "DESCRIBE USER A"),
    ("snowflake", "logout"),
    ("vault", "get_secret"),
    ("vault", "update_secret"),
    ("vault", "get_secret"),
    ("snowflake", "login ROTATOR password"),
    *[("snowflake", "DESCRIBE USER A")] * 2,
    ("snowflake", "ALTER USER A SET RSA_PUBLIC_KEY"),
    ("snowflake", "DESCRIBE USER A"),
    ("snowflake", "login A key_pair"),
    *[("snowflake", "logout")] * 2,
    ("vault", "get_secret"),
    ("vault", "update_secret"),
    ("vault", "get_secret"),
]
POINTS = crashes(REQUESTS)


def test_the_matrix_is_complete(single: KeyScene) -> None:
    """A clean run makes exactly the requests that the matrix kills at."""
    fill(single, "in use", "orphan")
    publish(single, "in use")
    assert single.run().returncode == 0
    assert journal(single) == REQUESTS


@pytest.mark.slow
@pytest.mark.parametrize("crash", POINTS, ids=lambda crash: re.sub(r"\W+", "-", f"{POINTS.index(crash):02} {crash}"))
def test_killed_at_a_request(crash: Crash, single: KeyScene, request: pytest.FixtureRequest) -> None:
    """Both slots are full. The next run ends it, and a client with the published key is never refused."""
    fill(single, "in use", "orphan")
    publish(single, "in use")
    runner = ThroughRole(single)
    with Reader(single, "A") as reader:
        assert run_killed(single, runner, crash, reader.knock) == -signal.SIGKILL, runner.output
        assert journal(single)[-1] == (crash.server, crash.label)
        pending, published = single.pending("A"), single.key("A")
        assert single.accepts("A", published) and single.accepts("A", pem("in use"))
        assert run_clean(single, runner, reader.knock) == 0, runner.output
        reader.knock()
    assert single.settled("A") and single.key("A") != pem("in use") and single.accepts("A", pem("in use"))
    assert pending is None or single.key("A") == pending
    assert published == pem("in use") or single.key("A") == published
    assert reader.refusals == [] and reader.logins > 20
    request.node.user_properties.append(("kill matrix", f"{crash}: {reader.logins} logins, 0 refused"))


@pytest.mark.slow
@pytest.mark.parametrize("side", ["before", "after"])
def test_killed_while_it_retires(single: KeyScene, side: t.Literal["before", "after"]) -> None:
    """The record's key has logged in and stays; the next run finds the other one there, or gone."""
    assert single.run().returncode == 0 and single.run(force=True).returncode == 0
    single.connection["retire_previous_after"] = "0h"
    runner = ThroughRole(single)
    with Reader(single, "A") as reader:
        # Twice login of the administrator, DESCRIBE and the time, with a logout between; the user's login, a last look.
        crash = Crash("snowflake", 10, side, "ALTER USER A UNSET RSA_PUBLIC_KEY")
        assert run_killed(single, runner, crash, reader.knock) == -signal.SIGKILL, runner.output
        assert journal(single)[-1] == (crash.server, crash.label)
        assert run_clean(single, runner, reader.knock) == 0, runner.output
        reader.knock()
    assert reader.refusals == [] and single.settled("A")
    assert slots(single) == [None, read_key(str(single.key("A")))[1]]


def test_a_killed_run_leaves_no_key_in_files(single: KeyScene) -> None:
    """Also where Ansible is configured without pipelining: the role asks for it itself."""
    crash = next(crash for crash in POINTS if crash.label.startswith("ALTER"))
    fill(single, "in use", "orphan")
    publish(single, "in use")
    single.ansible.environment["ANSIBLE_PIPELINING"] = "False"
    assert run_killed(single, ThroughRole(single), crash, lambda: None) == -signal.SIGKILL
    hidden = single.secrets()
    assert single.pending("A") in hidden
    assert leaks_below(single.ansible.home, *hidden) + leaks_below(single.ansible.temporary, *hidden) == []


# -- the campaign


@pytest.mark.slow
def test_a_short_campaign(tmp_path: Path) -> None:
    """The long one is ``python -m tests.campaigns.keypair --rotations 200``."""
    report = campaign(tmp_path, 12, 20_260_101, through_role=1, show=lambda line: None)
    print("\n".join(report.lines()))
    assert report.good, "\n".join(report.lines())
    assert report.rotations == 12 and report.client_logins > 12 * 10


def test_the_reader_notices_a_key_that_is_gone(single: KeyScene) -> None:
    """The control: otherwise nobody would know whether the client can be refused at all."""
    fill(single, "in use")
    publish(single, "in use")
    with Reader(single, "A") as reader:
        reader.knock()
        assert (reader.logins, reader.refusals) == (1, [])
        fill(single, "orphan")
        reader.knock()
        assert len(reader.refusals) == 1 and print_of("in use") in reader.refusals[0]
