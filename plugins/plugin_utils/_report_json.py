# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments, instances and revisions in the shapes of CodeDeploy's API, in snake case or in its own camel case."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import AuditEntry
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import (
    LIFECYCLE_EVENTS,
    Application,
    Deployment,
    Group,
    Revision,
    Target,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic_settings import is_load_balanced

DEPLOYMENT_FIELDS = (
    "application_name",
    "deployment_group_name",
    "deployment_config_name",
    "deployment_id",
    "previous_revision",
    "revision",
    "status",
    "error_information",
    "create_time",
    "start_time",
    "complete_time",
    "deployment_overview",
    "description",
    "creator",
    "ignore_application_stop_failures",
    "update_outdated_instances_only",
    "rollback_info",
    "file_exists_behavior",
)
# What the record keeps among a deployment's options.
DEPLOYMENT_OPTIONS = ("auto_rollback_configuration", "load_balancer_info", "deployment_mode", "ec2_deployment_options")
GROUP_OPTIONS = (
    "auto_rollback_configuration",
    "load_balancer_info",
    "alarm_configuration",
    "trigger_configurations",
    "ec2_deployment_options",
)
# The status of lifecycle events that are not recorded, by that of their instance; else they are Skipped.
_NOT_RECORDED = {"Pending": "Pending", "InProgress": "Pending", "Ready": "Pending", "Unknown": "Unknown"}
HEALTH = {True: "Healthy", False: "Unhealthy", None: "Unknown"}
# Their keys are data and not names of fields.
_KEYED_BY_DATA = ("deployment_overview",)


def deployment_info(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as C(GetDeployment) does (C(DeploymentInfo)), without what it has no value for."""
    info = {name: getattr(deployment, name) for name in DEPLOYMENT_FIELDS}
    info.update({name: deployment.options[name] for name in DEPLOYMENT_OPTIONS if deployment.options.get(name)})
    info["compute_platform"] = "Server"
    info["deployment_style"] = deployment_style(deployment.options)
    if deployment.active and deployment.controller_gone:
        info["deployment_status_messages"] = [f"Left by its controller, {deployment.owner}."]
    elif deployment.active and deployment.stopping:
        info["deployment_status_messages"] = ["It is being stopped; instances in work come to their next event."]
    return _without_nothing(info)


def deployment_style(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the C(DeploymentStyle) of a deployment with these options."""
    option = "WITH_TRAFFIC_CONTROL" if is_load_balanced(options) else "WITHOUT_TRAFFIC_CONTROL"
    return {"deployment_type": "IN_PLACE", "deployment_option": option}


def deployment_target(target: Target, lifecycle_events: Sequence[str] = ()) -> dict[str, Any]:
    """Return an instance of a deployment as C(GetDeploymentTarget) does (C(DeploymentTarget)).

    :param lifecycle_events: the deployment's; those that did not come yet, or did not come to the instance, are there
        as well.
    """
    recorded = {event["lifecycle_event_name"] for event in target.lifecycle_events}
    status = _NOT_RECORDED.get(target.status, "Skipped")
    missing = [{"lifecycle_event_name": name, "status": status} for name in lifecycle_events if name not in recorded]
    events = sorted([*target.lifecycle_events, *missing], key=_position)
    instance = {
        "deployment_id": target.deployment_id,
        "target_id": target.target_id,
        "status": target.status,
        "last_updated_at": target.last_updated_at,
        "lifecycle_events": [_lifecycle_event(event) for event in events],
    }
    return {"deployment_target_type": "InstanceTarget", "instance_target": instance}


def _position(event: Mapping[str, Any]) -> int:
    name = event["lifecycle_event_name"]
    return LIFECYCLE_EVENTS.index(name) if name in LIFECYCLE_EVENTS else len(LIFECYCLE_EVENTS)


def _lifecycle_event(event: Mapping[str, Any]) -> dict[str, Any]:
    diagnostics = event.get("diagnostics")
    if diagnostics:
        # The API's diagnostics have all their members.
        diagnostics = {name: "" if value is None else value for name, value in diagnostics.items()}
    return _without_nothing({**event, "diagnostics": diagnostics})


def application_info(application: Application) -> dict[str, Any]:
    """Return an application as C(BatchGetApplications) does (C(ApplicationInfo))."""
    return {**dataclasses.asdict(application), "linked_to_git_hub": False, "compute_platform": "Server"}


def deployment_group_info(group: Group) -> dict[str, Any]:
    """Return a group as C(GetDeploymentGroup) does (C(DeploymentGroupInfo)), with the health of its C(instances)."""
    info: dict[str, Any] = {
        "application_name": group.application_name,
        "deployment_group_id": group.deployment_group_id,
        "deployment_group_name": group.deployment_group_name,
        "deployment_config_name": group.deployment_config_name,
        "target_revision": group.target_revision,
        "last_successful_deployment": _without_nothing(group.last_successful_deployment or {}) or None,
        "last_attempted_deployment": _without_nothing(group.last_attempted_deployment or {}) or None,
        "deployment_style": deployment_style(group.options),
        "compute_platform": "Server",
        "instances": [
            {"target_id": name, "health": HEALTH[healthy], "revision_health": revision}
            for name, (healthy, revision) in group.instances.items()
        ],
    }
    info.update({name: group.options[name] for name in GROUP_OPTIONS if group.options.get(name)})
    scaling = group.options.get("auto_scaling_groups")
    if scaling:
        info["auto_scaling_groups"] = [one if isinstance(one, Mapping) else {"name": one} for one in scaling]
    return _without_nothing(info)


def revision_info(revision: Revision) -> dict[str, Any]:
    """Return a revision as C(BatchGetApplicationRevisions) does (C(RevisionInfo)), with its application."""
    generic = {
        "description": revision.description,
        "register_time": revision.register_time,
        "first_used_time": revision.first_used_time,
        "last_used_time": revision.last_used_time,
        "deployment_groups": revision.deployment_groups,
    }
    return {
        "application_name": revision.application_name,
        "revision_location": revision.revision,
        "generic_revision_info": _without_nothing(generic),
    }


def audit_record(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry of the audit trail with the fields of a CloudTrail record."""
    result = dict(entry.result)
    error = {name: result.pop(name, None) for name in ("error_code", "error_message")}
    record = {
        "event_time": entry.event_time,
        "event_source": "agentless.codedeploy",
        "event_name": entry.event_name,
        "user_identity": {"user_name": entry.principal},
        "source": entry.source,
        "deployment_id": entry.deployment_id,
        "request_parameters": entry.parameters,
        "response_elements": result,
        **error,
    }
    return _without_nothing(record)


def camel_case(value: Any) -> Any:
    """Return a structure with the API's own field names (C(deploymentId))."""
    if isinstance(value, dict):
        return {_camel(key): item if key in _KEYED_BY_DATA else _member(key, item) for key, item in value.items()}
    return [camel_case(item) for item in value] if isinstance(value, list) else value


def _member(key: str, value: Any) -> Any:
    if isinstance(value, (int, float)) and (key.endswith("_time") or key == "last_updated_at"):
        return cli_time(value)
    return camel_case(value)


def cli_time(seconds: float) -> str:
    """Return a time as version 2 of the AWS CLI prints it: ISO 8601 in the local zone, the API's milliseconds."""
    return datetime.datetime.fromtimestamp(round(seconds, 3)).astimezone().isoformat()


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _without_nothing(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}
