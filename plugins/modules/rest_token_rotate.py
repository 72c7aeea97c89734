#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rest_token_rotate
short_description: Rotate tokens and keys that a REST service makes, without an outage, proved by a login
version_added: 1.0.0
description:
  - Has a service make a new token for one or many users, next to those in use, and proves it by a login. The old one
    works until the new one is known to be saved and to work, and is removed in a later call.
  - What is sent is described by O(auth), O(lookup), O(mint), O(list), O(revoke) and O(verify), in the steps of
    M(keyturn.credentials.rest_password_rotate), whose rules for placeholders hold here, too.
  - Known are C(username), C(password), C(current_token), the names in O(vars) and O(secrets), and those that an earlier
    step has set; C(token_name) in O(mint), O(revoke) and O(verify); C(token), the one to prove, in O(verify); and what
    O(list.set) picks in O(revoke) and O(verify).
  - Only tokens that the options name are ever removed.
  - The new token is in the result, which is why Ansible shows nothing of it. Register it, and save it at once.
extends_documentation_fragment:
  - keyturn.credentials.rest
  - keyturn.credentials.tokens
  - keyturn.credentials.wire
  - keyturn.credentials.attributes
  - keyturn.credentials.attributes.actiongroup_rest
options:
  username:
    description:
      - The user whose token it is.
      - Mutually exclusive with O(users).
    type: str
  password:
    description:
      - The user's own password, for services where users make their tokens themselves.
    type: str
  current_token:
    description:
      - The token in use, for services where it asks for its successor. O(token), unless given.
    type: str
  known:
    description:
      - The names that were listed before the announcement. What is listed besides them, and is neither in use nor in
        O(previous_token_names), was made by the run that O(recovered) speaks of, and is removed.
      - For services that give the names. Ignored where O(mint) uses C(${token_name}). Without it, nothing unknown is
        removed.
    type: list
    elements: str
  users:
    description:
      - Many users, handled with one session. One that fails does not stop the others.
    type: list
    elements: dict
    suboptions:
      username:
        description: As O(username).
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
      password:
        description: As O(password).
        type: str
      current_token:
        description: As O(current_token).
        type: str
      known:
        description: As O(known).
        type: list
        elements: str
  mint:
    description:
      - Makes a new token. Asked once; never repeated unless it was certainly not processed.
      - It uses C(${token_name}), or tells by O(mint.name) which name the service has given.
    type: dict
    required: true
    suboptions:
      token:
        description:
          - Where the new token is in the answer, as in C(set).
        type: raw
        required: true
      name:
        description:
          - Where the answer tells what O(list.name) will pick of this token, for services that give the names.
        type: raw
      method:
        description: The HTTP method.
        type: str
        default: POST
      path: &path
        description:
          - Appended to O(url), and begins with a slash. Empty means O(url) itself.
          - A full address replaces O(url) for this request, under the same rules.
        type: str
        default: ""
      query: &query
        description:
          - Query parameters, each a text, number, truth value or a list of them. The module encodes them.
        type: dict
      headers: &headers
        description:
          - Headers of this request only. They win over O(headers).
        type: dict
      body: &body
        description:
          - A mapping or a list, or a text with C(body_format=text). Without it, no body is sent.
        type: raw
      body_from: &body_from
        description:
          - Exactly one placeholder of an object. The body is that object with C(body) merged over it (RFC 7396),
            for services whose PUT replaces the whole. A null in C(body) removes a key.
        type: str
      body_format: &body_format
        description:
          - How the body is encoded. V(text) sends it as it is, with the placeholders filled in.
        type: str
        choices: [json, form, text]
        default: json
      set:
        description:
          - Names for placeholders of O(verify), as in O(list.set).
        type: dict
      status:
        description: The exact statuses that mean yes. Nothing else does.
        type: list
        elements: int
        default: [200, 201]
      fail_if: &fail_if
        description:
          - JMESPath over the answer. If it is true, the answer means no in spite of its status.
          - An answer that is not JSON is a text of at most 64 KiB here, and an empty one is judged by its status.
          - If it gives a text, that text is in the message, without secrets and cut to 300 characters.
        type: str
      auth_failed_if: &auth_failed_if
        description:
          - As C(fail_if), for a login that has failed or ended.
        type: str
      not_found_if: &not_found_if
        description:
          - As C(fail_if), for a user who does not exist.
        type: str
      not_found: &not_found
        description:
          - The statuses that mean that there is no such user.
        type: list
        elements: int
        default: [404]
      reason: &reason
        description:
          - JMESPath to the service's own words for a no, which are in the message, without secrets and cut to 300
            characters. Without it, the usual places are looked at.
        type: str
  list:
    description:
      - Lists the tokens of a user, all of them, with the time when they were made.
      - The list is read anew before each removal, and after each request without a clear answer.
    type: dict
    required: true
    suboptions:
      items:
        description:
          - JMESPath to the list of tokens in the answer. If it picks null, the user fails, because tokens that are in
            use would seem to be gone.
        type: str
        default: "@"
      match:
        description: JMESPath in an item, and the value that it must give. Items that differ are not looked at.
        type: dict
      case_insensitive:
        description: Whether O(list.match) ignores case.
        type: bool
        default: false
      name:
        description:
          - Where the name of a token is in an item, as in C(set). A number counts as a text.
        type: raw
        default: name
      created:
        description:
          - Where an item tells when it was made, in RFC 3339 or as seconds or milliseconds since 1970. Without it, the
            time in a name of ours counts.
        type: raw
      expires:
        description: Where an item tells when it ends, likewise. It may be a date; what names no zone is UTC.
        type: raw
      active:
        description: Where an item tells whether it works.
        type: raw
      limit:
        description: How many tokens a user may have. One more is C(slots_full), and nothing is evicted.
        type: int
      next:
        description: How the next page is found.
        type: dict
        suboptions:
          link:
            description: Whether the header C(Link) with C(rel=next) tells it.
            type: bool
          url:
            description: JMESPath to its address.
            type: str
          cursor:
            description: JMESPath to the value of O(list.next.param).
            type: str
          header:
            description: The header with the value of O(list.next.param).
            type: str
          param:
            description: A query parameter; alone it counts up until a page has no items.
            type: str
          start:
            description: Where it starts to count.
            type: int
            default: 1
          step:
            description: By how much it counts.
            type: int
            default: 1
      max_pages:
        description: More pages are a failure.
        type: int
        default: 50
      method:
        description: The HTTP method.
        type: str
        default: GET
      path: *path
      query: *query
      headers: *headers
      body: *body
      body_from: *body_from
      body_format: *body_format
      set:
        description:
          - Names for placeholders of O(revoke) and O(verify), each a JMESPath in an item, or a
             mapping with one of C(json), C(header), C(cookie) and C(text), and C(default).
        type: dict
      status:
        description: The exact statuses that mean yes. Nothing else does.
        type: list
        elements: int
        default: [200]
      fail_if: *fail_if
      auth_failed_if: *auth_failed_if
      not_found_if: *not_found_if
      not_found: *not_found
      reason: *reason
  revoke:
    description:
      - Removes one token, with what O(list.set) has picked of it.
    type: dict
    required: true
    suboptions:
      method:
        description: The HTTP method.
        type: str
        default: DELETE
      path: *path
      query: *query
      headers: *headers
      body: *body
      body_from: *body_from
      body_format: *body_format
      set:
        description:
          - Refused here, where no step comes after it.
        type: dict
      status:
        description: The exact statuses that mean yes. Nothing else does.
        type: list
        elements: int
        default: [200, 201, 202, 204]
      fail_if: *fail_if
      auth_failed_if: *auth_failed_if
      not_found_if: *not_found_if
      not_found: *not_found
      reason: *reason
notes:
  - Set C(pipelining=true). Without it, Ansible writes the module's arguments, tokens included, to a temporary file.
  - Write secrets into O(secrets) and name them by placeholders. Literal ones in C(headers), C(query) or C(body) show
    up with C(-vvv).
  - Ages are measured with the C(Date) of the service's answers.
  - Without O(verify), nothing is proved, and so nothing is ever retired.
seealso:
  - module: keyturn.credentials.keeper_rotation
  - module: keyturn.credentials.rest_password_rotate
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Give a service account of Grafana a new token, next to the one in use
  keyturn.credentials.rest_token_rotate:
    url: https://grafana.example.com
    username: reporting
    secrets:
      admin_password: "{{ grafana_admin_password }}"
    auth:
      type: basic
      username: admin
      password: ${admin_password}
    lookup:
      path: /api/serviceaccounts/search
      query:
        query: ${username}
      items: serviceAccounts
      match:
        name: ${username}
      set:
        account: id
    mint:
      path: /api/serviceaccounts/${account}/tokens
      body:
        name: ${token_name}
      token: key
    list:
      path: /api/serviceaccounts/${account}/tokens
      created: created
      set:
        id: id
    revoke:
      path: /api/serviceaccounts/${account}/tokens/${id}
    verify:
      path: /api/org
      auth:
        type: bearer
        token: ${token}
  register: minted
"""

RETURN = r"""
rotations:
  description: One entry per user, in the order of the input. A single user's fields are repeated at the top.
  returned: always, after argument validation
  type: list
  elements: dict
  contains:
    username:
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
        - Whether the service holds the token. V(true) if it was listed or acknowledged and nothing contradicts it.
          V(false) if it is certain that no such token is there, or that it does not work.
      type: bool
      returned: when it is known
    everybody:
      description: V(true) where the failure is the administrator's, so that no other user was tried.
      type: bool
      returned: on such a failure
    status:
      description: The HTTP status of an answer that is not among those that mean yes.
      type: int
      returned: when that is why the user failed
    token:
      description: The new token. It is returned whenever the service has made it, also on failure.
      type: str
      returned: when this call made it
    token_name:
      description: The name of the token.
      type: str
      returned: when the user could be described
    created_at:
      description: When the token was made, by the clock of the service (RFC 3339).
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
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.rest_token_rotate import run
from ansible_collections.keyturn.credentials.plugins.module_utils._rest.spec import TOKEN_SPEC as SPEC


def main() -> t.NoReturn:
    run_module(SPEC, run, returns_secrets=True)


if __name__ == "__main__":
    main()
