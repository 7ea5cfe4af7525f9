# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.deployment)."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import checked_groups, planned_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._conclude_deployment import (
    conclude_in_play,
    deployments_to_conclude,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import (
    Prepared,
    Settings,
    fleet_of,
    prepare,
    record,
    settle,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import refuse_rollback
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    get_deployment,
    get_group,
    get_targets,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._plan import (
    deployment_of_run,
    plan_of_deployment,
    plan_of_preparation,
    unfinished_elsewhere,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_check import check_text, diff_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import (
    created_text,
    missed_rollback_text,
    verdict_text,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._rollback import (
    missed_rollback,
    perhaps_running,
    roll_back,
    rollback_due,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import (
    configured_forks,
    group_of_play,
    inventory_options,
    revision_folders,
    shows_failures,
    this_run,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._stop_deployment import (
    active_deployment_of,
    stop,
    stop_text,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

ARGUMENTS = {
    "state": {"type": "str", "choices": ["created", "concluded", "stopped", "rolled_back"], "default": "created"},
    "deployment_id": {"type": "str"},
    "planned_deployment": {"type": "dict"},
    "application_name": {"type": "str"},
    "deployment_group": {"type": "str"},
    "deployment_group_id": {"type": "str"},
    "deployment_groups": {"type": "dict", "default": {}},
    "revision": {"type": "str"},
    "revision_headers": {"type": "dict", "default": {}, "no_log": True},
    "appspec_filename": {"type": "str"},
    "deployment_config": {"type": "raw"},
    "file_exists_behavior": {"type": "str"},
    "ignore_application_stop_failures": {"type": "bool"},
    "update_outdated_instances_only": {"type": "bool"},
    "auto_rollback_configuration": {"type": "dict"},
    "description": {"type": "str"},
    "rollout": {"type": "str", "choices": ["window", "batches"], "default": "window"},
    "restore_on_failure": {"type": "bool"},
    "reject_setuid": {"type": "bool"},
    "ignore_ownership": {"type": "bool"},
    "archive_limits": {"type": "dict"},
    "store": {"type": "str"},
}


class ActionModule(ActionBase):
    """Creates, stops and concludes a deployment, on the controller."""

    TRANSFERS_FILES = False
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task, once for all instances."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        self._display = Display()
        try:
            store = open_store(arguments["store"])
            if arguments["state"] == "concluded":
                return self._conclude(store, arguments, task_vars or {})
            if arguments["state"] == "stopped":
                return self._stop(store, arguments)
            if arguments["state"] == "rolled_back":
                return self._roll_back(store, arguments, task_vars or {})
            return self._create(store, arguments, task_vars or {})
        except CodeDeployError as error:
            return {"failed": True, "changed": False, "msg": f"{error.code}: {error.message}"}
        except PreflightError as error:
            if not shows_failures():
                self._display.display(str(error), color="red")
            return {"failed": True, "changed": False, "msg": str(error)}

    def _create(self, store: Store, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        group = arguments["deployment_group"] or group_of_play(self, task_vars)
        if not group:
            raise PreflightError("deploy_group is not set: name the group of the inventory that is deployed to")
        settings = settle(arguments, str(group))
        run = this_run(self)
        try:
            joined = deployment_of_run(store, settings, run)
            if joined is None:
                return self._create_new(store, settings, str(group), arguments, task_vars, run)
        except (CodeDeployError, PreflightError):
            # Strategies that know no run_once let several hosts come here at once: one creates it, the others join.
            joined = deployment_of_run(store, settings, run)
            if joined is None:
                raise
        return self._created(store, joined, changed=False)

    def _create_new(
        self,
        store: Store,
        settings: Settings,
        group: str,
        arguments: dict[str, Any],
        task_vars: dict[str, Any],
        run: Owner,
    ) -> dict[str, Any]:
        fleet = fleet_of(group, task_vars["groups"], task_vars["ansible_play_hosts_all"])
        headers = {str(key): str(value) for key, value in arguments["revision_headers"].items()}
        prepared = prepare(store, settings, fleet, headers, revision_folders(task_vars))
        for warning in prepared.warnings:
            self._display.warning(warning)
        if self._task.check_mode:
            return self._would_create(store, prepared)
        deployment = record(store, prepared, run)
        self._display.display(created_text(deployment, store.location, configured_forks()))
        missed = missed_rollback(store, deployment)
        if missed is not None:
            self._display.warning(missed_rollback_text(missed, inventory_options()))
        return self._created(store, deployment, changed=True)

    def _roll_back(self, store: Store, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Create the automatic rollback of a deployment that has ended, when it is due."""
        if self._task.check_mode or not arguments["deployment_id"]:
            return {"changed": False, "skipped": True, "msg": "check mode: there is no deployment to roll back"}
        run = this_run(self)
        failed = conclude_in_play(store, arguments["deployment_id"], run, [], [])
        result: dict[str, Any] = {"changed": False, "deployment_id": "", "status": failed.status}
        if not rollback_due(failed):
            return result
        group = str(failed.options["deployment_group"])
        fleet = fleet_of(group, task_vars["groups"], task_vars["ansible_play_hosts_all"])
        try:
            deployment = roll_back(store, failed, settle(arguments, group), fleet, run)
        except (PreflightError, CodeDeployError) as error:
            message = refuse_rollback(store, failed.deployment_id, str(error))
            self._display.display(message, color="red")
            return {**result, "msg": message}
        self._display.display(created_text(deployment, store.location, configured_forks()))
        self._display.display(f"  {(deployment.rollback_info or {}).get('rollback_message')}")
        created = self._created(store, deployment, changed=True)
        created["plan"]["unfinished"].update(perhaps_running(store, failed))
        return created

    @staticmethod
    def _created(store: Store, deployment: Deployment, changed: bool) -> dict[str, Any]:
        return {
            "changed": changed,
            "deployment_id": deployment.deployment_id,
            "status": deployment.status,
            "plan": plan_of_deployment(deployment, unfinished_elsewhere(store, deployment)),
        }

    def _would_create(self, store: Store, prepared: Prepared) -> dict[str, Any]:
        plan = plan_of_preparation(prepared, get_group(store, prepared.settings.deployment_group_id))
        self._display.display(
            f"check mode: would deploy {prepared.revision.location} to {len(plan['order'])} instances, "
            f"at most {plan['window']} at a time"
        )
        planned = planned_deployment(prepared, plan["order"])
        return {"changed": True, "deployment_id": "", "status": "Created", "plan": plan, "planned_deployment": planned}

    def _conclude(self, store: Store, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode or arguments["deployment_id"] == "":
            return self._checked((arguments["planned_deployment"] or {}).get("order") or [], task_vars)
        run, wanted = this_run(self), arguments["deployment_id"]
        if wanted is None:
            group, application = arguments["deployment_group"], arguments["application_name"]
            found = deployments_to_conclude(store, run, application, group)
            if not found:
                return {"changed": False, "skipped": True, "msg": "this run has made no deployment"}
            identifiers = [deployment.deployment_id for deployment in found]
        else:
            rollback = (get_deployment(store, wanted).rollback_info or {}).get("rollback_deployment_id")
            identifiers = [wanted, rollback] if rollback else [wanted]
        hosts, present = task_vars.get("ansible_play_hosts_all", []), task_vars.get("ansible_play_hosts", [])
        return self._concluded(store, [conclude_in_play(store, one, run, hosts, present) for one in identifiers])

    def _checked(self, names: list[str], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Say what would happen on all instances, once for those with the same plan."""
        groups = checked_groups(names, task_vars)
        if not groups:
            return {"changed": False, "skipped": True, "msg": "check mode: there is no deployment to conclude"}
        failing = sum(len(group.instances) for group in groups if group.would_fail)
        self._display.display(check_text(groups), color="red" if failing else None)
        diff = [entry for group in groups for entry in group.diff]
        result: dict[str, Any] = {"changed": True, "plans": [group.as_data() for group in groups]}
        if not failing:
            return {**result, "diff": diff} if self._task.diff else result
        if diff and self._task.diff:
            # Ansible shows no differences of a task that failed.
            self._display.display(diff_text(diff))
        return {**result, "failed": True, "msg": f"check mode: the deployment would fail on {failing} of {len(names)}"}

    def _stop(self, store: Store, arguments: dict[str, Any]) -> dict[str, Any]:
        deployment_id = arguments["deployment_id"] or active_deployment_of(
            store, arguments["deployment_group"], arguments["application_name"]
        )
        if self._task.check_mode:
            deployment = get_deployment(store, deployment_id)
            return {"changed": deployment.active, "deployment_id": deployment_id, "status": deployment.status}
        stopped = stop(store, deployment_id, this_run(self))
        self._display.display(stop_text(stopped))
        return {
            "changed": True,
            "deployment_id": deployment_id,
            "status": stopped.deployment.status,
            "stop_status": stopped.status,
            "in_work": stopped.in_work,
        }

    def _concluded(self, store: Store, deployments: list[Deployment]) -> dict[str, Any]:
        """Print the verdicts; the result has the last deployment, and failed unless each has succeeded or goes on."""
        messages = []
        for deployment in deployments:
            targets = get_targets(store, deployment.deployment_id)
            if deployment.active:
                pending = [target.target_id for target in targets if target.status in ("Pending", "InProgress")]
                self._display.display(f"Deployment {deployment.deployment_id} goes on, with {', '.join(pending)}")
                continue
            text = verdict_text(deployment, targets, inventory_options())
            succeeded = deployment.status == "Succeeded"
            self._display.display(text, color="green" if succeeded else "red")
            if not succeeded:
                code = (deployment.error_information or {}).get("code", "")
                messages.append(f"Deployment {deployment.deployment_id} {deployment.status}: {code}")
        last = deployments[-1]
        result: dict[str, Any] = {"changed": False, "deployment_id": last.deployment_id, "status": last.status}
        return {**result, "failed": True, "msg": "; ".join(messages)} if messages else result
