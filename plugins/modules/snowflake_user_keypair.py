#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: snowflake_user_keypair
short_description: Rotate key pairs of Snowflake users without an outage, proved by a login
version_added: 1.0.0
description:
  - Gives one or many users of a Snowflake account the wanted public key, and proves it by logging in with the private
    key.
  - The key in use is never overwritten, so that the old and the new key are valid at the same time. What is in use is
    what the caller says, compared with the fingerprints that Snowflake shows; no other state is trusted.
  - With O(method=slots), the properties C(RSA_PUBLIC_KEY) and C(RSA_PUBLIC_KEY_2) are used. With O(method=named),
    Snowflake's key pair objects, where the server keeps the grace period.
extends_documentation_fragment:
  - keyturn.credentials.snowflake
  - keyturn.credentials.attributes
  - keyturn.credentials.attributes.actiongroup_snowflake
options:
  name:
    description:
      - The user. Follows SQL, V(etl_svc) is C(ETL_SVC), and V("Mixed Case") in double quotes is exact.
      - Mutually exclusive with O(users).
    type: str
  private_key:
    description:
      - The key that the user shall have, as PEM, PKCS#8 or PKCS#1, encrypted or not. RSA of 2048 bits or more, or EC on
        P-256, P-384 or P-521.
    type: str
  private_key_path:
    description:
      - A file with that key. If it does not exist, a new RSA key is generated and saved there first, with mode 0600. An
        existing file is never overwritten.
    type: path
  public_key:
    description:
      - The public half alone, PEM or bare base64. It cannot be proved, so O(verify) must be V(false).
    type: str
  private_key_passphrase:
    description:
      - The passphrase of O(private_key), or of the file O(private_key_path). A new file is encrypted with it.
    type: str
  current_private_key:
    description:
      - The key in use now, which must stay valid.
    type: str
  current_private_key_passphrase:
    description:
      - The passphrase of O(current_private_key).
    type: str
  current_public_key:
    description:
      - The public half of the key in use now, PEM or bare base64.
    type: str
  current_fingerprint:
    description:
      - The fingerprint of the key in use now, as C(DESCRIBE USER) shows it.
    type: str
  key_pair_name:
    description:
      - The name of the key pair, required with O(method=named). Follows the rules of O(name).
    type: str
  recovered:
    description:
      - That an earlier run may have installed this key already, so that every doubt must end. Where Snowflake shows
        that it is in place, it counts as such, whatever a login then says.
    type: bool
    default: false
  install:
    description:
      - V(false) says that the key is in place already. It is proved, and the one before it retired as
        O(retire_previous_after) says. A key that is not in place fails the user, and nothing is written.
    type: bool
    default: true
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
      private_key:
        description: As O(private_key).
        type: str
      private_key_path:
        description: As O(private_key_path).
        type: path
      public_key:
        description: As O(public_key).
        type: str
      private_key_passphrase:
        description: As O(private_key_passphrase).
        type: str
      current_private_key:
        description: As O(current_private_key).
        type: str
      current_private_key_passphrase:
        description: As O(current_private_key_passphrase).
        type: str
      current_public_key:
        description: As O(current_public_key).
        type: str
      current_fingerprint:
        description: As O(current_fingerprint).
        type: str
      key_pair_name:
        description: As O(key_pair_name).
        type: str
      recovered:
        description: As O(recovered).
        type: bool
        default: false
      install:
        description: As O(install).
        type: bool
        default: true
      retire_previous_after:
        description: As O(retire_previous_after), for this user instead of it.
        type: str
  method:
    description:
      - V(slots) uses an empty slot, else the one that does not hold the key in use.
      - V(named) adds the key pair, or rotates it if it is there.
    type: str
    choices: [slots, named]
    default: slots
  rotated_key_expiry_hours:
    description:
      - How long Snowflake accepts the old key after a rotation with O(method=named). V(0) ends it at once.
    type: int
    default: 24
  on_slots_full:
    description:
      - What to do when both slots are taken and the key in use is in neither, or was not named.
      - V(replace_oldest) overwrites the key that was set first. The administrator's own key is spared.
    type: str
    choices: [fail, replace_oldest]
    default: fail
  retire_previous_after:
    description:
      - Empty the other slot once the wanted key has been in place for this long, as in V(7d). V(0h) does it at once.
      - Only after a login with the wanted key in the same run, and never the administrator's own key. The age is
        measured with Snowflake's clock, and the key that goes is looked at once more before.
    type: str
  verify:
    description:
      - Log in as the user with the wanted key, also when nothing changed. A login that is refused fails the user with
        V(verify_failed). An answer that says neither, as for a network policy, leaves RV(rotations[].verified)
        V(false) with the reason.
    type: bool
    default: true
  key_size:
    description:
      - Bits of a key that is generated for O(private_key_path).
    type: int
    default: 2048
notes:
  - Set C(pipelining=true). Without it, Ansible writes the module's arguments, keys included, to a temporary file.
  - C(DESCRIBE USER) shows times in the session's time zone, which the module sets to UTC.
seealso:
  - module: keyturn.credentials.keeper_rotation
  - module: keyturn.credentials.snowflake_user_password
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Give a service user a new key, next to the one in use
  keyturn.credentials.snowflake_user_keypair:
    account: myorg-account1
    login_user: ROTATOR
    login_private_key_path: /etc/keyturn/rotator.p8
    name: etl_svc
    private_key: "{{ new_key }}"
    current_public_key: "{{ old_public_key }}"

- name: The same with a key file that is made if it is missing, and the old key emptied after a week
  keyturn.credentials.snowflake_user_keypair:
    account: myorg-account1
    login_user: ROTATOR
    login_private_key_path: /etc/keyturn/rotator.p8
    name: etl_svc
    private_key_path: /etc/etl/snowflake.p8
    retire_previous_after: 7d

- name: Rotate a named key pair; Snowflake accepts the old key for another day
  keyturn.credentials.snowflake_user_keypair:
    account: myorg-account1
    login_user: ROTATOR
    login_private_key_path: /etc/keyturn/rotator.p8
    name: etl_svc
    private_key: "{{ new_key }}"
    method: named
    key_pair_name: etl
"""

RETURN = r"""
rotations:
  description:
    - One entry per user, in the order of the input. A single user's fields are repeated at the top.
    - An entry also has C(keys), a list of all keys that the user has now, as far as O(method) uses them, when the user
      could be described. Jinja takes C(entry.keys) for a method, so write C(entry['keys']).
  returned: always, after argument validation
  type: list
  elements: dict
  contains:
    name:
      description: The user as named in the input.
      type: str
      returned: always
    changed:
      description: Whether a key of the user, or the key file, was changed.
      type: bool
      returned: always
    verified:
      description: Whether a login with the private key succeeded in this run.
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
        - Whether Snowflake holds the key. V(true) if it was seen, or was acknowledged and nothing contradicts it.
          V(false) if it is certain that Snowflake has not got it.
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
    login_name:
      description: The name that the user logs in with.
      type: str
      returned: when the user could be described
    account:
      description: The account.
      type: str
      returned: when the user could be described
    fingerprint:
      description: The fingerprint of the wanted key.
      type: str
      returned: when the user could be described
    slot:
      description: The slot that holds it, 1 or 2.
      type: int
      returned: with O(method=slots), when the user could be described
    key_pair_name:
      description: The name under which Snowflake keeps it.
      type: str
      returned: with O(method=named), when the user could be described
    previous_fingerprint:
      description: The fingerprint of the key that was in use before.
      type: str
      returned: when the user could be described
    evicted_fingerprint:
      description: The fingerprint of the key that was overwritten or retired.
      type: str
      returned: when the user could be described
    rotated_at:
      description: When the wanted key was set, as Snowflake writes it.
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
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.key_options import SPEC
from ansible_collections.keyturn.credentials.plugins.module_utils._snowflake.snowflake_user_keypair import run


def main() -> t.NoReturn:
    run_module(SPEC, run)


if __name__ == "__main__":
    main()
