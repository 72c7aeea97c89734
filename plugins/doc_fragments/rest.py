# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options that the REST modules share; the argument spec is in module_utils/_rest/spec.py."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - The base address, without user info, query or fragment. A slash at its end does not matter.
      - V(http://) is accepted to loopback only, unless O(allow_http=true).
    type: str
    required: true
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
      - Who asks. Used by all requests but O(verify).
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
            C(${token}) in the steps of the administrator.
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
      - How to find the user. One mapping, or a list of them that are asked in order, each with what
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
      set:
          description:
            - Refused here, where no step comes after it.
          type: dict
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
        description: The statuses that mean a wrong secret.
        type: list
        elements: int
        default: [401]
      rejected_if:
        description: JMESPath over the answer that is true for a wrong secret. O(verify.fail_if) is its older name.
        type: str
      accepted_if:
        description:
          - JMESPath over the answer. With it, a status in O(verify.status) is accepted only if it is true, and says
            nothing otherwise.
        type: str
      control:
        description:
          - V(once) makes one login with a wrong secret in the whole run before one that is accepted is believed. If it
            is accepted, too, O(verify) proves nothing, and users fail with V(invalid_input).
        type: str
        choices: [once, never]
        default: once
      attempts:
        description: Logins with the new secret while they are rejected.
        type: int
        default: 1
      delay:
        description: Seconds between them.
        type: float
        default: 2
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
"""
