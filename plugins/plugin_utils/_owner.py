# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who runs a deployment, and whether that controller process still lives."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from dataclasses import dataclass

HEARTBEAT_LIMIT = 7200.0
"""Seconds without a sign of life after which a controller elsewhere counts as dead: twice the longest event."""


@dataclass(frozen=True)
class Owner:
    """The controller process that runs a deployment.

    ``pid_start`` is what process_start() says of ``pid``; it tells the process from a later one with the same number.
    ``run_id`` is free text (an AWX job, a CI run), shown where the owner is named.
    """

    host: str
    pid: int
    pid_start: str
    user: str
    run_id: str | None = None

    def __str__(self) -> str:
        run = f", run {self.run_id}" if self.run_id else ""
        return f"{self.user} on {self.host} (process {self.pid}{run})"


def current_owner(pid: int | None = None, user: str | None = None, run_id: str | None = None) -> Owner:
    """Describe a controller process.

    :param pid: its number on this host; this process by default. An action runs in a worker, so that the process that
        lasts as long as the run is its parent.
    """
    number = os.getpid() if pid is None else pid
    return Owner(socket.gethostname(), number, process_start(number) or "", user or _user(), run_id)


def process_start(pid: int) -> str | None:
    """When and where a process of this host started; None when there is none of this number, or only its remains.

    No later process of the same number has the same. On Linux it is ``boot/process namespace/clock ticks``, else the
    start time that ps prints.
    """
    if os.path.exists("/proc/self/stat"):
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:
                # The command name in parentheses may hold anything, so that fields count from the last one.
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            return None
        if fields[0] in (b"Z", b"X"):
            return None
        return f"{_process_space()}/{fields[19].decode('ascii')}"
    listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip() or None


def is_dead(owner: Owner, heartbeat: float, now: float, limit: float = HEARTBEAT_LIMIT) -> bool:
    """Has this controller certainly ended?

    A process of this host and boot is looked up. Anything else (another host, another container, a host that was
    started again) is judged by its last sign of life alone, so that a live one is never taken for dead.

    :param heartbeat: the owner's last write to the deployment, epoch seconds.
    """
    if owner.host == socket.gethostname() and _same_process_space(owner.pid_start):
        return process_start(owner.pid) != owner.pid_start
    return now - heartbeat > limit


def _same_process_space(pid_start: str) -> bool:
    if not os.path.exists("/proc/self/stat"):
        return bool(pid_start)
    return pid_start.rpartition("/")[0] == _process_space()


def _process_space() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot_id:
            boot = boot_id.read().strip()
    except OSError:
        boot = ""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{boot}/{namespace}"


def _user() -> str:
    # Not by LOGNAME and the like, which everybody may set.
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
