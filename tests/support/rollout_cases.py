# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts over small fleets: what is deployed how, which instances fail in which way, and the result that is right.

An instance's fate is one letter: S succeeds, F a script fails, T a script takes longer than it may, U not reachable.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from support.minimum_healthy_model import Model

LARGEST = 6
FAILURES = "FUFT"


@dataclass(frozen=True)
class Zoned:
    """What a zonal configuration has besides: the number of instances of each zone, and how many must stay healthy."""

    sizes: tuple[int, ...]
    minimum: int

    def zone_of(self, place: int) -> int:
        """Return the number of an instance's zone."""
        return next(zone for zone, size in enumerate(itertools.accumulate(self.sizes)) if place < size)

    def places(self, zone: int) -> range:
        """Return the places of a zone's instances in the deployment's order."""
        begin = sum(self.sizes[:zone])
        return range(begin, begin + self.sizes[zone])


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
    zoned: Zoned | None = None

    def __str__(self) -> str:
        fleet = "healthy" if self.healthy else "new"
        zones = f"-zones {self.zoned.sizes} of which {self.zoned.minimum}" if self.zoned else ""
        return f"{self.config}-{self.rollout}-{fleet}-{self.fates}{zones}"

    @property
    def window(self) -> int:
        """How many may be out of service."""
        return len(self.fates) - self.minimum

    def given_config(self) -> Any:
        """Return C(deploy_config)."""
        if self.zoned is None:
            return self.config
        return {
            "deployment_config_name": "ZoneByZone",
            "minimum_healthy_hosts": {"type": "HOST_COUNT", "value": self.minimum},
            "zonal_config": {"minimum_healthy_hosts_per_zone": {"type": "HOST_COUNT", "value": self.zoned.minimum}},
        }

    def result(self) -> tuple[str, str]:
        """Return the verdict and the letters of the instances in the deployment's order that come of it.

        In whatever order instances end, it is the same.
        """
        first = Model("P" * len(self.fates), (self.healthy,) * len(self.fates), self.minimum)
        ended: set[tuple[str, str]] = set()
        seen, waiting = {first.letters}, [first]
        while waiting:
            model = waiting.pop()
            verdict = self._verdict(model)
            if verdict is not None:
                ended.add((verdict, model.letters))
                continue
            for after in self._successors(model):
                if after.letters not in seen:
                    seen.add(after.letters)
                    waiting.append(after)
        (result,) = ended
        return result

    def _successors(self, model: Model) -> Iterator[Model]:
        for place, letter in enumerate(model.letters):
            if letter == "W":
                yield model.become(place, "S" if self.fates[place] == "S" else "F")
        # A place goes to the first in the deployment's order, whoever asks first.
        following = model.letters.find("P")
        if following >= 0 and self._arrived(model, following) and model.answer(following) == "go":
            zone = self._zone(model, following)
            if zone is None or zone[0].answer(zone[1]) == "go":
                yield model.become(following, "W")

    def _verdict(self, model: Model) -> str | None:
        verdict = model.verdict()
        following = model.letters.find("P")
        if verdict is None and following >= 0 and "W" not in model.letters:
            zone = self._zone(model, following)
            return zone[0].verdict() if zone else None
        return verdict

    def _zone(self, model: Model, place: int) -> tuple[Model, int] | None:
        """Give the zone of an instance as a group of its own, and the instance's place in it."""
        if self.zoned is None:
            return None
        places = self.zoned.places(self.zoned.zone_of(place))
        letters = "".join(model.letters[one] for one in places)
        return Model(letters, (self.healthy,) * len(letters), self.zoned.minimum), place - places.start

    def _arrived(self, model: Model, place: int) -> bool:
        """Whether Ansible has come to this instance: it works on as many as the window has, and on one batch at a time.

        One that waits for its turn is worked on too, and one behind it may be the next that asks again.
        """
        earlier = sum(letter in "PW" for letter in model.letters[:place])
        zone = self.zoned.places(self.zoned.zone_of(place)) if self.zoned else range(len(self.fates))
        size = len(zone)
        if self.rollout == "batches":
            size = min(self.window, len(zone) - self.zoned.minimum) if self.zoned else self.window
        batch = zone.start + (place - zone.start) // size * size
        return earlier < self.window and not set(model.letters[:batch]) & set("PW")


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
    """Return a case for every set of failing instances, every minimum and both rollouts, up to 6 instances.

    Which way an instance fails, whether the fleet is new, and which of the configurations with that minimum it is, is
    drawn, always the same. So are the numbers of zonal configurations, of which there is one for every set of failing
    instances in zones of two or three sizes. Cases in which the same is to happen, since they differ in what becomes of
    instances that are never started, are one.
    """
    draw = random.Random(20)
    cases = []
    for total in range(1, LARGEST + 1):
        kinds = configurations(total)
        for failing in itertools.product((False, True), repeat=total):
            for minimum in range(total):
                config = draw.choice([name for name, healthy in kinds.items() if healthy == minimum])
                for rollout in ("window", "batches"):
                    cases.append(RolloutCase(config, minimum, rollout, draw.random() < 0.5, _fates(draw, failing)))
    cases += [_zonal_case(draw, sizes, failing) for sizes, failing in _zonal_fleets()]
    return list({_what_happens(case): case for case in cases}.values())


def _what_happens(case: RolloutCase) -> tuple[object, ...]:
    """What a case has in common with those of which it is one too many."""
    zones = (case.zoned.sizes, case.zoned.minimum) if case.zoned else ()
    return (case.result(), case.minimum, case.rollout, zones)


def _zonal_fleets() -> Iterator[tuple[tuple[int, ...], tuple[bool, ...]]]:
    for total in range(2, LARGEST + 1):
        for sizes in sorted({(total // 2, total - total // 2), (1, total - 1), (total - 2, 1, 1)}):
            if min(sizes) > 0:
                yield from ((sizes, failing) for failing in itertools.product((False, True), repeat=total))


def _zonal_case(draw: random.Random, sizes: tuple[int, ...], failing: tuple[bool, ...]) -> RolloutCase:
    zoned = Zoned(sizes, draw.randrange(min(sizes)))
    minimum = draw.choice([0, draw.randrange(sum(sizes))])
    rollout = draw.choice(["window", "batches"])
    return RolloutCase("ZoneByZone", minimum, rollout, draw.random() < 0.5, _fates(draw, failing), zoned)


def _fates(draw: random.Random, failing: tuple[bool, ...]) -> str:
    return "".join(draw.choice(FAILURES) if fails else "S" for fails in failing)


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
