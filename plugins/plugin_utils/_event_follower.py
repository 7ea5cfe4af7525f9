# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow the event log of lifecycle events that run on an instance, in spite of connections that drop."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any

from ansible.errors import AnsibleConnectionFailure

# CodeDeploy gives an instance that has gone silent between two events five minutes.
SILENT_SECONDS = 300
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 5.0
VANISHED = "the process of the lifecycle events ended without a result: it was killed, or the instance was restarted"
ENDED = ("Succeeded", "Failed")
_BEGIN = "agentless.codedeploy events:"
_MARK = "agentless.codedeploy process:"

EventListener = Callable[[dict[str, Any]], None]
Raw = Callable[[str], str]


def read_event_log(
    raw: Raw, log: str, lock: str, offset: int = 0, process: dict[str, Any] | None = None
) -> EventLogPart:
    """Read an event log from an offset on, in one command.

    :param raw: runs a shell command on the instance and returns what it writes.
    :param lock: the deployment group's lock file, held as long as events run.
    :param process: C(pid) and C(start_time) of the process that writes the log, when known.
    :raises AnsibleConnectionFailure: when the instance is not reachable.
    """
    if process and process.get("pid"):
        sign = f"cat /proc/{int(process['pid'])}/stat 2>/dev/null"
    else:
        path = shlex.quote(lock)
        sign = (
            f"if test -e {path} && command -v flock >/dev/null && ! flock -n {path} true; then "
            f"echo running; sed -n 2p {path}; "
            # Its second line names the script; it may go on although what had started it was killed.
            f'elif script=$(sed -n 2p {path} 2>/dev/null) && test -n "$script"; then date +%s; '
            "printf '%s\\n' \"$script\"; "
            'cat /proc/$(expr "$script" : \'.*"pid": \\([0-9]*\\)\')/stat 2>/dev/null; fi'
        )
    tail = f"tail -c +{offset + 1} {shlex.quote(log)} 2>/dev/null"
    answer = raw(f"echo {shlex.quote(_BEGIN)}; {tail}; echo; echo {shlex.quote(_MARK)}; {sign}")
    # Before the beginning may stand what a shell's profile says, or sudo.
    text, mark, state = answer.partition(_BEGIN)[2].rpartition(_MARK)
    if not mark:
        raise AnsibleConnectionFailure("the instance did not answer")
    lines, length = _complete_lines(text)
    return EventLogPart(lines, offset + length, _runs(state, process), _script(state))


class EventLogPart:
    """Lines of an event log, the offset behind them, and whether the process that writes it still runs.

    :param script: what the lock file says of the script that runs; empty when that is not known.
    """

    def __init__(self, lines: list[dict[str, Any]], offset: int, running: bool, script: dict[str, Any]) -> None:
        self.lines = lines
        self.offset = offset
        self.running = running
        self._script = script

    @property
    def script(self) -> str:
        """Which script runs, in words; empty when that is not known."""
        known = all(self._script.get(name) for name in ("location", "lifecycle_event_name", "pid"))
        return "{location} of {lifecycle_event_name}, process {pid}".format_map(self._script) if known else ""


def follow(
    raw: Raw,
    started: dict[str, Any],
    lock: str,
    reset: Callable[[], None] | None,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[dict[str, Any]]:
    """Yield every line of an event log as it is written; ends when the process that writes it has gone.

    Connections that drop are tried again for five minutes: the events go on without them.

    :param started: C(events_log), C(events_log_offset) and C(process) as the module returned them.
    :param reset: closes a connection that may be dead.
    :param wait: sleeps for some seconds.
    :raises AnsibleConnectionFailure: when the instance was not reachable for so long.
    """
    offset = int(started["events_log_offset"])
    pause = FIRST_PAUSE
    silent_since: float | None = None
    was_running = True
    while True:
        try:
            part = read_event_log(raw, started["events_log"], lock, offset, started.get("process"))
        except AnsibleConnectionFailure:
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > SILENT_SECONDS:
                raise
            if reset is not None:
                reset()
            time.sleep(LONGEST_PAUSE)
            continue
        silent_since = None
        offset = part.offset
        yield from part.lines
        if not was_running and not part.lines:
            return
        was_running = part.running
        pause = FIRST_PAUSE if part.lines else min(pause * 1.2, LONGEST_PAUSE)
        if was_running:
            wait(pause)


def followed(lines: Iterator[dict[str, Any]], started: dict[str, Any], listener: EventListener) -> dict[str, Any]:
    """Return the module's result once the events have ended, telling the listener of each event that has ended."""
    events = {event["lifecycle_event_name"]: event for event in started["events"]}
    told = set()
    for event in events.values():
        if event["status"] in ENDED:
            told.add(event["lifecycle_event_name"])
            listener(event)
    last: dict[str, Any] | None = None
    for line in lines:
        if line.get("finished"):
            last = line
            break
        if "lifecycle_event_name" not in line:
            continue
        event = event_of(line)
        name = event["lifecycle_event_name"]
        events[name] = event
        if event["status"] in ENDED and name not in told:
            told.add(name)
            listener(event)
    return {**started, **_ended(events, last)}


def concluded_events(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return status, events and failed event of an event log that was read as a whole."""
    events: dict[str, dict[str, Any]] = {}
    last = None
    for line in lines:
        if line.get("finished"):
            last = line
        elif "lifecycle_event_name" in line:
            events[line["lifecycle_event_name"]] = event_of(line)
    return _ended(events, last)


def event_of(line: dict[str, Any]) -> dict[str, Any]:
    """Return a lifecycle event in CodeDeploy's shape from a line of the event log."""
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
    result = {"status": status, "events": list(events.values()), "failed_event": failed, "changed": True}
    if last and last.get("restored"):
        result["restored"] = last["restored"]
    return result


def _complete_lines(text: str) -> tuple[list[dict[str, Any]], int]:
    """Return the parsed lines and the bytes they take; an unfinished last line is left for later."""
    lines = []
    length = 0
    # ssh gives commands a terminal, which ends lines with a carriage return too.
    found = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    for number, line in enumerate(found):
        parsed = _parsed(line)
        if parsed is not None:
            lines.append(parsed)
        elif number == len(found) - 1:
            break
        length += len(line.encode("utf-8", "surrogateescape")) + 1
    return lines, length


def _parsed(line: str) -> dict[str, Any] | None:
    """Return the object of a line of the event log, None for what is no such line."""
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("status"), str):
        return None
    return parsed if isinstance(parsed.get("lifecycle_event_name", ""), str) else None


def _runs(state: str, process: dict[str, Any] | None) -> bool:
    """Compare the start time, field 22 of /proc/PID/stat: a process id alone may have been given anew."""
    if not process or not process.get("pid"):
        return state.split(None, 1)[:1] == ["running"] or _script_runs(state)
    fields = state.rpartition(")")[2].split()
    if not fields or fields[0] == "Z":
        return False
    start = process.get("start_time")
    return start is None or len(fields) < 20 or str(start) == fields[19]


def _script_runs(state: str) -> bool:
    """Tell whether a script that a killed process has left is still at work; after its time-out it is ended by others.

    :param state: the instance's clock, what the lock file says of the script, and the process's C(stat).
    """
    lines, script = state.strip().splitlines(), _script(state)
    try:
        left = int(lines[0]) < float(script["deadline"])
    except (IndexError, KeyError, TypeError, ValueError):
        return False
    return left and bool(script.get("pid")) and _runs("\n".join(lines[2:]), script)


def _script(state: str) -> dict[str, Any]:
    """Return what the lock file says of a script: the second line of what tells whether something runs."""
    try:
        script = json.loads(state.strip().splitlines()[1])
    except (IndexError, ValueError, RecursionError):
        return {}
    return script if isinstance(script, dict) else {}
