# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of module_utils/_rotation/token_options.py."""

    DOCUMENTATION = r"""
options:
  announced:
    description:
      - The name under which the new token is made. Whoever saves it first can find the token again after a crash.
      - Without it, the module makes a name of O(token_name), the time and a random part.
    type: str
  token:
    description:
      - A token that exists already. None is made; it is proved, and then what O(previous_token_names) names is retired.
      - Goes with O(current_token_name).
    type: str
  minted:
    description:
      - That a token of the name O(current_token_name) exists already, and none is to be made. It follows from O(token),
        which may then be left out in check mode.
      - Without O(current_token_name), nothing but the removal of O(orphans) is done.
    type: bool
    default: false
  current_token_name:
    description:
      - The name of O(token), and without one, that of the token in use, which is never removed.
    type: str
  recovered:
    description:
      - That an earlier run may have made a token under the name O(announced), whose secret is lost. It is removed
        first.
      - With O(token), that an earlier run has saved it and could not finish. A token that is refused now is given up.
    type: bool
    default: false
  orphans:
    description:
      - Names that earlier runs announced and whose secrets are lost. Those that are listed are removed at once.
    type: list
    elements: str
    default: []
  previous_token_names:
    description:
      - Names of tokens that were in use before. Only these are ever retired.
    type: list
    elements: str
    default: []
  token_name:
    description:
      - How the names begin that the module makes.
    type: str
    default: KEYTURN
  retire_previous_after:
    description:
      - Remove the previous tokens once the token in use has existed for this long, as in V(7d). V(0h) does it at once.
      - Only with O(token), and after a login with it in the same run. Ages are measured with the service's clock, and
        what goes is looked at once more before.
    type: str
    default: 24h
"""

    VERIFY = r"""
options:
  verify:
    description:
      - Log in with the token. A login that is refused fails with V(verify_failed), and the new token is returned all
        the same, because it may only be late. An answer that says neither leaves RV(rotations[].verified) V(false) with
        the reason.
    type: bool
    default: true
"""
