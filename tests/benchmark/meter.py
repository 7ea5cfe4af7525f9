# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command and count the CPU of everything that it starts, also of what leaves its process tree.

A process whose parent ends is given to the nearest subreaper above it. This program is one: it starts the command,
waits until not one descendant is left, and so reaps each of them or a process that did. What a process counted for its
own children when it waited for them comes with it.

Used as a program: ``meter.py RESULT COMMAND...`` writes what :class:`Usage` has, as a list, into the file RESULT.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36
#: Seconds that a command's descendants may outlive it.
PATIENCE = 60.0
PAUSE = 0.05


class Usage(NamedTuple):
    """What a command used: exit status, seconds of CPU, user and system, and the most memory of one process, MiB."""

    status: int
    seconds: float
    memory: float


def usage_of_tree(command: Sequence[str], environment: Mapping[str, str], output: Path) -> Usage:
    """Run a command to the end of its last descendant.

    :param command: program and arguments.
    :param output: file for what it writes.
    """
    with tempfile.NamedTemporaryFile() as result, open(output, "wb") as stream:
        meter = [sys.executable, os.path.abspath(__file__), result.name, *command]
        subprocess.run(meter, env=dict(environment), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=True)
        return Usage(*json.loads(result.read()))


def reap_all(command_pid: int) -> int:
    """Wait for a command and for everything else that this process was given; returns the command's wait status.

    :raises TimeoutError: when something still runs long after the command.
    """
    status = None
    deadline = None
    while True:
        try:
            pid, ended = os.waitpid(-1, 0 if status is None else os.WNOHANG)
        except ChildProcessError:
            if status is None:
                raise
            return status
        if pid == command_pid:
            status = ended
            deadline = time.monotonic() + PATIENCE
        elif pid == 0:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{PATIENCE:.0f} seconds after the command something that it started still runs")
            time.sleep(PAUSE)


def main() -> int:
    """Run the command and write what it used."""
    result, *command = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    pid = os.posix_spawnp(command[0], command, os.environ)
    status = os.waitstatus_to_exitcode(reap_all(pid))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(result).write_text(json.dumps([status, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
