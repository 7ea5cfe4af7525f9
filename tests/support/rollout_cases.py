# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts over small fleets: what is deployed how, which instances fail in which way, and every result that is right.

An instance's fate is one letter: S succeeds, F a script fails, T a script takes longer than it may, U not reachable.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from support.minimum_healthy_model import Model

LARGEST = 6
FAILURES = "FUFT"


@dataclass(frozen=True)
class RolloutCase:
    """One deployment to instances that were never deployed to, or all of which are healthy.

    :param minimum: what the configuration means for so many instances, worked out here by hand.
    """

    config: str
    minimum: int
    rollout: str
    healthy: bool
    fates: str

    def __str__(self) -> str:
        fleet = "healthy" if self.healthy else "new"
        return f"{self.config}-{self.rollout}-{fleet}-{self.fates}"

    @property
    def window(self) -> int:
        """How many may be out of service."""
        return len(self.fates) - self.minimum

    def results(self) -> set[tuple[str, str]]:
        """Return every verdict with the letters of the instances in the deployment's order that may come of it."""
        first = Model("P" * len(self.fates), (self.healthy,) * len(self.fates), self.minimum)
        ended: set[tuple[str, str]] = set()
        seen, waiting = {first.letters}, [first]
        while waiting:
            model = waiting.pop()
            verdict = model.verdict()
            if verdict is not None:
                ended.add((verdict, model.letters))
            for after in self._successors(model):
                if after.letters not in seen:
                    seen.add(after.letters)
                    waiting.append(after)
        return ended

    def _successors(self, model: Model) -> Iterator[Model]:
        for place, letter in enumerate(model.letters):
            if letter == "W":
                yield model.become(place, "S" if self.fates[place] == "S" else "F")
            elif letter == "P" and self._arrived(model, place) and model.answer(place) == "go":
                yield model.become(place, "W")

    def _arrived(self, model: Model, place: int) -> bool:
        """Whether Ansible has come to this instance: it works on as many as the window has, and on one batch at a time.

        One that waits for its turn is worked on too, and one behind it may be the next that asks again.
        """
        earlier = sum(letter in "PW" for letter in model.letters[:place])
        before = model.letters[: place // self.window * self.window if self.rollout == "batches" else 0]
        return earlier < self.window and not set(before) & set("PW")


def configurations(total: int) -> dict[str, int]:
    """Return deployment configurations that so many instances can have, each with its number of healthy ones."""
    half = (total + 1) // 2
    found = {"OneAtATime": total - 1, "AllAtOnce": 0}
    if half < total:
        found["HalfAtATime"] = half
    found.update({f"type=HOST_COUNT,value={count}": count for count in range(total)})
    for percent in (1, 34, 75):
        minimum = next(count for count in range(total + 1) if count * 100 >= percent * total)
        if minimum < total:
            found[f"type=FLEET_PERCENT,value={percent}"] = minimum
    return found


def all_cases() -> list[RolloutCase]:
    """Return a case for every set of failing instances, every configuration and both rollouts, up to 6 instances.

    Which way an instance fails, and whether the fleet is new, is drawn, always the same.
    """
    draw = random.Random(20)
    cases = []
    for total in range(1, LARGEST + 1):
        for failing in itertools.product((False, True), repeat=total):
            for config, minimum in configurations(total).items():
                for rollout in ("window", "batches"):
                    fates = "".join(draw.choice(FAILURES) if fails else "S" for fails in failing)
                    cases.append(RolloutCase(config, minimum, rollout, draw.random() < 0.5, fates))
    return cases


def most_out_of_service(trace: list[str], healthy: bool, total: int) -> tuple[int, int]:
    """Return the most instances that were in work or failed at once, and the fewest that were in service.

    :param trace: lines ``begin NAME`` and ``end NAME``, the latter of instances that succeeded, in their order in time.
    """
    begun: set[str] = set()
    ended: set[str] = set()
    most, fewest = 0, total if healthy else 0
    for line in trace:
        what, name = line.split()
        (begun if what == "begin" else ended).add(name)
        most = max(most, len(begun - ended))
        if healthy:
            fewest = min(fewest, total - len(begun - ended))
    return most, fewest
