# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State C(stopped) of the action M(agentless.codedeploy.deployment): start nothing any more in a deployment."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import resume_when_ended
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_task import DeploymentTask
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    audit,
    get_deployment,
    get_targets,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require_for
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._stop_deployment import (
    active_deployment_of,
    stop,
    stop_text,
)


def stop_deployment_of(task: DeploymentTask) -> dict[str, Any]:
    """Stop the deployment that is named, or the active one of the group that is named.

    :raises CodeDeployError: there is none, or it has ended already.
    """
    store, arguments = task.store, task.arguments
    deployment_id = arguments["deployment_id"] or active_deployment_of(
        store, arguments["deployment_group"], arguments["application_name"]
    )
    deployment = get_deployment(store, deployment_id)
    require_for(store, "StopDeployment", deployment)
    if task.check_mode:
        return _would_stop(task, deployment)
    try:
        stopped = stop(store, deployment_id, task.run, arguments["rollback"])
    except CodeDeployError as error:
        result = {"error_code": error.code, "error_message": error.message}
        audit(store, task.run, "StopDeployment", {"deployment_id": deployment_id}, result, deployment_id)
        raise
    still_suspended = resume_when_ended(store, deployment_id)
    if still_suspended:
        task.display.warning(still_suspended)
    task.display.display(stop_text(stopped))
    return {
        "changed": True,
        "deployment_id": deployment_id,
        "status": stopped.deployment.status,
        "stop_status": stopped.status,
        "in_work": stopped.in_work,
    }


def _would_stop(task: DeploymentTask, deployment: Deployment) -> dict[str, Any]:
    """Say what stopping a deployment would come to; refused as it would be."""
    identifier = deployment.deployment_id
    if not deployment.active:
        raise CodeDeployError(
            f"Deployment {identifier} has ended already: {deployment.status}.", "DeploymentAlreadyCompleted"
        )
    in_work = [target.target_id for target in get_targets(task.store, identifier, ["InProgress"])]
    task.display.display(f"check mode: would stop {identifier}; in work: {', '.join(in_work) or 'nothing'}")
    return {
        "changed": True,
        "deployment_id": identifier,
        "status": deployment.status,
        "stop_status": "Pending" if in_work else "Succeeded",
        "in_work": in_work,
    }
