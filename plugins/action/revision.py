# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.revision).

A revision is found and checked as for a deployment (``_revision_check``) and then registered (``_registration``).
State C(pushed) belongs between the two: ``_push`` brings a local folder to where instances download it from, and what
is registered is that location.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._input_rules import check_description, check_name
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import require
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._registration import (
    get_revision,
    register_revision,
    would_register,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_json import revision_info
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision_check import checked_revision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._run import revision_folders, this_run
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store


class ActionModule(ControllerAction):
    """Registers a revision with an application, on the controller."""

    ARGUMENTS = {
        "state": {"type": "str", "choices": ["registered"], "default": "registered"},
        "application_name": {"type": "str", "required": True},
        "revision": {"type": "str", "required": True},
        "revision_headers": {"type": "dict", "default": {}, "no_log": True},
        "appspec_filename": {"type": "str"},
        "description": {"type": "str"},
        "store": {"type": "str"},
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Register the revision, or say whether that would change anything."""
        store, application = open_store(arguments["store"]), arguments["application_name"]
        require(store, "RegisterApplicationRevision", application)
        check_name("Application", application)
        check_description(arguments["description"])
        headers = {str(key): str(value) for key, value in arguments["revision_headers"].items()}
        folders, appspec_filename = revision_folders(task_vars), arguments["appspec_filename"]
        revision, _appspec = checked_revision(arguments["revision"], folders, headers, appspec_filename)
        record, description = revision.as_record(), arguments["description"]
        registered = get_revision(store, application, record)
        changed = would_register(registered, record, description)
        if self._task.check_mode:
            return {"changed": changed, "application_name": application, "revision_location": record}
        if changed or registered is None:
            registered = register_revision(store, this_run(self), application, record, description)
        return {"changed": changed, **revision_info(registered)}
