# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.audit_info)."""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    DoesNotExist,
    get_deployment,
    list_audit,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._history import TIME_RANGE, time_range
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require, require_for
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import READING_ARGUMENTS, write_report
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_history import audit_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import audit_record
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store


class ActionModule(ControllerAction):
    """Reads the audit trail, on the controller."""

    ARGUMENTS = {
        "application_name": {"type": "str"},
        "deployment_group_name": {"type": "str"},
        "deployment_id": {"type": "str"},
        "event_names": {"type": "list", "elements": "str"},
        "principal": {"type": "str"},
        "event_time_range": TIME_RANGE,
        "failed_only": {"type": "bool", "default": False},
        "limit": {"type": "int", "default": 100},
        **READING_ARGUMENTS,
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read what was asked for."""
        store, deployment_id = open_store(arguments["store"]), arguments["deployment_id"]
        application, group = arguments["application_name"], arguments["deployment_group_name"]
        if deployment_id:
            self._require_for(store, deployment_id)
        else:
            require(store, "ListDeployments", application, group)
        entries = list_audit(
            store,
            deployment_id,
            arguments["limit"],
            application_name=application,
            deployment_group_name=group,
            principal=arguments["principal"],
            event_names=arguments["event_names"],
            failed_only=arguments["failed_only"],
            **time_range(arguments["event_time_range"]),
        )
        data = {"records": [audit_record(entry) for entry in entries]}
        write_report(arguments, audit_lines(entries), data)
        return {"changed": False, **data}

    @staticmethod
    def _require_for(store: Store, deployment_id: str) -> None:
        try:
            deployment = get_deployment(store, deployment_id, with_order=False)
        except DoesNotExist:
            # Its entries are there after it was removed (prune); whose it was is not known any more.
            require(store, "ListDeployments")
        else:
            require_for(store, "GetDeployment", deployment)
