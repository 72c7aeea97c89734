# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every password meets its policy, and what no password meets is refused."""

from __future__ import annotations

import string
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.password_policy import (
    PasswordPolicy,
    policy_from,
    read_layer,
)

_SPECIAL = st.text(string.punctuation, max_size=12)
_COUNT = st.integers(-1, 70)


def _count(password: str, characters: str) -> int:
    return sum(character in characters for character in password)


@given(length=st.integers(5, 260), upper=_COUNT, lower=_COUNT, digits=_COUNT, special=_COUNT, characters=_SPECIAL)
def test_a_policy_is_refused_or_met(
    length: int, upper: int, lower: int, digits: int, special: int, characters: str
) -> None:
    options = {
        "length": length,
        "min_upper": upper,
        "min_lower": lower,
        "min_digits": digits,
        "min_special": special,
        "special_characters": characters,
    }
    possible = (
        8 <= length <= 256
        and min(upper, lower, digits, special) >= 0
        and upper + lower + digits + special <= length
        and (characters != "" or special == 0)
    )
    if not possible:
        with pytest.raises(InvalidInput):
            policy_from(options)
        return
    password = policy_from(options).generate()
    assert len(password) == length
    assert _count(password, string.ascii_uppercase) >= upper
    assert _count(password, string.ascii_lowercase) >= lower
    assert _count(password, string.digits) >= digits
    assert _count(password, characters) >= special
    assert set(password) <= {*string.ascii_letters, *string.digits, *characters}


@pytest.mark.parametrize("characters", ["é", " ", "a!", "7", "\n", "!\0", "\x7f"])
def test_special_characters_are_printable_ascii_and_no_letters(characters: str) -> None:
    with pytest.raises(InvalidInput):
        policy_from({"special_characters": characters})


def test_the_default_meets_snowflakes_policy_and_breaks_no_shell() -> None:
    password = policy_from(None).generate()
    assert len(password) == 32
    assert all(_count(password, kind) >= 2 for kind in (string.ascii_uppercase, string.ascii_lowercase, string.digits))
    assert not set(PasswordPolicy().special_characters) & set("'\"\\`$&{}<>|;() ")


def test_required_characters_stand_anywhere() -> None:
    policy = PasswordPolicy(length=8, min_upper=1, min_lower=0, min_digits=7, min_special=0)
    places = {next(at for at, each in enumerate(policy.generate()) if each.isupper()) for _attempt in range(300)}
    assert places == set(range(8))


_LAYER = st.fixed_dictionaries(
    {},
    optional={
        "length": st.integers(8, 40),
        "max_length": st.integers(8, 60),
        **{f"min_{kind}": st.integers(0, 5) for kind in ("upper", "lower", "digits", "special")},
        "special_characters": st.text("!#_-^", max_size=5),
    },
)


@given(layers=st.lists(_LAYER, max_size=3))
def test_a_password_meets_every_layer_or_is_not_made(layers: list[dict[str, t.Any]]) -> None:
    try:
        password = policy_from(*layers).generate()
    except InvalidInput:
        return
    kinds = {"upper": string.ascii_uppercase, "lower": string.ascii_lowercase, "digits": string.digits}
    for layer in layers:
        assert layer.get("length", 8) <= len(password) <= layer.get("max_length", 256)
        assert set(password) <= {*string.ascii_letters, *string.digits, *layer.get("special_characters", "!#_-^")} or (
            "special_characters" not in layer
        )
        for kind, characters in kinds.items():
            assert _count(password, characters) >= layer.get(f"min_{kind}", 0)
        assert sum(not each.isalnum() for each in password) >= layer.get("min_special", 0)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([{"length": 20}, {"length": 24}], PasswordPolicy(length=24)),
        ([{"max_length": 16}, None], PasswordPolicy(length=16)),
        ([{"max_length": 60}], PasswordPolicy()),
        ([{"special_characters": "^!_"}, {"special_characters": "_-!"}], PasswordPolicy(special_characters="!_")),
        ([{"special_characters": ""}], PasswordPolicy(special_characters="", min_special=0)),
        ([{"min_digits": 0}], PasswordPolicy(min_digits=0)),
        ([{"min_digits": 0}, {"min_digits": 4}, {"min_digits": 3}], PasswordPolicy(min_digits=4)),
    ],
)
def test_the_narrowest_counts_and_only_defaults_give_way(
    layers: list[dict[str, t.Any] | None], expected: PasswordPolicy
) -> None:
    assert policy_from(*layers) == expected


@pytest.mark.parametrize(
    "layers",
    [
        [{"length": 20}, {"max_length": 16}],
        [{"special_characters": "!"}, {"special_characters": "_"}, {"min_special": 1}],
        [{"max_length": 8}, {"min_upper": 4}],
        [{"max_length": 7}],
    ],
)
def test_layers_that_contradict_one_another(layers: list[dict[str, t.Any]]) -> None:
    with pytest.raises(InvalidInput, match="password_policy"):
        policy_from(*layers)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "16", '{"length": "16"}', '{"length": true}', '{"pattern": "x"}', "[" * 99999]
)
def test_a_layer_of_a_record_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InvalidInput, match="rotation_password_policy must be a JSON mapping"):
        read_layer(text)


def test_a_layer_of_a_record() -> None:
    assert read_layer(None) is None
    assert read_layer('{"max_length": 16, "special_characters": ""}') == {"max_length": 16, "special_characters": ""}


def test_passwords_differ() -> None:
    assert len({PasswordPolicy().generate() for _attempt in range(200)}) == 200


def test_a_repeated_character_is_not_chosen_more_often() -> None:
    assert policy_from({"special_characters": "!" * 2000 + "#"}).special_characters == "!#"
