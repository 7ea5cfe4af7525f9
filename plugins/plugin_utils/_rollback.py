# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Automatic rollback: of which revision, on which instances, and those that were missed."""

from __future__ import annotations

import dataclasses

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._create_deployment import Fleet, prepare, record
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import CREATOR, rollback_due
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_settings import Settings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    get_targets,
    last_successful_deployment,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import PreflightError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import VANISHED
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._health import without_zones
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment, Target
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import LAST_SUCCESSFUL
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

# As the module says it of an event whose process it has seen die.
DIED = "was killed or died before it could report a result"


def roll_back(store: Store, failed: Deployment, settings: Settings, fleet: Fleet, run: Owner) -> Deployment:
    """Create the deployment that rolls another one back, on the instances that it attempted.

    It deploys the revision of the group's last successful deployment, with that one's file_exists_behavior.

    :param settings: those that the other deployment was made with.
    :raises PreflightError: there is nothing to go back to, its bundle is gone, or no instance was attempted.
    :raises CodeDeployError: the group is busy.
    """
    last = last_successful_deployment(store, failed.deployment_group_id)
    if last is None:
        raise PreflightError("the group has no successful deployment to go back to")
    names = [target.target_id for target in attempted(store, failed)]
    if not names:
        raise PreflightError("no instance was attempted, so that there is nothing to roll back")
    settings = dataclasses.replace(
        settings,
        revision=LAST_SUCCESSFUL,
        recorded={
            **settings.recorded,
            "deployment_config": without_zones(settings.config),
            "appspec_filename": last.options.get("appspec_filename"),
        },
        file_exists_behavior=last.file_exists_behavior,
        update_outdated_instances_only=False,
        description=None,
    )
    prepared = prepare(store, settings, fleet, {}, [], heed_alarms=False)
    return record(store, prepared, run, only=names, creator=CREATOR, rollback_of=failed.deployment_id)


def attempted(store: Store, deployment: Deployment) -> list[Target]:
    """Return the instances that a deployment has started, whatever became of them."""
    return [target for target in get_targets(store, deployment.deployment_id) if target.start_time is not None]


def perhaps_running(store: Store, deployment: Deployment) -> dict[str, str]:
    """Return the instances on which something may still run, as of unfinished_elsewhere().

    That may be all events, when the instance was lost from sight, or a script whose process of events was killed.
    """
    return {
        target.target_id: deployment.deployment_id
        for target in attempted(store, deployment)
        if target.status == "Unknown" or (target.status == "Failed" and _lost(target))
    }


def _lost(target: Target) -> bool:
    """Say whether an instance has failed without that anybody saw the end of its events."""
    failed = [event for event in target.lifecycle_events if event["status"] == "Failed"]
    texts = [str((event.get("diagnostics") or {}).get("message")) for event in failed]
    return not texts or texts[-1].endswith((VANISHED, DIED))


def missed_rollback(store: Store, deployment: Deployment) -> Deployment | None:
    """Return the group's deployment before this one when it was to be rolled back and was not (interrupted)."""
    for former in list_deployments(
        store, deployment_group_id=deployment.deployment_group_id, limit=2, with_order=False
    ):
        if former.deployment_id != deployment.deployment_id:
            return former if rollback_due(former) else None
    return None
