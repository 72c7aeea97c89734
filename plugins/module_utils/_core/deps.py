# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private to this collection: names and behaviour may change in any release.

"""Optional Python libraries, imported when they are needed and named when they are absent."""

from __future__ import annotations

import importlib
import re
import sys
import types

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import MissingDependency


def require(module: str, *, package: str, minimum: str | None = None) -> types.ModuleType:
    """Import C(module) of the Python package C(package).

    Raises MissingDependency when it is absent, broken, or older than the version C(minimum).
    """
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # a broken native library raises anything
        raise MissingDependency(
            f"The Python library {package} cannot be imported ({type(error).__name__}) by {sys.executable}. "
            f"Install it there: pip install '{package}{'>=' + minimum if minimum else ''}'."
        ) from None
    if minimum is not None:
        found = installed_version(package)
        if _numbers(found) < _numbers(minimum):
            raise MissingDependency(
                f"The Python library {package} is version {found} in {imported.__file__}; {minimum} or newer is needed."
            )
    return imported


def installed_version(package: str) -> str:
    """The version of an installed package, '0' if its metadata is missing."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "0"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
