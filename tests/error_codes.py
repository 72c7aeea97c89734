# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about all error codes, made from the error tree and from how the Gateway's script ends with each."""

from __future__ import annotations

import pathlib
import textwrap

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import RotationError
from extensions.keeper_gateway.post_rotation import EXIT_CODES

PATH = pathlib.Path(__file__).resolve().parent.parent / "docs" / "docsite" / "rst" / "error_codes.rst"

# What the person does now.
ADVICE = {
    "ambiguous": "Make the name unique, or name the record by its UID.",
    "auth_failed": "Look at the administrator's record, not at the user's.",
    "busy": "Wait for the other run, or for its lease to end; then run again.",
    "delivery_failed": "Look at the consumer that the message names; the next run delivers again.",
    "invalid_input": "Mend the option or the record that the message names.",
    "missing_dependency": "Install the library that the message names where Ansible runs the module.",
    "not_found": "Look whether the name is right, and whether the administrator may see it.",
    "not_permitted": "Give the administrator the right that the message names, or leave the user out.",
    "rate_limited": "Run again later, or with fewer requests a second.",
    "refused": "Read the reason in the message; the same request will be refused again.",
    "slots_full": "Remove what nobody uses; nothing is removed that may be in use.",
    "unknown_outcome": "Run again: the next run finds out, or sets the same secret again.",
    "unreachable": "Look at the network and the service, then run again.",
    "vault_error": "Look at the vault and the record that the message names.",
    "verify_failed": "Run again; if it stays, look whether the service accepts logins of this user.",
}

_HEAD = """\
..
  SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
  SPDX-License-Identifier: GPL-3.0-or-later

..
  Made by python -m tests.error_codes from _core/errors.py; edit that instead.

.. _ansible_collections.keyturn.credentials.docsite.error_codes:

Error codes
===========

Every failure has one of these codes in ``error_code``. ``retry_safe`` says whether running the same task again cannot
lose or damage anything, and may succeed; a single failure may know better than its code. The exit code is that of the
Keeper Gateway's script. ``left`` says what this failure has left behind: ``untouched``, nothing new; ``staged``, a new
secret that is pending in the record; ``changed``, something that was acknowledged; ``unknown``, what nobody could see.
"""


def kinds() -> list[type[RotationError]]:
    """The errors that bring a code of their own, by code."""
    return sorted(RotationError.__subclasses__(), key=lambda kind: kind.error_code)


def render() -> str:
    """The whole page."""
    return "".join([_HEAD, *map(_section, kinds())])


def _section(kind: type[RotationError]) -> str:
    code = kind.error_code
    words = textwrap.fill(f"{kind.__doc__} {ADVICE[code]}", 120)
    again = "yes" if kind.default_retry_safe else "no"
    return f"\n{code}\n{'-' * len(code)}\n\n{words}\n\n- ``retry_safe``: {again}\n- exit code: {EXIT_CODES[code]}\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
