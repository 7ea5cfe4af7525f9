# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""End the deployments of a run of ansible-playbook whose instances did not all arrive."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    conclude,
    finish_instance,
    get_deployment,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, InstanceNotPending
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_queue import same_controller
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

NEVER_ARRIVED = "The instance never arrived at the deployment: it failed or was unreachable earlier in the play."


def deployments_to_conclude(
    store: Store, run: Owner, application_name: str | None = None, group: str | None = None
) -> list[Deployment]:
    """Return the deployments that a run has made, and those that a dead controller left active; oldest first.

    :param run: the controller process that asks.
    :param group: name of the inventory's group or of the deployment group.
    """
    newest = list_deployments(store, application_name=application_name, group=group or None, with_order=False)
    return [
        deployment
        for deployment in reversed(newest)
        if same_controller(deployment.owner, run) or (deployment.active and deployment.controller_gone)
    ]


def conclude_in_play(
    store: Store, deployment_id: str, run: Owner, hosts: Sequence[str], present: Sequence[str]
) -> Deployment:
    """End a deployment, or in the play that deploys only its instances that have dropped out of the play.

    Other batches of that play are still to come, and in other strategies than linear other hosts are still at work.

    :param run: the controller process and the play that ask.
    :param hosts: all hosts of the play.
    :param present: those that neither failed nor were unreachable yet.
    :raises CodeDeployError: the deployment is another controller's, which lives.
    """
    deployment = get_deployment(store, deployment_id)
    if not deployment.active:
        return deployment
    if not same_controller(deployment.owner, run) and not deployment.controller_gone:
        raise CodeDeployError(
            f"Deployment {deployment_id} is run by {deployment.owner}, which lives: stop the deployment instead.",
            "DeploymentLimitExceeded",
        )
    if deployment.owner != run:
        return conclude(store, deployment_id)
    lost = set(hosts) - set(present)
    for target in get_targets(store, deployment_id, ["Pending"]):
        if target.target_id in lost and not _fail(store, deployment_id, target.target_id):
            break
    return get_deployment(store, deployment_id)


def _fail(store: Store, deployment_id: str, instance: str) -> bool:
    """Record that a pending instance did not arrive; false when that has become too late."""
    try:
        status = finish_instance(store, deployment_id, instance, "Failed", message=NEVER_ARRIVED)
    except InstanceNotPending:
        return False
    return status not in ("Succeeded", "Failed", "Stopped")
