#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rest_password_rotate
short_description: Change passwords behind any REST API, proved by a login
version_added: 1.0.0
description:
  - Gives one or many users of a service the wanted password by one request each, and proves it by a login as the
    user.
  - What is sent is described by O(auth), O(lookup), O(change) and O(verify). The role
    P(keyturn.credentials.rest_password_rotate#role) has such descriptions, called recipes, for well-known services.
  - C(${name}) is a placeholder in O(headers), in C(path), C(query), C(headers) and C(body) of all requests, in the
    values of C(match) of O(lookup), and in O(auth.token_url), O(auth.scope) and O(auth.audience). Known are
    C(username), C(password), C(old_password), the names in O(vars) and O(secrets), those that an earlier step has set,
    and C(token) after a login. What O(auth) sets is not known in O(verify). The keys of a body or query hold none.
  - A value is encoded for the place where it stands, and never read again. In a JSON body, a text that is one
    placeholder and nothing else keeps its type. C(${name|backslash}) puts a backslash before backslashes and quotes,
    C(${name|base64}) encodes, C(json), C(xml) and C(url) escape for the inside of a JSON string, for XML and for an
    address, and C($${) stands for a literal C(${).
  - O(auth.username), O(auth.password), O(auth.token), O(auth.client_id) and O(auth.client_secret), and those of
    O(verify.auth), are literal unless all of the text is one placeholder.
  - Each request, with its status and what was picked of the answer, is shown with C(--diff) and C(-vvv), without
    values.
  - O(change) and O(verify) must use C(${password}). A user who is the administrator is changed last.
  - Redirects are never followed. The change is repeated only when it was certainly not processed.
extends_documentation_fragment:
  - keyturn.credentials.rest
  - keyturn.credentials.wire
  - keyturn.credentials.attributes
  - keyturn.credentials.attributes.actiongroup_rest
options:
  username:
    description:
      - The user whose password changes.
      - Mutually exclusive with O(users).
    type: str
  password:
    description:
      - The new password.
      - Required with O(username).
    type: str
  old_password:
    description:
      - The password until now, for services that ask for it and for O(rollback).
      - If it is another one than O(password), it serves as the wrong password of O(verify.control).
    type: str
  recovered:
    description:
      - That an earlier run may have set this password already, so that every doubt must end. Unless it is seen to be in
        force, it is set again, and counts by the acknowledgement of the service.
    type: bool
    default: false
  users:
    description:
      - Many users, handled with one login of the administrator. One that fails does not stop the others.
    type: list
    elements: dict
    suboptions:
      username:
        description: As O(username).
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
  change:
    description:
      - The one write.
    type: dict
    required: true
    suboptions:
      method:
        description:
          - The HTTP method.
        type: str
        required: true
      path:
        description:
          - Appended to O(url), and begins with a slash. Empty means O(url) itself.
          - A full address replaces O(url) for this request, under the same rules.
        type: str
        default: ""
      query:
        description:
          - Query parameters, each a text, number, truth value or a list of them. The module encodes them.
        type: dict
      headers:
        description:
          - Headers of this request only. They win over O(headers).
        type: dict
      body:
        description:
          - A mapping or a list, or a text with C(body_format=text). Without it, no body is sent.
        type: raw
      body_from:
        description:
          - Exactly one placeholder of an object. The body is that object with C(body) merged over it (RFC 7396),
            for services whose PUT replaces the whole. A null in C(body) removes a key.
        type: str
      body_format:
        description:
          - How the body is encoded. V(text) sends it as it is, with the placeholders filled in.
        type: str
        choices: [json, form, text]
        default: json
      set:
        description:
          - Names for placeholders of the steps after this one. Each is a JMESPath in the answer, or a mapping with one
            of C(json), C(header), C(cookie) and C(text), a regular expression with one group; C(default) in it stands
            for a value that is missing. Refused here, where no step comes after it.
        type: dict
      status:
        description:
          - The exact statuses that mean yes. Nothing else does.
        type: list
        elements: int
        required: true
      fail_if:
        description:
          - JMESPath over the answer. If it is true, the answer means no in spite of its status.
          - An answer that is not JSON is a text of at most 64 KiB here, and an empty one is judged by its status.
          - If it gives a text, that text is in the message, without secrets and cut to 300 characters.
        type: str
      auth_failed_if:
        description:
          - As C(fail_if), for a login that has failed or ended.
        type: str
      not_found_if:
        description:
          - As C(fail_if), for a user who does not exist.
        type: str
      not_found:
        description:
          - The statuses that mean that there is no such user.
        type: list
        elements: int
        default: [404]
      reason:
        description:
          - JMESPath to the service's own words for a no, which are in the message, without secrets and cut to 300
            characters. Without it, the usual places are looked at.
        type: str
  update_password:
    description:
      - V(if_different) first logs in with the wanted password (see also O(verify.control)). Accepted means unchanged,
        rejected leads to the change, and any other answer fails the user without a change.
      - Without O(verify), V(if_different) takes the user as unchanged only if O(old_password) equals O(password).
      - V(always) changes without asking.
    type: str
    choices: [if_different, always]
    default: if_different
  rollback:
    description:
      - V(old_password) sends the change again with the passwords swapped, if the service acknowledged the change and
        then rejects the new password. The user fails with V(verify_failed) all the same.
      - Needs O(verify) and O(old_password).
    type: str
    choices: [none, old_password]
    default: none
  verify_parallel:
    description:
      - How many users of O(users) are proved at the same time after their changes, from V(1) to V(10), each by a
        connection and cookies of its own. Changes, and logins before them, are made one after the other.
      - For services that are far away, where each login is mostly waiting. Leave it at V(1) where many logins from one
        address are slowed down or locked.
    type: int
    default: 1
notes:
  - Set C(pipelining=true). Without it, Ansible writes the module's arguments, passwords included, to a temporary
    file.
  - Write secrets into O(secrets) and name them by placeholders. Literal ones in C(headers), C(query) or C(body) show
    up with C(-vvv).
seealso:
  - module: keyturn.credentials.keeper_rotation
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Change a password in Grafana, proved by a login
  keyturn.credentials.rest_password_rotate:
    url: https://grafana.example.com
    username: reporting
    password: "{{ new_password }}"
    secrets:
      admin_password: "{{ grafana_admin_password }}"
    auth:
      type: basic
      username: admin
      password: ${admin_password}
    lookup:
      path: /api/users/lookup
      query:
        loginOrEmail: ${username}
      match:
        login: ${username}
      set:
        id: id
    change:
      method: PUT
      path: /api/admin/users/${id}/password
      body:
        password: ${password}
      status: [200]
    verify:
      path: /api/user
      auth:
        type: basic
        username: ${username}
        password: ${password}

- name: Change many passwords by an API that cannot be asked, with a token from a login
  keyturn.credentials.rest_password_rotate:
    url: https://host.example.com/api
    users: "{{ wanted_users }}"
    secrets:
      admin_password: "{{ api_admin_password }}"
    auth:
      type: login
      path: /login
      body:
        name: admin
        password: ${admin_password}
      token_path: token
      prefix: Bearer
    change:
      method: POST
      path: /users/${username}/password
      body:
        old: ${old_password}
        new: ${password}
      status: [204]
"""

RETURN = r"""
rotations:
  description: One entry per user, in the order of the input.
  returned: always, after argument validation
  type: list
  elements: dict
  contains:
    username:
      description: The user as named in the input.
      type: str
      returned: always
    changed:
      description: Whether the service acknowledged a change, or was seen to have made it.
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
      sample: no_verify
    in_force:
      description:
        - Whether the service holds the password. V(true) if it was seen or acknowledged, V(false) if it is certain
          that it does not.
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
    status:
      description: The HTTP status of an answer that is not among those that mean yes.
      type: int
      returned: when that is why the user failed
      sample: 403
    rolled_back:
      description: Whether the service acknowledged the old password again.
      type: bool
      returned: when a roll-back was tried
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
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.rest_password_rotate import run
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import SPEC


def main() -> t.NoReturn:
    run_module(SPEC, run)


if __name__ == "__main__":
    main()
