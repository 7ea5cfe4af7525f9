# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.deploy_instance)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AWS_ARGUMENTS, remember_keys
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_turns import Coming
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    finish_instance,
    get_deployment,
    get_target,
    takes_part,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._former_deployment import FormerDeployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import Instance
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_deployment import InstanceDeployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_parameters import InstanceOptions
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require_unless_own
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._plan import unfinished_elsewhere
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import failed_event, failure_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_text import revision_text
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._role_invocation import (
    Notes,
    deployment_of_task,
    hosts_go_alone,
    invocation_of,
    is_whole_role,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import (
    configured_forks,
    delegation_problem,
    shows_failures,
    this_run,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import is_load_balanced

NOT_PART = "not part of this deployment: it has the revision already"
MISSING = "deployment_id is missing: create a deployment with agentless.codedeploy.deployment"
ARGUMENTS = {
    "application_name": {"type": "str"},
    "deployment_id": {"type": "str"},
    "former_deployment_id": {"type": "str"},
    "revision": {"type": "raw", "default": ""},
    "revision_headers": {"type": "dict", "default": {}, "no_log": True},
    "root": {"type": "path", "default": "/opt/codedeploy-agent/deployment-root"},
    "destination_root": {"type": "path", "default": "/"},
    "revisions_to_keep": {"type": "int", "default": 5},
    "poll_after": {"type": "int", "default": 3},
    "fail_when_not_started": {"type": "bool", "default": True},
    "planned_deployment": {"type": "dict"},
    "diff_private_files": {"type": "bool", "default": False},
    "report_in_verdict": {"type": "bool", "default": False},
    "store": {"type": "str"},
    **AWS_ARGUMENTS,
}


class ActionModule(ControllerAction):
    """Deploys to one instance as its part of a recorded deployment."""

    ARGUMENTS: ClassVar[dict[str, Any]] = ARGUMENTS

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Deploy to the instance, or say in check mode what would happen there."""
        remember_keys(arguments)
        name = str(task_vars["inventory_hostname"])
        delegated = delegation_problem(self, name)
        if delegated:
            return {"failed": True, "changed": False, "msg": delegated}
        if self._task.check_mode:
            return self._check(name, self._planned(name, arguments), arguments, task_vars)
        return self._deploy(name, arguments, task_vars)

    def _deploy(self, name: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        store = open_store(arguments["store"])
        deployment = self._deployment(store, name, arguments["deployment_id"])
        former = arguments["former_deployment_id"]
        if deployment.deployment_id != arguments["deployment_id"]:
            former = unfinished_elsewhere(store, deployment).get(name)
        require_unless_own(store, "CreateDeployment", deployment)
        result: dict[str, Any] = {"changed": False, "deployment_id": deployment.deployment_id}
        if not takes_part(store, deployment.deployment_id, name):
            return {**result, "skipped": True, "msg": NOT_PART}
        refusal = self._another_application(name, arguments["application_name"], deployment.application_name)
        if refusal:
            finish_instance(store, deployment.deployment_id, name, "Failed", message=refusal)
            return {**result, "failed": True, "status": "Failed", "msg": refusal}
        options = self._options(arguments)
        display = Display()
        instance = Instance(self, task_vars, options.root)
        traffic = None
        if is_load_balanced(deployment.options):
            # Few deployments need it.
            from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_task import traffic_of_task

            traffic = traffic_of_task(self, task_vars, store, deployment)
        coming = self._coming(deployment, task_vars)
        work = InstanceDeployment(store, deployment, name, instance, options, traffic, display.display, coming)
        decision = work.wait_for_turn()
        if decision.action == "stop":
            if get_target(store, deployment.deployment_id, name).status == "Succeeded":
                return {**result, "status": "Succeeded", "msg": "deployed to already, in this deployment"}
            return {**result, **self._not_started(name, decision.reason, arguments["fail_when_not_started"])}
        outcome = work.run(former)
        return {**result, **instance.extras, **self._outcome(name, deployment.deployment_id, outcome, display)}

    def _deployment(self, store: Store, name: str, deployment_id: str | None) -> Deployment:
        """Return the deployment that the task is part of; inside the whole role that of its own place in the play."""
        if is_whole_role(self):
            # Where hosts go alone, what another one has created is registered for this one, too.
            notes = Notes(invocation_of(self), name)
            refusal = notes.read("refusal")
            if refusal:
                raise AnsibleActionFail(f"not started: the deployment was refused: {refusal}")
            deployment_id = notes.read("deployment_id") or deployment_id
        registered = get_deployment(store, deployment_id, with_order=False) if deployment_id else None
        if is_whole_role(self):
            registered = deployment_of_task(store, registered, this_run(self), invocation_of(self))
            if registered is None:
                raise AnsibleActionFail("not started: no deployment was created")
        if registered is None:
            raise AnsibleActionFail(MISSING)
        return registered

    def _planned(self, name: str, arguments: dict[str, Any]) -> Any:
        """Return what check mode has planned instead of a deployment."""
        planned = arguments["planned_deployment"]
        if hosts_go_alone(self) and is_whole_role(self):
            notes = Notes(invocation_of(self), name)
            if notes.read("refusal"):
                raise AnsibleActionFail(f"the deployment would be refused: {notes.read('refusal')}")
            planned = (notes.read("created") or {}).get("planned_deployment") or planned
        if planned:
            return SimpleNamespace(**planned)
        if not arguments["deployment_id"]:
            raise AnsibleActionFail(MISSING)
        store = open_store(arguments["store"])
        deployment = get_deployment(store, arguments["deployment_id"])
        require_unless_own(store, "CreateDeployment", deployment)
        return deployment

    def _check(
        self, name: str, deployment: Any, arguments: dict[str, Any], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        # What creates a deployment comes with it, and would be loaded for each instance.
        from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_instance import check_instance

        if name not in deployment.order:
            return {"changed": False, "skipped": True, "msg": NOT_PART}
        instance, options = Instance(self, task_vars, arguments["root"]), self._options(arguments)
        private, in_verdict = arguments["diff_private_files"], arguments["report_in_verdict"]

        def formers() -> FormerDeployments:
            # Few instances have one.
            store = open_store(arguments["store"])
            return FormerDeployments(store, deployment, name, instance, lambda: False, Display().display)

        return check_instance(
            name, instance, deployment, options, private, in_verdict, formers, arguments["former_deployment_id"]
        )

    @staticmethod
    def _another_application(name: str, wanted: str | None, deployed: str) -> str | None:
        """Say that a host has another application than the one that created the deployment for all."""
        if wanted in (None, deployed):
            return None
        return (
            f"{name}: not started. deploy_application is {wanted} for this host, and this deployment is of {deployed}: "
            "a play deploys one application, give the hosts of each a play of their own"
        )

    def _coming(self, deployment: Deployment, task_vars: dict[str, Any]) -> Coming | None:
        """Say which instances come before this one has ended; the deploy playbook has them in the right order."""
        if not is_whole_role(self):
            return None
        return Coming(
            frozenset(map(str, task_vars.get("ansible_play_batch", ()))), min(deployment.window, configured_forks())
        )

    @staticmethod
    def _options(arguments: dict[str, Any]) -> InstanceOptions:
        return InstanceOptions(
            root=arguments["root"],
            destination_root=arguments["destination_root"],
            revisions_to_keep=arguments["revisions_to_keep"],
            poll_after=arguments["poll_after"],
            revision=revision_text(arguments["revision"]),
            revision_headers={str(key): str(value) for key, value in arguments["revision_headers"].items()},
        )

    @staticmethod
    def _not_started(name: str, reason: str, fail: bool) -> dict[str, Any]:
        message = f"{name}: not started. {reason}"
        return {"failed": True, "msg": message} if fail else {"skipped": True, "skip_reason": message, "msg": message}

    @staticmethod
    def _outcome(name: str, deployment_id: str, outcome: dict[str, Any], display: Display) -> dict[str, Any]:
        result = {
            "changed": True,
            "status": outcome["status"],
            "lifecycle_events": {event["lifecycle_event_name"]: event["status"] for event in outcome["events"]},
        }
        if outcome["status"] == "Succeeded":
            return result
        text = failure_text(name, deployment_id, outcome)
        if not shows_failures():
            display.display(text, color="red")
        diagnostics = (failed_event(outcome) or {}).get("diagnostics") or {}
        result.update(failed=True, failed_event=outcome["failed_event"], msg=text)
        result.update({key: diagnostics[key] for key in ("error_code", "script_name") if diagnostics.get(key)})
        return result
