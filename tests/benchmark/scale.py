# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU of the controller for each instance, with many instances and with few, and the memory that many take.

The instances are on this machine too. Their interpreter is a script that notes the CPU of Python below it, which is
taken off, so that what is left is the controller's.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import collection_loader
from benchmark.figures import Measurement, MeasurementError
from benchmark.fleet import SETTINGS, last_lines, write_bundle
from benchmark.meter import Usage, usage_of_tree
from support.controller import Controller
from support.local_fleet import LocalFleet

FEW, MANY = 50, 200
LIMIT = 1.5

INTERPRETER = f"""#!/bin/sh
{sys.executable} "$@"
status=$?
times >> "$(dirname "$0")/times"
exit $status
"""


def seconds_of_instances(times: Path) -> float:
    """Add up what sh's ``times`` wrote: a line for the shell and one for what it ran, each user and system time."""
    total = 0.0
    for text in times.read_text().split():
        minutes, _m, seconds = text.rstrip("s").partition("m")
        total += 60 * float(minutes) + float(seconds)
    return total


def deploy(work: Path, count: int) -> Usage:
    """Deploy to so many new instances and return what the controller used for one of them.

    :raises MeasurementError: unless the deployment succeeds.
    """
    (work / "controller").mkdir(parents=True)
    (work / "collections").mkdir()
    collection_loader.link_collection(str(work / "collections"))
    controller = Controller(work / "controller", work / "collections", shortcuts=False)
    interpreter = work / "python"
    interpreter.write_text(INTERPRETER)
    interpreter.chmod(0o755)
    fleet = LocalFleet(count, work / "fleet", interpreter=str(interpreter))
    for name in fleet.names:
        (fleet.files(name) / "srv").mkdir()
    arguments = controller.playbook_arguments(
        "agentless.codedeploy.deploy",
        fleet.inventory(),
        deploy_group=fleet.group,
        deploy_revision=write_bundle(work, "version"),
        deploy_config="AllAtOnce",
    )
    command = [str(Path(sys.prefix) / "bin" / "ansible-playbook"), *arguments]
    used = usage_of_tree(command, {**controller.environment, **SETTINGS}, work / "output")
    controller.close()
    if used.status != 0:
        raise MeasurementError(f"{count} instances: ended with {used.status}:\n{last_lines(work / 'output')}")
    return used._replace(seconds=(used.seconds - seconds_of_instances(work / "times")) / count)


def measure(rounds: int) -> Iterator[Measurement]:
    """Deploy to few and to many in turns, and compare the medians."""
    work = Path(tempfile.mkdtemp(prefix="codedeploy-benchmark-"))
    used: dict[int, list[Usage]] = {FEW: [], MANY: []}
    try:
        for number in range(rounds):
            for count, found in used.items():
                found.append(deploy(work / f"{number}-{count}", count))
                shutil.rmtree(work / f"{number}-{count}")
    finally:
        shutil.rmtree(work)
    few, many = (statistics.median(one.seconds for one in found) for found in used.values())
    yield Measurement(f"scale: controller's CPU per instance, {MANY} as a multiple of {FEW}", many / few, LIMIT)
    yield Measurement(f"scale: controller's CPU per instance with {MANY}, milliseconds", 1000 * many, None)
    memory = max(one.memory for one in used[MANY])
    yield Measurement(f"scale: most memory of a process with {MANY} instances, MiB", memory, None)
