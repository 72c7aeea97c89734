# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Placeholders: what is one, what it becomes, and that a value is never read again."""

from __future__ import annotations

import base64
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rest import template

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = {"a": "A", "n": 5, "yes": True, "none": None, "tags": ["x", "y"], "trap": "${a} $${a}", "old": ""}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("", ""),
        ("plain $ {a} $a ${", None),
        ("${a}", "A"),
        ("x${a}y${a}z", "xAyAz"),
        ("$${a}", "${a}"),
        ("$$${a}", "$${a}"),
        ("$${a}${a}", "${a}A"),
        ("${n} and ${yes}", "5 and true"),
        ("${trap}!", "${a} $${a}!"),
        ("${missing}", None),
        ("${}", None),
        ("${ a }", None),
        ("${a|upper}", None),
        ("${a|}", None),
        ("${a|backslash|base64}", None),
        ("x${tags}", None),
        ("x${none}", None),
        ("${a${a}}", None),
    ],
)
def test_text(text: str, becomes: str | None) -> None:
    """None: refused."""
    if becomes is None:
        with pytest.raises(InvalidInput):
            template.text(text, VALUES, "here")
    else:
        assert template.text(text, VALUES, "here") == becomes


def test_a_whole_text_keeps_its_type_at_any_depth() -> None:
    given: dict[str, t.Any] = {"a": ["${tags}", {"b": "${n}", "c": "${yes}", "d": "${none}"}], "${a}": "n${n}", "e": 7}
    expected = {"a": [["x", "y"], {"b": 5, "c": True, "d": None}], "${a}": "n5", "e": 7}
    assert template.render(given, VALUES, "here") == expected
    assert template.names(given, "here") == {"tags", "n", "yes", "none"}


@given(TEXTS)
def test_a_value_is_never_read_again(value: str) -> None:
    assert template.render("${v}", {"v": value}, "here") == value
    assert template.text("<${v}>", {"v": value}, "here") == f"<{value}>"


@given(TEXTS)
def test_a_literal_credential_stays_what_it_is(value: str) -> None:
    assert template.text(template.credential(f"x{value}", "here"), {}, "here") == f"x{value}"


@pytest.mark.parametrize("literal", ["$${v}", "x${v}", "${v}x", "${", "a${b", "$", "${v}${v}"])
def test_a_credential_is_literal_unless_all_of_it_is_one_placeholder(literal: str) -> None:
    assert template.text(template.credential(literal, "here"), {"v": "V"}, "here") == literal
    assert template.text(template.credential("${v}", "here"), {"v": "V"}, "here") == "V"
    assert template.text(template.credential("${v|base64}", "here"), {"v": "V"}, "here") == "Vg=="


@given(TEXTS)
def test_backslash_makes_a_literal_of_query_languages(value: str) -> None:
    """Read back as such languages read their literals."""
    literal = template.text("${v|backslash}", {"v": value}, "here")
    assert "\n" not in literal
    found, escaped = "", False
    for character in literal:
        if escaped:
            found += "\n" if character == "n" else character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            assert character not in "'\""
            found += character
    assert found == value and not escaped


@given(TEXTS)
def test_base64_is_of_utf8(value: str) -> None:
    assert base64.b64decode(template.text("${v|base64}", {"v": value}, "here")).decode() == value


@pytest.mark.parametrize("text", ["${v}", "x${v}", "${v|base64}"])
def test_half_a_character_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="half a character"):
        template.render(text, {"v": "a\ud800"}, "here")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"change\.body: the placeholder \$\{nobody\} is not known here"):
        template.text("${nobody}", {}, "change.body")
    with pytest.raises(InvalidInput, match="no old_password is given"):
        template.text("${old_password}", {}, "change.body")
