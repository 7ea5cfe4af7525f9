# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's part on one instance: bring the bundle, start the lifecycle events, follow them to their end."""

from __future__ import annotations

import json
import posixpath
import shlex
import time
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._appspec_file import AppSpecError, parse_appspec_file
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._bundle_cache import CachedBundle
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._revision import is_address

MODULE = "agentless.codedeploy.lifecycle_events"
# CodeDeploy gives an instance that has gone silent between two events five minutes.
SILENT_SECONDS = 300
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 5.0
VANISHED = "the process of the lifecycle events ended without a result: it was killed, or the instance was restarted"
PROCESS_MARK = "agentless.codedeploy process:"

EventListener = Callable[[dict[str, Any]], None]


class InstanceError(Exception):
    """An instance refused or could not do what it was asked; the message says what and why."""


class Instance:
    """One instance, reached through the connection of the task that is running.

    :param action: the action plugin at work; its connection and become settings are used.
    :param root: deployment root on the instance.
    """

    def __init__(self, action: ActionBase, task_vars: dict[str, Any], root: str) -> None:
        self._action = action
        self._task_vars = task_vars
        self._root = root
        self.extras: dict[str, Any] = {}

    def bundle_parameter(self, bundle: CachedBundle, source: str, headers: dict[str, str]) -> dict[str, Any]:
        """Return the module's C(bundle) parameter, having copied the bundle unless the instance has it or downloads it.

        :param source: what the user typed; an address is downloaded by the instance itself.
        :param headers: HTTP headers for that address.
        """
        parameter: dict[str, Any] = {"type": bundle.bundle_type, "digest": bundle.digest}
        if is_address(source):
            parameter.update(url=source.strip(), headers=headers, checksum=f"sha256:{bundle.digest}")
        elif not self._has(posixpath.join(self._root, "bundle-cache", bundle.digest)):
            parameter.update(path=self._copy(bundle), remove_source=True)
        return parameter

    def run_events(self, parameters: dict[str, Any], listener: EventListener) -> dict[str, Any]:
        """Run lifecycle events and wait for their end.

        :param parameters: of the module M(agentless.codedeploy.lifecycle_events).
        :param listener: called with every event that ends while they are being followed.
        :returns: the module's result with C(status) C(Succeeded) or C(Failed).
        :raises InstanceError: when the module refuses (lock, agent, parameters).
        :raises AnsibleConnectionFailure: when the instance is not reachable (any more).
        """
        result = self._call(parameters)
        required = result.get("previous_appspec_required")
        if required:
            result = self._call({**parameters, "previous_appspec": parsed_appspec(required)})
        if result["status"] == "InProgress":
            result = self._follow(result, listener)
        return result

    def read_events(self, group_id: str, deployment_id: str) -> tuple[list[dict[str, Any]], bool]:
        """Return the lines of a former deployment's event log, and whether its process still runs."""
        path = posixpath.join(self._root, group_id, deployment_id.split("deployment/")[-1], "events.jsonl")
        ongoing = posixpath.join(self._root, "ongoing-deployment", deployment_id.split("deployment/")[-1])
        lock = posixpath.join(self._root, "deployment-instructions", f"{group_id}-lock")
        held = f"if test -e {shlex.quote(ongoing)} && ! flock -n {shlex.quote(lock)} true; then echo running; fi"
        answer = self._raw(f"cat {shlex.quote(path)} 2>/dev/null; echo; echo {shlex.quote(PROCESS_MARK)}; {held}")
        log, _mark, running = answer.rpartition(PROCESS_MARK)
        return _complete_lines(log)[0], running.strip() == "running"

    def _has(self, path: str) -> bool:
        return self._action._low_level_execute_command(f"test -f {shlex.quote(path)}")["rc"] == 0

    def _copy(self, bundle: CachedBundle) -> str:
        folder = self._action._connection._shell.tmpdir or self._action._make_tmp_path()
        path = self._action._connection._shell.join_path(folder, f"bundle-{bundle.digest[:12]}")
        self._action._transfer_file(bundle.path, path)
        self._action._fixup_perms2((folder, path), execute=False)
        return path

    def _raw(self, command: str) -> str:
        return str(self._action._low_level_execute_command(command)["stdout"])

    def _call(self, parameters: dict[str, Any]) -> dict[str, Any]:
        result = self._action._execute_module(module_name=MODULE, module_args=parameters, task_vars=self._task_vars)
        for key in ("ansible_facts", "warnings", "deprecations"):
            if result.get(key):
                self.extras[key] = result[key]
        if result.get("unreachable"):
            raise AnsibleConnectionFailure(str(result.get("msg", "the instance is not reachable")))
        if "status" not in result and "previous_appspec_required" not in result:
            raise InstanceError(_refusal(result))
        return dict(result)

    def _follow(self, started: dict[str, Any], listener: EventListener) -> dict[str, Any]:
        events = {event["lifecycle_event_name"]: event for event in started["events"]}
        for event in events.values():
            if event["status"] in ("Succeeded", "Failed"):
                listener(event)
        follower = _Follower(self._raw, started)
        last: dict[str, Any] | None = None
        reset = getattr(self._action._connection, "reset", None)
        for line in follower.lines(reset):
            if line.get("finished"):
                last = line
                break
            events[line["lifecycle_event_name"]] = _event_of(line)
            if line["status"] in ("Succeeded", "Failed"):
                listener(_event_of(line))
        return {**started, **_ended(events, last)}


class _Follower:
    """Reads an event log on the instance as it grows, in spite of connections that drop."""

    def __init__(self, raw: Callable[[str], str], started: dict[str, Any]) -> None:
        self._raw = raw
        self._path = started["events_log"]
        self._offset = int(started["events_log_offset"])
        self._process = started.get("process") or {}

    def lines(self, reset: Callable[[], None] | None) -> Any:
        """Yield every line; ends without a last line when the process that writes them has gone."""
        pause = FIRST_PAUSE
        silent_since = None
        gone = False
        while True:
            try:
                new, alive = self._read()
                silent_since = None
            except AnsibleConnectionFailure:
                now = time.monotonic()
                silent_since = silent_since or now
                if now - silent_since > SILENT_SECONDS:
                    raise
                if reset is not None:
                    reset()
                time.sleep(LONGEST_PAUSE)
                continue
            yield from new
            if gone and not new:
                return
            gone = not alive
            pause = FIRST_PAUSE if new else min(pause * 1.5, LONGEST_PAUSE)
            if not gone:
                time.sleep(pause)

    def _read(self) -> tuple[list[dict[str, Any]], bool]:
        pid = int(self._process.get("pid", 0))
        answer = self._raw(
            f"tail -c +{self._offset + 1} {shlex.quote(self._path)} 2>/dev/null; "
            f"echo; echo {shlex.quote(PROCESS_MARK)}; cat /proc/{pid}/stat 2>/dev/null"
        )
        log, mark, status = answer.rpartition(PROCESS_MARK)
        if not mark:
            raise AnsibleConnectionFailure("the instance did not answer")
        lines, length = _complete_lines(log)
        self._offset += length
        return lines, self._is_same(status)

    def _is_same(self, status: str) -> bool:
        """Compare the start time, field 22 of /proc/PID/stat: a process id alone may have been given anew."""
        fields = status.rpartition(")")[2].split()
        if not fields or fields[0] == "Z":
            return False
        start = self._process.get("start_time")
        return start is None or len(fields) < 20 or str(start) == fields[19]


def parsed_appspec(required: dict[str, Any]) -> dict[str, Any]:
    """Return an old revision's AppSpec as data, or its errors (they fail that revision's events, on the instance)."""
    import base64

    try:
        return dict(parse_appspec_file(base64.b64decode(required["content"])))
    except AppSpecError as error:
        return {"errors": [str(problem) for problem in error.errors]}


def _complete_lines(log: str) -> tuple[list[dict[str, Any]], int]:
    """Return the parsed lines and the bytes they take; an unfinished last line is left for later."""
    lines = []
    length = 0
    for text in log.split("\n"):
        if not text.strip():
            continue
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
        length += len(text.encode("utf-8", "surrogateescape")) + 1
    return lines, length


def _event_of(line: dict[str, Any]) -> dict[str, Any]:
    names = ("lifecycle_event_name", "status", "start_time", "end_time", "diagnostics")
    return {name: line[name] for name in names if line.get(name) is not None}


def _ended(events: dict[str, dict[str, Any]], last: dict[str, Any] | None) -> dict[str, Any]:
    """Return status and events when the log has ended, with a last line or, when the process was killed, without."""
    status = "Failed" if last is None else last["status"]
    failed = None if last is None else last.get("failed_event")
    for event in events.values():
        if event["status"] == "InProgress":
            event["status"] = "Failed"
            event["diagnostics"] = {"error_code": "UnknownError", "message": VANISHED}
            failed = failed or event["lifecycle_event_name"]
        elif event["status"] == "Pending":
            event["status"] = "Skipped"
    return {"status": status, "events": list(events.values()), "failed_event": failed, "changed": True}


def concluded_events(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return status, events and failed event of an event log that was read as a whole (see C(read_events))."""
    events: dict[str, dict[str, Any]] = {}
    last = None
    for line in lines:
        if line.get("finished"):
            last = line
        elif "lifecycle_event_name" in line:
            events[line["lifecycle_event_name"]] = _event_of(line)
    return _ended(events, last)


def _refusal(result: dict[str, Any]) -> str:
    message = str(result.get("msg") or "the module lifecycle_events gave no result")
    detail = str(result.get("module_stderr") or result.get("module_stdout") or "").strip().splitlines()
    if detail and detail[-1] not in message:
        message += f" ({detail[-1]})"
    return message
