# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Passwords by policy, from the operating system's randomness."""

from __future__ import annotations

import dataclasses
import secrets
import string
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput

SHORTEST = 8
LONGEST = 256
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


def policy_from(options: t.Mapping[str, t.Any] | None) -> PasswordPolicy:
    """The policy from the module's option; raises InvalidInput."""
    policy = PasswordPolicy(**(options or {}))
    policy.check()
    return policy
