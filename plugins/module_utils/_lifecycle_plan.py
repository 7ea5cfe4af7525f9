# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lifecycle events would do on an instance, found without touching anything."""

import os
from typing import Any, Dict, List, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._install import InstallError
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import EventError, Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import summary
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_revision import Revision

LISTS = ("added", "replaced", "kept", "removed", "conflicting")


def plan_events(lifecycle: Lifecycle) -> Dict[str, Any]:
    """Return the module's result for check mode, see M(agentless.codedeploy.lifecycle_events).

    :raises StateError: when the CodeDeploy agent works on this instance.
    """
    lifecycle.root.refuse_agent()
    required = lifecycle.previous_appspec_required()
    if required:
        return dict(summary(lifecycle.events, []), previous_appspec_required=required)
    scripts: List[Dict[str, Any]] = []
    problems: List[str] = []
    files: Optional[Dict[str, List[str]]] = None
    downloaded = False
    for event in lifecycle.events:
        downloaded = downloaded or event == "DownloadBundle"
        try:
            if event == "Install":
                files = _files(lifecycle, downloaded)
            elif event != "DownloadBundle":
                scripts.extend(_scripts(lifecycle, event, downloaded))
        except EventError as error:
            problems.append(str(error))
        except InstallError as error:
            problems.extend(error.problems)
            files = _lists(error.plan) if error.plan else None
    changed = bool(scripts or problems or downloaded)
    result = summary(lifecycle.events, [])
    return dict(
        result, status="Pending", changed=changed, plan={"scripts": scripts, "files": files, "problems": problems}
    )


def _scripts(lifecycle: Lifecycle, event: str, downloaded: bool) -> List[Dict[str, Any]]:
    paths = lifecycle.revision_of(event, downloaded)
    if paths is None:
        return []
    current = paths.directory == lifecycle.paths.directory
    spec = lifecycle.valid(lifecycle.options.get("appspec")) if current else None
    hooks = (spec or lifecycle.spec(paths)).get("hooks") or {}
    revision = None if current else paths.directory
    return [
        {"lifecycle_event_name": event, "location": script["location"], "revision": revision}
        for script in hooks.get(event) or []
    ]


def _files(lifecycle: Lifecycle, downloaded: bool) -> Optional[Dict[str, List[str]]]:
    bundle = lifecycle.options.get("bundle") or {}
    archive = lifecycle.paths.archive
    if downloaded:
        archive = (bundle.get("path") or "") if bundle.get("type") == "directory" else ""
    spec = lifecycle.valid(lifecycle.options.get("appspec"))
    if not os.path.isdir(archive):
        return None
    return _lists(Revision(lifecycle).plan(archive, spec or lifecycle.spec(lifecycle.paths)))


def _lists(plan: Any) -> Dict[str, List[str]]:
    return {name: list(getattr(plan, name)) for name in LISTS}
