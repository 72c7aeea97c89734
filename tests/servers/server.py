# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests know of a real server."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import typing as t

import requests

# For servers to which a name is any text.
AWKWARD_NAMES = ("name'\"\\/?#%41 é☃", "${password}", "{{ 7*7 }}")


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server with its administrator.

    version: as the server tells it. vars, secrets: what the recipe wants besides the user.
    add_user: name, password. accepts: whether the server lets the name in with the password, by a request that has
    nothing to do with the code under test; anything but a clear yes or no is an AssertionError.
    names: awkward names that the server allows. name: the server's form of a plain one.
    wrong_admin, no_user: the error_code for a wrong password of the administrator, and for a user who does not exist.
    users: how many there can be. own: the user changes its own password, with the old one; there is no administrator.
    fits: makes of a password the nearest one that the server allows. whole: whether the rest of a user is as add_user
    has left it. disable: switches a user off, whom the recipe must refuse then.
    """

    version: str
    url: str
    vars: dict[str, t.Any]
    secrets: dict[str, str] = dataclasses.field(repr=False)
    add_user: t.Callable[[str, str], None]
    accepts: t.Callable[[str, str], bool]
    names: tuple[str, ...] = ()
    name: t.Callable[[str], str] = str
    wrong_admin: str = "auth_failed"
    no_user: str = "not_found"
    users: int = 100
    own: bool = False
    fits: t.Callable[[str], str] = str
    whole: t.Callable[[str], bool] = lambda _name: True
    disable: t.Callable[[str], None] | None = None


class Kind(t.Protocol):
    """A module of this package that knows one service."""

    def absent(self) -> str:
        """Why it cannot be started here, or an empty text."""

    def start(self) -> contextlib.AbstractContextManager[Server]: ...


def call(method: str, url: str, *, basic: tuple[str, str] | None = None, **arguments: t.Any) -> requests.Response:
    """One plain request, with nothing of the environment in it."""
    with requests.Session() as session:
        session.trust_env = False
        if basic is not None:
            arguments["auth"] = tuple(part.encode() for part in basic)
        return session.request(method, url, timeout=30, **arguments)


def done(response: requests.Response, *statuses: int) -> requests.Response:
    """The response, if its status is one of these."""
    assert response.status_code in statuses, (response.request.method, response.url, response.status_code)
    return response


def yes_or_no(response: requests.Response, *, yes: int, no: int) -> bool:
    return done(response, yes, no).status_code == yes


def password(shape: str = "§") -> str:
    return shape.replace("§", secrets.token_urlsafe(9))
