# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lifecycle events of one instance in their order: calls of the module, and between them the load balancers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import Instance, StoppedWhileWaiting
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._stop_signal import stopped_message
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import Traffic, TrafficError

BLOCK_TRAFFIC, ALLOW_TRAFFIC = TRAFFIC_EVENTS = ("BlockTraffic", "AllowTraffic")
# Events whose failure a deployment may ignore; their scripts are those of the revision before.
OF_PREVIOUS_REVISION = ("BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop")

Event = dict[str, Any]
Outcome = dict[str, Any]


class Observer(Protocol):
    """Is told what happens on an instance, and asked whether it is to go on."""

    def began(self, event: Event) -> None:
        """An event of the controller has begun."""

    def ended(self, event: Event) -> None:
        """An event has ended while it was being followed."""

    def passed(self, events: Sequence[Event]) -> None:
        """Events have ended that nobody has been told of one by one, and others come behind them."""

    def stop_requested(self) -> bool:
        """Tell whether somebody asked the deployment to stop."""

    def stop_requested_apart(self) -> bool:
        """Tell the same to another thread."""


class InstanceSteps:
    """Runs the lifecycle events of one instance.

    :param traffic: the instance's load balancers; None when the deployment has none.
    :param without_scripts: says of an event whether it is known that it would run nothing.
    """

    def __init__(
        self,
        instance: Instance,
        observer: Observer,
        traffic: Traffic | None = None,
        without_scripts: Callable[[str], bool] = lambda _event: False,
    ) -> None:
        self._instance = instance
        self._observer = observer
        self._traffic = traffic
        self._without_scripts = without_scripts
        #: What has ended so far, in order.
        self.events: list[Event] = []
        self._touched = False

    @property
    def out_of_service(self) -> bool:
        """Whether traffic was blocked, or partly so, and not allowed again."""
        tried = {event["lifecycle_event_name"]: event["status"] for event in self.events}
        return BLOCK_TRAFFIC in tried and ALLOW_TRAFFIC not in tried

    @property
    def only_out_of_service(self) -> bool:
        """Whether that is all: no script has run on the instance, which has what it had."""
        return self.out_of_service and not self._touched

    def run(self, parameters: dict[str, Any]) -> Outcome:
        """Run the events up to the first failure or a stop.

        :param parameters: of the module M(agentless.codedeploy.lifecycle_events), with all events.
        :returns: C(status) C(Succeeded), C(Failed) or C(Stopped), C(events), C(failed_event), and what else the module
            has returned.
        :raises InstanceError: when the module refuses.
        :raises AnsibleConnectionFailure: when the instance is not reachable (any more).
        """
        steps = steps_of(parameters["events"])
        outcome: Outcome = {"status": "Succeeded", "failed_event": None}
        for number, step in enumerate(steps):
            if self._observer.stop_requested():
                outcome = {**outcome, "status": "Stopped"}
            else:
                outcome = self._run_step(parameters, step)
                self.events += outcome["events"]
            if outcome["status"] != "Succeeded":
                break
            if number < len(steps) - 1:
                self._observer.passed(outcome["events"])
        return {**outcome, "events": self.events + skipped(parameters["events"][len(self.events) :])}

    def _run_step(self, parameters: dict[str, Any], step: list[str]) -> Outcome:
        if step[0] in TRAFFIC_EVENTS:
            return self._traffic_event(step[0])
        if self._traffic is not None and len(step) == 1 and self._without_scripts(step[0]):
            now = time.time()
            return _outcome(_event(step[0], "Succeeded", now, now))
        if "DownloadBundle" not in step:
            parameters = {key: value for key, value in parameters.items() if key != "bundle"}
        parameters = {**parameters, "events": step}
        observer = self._observer
        before, self._touched = self._touched, True
        try:
            outcome = self._instance.run_events(
                parameters, observer.ended, observer.stop_requested, observer.stop_requested_apart
            )
        except StoppedWhileWaiting:
            self._touched = before
            raise
        if outcome["status"] == "Stopped" and all(event["status"] == "Skipped" for event in outcome["events"]):
            self._touched = before
        return outcome

    def _traffic_event(self, name: str) -> Outcome:
        """Let the load balancers send no requests to the instance, or send them again, and wait for it."""
        start = time.time()
        self._observer.began(_event(name, "InProgress", start))
        status, code, message = "Succeeded", "Success", "Succeeded: "
        try:
            if self._traffic is not None:
                message = self._traffic.block() if name == BLOCK_TRAFFIC else self._traffic.allow()
        except TrafficError as error:
            status, code, message = "Failed", "UnknownError", str(error)
        event = _event(name, status, start, time.time(), code, message)
        self._observer.ended(event)
        return _outcome(event)


def steps_of(events: Sequence[str]) -> list[list[str]]:
    """Divide events into those that the module runs in one call, and single ones that the controller carries out."""
    steps: list[list[str]] = []
    for event in events:
        if steps and not {event, steps[-1][-1]} & set(TRAFFIC_EVENTS):
            steps[-1].append(event)
        else:
            steps.append([event])
    return steps


def of_the_module(events: Sequence[str]) -> list[str]:
    """Return the events that run on the instance."""
    return [event for event in events if event not in TRAFFIC_EVENTS]


def skipped(events: Sequence[str]) -> list[Event]:
    """Return events that were not reached."""
    return [{"lifecycle_event_name": name, "status": "Skipped"} for name in events]


def settled(outcome: Outcome) -> Outcome:
    """Return an outcome with the status that an instance may have: one that was stopped half-way has failed."""
    if outcome["status"] != "Stopped":
        return {**outcome, "message": None}
    return {**outcome, "status": "Failed", "message": stopped_message(outcome["events"])}


def _outcome(event: Event) -> Outcome:
    failed = event["status"] == "Failed"
    name = event["lifecycle_event_name"]
    return {"status": event["status"], "events": [event], "failed_event": name if failed else None, "changed": True}


def _event(
    name: str,
    status: str,
    start_time: float,
    end_time: float | None = None,
    error_code: str = "Success",
    message: str = "Succeeded: ",
) -> Event:
    event: Event = {"lifecycle_event_name": name, "status": status, "start_time": start_time}
    if end_time is None:
        return event
    diagnostics = {"error_code": error_code, "script_name": "", "message": message, "log_tail": ""}
    return {**event, "end_time": end_time, "diagnostics": diagnostics}
