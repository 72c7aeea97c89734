# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is documented is what is accepted, for every module of the collection."""

from __future__ import annotations

import ast
import importlib
import pathlib
import typing as t

import pytest
import yaml
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as NormalActionModule

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import AuthFailed
from ansible_collections.keyturn.credentials.plugins.module_utils._core.outcome import Outcome
from ansible_collections.keyturn.credentials.plugins.plugin_utils._in_process import InProcessActionModule

ROOT = pathlib.Path(__file__).resolve().parents[3]
_PLUGINS = "ansible_collections.keyturn.credentials.plugins"
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
# These are answered by their action plugin alone.
ON_THE_CONTROLLER = {"fleet_report", "keeper_admin_record", "rotation", "rotation_events"}
# Of these, the ones that return no secret.
HARMLESS = {"fleet_report", "rotation", "rotation_events"}
Options = dict[str, dict[str, t.Any]]


def _module(name: str) -> t.Any:
    return importlib.import_module(f"{_PLUGINS}.modules.{name}")


def _documentation(name: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", yaml.safe_load(_module(name).DOCUMENTATION))


def _fragments(name: str) -> list[str]:
    return t.cast("list[str]", _documentation(name).get("extends_documentation_fragment") or [])


def _documented(name: str) -> Options:
    """The options of the module and of its fragments; an option described twice is an error."""
    options: Options = dict(_documentation(name)["options"])
    for fragment in _fragments(name):
        assert fragment.startswith("keyturn.credentials.")
        file, _dot, part = fragment.removeprefix("keyturn.credentials.").partition(".")
        text = getattr(
            importlib.import_module(f"{_PLUGINS}.doc_fragments.{file}").ModuleDocFragment,
            (part or "documentation").upper(),
        )
        more = yaml.safe_load(text).get("options") or {}
        assert not options.keys() & more.keys()
        options.update(more)
    return options


def _accepted(name: str) -> Options:
    if name not in ON_THE_CONTROLLER:
        return t.cast(Options, _module(name).SPEC.options)
    tree = ast.parse((ROOT / "plugins" / "action" / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "validate_argument_spec":
            return t.cast(Options, ast.literal_eval(node.args[0]))
    raise AssertionError(f"the options of {name} are not where they were")


def _facts(options: Options, suboptions: str) -> dict[str, t.Any]:
    """What documentation and specification must agree upon."""
    return {
        name: {
            "type": option.get("type", "str"),
            "required": option.get("required", False),
            "default": option.get("default"),
            "choices": option.get("choices"),
            "elements": option.get("elements"),
            "aliases": option.get("aliases", []),
            "options": _facts(option.get(suboptions) or {}, suboptions),
        }
        for name, option in options.items()
    }


def _without_no_log(options: Options, path: str = "") -> t.Iterator[str]:
    for name, option in options.items():
        if not isinstance(option.get("no_log"), bool):
            yield path + name
        yield from _without_no_log(option.get("options") or {}, f"{path}{name}.")


def test_there_are_modules() -> None:
    assert {"snowflake_user_password", "keeper_rotation", "keeper_admin_record"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_every_option_is_documented_as_it_is_accepted(name: str) -> None:
    assert _facts(_documented(name), "suboptions") == _facts(_accepted(name), "options")


@pytest.mark.parametrize("name", MODULES)
def test_every_option_states_no_log(name: str) -> None:
    assert list(_without_no_log(_accepted(name))) == []


@pytest.mark.parametrize("name", MODULES)
def test_what_is_secret_by_its_name_is_not_logged(name: str) -> None:
    def logged(options: Options) -> t.Iterator[str]:
        for option, facts in options.items():
            words = option.split("_")
            secret = words[-1] in ("password", "passphrase", "token", "config") or words[-2:] == ["private", "key"]
            # These say what to do with a password.
            telling = option in ("update_password", "must_change_password")
            # Where in an answer the secret is, and not the secret.
            telling = telling or (option, facts["type"]) == ("token", "raw")
            if secret and not telling and facts.get("no_log") is not True:
                yield option
            yield from logged(facts.get("options") or {})

    assert list(logged(_accepted(name))) == []


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ON_THE_CONTROLLER])
def test_what_a_rule_names_is_an_option(name: str) -> None:
    spec = _module(name).SPEC
    groups = [*spec.mutually_exclusive, *spec.required_one_of, *spec.required_together]
    named = {option for group in groups for option in group}
    named |= spec.required_by.keys() | {option for group in spec.required_by.values() for option in group}
    assert named <= spec.options.keys()


@pytest.mark.parametrize("name", MODULES)
def test_every_option_and_every_value_is_described(name: str) -> None:
    def silent(options: Options) -> t.Iterator[str]:
        for option, facts in options.items():
            if not facts.get("description"):
                yield option
            for nested in ("suboptions", "contains"):
                yield from silent(facts.get(nested) or {})

    assert list(silent(_documented(name))) == []
    assert list(silent(yaml.safe_load(_module(name).RETURN))) == []
    for task in yaml.safe_load(_module(name).EXAMPLES):
        used = [key for key in task if key.startswith("keyturn.credentials.")]
        assert used and all(key.rpartition(".")[2] in MODULES for key in used)
        for key in used:
            assert task[key].keys() <= _accepted(key.rpartition(".")[2]).keys()


@pytest.mark.parametrize("service", ["snowflake", "meraki"])
def test_an_action_group_holds_the_modules_that_share_a_connection(service: str) -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    sharing = {name for name in MODULES if f"keyturn.credentials.{service}" in _fragments(name)}
    assert set(runtime["action_groups"][service]) == sharing != set()
    told = {name for name in MODULES if f"keyturn.credentials.attributes.actiongroup_{service}" in _fragments(name)}
    assert told == sharing


def test_no_action_group_names_what_is_not_there() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert {name for group in runtime["action_groups"].values() for name in group} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_returns_secrets_is_censored_by_its_action_plugin(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (ROOT / "plugins" / "modules" / f"{name}.py").read_text(encoding="utf-8")
    if "returns_secrets=True" in source or name in ON_THE_CONTROLLER - HARMLESS:
        action = importlib.import_module(f"{_PLUGINS}.action.{name}").ActionModule
        monkeypatch.setattr(ActionBase, "run", lambda self, tmp=None, task_vars=None: {})
        monkeypatch.setattr(NormalActionModule, "run", lambda self, tmp=None, task_vars=None: {})
        monkeypatch.setattr(action, "_outcome", lambda self, task_vars: {}, raising=False)
        assert action.__new__(action).run(task_vars={})["_ansible_no_log"] is True
        assert not action._supports_async


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ON_THE_CONTROLLER])
def test_a_module_runs_in_ansible_s_process_under_its_own_name(name: str) -> None:
    action = importlib.import_module(f"{_PLUGINS}.action.{name}").ActionModule
    assert issubclass(action, InProcessActionModule) and name == action.MODULE


# Filters that the guides tell people to use in playbooks of their own.
OFFERED = {"gateway_options", "gateway_receipt"}


@pytest.mark.parametrize("path", sorted((ROOT / "plugins" / "filter").glob("*.yml")), ids=lambda path: path.stem)
def test_a_filter_that_is_not_offered_says_so_first(path: pathlib.Path) -> None:
    text = yaml.safe_load(path.read_text("utf-8"))["DOCUMENTATION"]
    internal = text["short_description"].startswith("(internal) ")
    assert internal != (path.stem in OFFERED)
    assert ("may change in any release" in text["description"][0]) == internal


@pytest.mark.parametrize("name", sorted(set(MODULES) - ON_THE_CONTROLLER))
def test_whatever_an_entry_can_tell_of_its_end_is_documented(name: str) -> None:
    error = AuthFailed("It is.", everybody=True)
    outcome = Outcome(identity={}, verified=False, verify_skipped_reason="why", in_force=False, error=error)
    told = yaml.safe_load(_module(name).RETURN)["rotations"]["contains"].keys()
    # What is in force, a vault cannot say.
    assert outcome.entry().keys() - told <= ({"in_force"} if name == "keeper_rotation" else set())
