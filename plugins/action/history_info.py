# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.history_info)."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    get_targets,
    list_applications,
    list_groups,
    list_revisions,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._history import (
    TIME_RANGE,
    all_deployments,
    time_range,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import READING_ARGUMENTS, write_report
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import (
    application_info,
    deployment_group_info,
    deployment_info,
    deployment_target,
    revision_info,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store


class ActionModule(ControllerAction):
    """Exports the record, on the controller."""

    ARGUMENTS = {
        "application_name": {"type": "str"},
        "deployment_group_name": {"type": "str"},
        "create_time_range": TIME_RANGE,
        "targets": {"type": "bool", "default": True},
        **READING_ARGUMENTS,
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read what was asked for."""
        store = open_store(arguments["store"])
        application, group = arguments["application_name"], arguments["deployment_group_name"]
        require(store, "ListApplications" if application is None else "GetApplication", application)
        require(store, "ListApplicationRevisions", application)
        for operation in ("ListDeploymentGroups", "ListDeployments", "BatchGetDeploymentTargets"):
            require(store, operation, application, group)
        data = _export(store, arguments)
        counts = {name: len(found) for name, found in data.items()}
        write_report(arguments, [f"{count} {name.replace('_', ' ')}" for name, count in counts.items()], data)
        # What is in a file need not be shown once more.
        written = arguments["report"] == "json" and arguments["report_path"]
        return {"changed": False, "counts": counts, **({} if written else data)}


def _export(store: Store, arguments: dict[str, Any]) -> dict[str, list[Any]]:
    application, group = arguments["application_name"], arguments["deployment_group_name"]
    filters: dict[str, Any] = {"application_name": application, "deployment_group_name": group}
    deployments = list(all_deployments(store, **filters, **time_range(arguments["create_time_range"])))
    targets = [
        deployment_target(target, deployment.options.get("lifecycle_events") or [])
        for deployment in (deployments if arguments["targets"] else ())
        for target in get_targets(store, deployment.deployment_id)
    ]
    return {
        "applications_info": [
            application_info(one) for one in list_applications(store) if application in (None, one.application_name)
        ],
        "deployment_groups_info": [
            deployment_group_info(one)
            for one in list_groups(store, application)
            if group in (None, one.deployment_group_name)
        ],
        "revisions": [revision_info(one) for one in list_revisions(store, application)],
        "deployments_info": [deployment_info(one) for one in deployments],
        "deployment_targets": targets,
    }
