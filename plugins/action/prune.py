# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Action of M(agentless.codedeploy.prune)."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import prune_cache
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._controller_action import ControllerAction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._permission import requester, require
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._prune import (
    OPERATION,
    Retention,
    digests_in_use,
    prune,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report import REPORT_ARGUMENTS, write_report
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_history import prune_lines
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

DAY = 86400.0


class ActionModule(ControllerAction):
    """Removes old deployments from the record, and bundles that nothing needs from the controller."""

    ARGUMENTS = {
        # Required, with a message of its own.
        "older_than_days": {"type": "int"},
        "keep_last": {"type": "int", "default": 10},
        "application_name": {"type": "str"},
        "deployment_group_name": {"type": "str"},
        "audit_trail": {"type": "bool", "default": False},
        "bundles": {"type": "bool", "default": True},
        "store": {"type": "str"},
        **REPORT_ARGUMENTS,
    }

    def work(self, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Remove what is old and not needed; in check mode say what that is."""
        days, application, group = (
            arguments[name] for name in ("older_than_days", "application_name", "deployment_group_name")
        )
        if days is None:
            raise InvalidInput("Say how many days ago deployments must have ended: -e prune_older_than_days=365.")
        if days < 1 or arguments["keep_last"] < 1:
            raise InvalidInput("prune_older_than_days and prune_keep_last must be at least 1.")
        if arguments["audit_trail"] and (application or group):
            raise InvalidInput("audit_trail is about all of the record: leave application and group out.")
        store, check_mode = open_store(arguments["store"]), bool(self._task.check_mode)
        require(store, OPERATION, application, group, older_than_days=days)
        retention = Retention(time.time() - days * DAY, arguments["keep_last"], arguments["audit_trail"])
        removed = prune(store, requester(), retention, application, group, check_mode)
        removed["bundles"] = []
        if arguments["bundles"]:
            # In check mode those of deployments that would go are still in use.
            needed = digests_in_use(store, retention.before, removed["deployments"])
            bundles = prune_cache(needed, retention.before, check_mode)
            removed["bundles"] = [{"path": bundle.path, "size": bundle.size} for bundle in bundles]
        write_report(arguments, prune_lines(removed, check_mode), removed)
        changed = any(removed[name] for name in ("deployments", "audit_entries", "bundles"))
        return {"changed": changed, **removed}
