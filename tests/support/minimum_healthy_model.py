# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CodeDeploy's minimum healthy hosts once more, instance by instance and without counters, to compare the ledger with.

Nothing here is shared with the collection. An instance is one letter: P pending, W in work, S succeeded, F failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Model:
    """One deployment: the letters, who was healthy before, and the minimum.

    ``outside`` says of each instance of the group that the deployment leaves alone whether it is healthy.
    """

    letters: str
    healthy_before: tuple[bool, ...]
    minimum: int
    outside: tuple[bool, ...] = ()
    stop_requested: bool = False

    def allowed_out(self) -> int:
        """How many of the group may be out of service."""
        return len(self.letters) + len(self.outside) - self.minimum

    def out_of_service(self) -> int:
        """How many are out of service because of this deployment."""
        return sum(letter in "WF" for letter in self.letters)

    def pending(self) -> list[int]:
        """Positions of the instances that have not been started."""
        return [place for place, letter in enumerate(self.letters) if letter == "P"]

    def serving(self) -> list[int]:
        """Positions of the instances that are healthy and not in work; those left alone have negative ones."""
        left_alone = [-1 - place for place, healthy in enumerate(self.outside) if healthy]
        return left_alone + [
            place
            for place, letter in enumerate(self.letters)
            if letter == "S" or (letter == "P" and self.healthy_before[place])
        ]

    def may_start(self, place: int) -> bool:
        """Whether starting this pending instance keeps every promise."""
        if self.out_of_service() + 1 > self.allowed_out():
            return False
        if not self.healthy_before[place]:
            return True
        # The instance itself is healthy and pending, so that it serves until then.
        return len(self.serving()) - 1 >= self.minimum

    def stopped(self) -> bool:
        """Whether failures have used up the limit while something is pending."""
        return self.letters.count("F") >= self.allowed_out() and "P" in self.letters

    def answer(self, place: int) -> str:
        """What the ledger must say to this pending instance."""
        if self.stop_requested or self.stopped():
            return "stop"
        if self.may_start(place):
            return "go"
        return "wait" if "W" in self.letters or any(map(self.may_start, self.pending())) else "stop"

    def answer_in_order(self, place: int, asking: set[int]) -> str:
        """What it must say when these pending instances ask as well: those before this one come first."""
        model = self
        for earlier in sorted(asking):
            if earlier < place and model.letters[earlier] == "P" and model.answer(earlier) == "go":
                model = model.become(earlier, "W")
        return "wait" if self.answer(place) == "go" != model.answer(place) else self.answer(place)

    def verdict(self) -> str | None:
        """How the deployment ended, None while it goes on."""
        if "W" in self.letters:
            return None
        if self.stop_requested:
            return "Stopped"
        if self.stopped():
            return "Failed"
        if "P" in self.letters:
            return None if any(map(self.may_start, self.pending())) else "Failed"
        succeeded = self.letters.count("S")
        if self.outside:
            return "Succeeded" if succeeded >= 1 and self.letters.count("F") <= self.allowed_out() else "Failed"
        return "Succeeded" if succeeded >= max(self.minimum, 1) else "Failed"

    def become(self, place: int, letter: str) -> Model:
        """The same deployment after one instance moved on."""
        letters = self.letters[:place] + letter + self.letters[place + 1 :]
        return replace(self, letters=letters)

    def successors(self) -> Iterator[Model]:
        """Every state that one start or one end leads to."""
        for place, letter in enumerate(self.letters):
            if letter == "P" and self.answer(place) == "go":
                yield self.become(place, "W")
            elif letter == "W":
                yield self.become(place, "S")
                yield self.become(place, "F")


def reachable(healthy_before: Sequence[bool], minimum: int, outside: Sequence[bool] = ()) -> Iterator[Model]:
    """Every state that a deployment can get into, whatever fails and in whatever order instances start and end."""
    first = Model("P" * len(healthy_before), tuple(healthy_before), minimum, tuple(outside))
    seen = {first.letters}
    waiting = [first]
    while waiting:
        model = waiting.pop()
        yield model
        for after in model.successors():
            if after.letters not in seen:
                seen.add(after.letters)
                waiting.append(after)
