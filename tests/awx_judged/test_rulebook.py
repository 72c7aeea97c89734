# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our rulebook in the real ansible-rulebook, which needs Java: an account that is due makes AWX launch its job."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import shutil
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("ansible_rulebook", reason="make judge-awx installs ansible-rulebook")

from tests.integration.inventory import Scene  # noqa: E402
from tests.integration.support import REPOSITORY, Ansible  # noqa: E402
from tests.sandbox.fleet import KIND  # noqa: E402
from tests.sandbox.keeper import KeeperSandbox  # noqa: E402
from tests.sandbox.processes import kill_tree  # noqa: E402
from tests.sandbox.server import Fault, LoopbackServer, Request, Response  # noqa: E402

Entry = dict[str, t.Any]

pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="ansible-rulebook needs Java")
_PATIENCE = 120
_NUMBER = 7


class Controller:
    """As much of AWX as ansible-rulebook asks: it knows our template, and its jobs have always ended well."""

    def __init__(self) -> None:
        self.launched: list[Entry] = []
        self.both = threading.Event()

    def label(self, request: Request) -> str:
        return f"{request.method} {request.path}"

    def respond(self, request: Request) -> Response:
        asks = ("limit", "labels", "inventory", "variables", "credential")
        template = {
            "id": _NUMBER,
            "name": "keyturn accounts",
            "type": "job_template",
            "related": {"launch": f"/api/v2/job_templates/{_NUMBER}/launch/"},
            "summary_fields": {"organization": {"name": "Default"}},
            **{f"ask_{name}_on_launch": name == "limit" for name in asks},
        }
        job = {"id": 1, "url": "/api/v2/jobs/1/", "type": "job", "status": "successful", "artifacts": {}}
        job |= {"created": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:09Z"}
        if request.method == "POST":
            self.launched.append(json.loads(request.body))
            if len(self.launched) > 1:
                self.both.set()
            return Response(201, json.dumps({"job": 1, **job}).encode(), {"Content-Type": "application/json"})
        found = [template] if request.path.endswith("unified_job_templates/") else [job]
        body = {"version": "24.6.1", "count": 1, "next": None, "results": found, **job}
        return Response(200, json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def scene(tmp_path: Path, vault: KeeperSandbox) -> Scene:  # noqa: F811
    """Three accounts: nothing to do, due for a day, due for ten."""
    vault.write_client_config(tmp_path / "ksm-config.json")
    scene = Scene(tmp_path, vault, Ansible(tmp_path, vault.environment()))
    for name, days in (("fresh", 1), ("late", 31), ("overdue", 40)):
        admin = scene.add(name, "ROTATOR")
        rotated = (dt.datetime.now(dt.UTC) - dt.timedelta(days=days)).isoformat()
        scene.add(f"of {name}", "A", rotation_module=KIND, rotation_admin_record=admin, rotated_at=rotated)
    return scene


def test_each_account_that_is_due_is_rotated_once_an_hour(scene: Scene) -> None:
    controller, looked = Controller(), threading.Event()
    # The fourth look finds them still due.
    scene.vault.faults.add(Fault("get_secret", skip=3, before=looked.set))
    rulebook = (REPOSITORY / "extensions" / "eda" / "rulebooks" / "rotate_due.yml").read_text("utf-8")
    (scene.directory / "rulebook.yml").write_text(rulebook.replace("interval: 900", "interval: 0.1"))
    files = {"variables.json": {"keyturn_inventory": str(scene.source())}, "hosts.json": {"all": {"hosts": ["x"]}}}
    for name, content in files.items():
        (scene.directory / name).write_text(json.dumps(content))
    with LoopbackServer(controller) as server:
        command = [
            str(Path(sys.executable).parent / "ansible-rulebook"),
            *("--rulebook", str(scene.directory / "rulebook.yml"), "--inventory", str(scene.directory / "hosts.json")),
            *("--vars", str(scene.directory / "variables.json"), "--controller-token", secrets.token_hex(8)),
            *("--controller-url", f"http://{server.host}:{server.port}/"),
        ]
        log = scene.directory / "rulebook.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                cwd=scene.directory,
                env=scene.ansible.environ({}),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            assert controller.both.wait(_PATIENCE) and looked.wait(_PATIENCE), log.read_text()
        finally:
            kill_tree(process.pid)
            process.wait()
        assert server.errors == []
    text = log.read_text()
    assert sorted(each["limit"] for each in controller.launched) == ["late", "overdue"], text
    assert "overdue is overdue; something there is due since " in text
    assert "ERROR" not in text
    scene.assert_no_secret(text, json.dumps(controller.launched))
