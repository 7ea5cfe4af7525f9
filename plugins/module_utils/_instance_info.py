# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what is deployed on an instance."""

import os
from typing import Any, Dict, List, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import read_lines
from ansible_collections.agentless.codedeploy.plugins.module_utils._state import DeploymentRoot, StateError, read_file

FIELDS = ("lifecycle_event_name", "status", "start_time", "end_time", "diagnostics")


def groups(root: DeploymentRoot) -> List[str]:
    """Return the identifiers of the groups that have been deployed here."""
    own = {os.path.basename(path) for path in (root.instructions_directory, root.ongoing, root.bundle_cache)}
    own.add(os.path.basename(os.path.dirname(root.deployments_log)))
    if not os.path.isdir(root.path):
        return []
    return sorted(name for name in os.listdir(root.path) if name not in own)


def group_info(root: DeploymentRoot, group_id: str) -> Dict[str, Any]:
    """Return a group's part of the result of M(agentless.codedeploy.instance_info)."""
    instructions = root.instructions(group_id)
    directory = root.group(group_id)
    names = sorted(os.listdir(directory), key=lambda name: os.lstat(os.path.join(directory, name)).st_mtime)
    cleanup = read_file(instructions.cleanup)
    return {
        "deployment_group_id": group_id,
        "last_successful_install": _deployment(root.pointer(instructions.last_successful_install)),
        "most_recent_install": _deployment(root.pointer(instructions.most_recent_install)),
        "deployments": names,
        "installed_files": None if cleanup is None else cleanup.count(b"\n"),
        "events": _last_events(root, group_id, names),
    }


def agent_active(root: DeploymentRoot) -> Optional[str]:
    """Return why the CodeDeploy agent keeps others from deploying, V(None) when it does not."""
    try:
        root.refuse_agent()
    except StateError as error:
        return str(error)
    return None


def _deployment(directory: Optional[str]) -> Optional[str]:
    return os.path.basename(directory) if directory else None


def _last_events(root: DeploymentRoot, group_id: str, names: List[str]) -> List[Dict[str, Any]]:
    logs = [root.deployment(group_id, name).events for name in names]
    logs = [path for path in logs if os.path.isfile(path)]
    if not logs:
        return []
    lines = read_lines(read_file(max(logs, key=lambda path: os.stat(path).st_mtime)) or b"")
    latest = {line["lifecycle_event_name"]: line for line in lines if "lifecycle_event_name" in line}
    return [{field: line.get(field) for field in FIELDS} for line in latest.values()]
