# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task of the action M(agentless.codedeploy.deployment): what its states need to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._plan import plan_of_deployment, unfinished_elsewhere
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._role_variables import check_role_variables
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_preflight import check_traffic


@dataclass(frozen=True)
class DeploymentTask:
    """One task: its arguments, who runs it, and the screen.

    :param run: the process of ansible-playbook and the play.
    """

    action: ActionBase
    store: Store
    arguments: dict[str, Any]
    task_vars: dict[str, Any]
    run: Owner
    display: Display

    @property
    def check_mode(self) -> bool:
        """Whether nothing is to be changed."""
        return bool(self.action._task.check_mode)

    @property
    def diff(self) -> bool:
        """Whether differences are wanted."""
        return bool(self.action._task.diff)


def check_further(
    task: DeploymentTask, recorded: Mapping[str, Any], instances: Sequence[str], findings: Findings
) -> None:
    """Add what only a task can find wrong with a deployment: with the role's variables, and with load balancers.

    :param recorded: options of the deployment's record.
    :param instances: those that it is to deploy to.
    """
    check_role_variables(task.action, task.task_vars, findings)
    check_traffic(task.action, task.task_vars, recorded, instances, findings)


def created_result(store: Store, deployment: Deployment, changed: bool) -> dict[str, Any]:
    """Return what the plays after this one need to know of a deployment."""
    return {
        "changed": changed,
        "deployment_id": deployment.deployment_id,
        "status": deployment.status,
        "plan": plan_of_deployment(deployment, unfinished_elsewhere(store, deployment)),
    }
