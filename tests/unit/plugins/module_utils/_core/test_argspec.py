# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Specifications that are merged lose nothing."""

from __future__ import annotations

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.argspec import ArgumentSpec

ONE = ArgumentSpec(
    options={"a": {}},
    mutually_exclusive=[("a", "b")],
    required_one_of=[("a", "b")],
    required_together=[("a", "c")],
    required_by={"a": ("c",)},
)
OTHER = ArgumentSpec(
    options={"b": {}},
    mutually_exclusive=[("b", "d")],
    required_one_of=[("b", "d")],
    required_together=[("b", "d")],
    required_by={"b": ("d",)},
)


def test_every_rule_of_both_is_in_the_merged_one() -> None:
    assert ONE.merged(OTHER).module_arguments() == {
        "argument_spec": {"a": {}, "b": {}},
        "mutually_exclusive": [("a", "b"), ("b", "d")],
        "required_one_of": [("a", "b"), ("b", "d")],
        "required_together": [("a", "c"), ("b", "d")],
        "required_by": {"a": ("c",), "b": ("d",)},
    }
    assert ONE.options == {"a": {}}


def test_an_option_that_two_define_is_noticed() -> None:
    with pytest.raises(ValueError, match="a"):
        ONE.merged(OTHER, ArgumentSpec(options={"a": {}}))
