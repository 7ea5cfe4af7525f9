# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.deployment)."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import remember_keys
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import arguments_of_settings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_task import DeploymentTask
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import shows_failures, this_run
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_concluded import conclude_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_created import create
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_rolled_back import roll_back_when_due
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._task_stopped import stop_deployment_of

STATES = {
    "created": create,
    "concluded": conclude_deployments,
    "stopped": stop_deployment_of,
    "rolled_back": roll_back_when_due,
}
# Those of a deployment's settings are in _deployment_settings.
ARGUMENTS = {
    "state": {"type": "str", "choices": list(STATES), "default": "created"},
    "deployment_id": {"type": "str"},
    "planned_deployment": {"type": "dict"},
    "deployment_group": {"type": "str"},
    "deployment_groups": {"type": "dict", "default": {}},
    "revision_headers": {"type": "dict", "default": {}, "no_log": True},
    "store": {"type": "str"},
}


class ActionModule(ActionBase):
    """Creates, stops and concludes a deployment, on the controller."""

    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task, once for all instances."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec={**ARGUMENTS, **arguments_of_settings()})
        remember_keys(arguments)
        display = Display()
        try:
            store = open_store(arguments["store"])
            task = DeploymentTask(self, store, arguments, task_vars or {}, this_run(self), display)
            return STATES[arguments["state"]](task)
        except CodeDeployError as error:
            return {"failed": True, "changed": False, "msg": f"{error.code}: {error.message}"}
        except PreflightError as error:
            if not shows_failures():
                display.display(str(error), color="red")
            return {"failed": True, "changed": False, "msg": str(error)}
