# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deployments, instances and revisions in the shapes of CodeDeploy's API, in snake case or in its own camel case."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment, Revision, Target

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
# Their keys are data and not names of fields.
_KEYED_BY_DATA = ("deployment_overview",)


def deployment_info(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as C(GetDeployment) does (C(DeploymentInfo)), without what it has no value for."""
    info = {name: getattr(deployment, name) for name in DEPLOYMENT_FIELDS}
    info["compute_platform"] = "Server"
    info["deployment_style"] = {"deployment_type": "IN_PLACE", "deployment_option": "WITHOUT_TRAFFIC_CONTROL"}
    return _without_nothing(info)


def deployment_target(target: Target) -> dict[str, Any]:
    """Return an instance of a deployment as C(GetDeploymentTarget) does (C(DeploymentTarget))."""
    instance = {
        "deployment_id": target.deployment_id,
        "target_id": target.target_id,
        "status": target.status,
        "last_updated_at": target.last_updated_at,
        "lifecycle_events": [_without_nothing(event) for event in target.lifecycle_events],
    }
    return {"deployment_target_type": "InstanceTarget", "instance_target": instance}


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


def camel_case(value: Any) -> Any:
    """Return a structure with the API's own field names (C(deploymentId))."""
    if isinstance(value, dict):
        return {_camel(key): item if key in _KEYED_BY_DATA else camel_case(item) for key, item in value.items()}
    return [camel_case(item) for item in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _without_nothing(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item is not None}
