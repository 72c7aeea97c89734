# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an administrator's record means for a recipe, and what is said of a recipe that cannot be used."""

from __future__ import annotations

import secrets
import typing as t
from pathlib import Path

import pytest
import yaml

from ansible_collections.keyturn.credentials.plugins.filter.rest_options import rest_password_policy
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.plugin_utils._rest_record import (
    module_options,
    problem,
    read_recipe,
    recipe_of,
)

ROOT = Path(__file__).resolve().parents[4]
RECIPES = ROOT / "roles" / "rest_password_rotate" / "vars" / "recipes"
SECRET = secrets.token_urlsafe(12)
RECIPE: dict[str, t.Any] = {
    "vars": {"realm": "main", "admin_username": "root", "level": 3},
    "auth": {"type": "bearer", "token": "${api_token}"},
    "change": {
        "method": "PUT",
        "path": "/${tenant}/${realm}",
        "query": {"key": "${api_key}"},
        "body": {"pin": "${door_code}", "password": "${password}"},
        "status": [200],
    },
}


def record(**fields: t.Any) -> dict[str, t.Any]:
    return {"login": ["admin"], "password": [SECRET], "url": ["https://host.example/"], **fields}


def test_the_record_of_keepers_guide() -> None:
    """The token stands in the password field, and the URL in the website field."""
    options = module_options(record(), RECIPE, {})
    assert options["url"] == "https://host.example/"
    assert options["vars"] == {"realm": "main", "level": 3, "admin_username": "admin", "client_id": "admin"}
    assert options["secrets"] == dict.fromkeys(["admin_password", "api_token", "client_secret"], SECRET)
    assert options["change"] == RECIPE["change"] and "verify" not in options


@pytest.mark.parametrize("label", ["url", "Website_Address", "Website Address", "website"])
def test_the_website_field_by_any_of_its_names(label: str) -> None:
    fields = {"password": [SECRET], label: ["https://host.example"]}
    options = module_options(fields, RECIPE, {})
    assert options["url"] == "https://host.example" and options["vars"]["admin_username"] == "root"


def test_named_values() -> None:
    """A name that the recipe has in vars or in an address is no secret, unless it says that it is one.

    What the recipe does not use stays away: a short value would blank out texts that have nothing to do with it.
    """
    fields: dict[str, t.Any] = {
        "Realm": ["r"],
        "Tenant": ["t"],
        "api key": ["k"],
        "Door_Code": ["d"],
        "token": ["x"],
        "empty": [],
        "region": ["us"],
    }
    fields |= {"object": [{"a": 1}], "client_id": ["c"], "client_secret": ["s"]}
    options = module_options(record(**fields), RECIPE, {})
    assert options["vars"] == {"realm": "r", "tenant": "t", "level": 3, "admin_username": "admin", "client_id": "c"}
    assert options["secrets"] == {
        "admin_password": SECRET,
        "api_token": SECRET,
        "client_secret": "s",
        "api_key": "k",
        "door_code": "d",
    }


def test_the_records_recipe_stands_for_the_default_one() -> None:
    """In any spelling; seen: with a field Recipe, the token went to another address in another shape."""
    for label in ("recipe", "Recipe", "RECIPE "):
        assert recipe_of({label: ["grafana"]}, "keeper_sample", str(RECIPES)) == read_recipe("grafana", str(RECIPES))
        assert recipe_of({label: ["grafana"]}, "gitea", str(RECIPES)) == read_recipe("gitea", str(RECIPES))
    assert recipe_of({}, "keeper_sample", str(RECIPES)) == read_recipe("keeper_sample", str(RECIPES))


def test_options_of_the_record() -> None:
    options = module_options(
        record(**{"Max Retries": "1", "rollback": "none", "secrets": "x", "username": "x"}), RECIPE, {}
    )
    assert options["max_retries"] == "1" and options["rollback"] == "none"
    assert "username" not in options and "x" not in options["secrets"].values()
    with pytest.raises(InvalidInput, match="several values for door_code"):
        module_options(record(**{"door_code": "1", "Door Code": "2"}), RECIPE, {})


def test_the_connection_wins() -> None:
    connection = {
        "url": "https://other.example",
        "vars": {"realm": "mine", "door_code": "d"},
        "secrets": {"tenant": "t"},
        "headers": {"X-A": "1"},
        "auth": {"type": "none"},
        "verify": None,
        "timeout": 5,
    }
    given = {**RECIPE, "headers": {"X-B": "2"}, "verify": {"path": "/me"}}
    options = module_options(record(door_code=["x"], tenant=["y"]), given, connection)
    assert options["url"] == "https://other.example" and options["timeout"] == 5
    assert options["vars"]["realm"] == "mine" and options["vars"]["door_code"] == "d"
    assert options["secrets"]["tenant"] == "t" and "tenant" not in options["vars"]
    assert "door_code" not in options["secrets"]
    assert options["headers"] == {"X-A": "1", "X-B": "2"} and options["auth"] == {"type": "none"}
    assert "verify" not in options


def test_what_passwords_the_service_takes_is_no_option_of_the_module(tmp_path: Path) -> None:
    own = tmp_path / "own.yml"
    own.write_text(yaml.safe_dump({**RECIPE, "password_policy": {"max_length": 20}}))
    assert rest_password_policy(record(), str(own), "") == {"max_length": 20}
    assert rest_password_policy(record(), "grafana", str(RECIPES)) == {}
    assert module_options(record(), read_recipe(str(own), ""), {}) == module_options(record(), RECIPE, {})


def test_every_recipe_of_the_role_can_be_read() -> None:
    names = [path.stem for path in RECIPES.glob("*.yml")]
    assert len(names) > 10
    for name in names:
        assert "change" in read_recipe(name, str(RECIPES))


def test_recipes_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"There is no recipe nothing\. There are .*grafana"):
        read_recipe("nothing", str(RECIPES))
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_recipe(str(tmp_path / "none.yml"), str(RECIPES))
    own = tmp_path / "own.yml"
    for content in ("[", "[]", "text", "auth: {type: none}", "change: {}\nurl: https://host.example"):
        own.write_text(content)
        with pytest.raises(InvalidInput, match="is not YAML|must hold change"):
            read_recipe(str(own), str(RECIPES))
    own.write_text(yaml.safe_dump(RECIPE))
    assert read_recipe(str(own), str(RECIPES)) == RECIPE


@pytest.mark.parametrize(
    ("fields", "connection", "text"),
    [
        ({"tenant": ["t"], "door_code": [SECRET], "api_key": [SECRET]}, {"allow_secrets_in_url": True}, ""),
        ({"tenant": ["t"], "door_code": [SECRET], "api_key": [SECRET]}, {}, "puts the secret api_key into the address"),
        ({"door_code": [SECRET]}, {}, "the placeholder ${api_key} is not known here"),
        ({"url": []}, {}, "no URL in its website field"),
        ({}, {"url": "http://host.example"}, "http:// to a host that is not loopback"),
        ({}, {"timeout": "soon"}, "timeout"),
        ({}, {"no_such_option": 1}, "no_such_option"),
        ({}, {"change": {"method": "PUT"}}, "status"),
    ],
)
def test_problems_before_anything_is_done(fields: dict[str, t.Any], connection: dict[str, t.Any], text: str) -> None:
    found = problem(module_options(record(**fields), RECIPE, connection))
    assert text in found and bool(found) is bool(text) and SECRET not in found
