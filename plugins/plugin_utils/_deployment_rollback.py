# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a deployment is to be rolled back by itself, and the record that it could not be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rows import locked_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, run_again_if_undone

CREATOR = "codeDeployRollback"
EVENT_OF_STATUS = {"Failed": "DEPLOYMENT_FAILURE", "Stopped": "DEPLOYMENT_STOP_ON_REQUEST"}
ALARM = "ALARM_ACTIVE"


def rollback_due(deployment: Deployment) -> bool:
    """Say whether a deployment that has ended is to be rolled back (AutoRollbackConfiguration).

    Who stops a deployment may say so for this once (StopDeployment's autoRollbackEnabled), which comes before its
    settings. A rollback that fails is not rolled back again: that would deploy the same revision.
    """
    if deployment.active or deployment.creator == CREATOR or deployment.rollback_info:
        return False
    event = EVENT_OF_STATUS.get(deployment.status)
    if event == "DEPLOYMENT_STOP_ON_REQUEST":
        if (deployment.error_information or {}).get("code") == ALARM:
            event = "DEPLOYMENT_STOP_ON_ALARM"
        if deployment.stop_rollback is not None:
            return deployment.stop_rollback
    configuration: Mapping[str, Any] = deployment.options.get("auto_rollback_configuration") or {}
    return bool(configuration.get("enabled", True) and event in (configuration.get("events") or []))


@run_again_if_undone
def refuse_rollback(store: Store, deployment_id: str, reason: str) -> str:
    """Record why a deployment is not rolled back (RollbackInfo's rollbackMessage) and return the message.

    :raises DoesNotExist: there is no such deployment.
    """
    message = f"Deployment {deployment_id} cannot be rolled back: {reason}"
    with store.transaction() as tx:
        locked_deployment(tx, deployment_id)
        tx.execute("UPDATE deployments SET rollback_message = %s WHERE deployment_id = %s", (message, deployment_id))
    return message
