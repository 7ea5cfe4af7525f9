# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole deployments on real stores against the model written from scratch, and against its counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.deployments import make_group, request
from support.minimum_healthy_model import Model

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    finish_instance,
    get_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

OVERVIEW = {"S": "Succeeded", "F": "Failed", "P": "Skipped"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "deployments.sqlite"))


def run(
    store: Store, group_id: str, healthy: tuple[bool, ...], minimum: int, fails: int, taking_part: int, backwards: bool
) -> None:
    """Deploy to the first instances of a fleet: ask for every pending one, end the one that started first, and so on.

    :param fails: a bit for each instance that will fail.
    :param backwards: ask in the opposite of the deployment's order, as plays of other people may.
    """
    # No time passes: who has asked long ago would count no more.
    now = store.clock()
    store.clock = lambda: now
    names = [f"i{place}" for place in range(len(healthy))]
    if any(healthy):
        make_group(store, group_id, dict(zip(names, healthy, strict=True)))
    config = {"type": "HOST_COUNT", "value": minimum}
    wanted = request(names, config, deployment_group_id=group_id, limited_to=names[:taking_part])
    deployment = create_deployment(store, wanted)
    deployment_id, order = deployment.deployment_id, deployment.order
    # The model's instances are in the deployment's order: those that are not healthy first.
    model = Model("P" * taking_part, tuple(sorted(healthy[:taking_part])), minimum, healthy[taking_part:])
    assert tuple(healthy[names.index(name)] for name in order) == model.healthy_before
    in_work: list[int] = []
    asking: set[int] = set()
    while model.verdict() is None:
        for place in reversed(model.pending()) if backwards else model.pending():
            answer = model.answer_in_order(place, asking)
            assert ask_to_start(store, deployment_id, order[place]).action == answer, (model, place, asking)
            asking.add(place)
            if answer == "go":
                model = model.become(place, "W")
                in_work.append(place)
        if in_work:
            place = in_work.pop(0)
            letter = "F" if fails >> place & 1 else "S"
            model = model.become(place, letter)
            status = finish_instance(store, deployment_id, order[place], OVERVIEW[letter])
            assert status == (model.verdict() or "InProgress"), model
    if model.pending():
        assert ask_to_start(store, deployment_id, order[model.pending()[0]]).action == "stop"
    ended = get_deployment(store, deployment_id)
    assert ended.status == model.verdict()
    counts = {OVERVIEW[letter]: model.letters.count(letter) for letter in "SFP"}
    assert ended.deployment_overview == {"Pending": 0, "InProgress": 0, "Ready": 0, **counts}, model


def run_all(store: Store, healths: Iterable[tuple[bool, ...]], left_alone: int = 0, backwards: bool = False) -> int:
    runs = 0
    for healthy in healths:
        taking_part = len(healthy) - left_alone
        for minimum, fails in itertools.product(range(len(healthy)), range(2**taking_part)):
            run(store, f"group {runs}", healthy, minimum, fails, taking_part, backwards)
            runs += 1
    return runs


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize(("total", "left_alone"), [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 1), (4, 2)])
def test_every_health(store: Store, total: int, left_alone: int, backwards: bool) -> None:
    healths = itertools.product((False, True), repeat=total)
    assert run_all(store, healths, left_alone, backwards) == total * 2**total * 2 ** (total - left_alone)


def test_the_databases_count_alike(store_location: str) -> None:
    assert run_all(open_store(store_location), itertools.product((False, True), repeat=3), 1, True) == 3 * 2**3 * 2**2


def test_every_health_of_four(store: Store) -> None:
    assert run_all(store, itertools.product((False, True), repeat=4)) == 4 * 2**4 * 2**4


@pytest.mark.parametrize("healthy", [(False,) * 5, (True,) * 5, (False, True, True, False, True), (False,) * 6])
def test_larger_fleets(store: Store, healthy: tuple[bool, ...]) -> None:
    assert run_all(store, [healthy], backwards=True) == len(healthy) * 2 ** len(healthy)
