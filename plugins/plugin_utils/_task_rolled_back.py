# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State C(rolled_back) of the action M(agentless.codedeploy.deployment): the automatic rollback, when it is due."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import resume_left, suspend_or_end
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._conclude_deployment import conclude_in_play
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import fleet_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import (
    refuse_rollback,
    rollback_due,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import secrets_of, settings_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_task import (
    DeploymentTask,
    created_result,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require_unless_own
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import created_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._rollback import (
    perhaps_running,
    roll_back,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import configured_forks


def roll_back_when_due(task: DeploymentTask) -> dict[str, Any]:
    """Create the automatic rollback of a deployment that has ended, when it is due."""
    store = task.store
    if task.check_mode or not task.arguments["deployment_id"]:
        return {"changed": False, "skipped": True, "msg": "check mode: there is no deployment to roll back"}
    named = get_deployment(store, task.arguments["deployment_id"], with_order=False)
    require_unless_own(store, "CreateDeployment", named)
    failed = conclude_in_play(store, task.arguments["deployment_id"], task.run, [], [])
    result: dict[str, Any] = {"changed": False, "deployment_id": "", "status": failed.status}
    if not rollback_due(failed):
        return result
    # Of the record, not of this run's variables: another controller may have made it.
    settings = dataclasses.replace(settings_of(failed), secrets=secrets_of(task.arguments))
    fleet = fleet_of(settings.group, task.task_vars["groups"], task.task_vars["ansible_play_hosts_all"])
    try:
        for problem in resume_left(store, failed.deployment_group_id, task.run):
            task.display.warning(problem)
        deployment = roll_back(store, failed, settings, fleet, task.run)
        suspend_or_end(store, deployment, task.run)
    except (PreflightError, CodeDeployError) as error:
        # Not the whole report of a preflight: it says that no instance was touched, which is true of the rollback only.
        reason = "; ".join(error.problems if isinstance(error, PreflightError) else []) or str(error)
        message = refuse_rollback(store, failed.deployment_id, reason)
        task.display.display(message, color="red")
        return {**result, "msg": message}
    task.display.display(created_text(deployment, store.location, configured_forks()))
    task.display.display(f"  {(deployment.rollback_info or {}).get('rollback_message')}")
    created = created_result(store, deployment, changed=True)
    created["plan"]["unfinished"].update(perhaps_running(store, failed))
    return created
