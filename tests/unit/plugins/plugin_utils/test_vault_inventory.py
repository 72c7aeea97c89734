# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From records to hosts: which take part, on which host, what is wrong with them, and what is due."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import secrets
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.client import Record, Snapshot
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fleet, _vault_inventory

Entry = dict[str, t.Any]

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
KIND = "snowflake_user_password"
SECRET = secrets.token_urlsafe(16)
_NUMBERS = itertools.count()


def record(title: str, login: str = "", uid: str | None = None, **custom: str) -> Record:
    data = {
        "title": title,
        "type": "login",
        "fields": [{"type": "login", "value": [login]}, {"type": "password", "value": [SECRET]}],
        "custom": [{"type": "text", "label": label, "value": [value]} for label, value in custom.items()],
    }
    return Record(uid or f"uid{next(_NUMBERS):04}", data, 1, True, None)


def marked(login: str, admin: str = "admin", **custom: str) -> Record:
    given = {"rotation_module": KIND, "rotation_admin_record": admin, **custom}
    return record(f"Record of {login}", login, **{label: value for label, value in given.items() if value})


def accounts(*records: Record) -> dict[str, _vault_inventory.Account]:
    snapshot = Snapshot({each.uid: each for each in records})
    found = json.loads(json.dumps(_vault_inventory.extract(snapshot)))
    assert SECRET not in json.dumps(found)
    return _vault_inventory.accounts(found, "30d", NOW)


ADMIN = record("Snowflake prod", "ROTATOR", uid="admin")


def test_one_host_for_each_administrator() -> None:
    other = record("Snowflake: test!", "ROTATOR", uid="other")
    unmarked = record("Somebody", "SOMEBODY")
    a, b, c = marked("A"), marked("B", rotation_module="snowflake_user_keypair"), marked("C", admin="Snowflake: test!")
    hosts = accounts(ADMIN, other, unmarked, a, b, c)
    assert {name: host.rotations for name, host in hosts.items()} == {
        "Snowflake_prod": [
            {"kind": "snowflake_user_keypair", "admin_record": "admin", "max_age": "30d", "records": [b.uid]},
            {"kind": KIND, "admin_record": "admin", "max_age": "30d", "records": [a.uid]},
        ],
        "Snowflake_test": [{"kind": KIND, "admin_record": "other", "max_age": "30d", "records": [c.uid]}],
    }
    assert all(_fleet.problem(rotation) is None for host in hosts.values() for rotation in host.rotations)


def test_the_kind_may_stand_on_the_administrators_record() -> None:
    """There it makes no marked record of that one; and the recipe stands beside it."""
    api = record("Grafana", uid="api", rotation_module="rest_password_rotate", recipe="grafana")
    user = marked("A", admin="api", rotation_module="")
    own = marked("B", admin="api", rotation_module=KIND)
    (host,) = accounts(api, user, own).values()
    assert [(each["kind"], each.get("recipe"), each["records"]) for each in host.rotations] == [
        ("rest_password_rotate", "grafana", [user.uid]),
        (KIND, None, [own.uid]),
    ]
    assert host.problems == []


def test_an_administrator_may_rotate_too() -> None:
    admin = record("Prod", "ROTATOR", uid="admin", rotation_module=KIND, rotation_admin_record="root")
    hosts = accounts(admin, record("Root", "ROOT", uid="root"), marked("A"))
    assert {name: host.rotations[0]["admin_record"] for name, host in hosts.items()} == {
        "Prod": "admin",
        "Root": "root",
    }


def odd(path: list[t.Any], value: t.Any) -> Record:
    """A marked record with something strange in its data."""
    strange = marked("A")
    place = strange.data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return strange


def test_a_field_of_any_shape_is_no_ones_problem() -> None:
    """Whatever stands in other records, the inventory is made."""
    strange = [
        odd(path, value)
        for path in (["fields"], ["custom"], ["title"], ["fields", 0], ["custom", 0, "value"], ["custom", 0, "label"])
        for value in (None, 7, "text", [], {}, [[["deep"]]], [{"value": 1}], {"a": [1]})
    ]
    good = marked("GOOD")
    hosts = accounts(ADMIN, good, *strange)
    assert [good.uid] in [each["records"] for each in hosts["Snowflake_prod"].rotations]


def test_markers_in_any_spelling() -> None:
    labels = {"Rotation Module": f"keyturn.credentials.{KIND}", "ROTATION-ADMIN-RECORD": " admin "}
    api = record("API", uid="api", **{"Rotation module": "rest_password_rotate", "Recipe": "grafana"})
    hosts = accounts(ADMIN, api, record("x", "A", **labels), marked("B", admin="api", rotation_module=""))
    assert [(each["kind"], each.get("recipe")) for name in hosts for each in hosts[name].rotations] == [
        ("rest_password_rotate", "grafana"),
        (KIND, None),
    ]


WRONG: dict[str, tuple[list[Record], str, str]] = {
    "an unknown kind": ([marked("A", rotation_module="snowflake")], "Snowflake_prod", "snowflake is unknown"),
    "no kind": ([marked("A", rotation_module="")], "Snowflake_prod", "has no rotation_module"),
    "no administrator": ([marked("A", admin="")], "without_admin_record", "no custom field rotation_admin_record"),
    "a misspelt administrator": ([marked("A", admin="Snowflake pord")], "without_admin_record", "is Snowflake prod."),
    "two administrators": ([marked("A", Rotation_Admin_Record="other")], "without_admin_record", "has several values"),
    "two ages": (
        [marked("A", rotation_max_age="1d", **{"Rotation max age": "2d"})],
        "Snowflake_prod",
        "several values",
    ),
    "a login of its own kind": ([odd(["fields", 0, "value"], {"a": 1})], "Snowflake_prod", "'login' holds no text"),
    "an unknown administrator": ([marked("A", admin="nobody")], "without_admin_record", "no record with the UID"),
    "no login": ([marked("")], "Snowflake_prod", "no login"),
    "twins": ([marked("etl"), marked('"ETL"')], "Snowflake_prod", "Several records have the login"),
    "an age": ([marked("A", rotation_max_age="monthly")], "Snowflake_prod", "max_age must be"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_record_concerns_no_other(name: str) -> None:
    records, host, words = WRONG[name]
    good = marked("GOOD")
    hosts = accounts(ADMIN, good, *records)
    refused = [each for each in hosts[host].rotations if _fleet.problem(each) is not None]
    assert [uid for each in refused for uid in each["records"]] == [each.uid for each in records]
    assert words in str(_fleet.problem(refused[0]))
    (fine,) = [each for each in hosts["Snowflake_prod"].rotations if _fleet.problem(each) is None]
    assert fine["records"] == [good.uid]


def test_an_ambiguous_administrator() -> None:
    twin = record("Snowflake prod", uid="twin")
    (host,) = accounts(ADMIN, twin, marked("A", admin="Snowflake prod")).values()
    assert host.problems == [
        f"{host.rotations[0]['records'] and 'Record of A'} ({host.rotations[0]['records'][0]}): "
        + host.rotations[0]["problem"]
    ]
    assert "have the title Snowflake prod: admin, twin" in host.rotations[0]["problem"]


def test_one_user_of_two_kinds_or_accounts_is_no_twin() -> None:
    other = record("Other", uid="other")
    hosts = accounts(
        *(ADMIN, other, marked("A"), marked("A", admin="other"), marked("A", rotation_module="snowflake_user_keypair")),
    )
    assert [host.problems for host in hosts.values()] == [[], []]


@pytest.mark.parametrize(
    ("custom", "due", "pending"),
    [
        ({}, 1, 0),
        ({"rotated_at": "2026-04-30T00:00:00Z"}, 0, 0),
        ({"rotated_at": "2026-04-01T00:00:00Z"}, 1, 0),
        ({"rotated_at": "2026-04-30T00:00:00Z", "rotation_max_age": "12h"}, 1, 0),
        ({"rotated_at": "2026-01-30T00:00:00Z", "rotation_max_age": "365d"}, 0, 0),
        ({"rotated_at": "yesterday"}, 1, 0),
        ({"rotated_at": "2026-04-30T00:00:00Z", "rotation_pending": SECRET}, 1, 1),
    ],
)
def test_what_is_due(custom: dict[str, str], due: int, pending: int) -> None:
    (host,) = accounts(ADMIN, marked("A", **custom)).values()
    assert (host.due, host.pending) == (due, pending)


@pytest.mark.parametrize("on_admin", [True, False])
@pytest.mark.parametrize(
    ("kind", "days", "due"), [("snowflake_user_token", 1, 1), ("snowflake_user_token", 90, 0), (KIND, 1, 0)]
)
def test_a_token_is_due_before_it_ends(kind: str, days: int, due: int, on_admin: bool) -> None:
    """As keeper_rotation decides, wherever the kind stands."""
    times = {"rotated_at": NOW - dt.timedelta(days=9), "token_expires_at": NOW + dt.timedelta(days=days)}
    custom = {label: moment.isoformat() for label, moment in times.items()}
    admin = record("Prod", "ROTATOR", uid="admin", **({"rotation_module": kind} if on_admin else {}))
    (host,) = accounts(admin, marked("A", rotation_module="" if on_admin else kind, **custom)).values()
    assert (host.due, host.problems) == (due, [])


def test_two_tokens_of_one_user_are_no_twins() -> None:
    kind = "snowflake_user_token"
    (host,) = accounts(ADMIN, marked("A", rotation_module=kind), marked("a", rotation_module=kind)).values()
    assert host.problems == [] and len(host.rotations[0]["records"]) == 2


def test_names_of_hosts() -> None:
    titles = ["same", "same", "", "localhost", "all", "a b:c,d[1]&!", "given"]
    admins = [record(title, uid=f"{index:08}") for index, title in enumerate(titles)]
    admins.append(record("x", uid="00000007", rotation_account="given"))
    admins.append(record("y", uid="00000008", rotation_account="given"))
    hosts = accounts(*admins, *(marked("A", admin=admin.uid) for admin in admins))
    assert sorted(hosts) == sorted(
        ["same_00000000", "same_00000001", "account_00000002", "localhost_00000003", "all_00000004", "a_b_c_d_1"]
        + ["given_00000006", "given"]
    )
    # Both networks of one organization, for example.
    assert [rotation["admin_record"] for rotation in hosts["given"].rotations] == ["00000007", "00000008"]
