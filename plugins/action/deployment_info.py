# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.deployment_info)."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Deployment,
    get_deployment,
    get_target,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require, require_for
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import REPORT_ARGUMENTS, write_report
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import (
    deployment_lines,
    instance_lines,
    overview_lines,
    target_lines,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import (
    deployment_info,
    deployment_target,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

STATUSES = ["Created", "Queued", "InProgress", "Baking", "Ready", "Succeeded", "Failed", "Stopped"]
MOST_LISTED = 1000
ARGUMENTS = {
    "deployment_id": {"type": "str"},
    "instance": {"type": "str"},
    "application_name": {"type": "str"},
    "deployment_group_name": {"type": "str"},
    "statuses": {"type": "list", "elements": "str", "choices": STATUSES},
    "limit": {"type": "int", "default": 20},
    "store": {"type": "str"},
    **REPORT_ARGUMENTS,
}


class ActionModule(ControllerAction):
    """Reads deployments from the record, on the controller."""

    ARGUMENTS = ARGUMENTS
    RULES = {"required_by": {"instance": "deployment_id"}}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read what was asked for."""
        data, lines = self._read(open_store(arguments["store"]), arguments)
        write_report(arguments, lines, data)
        return {"changed": False, **data}

    @staticmethod
    def _read(store: Store, arguments: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        deployment_id, instance = arguments["deployment_id"], arguments["instance"]
        if not deployment_id:
            deployments = _deployments(store, arguments)
            return {"deployments": [deployment_info(found) for found in deployments]}, overview_lines(deployments)
        deployment = get_deployment(store, deployment_id)
        require_for(store, "GetDeployment", deployment)
        require_for(store, "GetDeploymentTarget" if instance else "BatchGetDeploymentTargets", deployment)
        targets = [get_target(store, deployment_id, instance)] if instance else get_targets(store, deployment_id)
        data = {
            "deployment_info": deployment_info(deployment),
            "deployment_targets": [deployment_target(target) for target in targets],
        }
        if instance:
            return data, instance_lines(targets[0])
        return data, [*deployment_lines(deployment), "", *target_lines(targets)]


def _deployments(store: Store, arguments: dict[str, Any]) -> list[Deployment]:
    """List deployments; a group is known by its own name and by that of the inventory's group."""
    group = arguments["deployment_group_name"]
    found = list_deployments(
        store,
        statuses=arguments["statuses"],
        application_name=arguments["application_name"],
        limit=MOST_LISTED if group else arguments["limit"],
    )
    if group:
        found = [one for one in found if group in (one.deployment_group_name, one.options.get("deployment_group"))]
    # Permissions are for a group's own name, whatever name was asked for.
    names = {(one.application_name, one.deployment_group_name) for one in found} if group else set()
    for application_name, own_name in sorted(names) or [(arguments["application_name"], group)]:
        require(store, "ListDeployments", application_name, own_name)
    return found[: arguments["limit"]]
