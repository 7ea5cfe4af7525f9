# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.revision_info)."""

from __future__ import annotations

from typing import Any, Literal

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import list_revisions
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import READING_ARGUMENTS, write_report
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_deployment import revision_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import revision_info
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

SORT_BY: dict[str, Literal["registerTime", "firstUsedTime", "lastUsedTime"]] = {
    "register_time": "registerTime",
    "first_used_time": "firstUsedTime",
    "last_used_time": "lastUsedTime",
}
ARGUMENTS = {
    "application_name": {"type": "str"},
    "sort_by": {"type": "str", "choices": list(SORT_BY), "default": "register_time"},
    "sort_order": {"type": "str", "choices": ["ascending", "descending"], "default": "descending"},
    "deployed": {"type": "str", "choices": ["include", "exclude", "ignore"], "default": "ignore"},
    "s3_bucket": {"type": "str"},
    "s3_key_prefix": {"type": "str"},
    **READING_ARGUMENTS,
}


class ActionModule(ControllerAction):
    """Reads revisions from the record, on the controller."""

    ARGUMENTS = ARGUMENTS

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Read what was asked for."""
        store = open_store(arguments["store"])
        require(store, "ListApplicationRevisions", arguments["application_name"])
        revisions = list_revisions(
            store,
            application_name=arguments["application_name"],
            sort_by=SORT_BY[arguments["sort_by"]],
            descending=arguments["sort_order"] == "descending",
            deployed=arguments["deployed"],
            s3_bucket=arguments["s3_bucket"],
            s3_key_prefix=arguments["s3_key_prefix"],
        )
        data = {"revisions": [revision_info(revision) for revision in revisions]}
        write_report(arguments, revision_lines(revisions), data)
        return {"changed": False, **data}
