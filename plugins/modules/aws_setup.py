# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_setup
short_description: Set up in AWS what deployments need
version_added: 0.1.0
description:
  - Creates what an application's deployments need in an AWS account, or deletes it. A bucket for its revisions
    (versioned, private, encrypted, over TLS alone), a policy and a role for the controller, and, when they are named, a
    profile for instances that download revisions by themselves and a topic for notifications.
  - The policy allows the calls that this collection makes for O(features), and nothing else.
  - What is there already is left as it is where it agrees, and corrected where it does not. Deleted is only what this
    module has created; it bears the tag C(agentless.codedeploy) with the application's name.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._aws
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  state:
    description: Whether it is to be there.
    type: str
    choices: [present, absent]
    default: present
  application_name:
    description: The application. The other names follow from it.
    type: str
    required: true
  bucket:
    description: Name of the bucket. Names of buckets are unique in all of AWS.
    type: str
    required: true
  policy:
    description: Name of the controller's policy. Default O(application_name) followed by C(-codedeploy-controller).
    type: str
  role:
    description: Name of the controller's role. Default O(application_name) followed by C(-codedeploy-controller).
    type: str
  trusted_principals:
    description:
      - ARNs of who may assume the role. By default the account itself, which means all of its identities that have the
        permission C(sts:AssumeRole).
    type: list
    elements: str
  instance_profile:
    description:
      - Name of a profile, and of its role, for instances that download revisions by themselves. They need none when
        they are given a link, which is the default.
    type: str
  topic:
    description: Name of an Amazon SNS topic for notifications.
    type: str
  event_bus:
    description: Name of an Amazon EventBridge event bus that the controller may send events to. It is not created.
    type: str
  features:
    description:
      - What the controller is to do in AWS, any of V(inventory), V(push), V(revisions), V(traffic), V(auto_scaling),
        V(alarms), V(notifications), V(doctor). Default all of them.
    type: list
    elements: str
  target_groups:
    description: Names of the target groups whose targets the controller may change. Default all of the region.
    type: list
    elements: str
  auto_scaling_groups:
    description: Names of the Auto Scaling groups whose processes the controller may suspend. Default all of the region.
    type: list
    elements: str
  tags:
    description: Further tags for what is created.
    type: dict
  force:
    description: With O(state=absent), delete the bucket with all revisions in it. Otherwise a bucket that is not empty
      is an error, and nothing is deleted.
    type: bool
    default: false
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Set up what HollowWeb needs
  agentless.codedeploy.aws_setup:
    application_name: HollowWeb
    bucket: hollowweb-revisions-4711
    topic: hollowweb-deployments
    region: us-east-1

- name: Delete it again, with all revisions
  agentless.codedeploy.aws_setup:
    application_name: HollowWeb
    bucket: hollowweb-revisions-4711
    topic: hollowweb-deployments
    region: us-east-1
    state: absent
    force: true
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: str
  sample: ["bucket hollowweb-revisions-4711: create in us-east-1"]
bucket:
  description: Name of the bucket.
  returned: when O(state=present)
  type: str
  sample: hollowweb-revisions-4711
policy_arn:
  description: ARN of the controller's policy.
  returned: when O(state=present)
  type: str
  sample: arn:aws:iam::123456789012:policy/HollowWeb-codedeploy-controller
role_arn:
  description: ARN of the controller's role, for C(assume_role_arn).
  returned: when O(state=present)
  type: str
  sample: arn:aws:iam::123456789012:role/HollowWeb-codedeploy-controller
instance_profile:
  description: Name of the instances' profile.
  returned: when O(state=present)
  type: str
  sample: HollowWeb-instances
topic_arn:
  description: ARN of the topic, for C(trigger_target_arn).
  returned: when O(state=present)
  type: str
  sample: arn:aws:sns:us-east-1:123456789012:hollowweb-deployments
"""
