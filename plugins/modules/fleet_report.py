#!/usr/bin/python
# Copyright (c) 2026 keyturn.credentials contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Report what became of every credential of a fleet
version_added: 1.0.0
description:
  - Writes what the playbook C(keyturn.credentials.rotate) has done so far as JSON, as JUnit XML and as an HTML page
    that needs no other file, and returns the same as a few lines. The report holds no secrets.
  - The playbook uses it. It runs on the controller, in check mode too.
options:
  hosts:
    description:
      - The hosts to report on. Their variables C(keyturn_rotations), C(keyturn_results) and C(keyturn_done) are read.
    type: list
    elements: str
    required: true
  directory:
    description:
      - The directory for C(rotation.json), C(rotation.xml) and C(rotation.html). It is made if it is missing. Files
        that are there are replaced.
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
- name: Report
  keyturn.credentials.fleet_report:
    directory: /var/lib/keyturn/report
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
summary:
  description: Counts, then the first failures, as lines.
  returned: success
  type: list
  elements: str
counts:
  description: How many credentials there are of each outcome.
  returned: success
  type: dict
  sample: {due: 0, failed: 1, left_out: 0, no_result: 0, not_due: 12, recovered: 0, rotated: 37}
files:
  description: The files that were written.
  returned: success
  type: list
  elements: str
"""
