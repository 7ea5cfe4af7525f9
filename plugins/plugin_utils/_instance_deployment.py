# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One instance of a deployment from the ledger's go to the recorded result."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._application_stop import skipped_events
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_turns import Coming
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    InstanceNotPending,
    ask_to_start,
    finish_instance,
    hooks_of,
    record_event,
    stop_requested,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._former_deployment import FormerDeployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import (
    Instance,
    InstanceBusy,
    InstanceError,
    StoppedWhileWaiting,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_parameters import (
    InstanceOptions,
    bundle_of,
    event_parameters,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance_steps import (
    OF_PREVIOUS_REVISION,
    Event,
    InstanceSteps,
    settled,
    skipped,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import Decision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import is_dead
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment, FinishStatus
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import event_line
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._secrets import address_secrets, hide
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._traffic import Traffic

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 2.0
ALONE = "The controller was killed before it began."
ENDED = ("Succeeded", "Failed", "Stopped")


class InstanceDeployment:
    """Deploys to one instance and records what becomes of it.

    :param traffic: the instance's load balancers; None when the deployment has none.
    :param say: writes a line to the screen.
    :param coming: see ask_to_start().
    """

    def __init__(
        self,
        store: Store,
        deployment: Deployment,
        name: str,
        instance: Instance,
        options: InstanceOptions,
        traffic: Traffic | None,
        say: Callable[[str], None],
        coming: Coming | None = None,
    ) -> None:
        self._store = store
        self._deployment = deployment
        self._name = name
        self._instance = instance
        self._options = options
        self._traffic = traffic
        self._write = say
        self._coming = coming
        self._secrets = address_secrets(options.revision, options.revision_headers)
        # A connection to the record belongs to the thread that opened it.
        self._store_apart = open_store(store.location)
        self._steps = InstanceSteps(instance, self, traffic, self._without_scripts)
        self._former = FormerDeployments(store, deployment, name, instance, self._must_not_begin, self._say)
        self._main_process = os.getppid()
        instance.when_busy = self._wait_for

    def wait_for_turn(self) -> Decision:
        """Ask the ledger until it says go or stop; on go the instance is recorded as InProgress."""
        pause = FIRST_PAUSE
        while True:
            self._look_at_alarms()
            if self._is_alone():
                return Decision("stop", ALONE)
            try:
                decision = ask_to_start(self._store, self._deployment.deployment_id, self._name, self._coming)
            except InstanceNotPending as error:
                return Decision("stop", error.message)
            if decision.action != "wait":
                return decision
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _look_at_alarms(self) -> None:
        if self._deployment.options.get("alarm_configuration"):
            self._alarms.look()

    @functools.cached_property
    def _alarms(self) -> Any:
        # Few deployments have alarms, and each instance's task imports what it needs.
        from ansible_collections.agentless.codedeploy.plugins.plugin_utils._alarm_watch import AlarmWatch

        return AlarmWatch(self._store, self._deployment)

    def run(self, former_deployment_id: str | None = None) -> dict[str, Any]:
        """Run the lifecycle events and record their result.

        :param former_deployment_id: a deployment that lost its controller while it was at work on this instance.
        :returns: C(status), C(events), C(failed_event), C(message).
        :raises AnsibleConnectionFailure: when the instance cannot be reached; recorded before.
        """
        try:
            if former_deployment_id and self._former.succeeded_before(former_deployment_id):
                return self._taken_over()
            bundle = bundle_of(self._deployment, self._instance, self._options)
            parameters = event_parameters(self._deployment, self._options, bundle)
            outcome = self._steps.run(parameters)
        except AnsibleConnectionFailure as error:
            self._fail(f"The instance is not reachable: {self._without_secrets(str(error))}")
            raise
        except InstanceError as error:
            untouched = isinstance(error, StoppedWhileWaiting) and self._steps.only_out_of_service
            reason = self._fail(self._without_secrets(str(error)), untouched)
            return {"status": "Failed", "events": self._steps.events, "failed_event": None, "message": reason}
        except Exception as error:
            self._fail(f"{type(error).__name__}: {self._without_secrets(str(error))}")
            raise
        untouched = outcome["status"] == "Stopped" and self._steps.only_out_of_service
        outcome = settled(self._without_secrets(outcome))
        restored = outcome.get("restored") or {}
        message: str | None = outcome["message"] or restored.get("message")
        if outcome["status"] != "Succeeded":
            message = self._put_back(message, untouched)
        self._finish(outcome["status"], outcome["events"], message, restored.get("status") == "Succeeded")
        return outcome

    def _is_alone(self) -> bool:
        """Tell whether the main process was killed, and left this one: what has not begun is then not to begin."""
        return os.getppid() != self._main_process and is_dead(self._deployment.owner, math.inf, 0.0)

    def _must_not_begin(self) -> bool:
        if self._is_alone():
            raise StoppedWhileWaiting(ALONE)
        return self.stop_requested()

    def _wait_for(self, busy: InstanceBusy, parameters: dict[str, Any]) -> dict[str, Any]:
        """Wait for an earlier deployment that still runs on the instance; returns the parameters to go on with."""
        self._former.wait_until_free(busy)
        if "bundle" not in parameters:
            return parameters
        # It may have removed the bundle that was found there.
        return {**parameters, "bundle": bundle_of(self._deployment, self._instance, self._options)}

    def _taken_over(self) -> dict[str, Any]:
        """Record that nothing was left to do here: what had succeeded is not run again."""
        events = skipped(self._deployment.options["lifecycle_events"])
        message = f"It had succeeded here in {self._deployment.options['resumed_deployment_id']}, or one before it."
        self._finish("Succeeded", events, message)
        return {"status": "Succeeded", "events": events, "failed_event": None, "message": message}

    def began(self, event: Event) -> None:
        """Record that an event of the controller has begun."""
        record_event(self._store, self._deployment.deployment_id, self._name, event)

    def ended(self, event: Event) -> None:
        """Record an event that has ended, and show it."""
        event = self._without_secrets(event)
        record_event(self._store, self._deployment.deployment_id, self._name, event)
        self._say(event_line(self._name, event))

    def passed(self, events: Sequence[Event]) -> None:
        """Record events behind which others come."""
        for event in self._without_secrets(list(events)):
            record_event(self._store, self._deployment.deployment_id, self._name, event)

    def stop_requested(self) -> bool:
        """Tell whether somebody asked the deployment to stop."""
        self._look_at_alarms()
        return stop_requested(self._store, self._deployment.deployment_id)

    def stop_requested_apart(self) -> bool:
        """Tell another thread whether somebody asked the deployment to stop."""
        return stop_requested(self._store_apart, self._deployment.deployment_id)

    def _without_scripts(self, event: str) -> bool:
        hooks: dict[str, Any] | None = self._deployment.options["appspec"]["hooks"]
        if event in OF_PREVIOUS_REVISION or self._deployment.options.get("deployment_mode") == "RESTART":
            hooks = hooks_of(self._store, self._deployment.deployment_group_id, self._name)
        return hooks is not None and not hooks.get(event)

    def _fail(self, message: str, untouched: bool = False) -> str:
        """Record that the instance failed outside of its events; returns the message as it was recorded."""
        message = self._put_back(message, untouched) or message
        self._finish("Failed", self._steps.events, message)
        return message

    def _put_back(self, message: str | None, untouched: bool = False) -> str | None:
        """Let an instance that has failed have its requests back when that is wanted; CodeDeploy leaves it without.

        :param untouched: it was stopped before anything ran on it, and so has what it had.
        """
        if self._traffic is None or not self._steps.out_of_service:
            return message
        if not (untouched or self._traffic.options.reregister_on_failure):
            return message
        came_of_it = self._traffic.put_back()
        self._say(f"{self._name}: {came_of_it}")
        return " ".join(part for part in (message, came_of_it) if part)

    def _finish(
        self, status: FinishStatus, events: list[dict[str, Any]], message: str | None, restored: bool = False
    ) -> None:
        succeeded = {event["lifecycle_event_name"] for event in events if event["status"] == "Succeeded"}
        hooks = {event: len(scripts) for event, scripts in self._deployment.options["appspec"]["hooks"].items()}
        status_of_all = finish_instance(
            self._store,
            self._deployment.deployment_id,
            self._name,
            status,
            [*skipped_events(self._deployment.options), *events],
            message=message,
            hooks=hooks if "Install" in succeeded and not restored else None,
        )
        if status_of_all in ENDED and self._deployment.options.get("ec2_deployment_options"):
            # Few deployments need it.
            from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import resume_when_ended

            problem = resume_when_ended(self._store, self._deployment.deployment_id)
            if problem:
                self._say(problem)

    def _say(self, text: str) -> None:
        # The screen may be gone with the main process; the events go on, and so does their record.
        with contextlib.suppress(OSError):
            self._write(text)

    def _without_secrets(self, value: Any) -> Any:
        return hide(value, [*self._instance.secrets, *self._secrets])
