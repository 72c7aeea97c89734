# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Passwords by policy, from the operating system's randomness; and one policy from those of all who have a say."""

from __future__ import annotations

import dataclasses
import json
import secrets
import string
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

SHORTEST = 8
LONGEST = 256
# Of a record.
FIELD = "rotation_password_policy"
# No quotes, backslash, dollar, braces or ampersand: they are legal, and break other people's scripts.
SPECIAL_CHARACTERS = "!#%*+-.:=?@^_~"


@dataclasses.dataclass(frozen=True)
class PasswordPolicy:
    """The default meets Snowflake's own policy (8 characters; upper case, lower case, digit)."""

    length: int = 32
    min_upper: int = 2
    min_lower: int = 2
    min_digits: int = 2
    min_special: int = 2
    special_characters: str = SPECIAL_CHARACTERS

    def _classes(self) -> list[tuple[str, int]]:
        return [
            (string.ascii_uppercase, self.min_upper),
            (string.ascii_lowercase, self.min_lower),
            (string.digits, self.min_digits),
            (self.special_characters, self.min_special),
        ]

    def check(self) -> None:
        """Raise InvalidInput for a policy that no password meets."""
        minimums = [minimum for _characters, minimum in self._classes()]
        if not SHORTEST <= self.length <= LONGEST:
            raise InvalidInput(f"password_policy.length must be {SHORTEST} to {LONGEST}.")
        if min(minimums) < 0 or sum(minimums) > self.length:
            raise InvalidInput(
                "password_policy asks for more characters than its length has, or for a negative number."
            )
        if any(not 33 <= ord(character) <= 126 or character.isalnum() for character in self.special_characters):
            raise InvalidInput(
                "password_policy.special_characters must be printable ASCII, without letters and digits."
            )
        if self.min_special and not self.special_characters:
            raise InvalidInput("password_policy asks for special characters, and allows none.")

    def generate(self) -> str:
        """A password that meets the policy."""
        required = [secrets.choice(characters) for characters, minimum in self._classes() for _each in range(minimum)]
        alphabet = "".join(characters for characters, _minimum in self._classes())
        filling = [secrets.choice(alphabet) for _each in range(self.length - len(required))]
        shuffled = [*required, *filling]
        secrets.SystemRandom().shuffle(shuffled)
        return "".join(shuffled)


_MINIMUMS = ("min_upper", "min_lower", "min_digits", "min_special")
_NUMBERS = ("length", "max_length", *_MINIMUMS)


def policy_from(*layers: t.Mapping[str, t.Any] | None) -> PasswordPolicy:
    """The narrowest of what the layers say, each as the module's option; what none of them says is the default.

    The longest length, of no more than the shortest C(max_length); the largest minimums; the special characters that
    all of them allow. Only defaults give way. Raises InvalidInput for what no password meets.
    """

    def given(key: str) -> list[t.Any]:
        return [layer[key] for layer in layers if layer and layer.get(key) is not None]

    default, longest, allowed = PasswordPolicy(), min([*given("max_length"), LONGEST]), given("special_characters")
    special = "".join(
        character
        # Each once: otherwise a repeated one would be chosen more often.
        for character in dict.fromkeys((allowed or [default.special_characters])[0])
        if all(character in others for others in allowed)
    )
    usual = {**dataclasses.asdict(default), **({} if special else {"min_special": 0})}
    policy = PasswordPolicy(
        length=max(given("length"), default=min(default.length, longest)),
        special_characters=special,
        **{name: max(given(name), default=usual[name]) for name in _MINIMUMS},
    )
    if policy.length > longest:
        raise InvalidInput(f"password_policy asks for more characters than it allows, which is {longest} at most.")
    policy.check()
    return policy


def read_layer(text: str | None) -> dict[str, t.Any] | None:
    """A layer from its JSON, which people write by hand. Raises InvalidInput."""
    if text is None:
        return None
    try:
        layer = json.loads(text)
    except (RecursionError, ValueError):
        layer = None
    if not isinstance(layer, dict) or not all(_fits(*each) for each in layer.items()):
        names = ", ".join(_NUMBERS)
        raise InvalidInput(
            f"{FIELD} must be a JSON mapping of whole numbers ({names}) and the text special_characters."
        )
    return layer


def _fits(key: str, value: t.Any) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool)
    return (key in _NUMBERS and number) or (key == "special_characters" and isinstance(value, str))
