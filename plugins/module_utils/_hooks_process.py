# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes of scripts: all that belong to one, how they are ended, and the one that a killed call left running."""

import json
import os
import signal
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from ansible_collections.agentless.codedeploy.plugins.module_utils._state import BusyError

KILL_AFTER_SECONDS = 5.0
POLL_SECONDS = 0.1


def start_time(pid: int) -> Optional[int]:
    """Return when a process started, in clock ticks since boot; with the pid it names one process for ever."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return int(stream.read().rpartition(b") ")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def end_sessions(leader: int, pause: Callable[[], Any]) -> None:
    """Send TERM to all processes of a script, KILL to those that live 5 seconds later.

    :param pause: called over and over until then; returns after a tenth of a second at most.
    """
    sessions = _sessions(leader)
    _signal(sessions, signal.SIGTERM)
    limit = time.monotonic() + KILL_AFTER_SECONDS
    while _members(sessions) and time.monotonic() < limit:
        pause()
    _signal(sessions, signal.SIGKILL)


class RunningScript:
    """The second line of a group's lock file: the script that runs, for whoever comes after this process was killed.

    :param descriptor: of the lock file, as it was locked for C(owner).
    """

    def __init__(self, descriptor: int, owner: str) -> None:
        self._descriptor = descriptor
        self._offset = len(owner.encode("utf-8", "replace"))

    def begin(self, script: Dict[str, Any]) -> None:
        """Note a script; called in the process that becomes it, so that there is none without its note."""
        pid = os.getpid()
        record = json.dumps(dict(script, pid=pid, start_time=start_time(pid)), sort_keys=True)
        with suppress(OSError):
            os.pwrite(self._descriptor, f"\n{record}\n".encode("ascii"), self._offset)

    def end(self) -> None:
        """Forget the script."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._offset)


def refuse_orphan(lock: str, end_overdue: bool = True) -> None:
    """Check that no script goes on which a killed call left; one that is past its time-out is ended.

    :param lock: what the lock file had when it was locked.
    :param end_overdue: V(False) in check mode, which leaves such a script alone and takes it for ended.
    :raises BusyError: while such a script runs.
    """
    owner, _newline, rest = lock.partition("\n")
    try:
        record = json.loads(rest.partition("\n")[0])
        pid, since, deadline = record["pid"], record["start_time"], record["deadline"]
    except (ValueError, KeyError, TypeError):
        return
    if not _lives(pid, since):
        return
    if time.time() >= deadline:
        if not end_overdue:
            return
        end_sessions(pid, lambda: time.sleep(POLL_SECONDS))
        limit = time.monotonic() + KILL_AFTER_SECONDS
        while _lives(pid, since) and time.monotonic() < limit:
            time.sleep(POLL_SECONDS)
        if not _lives(pid, since):
            return
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(deadline))
    raise BusyError(
        f"script {record['location']} of {record['lifecycle_event_name']} of {owner} still runs as process {pid}; "
        "what had started it was killed. Wait until it has ended, or end it: "
        f"kill -- -{pid}. From {until} on, its time-out, the next deployment ends it",
        owner,
    )


def _lives(pid: int, since: int) -> bool:
    return start_time(pid) == since and _processes().get(pid, (0, 0))[1] == pid


def _processes() -> Dict[int, Tuple[int, int]]:
    """Return C({pid: (parent, session)}) of all processes that live."""
    result = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    fields = stream.read().rpartition(b") ")[2].split()
            except OSError:
                continue
            if fields and fields[0] not in (b"Z", b"X"):
                result[int(name)] = (int(fields[1]), int(fields[3]))
    return result


def _sessions(leader: int) -> Set[int]:
    """Return the sessions of a script: its own, and those C(su) or C(sudo) made for it below."""
    processes = _processes()
    below = {leader}
    grown = True
    while grown:
        more = {pid for pid, (parent, _session) in processes.items() if parent in below} - below
        below |= more
        grown = bool(more)
    sessions = {processes[pid][1] for pid in below if pid in processes}
    return (sessions | {leader}) - {os.getsid(0)}


def _members(sessions: Set[int]) -> List[int]:
    return [pid for pid, (_parent, session) in _processes().items() if session in sessions]


def _signal(sessions: Set[int], number: int) -> None:
    for pid in _members(sessions):
        with suppress(OSError):
            os.kill(pid, number)
