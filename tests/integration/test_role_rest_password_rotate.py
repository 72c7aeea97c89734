# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and its playbook by their full names: the users of one API, from the vault to the service and back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.integration.scenes import RECIPE
from tests.integration.scenes import RestScene as Scene
from tests.integration.support import Run, recap, says, variants
from tests.leaks import leaks, leaks_below
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.rest import RestSandbox
from tests.sandbox.server import Fault, Response


@pytest.fixture
def scene(tmp_path: Path, rest: RestSandbox, vault: KeeperSandbox) -> Scene:
    """Users A, B and C."""
    return Scene(tmp_path, rest, vault, "A", "B", "C")


@pytest.fixture
def single(tmp_path: Path, rest: RestSandbox, vault: KeeperSandbox) -> Scene:
    return Scene(tmp_path, rest, vault, "A")


@pytest.fixture
def write_only(tmp_path: Path, rest: RestSandbox, vault: KeeperSandbox) -> Scene:
    """User A of a service that cannot be asked."""
    return Scene(tmp_path, rest, vault, "A", verify=False)


# -- the way it should go


@pytest.mark.core
def test_many_records_in_one_run(scene: Scene) -> None:
    """One login of the administrator, one list for all; the second run changes nothing."""
    run = scene.run()
    assert run.returncode == 0, run.output
    assert says(run, "3 rotated, 0 recovered, 0 not due, 0 failed")
    assert all(scene.settled(name) for name in scene.uids)
    assert not any(scene.accepts(name, old) for name, old in scene.old.items())
    labels = scene.rest.journal.labels()
    # Once for the check before staging, and once for the work.
    assert labels.count("POST /login") == labels.count("users") == 2
    assert [scene.rest.logins.count((name, True)) for name in "ABC"] == [1, 1, 1]
    assert [scene.failed_logins(name) for name in "ABC"] == [1, 1, 1]
    assert scene.rest.user("A").tags == ["reader"]

    passwords = {name: scene.password(name) for name in scene.uids}
    run = scene.run()
    assert run.returncode == 0 and recap(run) == (0, 0)
    assert says(run, "0 rotated, 0 recovered, 3 not due, 0 failed")
    assert scene.rest.journal.labels() == []
    assert {name: scene.password(name) for name in scene.uids} == passwords


@pytest.mark.slow
def test_recovered_values_are_asked_for_first(scene: Scene) -> None:
    """One of a run that died before the change, one of a run that died after it, and a new one, in one call."""
    before, after = scene.stage("A"), scene.stage("B")
    scene.rest.user("B").password = after
    run = scene.run()
    assert run.returncode == 0 and says(run, "1 rotated, 2 recovered, 0 not due, 0 failed"), run.output
    assert (scene.password("A"), scene.password("B")) == (before, after)
    assert all(scene.settled(name) for name in scene.uids)
    assert scene.rest.journal.labels("change B") == []
    # One for the check before staging.
    assert scene.rest.journal.labels("login") == ["POST /login"] * 2


@pytest.mark.slow
def test_a_service_that_cannot_be_asked(write_only: Scene) -> None:
    """What an earlier run has set is set again, and committed."""
    pending = write_only.stage("A")
    write_only.rest.user("A").password = pending
    run = write_only.run()
    assert run.returncode == 0 and says(run, "0 rotated, 1 recovered, 0 not due, 0 failed"), run.output
    assert write_only.settled("A") and write_only.password("A") == pending
    assert write_only.rest.journal.labels() == [*["POST /login", "users"] * 2, "change A"]


def test_check_mode_writes_nothing(scene: Scene) -> None:
    before = {uid: scene.vault.record(uid) for uid in scene.uids.values()}
    run = scene.run("--check", "--diff")
    assert run.returncode == 0 and says(run, "check mode: 3 due")
    assert {uid: scene.vault.record(uid) for uid in scene.uids.values()} == before
    # The administrator logs in, and the users are looked up.
    assert scene.rest.journal.labels() == ["POST /login", "users"]


@pytest.mark.slow
def test_the_other_title_a_token_and_what_wins(single: Scene) -> None:
    """The token stands in the password field; the connection's own options win over the record's."""
    single.add_admin_record(
        "Record with Access Token", password=single.rest.token, login="nobody", url="https://[::1]:1"
    )
    single.recipe["auth"] = {"type": "bearer", "token": "${api_token}"}
    connection = {**single.connection, "url": single.rest.url}
    run = single.run(admin_record="Record with Access Token", connection=connection)
    assert run.returncode == 0 and single.settled("A"), run.output
    assert single.rest.journal.labels("login") == []


def test_nothing_is_shown_or_left(single: Scene) -> None:
    single.rest.faults.add(
        Fault("change A", response=Response(400, b'{"error": "no"}')),
    )
    found = {*single.secrets()}
    failed = single.run("-vvvv", "--diff")
    done = single.run("-vvvv", "--diff")
    found |= single.secrets()
    assert failed.returncode == 2 and done.returncode == 0
    assert leaks(failed.output + done.output, *found) == []
    assert leaks_below(single.ansible.home, *found) == [] and leaks_below(single.ansible.temporary, *found) == []


# -- what a service does not take


def refused(scene: Scene, name: str) -> bool:
    """The old password is live and in the record, and nothing is pending."""
    return scene.settled(name) and scene.password(name) == scene.old[name]


def test_definite_refusals_are_discarded_and_the_others_go_on(scene: Scene) -> None:
    del scene.rest.users["2"]
    scene.rest.faults.add(Fault("change C", response=Response(422, b'{"error": "too simple"}')))
    run = scene.run()
    assert run.returncode == 2 and says(run, "1 rotated, 0 recovered, 0 not due, 2 failed"), run.output
    assert says(run, "[not_found]") and says(run, "[refused]") and not says(run, "still pending")
    assert scene.settled("A") and scene.password("A") != scene.old["A"]
    assert refused(scene, "C")
    assert scene.pending("B") is None and scene.password("B") == scene.old["B"]


@pytest.mark.slow
def test_an_unexpected_success_is_no_definite_refusal(single: Scene) -> None:
    """The recipe lists 200, the service says 204 and has done it: the new password must not be thrown away."""
    single.recipe["change"] = {**RECIPE["change"], "status": [200]}
    run = single.run()
    assert run.returncode == 2 and says(run, "answered with 204") and says(run, "still pending"), run.output
    assert single.live_is_known("A") and not single.accepts("A", single.old["A"])
    single.recipe["change"] = RECIPE["change"]
    assert single.run().returncode == 0 and single.settled("A")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["verify", "write only"])
def test_a_recovered_value_is_never_discarded(kind: str, single: Scene) -> None:
    """The login may have been refused for another reason than the password, as RabbitMQ does."""
    if kind == "write only":
        del single.recipe["verify"]
    pending = single.stage("A")
    single.rest.user("A").password = pending
    single.rest.faults.add(Fault("whoami A", response=Response(401)))
    single.rest.faults.add(Fault("change A", response=Response(403)))
    run = single.run()
    assert run.returncode == 2 and says(run, "[not_permitted]") and says(run, "still pending"), run.output
    assert single.pending("A") == pending and single.live_is_known("A")
    single.rest.faults.clear()
    assert single.run().returncode == 0 and single.settled("A") and single.password("A") == pending


def in_doubt(kind: str, rest: RestSandbox) -> None:
    faults = {
        # The check before staging has its answer.
        "administrator refused": [Fault("POST /login", skip=1, response=Response(401))],
        "login unknown before": [Fault("whoami", response=Response(503))],
        "rate limited": [Fault("whoami", response=Response(429))],
        "lost after": [Fault("change", drop="after"), Fault("whoami", skip=1, response=Response(500))],
        "lost before": [Fault("change", drop="before"), Fault("whoami", skip=1, response=Response(500))],
        "server error": [Fault("change", response=Response(502))],
        "proof fails": [Fault("whoami", times=2, response=Response(401))],
        "proof is unknown": [Fault("whoami", skip=1, response=Response(302))],
    }
    for fault in faults[kind]:
        rest.faults.add(fault)


@pytest.mark.parametrize(
    "kind",
    variants(
        [
            "administrator refused",
            "login unknown before",
            "rate limited",
            "lost after",
            "lost before",
            "server error",
            "proof fails",
            "proof is unknown",
        ],
        "lost after",
    ),
)
def test_what_leaves_doubt_stays_pending_and_is_finished_by_the_next_run(kind: str, single: Scene) -> None:
    in_doubt(kind, single.rest)
    run = single.run()
    assert run.returncode == 2 and says(run, "still pending"), run.output
    assert single.live_is_known("A")
    pending = single.pending("A")
    single.rest.faults.clear()
    assert single.run().returncode == 0 and single.settled("A") and single.password("A") == pending


def test_a_lost_answer_is_settled_by_the_login(single: Scene) -> None:
    single.rest.faults.add(Fault("change A", drop="after"))
    run = single.run()
    assert run.returncode == 0 and says(run, "1 rotated"), run.output
    assert single.settled("A") and single.rest.journal.labels("change") == ["change A"]


# -- before anything is made


def stays_untouched(scene: Scene, run: Run, text: str) -> None:
    assert run.returncode == 2 and says(run, text), run.output
    assert scene.pending("A") is None and scene.settled("A") and scene.rest.journal.labels() == []
    assert "update_secret" not in " ".join(scene.vault.journal.labels())


def test_what_is_wrong_with_the_recipe_shows_before_a_password_is_made(single: Scene) -> None:
    stays_untouched(single, single.run(recipe="no_such_recipe"), "There is no recipe no_such_recipe. There are")
    stays_untouched(single, single.run(recipe=str(single.directory / "none.yml")), "cannot be read")
    single.recipe["change"] = {**RECIPE["change"], "path": "/${relam}/${id}"}
    stays_untouched(single, single.run(), "the placeholder ${relam} is not known here")
    single.recipe["change"] = {**RECIPE["change"], "query": {"new": "${password}"}}
    stays_untouched(single, single.run(), "puts the secret password into the address")
    single.recipe["change"] = {"method": "PUT"}
    stays_untouched(single, single.run(), "missing required arguments: status")
    single.recipe = {**RECIPE, "url": single.rest.url}
    stays_untouched(single, single.run(), "must hold change, and may hold")


def test_the_narrowest_policy_counts_and_a_contradiction_is_one_records_own(scene: Scene) -> None:
    scene.recipe["password_policy"] = {"max_length": 20, "special_characters": "-_"}
    own = [{"type": "text", "label": "rotation_password_policy", "value": ['{"length": 24}']}]
    scene.vault.edit(scene.uids["B"], lambda content: content.update(custom=own))
    for arguments in (["--check"], []):
        run = scene.run(*arguments, password_policy={"length": 18, "special_characters": "^_"})
        assert run.returncode == 2 and says(run, "more characters than it allows, which is 20 at most"), run.output
        assert scene.pending("B") is None and scene.password("B") == scene.old["B"]
    for name in "AC":
        password = scene.password(name)
        assert scene.settled(name) and len(password) == 18 and not set("^-") & set(password)


def test_a_login_that_always_says_yes(single: Scene) -> None:
    single.rest.gullible = True
    run = single.run()
    assert run.returncode == 2 and says(run, "so verify proves nothing"), run.output
    assert refused(single, "A") and single.rest.journal.labels("change") == []


def test_two_records_of_one_user(single: Scene) -> None:
    single.uids["again"] = single.add_record("A", password=single.old["A"], title="Another record of A")
    run = single.run()
    assert run.returncode == 2 and says(run, "The same user is in") and single.rest.journal.labels("change") == []
    assert single.pending("A") is None


def test_always_costs_no_failed_login(single: Scene) -> None:
    single.connection["update_password"] = "always"
    run = single.run()
    assert run.returncode == 0 and single.settled("A"), run.output
    assert single.failed_logins("A") == 0 and single.rest.logins == [("A", True)]


def test_records_are_proved_at_the_same_time_where_that_is_asked_for(scene: Scene) -> None:
    """The option goes the way of all options; each login waits until all three are there."""
    scene.connection |= {"update_password": "always", "verify_parallel": 3}
    meeting = threading.Barrier(3)
    scene.rest.faults.add(Fault("whoami", times=3, before=lambda: meeting.wait(30)))
    run = scene.run()
    assert run.returncode == 0 and all(scene.settled(name) for name in scene.uids), run.output
    assert sorted(scene.rest.logins) == [(name, True) for name in "ABC"]
