# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: example_fleet
short_description: Launch two instances behind a load balancer to try deployments on
version_added: 0.1.0
description:
  - Launches a small fleet of EC2 instances in two availability zones, with the tag C(App) that a deployment group finds
    them by, a security group, a target group, and an Application Load Balancer in front of it, or deletes all of it.
  - For trying out. AWS bills what it launches.
  - What is there already is left alone. Deleted is only what bears the fleet's tag C(agentless.codedeploy).
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
    description: The application, and the value of the instances' tag C(App).
    type: str
    required: true
  name:
    description:
      - Name of the target group and the load balancer, and the beginning of the instances' names. Letters, digits and
        hyphens. Default O(application_name) in lower case.
    type: str
  count:
    description: How many instances, in the zones in turn.
    type: int
    default: 2
  instance_type:
    description: Type of the instances.
    type: str
    default: t3.micro
  image_id:
    description: Image of the instances. Default the newest Amazon Linux 2023.
    type: str
  key_name:
    description: Name of the EC2 key pair whose owner may log in.
    type: str
  instance_profile:
    description: Name of an instance profile.
    type: str
  subnets:
    description: Ids of subnets in two zones. Default the default subnets of the region's first two zones.
    type: list
    elements: str
    default: []
  private_ip_addresses:
    description: Private addresses of the instances. By default AWS chooses.
    type: list
    elements: str
    default: []
  ssh_from:
    description: Addresses, as CIDR, that may log in. Give your own.
    type: str
    default: 0.0.0.0/0
  http_from:
    description: Addresses, as CIDR, that may open the web site.
    type: str
    default: 0.0.0.0/0
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Launch two instances for HollowWeb
  agentless.codedeploy.example_fleet:
    application_name: HollowWeb
    key_name: laptop
    ssh_from: 203.0.113.7/32
    region: us-east-1

- name: Remove them again
  agentless.codedeploy.example_fleet:
    application_name: HollowWeb
    region: us-east-1
    state: absent
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, in this order.
  returned: success
  type: list
  elements: str
  sample: ["instance hollowweb-1: launch in us-east-1a"]
instances:
  description: The instances of the fleet.
  returned: success
  type: list
  elements: dict
  contains:
    instance_id:
      description: Id of the instance.
      type: str
      sample: i-0123456789abcdef0
    availability_zone:
      description: Its zone.
      type: str
      sample: us-east-1a
    private_ip_address:
      description: Its private address.
      type: str
      sample: 172.31.0.4
    public_ip_address:
      description: Its public address.
      type: str
      sample: 203.0.113.20
target_group:
  description: Name of the target group, for C(load_balancer_info).
  returned: success
  type: str
  sample: hollowweb
address:
  description: Name of the load balancer in the DNS.
  returned: success
  type: str
  sample: hollowweb-1234567890.us-east-1.elb.amazonaws.com
"""
