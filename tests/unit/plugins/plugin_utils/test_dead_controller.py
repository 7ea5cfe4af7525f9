# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a controller that was killed leaves in the store, and how the next one takes over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.deployments import ELSEWHERE, GROUP_ID, deploy, install_event, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ActiveDeployment,
    CodeDeployError,
    InstanceNotPending,
    abandon,
    active_deployment,
    ask_to_start,
    create_deployment,
    current_owner,
    dead_deployment,
    finish_instance,
    get_deployment,
    get_group,
    get_target,
    get_targets,
    heartbeat,
    hooks_of,
    list_audit,
    process_start,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import HEARTBEAT_LIMIT
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

# A controller that stops at the step named in its arguments and waits there to be killed.
CONTROLLER = """
import sys, time
sys.path.insert(0, sys.argv[1])
import collection_loader
collection_loader.register_collection()
from support.deployments import install_event, request
from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _deployments as d, _store

def reach(step):
    if step == sys.argv[3]:
        print(deployment.deployment_id, flush=True)
        time.sleep(3600)

store = _store.open_store(sys.argv[2])
deployment = d.create_deployment(store, request("abcd", "HalfAtATime", 2))
reach("created")
d.ask_to_start(store, deployment.deployment_id, "a")
d.ask_to_start(store, deployment.deployment_id, "b")
reach("started")
d.finish_instance(store, deployment.deployment_id, "a", "Succeeded", [install_event()])
reach("first finished")
with store.transaction() as tx:
    tx.execute("UPDATE targets SET status = 'Succeeded' WHERE instance = 'b'")
    tx.execute("UPDATE deployments SET in_progress = 0, succeeded = 2")
    reach("in a transaction")
"""


def kill_at(step: str, store: Store) -> str:
    """Run a controller up to a step and kill it; returns the id of its deployment."""
    tests = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", CONTROLLER, tests, store.location, step]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        try:
            assert controller.stdout
            return controller.stdout.readline().strip()
        finally:
            controller.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("step", "unfinished", "overview"),
    [
        ("created", [], {"Skipped": 4}),
        ("started", ["a", "b"], {"Failed": 2, "Skipped": 2}),
        ("first finished", ["b"], {"Succeeded": 1, "Failed": 1, "Skipped": 2}),
        ("in a transaction", ["b"], {"Succeeded": 1, "Failed": 1, "Skipped": 2}),
    ],
)
def test_a_killed_controller_leaves_a_whole_record(
    store: Store, step: str, unfinished: list[str], overview: dict[str, int]
) -> None:
    first = deploy(store, request("abcd", "HalfAtATime"))
    killed = kill_at(step, store)
    left = active_deployment(store, GROUP_ID)
    assert left
    assert left.deployment_id == killed
    assert left.deployment_overview["InProgress"] == len(unfinished)
    assert dead_deployment(store, GROUP_ID).unfinished == unfinished
    following = create_deployment(store, request("abcd", "HalfAtATime", 3))
    assert following.abandoned
    assert (following.abandoned.deployment_id, following.abandoned.unfinished) == (killed, unfinished)
    assert following.abandoned.owner == left.owner != following.owner
    ended = get_deployment(store, killed)
    assert {name: n for name, n in ended.deployment_overview.items() if n} == overview
    assert (ended.status, ended.active) == ("Failed", False)
    assert [target.target_id for target in get_targets(store, killed, ["Unknown"])] == unfinished
    assert get_group(store, GROUP_ID).last_successful_deployment["deployment_id"] == first.deployment_id
    # What is not known to be healthy is deployed to first.
    assert following.order[: len(unfinished)] == unfinished
    names = [entry.event_name for entry in list_audit(store, killed)]
    assert names == ["CreateDeployment", "AbandonDeployment", "DeploymentEnded"]


def test_reconciled_before_it_is_abandoned(store: Store) -> None:
    killed = kill_at("first finished", store)
    assert finish_instance(store, killed, "b", "Succeeded", [install_event()], "By its log.", {}) == "InProgress"
    ended = abandon(store, killed, current_owner())
    assert (ended.status, ended.error_information["code"]) == ("Failed", "INTERNAL_ERROR")
    assert "controller that ran the deployment ended before it did" in ended.error_information["message"]
    assert abandon(store, killed, current_owner()) == ended
    assert dead_deployment(store, GROUP_ID) is None
    assert {name: healthy for name, (healthy, _revision) in get_group(store, GROUP_ID).instances.items()} == {
        "a": True, "b": True, "c": None, "d": None,
    }  # fmt: skip


def test_reconciled_after_the_next_deployment_was_created(store: Store) -> None:
    killed = kill_at("started", store)
    create_deployment(store, request("abcd", "HalfAtATime", 3))
    assert (
        finish_instance(store, killed, "a", "Succeeded", [install_event()], "By its log.", {"ApplicationStop": 1})
        == "Failed"
    )
    assert finish_instance(store, killed, "b", "Failed", [install_event("Failed")]) == "Failed"
    assert get_deployment(store, killed).deployment_overview["Succeeded"] == 1
    assert get_target(store, killed, "a").message == "By its log."
    group = get_group(store, GROUP_ID)
    assert (group.instances["a"][0], group.instances["b"][0]) == (True, False)
    with pytest.raises(InstanceNotPending):
        finish_instance(store, killed, "c", "Succeeded")


def test_what_a_lost_instance_runs_is_not_known_any_more(store: Store) -> None:
    deployment_id = create_deployment(store, request("abcd", "HalfAtATime")).deployment_id
    for name in "abcd":
        assert ask_to_start(store, deployment_id, name).action == "go"
        finish_instance(store, deployment_id, name, "Succeeded", [install_event()], hooks={"ApplicationStop": 1})
    killed = kill_at("started", store)
    assert hooks_of(store, GROUP_ID, "a") == {"ApplicationStop": 1}
    abandon(store, killed, current_owner())
    assert [hooks_of(store, GROUP_ID, name) for name in "abcd"] == [None, None, *[{"ApplicationStop": 1}] * 2]
    finish_instance(store, killed, "a", "Failed", [install_event("Failed")], hooks={"ApplicationStop": 1})
    assert hooks_of(store, GROUP_ID, "a") == {"ApplicationStop": 1}


def test_a_late_result_does_not_overwrite_what_a_later_deployment_knows(store: Store) -> None:
    killed = kill_at("started", store)
    following = create_deployment(store, request("abcd", "HalfAtATime", 3)).deployment_id
    for name in "ab":
        assert ask_to_start(store, following, name).action == "go"
        finish_instance(store, following, name, "Failed", [])
    assert get_deployment(store, following).status == "Failed"
    finish_instance(store, killed, "a", "Succeeded", [install_event()], hooks={"ApplicationStop": 1})
    assert get_group(store, GROUP_ID).instances["a"] == (False, "Unknown")


def test_an_abandoned_deployment_in_which_nothing_was_pending_has_the_result_of_the_rules(store: Store) -> None:
    gone = replace(current_owner(), pid_start=_other_start())
    deployment_id = create_deployment(store, request("abc", "AllAtOnce", owner=gone)).deployment_id
    for name in "abc":
        ask_to_start(store, deployment_id, name)
    finish_instance(store, deployment_id, "a", "Succeeded")
    finish_instance(store, deployment_id, "b", "Succeeded")
    ended = abandon(store, deployment_id, current_owner())
    assert ended.status == "Succeeded"
    assert (ended.deployment_overview["Succeeded"], ended.deployment_overview["Failed"]) == (2, 1)


def _other_start() -> str:
    """The start of a process of this host and boot that had this process's number before."""
    space = current_owner().pid_start.rpartition("/")[0]
    return f"{space}/0"


def test_a_live_controller_is_never_robbed(store: Store) -> None:
    deployment_id = create_deployment(store, request("ab")).deployment_id
    created = store.clock()
    store.clock = lambda: created + 100 * HEARTBEAT_LIMIT
    with pytest.raises(ActiveDeployment):
        create_deployment(store, request("ab"))
    with pytest.raises(CodeDeployError, match="which lives"):
        abandon(store, deployment_id, current_owner())
    assert dead_deployment(store, GROUP_ID) is None


def test_a_later_process_with_the_same_number_is_not_the_owner(store: Store) -> None:
    gone = replace(current_owner(), pid_start=_other_start())
    killed = create_deployment(store, request("ab", owner=gone)).deployment_id
    assert create_deployment(store, request("ab")).abandoned.deployment_id == killed


@pytest.mark.parametrize("what", ["another host", "another boot of this host"])
def test_a_controller_that_cannot_be_looked_up_is_judged_by_its_heartbeat(store: Store, what: str) -> None:
    owner = ELSEWHERE if what == "another host" else replace(ELSEWHERE, host=current_owner().host)
    deployment_id = create_deployment(store, request("abc", owner=owner)).deployment_id
    now = store.clock()
    store.clock = lambda: now

    def refused() -> bool:
        try:
            create_deployment(store, request("abc"))
        except ActiveDeployment as error:
            assert error.owner == owner
            return True
        return False

    for step in (
        lambda: ask_to_start(store, deployment_id, "a"),
        lambda: heartbeat(store, deployment_id),
        lambda: finish_instance(store, deployment_id, "a", "Succeeded"),
    ):
        now += HEARTBEAT_LIMIT - 1
        assert refused()
        step()
    now += HEARTBEAT_LIMIT - 1
    assert refused()
    now += 2
    assert not refused()


def test_the_owner_is_named_with_its_run() -> None:
    assert str(ELSEWHERE) == "ada on controller.example (process 4242, run job 7)"
    parent = current_owner(pid=os.getppid(), user="ada")
    assert (parent.user, parent.pid, parent.run_id) == ("ada", os.getppid(), None)
    assert parent.pid_start == process_start(os.getppid())


def test_a_zombie_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as child:
        assert child.stdout
        # Its output ends when it does; it is waited for only when the block ends.
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process_start(child.pid) is None
