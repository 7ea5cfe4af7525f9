# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_group_info
short_description: Read applications and deployment groups from the record
version_added: 0.1.0
description:
  - Returns applications and their deployment groups. A group has its target revision, its last successful and last
    attempted deployment, and the health of its instances.
  - The fields are those of CodeDeploy's API in snake case.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.reading
  - agentless.codedeploy._attributes.report
  - agentless.codedeploy._attributes.store
options:
  application_name:
    description: Only this application and its groups.
    type: str
  deployment_group_name:
    description: Only this group, by its own name or by that of the inventory's group.
    type: str
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Read which instances of a group are healthy
  agentless.codedeploy.deployment_group_info:
    application_name: HollowWeb
    deployment_group_name: production
"""

RETURN = r"""
applications:
  description: Names of the applications, as ListApplications returns them.
  returned: success
  type: list
  elements: str
  sample: [HollowWeb]
applications_info:
  description: Applications, as BatchGetApplications returns them.
  returned: success
  type: list
  elements: dict
  sample: [{application_name: HollowWeb, compute_platform: Server}]
deployment_groups:
  description: Names of the groups, as ListDeploymentGroups returns them.
  returned: success
  type: list
  elements: str
  sample: [production]
deployment_groups_info:
  description: >-
    Groups, as BatchGetDeploymentGroups returns them. Besides each has C(instances), with C(health) (V(Healthy),
    V(Unhealthy), V(Unknown)) and C(revision_health) (V(Current), V(Old), V(Unknown)).
  returned: success
  type: list
  elements: dict
  sample: [{deployment_group_name: production, last_attempted_deployment: {deployment_id: d-75I7MBT7C}}]
"""
