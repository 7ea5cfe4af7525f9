# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record that a deployment could not be rolled back."""

from __future__ import annotations

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rows import locked_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


def refuse_rollback(store: Store, deployment_id: str, reason: str) -> str:
    """Record why a deployment is not rolled back (RollbackInfo's rollbackMessage) and return the message.

    :raises DoesNotExist: there is no such deployment.
    """
    message = f"Deployment {deployment_id} cannot be rolled back: {reason}"
    with store.transaction() as tx:
        locked_deployment(tx, deployment_id)
        tx.execute("UPDATE deployments SET rollback_message = %s WHERE deployment_id = %s", (message, deployment_id))
    return message
