# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One word, one thing: what the code tells users is in the glossary, and no name of a type has two meanings."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest

from ansible_collections.keyturn.credentials.plugins.module_utils._core.errors import Left
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_options import SPEC
from ansible_collections.keyturn.credentials.plugins.plugin_utils import _fate, _fleet, _report

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "docsite" / "rst" / "glossary.rst").read_text(encoding="utf-8")
TERMS = re.findall(r"^   (\S.*)$", PAGE.partition(".. glossary::")[2], re.MULTILINE)
TOLD = {
    "outcomes of a role": _fate.KINDS,
    "outcomes of a fleet": _fleet.OUTCOMES,
    "words of a report": _report.SHOWN,
    "fates": t.get_args(_fate.Fate),
    "what is left": t.get_args(Left),
    "states of keeper_rotation": SPEC.options["state"]["choices"],
}


@pytest.mark.parametrize("what", TOLD)
def test_what_users_are_told_is_in_the_glossary(what: str) -> None:
    stems = {re.sub(r"(ted|ed|t)?$", "", term) for term in TERMS}
    words = [word.replace("_", " ") for word in TOLD[what]]
    assert [word for word in words if word not in TERMS and word not in stems] == []


def test_the_glossary_is_in_order_and_every_word_is_used() -> None:
    assert sorted(set(TERMS)) == TERMS
    files = [path for path in (REPOSITORY / "plugins").rglob("*") if path.suffix in (".py", ".j2")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files).lower()
    assert [term for term in TERMS if not re.search(rf"\b{term.replace(' ', '[ _]')}s?\b", text)] == []


@pytest.mark.parametrize("name", ["Answer", "Kind", "Outcome", "Owner", "Proof", "Step"])
def test_a_type_has_one_meaning(name: str) -> None:
    defined = re.compile(rf"^(?:class {name}\b|{name}(?::.*)? = )", re.MULTILINE)
    files = (REPOSITORY / "plugins").rglob("*.py")
    found = [str(path.relative_to(REPOSITORY)) for path in files if defined.search(path.read_text(encoding="utf-8"))]
    assert len(found) == 1, found
