# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of an instance's part in a deployment whose controller ended before it did."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Deployment,
    DoesNotExist,
    InstanceNotPending,
    finish_instance,
    get_deployment,
    get_target,
    heartbeat,
    unfinished_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import concluded_events
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import revision_identity
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import (
    Instance,
    InstanceBusy,
    StoppedWhileWaiting,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_steps import (
    OF_PREVIOUS_REVISION,
    TRAFFIC_EVENTS,
    settled,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import FinishStatus
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

PAUSE = 2.0
HEARTBEAT_PAUSES = 30
NOT_BEGUN = "No lifecycle event had begun."
READ = "Read from the instance's own event log; the controller had ended before."


class FormerDeployments:
    """What earlier deployments of a group left on an instance that another one has come to.

    :param deployment: the one at work now.
    :param name: of the instance.
    :param stop_requested: whether the deployment at work was stopped.
    :param say: writes a line to the screen.
    """

    def __init__(
        self,
        store: Store,
        deployment: Deployment,
        name: str,
        instance: Instance,
        stop_requested: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self._store = store
        self._deployment = deployment
        self._name = name
        self._instance = instance
        self._stop_requested = stop_requested
        self._say = say

    def succeeded_before(self, former_deployment_id: str) -> bool:
        """Record how former deployments ended, and say whether one that goes on with them has nothing to do here.

        A controller may have been killed before it came to what the one before it had left.

        :param former_deployment_id: the newest that may have been at work here.
        :raises StoppedWhileWaiting: when the deployment was stopped while it waited for what still runs.
        """
        for former in self._formers(former_deployment_id):
            status = self.reconcile(former)
            if status is not None:
                return self._nothing_to_do(former, status)
        return False

    def foreseen(self, former_deployment_id: str) -> tuple[str | None, str | None]:
        """Return what succeeded_before() would find for a deployment that is only planned; nothing is recorded.

        :returns: the id of a former deployment whose events still run here, which would be waited for; and the id of
            the one that had succeeded, so that nothing would be left to do.
        """
        for former in self._formers(former_deployment_id):
            found = self._instance.read_events(former.deployment_group_id, former.deployment_id)
            if found.running:
                return former.deployment_id, None
            status, _message, _events, known = self._result(former, found.lines)
            if known:
                return None, former.deployment_id if self._nothing_to_do(former, status) else None
        return None, None

    def _formers(self, former_deployment_id: str) -> Iterator[Deployment]:
        """Yield the deployments that may have been at work here, newest first."""
        unfinished = unfinished_deployments(self._store, self._deployment.deployment_group_id, self._name)
        for identifier in dict.fromkeys([former_deployment_id, *unfinished]):
            yield get_deployment(self._store, identifier, with_order=False)

    def _nothing_to_do(self, former: Deployment, status: FinishStatus) -> bool:
        deployment = self._deployment
        done = status == "Succeeded" and _did_the_same(former, deployment)
        return bool(done and deployment.options.get("resumed_deployment_id"))

    def wait_until_free(self, busy: InstanceBusy) -> None:
        """Wait for a deployment that the instance named in place of starting the events.

        CodeDeploy's agent, too, takes an instance's next command when the one that runs has ended. The wait ends with
        the scripts that are waited for, at their time-outs at the latest.

        :raises InstanceBusy: the record does not know the other deployment: somebody else deploys to the group.
        :raises StoppedWhileWaiting: when the deployment was stopped in the meantime.
        """
        former = self._waited_for(busy)
        if former is None:
            raise busy
        self.reconcile(former)

    def would_wait(self, busy: InstanceBusy) -> bool:
        """Say whether wait_until_free() would wait."""
        return self._waited_for(busy) is not None

    def _waited_for(self, busy: InstanceBusy) -> Deployment | None:
        if busy.deployment_id == self._deployment.deployment_id:
            return None
        try:
            return get_deployment(self._store, busy.deployment_id, with_order=False)
        except DoesNotExist:
            return None

    def reconcile(self, former: Deployment) -> FinishStatus | None:
        """Record the true result of a former deployment: its events go on without their controller.

        :returns: the result; None when no event had begun.
        :raises StoppedWhileWaiting: when the deployment at work was stopped.
        """
        status, message, events, known = self._result(former, self._lines_when_ended(former))
        try:
            finish_instance(self._store, former.deployment_id, self._name, status, events, message=message)
        except InstanceNotPending:
            # Recorded as failed when it was lost from sight; that has decided the deployment.
            return status if known else None
        if known:
            self._say(
                f"{self._name}: {former.deployment_id} had {status.lower()} here, by the instance's own event log"
            )
        return status if known else None

    def _result(
        self, former: Deployment, lines: list[dict[str, Any]]
    ) -> tuple[FinishStatus, str, list[dict[str, Any]], bool]:
        """Return how a former deployment ended here, by its event log, and whether any event had begun."""
        outcome: dict[str, Any] = {"status": "Failed", "message": NOT_BEGUN, "events": []}
        if lines:
            outcome = settled(concluded_events(lines))
        events, complete = _with_traffic(self._store, former, self._name, outcome["events"])
        status: FinishStatus = outcome["status"] if complete else "Failed"
        message = f"{outcome['message']} {READ}" if outcome["message"] else READ
        return status, message, events, any(event["status"] != "Skipped" for event in events)

    def _lines_when_ended(self, former: Deployment) -> list[dict[str, Any]]:
        """Return the event log of a former deployment when nothing runs there any more."""
        for number in itertools.count():
            found = self._instance.read_events(former.deployment_group_id, former.deployment_id)
            if not found.running:
                break
            self._go_on_unless_stopped(former)
            if not number:
                script = f" ({found.script})" if found.script else ""
                waits = f"{self._name}: waits for the lifecycle events of {former.deployment_id}, still running there"
                self._say(waits + script)
            if number % HEARTBEAT_PAUSES == HEARTBEAT_PAUSES - 1:
                heartbeat(self._store, self._deployment.deployment_id)
            time.sleep(PAUSE)
        if number:
            self._go_on_unless_stopped(former)
        return found.lines

    def _go_on_unless_stopped(self, former: Deployment) -> None:
        if self._stop_requested():
            raise StoppedWhileWaiting(
                f"The deployment was stopped while it waited for the events of {former.deployment_id}."
            )


def _did_the_same(former: Deployment, deployment: Deployment) -> bool:
    """Say whether two deployments are of the same revision and both install it, or both restart it."""
    modes = {one.options.get("deployment_mode") for one in (former, deployment)}
    return len(modes) == 1 and revision_identity(former.revision) == revision_identity(deployment.revision)


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
