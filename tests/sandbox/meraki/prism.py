# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prism, an independent judge: between clients and the sandbox it holds both to Cisco's OpenAPI document.

``python -m tests.sandbox.meraki.prism DOCUMENT PRISM`` sends this collection's module and, if it is installed, the
``meraki`` SDK through it, and prints how many requests and violations there were. First it must find fault with
a wrong request and with a wrong answer, so that its silence means something.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import typing as t
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from ansible_collections.keyturn.credentials.plugins.module_utils._meraki import meraki_vpn_user_password
from tests.integration.support import call_logic
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.meraki.sandbox import ORGANIZATION
from tests.sandbox.processes import kill_tree
from tests.sandbox.server import Fault, Response

_PATIENCE = 60
_LISTENS = re.compile(r"http://127\.0\.0\.1:(\d+)")
# With --errors it answers for itself, instead of what the server would have, whenever anything is wrong.
_VIOLATION = re.compile(r"\[HTTP SERVER\] (.*?) \S+ +error +Request terminated with error: (.*)")
_LAST = "/the-last-request"


def strict(document: dict[str, t.Any]) -> dict[str, t.Any]:
    """The document with the base path in its paths, which Prism would ignore, and no fields but those it names."""
    paths = {f"/api/v1{path}": operations for path, operations in document["paths"].items()}
    return t.cast("dict[str, t.Any]", _closed({**document, "paths": paths, "servers": []}))


def _closed(node: t.Any) -> t.Any:
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    closed = {name: each if name == "example" else _closed(each) for name, each in node.items()}
    if node.get("type") == "object" and isinstance(node.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


class Prism:
    """A Prism proxy in front of a server, for as long as the ``with`` block lasts."""

    def __init__(self, program: Path, document: Path, upstream: str) -> None:
        self.lines: list[str] = []
        self._ready = threading.Event()
        self._news = threading.Condition()
        self._found: list[str] = []
        self.url = ""
        command = [str(program), "proxy", "--host", "127.0.0.1", "--port", "0", "--errors", str(document), upstream]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()
        if not self._ready.wait(_PATIENCE) or not self.url:
            self.close()
            raise SystemExit("Prism does not start:\n" + "".join(self.lines))

    def violations(self) -> list[str]:
        """What it has found since it was asked the last time; its log comes some time after its answers."""
        _send(f"{self.url}{_LAST}", "", "GET", None)
        with self._news:
            if not self._news.wait_for(lambda: any(_LAST in each for each in self._found), _PATIENCE):
                raise SystemExit("Prism has fallen silent:\n" + "".join(self.lines))
            found = [each for each in self._found if _LAST not in each]
            self._found.clear()
        return found

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if violation := _VIOLATION.search(line):
                with self._news:
                    self._found.append(f"{violation[1]}: {violation[2]}")
                    self._news.notify_all()
            found = _LISTENS.search(line)
            if found and "listening" in line:
                self.url = f"http://127.0.0.1:{found[1]}/api/v1"
                self._ready.set()
        self._ready.set()

    def close(self) -> None:
        kill_tree(self._process.pid)
        self._process.wait()

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _send(url: str, key: str, method: str, body: t.Any) -> int:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(
        url, json.dumps(body).encode() if body is not None else None, headers, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def judge_of_judge(prism: Prism, sandbox: MerakiSandbox, key: str) -> int:
    """It must find fault with every wrong request and every wrong answer; returns how many there were."""
    users = f"{prism.url}/networks/{sandbox.network.id}/merakiAuthUsers"
    one = f"{users}/{urllib.parse.quote(next(iter(sandbox.network.users)), safe='')}"
    wrong: list[tuple[str, str, t.Any]] = [(one, "PUT", body) for body in ({"password": 1}, {"passwd": "x"}, "text")]
    for answer in ([{"password": "shown"}], {"id": "1"}):
        response = Response(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        sandbox.faults.add(Fault("^GET", response=response))
        wrong.append((users, "GET", None))
    for url, method, body in wrong:
        _send(url, key, method, body)
    found = prism.violations()
    if len(found) != len(wrong):
        raise SystemExit(f"Prism found {len(found)} of {len(wrong)} violations:\n" + "".join(prism.lines))
    return len(found)


def through_module(prism: Prism, sandbox: MerakiSandbox, key: str) -> None:
    """All that the module can send."""
    settings = {**sandbox.settings(key), "api_url": prism.url}
    users = [
        {"email": user.email, "password": secrets.token_urlsafe(24)}
        for user in sandbox.network.users.values()
        if user.account_type == "Client VPN"
    ]
    for more in ({}, {"email_password_to_user": True}, {"check_mode": True}):
        answer = call_logic(
            meraki_vpn_user_password.SPEC, meraki_vpn_user_password.run, users=users, **settings, **more
        )
        if answer["failed"]:
            raise SystemExit(f"The module failed behind Prism: {answer['msg']}")
    assert all(sandbox.accepts(user["email"], user["password"]) for user in users)


def through_sdk(prism: Prism, sandbox: MerakiSandbox, key: str) -> None:
    """Every operation that the sandbox knows, by the vendor's own client."""
    import meraki

    networks = meraki.DashboardAPI(key, base_url=prism.url, suppress_logging=True, maximum_retries=1)
    network_id = sandbox.network.id
    networks.networks.getNetwork(network_id)
    networks.networks.getNetworkMerakiAuthUsers(network_id)
    password = secrets.token_urlsafe(24)
    created = networks.networks.createNetworkMerakiAuthUser(
        network_id,
        "new@example.com",
        [{"expiresAt": "2100-01-01T00:00:00Z"}],
        name="New",
        password=password,
        accountType="Client VPN",
    )
    networks.networks.updateNetworkMerakiAuthUser(network_id, created["id"], password=password)
    networks.networks.getNetworkMerakiAuthUser(network_id, created["id"])
    action = {
        "resource": f"/networks/{network_id}/merakiAuthUsers/{created['id']}",
        "operation": "update",
        "body": {"password": password},
    }
    batch = networks.organizations.createOrganizationActionBatch(ORGANIZATION, [action], confirmed=False)
    networks.organizations.getOrganizationActionBatches(ORGANIZATION)
    networks.organizations.updateOrganizationActionBatch(ORGANIZATION, batch["id"], confirmed=True)
    networks.organizations.getOrganizationActionBatch(ORGANIZATION, batch["id"])
    networks.networks.deleteNetworkMerakiAuthUser(network_id, created["id"])


def run(document: Path, program: Path) -> int:
    key = secrets.token_hex(20)
    with contextlib.ExitStack() as stack:
        sandbox = stack.enter_context(MerakiSandbox())
        sandbox.rate = None
        sandbox.add_key(key)
        for number in range(3):
            sandbox.add_user(
                sandbox.network.id, f"user{number}@example.com", secrets.token_urlsafe(24), id=f"a/b+{number}="
            )
        sandbox.add_user(sandbox.network.id, "user0@example.com", secrets.token_urlsafe(24), account_type="802.1X")
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        adapted = directory / "document.json"
        adapted.write_text(json.dumps(strict(json.loads(document.read_text(encoding="utf-8")))))
        prism = stack.enter_context(Prism(program, adapted, f"http://{sandbox.host}:{sandbox.port}"))
        caught = judge_of_judge(prism, sandbox, key)
        sandbox.journal.clear()
        through_module(prism, sandbox, key)
        clients, found = ["the module"], prism.violations()
        if importlib.util.find_spec("meraki") is not None:
            through_sdk(prism, sandbox, key)
            clients.append("the SDK")
            # The SDK also asks for an organization's networks and devices, to know whose rate limit a network has.
            outside = "NO_PATH_MATCHED"
            for each in prism.violations():
                if outside in each:
                    print(f"not in the document, so not judged: {each.partition(': ')[0]}")
                else:
                    found.append(each)
        for violation in found:
            print(f"violation: {violation}")
        requests = len(sandbox.journal.labels())
        print(f"Prism found {caught} violations in requests and answers that were wrong on purpose.")
        print(f"{requests} requests by {' and '.join(clients)}, {len(found)} violations")
        return 1 if found or sandbox.errors else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.meraki.prism", description=__doc__)
    parser.add_argument("document", type=Path, help="Cisco's OpenAPI document, whole or cut")
    parser.add_argument("prism", type=Path, help="the program prism")
    options = parser.parse_args()
    return run(options.document, options.prism)


if __name__ == "__main__":
    sys.exit(main())
