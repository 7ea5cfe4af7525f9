# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State C(concluded) of the action M(agentless.codedeploy.deployment): end the deployment and print the verdict."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import resume_when_ended
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import checked_groups
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._conclude_deployment import (
    conclude_in_play,
    deployments_to_conclude,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_task import DeploymentTask
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_deployment, get_targets
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require_unless_own
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_check import check_text, diff_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import verdict_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import inventory_options


def conclude_deployments(task: DeploymentTask) -> dict[str, Any]:
    """End the deployment that is named, or those of this run; in check mode say what would happen.

    :raises CodeDeployError: the deployment is another controller's, which lives.
    """
    store, arguments, task_vars = task.store, task.arguments, task.task_vars
    if task.check_mode or arguments["deployment_id"] == "":
        return _checked(task, (arguments["planned_deployment"] or {}).get("order") or [])
    run, wanted = task.run, arguments["deployment_id"]
    if wanted is None:
        group, application = arguments["deployment_group"], arguments["application_name"]
        found = deployments_to_conclude(store, run, application, group)
        if not found:
            return {"changed": False, "skipped": True, "msg": "this run has made no deployment"}
    else:
        found = [get_deployment(store, wanted, with_order=False)]
        rollback = (found[0].rollback_info or {}).get("rollback_deployment_id")
        found += [get_deployment(store, rollback, with_order=False)] if rollback else []
    for one in found:
        require_unless_own(store, "StopDeployment" if one.active else "GetDeployment", one)
    identifiers = [one.deployment_id for one in found]
    hosts, present = task_vars.get("ansible_play_hosts_all", []), task_vars.get("ansible_play_hosts", [])
    return _concluded(task, [conclude_in_play(store, one, run, hosts, present) for one in identifiers])


def _checked(task: DeploymentTask, names: list[str]) -> dict[str, Any]:
    """Say what would happen on all instances, once for those with the same plan."""
    groups = checked_groups(names, task.task_vars)
    if not groups:
        return {"changed": False, "skipped": True, "msg": "check mode: there is no deployment to conclude"}
    failing = sum(len(group.instances) for group in groups if group.would_fail)
    task.display.display(check_text(groups), color="red" if failing else None)
    diff = [entry for group in groups for entry in group.diff]
    result: dict[str, Any] = {"changed": True, "plans": [group.as_data() for group in groups]}
    if not failing:
        return {**result, "diff": diff} if task.diff else result
    if diff and task.diff:
        # Ansible shows no differences of a task that failed.
        task.display.display(diff_text(diff))
    return {**result, "failed": True, "msg": f"check mode: the deployment would fail on {failing} of {len(names)}"}


def _concluded(task: DeploymentTask, deployments: list[Deployment]) -> dict[str, Any]:
    """Print the verdicts; the result failed unless each deployment has succeeded or goes on.

    It has the first one that did not, which its message begins with, and not the one that rolled that back; else the
    last one.
    """
    messages = []
    shown: Deployment | None = None
    for deployment in deployments:
        targets = get_targets(task.store, deployment.deployment_id)
        if deployment.active:
            pending = [target.target_id for target in targets if target.status in ("Pending", "InProgress")]
            task.display.display(f"Deployment {deployment.deployment_id} goes on, with {', '.join(pending)}")
            continue
        still_suspended = resume_when_ended(task.store, deployment.deployment_id)
        if still_suspended:
            task.display.display(still_suspended, color="red")
            messages.append(still_suspended)
            shown = shown or deployment
        text = verdict_text(deployment, targets, inventory_options())
        succeeded = deployment.status == "Succeeded"
        task.display.display(text, color="green" if succeeded else "red")
        if not succeeded:
            code = (deployment.error_information or {}).get("code", "")
            messages.append(f"Deployment {deployment.deployment_id} {deployment.status}: {code}")
            shown = shown or deployment
    shown = shown or deployments[-1]
    result: dict[str, Any] = {"changed": False, "deployment_id": shown.deployment_id, "status": shown.status}
    if shown.rollback_info:
        result["rollback_info"] = shown.rollback_info
    return {**result, "failed": True, "msg": "; ".join(messages)} if messages else result
