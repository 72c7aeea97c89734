#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: keeper_rotation
short_description: Stage, commit or discard a new secret in Keeper records
version_added: 1.0.0
description:
  - The vault's half of a rotation. The new secret is saved in the record before the service is touched, and moves to
    its normal field after the service has it. At every instant the live secret is in one of the two.
  - A run that dies in between is finished by the next one, because a pending secret is used again and never replaced.
  - Every update is guarded by the record's revision and read back. Other people's edits of the record are kept.
  - One read is shared by all records, as is one reading back.
extends_documentation_fragment:
  - keyturn.credentials.keeper
  - keyturn.credentials.attributes
options:
  record:
    description:
      - A record's UID or its title, which must be unique. Mutually exclusive with O(records).
    type: str
  records:
    description:
      - Many records, by UID or title. One that fails does not stop the others. One that is named twice is worked on
        once, and its further entries repeat the first.
    type: list
    elements: str
  state:
    description:
      - V(announced) makes sure that a due record names a token that a service shall mint, and returns that name. Nobody
        can stage what a service will invent, so its name is saved before the service is asked. Of a run that died, the
        next one gets the name in RV(rotations[].orphans), to revoke it, and announces another.
      - V(staged) makes sure that a due record has a pending secret, and returns it. With O(secret) or O(secrets) it
        saves as pending what a service has minted under the announced name.
      - V(committed) moves the pending secret to the normal field. Without one, the record is left alone, and that is an
        error unless O(rotation_id) names the rotation that was committed last.
      - V(delivered) takes O(consumer) out of those that are still to be told of the rotation O(rotation_id).
      - V(discarded) drops the pending secret. Use it only after the service definitely refused that secret.
    type: str
    choices: [announced, staged, committed, discarded, delivered]
    required: true
  credential:
    description:
      - V(password) is kept in the record's password field, and so is a token that a service has minted.
      - V(key_pair) is kept in the record's C(keyPair) field, else in its secret field C(privatePEMKey).
    type: str
    choices: [password, key_pair]
    default: password
  password_policy:
    description:
      - What a generated password looks like. What nobody says meets Snowflake's own policy.
      - A record may have a policy of its own in its custom field C(rotation_password_policy), a JSON mapping of the
        same names. The narrowest of it, this option and O(service_password_policy) counts, which is the longest
        O(password_policy.length), the shortest O(password_policy.max_length), the largest of each minimum, and only
        such special characters as all allow. Where they contradict one another, the record fails with
        C(invalid_input) before anything is staged.
    type: dict
    suboptions: &policy
      length:
        description: Number of characters, 8 to 256. Without it, 32, or O(password_policy.max_length) if that is less.
        type: int
      max_length:
        description: At most so many characters.
        type: int
      min_upper:
        description: At least so many upper-case letters. Without it, 2.
        type: int
      min_lower:
        description: At least so many lower-case letters. Without it, 2.
        type: int
      min_digits:
        description: At least so many digits. Without it, 2.
        type: int
      min_special:
        description: At least so many special characters. Without it, 2, or none where no special character is allowed.
        type: int
      special_characters:
        description:
          - The special characters to choose from, printable ASCII. Without it, C(!#%*+-.:=?@^_~). An empty text allows
            none.
        type: str
  service_password_policy:
    description:
      - What the service takes, in the words of O(password_policy).
    type: dict
    suboptions: *policy
  secret:
    description:
      - What the service has minted, for a O(record) that was announced.
    type: str
  expires_at:
    description:
      - When that ends, an RFC 3339 time. The record then is due, too, when a quarter of its life is left.
    type: str
  token_name:
    description:
      - The name that the service has given it, where that is not the announced one.
    type: str
  secrets:
    description:
      - For each of the O(records) a dictionary with C(secret) and, where they apply, C(expires_at), C(token_name), and
        C(announced), the name that RV(rotations[].token_name) told, where the service has given another.
    type: dict
  token_prefix:
    description:
      - What the names of announced tokens begin with. A time and eight random digits follow.
    type: str
    default: KEYTURN
  key_size:
    description:
      - Bits of a generated RSA key.
    type: int
    default: 2048
  key_field:
    description:
      - The label of the secret field for the private key, for O(credential=key_pair). A record without it gets it.
        For O(credential=password), the label of the field for the password or token, which must be there.
      - Without this option, it is the record's C(keyPair) field, else C(privatePEMKey); or the password field.
    type: str
  max_age:
    description:
      - Rotate only when the record's C(rotated_at) is at least this long ago, as in V(30d). Units are s, m, h, d.
      - A time that is missing, unreadable or in the future counts as never; one without a zone is UTC. Without this
        option, every record is due.
      - An unfinished rotation is always due.
    type: str
  force:
    description:
      - Rotate whatever the age, O(rotation_not_before) and O(rotation_window). O(rotation_after) still counts.
    type: bool
    default: false
  rotation_not_before:
    description:
      - A record that is due waits until this time, as in V(2026-01-31T22:00:00Z); one without a zone is UTC.
      - This option, O(rotation_window) and O(rotation_after) are for records without a custom field of the same name.
        They hold back no secret that is pending already. A value that cannot be read is C(invalid_input).
    type: str
  rotation_window:
    description:
      - A record that is due waits until such an hour, as in V(mon-fri 22:00-04:00 Europe/Berlin), several of them with
        C(;) between. Without days, it is every day, and without a zone UTC. What ends before it starts ends on the
        next day.
    type: str
  rotation_after:
    description:
      - Another record, by UID or title, so that a pair never rotates together. The record waits while the other one has
        a pending secret, is due by O(max_age), was never rotated, or was rotated within the last hour.
      - Records that wait for one another in a circle are C(invalid_input).
      - Unless the other record is among O(records), or one of them is named by its title, it costs one more read.
    type: str
  consumers:
    description:
      - The names of those that are to be told of a new secret, besides the record's own, which stand in its custom
        field C(rotation_consumers), separated by commas or blanks.
      - V(state=committed) keeps in C(rotation_state) that they are to be told, and V(state=delivered) that one was.
      - While one of them is still to be told of a key, no further key is staged, unless with O(force), because that
        would take the place of the key that this consumer still uses.
    type: list
    elements: str
    default: []
  consumer:
    description:
      - The consumer that was told, for V(state=delivered).
    type: str
  rotation_id:
    description:
      - Names the rotation. A pending secret of another rotation is left alone, with the error C(busy), until O(lease)
        is over, and is then taken over with the same value.
      - Without it, V(staged) takes over a pending secret at once, whoever staged it, and gives the rotation a new name.
        Use one that survives a crash, or none.
      - For V(committed) and V(discarded), give what V(staged) returned as RV(rotations[].rotation_id). Then a secret
        that another run has taken over meanwhile is left to that run, with the error C(busy).
    type: str
  lease:
    description:
      - How long another rotation's pending secret is left alone.
    type: str
    default: 15m
  fields:
    description:
      - Further custom fields to write at V(state=committed), none of them secret. Give them to V(state=staged), too, so
        that a record in which one of them is of another type is refused before anything is staged.
      - A value that is exactly V(${login}) stands for the record's login, and V(${fingerprint}) for the key's.
    type: dict
    default: {}
notes:
  - The module returns secrets. Its action plugin keeps them out of Ansible's output. The registered variable holds
    them, so do not print, loop over or cache it.
  - Set C(pipelining=true), as for every module that is given a secret. The module refuses C(async).
  - Custom fields used are C(rotation_pending), C(rotation_state) and C(rotated_at), and with tokens C(token_name) and
    C(token_expires_at). Records that lack them get them.
  - A field is found by its label, of which case, blanks, C(-) and C(_) make no difference, or where it has none, by its
    type. Of two, the one that is filled is meant. A label that stands on a field of another type is C(refused), two
    places of which either may be meant are C(ambiguous), and a private key that cannot be read is C(refused), before
    anything is staged.
seealso:
  - module: keyturn.credentials.snowflake_user_password
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Have a new password ready in the record, if the present one is older than 30 days
  keyturn.credentials.keeper_rotation:
    keeper_config_file: /etc/keyturn/ksm-config.json
    record: Reporting service
    state: staged
    max_age: 30d
  register: staged

- name: Give it to the service
  keyturn.credentials.snowflake_user_password:
    account: myorg-account1
    login_user: ROTATOR
    login_private_key_path: /etc/keyturn/rotator.p8
    name: "{{ staged.login }}"
    password: "{{ staged.password }}"
  no_log: true
  # In check mode a due record has no new password yet.
  when: staged.password is defined

- name: Make it the record's password
  keyturn.credentials.keeper_rotation:
    keeper_config_file: /etc/keyturn/ksm-config.json
    record: "{{ staged.record_uid }}"
    state: committed
    rotation_id: "{{ staged.rotation_id }}"
    fields:
      account: myorg-account1
  when: staged.password is defined
"""

RETURN = r"""
rotations:
  description: One entry per record, in the order of the input. A single record's fields are repeated at the top.
  returned: always, after argument validation
  type: list
  elements: dict
  contains:
    record:
      description: The record as named in the input.
      type: str
      returned: always
    record_uid:
      description: Its UID.
      type: str
      returned: when the record was found
    title:
      description: Its title.
      type: str
      returned: when the record was found
    login:
      description: The value of its login field, empty when there is none.
      type: str
      returned: when the record was found
    rotated_at:
      description: When a rotation was last committed.
      type: str
      returned: when the record was found
    consumers:
      description: Who is to be told of a new secret.
      type: list
      elements: str
      returned: when there are some
    undelivered:
      description: Who is still to be told of the rotation that was committed last.
      type: list
      elements: str
      returned: when there are some
    committed_id:
      description: The name of that rotation.
      type: str
      returned: when somebody is still to be told of it
    note:
      description: What is odd about the record without failing it, such as a C(rotated_at) in the future.
      type: str
      returned: when there is something
    due:
      description: Whether the record is to be rotated.
      type: bool
      returned: O(state=announced) or O(state=staged)
    waiting:
      description: What a record that would else be due waits for.
      type: str
      returned: O(state=announced) or O(state=staged), when it waits
    recovered:
      description: Whether the pending secret, or the announcement, was left by an earlier run.
      type: bool
      returned: O(state=announced) or O(state=staged)
    token_name:
      description: The name that the service shall mint under, or has minted RV(rotations[].token) under.
      type: str
      returned: O(state=announced), when due and not in check mode
    minted:
      description: Whether there is a token already, pending or in the record, and none is to be made.
      type: bool
      returned: O(state=announced), if so
    announced:
      description: The same name, as long as nothing was saved under it.
      type: str
      returned: O(state=announced), when due and not in check mode
    token:
      description: >-
        The pending token, where an earlier run has saved one; of a record that is not due the present one, so that the
        one before it can be retired.
      type: str
      returned: O(state=announced), not in check mode, when there is one
    current_token_name:
      description: The name of RV(rotations[].token), else the record's C(token_name).
      type: str
      returned: O(state=announced), when it is known
    token_expires_at:
      description: The record's C(token_expires_at).
      type: str
      returned: O(state=announced), when it is known
    previous_token_names:
      description: Names of tokens that the record held before, the newest last. They may be gone long since.
      type: list
      elements: str
      returned: O(state=announced), when there are any
    orphans:
      description: Names that were announced by runs that did not come to an end. Whatever has such a name is nobody's.
      type: list
      elements: str
      returned: O(state=announced), when there are any
    pending:
      description: Whether the record holds a pending secret, as far as it was looked at.
      type: bool
      returned: O(state=committed), O(state=discarded), O(state=delivered) and with O(secrets), when it was seen
    forgotten:
      description:
        - V(true) where the record neither holds what O(secrets) gives for it nor tells its name, and nothing that was
          sent may still arrive. No later run can find it, so whoever minted it is to revoke it.
      type: bool
      returned: O(secrets), when it is so
    former_logins:
      description: >-
        Whom the pending secret may have been given to before the record's login was changed. A value that the user of
        now has not got is then not to be discarded.
      type: list
      elements: str
      returned: O(state=staged), when there are any
    rotation_id:
      description: The name of the unfinished rotation, for the commit or discard of just this one, or none.
      type: str
      returned: O(state=staged), when not failed
    password:
      description: The pending password.
      type: str
      returned: O(state=staged) and O(credential=password), when due and not in check mode
    old_password:
      description: The present password.
      type: str
      returned: O(state=staged) and O(credential=password), when due and not in check mode
    private_key:
      description: The pending private key, PKCS#8 PEM.
      type: str
      returned: O(state=staged) and O(credential=key_pair), not in check mode. The present key for a record not due
    public_key:
      description: Its public half, bare base64.
      type: str
      returned: O(state=staged) and O(credential=key_pair), when there is such a key
    fingerprint:
      description: Its fingerprint, as Snowflake shows it.
      type: str
      returned: O(state=staged) and O(credential=key_pair), when there is such a key
    current_public_key:
      description: The public half of the key in use.
      type: str
      returned: O(state=staged) and O(credential=key_pair), when due
    changed:
      description: Whether the record was changed.
      type: bool
      returned: always
    verified:
      description: Always V(false), because the vault cannot tell whether a secret logs in.
      type: bool
      returned: always
    verify_skipped_reason:
      description: V(vault_only), or V(check_mode).
      type: str
      returned: when not failed
    failed:
      description: Whether the record failed.
      type: bool
      returned: always
    error_code:
      description: What kind of failure it was.
      type: str
      returned: on failure
      sample: busy
    msg:
      description: What failed, what state things are in, and what to do.
      type: str
      returned: on failure
    left:
      description:
        - What the failure left behind in the record. V(untouched) is nothing new, V(staged) a pending secret,
          and V(unknown) what nobody could see.
      type: str
      returned: on failure
      sample: untouched
    retry_safe:
      description: Whether running the same task again cannot damage anything and may succeed.
      type: bool
      returned: on failure
    everybody:
      description: V(true) where the vault could not be asked at all, so that no record was tried.
      type: bool
      returned: on such a failure
error_code:
  description: The kind of failure that all failed records share.
  type: str
  returned: on failure, when they share one
left:
  description: What all failed records left behind.
  type: str
  returned: on failure, when it is the same
retry_safe:
  description: Whether running the same task again cannot damage anything and may succeed.
  type: bool
  returned: on failure
"""

import typing as t

from ansible_collections.keyturn.credentials.plugins.module_utils._core.module import run_module
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.keeper_rotation import run
from ansible_collections.keyturn.credentials.plugins.module_utils._keeper.rotation_options import SPEC


def main() -> t.NoReturn:
    run_module(SPEC, run, returns_secrets=True)


if __name__ == "__main__":
    main()
