# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The load balancers of the instance that a task works on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import Deployment, heartbeat
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import Traffic, TrafficError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_instances import Places, traffic_of

HEARTBEAT_SECONDS = 15.0


def traffic_of_task(
    action: ActionBase, task_vars: Mapping[str, Any], store: Store, deployment: Deployment
) -> Traffic | None:
    """Return the load balancers of the instance that a task works on.

    :raises CodeDeployError: when it is not known what the instance is to them.
    """
    name = str(task_vars["inventory_hostname"])
    try:
        return traffic_of(
            deployment.options,
            name,
            Places(action, task_vars),
            task_vars["hostvars"][name],
            _Heart(store, deployment.deployment_id).beat,
        )
    except TrafficError as error:
        raise CodeDeployError(str(error), "ELASTIC_LOAD_BALANCING_INVALID") from error


class _Heart:
    """Shows in the record that the controller lives, while load balancers take their time."""

    def __init__(self, store: Store, deployment_id: str) -> None:
        self._store = store
        self._deployment_id = deployment_id
        self._last = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._last >= HEARTBEAT_SECONDS:
            heartbeat(self._store, self._deployment_id)
            self._last = time.monotonic()
