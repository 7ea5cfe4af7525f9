# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers that wait for a deployment group: their order, those that die, and real processes that compete."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.deployments import ELSEWHERE, GONE, GROUP_ID, deploy, request
from support.processes import in_processes
from support.waiting import LONGEST, wait_until

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import refuse_rollback
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ActiveDeployment,
    GroupAwaited,
    Obstacle,
    Owner,
    ask_for_group,
    ask_to_start,
    create_deployment,
    current_owner,
    finish_instance,
    get_deployment,
    leave_group_queue,
    list_audit,
    list_deployments,
    stop_deployment,
    wait_for_group,
    waiting_controllers,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._group_queue import WAITING_LIMIT
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

PROCESSES = 16

WAITER = """
import sys, time
sys.path.insert(0, sys.argv[1])
import collection_loader
collection_loader.register_collection()
from support.deployments import GROUP_ID
from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _deployments as d, _store

def tell(obstacle):
    print("waiting", flush=True)

d.wait_for_group(_store.open_store(sys.argv[2]), GROUP_ID, "production", d.current_owner(), 60, tell, 0.1)
"""


def owners(count: int) -> list[Owner]:
    """Controllers on other hosts."""
    return [replace(ELSEWHERE, host=f"controller{number}", pid=number) for number in range(count)]


def names(store: Store) -> list[str]:
    return [waiting.owner.host for waiting in waiting_controllers(store, GROUP_ID)]


def test_a_free_group_is_there_at_once(store: Store) -> None:
    wait_for_group(store, GROUP_ID, "production", current_owner(), 0)
    assert [waiting.owner for waiting in waiting_controllers(store, GROUP_ID)] == [current_owner()]
    assert deploy(store, request("a")).status == "Succeeded"
    assert waiting_controllers(store, GROUP_ID) == []


def test_first_come_first_served(store: Store) -> None:
    one, two, three = owners(3)
    active = create_deployment(store, request("a"))
    for ahead, owner in enumerate((one, two, three)):
        expected = Obstacle(active.deployment_id, active.owner, ahead)
        assert ask_for_group(store, GROUP_ID, owner) == expected == ask_for_group(store, GROUP_ID, owner)
    assert names(store) == ["controller0", "controller1", "controller2"]
    stop_deployment(store, active.deployment_id, current_owner())
    assert ask_for_group(store, GROUP_ID, three) == Obstacle(None, one, 2)
    for stranger in (three, current_owner()):
        with pytest.raises(GroupAwaited, match="'production' is next for ada on controller0.*deploy_wait_for_group"):
            create_deployment(store, request("a", owner=stranger))
    assert ask_for_group(store, GROUP_ID, one) is None
    leave_group_queue(store, GROUP_ID, one)
    leave_group_queue(store, GROUP_ID, one)
    assert ask_for_group(store, GROUP_ID, two) is None
    created = create_deployment(store, request("a", owner=replace(two, run_id="a later play")))
    assert names(store) == ["controller2"]
    assert ask_for_group(store, GROUP_ID, three) == Obstacle(created.deployment_id, created.owner, 0)
    assert [entry.result.get("error_code") for entry in list_audit(store)].count("DeploymentLimitExceeded") == 2


def test_groups_have_queues_of_their_own(store: Store) -> None:
    one, two = owners(2)
    assert ask_for_group(store, GROUP_ID, one) is None
    assert ask_for_group(store, "another", two) is None
    create_deployment(store, request("a", owner=two, deployment_group_id="another"))
    assert names(store) == ["controller0"]


def test_a_rollback_goes_first(store: Store) -> None:
    failed = deploy(store, request("a"), failing="a")
    assert ask_for_group(store, GROUP_ID, ELSEWHERE) is None
    rollback = create_deployment(store, request("a", rollback_of=failed.deployment_id))
    assert ask_for_group(store, GROUP_ID, ELSEWHERE) == Obstacle(rollback.deployment_id, rollback.owner, 0)
    assert names(store) == [ELSEWHERE.host]


def test_a_rollback_that_is_to_come_is_waited_for_while_its_run_lives(store: Store) -> None:
    settings = {"automatic_rollback": True, "auto_rollback_configuration": {"events": ["DEPLOYMENT_FAILURE"]}}
    failed = deploy(store, request("a", options=settings), failing="a")
    assert ask_for_group(store, GROUP_ID, ELSEWHERE) == Obstacle(failed.deployment_id, failed.owner, 0)
    refuse_rollback(store, failed.deployment_id, "there is nothing to go back to")
    assert ask_for_group(store, GROUP_ID, ELSEWHERE) is None
    leave_group_queue(store, GROUP_ID, ELSEWHERE)
    # A role in somebody's own play makes none, and neither does a run that has ended.
    assert ask_for_group(store, GROUP_ID, ELSEWHERE) is None
    alone = {**settings, "automatic_rollback": False}
    for wanted in (request("a", options=alone, owner=ELSEWHERE), request("a", options=settings, owner=GONE)):
        leave_group_queue(store, GROUP_ID, ELSEWHERE)
        deploy(store, wanted, failing="a")
        assert ask_for_group(store, GROUP_ID, ELSEWHERE) is None


def test_who_does_not_ask_any_more_loses_the_place(store: Store) -> None:
    one, two = owners(2)
    now = store.clock()
    store.clock = lambda: now
    assert ask_for_group(store, GROUP_ID, one) is None
    assert ask_for_group(store, GROUP_ID, two) == Obstacle(None, one, 1)
    now += WAITING_LIMIT - 1
    assert names(store) == ["controller0", "controller1"]
    assert ask_for_group(store, GROUP_ID, two) == Obstacle(None, one, 1)
    now += 2
    assert names(store) == ["controller1"]
    assert ask_for_group(store, GROUP_ID, two) is None
    assert ask_for_group(store, GROUP_ID, one) == Obstacle(None, two, 1)


def test_the_time_is_up(store: Store) -> None:
    active = create_deployment(store, request("a"))
    told: list[Obstacle] = []
    with pytest.raises(ActiveDeployment, match=active.deployment_id) as caught:
        wait_for_group(store, GROUP_ID, "production", ELSEWHERE, 0.05, told.append, 0.01)
    assert caught.value.owner == active.owner
    assert told == [Obstacle(active.deployment_id, active.owner, 0)]
    assert waiting_controllers(store, GROUP_ID) == []
    stop_deployment(store, active.deployment_id, current_owner())
    assert ask_for_group(store, GROUP_ID, ELSEWHERE) is None
    with pytest.raises(GroupAwaited, match="next for ada on controller.example"):
        wait_for_group(store, GROUP_ID, "production", current_owner(), 0)
    assert names(store) == [ELSEWHERE.host]


def test_interrupted_while_it_waits(store: Store) -> None:
    create_deployment(store, request("a"))

    def interrupt(_obstacle: Obstacle) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wait_for_group(store, GROUP_ID, "production", ELSEWHERE, 60, interrupt)
    assert waiting_controllers(store, GROUP_ID) == []


def test_a_dead_controllers_deployment_is_not_waited_for(store: Store) -> None:
    killed = create_deployment(store, request("a", owner=GONE))
    wait_for_group(store, GROUP_ID, "production", current_owner(), 0)
    assert create_deployment(store, request("a")).abandoned.deployment_id == killed.deployment_id


def test_a_killed_waiter_is_passed_over(store: Store) -> None:
    active = create_deployment(store, request("a"))
    command = [sys.executable, "-c", WAITER, str(Path(__file__).parents[3]), store.location]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiter:
        try:
            assert waiter.stdout
            assert waiter.stdout.readline() == "waiting\n"
            assert ask_for_group(store, GROUP_ID, ELSEWHERE).ahead == 1
        finally:
            waiter.kill()
    assert ask_for_group(store, GROUP_ID, ELSEWHERE).ahead == 0
    stop_deployment(store, active.deployment_id, current_owner())
    assert ask_for_group(store, GROUP_ID, ELSEWHERE) is None


def wait_and_deploy(location: str, number: int) -> tuple[str, float]:
    """Deploy in turn; returns the deployment's id and when this controller took its place in the queue."""
    store = open_store(location)
    owner = current_owner(run_id=str(number))
    since: list[float] = []

    def note(_obstacle: Obstacle) -> None:
        mine = [waiting for waiting in waiting_controllers(store, GROUP_ID) if waiting.owner == owner]
        since.extend(waiting.since for waiting in mine)

    wait_for_group(store, GROUP_ID, "production", owner, LONGEST, note, 0.05)
    deployment = create_deployment(store, request("ab", "OneAtATime", owner=owner))
    for instance in deployment.order:
        assert ask_to_start(store, deployment.deployment_id, instance).action == "go"
        finish_instance(store, deployment.deployment_id, instance, "Succeeded")
    return deployment.deployment_id, since[0]


def test_many_processes_deploy_in_the_order_in_which_they_came(store: Store) -> None:
    # Held until all wait, so that the order is that of the queue and not of the processes' starts.
    holding = create_deployment(store, request("a"))

    def let_go() -> None:
        own = open_store(store.location)
        wait_until(lambda: len(waiting_controllers(own, GROUP_ID)) == PROCESSES, "all wait")
        stop_deployment(own, holding.deployment_id, current_owner())

    arguments = [(wait_and_deploy, store.location, number) for number in range(PROCESSES)]
    results = in_processes(lambda work, *given: work(*given), [*arguments, (let_go,)])
    deployed = [get_deployment(store, deployment_id) for deployment_id, _since in results[:-1]]
    assert {deployment.status for deployment in deployed} == {"Succeeded"}
    by_place = [deployment_id for deployment_id, _since in sorted(results[:-1], key=lambda result: result[1])]
    assert by_place == [
        deployment.deployment_id for deployment in sorted(deployed, key=lambda deployment: deployment.create_time)
    ]
    assert len(list_deployments(store)) == PROCESSES + 1
    assert waiting_controllers(store, GROUP_ID) == []
