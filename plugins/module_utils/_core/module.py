# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The one place where an AnsibleModule is made and where errors become C(fail_json)."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.warnings import get_deprecation_messages, get_warning_messages

from ansible_collections.keyturn.credentials.plugins.module_utils._core import secrets
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import (
    InvalidInput,
    RotationError,
    in_words,
)

# params, check_mode → the return values (see outcome.module_result)
Run = t.Callable[[dict[str, t.Any], bool], dict[str, t.Any]]


class _Module(AnsibleModule):
    """Options that Ansible refuses are invalid input like any other, and nothing has been done by then."""

    validated = False

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        if not self.validated:
            result = {**_failure(InvalidInput(msg.rstrip(".") + "."), []), **result}
        super().fail_json(**{"msg": msg, **result})


def run_module(spec: ArgumentSpec, run: Run, *, returns_secrets: bool = False) -> t.NoReturn:
    """Make the module, run the logic, and leave with its result; no exception escapes.

    returns_secrets: the result holds secrets on purpose (its action plugin censors it), so they must not be masked.
    """
    # no_log: Ansible would write lists of options to syslog before it masks anything derived from them.
    module = _Module(supports_check_mode=True, no_log=True, **spec.module_arguments())
    module.validated = True
    # Whoever set it would read all that is sent: all TLS libraries honour it when they connect.
    os.environ.pop("SSLKEYLOGFILE", None)
    known: list[str] = []
    try:
        known = secrets.secrets_in(module.params, spec.options)
        if not returns_secrets:
            secrets.register(module.no_log_values, known)
        _refuse_leaky_settings(module)
        result = run(module.params, module.check_mode)
        if returns_secrets:
            # Ansible would mask every option's value inside the secrets that are returned, and so hand out other ones.
            module.no_log_values.clear()
        else:
            result = secrets.scrub_all({**result, "invocation": {"module_args": module.params}}, known)
            # Ansible looks for each in every text, which takes minutes for thousands of users.
            told = [result, get_warning_messages(), get_deprecation_messages()]
            module.no_log_values = secrets.found_in(told, module.no_log_values)
    except RotationError as error:
        module.fail_json(**_failure(error, known))
    except Exception as error:  # Ansible would print its text, secrets and all
        module.fail_json(
            msg=f"Internal error: {type(error).__name__}. Please report it; what was done until then is not known.",
            error_code="unknown_outcome",
            left="unknown",
            retry_safe=True,
        )
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


def _failure(error: RotationError, known: list[str]) -> dict[str, t.Any]:
    return {
        "msg": secrets.scrub(in_words(error.msg, error.left, error.advice), known),
        "error_code": error.error_code,
        "retry_safe": error.retry_safe,
        "left": error.left,
        "changed": error.left == "changed",
    }


def _refuse_leaky_settings(module: AnsibleModule) -> None:
    """These two write every argument in clear in spite of no_log: better no rotation than a published one."""
    for attribute, setting in (("_debug", "ANSIBLE_DEBUG"), ("_keep_remote_files", "ANSIBLE_KEEP_REMOTE_FILES")):
        if getattr(module, attribute, False):
            raise InvalidInput(f"{setting} is on, which writes module arguments in clear. Turn it off and run again.")
