# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: history_info
short_description: Export the record of deployments
version_added: 0.1.0
description:
  - Returns applications, deployment groups, revisions, deployments and their instances with all lifecycle events, in
    the shapes in which CodeDeploy's API returns them.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.created
  - agentless.codedeploy._attributes.reading
  - agentless.codedeploy._attributes.report
  - agentless.codedeploy._attributes.store
attributes:
  check_mode:
    details:
      - Writes O(report_path) in check mode too.
options:
  application_name:
    description: Only what belongs to this application.
    type: str
  deployment_group_name:
    description: Only this deployment group, by its own name, and its deployments.
    type: str
  targets:
    description: Whether the instances of the deployments are exported too.
    type: bool
    default: true
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Export the deployments of a month
  agentless.codedeploy.history_info:
    application_name: HollowWeb
    create_time_range:
      start: 2026-01-01
      end: 2026-02-01
    report: json
    report_path: ./january.json
"""

RETURN = r"""
counts:
  description: How many there are of each kind.
  returned: success
  type: dict
  sample: {deployments_info: 12, deployment_targets: 48}
applications_info:
  description: As BatchGetApplications returns them.
  returned: unless they are written to O(report_path) as JSON
  type: list
  elements: dict
deployment_groups_info:
  description: As BatchGetDeploymentGroups returns them.
  returned: unless they are written to O(report_path) as JSON
  type: list
  elements: dict
revisions:
  description: As BatchGetApplicationRevisions returns them.
  returned: unless they are written to O(report_path) as JSON
  type: list
  elements: dict
deployments_info:
  description: As BatchGetDeployments returns them, newest first.
  returned: unless they are written to O(report_path) as JSON
  type: list
  elements: dict
deployment_targets:
  description: As BatchGetDeploymentTargets returns them.
  returned: unless they are written to O(report_path) as JSON
  type: list
  elements: dict
"""
