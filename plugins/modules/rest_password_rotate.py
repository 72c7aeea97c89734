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
  - keyturn.credentials.wire
  - keyturn.credentials.attributes
  - keyturn.credentials.attributes.actiongroup_rest
options:
  url:
    description:
      - The base address, without user info, query or fragment. A slash at its end does not matter.
      - V(http://) is accepted to loopback only, unless O(allow_http=true).
    type: str
    required: true
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
  secrets:
    description:
      - Secret texts for placeholders, by name.
    type: dict
  vars:
    description:
      - Values for placeholders that are no secrets, by name, of any type.
    type: dict
  headers:
    description:
      - Sent with every request. One whose value holds a placeholder of O(secrets) is left out of O(verify), because
        it would vouch for the user.
    type: dict
  auth:
    description:
      - Who asks. Used by O(lookup) and O(change), never by O(verify).
    type: dict
    suboptions:
      type:
        description:
          - V(none) sends nothing, V(bearer) the header C(Authorization) with C(Bearer) and the token, V(basic) HTTP
            Basic in UTF-8, V(header) any header with O(auth.prefix) and the token.
          - V(oauth2_client_credentials) fetches a token from O(auth.token_url), and V(login) one by the request that
            O(auth.method), O(auth.path) and so on describe; once for all users, and only if it is needed.
          - V(session) sends nothing but the cookies and values that the steps of O(auth.before) have left.
          - A login that ends before the run does is made once more.
        type: str
        choices: [none, bearer, basic, header, oauth2_client_credentials, login, session]
        default: none
      username:
        description: The user of HTTP Basic.
        type: str
      password:
        description: The password of HTTP Basic.
        type: str
      token:
        description: The token for V(bearer) and V(header).
        type: str
      header:
        description:
          - The header that holds the token, for V(header) and V(login). Empty for V(login) sends it nowhere; it is
            C(${token}) in O(lookup), O(change) and O(auth.logout).
        type: str
        default: Authorization
      prefix:
        description: Stands before the token, with a blank between them, for V(header) and V(login).
        type: str
        default: ""
      token_url:
        description: Where V(oauth2_client_credentials) fetches the token, a path on O(url) or a full address.
        type: str
      client_id:
        description: The client of V(oauth2_client_credentials).
        type: str
      client_secret:
        description: The client's secret.
        type: str
      scope:
        description: The scope to ask for.
        type: str
      audience:
        description: The audience to ask for.
        type: str
      client_auth:
        description: Whether the client's credentials go in the body or as HTTP Basic.
        type: str
        choices: [body, basic]
        default: body
      method: &method
        description:
          - The HTTP method.
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
      body_format:
        description:
          - How the body is encoded. V(json) for O(auth.type=login), V(form) for
            O(auth.type=oauth2_client_credentials), unless given. V(text) sends it as it is, with the placeholders
            filled in.
        type: str
        choices: [json, form, text]
      set: &set
        description:
          - Names for placeholders of the steps after this one. Each is a JMESPath in the answer, or a mapping with one
            of C(json), C(header), C(cookie) and C(text), a regular expression with one group; C(default) in it stands
            for a value that is missing.
        type: dict
      status:
        description:
          - The exact statuses that mean yes. Nothing else does.
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
      token_path:
        description: JMESPath to the token in the answer of V(login). One of this and O(auth.token_header) is needed.
        type: str
      token_header:
        description: The header of the answer that holds the token of V(login).
        type: str
      basic:
        description:
          - HTTP Basic on the request of V(login) itself.
        type: dict
        suboptions:
          username:
            description: The user.
            type: str
          password:
            description: The password.
            type: str
      before:
        description:
          - Steps that run first, each with what those before it have set.
        type: list
        elements: dict
        suboptions:
          method: &method_2
            description:
              - The HTTP method.
            type: str
            default: GET
          path: *path
          query: *query
          headers: *headers
          body: *body
          body_from: *body_from
          body_format: &body_format_2
            description:
              - How the body is encoded. V(text) sends it as it is, with the placeholders filled in.
            type: str
            choices: [json, form, text]
            default: json
          set: *set
          status: &status_2
            description:
              - The exact statuses that mean yes. Nothing else does.
            type: list
            elements: int
            default: [200, 201, 204]
          fail_if: *fail_if
          auth_failed_if: *auth_failed_if
          not_found_if: *not_found_if
          not_found: *not_found
          reason: *reason
      logout:
        description:
          - A step at the end of V(login) and V(session). Whatever becomes of it, nothing fails.
        type: dict
        suboptions:
          method: *method
          path: *path
          query: *query
          headers: *headers
          body: *body
          body_from: *body_from
          body_format: *body_format_2
          set: *set
          status: *status_2
          fail_if: *fail_if
          auth_failed_if: *auth_failed_if
          not_found_if: *not_found_if
          not_found: *not_found
          reason: *reason
      cookies:
        description:
          - Whether cookies are kept from step to step, of one session and of one origin.
        type: bool
        default: false
  lookup:
    description:
      - How to find the user, before the change. One mapping, or a list of them that are asked in order, each with what
        those before it have set. In each, exactly one user must match.
      - "The keys of O(verify) that every step has: C(method) (default V(GET)), C(path), C(query), C(headers), C(body),
        C(body_from), C(body_format), C(status) (default V([200])), C(fail_if), C(auth_failed_if), C(not_found_if),
        C(not_found) and C(reason)."
      - "C(items): JMESPath to the list of users in the answer, default V(@). One object counts as a list of one, null
        as an empty list."
      - "C(match): JMESPath in an item, and the value that it must give. All must be equal, compared as texts. Without
        it, every item matches. C(case_insensitive), default V(false): whether case is ignored."
      - "C(set): names for placeholders, and where their values are, which keep their type; a JMESPath is asked of the
        item. One that gives null and has no default is V(not_found)."
      - "C(next): how the next page is found. One of C({link: true}), the header C(Link) with C(rel=next);
        C({url: JMESPath}), an address in the answer; C({cursor: JMESPath, param: name}) and
        C({header: Name, param: name}), a value that the parameter takes; and C({param: name, start: 1, step: 1}), which
        counts up until a page has no items. Without it, there is one page."
      - "C(max_pages), default V(50): more pages are a failure, because a second match could be on them."
    type: raw
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
      path: *path
      query: *query
      headers: *headers
      body: *body
      body_from: *body_from
      body_format: *body_format_2
      set: &set_2
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
      fail_if: *fail_if
      auth_failed_if: *auth_failed_if
      not_found_if: *not_found_if
      not_found: *not_found
      reason: *reason
  verify:
    description:
      - A login as the user. It is accepted, rejected, or anything else, which says neither and is never taken for
        one.
      - Without it, RV(rotations[].verified) is always V(false).
    type: dict
    suboptions:
      method: *method_2
      path: *path
      query: *query
      headers: *headers
      body: *body
      body_from: *body_from
      body_format: *body_format_2
      set: *set_2
      status:
        description:
          - The exact statuses that mean yes. Nothing else does.
        type: list
        elements: int
        default: [200]
      fail_if: *fail_if
      auth_failed_if: *auth_failed_if
      not_found_if: *not_found_if
      not_found: *not_found
      reason: *reason
      before:
        description:
          - Steps that run first in each login; if one fails, nothing is known, each with what those before it have set.
        type: list
        elements: dict
        suboptions:
          method: *method_2
          path: *path
          query: *query
          headers: *headers
          body: *body
          body_from: *body_from
          body_format: *body_format_2
          set: *set
          status: *status_2
          fail_if: *fail_if
          auth_failed_if: *auth_failed_if
          not_found_if: *not_found_if
          not_found: *not_found
          reason: *reason
      cookies:
        description:
          - Whether cookies are kept from step to step, of one login and of one origin.
        type: bool
        default: false
      auth:
        description: The user's own credentials. O(auth) is not used.
        type: dict
        suboptions:
          type:
            description: As O(auth.type).
            type: str
            choices: [none, basic, bearer, header]
            default: none
          username:
            description: The user of HTTP Basic.
            type: str
          password:
            description: The password of HTTP Basic.
            type: str
          token:
            description: The token for V(bearer) and V(header).
            type: str
          header:
            description: The header that holds the token, for V(header).
            type: str
            default: Authorization
          prefix:
            description: Stands before the token, with a blank between them, for V(header).
            type: str
            default: ""
      rejected:
        description: The statuses that mean a wrong password.
        type: list
        elements: int
        default: [401]
      rejected_if:
        description: JMESPath over the answer that is true for a wrong password. O(verify.fail_if) is its older name.
        type: str
      accepted_if:
        description:
          - JMESPath over the answer. With it, a status in O(verify.status) is accepted only if it is true, and says
            nothing otherwise.
        type: str
      control:
        description:
          - V(once) makes one login with a wrong password in the whole run before one that is accepted is believed. If
            it is accepted, too, O(verify) proves nothing, and users fail with V(invalid_input). O(old_password) is
            used for it where there is one.
        type: str
        choices: [once, never]
        default: once
      attempts:
        description: Logins after the change while they are rejected. Before the change there is always one.
        type: int
        default: 1
      delay:
        description: Seconds between them.
        type: float
        default: 2
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
  allow_http:
    description: Permit V(http://) to hosts that are not loopback. Everybody on the way can then read the secrets.
    type: bool
    default: false
  allow_secrets_in_url:
    description: Permit secrets in C(path) and C(query), where servers and proxies log them.
    type: bool
    default: false
  client_cert:
    description:
      - A file with the client certificate, and the key unless O(client_key) names it, in PEM form. It is not shown to
        the service in O(verify).
    type: path
  client_key:
    description: A file with the key of O(client_cert), in PEM form, without a passphrase.
    type: path
requirements:
  - the Python packages jmespath and requests
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
