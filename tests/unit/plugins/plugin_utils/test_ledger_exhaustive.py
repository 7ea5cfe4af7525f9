# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger's rules against a model written from scratch, over every small deployment there is."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from support.minimum_healthy_comparison import compare_deployments, state_of
from support.minimum_healthy_model import Model

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import Candidate, conclusion, decide


@pytest.mark.parametrize("total", range(1, 6))
def test_every_state_of_every_health(total: int) -> None:
    states, compared = compare_deployments(itertools.product((False, True), repeat=total))
    assert compared > states >= 4**total - 1


@pytest.mark.parametrize("healthy", [False, True], ids=["first deployment", "healthy fleet"])
@pytest.mark.parametrize("total", [6, 7, 8])
def test_every_state_of_larger_fleets(total: int, healthy: bool) -> None:
    states, compared = compare_deployments([(healthy,) * total])
    assert compared > states >= 4**total - 1


@pytest.mark.parametrize("total", range(2, 6))
def test_every_state_of_limited_deployments(total: int) -> None:
    for limited_to in range(1, total):
        states, compared = compare_deployments(itertools.product((False, True), repeat=total), limited_to)
        assert compared > states > 4**limited_to


def first_in_first_out(in_work: list[int], _chance: random.Random) -> int:
    return in_work[0]


def last_in_first_out(in_work: list[int], _chance: random.Random) -> int:
    return in_work[-1]


def anyone(in_work: list[int], chance: random.Random) -> int:
    return chance.choice(in_work)


def run(fails: int, model: Model, ends: Callable[[list[int], random.Random], int], seed: int) -> Model:
    """Run one deployment by the ledger: start whatever may start, then end one instance, until there is a verdict.

    :param fails: a bit for each instance that will fail.
    """
    chance = random.Random(seed)
    in_work: list[int] = []
    while True:
        for place, letter in enumerate(model.letters):
            if letter == "P":
                action = decide(state_of(model), Candidate(f"i{place}", model.healthy_before[place])).action
                assert action == model.answer(place), (model, place)
                if action != "go":
                    break
                model = model.become(place, "W")
                assert model.out_of_service() <= model.allowed_out(), model
                in_work.append(place)
        verdict = conclusion(state_of(model))
        assert (verdict.status if verdict else None) == model.verdict(), model
        if verdict:
            return model
        place = ends(in_work, chance)
        in_work.remove(place)
        model = model.become(place, "F" if fails >> place & 1 else "S")


@pytest.mark.parametrize("total", range(1, 9))
def test_every_failure_pattern(total: int) -> None:
    """From beginning to end, where the result is known beforehand from the pattern alone."""
    schedules = (first_in_first_out, last_in_first_out, anyone)
    for minimum, fails, healthy in itertools.product(range(total), range(2**total), (False, True)):
        failures = bin(fails).count("1")
        for seed, ends in enumerate(schedules):
            model = run(fails, Model("P" * total, (healthy,) * total, minimum), ends, seed)
            if "P" in model.letters:
                assert model.verdict() == "Failed"
                assert model.letters.count("F") == total - minimum <= failures
            else:
                assert (model.verdict() == "Succeeded") == (total - failures >= max(minimum, 1))
