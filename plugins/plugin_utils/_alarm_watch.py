# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at the alarms of a deployment that goes on, and stop it when one rings."""

from __future__ import annotations

import time

from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._alarms import (
    alarm_state,
    stop_message,
    watched_alarms,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import CREATOR
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._stop_deployment import stop
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, run_again_if_undone

POLL_SECONDS = 10.0


class AlarmWatch:
    """Looks at a deployment's alarms whenever it is asked to, and not more often than its settings say.

    All workers together ask CloudWatch once in ``alarm_poll_interval`` seconds (10): the record says who. A rollback
    heeds no alarms: that which made it would keep it from being done.
    """

    def __init__(self, store: Store, deployment: Deployment) -> None:
        self._store = store
        self._deployment = deployment
        configuration = deployment.options.get("alarm_configuration")
        heeds = bool(watched_alarms(configuration)) and deployment.creator != CREATOR
        self._configuration = configuration if heeds else None
        interval = deployment.options.get("alarm_poll_interval")
        self._interval = POLL_SECONDS if interval is None else float(interval)
        self._next = 0.0

    def look(self) -> None:
        """Stop the deployment (ALARM_ACTIVE) when an alarm rings, or cannot be read and that is not to be ignored.

        To be called before an instance is begun and again and again while one is in work, or is waited for.
        """
        if self._configuration is None or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._interval
        if not _claim(self._store, self._deployment.deployment_id, self._interval):
            return
        settings = AwsSettings.from_arguments(self._deployment.options.get("aws") or {})
        state = alarm_state(settings, self._configuration)
        message = stop_message(self._configuration, state)
        if message is not None:
            self._stop(message)
        elif state.unreadable:
            Display().warning(f"Deployment {self._deployment.deployment_id}: {state.unreadable}")

    def _stop(self, message: str) -> None:
        deployment = self._deployment
        try:
            stop(self._store, deployment.deployment_id, deployment.owner, reason="alarm", message=message)
        except CodeDeployError as error:
            # It has ended while CloudWatch was asked.
            if error.code != "DeploymentAlreadyCompleted":
                raise
            return
        Display().display(f"Deployment {deployment.deployment_id} is stopped: {message}", color="red")


@run_again_if_undone
def _claim(store: Store, deployment_id: str, interval: float) -> bool:
    """Whether the alarms of a deployment that goes on are to be read now; if so it is this process that reads them."""
    with store.transaction() as tx:
        changed = tx.execute(
            "UPDATE deployments SET alarms_polled_time = %s WHERE deployment_id = %s AND complete_time IS NULL"
            " AND stop_requested_time IS NULL AND (alarms_polled_time IS NULL OR alarms_polled_time <= %s)",
            (tx.now, deployment_id, tx.now - interval),
        )
    return changed > 0
