# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be known of load balancers before any instance is touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import is_load_balanced


def check_traffic(
    action: ActionBase,
    task_vars: Mapping[str, Any],
    options: Mapping[str, Any],
    names: Sequence[str],
    findings: Findings,
) -> None:
    """Find what would keep BlockTraffic and AllowTraffic from succeeding, with each load balancer's own words.

    Before they are asked: whether they can be the instances' load balancers at all.

    :param options: of the deployment's record.
    :param names: the instances.
    """
    hosts = task_vars.get("hostvars") or {}
    # Few deployments need any of it.
    if options.get("aws"):
        from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws_regions import check_regions

        check_regions(options, (hosts.get(name, {}) for name in names), findings)
    if findings.problems or not is_load_balanced(options):
        return
    from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_instances import (
        Places,
        instances_problems,
    )

    findings.problems.extend(instances_problems(options, names, Places(action, task_vars, remember=True)))
