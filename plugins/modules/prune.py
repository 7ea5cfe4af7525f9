# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: prune
short_description: Remove old deployments from the record
version_added: 0.1.0
description:
  - Removes deployments that ended long ago, with their instances and lifecycle events, and bundles that nothing needs
    from this controller's cache. Nothing is removed by itself.
  - Of each group these stay, whatever their age - the last successful deployment, the last attempted one, that with the
    revision V(previous), the last one of each instance and the last before its restarts, the newest O(keep_last), and
    those that are the rollback of one of them or were rolled back by it. Applications, revisions and groups stay.
  - In policies the operation is C(PruneDeployments).
extends_documentation_fragment:
  - agentless.codedeploy._attributes
  - agentless.codedeploy._attributes.controller
  - agentless.codedeploy._attributes.report
  - agentless.codedeploy._attributes.store
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details:
      - Returns what was removed.
options:
  older_than_days:
    description: Only what ended more than this many days ago.
    type: int
    required: true
  keep_last:
    description: How many of each group's newest deployments stay, whatever their age.
    type: int
    default: 10
  application_name:
    description: Only deployments of this application.
    type: str
  deployment_group_name:
    description: Only deployments of groups with this name, their own.
    type: str
  audit_trail:
    description: Remove entries of the audit trail that are as old, too. That it was done is an entry.
    type: bool
    default: false
  bundles:
    description: >-
      Remove bundles from this controller's cache that have not been used for O(older_than_days), and that no deployment
      of the record, no group and no instance has as its revision.
    type: bool
    default: true
author:
  - agentless.codedeploy contributors (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Keep the deployments of a year
  agentless.codedeploy.prune:
    older_than_days: 365
"""

RETURN = r"""
deployments:
  description: Ids of the deployments that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [d-75I7MBT7C]
groups:
  description: The groups of which deployments were removed.
  returned: success
  type: list
  elements: dict
  sample:
    - application_name: HollowWeb
      deployment_group_name: production
      removed: 1
      kept: 10
audit_entries:
  description: Number of entries of the audit trail that were removed.
  returned: success
  type: int
  sample: 0
bundles:
  description: The bundles that were removed from the cache, with their size in bytes.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /home/ada/.cache/agentless.codedeploy/5891b5b5.tar.gz
      size: 1234
"""
