# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""The options of rest_token_rotate, validated. Nothing in here asks anybody anything."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.options import (
    Lookup,
    Options,
    check_addresses,
    check_match,
    check_placeholders,
    common_options,
    in_order,
    lookup_from,
)
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.pick import Source, source_from
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.step import Params, Step, step_from

_OWN = frozenset({"username", "password", "current_token"})
_MINTED = frozenset({"token", "token_name"})
_TOLD = ("name", "created", "expires", "active")


@dataclasses.dataclass(frozen=True)
class Listing:
    """How the tokens of a user are listed. told: where name, created, expires and active are in an item."""

    lookup: Lookup
    told: t.Mapping[str, Source]
    limit: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenOptions(Options):
    """Of rest_token_rotate. token, name: where they are in the answer to mint; name: None where we choose it."""

    own = _OWN
    own_secrets = frozenset({"password", "current_token"})
    minted = _MINTED

    mint: Step
    token: Source
    name: Source | None
    listing: Listing
    revoke: Step

    @property
    def work(self) -> tuple[Step, ...]:
        return (self.mint, self.listing.lookup.step, self.revoke)

    @property
    def named(self) -> bool:
        """Whether tokens are listed under the names that we give them."""
        return self.name is None

    @functools.cached_property
    def listed(self) -> frozenset[str]:
        """What a listing picks of a token."""
        return frozenset(self.listing.lookup.step.picked)


def token_options_from(params: Params) -> TokenOptions:
    """From module parameters. Raises InvalidInput for whatever can be seen without a user."""
    mint, name = params["mint"], params["mint"]["name"]
    options = TokenOptions(
        **common_options(params, _OWN | _MINTED),
        mint=step_from(mint, "mint"),
        token=source_from(mint["token"], "mint.token"),
        name=None if name is None else source_from(name, "mint.name"),
        listing=_listing(params["list"]),
        revoke=step_from(params["revoke"], "revoke"),
    )
    if options.named != ("token_name" in options.mint.names):
        raise InvalidInput(
            "mint must use ${token_name}, or tell by mint.name which name the service has given, and not both: "
            "otherwise nobody could find the token again."
        )
    if options.verify and "token" not in options.verify.names:
        raise InvalidInput("verify does not use ${token}, so it has nothing to do with the new one.")
    if options.revoke.picked:
        raise InvalidInput("revoke.set has no meaning: no step comes after it.")
    _check_order(options)
    check_addresses(options, params)
    return options


def _listing(given: Params) -> Listing:
    told = {name: source_from(given[name], f"list.{name}") for name in _TOLD if given[name] is not None}
    if given["limit"] is not None and given["limit"] < 1:
        raise InvalidInput("list.limit must be at least 1.")
    # A list that is not there must not look like one that is empty: tokens in use would seem to be gone.
    lookup = dataclasses.replace(lookup_from(given, "list"), null_is_none=False)
    return Listing(lookup, told, given["limit"])


def _check_order(options: TokenOptions) -> None:
    """Which names are known where."""
    picked = options.listed | options.mint.picked.keys()
    session = check_placeholders(options, picked | _MINTED)
    in_order([options.mint], session | {"token_name"})
    check_match(options.listing.lookup, session)
    in_order([options.revoke], in_order([options.listing.lookup.step], session) | {"token_name"})
