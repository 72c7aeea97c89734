# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cisco's own clients, unmodified, against the sandbox: the ``meraki`` SDK and the collection cisco.meraki.

They need packages of their own: ``make judge-meraki`` has them, elsewhere these tests are skipped.
"""

from __future__ import annotations

import os
import secrets
import typing as t
from pathlib import Path

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.meraki_vpn_user_password import SPEC, run
from tests.integration.support import Ansible, Run, call_logic
from tests.sandbox.meraki import MerakiSandbox
from tests.sandbox.meraki.sandbox import NETWORK, ORGANIZATION
from tests.sandbox.server import Fault, Response

meraki = pytest.importorskip("meraki", reason="the package meraki is not here; make judge-meraki runs this")
APIError = meraki.exceptions.APIError

COLLECTIONS = os.environ.get("CISCO_COLLECTIONS", "")
ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def key() -> str:
    return secrets.token_hex(20)


@pytest.fixture
def dashboard(key: str) -> t.Iterator[MerakiSandbox]:
    """Two users named Ann."""
    with MerakiSandbox() as sandbox:
        sandbox.add_key(key)
        sandbox.add_key(f"read{key}", "read")
        for email in (ANN, BOB):
            sandbox.add_user(NETWORK, email, secrets.token_urlsafe(24), name="Ann")
        yield sandbox
        assert sandbox.errors == []


def sdk(dashboard: MerakiSandbox, key: str, **options: t.Any) -> t.Any:
    more = {"suppress_logging": True, "maximum_retries": 2, **options}
    return meraki.DashboardAPI(key, base_url=dashboard.url, **more)


# -- the SDK


def test_users_from_creation_to_deletion(dashboard: MerakiSandbox, key: str) -> None:
    networks = sdk(dashboard, key).networks
    assert networks.getNetwork(NETWORK)["organizationId"] == ORGANIZATION
    first, second = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    created = networks.createNetworkMerakiAuthUser(
        NETWORK, "new@example.com", [{}], name="New", password=first, accountType="Client VPN"
    )
    assert dashboard.accepts("new@example.com", first)
    changed = networks.updateNetworkMerakiAuthUser(NETWORK, created["id"], password=second)
    assert changed == created and dashboard.accepts("new@example.com", second)
    assert networks.getNetworkMerakiAuthUser(NETWORK, created["id"]) == created
    assert [user["email"] for user in networks.getNetworkMerakiAuthUsers(NETWORK)] == [ANN, BOB, "new@example.com"]
    networks.deleteNetworkMerakiAuthUser(NETWORK, created["id"])
    assert len(networks.getNetworkMerakiAuthUsers(NETWORK)) == 2
    # No answer holds a password, and an empty update changes nothing.
    assert "password" not in repr([created, changed])
    networks.updateNetworkMerakiAuthUser(NETWORK, dashboard.user(ANN).id)
    assert dashboard.user(ANN).sets == 0


def test_the_module_sends_what_the_sdk_sends(dashboard: MerakiSandbox, key: str) -> None:
    """Method, path and body, also for an id that must be quoted."""
    user = dashboard.user(ANN)
    del dashboard.network.users[user.id]
    user.id = "a/b+c=="
    dashboard.network.users[user.id] = user
    password = secrets.token_urlsafe(24)
    sdk(dashboard, key).networks.updateNetworkMerakiAuthUser(NETWORK, user.id, password=password)
    assert call_logic(SPEC, run, email=ANN, password=password, **dashboard.settings(key))["changed"]
    by_sdk, by_module = dashboard.writes
    assert by_sdk == by_module


def test_refusals(dashboard: MerakiSandbox, key: str) -> None:
    """The SDK understands them, and finds the texts where it looks for them."""
    networks, user = sdk(dashboard, key).networks, dashboard.user(ANN)
    user.is_admin = True
    refused = [
        lambda: networks.updateNetworkMerakiAuthUser(NETWORK, user.id, password=secrets.token_urlsafe(24)),
        lambda: networks.getNetworkMerakiAuthUsers("N_999"),
        lambda: networks.createNetworkMerakiAuthUser(NETWORK, ANN.upper(), [{}], accountType="Client VPN"),
        lambda: sdk(dashboard, key[:-1]).networks.getNetwork(NETWORK),
        lambda: sdk(dashboard, f"read{key}").networks.updateNetworkMerakiAuthUser(NETWORK, user.id, password="x" * 9),
    ]
    told = []
    for call in refused:
        with pytest.raises(APIError) as raised:
            call()
        told.append((raised.value.status, bool(raised.value.message["errors"])))
    assert told == [(400, True), (404, True), (400, True), (401, True), (403, True)]


def test_a_batch_shows_its_passwords(dashboard: MerakiSandbox, key: str) -> None:
    """Why the module uses no batches: whoever may read the organization reads the password, and later, too."""
    password = secrets.token_urlsafe(24)
    action = {
        "resource": f"/networks/{NETWORK}/merakiAuthUsers/{dashboard.user(ANN).id}",
        "operation": "update",
        "body": {"password": password},
    }
    organizations = sdk(dashboard, key).organizations
    batch = organizations.createOrganizationActionBatch(ORGANIZATION, [action], confirmed=True, synchronous=True)
    assert dashboard.accepts(ANN, password)
    reader = sdk(dashboard, f"read{key}").organizations
    assert password in repr(reader.getOrganizationActionBatch(ORGANIZATION, batch["id"]))
    with pytest.raises(APIError):
        organizations.deleteOrganizationActionBatch(ORGANIZATION, batch["id"])


def test_the_sdk_waits_as_it_is_told(dashboard: MerakiSandbox, key: str) -> None:
    told = Response(429, b'{"errors": ["API rate limit exceeded for organization"]}', {"Retry-After": "1"})
    dashboard.faults.add(Fault(f"^PUT {NETWORK}", response=told))
    password = secrets.token_urlsafe(24)
    sdk(dashboard, key).networks.updateNetworkMerakiAuthUser(NETWORK, dashboard.user(ANN).id, password=password)
    puts = [entry.at for entry in dashboard.journal.entries() if entry.label.startswith("PUT")]
    assert dashboard.accepts(ANN, password) and len(puts) == 2 and puts[1] - puts[0] >= 0.9


# -- the collection cisco.meraki


def cisco(ansible: Ansible, dashboard: MerakiSandbox, key: str, *tasks: dict[str, t.Any]) -> Run:
    """Tasks with its module, and what they returned."""
    options = {"meraki_api_key": key, "meraki_base_url": dashboard.url, "networkId": NETWORK}
    names = [f"result{number}" for number in range(len(tasks))]
    calls = [
        {
            "name": f"Task {name}",
            "cisco.meraki.networks_meraki_auth_users": {**options, "state": "present", **task},
            "register": name,
            "ignore_errors": True,
        }
        for name, task in zip(names, tasks, strict=True)
    ]
    path = os.pathsep.join([COLLECTIONS, ansible.environ({})["ANSIBLE_COLLECTIONS_PATH"]])
    return ansible.run([ansible.play(*calls, ansible.save(*names))], {}, ANSIBLE_COLLECTIONS_PATH=path)


@pytest.mark.skipif(not COLLECTIONS, reason="cisco.meraki is not here; make judge-meraki runs this")
def test_cisco_meraki(dashboard: MerakiSandbox, key: str, tmp_path: Path) -> None:
    """It works against the sandbox as it does against a dashboard, its bugs included."""
    # The reads are counted: on a quick machine the limit would add one that the SDK repeats.
    dashboard.rate = None
    ansible = Ansible(tmp_path, {})
    ann, bob = dashboard.user(ANN), dashboard.user(BOB)
    first, second, third = (secrets.token_urlsafe(24) for _number in range(3))
    run = cisco(
        ansible,
        dashboard,
        key,
        {"merakiAuthUserId": bob.id, "password": first},
        # The second Ann is meant, and it takes the first one of that name.
        {"name": "Ann", "email": BOB, "password": second},
        {"merakiAuthUserId": bob.id, "password": first},
        {
            "name": "New",
            "email": "new@example.com",
            "password": third,
            "accountType": "Client VPN",
            "authorizations": [{}],
        },
    )
    assert run.returncode == 0, run.output
    assert [answer["changed"] for answer in run.answers] == [True] * 4
    assert (bob.password, bob.sets) == (first, 2) and (ann.password, ann.sets) == (second, 1)
    assert dashboard.accepts("new@example.com", third)
    # By name it reads twice before each write.
    assert (len(dashboard.journal.labels("^PUT")), len(dashboard.journal.labels("^GET N"))) == (3, 5)
