# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode on the controller: what its tasks give each other, and which instances have the same plan."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible import constants

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Prepared
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._restart import events_of

# Where the role deploy registers what the task of an instance has returned.
REGISTERED = "deploy_checked"
# Names a folder that no deployment has; nothing is made of it.
DEPLOYMENT_ID = "d-CHECKMODE"


@dataclass(frozen=True)
class PlanGroup:
    """Instances with the same plan.

    :param plan: as the module returns it, with paths below the destination root; None when there is none.
    :param message: why there is none.
    """

    instances: list[str]
    plan: dict[str, Any] | None
    diff: list[dict[str, Any]] = field(default_factory=list)
    message: str | None = None

    @property
    def would_fail(self) -> bool:
        """Whether the real run would fail on these instances, as far as is known."""
        return self.plan is None or bool(self.plan["problems"])

    def as_data(self) -> dict[str, Any]:
        """Return it for a task's result."""
        return {"instances": self.instances, "plan": self.plan, "message": self.message}


def planned_deployment(prepared: Prepared, order: list[str]) -> dict[str, Any]:
    """Return what the tasks of check mode need to know of a deployment that is not recorded.

    :returns: the fields of C(Deployment) that say what happens on an instance.
    """
    settings = prepared.settings
    return {
        "deployment_id": DEPLOYMENT_ID,
        "deployment_group_id": settings.deployment_group_id,
        "deployment_group_name": settings.deployment_group_name,
        "application_name": settings.application_name,
        "creator": "user",
        "revision": prepared.revision.as_record(),
        "order": order,
        "file_exists_behavior": settings.file_exists_behavior,
        "ignore_application_stop_failures": settings.ignore_application_stop_failures,
        "options": {
            **settings.options,
            "appspec": prepared.appspec,
            "lifecycle_events": events_of(settings.recorded),
        },
    }


def diff_parameters() -> dict[str, Any]:
    """Return the module's parameters that come from Ansible's own settings."""
    return {"max_diff_size": int(constants.MAX_FILE_SIZE_FOR_DIFF)}


def checked_groups(names: Sequence[str], task_vars: Mapping[str, Any]) -> list[PlanGroup]:
    """Return the groups of what the instances' tasks have registered; empty when none of them was run.

    :param names: the instances of the deployment.
    """
    hostvars = task_vars.get("hostvars") or {}
    results = {name: hostvars[name].get(REGISTERED) or {} for name in names if name in hostvars}
    return group_plans(results) if any(results.values()) else []


def group_plans(results: Mapping[str, Mapping[str, Any]]) -> list[PlanGroup]:
    """Put instances with the same plan together, in the order in which they are given.

    :param results: instance -> what its task has returned; C(plan), C(differences) or C(diff), C(destination_root).
    """
    groups: dict[str, PlanGroup] = {}
    for name, result in results.items():
        group = _group_of(name, result)
        key = json.dumps([group.plan, group.diff, group.message], sort_keys=True)
        groups.setdefault(key, PlanGroup([], group.plan, group.diff, group.message)).instances.append(name)
    return list(groups.values())


def _group_of(name: str, result: Mapping[str, Any]) -> PlanGroup:
    plan = result.get("plan")
    if plan is None:
        return PlanGroup([name], None, [], str(result.get("msg") or "its task did not run"))
    root = str(result.get("destination_root") or "/").rstrip("/")
    diff = [
        {key: value if key in ("before", "after") else below(value, root) for key, value in entry.items()}
        for entry in result.get("differences") or result.get("diff") or []
    ]
    return PlanGroup([name], below(plan, root), diff)


def below(value: Any, root: str) -> Any:
    """Return data in which every path below a folder begins at that folder."""
    if isinstance(value, Mapping):
        return {str(key): below(item, root) for key, item in value.items()}
    if isinstance(value, str):
        return value.replace(root + "/", "/") if root else str(value)
    return [below(item, root) for item in value] if isinstance(value, Iterable) else value
