# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode for one instance: ask it what would happen there, and put that into a task's result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._check_mode import diff_parameters, group_plans
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._former_deployment import FormerDeployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import (
    Instance,
    InstanceBusy,
    InstanceError,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_parameters import (
    InstanceOptions,
    bundle_of,
    event_parameters,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_steps import of_the_module
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_check import check_text, summary
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import shows_failures
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._secrets import address_secrets, hide

WOULD_WAIT = "the lifecycle events of {} still run here and would be waited for; ask again when they have ended"
NOTHING_LEFT = "{} had succeeded here, by the instance's own event log: nothing would be run again"


def check_instance(
    name: str,
    instance: Instance,
    deployment: Any,
    options: InstanceOptions,
    private: bool,
    in_verdict: bool,
    formers: Callable[[], FormerDeployments],
    former_deployment_id: str | None = None,
) -> dict[str, Any]:
    """Return the result of a task of M(agentless.codedeploy.deploy_instance) in check mode.

    :param deployment: the recorded deployment, or one that has its attributes.
    :param private: show differences of files that others cannot read.
    :param in_verdict: leave it to the verdict to say what would happen.
    :param formers: gives what earlier deployments have left here.
    :param former_deployment_id: the newest that may have been at work here when it lost its controller.
    :raises AnsibleConnectionFailure: when the instance cannot be reached.
    """
    secrets = address_secrets(options.revision, options.revision_headers)
    try:
        running, done = formers().foreseen(former_deployment_id) if former_deployment_id else (None, None)
        if running or done:
            text = WOULD_WAIT.format(running) if running else NOTHING_LEFT.format(done)
            return _nothing_checked(name, text, bool(running), options.destination_root, in_verdict)
        parameters = event_parameters(deployment, options, bundle_of(deployment, instance, options))
        parameters["events"] = of_the_module(parameters["events"])
        outcome = instance.start_events({**parameters, **diff_parameters(), "diff_private_files": private})
    except InstanceError as error:
        if isinstance(error, InstanceBusy) and formers().would_wait(error):
            text = WOULD_WAIT.format(error.deployment_id)
            return _nothing_checked(name, text, True, options.destination_root, in_verdict)
        return {"changed": False, "failed": True, "msg": f"{name}: {hide(str(error), [*instance.secrets, *secrets])}"}
    result = checked_result(name, hide(outcome, [*instance.secrets, *secrets]), options.destination_root, in_verdict)
    return {**instance.extras, **result}


def _nothing_checked(name: str, warning: str, changed: bool, destination_root: str, in_verdict: bool) -> dict[str, Any]:
    """Return a task's result where nothing was planned, and why."""
    plan = {"files": None, "hooks": [], "problems": [], "warnings": [warning]}
    return checked_result(name, {"plan": plan, "changed": changed, "failed_event": None}, destination_root, in_verdict)


def checked_result(
    name: str, outcome: dict[str, Any], destination_root: str, in_verdict: bool = False
) -> dict[str, Any]:
    """Return a task's result from what the module has said in check mode; unless in_verdict it is shown as well."""
    plan = outcome["plan"]
    result: dict[str, Any] = {"changed": outcome["changed"], "plan": plan, "failed_event": outcome["failed_event"]}
    if destination_root != "/":
        result["destination_root"] = destination_root
    if "diff" in outcome:
        # Under its own name Ansible would show it once for each instance.
        result["differences" if in_verdict else "diff"] = outcome["diff"]
    if plan["problems"]:
        text = f"{name}: {summary(plan)}" if in_verdict else check_text(group_plans({name: result}))
        if not shows_failures():
            Display().display(text, color="red")
        return {**result, "failed": True, "msg": text}
    if not in_verdict:
        Display().display(check_text(group_plans({name: result})))
    return result
