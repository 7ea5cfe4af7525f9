# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.deployment_info)."""

from __future__ import annotations

import dataclasses
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    get_deployment,
    get_target,
    get_targets,
    list_groups,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._history import (
    TIME_RANGE,
    page_of_deployments,
    time_range,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require, require_for
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Target
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import READING_ARGUMENTS, write_report
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import (
    deployment_lines,
    instance_lines,
    overview_lines,
    target_lines,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_history import group_lines, log_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import (
    deployment_group_info,
    deployment_info,
    deployment_target,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

STATUSES = ["Created", "Queued", "InProgress", "Baking", "Ready", "Succeeded", "Failed", "Stopped"]
TARGET_STATUSES = ["Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Unknown", "Ready"]
Answer = tuple[dict[str, Any], list[str]]


class ActionModule(ControllerAction):
    """Reads deployments from the record, on the controller."""

    ARGUMENTS = {
        "deployment_id": {"type": "str"},
        "instance": {"type": "str"},
        "lifecycle_event": {"type": "str"},
        "logs": {"type": "bool", "default": False},
        "application_name": {"type": "str"},
        "deployment_group_name": {"type": "str"},
        "statuses": {"type": "list", "elements": "str", "choices": STATUSES},
        "target_statuses": {"type": "list", "elements": "str", "choices": TARGET_STATUSES},
        "creator": {"type": "str"},
        "create_time_range": TIME_RANGE,
        "limit": {"type": "int", "default": 20},
        "next_token": {"type": "str"},
        **READING_ARGUMENTS,
    }
    RULES = {"required_by": dict.fromkeys(("instance", "lifecycle_event", "target_statuses"), "deployment_id")}

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read what was asked for."""
        if arguments["logs"] and not arguments["deployment_id"]:
            raise InvalidInput("Name the deployment whose logs are wanted: -e deployment_id=ID.")
        read = _deployment if arguments["deployment_id"] else _deployments
        data, lines = read(open_store(arguments["store"]), arguments)
        write_report(arguments, lines, data)
        return {"changed": False, **data}


def _deployments(store: Store, arguments: dict[str, Any]) -> Answer:
    """List deployments, and the group when one was named: by its own name or by that of the inventory's group."""
    application, group = arguments["application_name"], arguments["deployment_group_name"]
    groups = list_groups(store, application, group) if group else []
    # Permissions are for a group's own name, whatever name was asked for.
    names = [(one.application_name, one.deployment_group_name) for one in groups] or [(application, group)]
    for names_of_one in names:
        require(store, "ListDeployments", *names_of_one)
    for one in groups:
        require(store, "GetDeploymentGroup", one.application_name, one.deployment_group_name)
    found, token = page_of_deployments(
        store,
        arguments["limit"],
        arguments["next_token"],
        statuses=arguments["statuses"],
        application_name=application,
        group=group,
        creator=arguments["creator"],
        **time_range(arguments["create_time_range"]),
    )
    for other in (
        sorted({(one.application_name, one.deployment_group_name) for one in found} - set(names)) if group else ()
    ):
        require(store, "ListDeployments", *other)
    data: dict[str, Any] = {
        "deployments": [one.deployment_id for one in found],
        "deployments_info": [deployment_info(one) for one in found],
    }
    asked = ("statuses", "creator", "next_token", "application_name", "deployment_group_name")
    filtered = any(arguments[name] for name in asked) or any((arguments["create_time_range"] or {}).values())
    lines = overview_lines(found, store.location, filtered)
    if token:
        data["next_token"] = token
        lines += ["", f"more: -e status_next_token={token}"]
    if group:
        data["deployment_groups_info"] = [deployment_group_info(one) for one in groups]
        unknown = [] if groups else [f"No deployment group is called {group}; the playbook groups shows all.", ""]
        lines = [*unknown, *[line for one in groups for line in [*group_lines(one), ""]], *lines]
    return data, lines


def _deployment(store: Store, arguments: dict[str, Any]) -> Answer:
    """Read one deployment with its instances, or with one of them."""
    deployment_id, instance, event = arguments["deployment_id"], arguments["instance"], arguments["lifecycle_event"]
    deployment = get_deployment(store, deployment_id, with_order=False)
    require_for(store, "GetDeployment", deployment)
    require_for(store, "GetDeploymentTarget" if instance else "BatchGetDeploymentTargets", deployment)
    if instance:
        targets = [get_target(store, deployment_id, instance)]
    else:
        targets = get_targets(store, deployment_id, arguments["target_statuses"])
    events = deployment.options.get("lifecycle_events") or []
    if event:
        targets, events = [_only(target, event) for target in targets], [name for name in events if name == event]
    data: dict[str, Any] = {
        "deployment_info": deployment_info(deployment),
        "deployment_group_id": deployment.deployment_group_id,
        "deployment_targets": [deployment_target(target, events) for target in targets],
    }
    if arguments["logs"]:
        return data, log_lines(targets)
    if instance:
        return {**data, "deployment_target": data["deployment_targets"][0]}, instance_lines(targets[0])
    return data, [*deployment_lines(deployment), "", *target_lines(targets)]


def _only(target: Target, name: str) -> Target:
    """Leave out all lifecycle events but one."""
    events = [event for event in target.lifecycle_events if event["lifecycle_event_name"] == name]
    return dataclasses.replace(target, lifecycle_events=events)
