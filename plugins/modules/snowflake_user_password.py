#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: snowflake_user_password
short_description: Set passwords of Snowflake users, proved by a login
version_added: 1.0.0
description:
  - Gives one or many users of a Snowflake account the wanted password, and proves it by logging in with it.
  - The users are described first. A user of C(TYPE=SERVICE) or C(TYPE=SERVICE_AGENT) cannot hold a password and is
    refused.
  - The old password is not needed and never tried. At most one login with the new password is made before the change
    and one after it, because five failed logins lock a user.
extends_documentation_fragment:
  - keyturn.credentials.snowflake
  - keyturn.credentials.attributes
  - keyturn.credentials.attributes.actiongroup_snowflake
options:
  name:
    description:
      - The user. Follows SQL, V(etl_svc) is C(ETL_SVC), and V("Mixed Case") in double quotes is exact.
      - A name that is no valid bare identifier, such as an email address, is taken exactly.
      - Mutually exclusive with O(users).
    type: str
  password:
    description:
      - The password that the user shall have, 8 to 256 characters.
      - Required with O(name), except in check mode, where a password that is still to be made may be absent.
    type: str
  recovered:
    description:
      - That an earlier run may have set this password already, so that every doubt must end. Unless a login with it
        opens a session, it is set again, and counts by Snowflake's acknowledgement, whatever a login then says.
    type: bool
    default: false
  users:
    description:
      - Many users, handled with one login of the administrator. One that fails does not stop the others.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      password:
        description: As O(password).
        type: str
      recovered:
        description: As O(recovered).
        type: bool
        default: false
  update_password:
    description:
      - V(if_different) first logs in as the user with the wanted password. Accepted means unchanged, a wrong password
        leads to the change, and any other answer fails the user without a change.
      - With V(if_different), a disabled or locked user fails, because no login can tell.
      - V(always) sets the password without asking. If Snowflake then calls it a prior password, the user fails, unless
        it turns out to be the present one.
    type: str
    choices: [if_different, always]
    default: if_different
  verify:
    description:
      - Log in as the user with the new password after it was set.
      - Costs one login. A wrong password fails the user with V(verify_failed), and nothing is rolled back. An answer
        that says neither, as for multi-factor authentication or a network policy, leaves RV(rotations[].verified)
        V(false) with the reason.
    type: bool
    default: true
  must_change_password:
    description:
      - Whether the user must change the password at the next login. Left alone when not set.
    type: bool
  unlock:
    description:
      - Clear a temporary lock after failed logins, before anything else. A disabled user stays disabled.
    type: bool
    default: false
notes:
  - Set C(pipelining=true). Without it, Ansible writes the module's arguments, passwords included, to a temporary file.
  - A login that says that the password must be changed, or that the role is not granted, counts as the right password,
    with RV(rotations[].verified) V(false). For people who must use multi-factor authentication, set
    O(update_password=always). Whether Snowflake looks at their password before it asks for more is not documented.
seealso:
  - module: keyturn.credentials.keeper_rotation
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Set the password of a user, proved by a login
  keyturn.credentials.snowflake_user_password:
    account: myorg-account1
    login_user: ROTATOR
    login_private_key_path: /etc/keyturn/rotator.p8
    login_role: USER_ROTATOR
    name: reporting
    password: "{{ new_password }}"

- name: Set many users' passwords with one login of the administrator
  keyturn.credentials.snowflake_user_password:
    account: myorg-account1
    login_user: ROTATOR
    login_token: "{{ rotator_token }}"
    login_authenticator: programmatic_access_token
    users: "{{ wanted_users }}"
"""

RETURN = r"""
rotations:
  description: One entry per user, in the order of the input.
  returned: always, after argument validation
  type: list
  elements: dict
  contains:
    name:
      description: The user as named in the input.
      type: str
      returned: always
    changed:
      description: Whether anything of the user was changed.
      type: bool
      returned: always
    verified:
      description: Whether a login with the password succeeded in this run.
      type: bool
      returned: always
    verify_skipped_reason:
      description: Why RV(rotations[].verified) is V(false) though nothing failed.
      type: str
      returned: when not verified and not failed
      sample: mfa_required
    failed:
      description: Whether the user failed.
      type: bool
      returned: always
    error_code:
      description: What kind of failure it was.
      type: str
      returned: on failure
      sample: not_found
    msg:
      description: What failed, what state things are in, and what to do.
      type: str
      returned: on failure
    left:
      description:
        - What the failure left behind on the service. V(untouched) is nothing new, V(changed) something that was
          acknowledged, and V(unknown) what nobody could see.
      type: str
      returned: on failure
      sample: untouched
    retry_safe:
      description: Whether running the same task again cannot damage anything and may succeed.
      type: bool
      returned: on failure
    in_force:
      description:
        - Whether Snowflake holds the password. V(true) if it was seen, or was acknowledged and nothing contradicts
          it. V(false) if it is certain that Snowflake has not got it.
      type: bool
      returned: when it is known
    everybody:
      description: V(true) where the failure is the administrator's, so that no other user was tried.
      type: bool
      returned: on such a failure
    refusal_code:
      description: Snowflake's error number.
      type: int
      returned: when Snowflake refused a statement
    refusal_reason:
      description: Snowflake's own token for why its password policy refused.
      type: str
      returned: when the password policy refused
      sample: PRIOR_USE
    login_name:
      description: The name that the user logs in with.
      type: str
      returned: when the user could be described
    user_type:
      description: The user's TYPE.
      type: str
      returned: when the user could be described
    password_last_set_time:
      description: When the password was last set, as Snowflake writes it.
      type: str
      returned: when the user could be described
error_code:
  description: The kind of failure that all failed users share.
  type: str
  returned: on failure, when they share one
left:
  description: What all failed users left behind.
  type: str
  returned: on failure, when it is the same
retry_safe:
  description: Whether running the same task again cannot damage anything and may succeed.
  type: bool
  returned: on failure
"""

import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.module import run_module
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_password import SPEC, run


def main() -> t.NoReturn:
    run_module(SPEC, run)


if __name__ == "__main__":
    main()
