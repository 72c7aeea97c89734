#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: meraki_vpn_user_password
short_description: Set passwords of Cisco Meraki client VPN users
version_added: 1.0.0
description:
  - Gives one or many users with Meraki authentication of a network the wanted password.
  - A user is found by its email, in any case, and its account type, both of which must match exactly one. Users that
    are absent, ambiguous, dashboard administrators or not authorized are refused before anything is written.
  - Meraki never shows a password and has no login that could be tried, so nothing can be proved.
    RV(rotations[].verified) is always V(false).
extends_documentation_fragment:
  - keyturn.credentials.meraki
  - keyturn.credentials.wire
  - keyturn.credentials.attributes
  - keyturn.credentials.attributes.actiongroup_meraki
options:
  email:
    description:
      - The user's email. Upper and lower case are the same.
      - Mutually exclusive with O(users).
    type: str
  password:
    description:
      - The password that the user shall have. Meraki documents no rules for it; what it says of a password that it
        refuses is in RV(rotations[].msg).
      - Required with O(email).
    type: str
  old_password:
    description:
      - The password that the user has now, as far as the caller knows. Only compared with O(password), never sent.
    type: str
  recovered:
    description:
      - That an earlier run may have set this password already, so that every doubt must end. Unless it is seen to be in
        force, it is set again, and counts by the acknowledgement of Meraki.
    type: bool
    default: false
  users:
    description:
      - Many users of the network, for one request that lists them and one request for each. One that fails does not
        stop the others.
    type: list
    elements: dict
    suboptions:
      email:
        description: As O(email).
        type: str
        required: true
      password:
        description: As O(password).
        type: str
      old_password:
        description: As O(old_password).
        type: str
      recovered:
        description: As O(recovered).
        type: bool
        default: false
  account_type:
    description:
      - The account type that the users must have. One email may have an account of each type.
    type: str
    choices: [Client VPN, 802.1X, Guest]
    default: Client VPN
  update_password:
    description:
      - V(if_different) leaves a user alone whose O(old_password) equals O(password). That is what the caller says;
        Meraki cannot be asked. Without O(old_password) the password is set.
      - V(always) sets the password.
    type: str
    choices: [if_different, always]
    default: if_different
  require_authorized:
    description:
      - Refuse users without an authorization that is in force, for whom a password would be of no use.
    type: bool
    default: true
  email_password_to_user:
    description:
      - Let Meraki send the new password to the user by email, in clear. A request that is repeated may send it twice.
    type: bool
    default: false
notes:
  - Set C(pipelining=true). Without it, Ansible writes the module's arguments, passwords included, to a temporary file.
  - Users are neither created nor deleted, and nothing but the password is sent.
  - Action batches are not used. Their bodies, passwords included, can be read later by every administrator.
seealso:
  - module: keyturn.credentials.keeper_rotation
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Set the password of a client VPN user
  keyturn.credentials.meraki_vpn_user_password:
    api_key: "{{ meraki_api_key }}"
    network_id: N_24329156
    email: miles@example.com
    password: "{{ new_password }}"
    old_password: "{{ present_password }}"

- name: Set many users' passwords in a network in Canada
  keyturn.credentials.meraki_vpn_user_password:
    api_key: "{{ meraki_api_key }}"
    api_url: https://api.meraki.ca/api/v1
    network_id: L_646829496481105433
    update_password: always
    users: "{{ wanted_users }}"
"""

RETURN = r"""
rotations:
  description: One entry per user, in the order of the input.
  returned: always, after argument validation
  type: list
  elements: dict
  contains:
    email:
      description: The user as named in the input.
      type: str
      returned: always
    changed:
      description: Whether Meraki has acknowledged the new password in this run.
      type: bool
      returned: always
    verified:
      description: Always V(false), because Meraki's passwords can only be written.
      type: bool
      returned: always
    verify_skipped_reason:
      description: Why RV(rotations[].verified) is V(false).
      type: str
      returned: when the user was found
      sample: write_only
    in_force:
      description:
        - Whether Meraki holds the password. V(true) if it was seen or acknowledged, V(false) if it is certain that
          it does not.
      type: bool
      returned: when it is known
    everybody:
      description: V(true) where the failure is the administrator's, so that no other user was tried.
      type: bool
      returned: on such a failure
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
    refusal_code:
      description: The HTTP status with which Meraki refused.
      type: int
      returned: when Meraki refused the change
      sample: 400
    network_id:
      description: The network.
      type: str
      returned: when the user was found
    user:
      description: What Meraki shows of the user.
      type: dict
      returned: when the user was found
      contains:
        id:
          description: Meraki's identifier of the user.
          type: str
          returned: always
        email:
          description: The email as Meraki writes it.
          type: str
          returned: always
        name:
          description: The user's name.
          type: str
          returned: always
        account_type:
          description: The account type.
          type: str
          returned: always
          sample: Client VPN
        is_admin:
          description: Whether the user is a dashboard administrator.
          type: bool
          returned: always
        authorized:
          description: Whether any authorization of the user is in force.
          type: bool
          returned: always
        expires_at:
          description: When the last authorization ends; null if one has no end or there is none.
          type: str
          returned: always
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
from ansible_collections.keyturn.credentials.plugins.module_utils._meraki.meraki_vpn_user_password import SPEC, run


def main() -> t.NoReturn:
    run_module(SPEC, run)


if __name__ == "__main__":
    main()
