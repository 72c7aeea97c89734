# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Argument specifications that layers contribute to and a module merges."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class ArgumentSpec:
    """The keyword arguments of C(AnsibleModule) that describe options."""

    options: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)
    mutually_exclusive: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    required_one_of: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    required_together: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    required_by: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def merged(self, *others: ArgumentSpec) -> ArgumentSpec:
        """This specification and the others as one; an option that two of them define is a programming error."""
        merged = dataclasses.replace(self)
        for other in others:
            twice = merged.options.keys() & other.options.keys()
            if twice:
                raise ValueError(f"options defined twice: {', '.join(sorted(twice))}")
            merged = ArgumentSpec(
                options={**merged.options, **other.options},
                mutually_exclusive=[*merged.mutually_exclusive, *other.mutually_exclusive],
                required_one_of=[*merged.required_one_of, *other.required_one_of],
                required_together=[*merged.required_together, *other.required_together],
                required_by={**merged.required_by, **other.required_by},
            )
        return merged

    def module_arguments(self) -> dict[str, t.Any]:
        """What C(AnsibleModule) takes."""
        return {
            "argument_spec": self.options,
            "mutually_exclusive": self.mutually_exclusive,
            "required_one_of": self.required_one_of,
            "required_together": self.required_together,
            "required_by": self.required_by,
        }
