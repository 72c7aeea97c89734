# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where results and errors leave a module: nothing secret goes with them."""

from __future__ import annotations

import base64
import json
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.keyturn.credentials.plugins.module_utils._core import module, secrets, transport
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Refused
from ansible_collections.keyturn.credentials.plugins.module_utils._core.wire import Wire
from tests.sandbox.keeper.tls import server_context
from tests.sandbox.server import LoopbackServer, Request, Response

SPEC = ArgumentSpec(options={"token": {"type": "str", "no_log": True}})
CANARY = "correct horse/battery+staple"
ENCODED = base64.b64encode(CANARY.encode()).decode()


class Ending(t.NamedTuple):
    code: t.Any
    result: dict[str, t.Any]
    output: str


RunModule = t.Callable[..., Ending]


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> RunModule:
    def run(logic: module.Run, *, returns_secrets: bool = False, **extra: t.Any) -> Ending:
        arguments = {"token": CANARY, **extra}
        with patch_module_args(arguments), pytest.raises(SystemExit) as ending:
            module.run_module(SPEC, logic, returns_secrets=returns_secrets)
        output = "".join(capsys.readouterr())
        return Ending(ending.value.code, json.loads(output), output)

    return run


def _raise(error: BaseException) -> module.Run:
    def logic(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        raise error

    return logic


def test_an_option_that_ansible_refuses_is_invalid_input(run_module: RunModule) -> None:
    ending = run_module(_raise(AssertionError()), unheard_of=1)
    result = ending.result
    assert result["failed"] and "unheard_of" in result["msg"] and result["msg"].endswith(" Nothing was changed.")
    assert (result["error_code"], result["left"], result["retry_safe"]) == ("invalid_input", "untouched", False)
    # By this, ansible-core 2.22 tells the controller what to mask; it is no part of the result.
    assert CANARY not in json.dumps({name: value for name, value in result.items() if name != "_ansible_new_secrets"})


@pytest.mark.parametrize("kind", [ValueError, KeyError, RuntimeError, AttributeError])
def test_an_unforeseen_exception_leaves_its_type_and_not_its_text(run_module: RunModule, kind: type[Exception]) -> None:
    ending = run_module(_raise(kind("a word that must stay inside")))
    assert "must stay inside" not in ending.output
    assert kind.__name__ in ending.result["msg"]
    assert ending.code == 1
    assert ending.result["failed"] is True
    assert (ending.result["error_code"], ending.result["retry_safe"]) == ("unknown_outcome", True)


@pytest.mark.parametrize("returns_secrets", [False, True])
def test_a_failure_carries_its_fields_and_its_text_is_scrubbed(run_module: RunModule, returns_secrets: bool) -> None:
    error = Refused(f"No: {CANARY} / {ENCODED}", retry_safe=True, left="changed")
    ending = run_module(_raise(error), returns_secrets=returns_secrets)
    assert CANARY not in ending.output and ENCODED[:-4] not in ending.output
    assert {
        "error_code": "refused",
        "retry_safe": True,
        "left": "changed",
        "changed": True,
        "failed": True,
    }.items() <= ending.result.items()


def test_a_result_is_scrubbed_wherever_the_secret_is(run_module: RunModule) -> None:
    ending = run_module(lambda params, check_mode: {"rotations": [{"msg": f"x{CANARY}"}], "note": f"={ENCODED}"})
    assert CANARY not in ending.output and ENCODED[:-4] not in ending.output
    assert ending.code == 0


def test_what_a_module_was_told_is_shown_without_secrets(run_module: RunModule) -> None:
    shown = {"module_args": {"token": secrets.MASK}}
    # From ansible-core 2.21 on, only if the controller asks for it.
    assert run_module(lambda params, check_mode: {}).result.get("invocation", shown) == shown


def test_a_number_that_is_a_secret_is_masked_by_ansible(run_module: RunModule) -> None:
    ending = run_module(lambda params, check_mode: {"id": int(params["token"])}, token="20261129")
    assert "20261129" not in ending.output and ending.result["id"]


def test_a_warning_that_quotes_a_secret_is_masked_by_ansible(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "get_warning_messages", lambda: (f"about {CANARY}",))
    monkeypatch.setattr(basic, "get_warnings", lambda: [f"about {CANARY}"])
    ending = run_module(lambda params, check_mode: {})
    assert ending.result["warnings"] == [f"about {secrets.MASK}"]


def test_a_result_is_scrubbed_even_if_ansible_masked_nothing(
    run_module: RunModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "register", lambda no_log_values, known: None)
    ending = run_module(lambda params, check_mode: {"rotations": [{"msg": f"={ENCODED}"}]})
    assert ENCODED[:-4] not in ending.output


def test_a_module_that_returns_secrets_on_purpose_returns_them(run_module: RunModule) -> None:
    ending = run_module(lambda params, check_mode: {"password": CANARY}, returns_secrets=True)
    # Ansible itself masks its own parameter; the spellings that only we know are left.
    assert ending.code == 0
    other = run_module(lambda params, check_mode: {"password": ENCODED}, returns_secrets=True)
    assert other.result["password"] == ENCODED


def test_a_failed_result_fails_the_task_and_keeps_changed(run_module: RunModule) -> None:
    ending = run_module(lambda params, check_mode: {"failed": True, "changed": True, "msg": "Half."})
    assert (ending.code, ending.result["failed"], ending.result["changed"]) == (1, True, True)


@pytest.mark.parametrize("setting", ["_ansible_debug", "_ansible_keep_remote_files"])
def test_settings_that_publish_arguments_are_refused_before_anything_runs(run_module: RunModule, setting: str) -> None:
    asked: list[bool] = []

    def logic(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
        asked.append(check_mode)
        return {}

    ending = run_module(logic, **{setting: True})
    assert ending.result["error_code"] == "invalid_input"
    assert setting.removeprefix("_ansible_").upper() in ending.result["msg"]
    assert not asked


@pytest.mark.parametrize("check_mode", [False, True])
def test_check_mode_reaches_the_logic(run_module: RunModule, check_mode: bool) -> None:
    ending = run_module(lambda params, check: {"seen": check}, _ansible_check_mode=check_mode)
    assert ending.result["seen"] is check_mode


def test_the_mask_is_ansibles_own() -> None:
    assert secrets.MASK == "********"


def test_the_keys_of_a_connection_are_written_nowhere(
    run_module: RunModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when the authorities are read nor when the connection is made."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context, authority = server_context(tmp_path)

    class Service:
        def label(self, request: Request) -> str:
            return request.path

        def respond(self, request: Request) -> Response:
            return Response(200)

    with LoopbackServer(Service(), tls=context) as server:

        def ask(params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
            with transport.Http(Wire.from_params({"ca_path": str(authority)})) as client:
                answer = client.send(transport.Request("GET", f"https://{server.host}:{server.port}/"), "never")
            return {"status": answer.status}

        assert run_module(ask).result["status"] == 200
    assert not (tmp_path / "keys").exists()
