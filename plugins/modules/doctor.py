# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Find out what keeps deployments from working
version_added: 0.1.0
description:
  - Looks at everything that a deployment needs, changes nothing, and says in one sentence each what is in order and
    what is to be done.
  - The playbook C(agentless.codedeploy.doctor) runs the three parts one after another.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.report
  - agentless.codedeploy._attributes.store
  - agentless.codedeploy._aws
attributes:
  become:
    support: full
    details:
      - With O(part=instance) it is tried whether the user can become another.
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details:
      - Changes nothing.
options:
  part:
    description:
      - V(controller) looks at ansible-core, the record of deployments, the policies, and the deployment group; and,
        where AWS is used, at boto3, credentials, permissions, bucket, target groups, load balancers, Auto Scaling
        groups and alarms.
      - V(instance) looks at the host of the task - connection, interpreter, the CodeDeploy agent, disk, clock, and
        C(become). It needs a shell there, and nothing else.
      - V(verdict) takes the results of both from the variables C(doctor_controller) and C(doctor_instance), shows them,
        and fails when something is to be done.
    type: str
    choices: [controller, instance, verdict]
    required: true
  deployment_group:
    description: Name of the inventory's group.
    type: str
  deployment_groups:
    description: Settings of all groups, as in the variable C(codedeploy_deployment_groups).
    type: dict
  application_name:
    description: Name of the application. Without it, that of the group's settings.
    type: str
  deployment_config:
    description: Deployment configuration that a deployment would have, as in M(agentless.codedeploy.deployment).
    type: raw
  load_balancer_info:
    description: Load balancers that a deployment would have, as in M(agentless.codedeploy.deployment).
    type: dict
  alarm_configuration:
    description: Alarms that a deployment would have, as in M(agentless.codedeploy.deployment).
    type: dict
  trigger_configurations:
    description: Triggers that a deployment would have, as in M(agentless.codedeploy.deployment).
    type: list
    elements: dict
  event_bus_name:
    description: Event bus that a deployment would have, as in M(agentless.codedeploy.deployment).
    type: str
  auto_scaling_groups:
    description: Auto Scaling groups that a deployment would have, as in M(agentless.codedeploy.deployment).
    type: list
    elements: str
  ec2_deployment_options:
    description: Options for EC2 that a deployment would have, as in M(agentless.codedeploy.deployment).
    type: dict
  revision:
    description: A revision; of one in S3 the bucket is looked at.
    type: raw
  bucket:
    description: Bucket for revisions.
    type: str
  root:
    description: The deployment root on instances.
    type: path
    default: /opt/codedeploy-agent/deployment-root
  minimum_disk:
    description: How much should be free at the deployment root, in MiB.
    type: int
    default: 500
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Look at the controller
  agentless.codedeploy.doctor:
    part: controller
    deployment_group: web
    deployment_groups: "{{ codedeploy_deployment_groups | default({}) }}"
  run_once: true
  register: doctor_controller

- name: Look at the instance
  agentless.codedeploy.doctor:
    part: instance
  become: true
  register: doctor_instance

- name: Say what is to be done
  agentless.codedeploy.doctor:
    part: verdict
    report: text
  run_once: true
"""

RETURN = r"""
findings:
  description:
    - What was found out. O(report) shows that of all parts.
  returned: with O(part=controller) and O(part=instance)
  type: list
  elements: dict
  sample:
    - check: disk
      verdict: problem
      text: 12 MiB are free at /opt, 500 should be; make room
problems:
  description: What is to be done, one sentence each.
  returned: with O(part=verdict)
  type: list
  elements: str
  sample:
    - "web1: disk: 12 MiB are free at /opt, 500 should be; make room"
"""
