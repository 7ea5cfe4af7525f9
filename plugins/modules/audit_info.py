# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_info
short_description: Read the audit trail
version_added: 0.1.0
description:
  - Returns who did what with the record of deployments, when, from where, with which parameters and which result.
  - Every change is there, every read, and what a policy denied.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.reading
  - agentless.codedeploy._attributes.report
  - agentless.codedeploy._attributes.store
options:
  application_name:
    description: Only what was done with this application.
    type: str
  deployment_group_name:
    description: Only what was done with this deployment group, by its own name.
    type: str
  deployment_id:
    description: Only what was done with this deployment.
    type: str
  event_names:
    description: Only these operations, by the names of CodeDeploy's API.
    type: list
    elements: str
  principal:
    description: >-
      Only what this user did: one of the controller's operating system, or in AWX as in C(awx:ada,
      awx-job-template:Deploy).
    type: str
  event_time_range:
    description: Only what happened in this time.
    type: dict
    suboptions:
      start:
        description: Beginning, as ISO 8601 or in seconds of the epoch.
        type: str
      end:
        description: End.
        type: str
  failed_only:
    description: Only what was denied or refused, and deployments that ended with an error.
    type: bool
    default: false
  limit:
    description: How many are returned at most, the newest.
    type: int
    default: 100
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Read who was denied what this year
  agentless.codedeploy.audit_info:
    failed_only: true
    event_time_range:
      start: 2026-01-01
"""

RETURN = r"""
records:
  description: Entries of the audit trail with the fields of a CloudTrail record, oldest first.
  returned: success
  type: list
  elements: dict
  sample:
    - event_name: StopDeployment
      event_time: 1730000000.0
      user_identity: {user_name: ada}
      source: controller.example process 4242
      request_parameters: {deployment_id: d-75I7MBT7C}
      response_elements: {status: Pending}
"""
