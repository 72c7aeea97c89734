#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: (internal) Report what became of every credential of a fleet
version_added: 1.0.0
description:
  - Writes what the playbook C(keyturn.credentials.rotate) has done so far as JSON, as JUnit XML and as an HTML page
    that needs no other file, and returns the same as a few lines. The report holds no secrets.
  - The counts and the records that failed are also set as C(ansible.builtin.set_stats) does it, so that AWX hands them
    to the next node of a workflow.
  - Internal to this collection, whose playbook uses it. It may change in any release. It runs on the controller, in
    check mode too.
options:
  account:
    description:
      - Whether the host itself has just begun or ended, in the playbook. The first host of a batch that begins, and the
        last one that ends, write the report of the whole run. A host that ends says what became of its credentials.
    type: str
    choices: [begins, ends]
  hosts:
    description:
      - Without O(account), the hosts to report on. Their variables C(keyturn_rotations), C(keyturn_results) and
        C(keyturn_failure) are read. Hosts that have not ended have no result.
    type: list
    elements: str
  max_fail_percentage:
    description:
      - Where more hosts of an earlier batch have failed than this, a host that begins is told not to go on.
    type: float
    default: 100
  directory:
    description:
      - The directory for C(rotation.json), C(rotation.xml) and C(rotation.html). It is made if it is missing. Files
        that are there are replaced.
      - With O(account=ends), what became of the host's credentials is also added to C(history.jsonl) there, except in
        check mode.
      - Without it, no file is written.
    type: path
  problem:
    description:
      - What is wrong with the run as a whole.
    type: str
seealso:
  - ref: ansible_collections.keyturn.credentials.docsite.guide_fleet
    description: Many accounts in one run.
author:
  - keyturn.credentials contributors (@keyturn)
"""

EXAMPLES = r"""
- name: Say what became of this account, and report if it is the last one of its batch
  keyturn.credentials.fleet_report:
    account: ends
    directory: /var/lib/keyturn/report
"""

RETURN = r"""
summary:
  description: Counts, and which accounts failed, as lines.
  returned: when a report was made
  type: list
  elements: str
counts:
  description: How many credentials there are of each outcome.
  returned: when a report was made
  type: dict
  sample: {due: 0, failed: 1, left_out: 0, no_result: 0, not_due: 12, recovered: 0, rotated: 37, waiting: 0}
files:
  description: The files that were written.
  returned: when a report was made
  type: list
  elements: str
go:
  description: Whether the host may be rotated.
  returned: when the host begins
  type: bool
failed_credentials:
  description: How many credentials of the host failed.
  returned: when the host ends
  type: int
"""
