#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: snowflake_user_token
short_description: Rotate programmatic access tokens of Snowflake users without an outage, proved by a login
version_added: 1.0.0
description:
  - Has Snowflake make a new programmatic access token for one or many users, next to those in use, and proves it by
    logging in with it.
  - Nothing is rotated in place with a countdown. The old token works until the new one is known to be saved and to
    work, and is removed in a later call.
  - Only tokens that the options name are ever removed. Where Snowflake allows no more of them, nothing is evicted.
  - The new token is in the result, which is why Ansible shows nothing of it. Register it, and save it at once.
extends_documentation_fragment:
  - keyturn.credentials.snowflake
  - keyturn.credentials.tokens
  - keyturn.credentials.tokens.verify
  - keyturn.credentials.attributes
  - keyturn.credentials.attributes.actiongroup_snowflake
options:
  name:
    description:
      - The user. Follows SQL, V(etl_svc) is C(ETL_SVC), and V("Mixed Case") in double quotes is exact.
      - Mutually exclusive with O(users).
    type: str
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
      announced:
        description: As O(announced).
        type: str
      token:
        description: As O(token).
        type: str
      minted:
        description: As O(minted).
        type: bool
        default: false
      current_token_name:
        description: As O(current_token_name).
        type: str
      recovered:
        description: As O(recovered).
        type: bool
        default: false
      orphans:
        description: As O(orphans).
        type: list
        elements: str
        default: []
      previous_token_names:
        description: As O(previous_token_names).
        type: list
        elements: str
        default: []
      retire_previous_after:
        description: As O(retire_previous_after), for this user instead of it.
        type: str
      role_restriction:
        description: As O(role_restriction), for this user instead of it.
        type: str
      days_to_expiry:
        description: As O(days_to_expiry), for this user instead of it.
        type: int
  role_restriction:
    description:
      - The one role that the token may use. It must be granted to the user, and follows the rules of O(name).
      - Snowflake requires it for users of the types V(SERVICE), V(SERVICE_AGENT) and V(LEGACY_SERVICE), unless an
        authentication policy lifts that.
    type: str
  days_to_expiry:
    description:
      - For how many days the token works, from 1 to 365. Snowflake's own default is 15, and an authentication policy
        may allow less.
      - Must be longer than O(retire_previous_after).
    type: int
  comment:
    description:
      - A comment that Snowflake shows with the token.
    type: str
notes:
  - Set C(pipelining=true). Without it, Ansible writes the module's arguments, tokens included, to a temporary file.
  - A user needs a network policy to use such a token. Users of the types V(SERVICE) and V(LEGACY_SERVICE) need it
    already to be given one; without it, Snowflake refuses.
  - In a session that was opened by a token of the same user, Snowflake lets nobody change that user's tokens. Such a
    user is refused, and nothing of it is retired.
  - Snowflake allows 15 tokens per user. Disabled ones count, expired ones do not.
  - The login with a token needs snowflake-connector-python >= 3.13; with 3.12, O(verify) must be V(false).
seealso:
  - module: keyturn.credentials.keeper_rotation
  - module: keyturn.credentials.snowflake_user_keypair
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Give a service user a new token, next to the one in use
  keyturn.credentials.snowflake_user_token:
    account: myorg-account1
    login_user: ROTATOR
    login_private_key_path: /etc/keyturn/rotator.p8
    name: etl_svc
    role_restriction: etl_role
    days_to_expiry: 60
    current_token_name: "{{ name_of_the_old_one }}"
  register: minted

- name: Save it (any vault will do), then prove it once more and remove the old one after a week
  keyturn.credentials.snowflake_user_token:
    account: myorg-account1
    login_user: ROTATOR
    login_private_key_path: /etc/keyturn/rotator.p8
    name: etl_svc
    days_to_expiry: 60
    token: "{{ saved_token }}"
    current_token_name: "{{ saved_name }}"
    previous_token_names: ["{{ name_of_the_old_one }}"]
    retire_previous_after: 7d
"""

RETURN = r"""
rotations:
  description: One entry per user, in the order of the input. A single user's fields are repeated at the top.
  returned: always, after argument validation
  type: list
  elements: dict
  contains:
    name:
      description: The user as named in the input.
      type: str
      returned: always
    changed:
      description: Whether a token of the user was made or removed.
      type: bool
      returned: always
    verified:
      description: Whether a login with the token succeeded in this run.
      type: bool
      returned: always
    verify_skipped_reason:
      description: Why RV(rotations[].verified) is V(false) though nothing failed.
      type: str
      returned: when not verified and not failed
    failed:
      description: Whether the user failed.
      type: bool
      returned: always
    error_code:
      description: What kind of failure it was.
      type: str
      returned: on failure
      sample: slots_full
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
        - Whether Snowflake holds the token. V(true) if it was listed or acknowledged and nothing contradicts it.
          V(false) if it is certain that no such token is there, or that it does not work.
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
      description: What the refusal speaks of, for example V(NETWORK_POLICY).
      type: str
      returned: when Snowflake refused a statement and said why
    token:
      description: The new token. It is returned whenever Snowflake has made it, also on failure.
      type: str
      returned: when this call made it
    token_name:
      description: The name of the token.
      type: str
      returned: when the user could be described
    created_at:
      description: When the token was made, by Snowflake's clock (RFC 3339).
      type: str
      returned: when the user could be described
    expires_at:
      description: When it ends (RFC 3339).
      type: str
      returned: when the user could be described
    previous_token_name:
      description: The newest of the tokens that were in use before and are listed.
      type: str
      returned: when the user could be described
    retired_token_names:
      description: The previous tokens that this run removed, or would remove.
      type: list
      elements: str
      returned: when the user could be described
    removed_orphans:
      description: The tokens without a known secret that this run removed, or would remove.
      type: list
      elements: str
      returned: when the user could be described
    tokens:
      description: All tokens of the user that are listed now, without their secrets.
      type: list
      elements: dict
      returned: when the user could be described
    login_name:
      description: The name that the user logs in with.
      type: str
      returned: when the user could be described
    user_type:
      description: The type of the user.
      type: str
      returned: when the user could be described
    account:
      description: The account.
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
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_token import SPEC, run


def main() -> t.NoReturn:
    run_module(SPEC, run, returns_secrets=True)


if __name__ == "__main__":
    main()
