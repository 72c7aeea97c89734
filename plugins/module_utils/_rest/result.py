# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What the REST modules' results may hold and show."""

from __future__ import annotations

import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core import secrets
from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template


def known_secrets(params: dict[str, t.Any], spec: ArgumentSpec) -> list[str]:
    """What no text may hold. A placeholder among the credentials is none itself, and its name may be told."""
    credentials = {name: params[name] for name in ("auth", "verify")}
    literal = [text for text in secrets.secrets_in(credentials, spec.options) if not template.is_placeholder(text)]
    return literal + secrets.secrets_in({**params, **dict.fromkeys(credentials)}, spec.options)


def with_trace(result: dict[str, t.Any], trace: t.Sequence[str], *, single: bool) -> dict[str, t.Any]:
    """The result with the steps that were made, which are shown with --diff and with -vvv."""
    if trace:
        steps = {"prepared": "\n".join(trace) + "\n"}
        result["diff"] = {**result.get("diff", {}), **steps} if single else [*result.get("diff", []), steps]
    return result
