# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One instance of a deployment from the ledger's go to the recorded result."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import CachedBundle, cached
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    InstanceNotPending,
    ask_to_start,
    finish_instance,
    reconcile,
    record_event,
    stop_requested,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import concluded_events
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._instance import Instance, InstanceError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import Decision
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Deployment, FinishStatus
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._report_instance import event_line
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import (
    is_address,
    recorded_bundle_type,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._secrets import address_secrets, hide
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._stop_signal import stopped_message
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 2.0


@dataclass(frozen=True)
class InstanceOptions:
    """How to work on one instance; the rest is in the deployment's record.

    :param revision: what the user typed; an address is downloaded by the instance itself.
    :param revision_headers: HTTP headers for that address; secret.
    """

    root: str
    destination_root: str
    revisions_to_keep: int
    poll_after: int
    revision: str
    revision_headers: dict[str, str]


class InstanceDeployment:
    """Deploys to one instance and records what becomes of it.

    :param say: writes a line to the screen.
    """

    def __init__(
        self,
        store: Store,
        deployment: Deployment,
        name: str,
        instance: Instance,
        options: InstanceOptions,
        say: Callable[[str], None],
    ) -> None:
        self._store = store
        self._deployment = deployment
        self._name = name
        self._instance = instance
        self._options = options
        self._write = say
        self._secrets = address_secrets(options.revision, options.revision_headers)

    def wait_for_turn(self) -> Decision:
        """Ask the ledger until it says go or stop; on go the instance is recorded as InProgress."""
        pause = FIRST_PAUSE
        while True:
            try:
                decision = ask_to_start(self._store, self._deployment.deployment_id, self._name)
            except InstanceNotPending as error:
                return Decision("stop", error.message)
            if decision.action != "wait":
                return decision
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def run(self, former_deployment_id: str | None = None) -> dict[str, Any]:
        """Run the lifecycle events and record their result.

        :param former_deployment_id: a deployment that lost its controller while it was at work on this instance.
        :returns: C(status), C(events), C(failed_event), C(message).
        :raises AnsibleConnectionFailure: when the instance cannot be reached; recorded before.
        """
        try:
            if former_deployment_id:
                self._reconcile(former_deployment_id)
            bundle = bundle_of(self._deployment, self._instance, self._options)
            parameters = event_parameters(self._deployment, self._options, bundle)
            outcome = self._run_events(parameters)
        except AnsibleConnectionFailure as error:
            self._finish("Failed", [], f"The instance is not reachable: {self._without_secrets(str(error))}")
            raise
        except InstanceError as error:
            message = self._without_secrets(str(error))
            self._finish("Failed", [], message)
            return {"status": "Failed", "events": [], "failed_event": None, "message": message}
        except Exception as error:
            self._finish("Failed", [], f"{type(error).__name__}: {self._without_secrets(str(error))}")
            raise
        outcome = _settled(self._without_secrets(outcome))
        restored = outcome.get("restored") or {}
        message = outcome["message"] or restored.get("message")
        self._finish(outcome["status"], outcome["events"], message, restored.get("status") == "Succeeded")
        return outcome

    def _run_events(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if self._stop_requested():
            events = [{"lifecycle_event_name": name, "status": "Skipped"} for name in parameters["events"]]
            return {"status": "Stopped", "events": events, "failed_event": None}
        # A connection to the record belongs to the thread that opened it.
        apart = open_store(self._store.location)
        return self._instance.run_events(
            parameters,
            self._on_event,
            self._stop_requested,
            lambda: stop_requested(apart, self._deployment.deployment_id),
        )

    def _stop_requested(self) -> bool:
        return stop_requested(self._store, self._deployment.deployment_id)

    def _reconcile(self, deployment_id: str) -> None:
        """Record the true result of a former deployment: its events go on without their controller."""
        waiting = False
        while True:
            former = self._instance.read_events(self._deployment.deployment_group_id, deployment_id)
            if not former.running:
                break
            if self._stop_requested():
                raise InstanceError(f"The deployment was stopped while it waited for the events of {deployment_id}.")
            if not waiting:
                self._say(f"{self._name}: waits for the lifecycle events of {deployment_id}, still running there")
            waiting = True
            time.sleep(LONGEST_PAUSE)
        if not former.lines:
            return
        outcome = _settled(concluded_events(former.lines))
        message = "Read from the instance's own event log; the controller had ended before."
        if outcome["message"]:
            message = f"{outcome['message']} {message}"
        try:
            reconcile(self._store, deployment_id, self._name, outcome["status"], outcome["events"], message=message)
        except InstanceNotPending:
            # Recorded as failed when it was lost from sight; that has decided the deployment.
            return
        self._say(
            f"{self._name}: {deployment_id} had {outcome['status'].lower()} here, by the instance's own event log"
        )

    def _on_event(self, event: dict[str, Any]) -> None:
        event = self._without_secrets(event)
        record_event(self._store, self._deployment.deployment_id, self._name, event)
        self._say(event_line(self._name, event))

    def _finish(
        self, status: FinishStatus, events: list[dict[str, Any]], message: str | None, restored: bool = False
    ) -> None:
        succeeded = {event["lifecycle_event_name"] for event in events if event["status"] == "Succeeded"}
        hooks = {event: len(scripts) for event, scripts in self._deployment.options["appspec"]["hooks"].items()}
        finish_instance(
            self._store,
            self._deployment.deployment_id,
            self._name,
            status,
            events,
            message=message,
            hooks=hooks if "Install" in succeeded and not restored else None,
        )

    def _say(self, text: str) -> None:
        # The screen may be gone with the main process; the events go on, and so does their record.
        with contextlib.suppress(OSError):
            self._write(text)

    def _without_secrets(self, value: Any) -> Any:
        return hide(value, self._secrets)


def event_parameters(deployment: Any, options: InstanceOptions, bundle: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of the module M(agentless.codedeploy.lifecycle_events) for one instance.

    :param deployment: the recorded deployment, or one that has its attributes (check mode).
    """
    parameters = {
        "deployment_id": deployment.deployment_id,
        "deployment_group_id": deployment.deployment_group_id,
        "deployment_group_name": deployment.deployment_group_name,
        "application_name": deployment.application_name,
        "deployment_creator": deployment.creator,
        "revision": deployment.revision,
        "bundle": bundle,
        "appspec": deployment.options["appspec"],
        "events": deployment.options["lifecycle_events"],
        "file_exists_behavior": deployment.file_exists_behavior,
        "ignore_application_stop_failures": deployment.ignore_application_stop_failures,
        "root": options.root,
        "destination_root": options.destination_root,
        "revisions_to_keep": options.revisions_to_keep,
        "wait": options.poll_after,
        **deployment.options.get("event_options", {}),
    }
    if deployment.options.get("appspec_filename"):
        parameters["appspec_filename"] = deployment.options["appspec_filename"]
    return parameters


def bundle_of(deployment: Any, instance: Instance, options: InstanceOptions) -> dict[str, Any]:
    """Bring the bundle of a deployment to an instance and return the module's parameter for it.

    :raises InstanceError: when this controller no longer has it.
    """
    digest, bundle_type = deployment.revision["digest"], recorded_bundle_type(deployment.revision)
    bundle: CachedBundle | None = CachedBundle("", bundle_type, digest, 0)
    source = "" if deployment.options.get("download") == "push" else options.revision
    if not is_address(source):
        bundle = cached(digest, bundle_type)
    if bundle is None:
        raise InstanceError(f"the bundle {digest} is no longer in this controller's cache; deploy again")
    return instance.bundle_parameter(bundle, source, options.revision_headers)


def _settled(outcome: dict[str, Any]) -> dict[str, Any]:
    """Return an outcome with the status that an instance may have: one that was stopped half-way has failed."""
    if outcome["status"] != "Stopped":
        return {**outcome, "message": None}
    return {**outcome, "status": "Failed", "message": stopped_message(outcome["events"])}
