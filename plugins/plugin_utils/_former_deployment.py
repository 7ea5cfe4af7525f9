# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of an instance's part in a deployment whose controller ended before it did."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Deployment,
    InstanceNotPending,
    get_deployment,
    get_target,
    reconcile,
    unfinished_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import concluded_events
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import Instance, InstanceError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_steps import (
    OF_PREVIOUS_REVISION,
    TRAFFIC_EVENTS,
    settled,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import FinishStatus
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

PAUSE = 2.0
NOT_BEGUN = "No lifecycle event had begun."
READ = "Read from the instance's own event log; the controller had ended before."


def succeeded_before(
    store: Store,
    deployment: Deployment,
    former_deployment_id: str,
    name: str,
    instance: Instance,
    stop_requested: Callable[[], bool],
    say: Callable[[str], None],
) -> bool:
    """Record how former deployments ended on an instance, and say whether one that goes on with them has nothing to do.

    A controller may have been killed before it came to what the one before it had left.

    :param deployment: the one at work now.
    :param former_deployment_id: the newest that may have been at work here.
    :raises InstanceError: when it was stopped while it waited.
    """
    unfinished = unfinished_deployments(store, deployment.deployment_group_id, name)
    for identifier in dict.fromkeys([former_deployment_id, *unfinished]):
        former = get_deployment(store, identifier, with_order=False)
        status = reconcile_instance(store, former, name, instance, stop_requested, say)
        if status is not None:
            same = former.revision.get("digest") == deployment.revision.get("digest")
            return bool(deployment.options.get("resumed_deployment_id") and same and status == "Succeeded")
    return False


def reconcile_instance(
    store: Store,
    deployment: Deployment,
    name: str,
    instance: Instance,
    stop_requested: Callable[[], bool],
    say: Callable[[str], None],
) -> FinishStatus | None:
    """Record the true result of a former deployment: its events go on without their controller.

    :param deployment: the former deployment.
    :param stop_requested: whether the deployment that waits for these events was stopped.
    :param say: writes a line to the screen.
    :returns: the result; None when no event had begun.
    :raises InstanceError: when it was stopped.
    """
    lines = _lines_when_ended(deployment, name, instance, stop_requested, say)
    outcome: dict[str, Any] = {"status": "Failed", "message": NOT_BEGUN, "events": []}
    if lines:
        outcome = settled(concluded_events(lines))
    events, complete = _with_traffic(store, deployment, name, outcome["events"])
    status: FinishStatus = outcome["status"] if complete else "Failed"
    message = f"{outcome['message']} {READ}" if outcome["message"] else READ
    known = any(event["status"] != "Skipped" for event in events)
    try:
        reconcile(store, deployment.deployment_id, name, status, events, message=message)
    except InstanceNotPending:
        # Recorded as failed when it was lost from sight; that has decided the deployment.
        return status if known else None
    if known:
        say(f"{name}: {deployment.deployment_id} had {status.lower()} here, by the instance's own event log")
    return status if known else None


def _lines_when_ended(
    deployment: Deployment,
    name: str,
    instance: Instance,
    stop_requested: Callable[[], bool],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Return the event log of a former deployment when nothing runs there any more."""
    waiting = False
    while True:
        former = instance.read_events(deployment.deployment_group_id, deployment.deployment_id)
        if not former.running:
            return former.lines
        if stop_requested():
            raise InstanceError(
                f"The deployment was stopped while it waited for the events of {deployment.deployment_id}."
            )
        if not waiting:
            say(f"{name}: waits for the lifecycle events of {deployment.deployment_id}, still running there")
        waiting = True
        time.sleep(PAUSE)


def _with_traffic(
    store: Store, deployment: Deployment, name: str, logged: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], bool]:
    """Add to the events of the instance's own log those that only the controller knows of.

    :returns: the events, and whether all of the deployment's have come to their end.
    """
    wanted = deployment.options.get("lifecycle_events") or []
    if not set(wanted) & set(TRAFFIC_EVENTS):
        return logged, True
    recorded = get_target(store, deployment.deployment_id, name).lifecycle_events
    found = {event["lifecycle_event_name"]: event for event in [*recorded, *logged]}
    events = [_ended(found.get(event) or {"lifecycle_event_name": event, "status": "Skipped"}) for event in wanted]
    ignored = OF_PREVIOUS_REVISION if deployment.ignore_application_stop_failures else ()
    complete = all(
        event["status"] == "Succeeded" or (event["status"] == "Failed" and event["lifecycle_event_name"] in ignored)
        for event in events
    )
    return events, complete


def _ended(event: dict[str, Any]) -> dict[str, Any]:
    if event["status"] == "Pending":
        return {**event, "status": "Skipped"}
    if event["status"] != "InProgress":
        return event
    message = "the controller ended during this event"
    return {**event, "status": "Failed", "diagnostics": {"error_code": "UnknownError", "message": message}}
