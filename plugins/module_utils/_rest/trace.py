# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""What was asked and answered, a line for each request, without any value."""

from __future__ import annotations

import contextlib
import itertools
import threading
import typing as t


class Trace:
    """The lines of a run, for people. Proofs may be made at the same time; the lines of each stand together."""

    def __init__(self) -> None:
        # With the user whose proof a line belongs to, if it does.
        self._told: list[tuple[str | None, str]] = []
        self._here = threading.local()

    def tell(self, line: str) -> None:
        self._told.append((getattr(self._here, "user", None), line))

    @contextlib.contextmanager
    def proof(self, user: str) -> t.Iterator[None]:
        """What this thread tells in here belongs to the proof of this user."""
        self._here.user = user
        try:
            yield
        finally:
            self._here.user = None

    def lines(self, users: t.Sequence[str] = ()) -> list[str]:
        """All of them, as they came; those of proofs in the order of the users."""
        places: dict[str | None, int] = {user: place for place, user in enumerate(users)}
        found: list[str] = []
        for proofs, told in itertools.groupby(self._told, lambda told: told[0] in places):
            # Sorting keeps what is equal as it came.
            found += [line for _user, line in (sorted(told, key=lambda each: places[each[0]]) if proofs else told)]
        return found
