# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: traffic
short_description: Take an instance out of its load balancers, or put it back
version_added: 0.1.0
description:
  - Does what the lifecycle events C(BlockTraffic) and C(AllowTraffic) of a deployment do, alone, for the host that the
    task runs for. Nothing is recorded.
  - With several load balancers the instance is taken out of all of them, then all are waited for.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._aws
attributes:
  check_mode:
    support: full
    details:
      - Everything is checked, and nothing is changed.
  diff_mode:
    support: none
  become:
    support: partial
    details:
      - Applies to hosts that C(traffic[].host) names.
options:
  state:
    description:
      - With V(blocked) it is waited until the last request has ended, with V(allowed) until all load balancers find the
        instance healthy.
    type: str
    choices: [blocked, allowed]
    required: true
  load_balancer_info:
    description:
      - Load balancers of AWS, in the API's shape. C(target_group_info_list) and C(elb_info_list) are lists of mappings
        with C(name). The instance is known by its host variable C(instance_id).
    type: dict
  traffic:
    description:
      - Load balancers that are not those of AWS, as O(agentless.codedeploy.deployment#module:traffic).
    type: list
    elements: dict
  block_traffic_timeout:
    description: Seconds to wait until the requests to the instance have ended, by default 3600.
    type: float
  allow_traffic_timeout:
    description: Seconds to wait until all load balancers find the instance healthy, by default 3600.
    type: float
author:
  - agentless.codedeploy contributors (!UNKNOWN)
seealso:
  - module: agentless.codedeploy.deployment
"""

EXAMPLES = r"""
- name: Take the instance out of haproxy on the host lb1
  agentless.codedeploy.traffic:
    state: blocked
    traffic:
      - provider: haproxy
        backend: web
        host: lb1

- name: Put the instance back into its target group
  agentless.codedeploy.traffic:
    state: allowed
    load_balancer_info:
      target_group_info_list: [{name: hollowweb}]
    allow_traffic_timeout: 300
"""

RETURN = r"""
load_balancers:
  description: The load balancers that were, or would be, used.
  returned: success
  type: list
  elements: str
  sample: [target group hollowweb]
msg:
  description: What was done, or the load balancer's own words.
  returned: when something was done
  type: str
  sample: 'web1: healthy in target group hollowweb'
"""
