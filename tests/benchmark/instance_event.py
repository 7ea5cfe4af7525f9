# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run lifecycle events of one deployment as the module does, and print what they cost.

This is a program of its own, so that every measurement is of a fresh process that has imported what the module
imports: ``instance_event.py OPTIONS SIZE`` with a file that holds the module's parameters as JSON, and as many MiB as
an event writes: so much memory is taken beside that file and given back before each event. It prints
``{"cpu": {event: seconds}, "memory": MiB, "problem": text or null}``. The start of the interpreter and the imports are
not part of the CPU, but they are of the memory, which is the most that the process ever had.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import collection_loader

collection_loader.register_collection()

from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle import Lifecycle  # noqa: E402  # found through the path set above
from ansible_collections.agentless.codedeploy.plugins.module_utils._lifecycle_log import EventLog  # noqa: E402  # same

# What the module imports besides is a part of its memory.
importlib.import_module("ansible_collections.agentless.codedeploy.plugins.modules.lifecycle_events")


def cpu() -> float:
    """Return the seconds of user and system CPU of this process and of its children that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def peak_memory() -> float:
    """Return the most MiB that this process had in memory.

    Not ``ru_maxrss``: that begins with what the process had that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _colon, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM")


def touch_memory(path: Path, size: int) -> None:
    """Take so many MiB of a tmpfs and give them back, so that what comes next gets just that.

    On a virtual machine the first use of memory costs many times what copying into it does, and meets some step; what
    was given back a while ago may be the host's again.
    """
    with open(path, "wb") as stream:
        for _number in range(size):
            stream.write(bytes(1 << 20))
    path.unlink()


class MeasuredEvents(EventLog):
    """An event log that notes what each event has cost in C(cpu)."""

    def __init__(self, path: str, deployment_id: str) -> None:
        super().__init__(path, deployment_id)
        self.cpu: dict[str, float] = {}

    def event(self, name: str, status: str, *arguments: Any, **keywords: Any) -> None:
        """Note the CPU before an event, and at its end what it has cost."""
        if status == "InProgress":
            touch_memory(Path(sys.argv[1]).with_name("memory"), int(sys.argv[2]))
        self.cpu[name] = cpu() - self.cpu.get(name, 0.0)
        super().event(name, status, *arguments, **keywords)


def main() -> int:
    """Run the events and print what they cost."""
    lifecycle = Lifecycle(json.loads(Path(sys.argv[1]).read_text()))
    os.makedirs(lifecycle.paths.directory, exist_ok=True)
    log = MeasuredEvents(lifecycle.paths.events, lifecycle.options["deployment_id"])
    lifecycle.run(log)
    failed = [line for line in log.lines() if line["status"] == "Failed" and "diagnostics" in line]
    problem = failed[0]["diagnostics"]["message"] if failed else None
    print(json.dumps({"cpu": log.cpu, "memory": peak_memory(), "problem": problem}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
