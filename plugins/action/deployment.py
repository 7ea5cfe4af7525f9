# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.deployment)."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import remember_keys
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import arguments_of_settings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_task import DeploymentTask
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import REPORT_ARGUMENTS
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import this_run
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_concluded import conclude_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_created import create
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_planned import plan
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_rolled_back import roll_back_when_due
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_stopped import stop_deployment_of

STATES = {
    "created": create,
    "concluded": conclude_deployments,
    "stopped": stop_deployment_of,
    "rolled_back": roll_back_when_due,
    "planned": plan,
}
# Those of a deployment's settings are in _deployment_settings.
ARGUMENTS = {
    "state": {"type": "str", "choices": list(STATES), "default": "created"},
    "deployment_id": {"type": "str"},
    "planned_deployment": {"type": "dict"},
    "outlook": {"type": "dict"},
    "resume": {"type": "bool", "default": False},
    "rollback": {"type": "bool"},
    "wait_for_group": {"type": "int", "default": 0},
    "deployment_group": {"type": "str"},
    "deployment_groups": {"type": "dict", "default": {}},
    "revision_headers": {"type": "dict", "default": {}, "no_log": True},
    "store": {"type": "str"},
    **REPORT_ARGUMENTS,
}


class ActionModule(ControllerAction):
    """Creates, stops and concludes a deployment, on the controller."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {**ARGUMENTS, **arguments_of_settings()}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Run the task, once for all instances."""
        remember_keys(arguments)
        store = open_store(arguments["store"])
        task = DeploymentTask(self, store, arguments, task_vars, this_run(self), self._display)
        return STATES[arguments["state"]](task)
