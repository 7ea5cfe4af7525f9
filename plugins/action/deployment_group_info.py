# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.deployment_group_info)."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import list_applications, list_groups
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import READING_ARGUMENTS, write_report
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_history import group_lines, groups_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import (
    application_info,
    deployment_group_info,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store


class ActionModule(ControllerAction):
    """Reads applications and deployment groups from the record, on the controller."""

    ARGUMENTS = {
        "application_name": {"type": "str"},
        "deployment_group_name": {"type": "str"},
        **READING_ARGUMENTS,
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read what was asked for."""
        store = open_store(arguments["store"])
        application, group = arguments["application_name"], arguments["deployment_group_name"]
        groups = list_groups(store, application, group)
        if group:
            names = [(one.application_name, one.deployment_group_name) for one in groups] or [(application, group)]
            for names_of_one in names:
                require(store, "GetDeploymentGroup", *names_of_one)
        else:
            require(store, "ListApplications" if application is None else "GetApplication", application)
            require(store, "ListDeploymentGroups", application)
        wanted = {one.application_name for one in groups} if group else {application}
        applications = [
            one for one in list_applications(store) if one.application_name in wanted or not (application or group)
        ]
        data = {
            "applications": [one.application_name for one in applications],
            "applications_info": [application_info(one) for one in applications],
            "deployment_groups": [one.deployment_group_name for one in groups],
            "deployment_groups_info": [deployment_group_info(one) for one in groups],
        }
        lines = [line for one in groups for line in [*group_lines(one), ""]] if group else None
        write_report(arguments, lines or groups_lines(applications, groups), data)
        return {"changed": False, **data}
