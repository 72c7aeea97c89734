# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every recipe fits the schema and the module, says how far it is tested, and makes the requests that it should."""

from __future__ import annotations

import copy
import typing as t

import jmespath
import jsonschema
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import LOOKUP, SPEC, TOKEN_SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.token_options import token_options_from
from tests import recipes
from tests.recipes import page, rendering
from tests.servers import catalogue
from tests.servers.token_scenes import SCENES

NAMES = recipes.names()
TOKENS = recipes.names(recipes.TOKENS)
SERVICES = {
    *("keeper_sample", "okta", "auth0", "keycloak", "grafana", "elasticsearch", "gitlab", "gitea", "splunk"),
    *("servicenow", "rabbitmq", "influxdb", "etcd", "keystone", "synapse", "directus", "devpi", "ejabberd", "mailman"),
    *("couchdb", "verdaccio", "qbittorrent", "zabbix", "jupyterhub", "kinto", "ios_xe", "airflow", "superset"),
    *("redmine", "icinga2"),
}


_EXPRESSIONS = {
    *("fail_if", "auth_failed_if", "not_found_if", "rejected_if", "accepted_if", "reason", "items", "token_path"),
    *("cursor", "json"),
}


def _expressions(value: t.Any) -> t.Iterator[str]:
    """At any depth; bodies and queries hold none."""
    if isinstance(value, list):
        yield from (found for entry in value for found in _expressions(entry))
    if isinstance(value, dict):
        yield from (text for key, text in value.items() if key in _EXPRESSIONS)
        yield from value.get("match", {})
        yield from (text for text in value.get("set", {}).values() if isinstance(text, str))
        yield from _expressions([entry for key, entry in value.items() if key not in ("body", "query")])


def test_all_services_are_there() -> None:
    assert set(NAMES) == SERVICES == set(recipes.about())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(recipes.schema())


@pytest.mark.parametrize("name", NAMES)
def test_fits_the_schema(name: str) -> None:
    jsonschema.validate(recipes.recipe(name), recipes.schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda recipe: recipe.pop("change"),
        lambda recipe: recipe["change"].pop("status"),
        lambda recipe: recipe.update(url="https://host.example"),
        lambda recipe: recipe.update(vars={"token": "taken"}),
        lambda recipe: recipe["verify"].update(reject=[401]),
        lambda recipe: recipe["verify"].update(auth={"type": "login", "path": "/login", "token_path": "token"}),
        lambda recipe: recipe["auth"].update(type="digest"),
        lambda recipe: recipe["auth"].pop("password"),
        lambda recipe: recipe["lookup"].update(next={"link": True, "url": "next"}),
        lambda recipe: recipe["lookup"].update(set={"password": "password"}),
        lambda recipe: recipe["change"].update(status=204),
        lambda recipe: recipe["change"].update(path="api"),
        lambda recipe: recipe["change"].update(body="text"),
    ],
)
def test_the_schema_notices(spoil: t.Callable[[recipes.Recipe], object]) -> None:
    recipe = copy.deepcopy(recipes.recipe("rabbitmq"))
    spoil(recipe)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(recipe, recipes.schema(), jsonschema.Draft202012Validator)


def _keys(schema: dict[str, t.Any]) -> set[str]:
    """The properties of a schema's object, of all its alternatives."""
    if "$ref" in schema:
        schema = recipes.schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    return set(schema.get("properties", {})).union(*map(_keys, schema.get("oneOf", [])))


@pytest.mark.parametrize("step", ["auth", "lookup", "change", "verify"])
def test_the_schema_has_the_options_of_the_module(step: str) -> None:
    """The module cannot say which keys belong to which type of auth, so the schema says it all again."""
    definitions = recipes.schema()["$defs"]
    schema, options = definitions[step], SPEC.options[step].get("options")
    if options is None:
        schema, options = definitions["lookup_step"], LOOKUP
    assert _keys(schema) == set(options)
    for key in ("auth", "next"):
        if key in options:
            assert _keys(schema["properties"][key]) == set(options[key]["options"])


@pytest.mark.parametrize("name", NAMES)
def test_expressions_can_be_parsed(name: str) -> None:
    for expression in _expressions(recipes.recipe(name)):
        jmespath.compile(expression)


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_needs(name: str) -> None:
    """Neither more nor less than its placeholders, and nothing secret has a default."""
    about, defaults = recipes.about()[name], recipes.recipe(name).get("vars", {})
    assert {*about["needs"]} == {"url", "username"} | recipes.given(name)
    assert defaults.keys() <= about["needs"].keys() and not any(map(recipes.is_secret, defaults))


@pytest.mark.parametrize("name", NAMES)
def test_says_how_far_it_is_tested(name: str) -> None:
    about = recipes.about()[name]
    assert ("tested" in about) != ("written_from" in about)
    assert ("tested" in about) == (name in catalogue.SERVERS)


@pytest.mark.parametrize("name", NAMES)
def test_makes_the_requests_that_it_should(name: str) -> None:
    """If a difference is meant, `nox -s recipes` writes the files again: look at what changed in them."""
    assert rendering.render(name) == rendering.path(name).read_text(encoding="utf-8")


def test_no_file_of_requests_is_left_over() -> None:
    assert {path.stem for path in rendering.path("any").parent.iterdir()} == set(NAMES)


def test_the_page_is_up_to_date() -> None:
    """`nox -s recipes` writes it."""
    assert page.render() == page.PATH.read_text(encoding="utf-8")


def test_the_guide_writes_the_recipe_that_is_there() -> None:
    """Without its comments."""
    assert yaml.safe_load(recipes.in_guide("rabbitmq.yml")) == recipes.recipe("rabbitmq")


@pytest.mark.parametrize("name", TOKENS)
def test_a_recipe_for_tokens_fits_the_module_and_says_what_it_needs(name: str) -> None:
    found, about = recipes.recipe(name, recipes.TOKENS), recipes.about(recipes.TOKENS)[name]
    given = recipes.given(name, recipes.TOKENS)
    hidden = {key for key in given if recipes.is_secret(key)}
    options = {
        **found,
        "url": "https://host.example",
        "username": "user",
        "secrets": dict.fromkeys(hidden, "a secret"),
        "vars": {**dict.fromkeys(given - hidden, "a value"), **found.get("vars", {})},
    }
    result = ArgumentSpecValidator(**TOKEN_SPEC.module_arguments()).validate(options)
    assert result.error_messages == []
    checked = token_options_from(result.validated_parameters)
    assert checked.listing.limit == about.get("slots") and checked.verify
    own = {key for key in ("password", "current_token") if f"${{{key}}}" in recipes.source(name, recipes.TOKENS)}
    assert {*about["needs"]} == {"url", "username"} | given | own
    assert not any(map(recipes.is_secret, found.get("vars", {})))


def test_every_recipe_for_tokens_says_how_far_it_is_tested() -> None:
    about = recipes.about(recipes.TOKENS)
    assert set(TOKENS) == set(about)
    assert {name for name, told in about.items() if "tested" in told} == set(SCENES)
    assert not any("tested" in told and "written_from" in told for told in about.values())
