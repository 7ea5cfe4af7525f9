# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the deployment that somebody wants to stop, and stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import rollback_due
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    abandon,
    get_deployment,
    get_targets,
    list_deployments,
    stop_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import DoesNotExist, InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import group_options
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import STATUS_PLAYBOOK
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

Reason = Literal["request", "alarm"]
REASONS = {
    "request": ("MANUAL_STOP", "The deployment was stopped by a user."),
    "alarm": (
        "ALARM_ACTIVE",
        "One or more alarms have been activated according to the alarm configuration of the deployment group.",
    ),
}
ROLLBACK_PLAYBOOK = "ansible-playbook agentless.codedeploy.rollback"


@dataclass(frozen=True)
class Stop:
    """What a stop has come to: StopDeployment's C(status), and the instances that are still in work.

    :param rollback_missed: it is to be rolled back, and its controller has ended.
    """

    deployment: Deployment
    status: Literal["Pending", "Succeeded"]
    in_work: list[str]
    rollback_missed: bool = False


def active_deployment_of(store: Store, group: str | None, application_name: str | None) -> str:
    """Return the id of the one active deployment of a group.

    :param group: name of the inventory's group or of the deployment group.
    :raises DoesNotExist: there is none.
    :raises InvalidInput: no group was named, or there are several.
    """
    if not group:
        raise InvalidInput("Name the deployment, -e deployment_id=ID, or its group, -e deploy_group=NAME.")
    found = [
        deployment.deployment_id
        for deployment in list_deployments(
            store,
            statuses=["Created", "Queued", "InProgress", "Baking", "Ready"],
            application_name=application_name,
            group=group,
            with_order=False,
        )
    ]
    if not found:
        raise DoesNotExist(f"The deployment group {group!r} has no active deployment.")
    if len(found) > 1:
        raise InvalidInput(f"{group!r} has several active deployments, name one: {', '.join(found)}.")
    return found[0]


def stop(
    store: Store,
    deployment_id: str,
    owner: Owner,
    rollback: bool | None = None,
    reason: Reason = "request",
    message: str | None = None,
) -> Stop:
    """Stop a deployment; one whose controller is dead is ended at once.

    The run that deploys rolls it back: with the reason C(alarm) when its auto_rollback_configuration has
    DEPLOYMENT_STOP_ON_ALARM, with C(request) when it has DEPLOYMENT_STOP_ON_REQUEST.

    :param owner: who asks.
    :param rollback: StopDeployment's autoRollbackEnabled; None leaves it to the deployment's settings.
    :param reason: an alarm ends it with ALARM_ACTIVE, a request with MANUAL_STOP.
    :param message: of its errorInformation; names the alarms that are active.
    :raises CodeDeployError: it has ended already.
    """
    code, usual = REASONS[reason]
    status = stop_deployment(store, deployment_id, owner, rollback, code, message or usual)
    deployment = get_deployment(store, deployment_id)
    left = deployment.controller_gone
    if deployment.active and left:
        deployment, status = abandon(store, deployment_id, owner), "Succeeded"
    in_work = [target.target_id for target in get_targets(store, deployment_id, ["InProgress"])]
    return Stop(deployment, status, in_work, left and rollback_due(deployment))


def stop_text(stopped: Stop) -> str:
    """Say what a stop has come to."""
    deployment_id = stopped.deployment.deployment_id
    if stopped.rollback_missed:
        return (
            f"Deployment {deployment_id}: {stopped.deployment.status}. The controller that would have rolled it back "
            f"has ended. To roll it back: {ROLLBACK_PLAYBOOK} {group_options(stopped.deployment)}"
        )
    if stopped.status == "Succeeded":
        return f"Deployment {deployment_id}: {stopped.deployment.status}. No more lifecycle events will be started."
    return (
        f"Deployment {deployment_id} is being stopped. In work: {', '.join(stopped.in_work)}; scripts that run there "
        f"are not killed, no further lifecycle event is started.\n"
        f"To see when it has ended: {STATUS_PLAYBOOK} -e deployment_id={deployment_id}"
    )
