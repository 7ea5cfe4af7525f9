# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the deployment that somebody wants to stop, and stop it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    abandon,
    get_deployment,
    get_targets,
    list_deployments,
    stop_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import DoesNotExist, InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner, is_dead
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import STATUS_PLAYBOOK
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


@dataclass(frozen=True)
class Stop:
    """What a stop has come to: StopDeployment's C(status), and the instances that are still in work."""

    deployment: Deployment
    status: Literal["Pending", "Succeeded"]
    in_work: list[str]


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
            store, statuses=["Created", "Queued", "InProgress", "Baking", "Ready"], application_name=application_name
        )
        if group in (deployment.deployment_group_name, deployment.options.get("deployment_group"))
    ]
    if not found:
        raise DoesNotExist(f"The deployment group {group!r} has no active deployment.")
    if len(found) > 1:
        raise InvalidInput(f"{group!r} has several active deployments, name one: {', '.join(found)}.")
    return found[0]


def stop(store: Store, deployment_id: str, owner: Owner) -> Stop:
    """Stop a deployment; one whose controller is dead is ended at once.

    :param owner: who asks.
    :raises CodeDeployError: it has ended already.
    """
    status = stop_deployment(store, deployment_id, owner)
    deployment = get_deployment(store, deployment_id)
    if deployment.active and is_dead(deployment.owner, deployment.heartbeat, time.time()):
        deployment, status = abandon(store, deployment_id, owner), "Succeeded"
    in_work = [target.target_id for target in get_targets(store, deployment_id, ["InProgress"])]
    return Stop(deployment, status, in_work)


def stop_text(stopped: Stop) -> str:
    """Say what a stop has come to."""
    deployment_id = stopped.deployment.deployment_id
    if stopped.status == "Succeeded":
        return f"Deployment {deployment_id}: {stopped.deployment.status}. No more lifecycle events will be started."
    return (
        f"Deployment {deployment_id} is being stopped. In work: {', '.join(stopped.in_work)}; scripts that run there "
        f"are not killed, no further lifecycle event is started.\n"
        f"To see when it has ended: {STATUS_PLAYBOOK} -e deployment_id={deployment_id}"
    )
