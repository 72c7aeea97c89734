# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses a secret is told of a new one at least once, whatever kills the run, and the old key lives until then."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

from tests.campaigns.keypair import KeyScene, slots
from tests.campaigns.token import TokenScene
from tests.integration.consumers import Consumers, state, wait_until
from tests.integration.kill import Side, kill_run
from tests.integration.scenes import SnowflakeScene as Scene
from tests.integration.support import Run, says, variants
from tests.leaks import leaks
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.processes import kill_tree
from tests.sandbox.snowflake import SnowflakeSandbox

AnyScene = t.TypeVar("AnyScene", Scene, KeyScene)


@pytest.fixture
def consumers(tmp_path: Path) -> Consumers:
    return Consumers(tmp_path, "app", "web")


@pytest.fixture
def single(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> Scene:
    return Scene(tmp_path, snowflake, vault, "A")


@pytest.fixture
def keys(tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox) -> KeyScene:
    return KeyScene(tmp_path, snowflake, vault, "A")


def delivering(scene: AnyScene, consumers: Consumers, *names: str) -> AnyScene:
    """The same scene, whose runs all have these consumers."""
    plain = scene.variables

    def variables(**more: t.Any) -> dict[str, t.Any]:
        return plain(**{"consumers": list(names), **more}) | {"keyturn_consumers_dir": str(consumers.folder)}

    scene.variables = variables  # type: ignore[method-assign]
    return scene


def settled(scene: Scene, consumers: Consumers) -> bool:
    """Each was told of the newest rotation, and nothing is left."""
    newest = state(scene)["committed"]
    return {("app", newest), ("web", newest)} <= set(consumers.told()) and "undelivered" not in state(scene)


def test_each_is_told_once_of_each_rotation_and_gets_no_secret(single: Scene, consumers: Consumers) -> None:
    scene = delivering(single, consumers, "app", "web")
    run = scene.run("-vvv")
    assert run.returncode == 0 and settled(scene, consumers), run.output
    assert [name for name, _id in consumers.told()] == ["app", "web"]
    assert leaks(run.output + consumers.log.read_text(), *scene.secrets()) == []
    again = scene.run()
    assert again.returncode == 0 and len(consumers.told()) == 2
    assert [label.split()[0] for label in scene.vault.journal.labels()] == ["get_secret"] * 2


@pytest.mark.parametrize("kind", variants([Scene, KeyScene, TokenScene], TokenScene))
def test_a_consumer_that_looks_at_everything_finds_no_secret(
    kind: type[Scene], tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox, consumers: Consumers
) -> None:
    """Variables of all hosts, raw and evaluated, and modules' defaults; also what another one has failed with."""
    scene = delivering(kind(tmp_path, snowflake, vault, "A"), consumers, "app", "look")
    seen = tmp_path / "seen.txt"
    lookup = "lookup('keepersecurity.keeper_secrets_manager.keeper', uid=keyturn_record_uid, field='login')"
    task = {"argv": ["test", "-e", str(tmp_path / "none")], "stdin": f"{{{{ {lookup} }}}} of app"}
    (consumers.folder / "app.yml").write_text(
        yaml.safe_dump([{"name": "Reload", "ansible.builtin.command": task, "no_log": True}], width=10_000)
    )
    look = {"name": "Look", "dump_variables": {"dest": str(seen)}}
    (consumers.folder / "look.yml").write_text(yaml.safe_dump([look]))
    run = scene.run()
    assert run.returncode == 2 and says(run, "app (its task failed: Reload)"), run.output
    text, secrets = seen.read_text(), scene.secrets()
    assert len(secrets) > 3 and "keyturn_record_uid: '{{ keyturn_delivery.record_uid }}'" in text
    assert leaks(text, *secrets) == [] and "A of app" not in text


@pytest.mark.parametrize("name", variants(["../outside", "unknown", "/etc/passwd"], "../outside"))
def test_a_name_that_is_no_consumer_is_refused_before_anything_is_staged(
    single: Scene, consumers: Consumers, name: str
) -> None:
    (consumers.folder.parent / "outside.yml").write_text("[]")
    run = delivering(single, consumers, "app", name).run()
    assert run.returncode == 2 and says(run, "keyturn_consumers_dir does not have") and says(run, "[invalid_input]")
    assert single.password("A") == single.old["A"] and consumers.told() == []
    assert "update_secret" not in " ".join(single.vault.journal.labels())


BROKEN = {
    "no YAML": "- name: [",
    "no module": "- name: Tell\n  nobody.has.this: {}\n",
    "no list": "name: Tell\n",
    "no role": "- ansible.builtin.include_role:\n    name: nobody_has_this\n",
}


@pytest.mark.parametrize("kind", variants(BROKEN, "no module", "no role"))
def test_a_consumer_that_cannot_be_included_fails_alone(single: Scene, consumers: Consumers, kind: str) -> None:
    """Whether it is noticed before anything is staged, or when an earlier run has left it to be told."""
    scene = delivering(single, consumers, "app", "web")
    consumers.breaks("app").touch()
    assert scene.run().returncode == 2 and [name for name, _id in consumers.told()] == ["app", "web"]
    (consumers.folder / "app.yml").write_text(BROKEN[kind])
    (consumers.folder / "unused.yml").write_text(BROKEN["no YAML"])
    run = scene.run()
    assert run.returncode == 2 and says(run, "[delivery_failed]") and says(run, "app (its task failed: "), run.output
    run = scene.run(force=True)
    if kind in ("no YAML", "no module"):
        assert says(run, "or that Ansible cannot load: app. Nothing was changed. [invalid_input]"), run.output
        assert len(consumers.told()) == 2
    else:
        assert says(run, "[delivery_failed]") and [name for name, _id in consumers.told()][2:] == ["web"], run.output
    assert run.returncode == 2 and scene.settled("A")


# A kill at a request of the vault: updates are the staging, the commit, and a mark for each consumer.
KILLS: list[tuple[int, Side]] = [(1, "after"), (2, "before"), (2, "after"), (3, "before"), (3, "after")]


@pytest.mark.parametrize(("update", "side"), [pytest.param(*kill, marks=pytest.mark.slow) for kill in KILLS])
def test_a_run_killed_after_the_commit_delivers_in_the_next_one(
    single: Scene, consumers: Consumers, update: int, side: Side, table: t.Callable[[str], None]
) -> None:
    """After the commit, before the first one's mark, between two, after all before the last mark, and after it."""
    scene = delivering(single, consumers, "app", "web")
    kill_run(scene, scene.vault, "update_secret", side, skip=update)
    told = [name for name, _id in consumers.told()]
    assert scene.live_is_known("A") and scene.pending("A") is None
    password = scene.password("A")
    run = scene.run()
    assert run.returncode == 0 and settled(scene, consumers), run.output
    assert scene.password("A") == password and scene.settled("A") and says(run, "0 rotated, 0 recovered, 1 not due")
    table(f"update {update} {side}: told {told}, then {[name for name, _id in consumers.told()[len(told) :]]}")


@pytest.mark.slow
def test_a_run_killed_inside_of_a_consumer_tells_it_again(single: Scene, consumers: Consumers) -> None:
    scene = delivering(single, consumers, "app", "web")
    hanging = consumers.hang("app")
    process = scene.start()
    wait_until(lambda: bool(consumers.told()), process)
    kill_tree(process.pid)
    scene.ansible.finish(process)
    assert scene.live_is_known("A") and state(scene)["undelivered"] == ["app", "web"]
    hanging()
    run = scene.run()
    assert run.returncode == 0 and settled(scene, consumers) and says(run, "1 not due"), run.output
    assert [name for name, _id in consumers.told()] == ["app", "app", "web"]


@pytest.mark.slow
def test_five_failures_are_five_reports_and_one_retirement(keys: KeyScene, consumers: Consumers) -> None:
    """Of two consumers one fails five times; the other one is told once, and the old key goes once, in the end."""
    keys.connection["retire_previous_after"] = "0h"
    scene = delivering(keys, consumers, "app", "web")
    assert scene.run().returncode == 0
    old, before = scene.key("A"), len(consumers.told())
    consumers.breaks("app").touch()
    retired: list[int] = []

    def run(**more: t.Any) -> Run:
        found = scene.run(**more)
        retired.append(len(scene.snowflake.journal.labels("UNSET")))
        return found

    for number in range(5):
        failed = run(force=number == 0)
        assert failed.returncode == 2 and says(failed, "[delivery_failed]"), failed.output
        assert says(failed, "app (its task failed: Reload)") and scene.accepts("A", old)
    assert scene.settled("A") and state(scene)["undelivered"] == ["app"]
    assert [name for name, _id in consumers.told()[before:]].count("web") == 1
    consumers.breaks("app").unlink()
    key = scene.key("A")
    assert run().returncode == 0 and settled(scene, consumers) and scene.accepts("A", old)
    assert run().returncode == run().returncode == 0
    assert retired == [0] * 6 + [1, 0] and not scene.accepts("A", old) and scene.key("A") == key


@pytest.mark.slow
def test_the_old_key_lives_until_all_are_told(keys: KeyScene, consumers: Consumers) -> None:
    """A client that was not told logs in with the old key, and a further rotation does not take its slot."""
    keys.connection["retire_previous_after"] = "0h"
    scene = delivering(keys, consumers, "app", "web")
    assert scene.run().returncode == 0
    old = slots(scene)[0]
    consumers.breaks("web").touch()
    for more in ({"force": True}, {"max_age": "0s"}, {}):
        run = scene.run(**more)
        assert run.returncode == 2 and says(run, "[delivery_failed]"), run.output
        assert old in slots(scene) and None not in slots(scene)
    assert scene.snowflake.journal.labels("UNSET") == []
    consumers.breaks("web").unlink()
    # The client reads its new key while this run goes on.
    assert scene.run().returncode == 0 and old in slots(scene)
    run = scene.run()
    assert run.returncode == 0 and old not in slots(scene) and None in slots(scene), run.output
