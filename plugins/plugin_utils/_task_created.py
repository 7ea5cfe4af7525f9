# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""State C(created) of the action M(agentless.codedeploy.deployment): check everything, then record the deployment."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._announcements import tell_left
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import resume_left, suspend_or_end
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import planned_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Prepared, prepare, record
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import Settings, settle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_task import (
    DeploymentTask,
    check_further,
    created_result,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ActiveDeployment,
    GroupAwaited,
    Obstacle,
    audit,
    leave_group_queue,
    wait_for_group,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError, PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_queue import same_controller
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import is_registered
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._intention import Intention, foresee, intend
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require, require_for_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_check import would_create_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import (
    created_text,
    missed_rollback_text,
    waiting_text,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._restart import is_restart
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._role_invocation import (
    Notes,
    deployment_of_place,
    hosts_go_alone,
    invocation_of,
    is_whole_role,
    make_room,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._rollback import missed_rollback
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import (
    configured_forks,
    delegation_problem,
    group_of_play,
    inventory_options,
    revision_folders,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import described

# Of a deployment that was refused; the task that deploys to an instance refuses then.
NO_PLAN: dict[str, Any] = {"order": [], "window": 0, "serial": [1], "unfinished": {}}


def create(task: DeploymentTask) -> dict[str, Any]:
    """Create the deployment, or return the one that this play has made already at this place.

    :raises PreflightError: with all findings in one text.
    :raises CodeDeployError: the group is busy.
    """
    if not hosts_go_alone(task.action):
        return _create_or_join(task)
    # Each host creates or joins on its own there, and a failure with run_once would fail all others where they are.
    # A loop comes to the same place again, with another application for instance.
    place = invocation_of(task.action)
    own = Notes(place, str(task.task_vars["inventory_hostname"]))
    of_same = Notes(place, repr(sorted(task.arguments.items())))
    try:
        planned = of_same.read("created") if task.check_mode else None
        created: dict[str, Any] = planned or _create_or_join(task)
    except (CodeDeployError, PreflightError) as error:
        text = f"{error.code}: {error.message}" if isinstance(error, CodeDeployError) else str(error)
        own.write("refusal", text)
        task.display.display(text, color="red")
        return {"changed": False, "deployment_id": "", "status": "Failed", "plan": NO_PLAN, "refusal": text}
    if task.check_mode:
        of_same.write("created", created)
        own.write("created", created)
    else:
        own.write("deployment_id", created["deployment_id"])
    return created


def _create_or_join(task: DeploymentTask) -> dict[str, Any]:
    # The part that creates may well be delegated to the controller.
    delegated = is_whole_role(task.action) and delegation_problem(task.action, task.task_vars["inventory_hostname"])
    if delegated:
        raise PreflightError(delegated)
    group = task.arguments["deployment_group"] or group_of_play(task.action, task.task_vars)
    if not group:
        raise PreflightError("deploy_group is not set: name the group of the inventory that is deployed to")
    settings = settle(task.arguments, str(group))
    names = settings.application_name, settings.deployment_group_name
    require_for_group(task.store, "CreateDeployment", *names, settings.deployment_group_id)
    place = (task.run, invocation_of(task.action), str(task.task_vars["inventory_hostname"]))
    if task.arguments["alarm_configuration"] is not None:
        # As for overrideAlarmConfiguration.
        require_for_group(task.store, "UpdateDeploymentGroup", *names, settings.deployment_group_id)
    try:
        joined = deployment_of_place(task.store, settings, *place)
        if joined is None:
            return _create_in_turn(task, settings)
    except (CodeDeployError, PreflightError) as error:
        # Strategies that know no run_once let several hosts come here at once: one creates it, the others join.
        joined = deployment_of_place(task.store, settings, *place)
        if joined is None:
            if isinstance(error, PreflightError) and not task.check_mode:
                _audit_refusal(task, settings, "PreflightFailed", str(error))
            raise
    return created_result(task.store, joined, changed=False)


def _audit_refusal(task: DeploymentTask, settings: Settings, code: str, message: str) -> None:
    """Note what was refused before the record was asked, which notes its own refusals."""
    names = ("application_name", "deployment_group_name", "deployment_group_id", "file_exists_behavior", "description")
    result = {"error_code": code, "error_message": message}
    audit(task.store, task.run, "CreateDeployment", {name: getattr(settings, name) for name in names}, result)


def _create_in_turn(task: DeploymentTask, settings: Settings) -> dict[str, Any]:
    """Create the deployment, before that wait for the group when that is wanted and it is busy."""
    seconds, group_id = task.arguments["wait_for_group"], settings.deployment_group_id
    if not seconds or task.check_mode:
        return _create_new(task, settings)

    def tell(obstacle: Obstacle) -> None:
        if same_controller(obstacle.owner, task.run):
            message = f"The deployment group {settings.deployment_group_name!r} is busy with what this run deploys."
            raise CodeDeployError(message, "DeploymentLimitExceeded")
        task.display.display(waiting_text(settings.deployment_group_name, obstacle))

    try:
        wait_for_group(task.store, group_id, settings.deployment_group_name, task.run, seconds, tell)
    except (ActiveDeployment, GroupAwaited) as error:
        _audit_refusal(task, settings, error.code, error.message)
        raise
    try:
        # What was read before the wait is out of date after it.
        return _create_new(task, settings)
    finally:
        leave_group_queue(task.store, group_id, task.run)


def _create_new(task: DeploymentTask, settings: Settings) -> dict[str, Any]:
    store, task_vars = task.store, task.task_vars
    asked = settings.request_digest
    if not task.check_mode:
        tell_left(store, settings.deployment_group_id)
        for problem in resume_left(store, settings.deployment_group_id, task.run):
            task.display.warning(problem)
        make_room(store, settings, task.run, task_vars, hosts_go_alone(task.action))
    intention = intend(store, task.arguments, settings, task.action, task_vars)
    settings, fleet = intention.settings, intention.fleet
    headers = {str(key): str(value) for key, value in task.arguments["revision_headers"].items()}
    prepared = prepare(
        store,
        settings,
        fleet,
        headers,
        revision_folders(task_vars),
        further=lambda findings: check_further(task, settings.recorded, intention.chosen, findings),
    )
    if not is_registered(store, settings.application_name, prepared.revision.as_record()):
        require(store, "RegisterApplicationRevision", settings.application_name)
    for warning in prepared.warnings:
        task.display.warning(warning)
    if task.check_mode:
        return _would_create(task, prepared, intention)
    # A further batch of the play asks for the same, and does not know the revision either.
    more: dict[str, Any] = {"request_digest": asked, "invocation": invocation_of(task.action)}
    more["in_play_of_user"] = is_whole_role(task.action)
    deployment = record(store, prepared, task.run, only=intention.only, more_options=more)
    suspend_or_end(store, deployment, task.run)
    task.display.display(created_text(deployment, store.location, configured_forks()))
    missed = missed_rollback(store, deployment)
    if missed is not None:
        task.display.warning(missed_rollback_text(missed, inventory_options()))
    created = created_result(store, deployment, changed=True)
    created["plan"]["unfinished"] = {**intention.unfinished, **created["plan"]["unfinished"]}
    return created


def _would_create(task: DeploymentTask, prepared: Prepared, intention: Intention) -> dict[str, Any]:
    _foreseen, plan = foresee(task.store, prepared, intention, task.run)
    restarts = is_restart(prepared.settings.recorded)
    task.display.display(would_create_text(prepared.revision.location, plan, restarts))
    if intention.resumption:
        task.display.display(f"  would go on with {intention.resumption.former.deployment_id}")
    for balancer in described(prepared.settings.recorded):
        task.display.display(f"  would block and allow traffic from {balancer}")
    planned = planned_deployment(prepared, plan["order"])
    return {"changed": True, "deployment_id": "", "status": "Created", "plan": plan, "planned_deployment": planned}
