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
    """

    former: Deployment
    settings: Settings
    fleet: Fleet
    instances: list[str]


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
    if former.limited:
        chosen = [name for name in fleet.limited_to or fleet.instances if name in set(former.order)]
        if not chosen:
            raise _nothing(f"{former.deployment_id} was limited to {', '.join(former.order)}, none of which is here")
        fleet = Fleet(fleet.instances, chosen)
    instances = _left_to_do(store, former, fleet)
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
    return Resumption(former, again, fleet, instances)


def _left_to_do(store: Store, former: Deployment, fleet: Fleet) -> list[str]:
    succeeded = {target.target_id for target in get_targets(store, former.deployment_id, ["Succeeded"])}
    # A former deployment to a part of the group says nothing of the others.
    others = up_to_date_instances(store, former.deployment_id) - set(former.order)
    names = fleet.limited_to if fleet.limited_to is not None else fleet.instances
    return [name for name in names if name not in succeeded and (former.limited or name not in others)]


def _nothing(reason: str) -> PreflightError:
    return PreflightError(f"deploy_resume: there is nothing to resume: {reason}")
