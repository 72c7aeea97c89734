# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The error tree against the contract that users see."""

from __future__ import annotations

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core import errors
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake import client

# "Running again is safe": without an operator's step the next run may succeed, and cannot lose anything.
RETRY_SAFE = {
    "invalid_input": False,
    "auth_failed": False,
    "not_found": False,
    "ambiguous": False,
    "not_permitted": False,
    "refused": False,
    "slots_full": False,
    "missing_dependency": False,
    "rate_limited": True,
    "unreachable": True,
    "unknown_outcome": True,
    "verify_failed": True,
    "busy": True,
    "vault_error": True,
    "delivery_failed": True,
}


# Importing it completes the tree.
assert issubclass(client.NoAnswer, errors.RotationError)


def _tree(root: type[errors.RotationError]) -> list[type[errors.RotationError]]:
    return [kind for child in root.__subclasses__() for kind in [child, *_tree(child)]]


def test_every_documented_code_exists_and_no_other() -> None:
    assert {kind.error_code for kind in _tree(errors.RotationError)} == set(RETRY_SAFE)


@pytest.mark.parametrize("kind", _tree(errors.RotationError))
def test_retry_safe_follows_the_code_unless_it_is_said(kind: type[errors.RotationError]) -> None:
    assert kind("text").retry_safe is RETRY_SAFE[kind.error_code]
    assert kind("text", retry_safe=True).retry_safe is True
    assert kind("text", retry_safe=False).retry_safe is False


def test_an_error_claims_nothing_by_itself() -> None:
    error = errors.Refused("words")
    assert (str(error), error.msg, error.advice, error.unanswered, error.evidence) == ("words", "words", "", 0, {})


def test_what_is_left_is_said_after_what_failed_and_before_what_to_do() -> None:
    assert errors.in_words("No.", "untouched", "Look.") == "No. Nothing was changed. Look."
    assert errors.in_words("No.", "staged").startswith("No. Its new secret is still pending")
    assert errors.in_words("No.", "unknown") == errors.in_words("No.", "changed") == "No."


@pytest.mark.parametrize("kind", _tree(errors.RotationError))
def test_only_what_nobody_saw_is_unknown(kind: type[errors.RotationError]) -> None:
    assert kind("text").left == ("unknown" if kind.error_code == "unknown_outcome" else "untouched")
    assert kind("text", left="changed").left == "changed"
