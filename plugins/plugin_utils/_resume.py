# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Go on with a deployment that failed, was stopped or lost its controller: which one, with which settings, where."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Fleet
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import CREATOR
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import Settings, resettle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    get_targets,
    list_deployments,
    up_to_date_instances,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._restart import RESTART, is_restart
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store


@dataclasses.dataclass(frozen=True)
class Resumption:
    """A deployment that goes on with a former one.

    :param settings: the former one's, below what this run says itself.
    :param fleet: limited to the former one's instances when that was limited.
    :param instances: those that are left to do.
    :param reasons: why each instance of the group is among them or not.
    """

    former: Deployment
    settings: Settings
    fleet: Fleet
    instances: list[str]
    reasons: dict[str, str]


LEFT_OUT = "--limit leaves it out"
RUNS_IT = "runs the revision already"
# By what became of an instance in the former deployment.
_REASONS = {
    "Succeeded": "succeeded in {}",
    "Failed": "failed in {}",
    "Unknown": "lost from sight in {}",
    "InProgress": "in work in {}",
}


def resume(store: Store, arguments: Mapping[str, Any], settings: Settings, fleet: Fleet) -> Resumption:
    """Return what is left to do of the group's newest deployment.

    That are its instances that did not succeed, whatever became of them, and those of the group that do not run its
    revision or are not healthy.

    :param arguments: of the module M(agentless.codedeploy.deployment).
    :param settings: made of them, for the group's identity.
    :raises PreflightError: there is nothing to resume.
    """
    former = next(iter(list_deployments(store, deployment_group_id=settings.deployment_group_id, limit=1)), None)
    if former is None:
        raise _nothing(f"the deployment group {settings.deployment_group_name} has no deployment yet")
    if arguments.get("revision") and settings.revision != former.deployment_id:
        raise PreflightError(
            f"deploy_resume: goes on with the revision of {former.deployment_id}; leave deploy_revision out, or deploy "
            "it without deploy_resume"
        )
    decisions = _decide(store, former, fleet)
    if former.limited:
        chosen = [name for name in fleet.limited_to or fleet.instances if name in set(former.order)]
        if not chosen:
            raise _nothing(f"{former.deployment_id} was limited to {', '.join(former.order)}, none of which is here")
        fleet = Fleet(fleet.instances, chosen)
    instances = [name for name in fleet.instances if decisions[name][0]]
    if not instances:
        triggering = (former.rollback_info or {}).get("rollback_triggering_deployment_id")
        back = triggering and former.creator == CREATOR
        after = f", which rolled {triggering} back; deploy that with -e deploy_revision={triggering}" if back else ""
        raise _nothing(f"everything runs the revision of {former.deployment_id} ({former.status}){after}")
    if arguments.get("deployment_mode") == RESTART and not is_restart(former.options):
        raise PreflightError(
            f"deploy_deployment_mode: {former.deployment_id} was no restart, and goes on as it began; leave one of "
            "deploy_resume and deploy_deployment_mode out"
        )
    recorded: dict[str, Any] = {"resumed_deployment_id": former.deployment_id}
    if is_restart(former.options):
        recorded["deployment_mode"] = RESTART
    again = resettle(former, arguments)
    again = dataclasses.replace(
        again,
        revision=former.deployment_id,
        update_outdated_instances_only=False,
        recorded={**again.recorded, **recorded},
    )
    return Resumption(former, again, fleet, instances, {name: reason for name, (_left, reason) in decisions.items()})


def _decide(store: Store, former: Deployment, fleet: Fleet) -> dict[str, tuple[bool, str]]:
    """Say of each instance of the group whether it is left to do, and why."""
    identifier, chosen = former.deployment_id, set(fleet.chosen)
    statuses = {target.target_id: target.status for target in get_targets(store, identifier)}
    up_to_date = up_to_date_instances(store, identifier)

    def decision(name: str) -> tuple[bool, str]:
        if name not in chosen:
            return False, LEFT_OUT
        if name in statuses:
            reason = _REASONS.get(statuses[name], "not reached by {}").format(identifier)
            return statuses[name] != "Succeeded", reason
        if former.limited:
            # It says nothing of the others.
            return False, f"{identifier} was limited to others"
        return (False, RUNS_IT) if name in up_to_date else (True, "runs another revision or is not healthy")

    return {name: decision(name) for name in fleet.instances}


def _nothing(reason: str) -> PreflightError:
    return PreflightError(f"deploy_resume: there is nothing to resume: {reason}")
