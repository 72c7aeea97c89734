# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ready-made consumers: the guide's case, killed at every point, while the services of two hosts log in."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import json
import re
import subprocess
import textwrap
import threading
import typing as t
from pathlib import Path

import pytest
import yaml

from tests.campaigns.keypair import KeyScene, Reader
from tests.integration.conftest import fresh_password
from tests.integration.consumers import Consumers, state, wait_until
from tests.integration.hosts import Hosts, Side
from tests.integration.kill import PATIENCE
from tests.integration.scenes import SnowflakeScene as Scene
from tests.integration.support import REPOSITORY, Run, says
from tests.leaks import leaks, leaks_below
from tests.sandbox.keeper import KeeperSandbox
from tests.sandbox.processes import kill_tree
from tests.sandbox.server import Fault, LoopbackServer, Request, Response
from tests.sandbox.snowflake import SnowflakeSandbox

GUIDE = REPOSITORY / "docs" / "docsite" / "rst" / "guide_consumers.rst"


class Endpoint:
    """An HTTP service that keeps what it is sent, and says whether it is well."""

    def __init__(self) -> None:
        self.bodies: list[t.Any] = []
        self.server = LoopbackServer(self)
        self.url = f"http://{self.server.host}:{self.server.port}"
        self.well: t.Callable[[], bool] = lambda: True

    def label(self, request: Request) -> str:
        return f"{request.method} {request.path}"

    def respond(self, request: Request) -> Response:
        if request.method == "PUT":
            self.bodies.append(json.loads(request.body))
            return Response(204)
        return Response(200 if self.well() else 503)


class Service(Reader):
    """What runs on a host: it logs in again and again, with the key that it read when it was last told to reload."""

    def __init__(self, scene: KeyScene, hosts: Hosts, name: str) -> None:
        super().__init__(scene, "A")
        self.read, self._asked = hosts.file(name).read_text, lambda: len(hosts.asked(name))
        self._reloads, self._held = self._asked(), self.read()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._log_in_again_and_again)
        self._thread.start()

    def _log_in_again_and_again(self) -> None:
        while not self._ended.wait(0.1):
            self.knock()

    def knock(self) -> None:
        with self._lock:
            if self._asked() != self._reloads:
                self._reloads, self._held = self._asked(), self.read()
            self._log_in(t.cast(str, self._held))

    def well(self) -> bool:
        return not self.refusals and self._held == self.read()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        super().close()


@pytest.fixture
def endpoint() -> t.Iterator[Endpoint]:
    service = Endpoint()
    with service.server:
        yield service


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    return Hosts(tmp_path, *re.findall(r"^   (\S+\.example\.com)$", GUIDE.read_text(), re.MULTILINE))


def shown(containing: str) -> str:
    """The guide's block of YAML that holds these words."""
    blocks = re.findall(r"^.. code-block:: yaml\n\n((?:   .*\n|\n)+)", GUIDE.read_text(), re.MULTILINE)
    (found,) = [textwrap.dedent(block) for block in blocks if containing in block]
    return found


class Case:
    """The guide's files, with this machine's paths in them, and a second consumer behind the first."""

    def __init__(self, scene: KeyScene, hosts: Hosts, consumers: Consumers, url: str) -> None:
        self.scene, self.hosts, self.consumers = scene, hosts, consumers
        text = shown("keyturn_consumer_health_url")
        for guides, ours in {
            "/etc/reporting/snowflake.p8": str(hosts.file("{{ keyturn_consumer_host }}")),
            "keyturn_consumer_owner: reporting": f"keyturn_consumer_owner: {getpass.getuser()}",
            # Nobody to become here.
            "keyturn_consumer_become: true": "keyturn_consumer_become: false",
            "https://reporting.example.com": url,
        }.items():
            assert guides in text
            text = text.replace(guides, ours)
        (consumers.folder / "reporting.yml").write_text(text + "    keyturn_consumer_delay: 1\n")
        self.variables: dict[str, t.Any] = yaml.safe_load(shown("keyturn_consumers_dir: "))
        self.variables["keyturn_consumers_dir"] = str(consumers.folder)
        self.variables["snowflake_user_keypair_consumers"].append("app")
        assert self.variables["snowflake_user_keypair_connection"] == {"retire_previous_after": "1h"}
        self.variables["snowflake_user_keypair_connection"] = {**scene.connection, "retire_previous_after": "0h"}
        scene.variables = lambda **more: {  # type: ignore[method-assign]
            **type(scene).variables(scene, **more),
            **self.variables,
        }

    def start(self, *arguments: str, **more: t.Any) -> subprocess.Popen[str]:
        return self.scene.start("-i", str(self.hosts.inventory), *arguments, **more)

    def run(self, *arguments: str, **more: t.Any) -> Run:
        return self.scene.ansible.finish(self.start(*arguments, **more))


@pytest.fixture
def case(
    tmp_path: Path,
    snowflake: SnowflakeSandbox,
    vault: KeeperSandbox,
    hosts: Hosts,
    endpoint: Endpoint,
) -> Case:
    return Case(KeyScene(tmp_path, snowflake, vault, "A"), hosts, Consumers(tmp_path, "app"), endpoint.url)


@dataclasses.dataclass(frozen=True)
class Point:
    """Where a run dies: at which call of ssh, or request of the vault or the health URL, and on which side of it."""

    where: str
    what: t.Literal["ssh", "update_secret", "GET"]
    number: int
    side: Side

    def __str__(self) -> str:
        return self.where


# Each host is pinged, gets the file, and reloads. The first updates of the vault are the staging and the commit.
POINTS = [
    Point("after the commit", "update_secret", 2, "after"),
    Point("before the first host", "ssh", 1, "before"),
    Point("first host reached", "ssh", 1, "after"),
    Point("first file written", "ssh", 2, "after"),
    Point("first service reloaded", "ssh", 3, "after"),
    Point("second host reached", "ssh", 4, "after"),
    Point("second file written", "ssh", 5, "after"),
    Point("second service reloaded", "ssh", 6, "after"),
    Point("asking the health URL", "GET", 1, "before"),
    Point("before the first mark", "update_secret", 3, "before"),
    Point("between two consumers", "update_secret", 3, "after"),
    Point("after all, before the last mark", "update_secret", 4, "before"),
    Point("after the last mark", "update_secret", 4, "after"),
]
QUICK = "first file written"


def killed(case: Case, point: Point, endpoint: Endpoint) -> None:
    """A forced rotation that dies there."""
    reached, ended = threading.Event(), threading.Event()

    def wait() -> None:
        reached.set()
        ended.wait(PATIENCE)

    if point.what == "ssh":
        case.hosts.hang_at(point.number, point.side)
    else:
        server = endpoint.server if point.what == "GET" else case.scene.vault
        hold: dict[str, t.Any] = {point.side: wait}
        server.faults.add(Fault(point.what, skip=point.number - 1, drop=point.side, **hold))
    process = case.start(force=True)
    wait_until(lambda: reached.is_set() or case.hosts.hanging(), process)
    assert reached.is_set() or case.hosts.hanging(), case.scene.ansible.finish(process).output
    kill_tree(process.pid)
    ended.set()
    case.scene.ansible.finish(process)
    case.hosts.well()


@pytest.mark.parametrize(
    "point",
    [pytest.param(each, marks=() if each.where == QUICK else pytest.mark.slow, id=str(each)) for each in POINTS],
)
def test_the_guides_case_survives_a_kill_at_every_point(
    case: Case, endpoint: Endpoint, point: Point, table: t.Callable[[str], None]
) -> None:
    """The next run tells everybody of the newest key, and no service is refused, up to the old key's retirement."""
    first = case.run()
    assert first.returncode == 0, first.output
    scene, hosts = case.scene, case.hosts
    old, seen = scene.key("A"), scene.secrets()
    with contextlib.ExitStack() as stack:
        services = [stack.enter_context(Service(scene, hosts, name)) for name in hosts.names]
        endpoint.well = lambda: all(service.well() for service in services)
        killed(case, point, endpoint)
        told = len(case.consumers.told())
        left = state(scene).get("undelivered", [])
        assert scene.accepts("A", old) and scene.key("A") != old
        seen |= scene.secrets()
        assert leaks_below(scene.ansible.home, *seen) + leaks_below(scene.ansible.temporary, *seen) == []

        run = case.run("-vvv")
        assert run.returncode == 0 and "undelivered" not in state(scene), run.output
        assert scene.accepts("A", old) is bool(left) and leaks(run.output, *seen) == []
        assert [hosts.file(name).read_text() for name in hosts.names] == [scene.key("A")] * 2
        assert all(service.well() for service in services)
        assert len(case.consumers.told()) - told == ("app" in left)

        last = case.run()
        assert last.returncode == 0 and not scene.accepts("A", old) and scene.settled("A"), last.output
        before = [service.logins for service in services]
        for service in services:
            service.knock()
        assert all(service.logins > number for service, number in zip(services, before, strict=True))
    for name in hosts.names:
        assert [path.name for path in hosts.file(name).parent.iterdir()] == ["secret"]
        assert hosts.file(name).stat().st_mode & 0o777 == 0o600
    refusals = [refusal for service in services for refusal in service.refusals]
    table(f"{point!s:<32} | logins {sum(service.logins for service in services):>4}, refused {len(refusals)}")
    assert refusals == []


@pytest.mark.slow
def test_a_host_that_is_down_a_reload_that_fails_and_a_service_that_is_not_well(case: Case, endpoint: Endpoint) -> None:
    """Each fails the consumer and nothing else; the second host is not touched when the first has failed."""
    first, second = case.hosts.names
    case.hosts.down(first)
    run = case.run()
    assert run.returncode == 2 and says(run, "[delivery_failed]"), run.output
    assert says(run, f"Go on if the host was reached, {first}")
    assert not case.hosts.file(second).exists() and case.consumers.told()
    case.hosts.well()
    case.hosts.breaks(first)
    run = case.run()
    assert run.returncode == 2 and says(run, f"Have the service read {case.hosts.file(first)}"), run.output
    assert case.hosts.asked(second) == []
    case.hosts.well()
    endpoint.well = lambda: False
    run = case.run()
    assert run.returncode == 2 and says(run, "Wait until the service is well, says http"), run.output
    assert len(case.hosts.asked(second)) == 1
    endpoint.well = lambda: True
    assert case.run().returncode == 0 and "undelivered" not in state(case.scene)


@pytest.mark.slow
def test_the_others(
    tmp_path: Path, snowflake: SnowflakeSandbox, vault: KeeperSandbox, hosts: Hosts, endpoint: Endpoint
) -> None:
    """A unit, an HTTP endpoint, another record's standard and custom field."""
    scene = Scene(tmp_path, snowflake, vault, "A")
    custom = [{"type": "secret", "label": "the copy", "value": ["old"]}]
    other = vault.add_record(title="Other", fields={"login": "x", "password": fresh_password()}, custom=custom)
    given: dict[str, list[dict[str, t.Any]]] = {
        "unit": [{"use": "systemd", "keyturn_consumer_hosts": list(hosts.names), "keyturn_consumer_unit": "reporting"}],
        "http": [
            {
                "use": "http",
                "keyturn_consumer_url": f"{endpoint.url}/secret",
                "keyturn_consumer_body": {"user": "{{ keyturn_login }}", "secret": "{{ keyturn_consumer_secret }}"},
            }
        ],
        "copy": [
            {"use": "keeper_record", "keyturn_consumer_record": other},
            {
                "use": "keeper_record",
                "keyturn_consumer_record": other,
                "keyturn_consumer_to_custom_field": "the copy",
            },
        ],
    }
    consumers = Consumers(tmp_path)
    for name, steps in given.items():
        tasks = [
            {
                "name": "Include",
                "ansible.builtin.include_tasks": f"{{{{ keyturn_consumer_files }}}}/{step.pop('use')}.yml",
                "vars": step,
            }
            for step in steps
        ]
        (consumers.folder / f"{name}.yml").write_text(yaml.safe_dump(tasks, width=10_000))
    plain = scene.variables
    scene.variables = lambda **more: {  # type: ignore[method-assign]
        **plain(consumers=list(given), **more),
        "keyturn_consumers_dir": str(consumers.folder),
    }
    run = scene.run("-vvv", "-i", str(hosts.inventory))
    assert run.returncode == 0 and scene.settled("A"), run.output
    assert [hosts.asked(name) for name in hosts.names] == [["restart reporting"]] * 2
    assert endpoint.bodies == [{"user": "A", "secret": scene.password("A")}]
    assert (vault.field(other, "password"), vault.field(other, "the copy")) == (scene.password("A"),) * 2
    assert leaks(run.output, *scene.secrets()) == []
    # Who redirects gets the secret, and nobody else.
    endpoint.server.faults.add(Fault("PUT", response=Response(302, headers={"Location": f"{endpoint.url}/elsewhere"})))
    run = scene.run("-i", str(hosts.inventory), force=True)
    assert run.returncode == 2 and says(run, f"http (its task failed: Send the secret to {endpoint.url}/secret)"), (
        run.output
    )
    assert endpoint.server.journal.labels("elsewhere") == [] and leaks(run.output, *scene.secrets()) == []


@pytest.mark.slow
def test_what_a_fleets_play_says_of_its_accounts_does_not_reach_hosts(case: Case) -> None:
    """Its variables are stronger than those of the inventory; hosts.yml sees to it."""
    role = {"name": "Rotate", "ansible.builtin.import_role": {"name": f"keyturn.credentials.{case.scene.role}"}}
    play = case.scene.ansible.play(role)
    play["vars"] |= {"ansible_connection": "local", "ansible_become": False}
    case.scene.forget()
    run = case.scene.ansible.run([play], case.scene.variables(), "-i", str(case.hosts.inventory))
    assert run.returncode == 0, run.output
    assert [case.hosts.asked(name) for name in case.hosts.names] == [["reload reporting"]] * 2
    assert (case.hosts.directory / "calls").read_text().split() == sorted(case.hosts.names * 3)
