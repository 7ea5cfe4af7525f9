# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run lifecycle events in a process of their own session, which outlives the connection that started it."""

import os
import select
import signal
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks import diagnostics
from ansible_collections.agentless.codedeploy.plugins.module_utils._hooks_process import (
    RunningScript,
    refuse_orphan,
    start_time,
)
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import EventLog, summary


def run_detached(lifecycle: Lifecycle, wait: float) -> Dict[str, Any]:
    """Start the events and answer with what they have come to within C(wait) seconds.

    :returns: the module's return values, see M(agentless.codedeploy.lifecycle_events).
    :raises StateError: when something else deploys here; nothing was run then.
    """
    os.umask(0o022)
    # Where a parent ignores the end of its children, nobody would learn the exit status of a script.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    root = lifecycle.root
    root.refuse_agent()
    required = lifecycle.previous_appspec_required()
    if required:
        result = summary(lifecycle.events, [])
        return dict(result, previous_appspec_required=required)
    owner = f"deployment {lifecycle.deployment}"
    lock = root.lock(lifecycle.group_id, owner, refuse_orphan)
    try:
        root.sweep(lifecycle.group_id)
        lifecycle.running = RunningScript(lock, owner)
        os.makedirs(lifecycle.paths.directory, exist_ok=True)
        log = EventLog(lifecycle.paths.events, lifecycle.options["deployment_id"])
        with suppress(OSError):  # of an earlier call: there is none to tell this one yet
            os.unlink(lifecycle.paths.stop)
        process = _Detached(lambda: lifecycle.run(log))
        identity = {"pid": process.pid, "start_time": start_time(process.pid)}
        if process.wait(wait):
            _conclude(log)
        lines = log.lines()
        result = summary(lifecycle.events, lines)
        if result["status"] != "InProgress":
            _remove_trace(lifecycle, lines)
    finally:
        os.close(lock)
    result.update(events_log=log.path, events_log_offset=log.offset, process=identity)
    log.close()
    return result


def _conclude(log: EventLog) -> None:
    """Write the end of events whose process died without one."""
    lines = log.lines()
    if any(line.get("finished") for line in lines):
        return
    failed: Optional[str] = None
    latest = {line["lifecycle_event_name"]: line for line in lines if "lifecycle_event_name" in line}
    for name, line in latest.items():
        if line["status"] == "InProgress":
            message = f"the process that ran {name} was killed or died before it could report a result"
            log.event(name, "Failed", line.get("start_time") or 0.0, time.time(), diagnostics("UnknownError", message))
            failed = name
        elif line["status"] == "Failed":
            failed = name
    log.finish("Failed", failed)


def _remove_trace(lifecycle: Lifecycle, lines: List[Dict[str, Any]]) -> None:
    """Remove the folder of a deployment that did nothing: the agent makes none, and its retention counts folders."""
    paths = lifecycle.paths
    started = {line.get("lifecycle_event_name") for line in lines}
    if started & {"DownloadBundle", "Install"} or os.listdir(paths.directory) != [os.path.basename(paths.events)]:
        return
    os.unlink(paths.events)
    os.rmdir(paths.directory)


class _Detached:
    """A child process in a session of its own, without the streams of this one."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._ended, alive = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._ended)
                os.setsid()
                for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                null = os.open(os.devnull, os.O_RDWR)
                for stream in (0, 1, 2):
                    os.dup2(null, stream)
                work()
                status = 0
            finally:
                os._exit(status)
        os.close(alive)

    def wait(self, seconds: float) -> bool:
        """Return whether the process has ended within some seconds."""
        ready, _writable, _exceptional = select.select([self._ended], [], [], max(0.0, seconds))
        os.close(self._ended)
        if ready:
            os.waitpid(self.pid, 0)
        return bool(ready)
