# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments as chance has them, run on a store by several processes at once, and compared with the model afterwards.

A seed decides everything but the order in which the processes come to their turns; that order is noted under the
ledger's own locks, so that the model can be taken through the same steps.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from fractions import Fraction
from multiprocessing.synchronize import Barrier
from typing import Any, NamedTuple

from support.deployments import make_group, request
from support.minimum_healthy_model import Model
from support.processes import forked
from support.waiting import LONGEST

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    CodeDeployError,
    Deployment,
    InstanceNotPending,
    ask_to_start,
    create_deployment,
    current_owner,
    finish_instance,
    get_deployment,
    get_targets,
    stop_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import FinishStatus
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, Transaction, open_store

LARGEST = 50
# How an instance ends: it succeeds, fails, is lost while it is in work, or cannot be reached before it is started.
STATUSES: dict[str, FinishStatus] = {"S": "Succeeded", "F": "Failed", "L": "Unknown", "U": "Failed"}
FINAL = {"Succeeded": "S", "Failed": "F", "Unknown": "F", "Skipped": "P"}
CODES = {"Succeeded": None, "Failed": "HEALTH_CONSTRAINTS", "Stopped": "MANUAL_STOP"}


class OrderedStore(Store):
    """A store that knows the order of its transactions, and for which no time passes.

    ``position`` is that of this process's last transaction among those of all processes that share the store. No time
    passes, so that a slow machine does not let an instance be late that another is to wait for.
    """

    def __init__(self, location: str) -> None:
        chosen = open_store(location)
        now = time.time()
        super().__init__(chosen.location, chosen._dialect, lambda: now)
        self.position = 0
        self._turns = forked.Value("Q", 0)

    def transaction(self) -> Numbered:
        """Give one transaction, which takes its position while it still holds its locks."""
        return Numbered(self, super().transaction())

    def take_position(self) -> None:
        """Take the next position."""
        with self._turns.get_lock():
            self._turns.value += 1
            self.position = self._turns.value


class Numbered:
    """A transaction of a store that is told when it is about to end."""

    def __init__(self, store: OrderedStore, inside: AbstractContextManager[Transaction]) -> None:
        self._store = store
        self._inside = inside

    def __enter__(self) -> Transaction:
        return self._inside.__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        self._store.take_position()
        return self._inside.__exit__(*error)


class Step(NamedTuple):
    """Something that a process did (ask, finish, stop), and what the ledger answered."""

    position: int
    what: str
    instance: str
    answer: str


@dataclass(frozen=True)
class Schedule:
    """One deployment. ``healthy`` and ``fates`` are of the whole group, ``taking_part`` are places in it.

    :param minimum: what the configuration means for so many instances, worked out here.
    :param stop_at: after how many of its steps one of the processes asks for a stop.
    """

    seed: int
    healthy: tuple[bool | None, ...]
    fates: str
    config: str
    minimum: int
    taking_part: tuple[int, ...]
    stop_at: int | None

    @property
    def names(self) -> list[str]:
        """Names of all instances of the group."""
        return [f"i{place}" for place in range(len(self.healthy))]

    def fate(self, instance: str) -> str:
        """Return the letter of what becomes of an instance."""
        return self.fates[self.names.index(instance)]


def schedule_of(seed: int) -> Schedule:
    """Make a schedule as chance has it."""
    chance = random.Random(seed)
    total = chance.choice([chance.randint(1, 6), chance.randint(7, LARGEST)])
    healths = chance.choice([(True,), (True, False), (True, True, True, False, None), (None,), (False, None)])
    often = chance.choice([0.0, 0.02, 0.1, 0.3, 1.0])
    ways = chance.choice(["F", "FL", "FLU"])
    config, minimum = _configuration(chance, total)
    places = list(range(total))
    if chance.random() < 0.3:
        places = chance.sample(places, chance.randint(1, total))
    return Schedule(
        seed,
        tuple(chance.choice(healths) for _place in range(total)),
        "".join(chance.choice(ways) if chance.random() < often else "S" for _place in range(total)),
        config,
        minimum,
        tuple(places),
        chance.randint(0, total) if chance.random() < 0.2 else None,
    )


def _configuration(chance: random.Random, total: int) -> tuple[str, int]:
    percent = chance.randint(0, 99)
    of_percent = math.ceil(Fraction(total * percent, 100))
    count = chance.randint(0, total - 1)
    return chance.choice(
        [
            ("CodeDeployDefault.OneAtATime", total - 1),
            ("CodeDeployDefault.AllAtOnce", 0),
            (f"type=HOST_COUNT,value={count}", count),
            (f"type=HOST_COUNT,value={count // 2}", count // 2),
            *([(f"type=FLEET_PERCENT,value={percent}", of_percent)] * 2 if of_percent < total else []),
        ]
    )


def begin(store: Store, schedule: Schedule) -> str:
    """Make the schedule's group and its deployment; returns the deployment's id."""
    group_id = f"group {schedule.seed}"
    names = schedule.names
    if any(healthy is not None for healthy in schedule.healthy):
        make_group(store, group_id, dict(zip(names, schedule.healthy, strict=True)))
    limited_to = [names[place] for place in schedule.taking_part]
    wanted = request(names, schedule.config, deployment_group_id=group_id, limited_to=limited_to)
    return create_deployment(store, wanted).deployment_id


def work(store: OrderedStore, begun: list[tuple[Schedule, str]], number: int, together: Barrier) -> list[list[Step]]:
    """Be one of several processes that work on the same deployments, one after the other.

    :param together: where the processes wait for each other before each deployment.
    :returns: for each deployment the steps of this process that the ledger did not refuse.
    """
    steps = []
    for schedule, deployment_id in begun:
        together.wait(LONGEST)
        steps.append(Worker(store, schedule, deployment_id, number, together.parties).run())
    return steps


class Worker:
    """One process's part in one deployment: it asks for its instances, and ends those it started, in any order."""

    def __init__(
        self, store: OrderedStore, schedule: Schedule, deployment_id: str, number: int, processes: int
    ) -> None:
        self.store, self.schedule, self.deployment_id = store, schedule, deployment_id
        self.chance = random.Random(f"{schedule.seed} {number}")
        # Each instance is asked for by one process for sure, and by others now and then.
        names = [schedule.names[place] for place in schedule.taking_part]
        self.candidates = [
            name for place, name in enumerate(names) if place % processes == number or self.chance.random() < 0.15
        ]
        self.stop_at = schedule.stop_at if schedule.seed % processes == number else None
        self.in_work: list[str] = []
        self.steps: list[Step] = []

    def run(self) -> list[Step]:
        """Take steps until there is nothing left to do."""
        deadline = time.monotonic() + LONGEST
        taken = 0
        while self.candidates or self.in_work:
            assert time.monotonic() < deadline, f"nobody finished: {self.schedule}"
            if taken == self.stop_at:
                self._note("stop", "", lambda: stop_deployment(self.store, self.deployment_id, current_owner()))
            taken += 1
            if self.in_work and (not self.candidates or self.chance.random() < 0.4):
                self._finish(self.in_work.pop(self.chance.randrange(len(self.in_work))))
                continue
            instance = self.chance.choice(self.candidates)
            if self.schedule.fate(instance) == "U":
                self.candidates.remove(instance)
                self._finish(instance)
            else:
                self._ask(instance)
        return self.steps

    def _ask(self, instance: str) -> None:
        answer = self._note("ask", instance, lambda: ask_to_start(self.store, self.deployment_id, instance).action)
        if answer == "wait":
            # Others have to finish first; they are not to be kept from it by this one's questions.
            time.sleep(self.chance.random() / 200)
            return
        self.candidates.remove(instance)
        if answer == "go":
            self.in_work.append(instance)

    def _finish(self, instance: str) -> None:
        status = STATUSES[self.schedule.fate(instance)]
        self._note("finish", instance, lambda: finish_instance(self.store, self.deployment_id, instance, status))

    def _note(self, what: str, instance: str, step: Callable[[], str]) -> str | None:
        try:
            answer = step()
        except InstanceNotPending:
            # Another process was quicker.
            return None
        except CodeDeployError as refused:
            assert (what, refused.code) == ("stop", "DeploymentAlreadyCompleted"), f"{refused} {self.schedule}"
            return None
        self.steps.append(Step(self.store.position, what, instance, answer))
        return answer


def compare(store: Store, schedule: Schedule, deployment_id: str, steps: list[Step]) -> int:
    """Take the model through what the processes did, and assert that every answer and the end are as it says.

    The promise is asserted too, which the model alone does not know: after each step no more are out of service than
    may be, and no fewer in service than must be, or than were before. Where instances were not reachable, which nobody
    is asked about, no instance is started that would break it further.

    :returns: number of steps compared.
    """
    deployment = get_deployment(store, deployment_id)
    steps = sorted(steps)
    try:
        model = _take_through(schedule, deployment.order, steps)
        _compare_end(store, deployment, model)
    except AssertionError as error:
        told = "\n".join(map(str, (error, schedule, deployment, *steps)))
        raise AssertionError(told) from error
    return len(steps)


def _take_through(schedule: Schedule, order: list[str], steps: list[Step]) -> Model:
    assert len({step.position for step in steps}) == len(steps)
    healthy = [bool(schedule.healthy[schedule.names.index(name)]) for name in order]
    outside = [bool(schedule.healthy[place]) for place in set(range(len(schedule.healthy))) - {*schedule.taking_part}]
    model = Model("P" * len(healthy), tuple(healthy), schedule.minimum, tuple(outside))
    in_service = min(len(model.serving()), schedule.minimum)
    reachable = True
    asking: set[int] = set()
    for step in steps:
        before = model
        model = _after(model, schedule, step, order, asking)
        reachable &= not (step.what == "finish" and before.letters[order.index(step.instance)] == "P")
        if reachable or step.answer == "go":
            assert model.out_of_service() <= model.allowed_out(), (step, model)
        if reachable:
            assert len(model.serving()) >= in_service, (step, model)
    return model


def _after(model: Model, schedule: Schedule, step: Step, order: list[str], asking: set[int]) -> Model:
    if step.what == "stop":
        assert step.answer == ("Pending" if "W" in model.letters else "Succeeded"), (step, model)
        return replace(model, stop_requested=True)
    place = order.index(step.instance)
    if step.what == "ask":
        expected = "stop" if model.verdict() else model.answer_in_order(place, asking)
        assert step.answer == expected, (step, model, asking)
        if step.answer != "go":
            asking.add(place)
            return model
        model = model.become(place, "W")
        assert not model.healthy_before[place] or len(model.serving()) >= model.minimum, (step, model)
        return model
    letter = FINAL[STATUSES[schedule.fate(step.instance)]]
    assert model.letters[place] in ("W", "P", letter), (step, model)
    model = model.become(place, letter)
    verdict = model.verdict()
    assert step.answer == verdict if verdict else step.answer in ("Created", "InProgress"), (step, model)
    return model


def _compare_end(store: Store, deployment: Deployment, model: Model) -> None:
    assert deployment.status == model.verdict(), model
    code = (deployment.error_information or {"code": None})["code"]
    assert code == CODES[deployment.status], (code, model)
    statuses = {target.target_id: target.status for target in get_targets(store, deployment.deployment_id)}
    assert "".join(FINAL[statuses[name]] for name in deployment.order) == model.letters, model
    counts = {"Pending": 0, "InProgress": 0, "Ready": 0}
    counts |= {status: model.letters.count(FINAL[status]) for status in ("Succeeded", "Failed", "Skipped")}
    assert deployment.deployment_overview == counts, model
