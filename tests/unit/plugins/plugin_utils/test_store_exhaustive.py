# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole deployments on a real SQLite store against the model written from scratch, and against its counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.deployments import request
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


def begin_with(store: Store, group_id: str, health: dict[str, bool]) -> None:
    """Make a group whose instances have this health."""
    wanted = request(list(health), deployment_group_id=group_id, limited_to=[next(iter(health))])
    deployment_id = create_deployment(store, wanted).deployment_id
    finish_instance(store, deployment_id, wanted.limited_to[0], "Failed")
    with store.transaction() as tx:
        tx.execute_many(
            "UPDATE instances SET healthy = %s WHERE deployment_group_id = %s AND instance = %s",
            [(healthy, group_id, name) for name, healthy in health.items()],
        )


def run(store: Store, group_id: str, healthy: tuple[bool, ...], minimum: int, fails: int) -> None:
    """Deploy to a fleet: ask for every pending instance, end the one in work that started first, and so on."""
    names = [f"i{place}" for place in range(len(healthy))]
    if any(healthy):
        begin_with(store, group_id, dict(zip(names, healthy, strict=True)))
    wanted = request(names, {"type": "HOST_COUNT", "value": minimum}, deployment_group_id=group_id)
    deployment = create_deployment(store, wanted)
    assert [healthy[names.index(name)] for name in deployment.order] == sorted(healthy)
    # The model's instances are in the deployment's order.
    model = Model("P" * len(healthy), tuple(sorted(healthy)), minimum)
    in_work: list[int] = []
    while model.verdict() is None:
        for place in model.pending():
            wanted_action = model.answer(place)
            assert ask_to_start(store, deployment.deployment_id, deployment.order[place]).action == wanted_action, model
            if wanted_action == "go":
                model = model.become(place, "W")
                in_work.append(place)
        place = in_work.pop(0)
        letter = "F" if fails >> place & 1 else "S"
        model = model.become(place, letter)
        status = finish_instance(store, deployment.deployment_id, deployment.order[place], OVERVIEW[letter])
        assert status == (model.verdict() or "InProgress"), model
    ended = get_deployment(store, deployment.deployment_id)
    assert ended.status == model.verdict()
    counts = {OVERVIEW[letter]: model.letters.count(letter) for letter in "SFP"}
    assert ended.deployment_overview == {"Pending": 0, "InProgress": 0, "Ready": 0, **counts}, model


def run_all(store: Store, healths: Iterable[tuple[bool, ...]]) -> int:
    runs = 0
    for healthy in healths:
        for minimum, fails in itertools.product(range(len(healthy)), range(2 ** len(healthy))):
            run(store, f"group {runs}", healthy, minimum, fails)
            runs += 1
    return runs


@pytest.mark.parametrize("total", [1, 2, 3, 4])
def test_every_health(store: Store, total: int) -> None:
    assert run_all(store, itertools.product((False, True), repeat=total)) == total * 4**total


@pytest.mark.parametrize("healthy", [(False,) * 5, (True,) * 5, (False, True, True, False, True), (False,) * 6])
def test_larger_fleets(store: Store, healthy: tuple[bool, ...]) -> None:
    assert run_all(store, [healthy]) == len(healthy) * 2 ** len(healthy)
