# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a deployment takes in a sliding window, as a part of the time in batches, when instances differ.

The theory beside it counts only what the scripts of the instances sleep.
"""

from __future__ import annotations

import heapq
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import collection_loader
from benchmark.figures import Measurement, MeasurementError
from benchmark.fleet import last_lines
from benchmark.meter import usage_of_tree
from support.applications import Application
from support.controller import Controller
from support.local_fleet import LocalFleet

WINDOW = 3
#: Seconds that the instances take, in the order in which they are deployed to: one of each batch takes long.
DURATIONS = (12, 2, 2, 2, 12, 2, 2, 2, 12)
LIMIT = 1.0


def batches_theory(durations: Sequence[float], window: int) -> float:
    """Return the time of batches: each lasts as long as its slowest instance."""
    return sum(max(durations[first : first + window]) for first in range(0, len(durations), window))


def window_theory(durations: Sequence[float], window: int) -> float:
    """Return the time of a window in which the next instance starts as soon as one has ended."""
    slots = [0.0] * window
    for duration in durations:
        heapq.heapreplace(slots, slots[0] + duration)
    return max(slots)


class Fleet:
    """Instances whose script sleeps as long as a file there says, and a controller that has a record of its own."""

    def __init__(self, work: Path) -> None:
        (work / "controller").mkdir(parents=True)
        (work / "collections").mkdir()
        collection_loader.link_collection(str(work / "collections"))
        self._output = work / "output"
        self._controller = Controller(work / "controller", work / "collections", shortcuts=False)
        self._fleet = LocalFleet(len(DURATIONS), work / "fleet")
        for name, duration in zip(self._fleet.names, DURATIONS, strict=True):
            (self._fleet.files(name) / "duration").write_text(str(duration))
        sleep = 'sleep "$(cat "$DESTINATION_ROOT/duration")"'
        self._revision = Application(work / "revision", "1", ApplicationStart=sleep).folder

    def deploy(self, rollout: str) -> float:
        """Deploy and return the seconds that it took.

        :raises MeasurementError: unless it succeeds.
        """
        arguments = self._controller.playbook_arguments(
            "agentless.codedeploy.deploy",
            self._fleet.inventory(),
            "--forks",
            str(WINDOW),
            deploy_group=self._fleet.group,
            deploy_revision=self._revision,
            deploy_config=f"type=HOST_COUNT,value={len(DURATIONS) - WINDOW}",
            deploy_rollout=rollout,
        )
        command = [str(Path(sys.prefix) / "bin" / "ansible-playbook"), *arguments]
        begin = time.monotonic()
        used = usage_of_tree(command, self._controller.environment, self._output)
        seconds = time.monotonic() - begin
        if used.status != 0:
            raise MeasurementError(f"{rollout}: ended with {used.status}:\n{last_lines(self._output)}")
        return seconds


def measure(rounds: int) -> Iterator[Measurement]:
    """Deploy the same revision in both ways in turns, after a first deployment that is not counted."""
    work = Path(tempfile.mkdtemp(prefix="codedeploy-benchmark-"))
    taken: dict[str, list[float]] = {"window": [], "batches": []}
    try:
        fleet = Fleet(work)
        for number in range(rounds + 1):
            for rollout, found in taken.items():
                if number or rollout == "window":
                    seconds = fleet.deploy(rollout)
                    found.extend([seconds] if number else [])
    finally:
        shutil.rmtree(work)
    ratio = statistics.median(taken["window"]) / statistics.median(taken["batches"])
    theory = window_theory(DURATIONS, WINDOW) / batches_theory(DURATIONS, WINDOW)
    yield Measurement("rollout: time in a window as a part of that in batches", ratio, LIMIT)
    yield Measurement("rollout: the same in theory", theory, None)
