# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes on one store at once, as Ansible's workers and several controllers are."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace

import pytest
from support.deployments import GONE, GROUP_ID, install_event, request
from support.processes import in_processes
from support.random_steps import one_step
from support.waiting import LONGEST

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ActiveDeployment,
    CodeDeployError,
    Owner,
    active_deployment,
    ask_to_start,
    create_deployment,
    current_owner,
    finish_instance,
    get_deployment,
    get_group,
    get_targets,
    list_deployments,
    record_event,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, StoreError, open_store

PROCESSES = 16
STEPS = 30


def deploy_to(store: Store, deployment_id: str, instances: list[str], failing: set[str]) -> list[int]:
    """Work on some instances as workers do; returns how many were out of service after each go."""
    out_of_service = []
    deadline = time.monotonic() + LONGEST
    for instance in instances:
        while (action := ask_to_start(store, deployment_id, instance).action) == "wait":
            assert time.monotonic() < deadline
            time.sleep(0.002)
        if action == "stop":
            continue
        overview = get_deployment(store, deployment_id).deployment_overview
        out_of_service.append(overview["InProgress"] + overview["Failed"])
        record_event(store, deployment_id, instance, install_event("InProgress"))
        status = "Failed" if instance in failing else "Succeeded"
        finish_instance(store, deployment_id, instance, status, [install_event(status)])
    return out_of_service


def share(names: list[str]) -> list[list[str]]:
    return [names[number::PROCESSES] for number in range(PROCESSES)]


def test_no_update_is_lost(store: Store) -> None:
    names = [f"i{number:02}" for number in range(40)]
    failing = set(names[::5])
    # The parent's connection is open when the processes are forked.
    deployment = create_deployment(store, request(names, {"type": "FLEET_PERCENT", "value": 75}))
    arguments = [(store, deployment.deployment_id, part, failing) for part in share(names)]
    seen = in_processes(deploy_to, arguments)
    ended = get_deployment(store, deployment.deployment_id)
    assert ended.status == "Succeeded"
    assert {name: n for name, n in ended.deployment_overview.items() if n} == {"Succeeded": 32, "Failed": 8}
    assert sum(map(len, seen)) == 40
    assert max(map(max, seen)) <= deployment.window == 10
    targets = get_targets(store, deployment.deployment_id)
    assert {target.target_id for target in targets if target.status == "Failed"} == failing
    assert all(len(target.lifecycle_events) == 1 for target in targets)
    health = get_group(store, GROUP_ID).instances
    assert {name for name, (healthy, _revision) in health.items() if not healthy} == failing


def test_failures_never_exceed_what_may_be_out_of_service(store: Store) -> None:
    names = [f"i{number:02}" for number in range(40)]
    deployment = create_deployment(store, request(names, {"type": "HOST_COUNT", "value": 34}))
    seen = in_processes(deploy_to, [(store, deployment.deployment_id, part, set(names)) for part in share(names)])
    ended = get_deployment(store, deployment.deployment_id)
    assert (ended.status, ended.error_information["code"]) == ("Failed", "HEALTH_CONSTRAINTS")
    assert {name: n for name, n in ended.deployment_overview.items() if n} == {"Failed": 6, "Skipped": 34}
    assert sum(map(len, seen)) == 6
    assert active_deployment(store, GROUP_ID) is None


def create_one(location: str, owner: Owner) -> tuple[str, Owner, str | None]:
    """Try to deploy; returns the deployment that has the group then, its owner, and which one was ended for it."""
    try:
        created = create_deployment(open_store(location), request("ab", owner=owner))
    except ActiveDeployment as refused:
        return refused.deployment_id, refused.owner, None
    return created.deployment_id, created.owner, created.abandoned.deployment_id if created.abandoned else ""


@pytest.mark.parametrize("dead", [False, True], ids=["free", "left by a dead controller"])
def test_of_many_controllers_exactly_one_wins_and_the_others_name_it(store: Store, dead: bool) -> None:
    killed = create_deployment(store, request("ab", owner=GONE)).deployment_id if dead else ""
    arguments = [(store.location, replace(current_owner(), run_id=f"job {number}")) for number in range(PROCESSES)]
    results = in_processes(create_one, arguments)
    ((winner, owner, abandoned),) = (result for result in results if result[2] is not None)
    assert abandoned == killed
    assert {(deployment_id, named) for deployment_id, named, _abandoned in results} == {(winner, owner)}
    assert owner in [given for _location, given in arguments]
    assert active_deployment(store, GROUP_ID).deployment_id == winner
    assert len(list_deployments(store)) == 1 + dead


def take_turns(location: str, rounds: int) -> tuple[int, int]:
    """Create deployments whenever the group is free; returns how often that was so and how often it was refused."""
    store = open_store(location)
    won = lost = 0
    for _round in range(rounds):
        try:
            deployment = create_deployment(store, request("ab", "OneAtATime"))
        except ActiveDeployment as refused:
            assert refused.deployment_id.startswith("d-")
            lost += 1
            continue
        won += 1
        for instance in deployment.order:
            assert active_deployment(store, GROUP_ID).deployment_id == deployment.deployment_id
            assert ask_to_start(store, deployment.deployment_id, instance).action == "go"
            finish_instance(store, deployment.deployment_id, instance, "Succeeded")
    return won, lost


def test_a_group_is_held_by_one_deployment_at_a_time(store: Store) -> None:
    # No process has opened this store before: they also make its tables all at once.
    results = in_processes(take_turns, [(store.location, 12)] * PROCESSES)
    won = sum(won for won, _lost in results)
    assert won + sum(lost for _won, lost in results) == 12 * PROCESSES
    deployments = list_deployments(store, limit=1000)
    assert len(deployments) == won >= 1
    assert {deployment.status for deployment in deployments} == {"Succeeded"}
    times = sorted((deployment.create_time, deployment.complete_time or 0.0) for deployment in deployments)
    assert all(end <= begin for (_begin, end), (begin, _end) in zip(times, times[1:], strict=False))


def take_steps(location: str, seed: int) -> list[str]:
    """Take steps as chance has it; returns what the store could not do."""
    store, chance, me = open_store(location), random.Random(seed), current_owner(run_id=str(seed))
    problems = []
    for _step in range(STEPS):
        try:
            one_step(store, chance, me)
        except StoreError as error:
            problems.append(str(error))
        except CodeDeployError:
            # Refused, as most steps out of order are.
            continue
    return problems


def test_whatever_is_done_at_once_the_counts_agree_and_nobody_waits_for_ever(store: Store) -> None:
    create_deployment(store, request("abcdef", "HalfAtATime"))
    problems = in_processes(take_steps, [(store.location, seed) for seed in range(PROCESSES)])
    assert problems == [[]] * PROCESSES
    for deployment in list_deployments(store, limit=10000):
        statuses = Counter(target.status for target in get_targets(store, deployment.deployment_id))
        statuses["Failed"] += statuses.pop("Unknown", 0)
        assert +Counter(deployment.deployment_overview) == +statuses
        assert deployment.active is (deployment.status in ("Created", "InProgress"))
    assert sum(deployment.active for deployment in list_deployments(store, limit=10000)) <= 1
