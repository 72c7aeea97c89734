# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and its playbook by their full names: tokens that Snowflake mints, and that end in the record."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import typing as t
from pathlib import Path

import pytest

from tests.campaigns.keypair import Crash, ThroughRole, crashes, journal, run_clean, run_killed
from tests.campaigns.token import FIRST, TokenReader, TokenScene, campaign
from tests.integration.conftest import ADMIN, fresh_password
from tests.integration.support import says, variants
from tests.leaks import leaks, leaks_below
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.server import Fault
from tests.sandbox.snowflake import SnowflakeSandbox

ADD = "ALTER USER A ADD PAT"


@pytest.fixture
def scene(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> TokenScene:
    """The service users A, B and C, each with a token that somebody has made."""
    return TokenScene(tmp_path, snowflake, vault, "A", "B", "C")


@pytest.fixture
def single(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> TokenScene:
    return TokenScene(tmp_path, snowflake, vault, "A", login_timeout=3)


def field(scene: TokenScene, label: str, name: str = "A") -> str | None:
    return scene.vault.field(scene.uids[name], label)


def own(scene: TokenScene, name: str = "A") -> str:
    return str(field(scene, "token_name", name))


def adds(scene: TokenScene) -> list[str]:
    return [label for label in scene.snowflake.journal.labels() if " ADD " in label]


def hidden(scene: TokenScene) -> set[str]:
    """Every token that is or was in play, and the other secrets."""
    users = [scene.snowflake.user(name) for name in scene.uids]
    return scene.secrets() | {token.secret for user in users for token in user.pats.values()}


# -- the way it should go


@pytest.mark.connector
def test_first_rotation_second_and_retirement(scene: TokenScene) -> None:
    """The token before stays valid until a later run retires it."""
    secrets = hidden(scene)
    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 0 and says(run, "3 rotated, 0 recovered, 0 not due, 0 failed"), run.output
    assert len(scene.snowflake.journal.labels("login ROTATOR")) == 2
    for name, uid in scene.uids.items():
        assert scene.settled(name) and scene.password(name) != scene.old[name]
        assert scene.accepts(name, scene.old[name]) and scene.tokens(name) == {FIRST, own(scene, name)}
        assert re.fullmatch(r"KEYTURN_\d{8}T\d{6}Z_[0-9A-F]{8}", own(scene, name))
        assert (scene.vault.field(uid, "account"), scene.vault.field(uid, "user")) == ("xy12345", name)
        ends = dt.datetime.fromisoformat(str(scene.vault.field(uid, "token_expires_at")))
        assert dt.timedelta(days=89) < ends - dt.datetime.now(dt.UTC) < dt.timedelta(days=91)
    secrets |= hidden(scene)
    assert leaks(run.output, *secrets) == []

    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 0 and says(run, "3 not due") and scene.tokens("A") == {FIRST, own(scene)}, run.output
    scene.connection["retire_previous_after"] = "0h"
    run = scene.run("--check", "--diff")
    assert run.returncode == 0 and says(run, f"the previous token {FIRST} is retired"), run.output
    assert scene.tokens("A") == {FIRST, own(scene)}
    run = scene.run("-vvvv", "--diff")
    assert run.returncode == 0 and says(run, f"the previous token {FIRST} is retired"), run.output
    for name in scene.uids:
        assert scene.tokens(name) == {own(scene, name)} and scene.settled(name)
    assert leaks(run.output, *secrets, *hidden(scene)) == []
    assert leaks_below(scene.ansible.home, *secrets) + leaks_below(scene.ansible.temporary, *secrets) == []
    assert {answer for _name, _method, answer in scene.snowflake.logins} == {"ok"}


def test_check_mode_announces_and_mints_nothing(scene: TokenScene) -> None:
    run = scene.run("--check", "--diff")
    assert run.returncode == 0 and says(run, "check mode: 3 due, 0 not due, 0 failed"), run.output
    assert adds(scene) == [] and field(scene, "rotation_state") is None and scene.tokens("A") == {FIRST}


@pytest.mark.slow
def test_two_records_of_one_user_have_a_token_each(single: TokenScene) -> None:
    second = single.add_token_record("a", single.old["A"], None, title="Another consumer")
    run = single.run(records=[single.uids["A"], second])
    assert run.returncode == 0 and says(run, "2 rotated"), run.output
    assert len(single.tokens("A")) == 3
    single.connection["retire_previous_after"] = "0h"
    run = single.run(records=[single.uids["A"], second])
    assert run.returncode == 0 and single.tokens("A") == {own(single), single.vault.field(second, "token_name")}


@pytest.mark.slow
def test_a_token_is_due_when_a_quarter_of_its_life_is_left(single: TokenScene) -> None:
    assert single.run().returncode == 0
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0)).isoformat()
    single.vault.edit(
        single.uids["A"],
        lambda content: [
            each.update(value=[soon]) for each in content["custom"] if each.get("label") == "token_expires_at"
        ],
    )
    assert says(single.run(max_age="80d"), "1 rotated")


# -- what is left of runs that died


def test_a_token_whose_secret_is_lost_is_revoked(single: TokenScene) -> None:
    """Killed when Snowflake had made it and nobody had heard: found by the name, and replaced."""
    status = run_killed(single, ThroughRole(single), _crash(ADD, "after"), lambda: None)
    assert status == -signal.SIGKILL and single.pending("A") is None and len(single.tokens("A")) == 2
    (orphan,) = single.tokens("A") - {FIRST}
    run = single.run()
    assert run.returncode == 0 and says(run, "1 recovered"), run.output
    assert orphan not in single.tokens("A") and single.tokens("A") == {FIRST, own(single)} and single.settled("A")


def _crash(label: str, side: t.Literal["before", "after"]) -> Crash:
    found = [crash for crash in POINTS if crash.label.startswith(label) and crash.side == side]
    return found[-1]


def test_a_token_that_was_saved_is_proved_and_not_made_again(single: TokenScene) -> None:
    run_killed(single, ThroughRole(single), _crash("update_secret", "before"), lambda: None)
    saved = single.pending("A")
    assert saved is not None and single.accepts("A", saved)
    run = single.run()
    assert run.returncode == 0 and says(run, "1 recovered") and adds(single) == [], run.output
    assert single.password("A") == saved and single.tokens("A") == {FIRST, own(single)}


@pytest.mark.slow
@pytest.mark.parametrize("side", ["before", "after"])
def test_a_lost_answer_to_the_minting(single: TokenScene, side: t.Literal["before", "after"]) -> None:
    """The connector repeats it with the same id; what is listed then tells."""
    single.snowflake.faults.add(Fault(ADD, drop=side, times=9))
    run = single.run()
    assert run.returncode == 2 and single.pending("A") is None and single.password("A") == single.old["A"], run.output
    single.snowflake.faults.clear()
    run = single.run()
    assert run.returncode == 0 and single.settled("A") and single.tokens("A") == {FIRST, own(single)}, run.output


@pytest.mark.slow
def test_a_vault_that_is_down_when_the_token_is_to_be_saved(single: TokenScene) -> None:
    single.vault.faults.add(Fault("update_secret", skip=1, times=9, drop="before"))
    run = single.run()
    assert run.returncode == 2 and single.pending("A") is None and len(single.tokens("A")) == 2, run.output
    single.vault.faults.clear()
    run = single.run()
    assert run.returncode == 0 and single.settled("A") and single.tokens("A") == {FIRST, own(single)}, run.output


def test_a_token_whose_announcement_is_gone_is_revoked_by_the_run_that_made_it(single: TokenScene) -> None:
    """Somebody clears the record's fields while the service makes it."""

    def cleared() -> None:
        single.vault.edit(single.uids["A"], lambda content: content["custom"].clear())

    single.snowflake.faults.add(Fault(ADD, after=cleared))
    run = single.run()
    assert run.returncode == 2 and "had made, was revoked. Run again. [vault_error]" in run.output, run.output
    assert single.tokens("A") == {FIRST} and single.password("A") == single.old["A"]
    assert leaks(run.output, *single.secrets()) == []
    run = single.run()
    assert run.returncode == 0 and single.settled("A") and single.tokens("A") == {FIRST, own(single)}, run.output


@pytest.mark.slow
def test_a_token_that_logs_in_late_is_committed_later(single: TokenScene) -> None:
    single.snowflake.account.token_delay = dt.timedelta(hours=1)
    run = single.run()
    assert run.returncode == 2 and says(run, "verify_failed") and single.pending("A") is not None, run.output
    saved = single.pending("A")
    single.snowflake.account.token_delay = dt.timedelta(0)
    run = single.run()
    assert run.returncode == 0 and single.password("A") == saved and single.tokens("A") == {FIRST, own(single)}


@pytest.mark.slow
def test_a_token_that_never_logs_in_is_given_up_after_its_second_chance(single: TokenScene) -> None:
    single.snowflake.account.token_delay = dt.timedelta(hours=1)
    assert single.run().returncode == 2 and single.pending("A") is not None
    run = single.run()
    assert run.returncode == 2 and single.pending("A") is None and single.accepts("A", single.old["A"]), run.output
    single.snowflake.account.token_delay = dt.timedelta(0)
    run = single.run()
    assert run.returncode == 0 and single.settled("A") and single.tokens("A") == {FIRST, own(single)}, run.output


# -- refused before anything is made


@pytest.mark.parametrize("why", variants(["network policy", "role restriction", "own token", "full"], "full"))
def test_what_snowflake_does_not_allow(single: TokenScene, why: str) -> None:
    """Nothing is left pending, and the record's token stays."""
    if why == "network policy":
        single.snowflake.user("A").network_policy = False
    elif why == "role restriction":
        single.connection.pop("role_restriction")
    elif why == "own token":
        single.snowflake.user("A").roles.add("SECURITYADMIN")
        single.connection |= {"login_user": "A", "login_authenticator": "programmatic_access_token"}
        single.connection["login_token"] = single.old["A"]
    else:
        for number in range(14):
            single.snowflake.add_pat("A", token=fresh_password(), token_name=f"OTHER_{number}")
    before = single.tokens("A")
    run = single.run()
    words = {
        "network policy": "must be subject to a network policy",
        "role restriction": "needs role_restriction",
        "own token": "opened by a token of user",
        "full": "slots_full",
    }[why]
    assert run.returncode == 2 and says(run, words) and single.pending("A") is None, run.output
    assert single.tokens("A") == before and leaks(run.output, *hidden(single)) == []


def test_a_token_that_would_end_before_it_is_rotated(single: TokenScene) -> None:
    single.connection["days_to_expiry"] = 15
    run = single.run()
    assert run.returncode == 2 and says(run, "days_to_expiry") and field(single, "rotation_state") is None
    assert single.snowflake.journal.labels("^ALTER") == []


@pytest.mark.slow
def test_the_administrator_may_rotate_its_own_token(single: TokenScene) -> None:
    """By another login than that token."""
    single.snowflake.add_pat(ADMIN, token=fresh_password(), token_name="ADMINS")
    own_record = single.add_token_record(ADMIN, fresh_password(), "ADMINS")
    single.connection.pop("role_restriction")
    run = single.run(records=[own_record])
    assert run.returncode == 0 and len(single.tokens(ADMIN)) == 2, run.output


def test_a_record_with_an_unfinished_password_is_not_touched(single: TokenScene) -> None:
    pending = single.stage("A")
    run = single.run()
    assert run.returncode == 2 and says(run, "unfinished rotation of a password") and single.pending("A") == pending


# -- killed at every request


def _requests() -> list[tuple[str, str]]:
    """A clean run for user A, in order."""
    check = ["login ROTATOR password", "DESCRIBE USER A", "SHOW USER PATS A", "logout"]
    mint = [
        "login ROTATOR password",
        "DESCRIBE USER A",
        "SHOW USER PATS A",
        ADD,
        "SHOW USER PATS A",
        "login A programmatic_access_token",
        "logout",
    ]
    phase = [("vault", "get_secret"), ("vault", "update_secret"), ("vault", "get_secret")]
    return [
        *[("vault", "get_secret")] * 2,
        *[("snowflake", label) for label in check],
        *phase,
        *[("snowflake", label) for label in [*mint, "logout"]],
        *phase,
        *phase,
    ]


POINTS = crashes(_requests())


def test_the_matrix_is_complete(single: TokenScene) -> None:
    """A clean run makes exactly the requests that the matrix kills at."""
    assert single.run().returncode == 0
    assert journal(single) == _requests()


@pytest.mark.slow
@pytest.mark.parametrize("crash", POINTS, ids=lambda crash: re.sub(r"\W+", "-", f"{POINTS.index(crash):02} {crash}"))
def test_killed_at_a_request(crash: Crash, single: TokenScene, request: pytest.FixtureRequest) -> None:
    """The next run ends it, and a client with the published token is never refused."""
    runner = ThroughRole(single)
    with TokenReader(single, "A") as reader:
        assert run_killed(single, runner, crash, reader.knock) == -signal.SIGKILL, runner.output
        assert journal(single)[-1] == (crash.server, crash.label)
        pending = single.pending("A")
        assert run_clean(single, runner, reader.knock) == 0, runner.output
        reader.knock()
    assert single.settled("A") and single.tokens("A") == {FIRST, own(single)}
    assert pending is None or single.password("A") == pending
    assert reader.refusals == [] and reader.logins > 20
    request.node.user_properties.append(("kill matrix", f"{crash}: {reader.logins} logins, 0 refused"))


class Terminated(ThroughRole):
    """Asked to end, as a scheduler does: Ansible itself ends, and a module may still do what it is about to do."""

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize("crash", POINTS, ids=lambda crash: re.sub(r"\W+", "-", f"{POINTS.index(crash):02} {crash}"))
def test_terminated_at_a_request(crash: Crash, single: TokenScene) -> None:
    with TokenReader(single, "A") as reader:
        assert run_killed(single, Terminated(single), crash, reader.knock) != 0
        runner = ThroughRole(single)
        assert run_clean(single, runner, reader.knock) == 0, runner.output
        single.connection["retire_previous_after"] = "0h"
        assert run_clean(single, runner, reader.knock) == 0, runner.output
        reader.knock()
    assert single.settled("A") and single.tokens("A") == {own(single)} and reader.refusals == []


def test_a_short_campaign(tmp_path: Path) -> None:
    """The long one: ``python -m tests.campaigns.token``."""
    report = campaign(tmp_path, 8, 20261129, show=lambda _line: None)
    assert report.good, list(report.lines())
