#!/usr/bin/python
# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: instance_info
short_description: Tell what is deployed on an instance
version_added: 0.1.0
description:
  - Reads the deployment root of the host, whether this collection or the CodeDeploy agent deployed to it.
notes:
  - Runs on the instance. It needs Python 3.6 or newer there and nothing else.
author:
  - agentless.codedeploy contributors (!UNKNOWN)
extends_documentation_fragment:
  - agentless.codedeploy._attributes
attributes:
  check_mode:
    support: full
    details:
      - Changes nothing in any mode.
  diff_mode:
    support: none
  platform:
    platforms: linux
options:
  deployment_group_id:
    description: Identifier of one deployment group; by default all groups are returned.
    type: str
  root:
    description: Deployment root, the folder that holds revisions and logs.
    type: path
    default: /opt/codedeploy-agent/deployment-root
"""

EXAMPLES = r"""
- name: Ask what is deployed
  agentless.codedeploy.instance_info:
  register: instance

- name: Show the last deployment of each group
  ansible.builtin.debug:
    msg: "{{ item.deployment_group_id }}: {{ item.most_recent_install }}"
  loop: "{{ instance.deployment_groups }}"
"""

RETURN = r"""
agent_active:
  description: Why nothing can be deployed while the CodeDeploy agent is at work on the host; null when it is not.
  returned: always
  type: str
  sample: null
deployment_groups:
  description: Deployment groups that have been deployed to the host.
  returned: always
  type: list
  elements: dict
  contains:
    deployment_group_id:
      description: Identifier of the group.
      type: str
      returned: always
      sample: hollowweb-production
    last_successful_install:
      description: The deployment whose C(Install) succeeded last; its scripts stop the application next time.
      type: str
      returned: always
      sample: d-ABCDEFGHI
    most_recent_install:
      description: The deployment whose bundle was unpacked last.
      type: str
      returned: always
      sample: d-ABCDEFGHI
    deployments:
      description: Deployments that are kept, the oldest folder first.
      type: list
      elements: str
      returned: always
      sample: [d-OLDOLDOLD, d-ABCDEFGHI]
    installed_files:
      description: How many files and folders the last C(Install) left; null when it failed or there was none.
      type: int
      returned: always
      sample: 12
    events:
      description:
        - Lifecycle events of the deployment that ran last here, as M(agentless.codedeploy.lifecycle_events) returns
          them. Empty for a deployment of the CodeDeploy agent.
      type: list
      elements: dict
      returned: always
      sample:
        - lifecycle_event_name: Install
          status: Succeeded
          start_time: 1789000000.25
          end_time: 1789000000.5
          diagnostics: {error_code: Success, script_name: '', message: 'Succeeded: ', log_tail: ''}
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.agentless.codedeploy.plugins.module_utils._instance_info import (
    agent_active,
    group_info,
    groups,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import DeploymentRoot, StateError, folder_name

ARGUMENT_SPEC = {
    "deployment_group_id": {"type": "str"},
    "root": {"type": "path", "default": "/opt/codedeploy-agent/deployment-root"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    root = DeploymentRoot(module.params["root"])
    wanted = module.params["deployment_group_id"]
    try:
        names = [folder_name(wanted, "deployment_group_id")] if wanted else groups(root)
        known = [name for name in names if os.path.isdir(root.group(name))]
        found = [group_info(root, name) for name in known]
    except (StateError, OSError) as error:
        module.fail_json(msg=f"{module.params['root']} could not be read: {error}")
    module.exit_json(changed=False, agent_active=agent_active(root), deployment_groups=found)


if __name__ == "__main__":
    main()
