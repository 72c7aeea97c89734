#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rotation_events
short_description: Tell a webhook what became of credentials
version_added: 1.0.0
description:
  - Sends one CloudEvents 1.0 event, as JSON by HTTP POST, for each credential that was rotated, recovered, or failed,
    and for each whose previous key or token was retired. C(docs/events.schema.json) in the collection is their schema.
    They hold no secrets.
  - The roles use it at their end, if C(keyturn_events_url) is set. It runs on the controller.
  - It never fails, and takes at most five seconds for all events together. Each is sent once; redirects are not
    followed. A receiver that was silent for all of this time is not asked again in the same run of
    C(ansible-playbook).
  - In check mode nothing is sent.
options:
  url:
    description:
      - Where the events go, C(https://), or C(http://) to this machine. Without user, query and fragment.
    type: str
    required: true
  secret:
    description:
      - Signs every event. The header C(X-Keyturn-Signature-256) is then C(sha256=) and the hexadecimal HMAC-SHA256 of
        the body.
    type: str
  kind:
    description:
      - The role, for example V(snowflake_user_password).
    type: str
    required: true
  account:
    description:
      - The account as the service names it.
    type: str
  records:
    description:
      - The records that were named. They all count as failed where O(outcomes) is empty.
    type: list
    elements: str
    default: []
  outcomes:
    description:
      - What became of each record, as M(keyturn.credentials.rotation) returns it.
    type: list
    elements: dict
    default: []
  failure:
    description:
      - Where O(outcomes) is empty, the C(msg) and C(error_code) of the run's failure.
    type: dict
    default: {}
seealso:
  - ref: ansible_collections.keyturn.credentials.docsite.guide_events
    description: Events, history, and Event-Driven Ansible.
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Tell the receiver
  keyturn.credentials.rotation_events:
    url: https://events.example.com/keyturn
    secret: "{{ keyturn_events_secret }}"
    kind: snowflake_user_password
    outcomes: "{{ snowflake_user_password_outcomes }}"
  no_log: true
"""

RETURN = r"""
delivered:
  description: How many events the receiver has acknowledged by a status of 200 to 299.
  returned: always
  type: int
undelivered:
  description: How many it has not.
  returned: always
  type: int
msg:
  description: Why some were not delivered.
  returned: when some were not
  type: str
  sample: "3 events were not delivered: no answer within 5 s (events.example.com)."
"""
