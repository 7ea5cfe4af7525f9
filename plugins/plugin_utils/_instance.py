# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part on one instance: bring the bundle, start the lifecycle events, follow them to their end."""

from __future__ import annotations

import base64
import copy
import posixpath
import re
import shlex
import time
from collections.abc import Callable
from itertools import dropwhile
from typing import Any
from urllib.parse import parse_qsl

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.agentless.codedeploy.plugins.module_utils._bundle_archive import EXPIRED
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import AppSpecError, parse_appspec_file
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import CachedBundle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._event_follower import (
    SILENT_SECONDS,
    EventListener,
    EventLogPart,
    follow,
    followed,
    read_event_log,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import is_address
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._stop_signal import StopSignal, told_in_the_meantime

MODULE = "agentless.codedeploy.lifecycle_events"
RECONNECT_PAUSE = 2.0
MOST_ADDRESSES = 12
# One deployment that runs, then its script alone, and what only the module sees.
MOST_WAITS = 5
# What ssh says of a connection that it once had, and not of an instance that it never reached.
CONNECTION_LOST = re.compile(r"(?i)\bconnection to \S+ closed|closed by remote host|Broken pipe|Connection reset")
SECRET_PARTS = ("Signature", "Credential", "Security-Token", "AWSAccessKeyId")


class InstanceError(Exception):
    """An instance refused or could not do what it was asked; the message says what and why."""


class InstanceBusy(InstanceError):
    """Another deployment of the group still runs on an instance; nothing was run.

    :param deployment_id: the other one; empty when it is not known.
    """

    def __init__(self, message: str, deployment_id: str) -> None:
        super().__init__(message)
        self.deployment_id = deployment_id


class StoppedWhileWaiting(InstanceError):
    """A deployment was stopped while it waited for the events of another one; it has begun none."""


class Instance:
    """One instance, reached through the connection of the task that is running.

    :param action: the action plugin at work; its connection and become settings are used.
    :param root: deployment root on the instance.
    """

    def __init__(self, action: ActionBase, task_vars: dict[str, Any], root: str) -> None:
        self._action = action
        self._task_vars = task_vars
        self._root = root
        self._reached = False
        self.extras: dict[str, Any] = {}
        #: Makes another address of the bundle in place of one that has expired; set by who gave the first one.
        self.renew_address: Callable[[str], str] | None = None
        #: Waits until another deployment has ended and returns the parameters to try again with; may raise what it got.
        self.when_busy: Callable[[InstanceBusy, dict[str, Any]], dict[str, Any]] | None = None
        #: Texts that must not be seen.
        self.secrets: list[str] = []

    def hide_address(self, url: str) -> str:
        """Note that the query of an address, where its signature is, must not be seen; returns the address."""
        query = url.partition("?")[2]
        # Encoded and not: what is hidden must also be found where somebody has decoded it.
        parts = [value for name, value in parse_qsl(query) if name.endswith(SECRET_PARTS)]
        self.secrets += [url, query, *parts]
        self.secrets.sort(key=len, reverse=True)
        return url

    def bundle_parameter(
        self, bundle: CachedBundle, source: str, headers: dict[str, str], perhaps_there: bool = True
    ) -> dict[str, Any]:
        """Return the module's C(bundle) parameter, having copied the bundle unless the instance has it or downloads it.

        :param source: what the user typed; an address is downloaded by the instance itself.
        :param headers: HTTP headers for that address.
        :param perhaps_there: whether the instance may have it; else it is not asked.
        """
        parameter: dict[str, Any] = {"type": bundle.bundle_type, "digest": bundle.digest}
        if is_address(source):
            parameter.update(url=source.strip(), headers=headers, checksum=f"sha256:{bundle.digest}")
        elif not (perhaps_there and self._has(posixpath.join(self._root, "bundle-cache", bundle.digest))):
            parameter.update(path=self._copy(bundle), remove_source=True)
        return parameter

    def run_events(
        self,
        parameters: dict[str, Any],
        listener: EventListener,
        stop_requested: Callable[[], bool] = lambda: False,
        stop_requested_apart: Callable[[], bool] | None = None,
    ) -> dict[str, Any]:
        """Run lifecycle events and wait for their end.

        :param parameters: of the module M(agentless.codedeploy.lifecycle_events).
        :param listener: called with every event that ends while they are being followed.
        :param stop_requested: asked in the meantime; then the instance is told to start no further event.
        :param stop_requested_apart: the same, for another thread, while the module's call goes on.
        :returns: the module's result with C(status) C(Succeeded), C(Failed) or C(Stopped).
        :raises InstanceError: when the module refuses (lock, agent, parameters).
        :raises AnsibleConnectionFailure: when the instance is not reachable (any more).
        """
        outcome: dict[str, Any] = {}
        for _address in range(MOST_ADDRESSES):
            # Events that have run already are not run again.
            waits = 0 if outcome else MOST_WAITS
            parameters, result = self._start_when_free(parameters, waits, stop_requested_apart)
            if result["status"] == "InProgress":
                result = self._follow(parameters, result, self._unless_renewed(listener), stop_requested)
            outcome = _joined(outcome, result)
            expired = self._expired(result["events"])
            if expired is None or self.renew_address is None or stop_requested():
                break
            events = parameters["events"][parameters["events"].index(expired) :]
            bundle = {**parameters["bundle"], "url": self.renew_address(parameters["bundle"]["url"])}
            parameters = {**parameters, "events": events, "bundle": bundle}
        return outcome

    def _start_when_free(
        self, parameters: dict[str, Any], waits: int, stop_requested_apart: Callable[[], bool] | None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start the events, having waited for another deployment when the module says that one runs there.

        :param waits: how often to wait at most.
        :returns: the parameters that they were started with, and the module's result.
        """
        log = self._event_log(parameters["deployment_group_id"], parameters["deployment_id"])
        while True:
            try:
                with told_in_the_meantime(stop_requested_apart, lambda: _tell_stop(_apart(self._action), log)):
                    return parameters, self.start_events(parameters)
            except InstanceBusy as busy:
                if self.when_busy is None or not waits:
                    raise
                waits -= 1
                parameters = self.when_busy(busy, parameters)

    def _expired(self, events: list[dict[str, Any]]) -> str | None:
        """Return the event that failed because the bundle's address has expired, when another one can be made."""
        if self.renew_address is None:
            return None
        failed = [event for event in events if event["status"] == "Failed"]
        expired = [event for event in failed if EXPIRED in str((event.get("diagnostics") or {}).get("message"))]
        return str(expired[0]["lifecycle_event_name"]) if expired else None

    def _unless_renewed(self, listener: EventListener) -> EventListener:
        return lambda event: None if self._expired([event]) else listener(event)

    def start_events(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Call the module once, or again with the AppSpec that it found no parsed copy of; raises as run_events().

        :returns: the module's result; in check mode its C(plan).
        """
        result = self._call(parameters)
        required = result.get("previous_appspec_required")
        if required:
            result = self._call({**parameters, "previous_appspec": parsed_appspec(required)})
        return result

    def read_events(self, group_id: str, deployment_id: str) -> EventLogPart:
        """Return the event log of a deployment, and whether the group's events still run."""
        return read_event_log(self._raw, self._event_log(group_id, deployment_id), self._lock(group_id))

    def _event_log(self, group_id: str, deployment_id: str) -> str:
        return posixpath.join(self._root, group_id, deployment_id.split("deployment/")[-1], "events.jsonl")

    def _lock(self, group_id: str) -> str:
        return posixpath.join(self._root, "deployment-instructions", f"{group_id}-lock")

    def _has(self, path: str) -> bool:
        answer = self._action._low_level_execute_command(f"test -f {shlex.quote(path)}")
        self._reached = True
        return bool(answer["rc"] == 0)

    def _copy(self, bundle: CachedBundle) -> str:
        folder = self._action._connection._shell.tmpdir or self._action._make_tmp_path()
        path = self._action._connection._shell.join_path(folder, f"bundle-{bundle.digest[:12]}")
        self._action._transfer_file(bundle.path, path)
        self._reached = True
        self._action._fixup_perms2((folder, path), execute=False)
        return path

    def _raw(self, command: str) -> str:
        return str(self._action._low_level_execute_command(command)["stdout"])

    def _call(self, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            result = self._action._execute_module(module_name=MODULE, module_args=parameters, task_vars=self._task_vars)
        except AnsibleConnectionFailure as error:
            if self._action._task.check_mode:
                raise
            return self._started_all_the_same(parameters, error)
        for key in ("ansible_facts", "warnings", "deprecations"):
            if result.get(key):
                self.extras[key] = result[key]
        if result.get("unreachable"):
            raise AnsibleConnectionFailure(str(result.get("msg", "the instance is not reachable")))
        if "running_deployment_id" in result:
            raise InstanceBusy(_refusal(result), str(result["running_deployment_id"]))
        if "status" not in result:
            raise InstanceError(_refusal(result))
        return dict(result)

    def _started_all_the_same(self, parameters: dict[str, Any], error: AnsibleConnectionFailure) -> dict[str, Any]:
        """Return what the module would have returned when only the connection broke, and not the events.

        An instance that was never reached is asked once more; one that was gets as long as when it is followed.
        """
        group_id, deployment_id = parameters["deployment_group_id"], parameters["deployment_id"]
        reached = self._reached or CONNECTION_LOST.search(str(error))
        deadline = time.monotonic() + (SILENT_SECONDS if reached else 0)
        part = None
        while part is None:
            self._reset()
            time.sleep(RECONNECT_PAUSE)
            try:
                part = self.read_events(group_id, deployment_id)
            except AnsibleConnectionFailure:
                if time.monotonic() > deadline:
                    raise error from None
        # The log may have lines of earlier calls for the same deployment.
        if not any(line.get("lifecycle_event_name") in parameters["events"] for line in part.lines):
            raise error
        pending = [{"lifecycle_event_name": name, "status": "Pending"} for name in parameters["events"]]
        log = self._event_log(group_id, deployment_id)
        return {"status": "InProgress", "events": pending, "events_log": log, "events_log_offset": 0}

    def _follow(
        self,
        parameters: dict[str, Any],
        started: dict[str, Any],
        listener: EventListener,
        stop_requested: Callable[[], bool],
    ) -> dict[str, Any]:
        signal = StopSignal(stop_requested, lambda: _tell_stop(self._action, str(started["events_log"])))
        lines = follow(self._raw, started, self._lock(parameters["deployment_group_id"]), self._reset, signal.wait)
        if "process" not in started:
            # Read from its beginning, where the events of an earlier call may be, and its end.
            names = set(parameters["events"])
            lines = dropwhile(lambda line: line.get("lifecycle_event_name") not in names, lines)
        return followed(lines, started, listener)

    def _reset(self) -> None:
        reset = getattr(self._action._connection, "reset", None)
        if reset is not None:
            reset()


def _tell_stop(action: ActionBase, events_log: str) -> bool:
    path = posixpath.join(posixpath.dirname(events_log), "stop")
    answer = action._low_level_execute_command(f"touch {shlex.quote(path)}")
    return bool(answer["rc"] == 0)


def _apart(action: ActionBase) -> ActionBase:
    """Return an action that another thread may use: a connection keeps the command that it runs in its plugins."""
    apart = copy.copy(action)
    apart._connection = copy.copy(action._connection)
    apart._connection.become = copy.copy(action._connection.become)
    return apart


def parsed_appspec(required: dict[str, Any]) -> dict[str, Any]:
    """Return an old revision's AppSpec as data, or its errors (they fail that revision's events, on the instance)."""
    try:
        return dict(parse_appspec_file(base64.b64decode(required["content"])))
    except AppSpecError as error:
        return {"errors": [str(problem) for problem in error.errors]}


def _refusal(result: dict[str, Any]) -> str:
    message = str(result.get("msg") or "the module lifecycle_events gave no result")
    detail = str(result.get("module_stderr") or result.get("module_stdout") or "").strip().splitlines()
    if detail and detail[-1] not in message:
        message += f" ({detail[-1]})"
    return message


def _joined(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Return the result of two calls that ran a deployment's events one after the other, some of them twice."""
    if not earlier:
        return later
    again = {event["lifecycle_event_name"] for event in later["events"]}
    before = [event for event in earlier["events"] if event["lifecycle_event_name"] not in again]
    return {**earlier, **later, "events": before + later["events"]}
