# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_instance
short_description: Deploy to one instance
version_added: 0.1.0
description:
  - Does an instance's part of a deployment that M(agentless.codedeploy.deployment) has created.
  - It waits until the deployment's minimum healthy hosts allow this instance to start, copies the bundle unless the
    instance has it, runs the lifecycle events in one call, follows them when they take long, and records their result.
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.store
  - agentless.codedeploy._aws
attributes:
  action:
    description:
      - The decision to start and the copying are done on the controller. On the instance runs
        M(agentless.codedeploy.lifecycle_events).
    support: full
  async:
    description: Can be used with C(async).
    support: none
  check_mode:
    support: full
    details:
      - Needs O(planned_deployment), or a recorded deployment. RV(plan) tells what would be done on the instance. The
        task fails when the lifecycle events would.
      - The bundle is copied to, or downloaded by, an instance that does not have it, into Ansible's temporary folder
        for the task. Nothing else is touched, and nothing is recorded.
  diff_mode:
    support: partial
    details:
      - In check mode. Binary files, files bigger than Ansible's C(max_diff_size) and files that other users of the
        instance cannot read are named only; see O(diff_private_files).
options:
  application_name:
    description:
      - The application that this host is to have. When the deployment is of another one, the instance fails without
        being started.
    type: str
  deployment_id:
    description: The deployment. Required outside of check mode.
    type: str
  former_deployment_id:
    description:
      - An earlier deployment that was at work on this instance when its controller ended. Its result is read from the
        instance's own event log and recorded first.
    type: str
  revision:
    description:
      - The same as of M(agentless.codedeploy.deployment). Only an C(https://) address is used; the instance downloads
        it itself and compares its checksum.
    type: str
    default: ""
  revision_headers:
    description: HTTP headers to send with an address in O(revision). Never shown and never recorded.
    type: dict
    default: {}
  root:
    description: Deployment root on the instance.
    type: path
    default: /opt/codedeploy-agent/deployment-root
  destination_root:
    description: Folder on the instance below which all destinations of the AppSpec are.
    type: path
    default: /
  revisions_to_keep:
    description: How many revisions of the deployment group are kept on the instance, this one included.
    type: int
    default: 5
  poll_after:
    description: Seconds after which lifecycle events that still run are followed instead of waited for.
    type: int
    default: 3
  fail_when_not_started:
    description: Whether the task fails or is skipped when the deployment starts no further instance.
    type: bool
    default: true
  planned_deployment:
    description:
      - In check mode the deployment, C(planned_deployment) of M(agentless.codedeploy.deployment).
    type: dict
  diff_private_files:
    description:
      - With C(--diff) show the content of files, too, that other users of the instance cannot read.
    type: bool
    default: false
  report_in_verdict:
    description:
      - In check mode leave it to M(agentless.codedeploy.deployment) with
        O(agentless.codedeploy.deployment#module:state=concluded) to show the plan and the differences, once for all
        instances with the same.
      - It finds the results of this module registered as C(deploy_checked).
    type: bool
    default: false
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Deploy to the instance
  agentless.codedeploy.deploy_instance:
    deployment_id: "{{ created.deployment_id }}"
  throttle: "{{ created.plan.window }}"
  become: true
"""

RETURN = r"""
deployment_id:
  description: The deployment.
  returned: always
  type: str
  sample: d-75I7MBT7C
status:
  description: How the instance ended.
  returned: when it was started
  type: str
  sample: Succeeded
lifecycle_events:
  description: Status of each lifecycle event.
  returned: when it was started
  type: dict
  sample: {ApplicationStop: Succeeded, DownloadBundle: Succeeded, BeforeInstall: Failed, Install: Skipped}
failed_event:
  description: The lifecycle event that failed.
  returned: when one failed
  type: str
  sample: BeforeInstall
error_code:
  description: Why it failed.
  returned: when one failed
  type: str
  sample: ScriptFailed
plan:
  description: What would happen, RV(agentless.codedeploy.lifecycle_events#module:plan).
  returned: in check mode
  type: dict
differences:
  description: What C(diff) would be, which Ansible shows for each instance.
  returned: in check mode with C(--diff) and O(report_in_verdict)
  type: list
  elements: dict
destination_root:
  description: The folder that the paths of RV(plan) begin with.
  returned: in check mode, unless it is V(/)
  type: str
script_name:
  description: The script that failed.
  returned: when a script failed
  type: str
  sample: scripts/before_install.sh
"""
