# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Read deployments from the record
version_added: 0.1.0
description:
  - Returns the newest deployments; with O(deployment_id) one deployment with its instances; with O(instance) besides
    that instance alone, with its lifecycle events and the diagnostics of those that failed.
  - The fields are those of CodeDeploy's API in snake case.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.created
  - agentless.codedeploy._attributes.reading
  - agentless.codedeploy._attributes.report
  - agentless.codedeploy._attributes.store
options:
  deployment_id:
    description: One deployment.
    type: str
  instance:
    description: One instance of O(deployment_id), by its name in the inventory.
    type: str
  lifecycle_event:
    description: Only this lifecycle event of O(deployment_id)'s instances.
    type: str
  logs:
    description: With O(deployment_id), let the text of O(report) be what was recorded of the scripts.
    type: bool
    default: false
  application_name:
    description: Only deployments of this application.
    type: str
  deployment_group_name:
    description: >-
      Only deployments to this group, by its own name or by that of the inventory's group; the group itself is returned
      too.
    type: str
  creator:
    description: Only deployments that were made by this one, V(user) or V(codeDeployRollback) for example.
    type: str
  statuses:
    description: Only deployments in one of these states.
    type: list
    elements: str
    choices: [Created, Queued, InProgress, Baking, Ready, Succeeded, Failed, Stopped]
  target_statuses:
    description: Only instances of O(deployment_id) in one of these states.
    type: list
    elements: str
    choices: [Pending, InProgress, Succeeded, Failed, Skipped, Unknown, Ready]
  limit:
    description: How many deployments are returned at most, newest first.
    type: int
    default: 20
  next_token:
    description: The RV(next_token) of the page before, with the same filters.
    type: str
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Read the newest failed deployments of an application
  agentless.codedeploy.deployment_info:
    application_name: HollowWeb
    statuses: [Failed]

- name: Show one instance of a deployment
  agentless.codedeploy.deployment_info:
    deployment_id: d-75I7MBT7C
    instance: web1
    report: text
"""

RETURN = r"""
deployments:
  description: Ids of deployments, newest first, as ListDeployments returns them.
  returned: without O(deployment_id)
  type: list
  elements: str
  sample: [d-75I7MBT7C]
deployments_info:
  description: The same deployments, as BatchGetDeployments returns them.
  returned: without O(deployment_id)
  type: list
  elements: dict
  sample: [{deployment_id: d-75I7MBT7C, status: Succeeded}]
next_token:
  description: What O(next_token) must be for the next page.
  returned: when there are more
  type: str
  sample: WzE3MzAwMDAwMDAuMCwgImQtNzVJN01CVDdDIl0=
deployment_groups_info:
  description: The group, as GetDeploymentGroup returns it, with the health of its instances.
  returned: with O(deployment_group_name)
  type: list
  elements: dict
  sample: [{deployment_group_name: production}]
deployment_group_id:
  description: Id of its deployment group.
  returned: with O(deployment_id)
  type: str
  sample: 8c1a5c4e-0000-4000-8000-000000000001
deployment_target:
  description: The instance, as GetDeploymentTarget returns it.
  returned: with O(instance)
  type: dict
  sample: {deployment_target_type: InstanceTarget, instance_target: {target_id: web1, status: Succeeded}}
deployment_info:
  description: The deployment, as GetDeployment returns it.
  returned: with O(deployment_id)
  type: dict
  sample: {deployment_id: d-75I7MBT7C, status: Succeeded}
deployment_targets:
  description: Its instances, as BatchGetDeploymentTargets returns them.
  returned: with O(deployment_id)
  type: list
  elements: dict
  sample: [{deployment_target_type: InstanceTarget, instance_target: {target_id: web1, status: Succeeded}}]
"""
