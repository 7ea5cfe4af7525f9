# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of deployments in a real SQLite file: what goes in, how it ends, what comes out."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from support.deployments import GROUP_ID, deploy, install_event, request, revision

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ActiveDeployment,
    CodeDeployError,
    DoesNotExist,
    HealthConstraintsInvalid,
    InstanceNotPending,
    InvalidInput,
    NoInstances,
    active_deployment,
    ask_to_start,
    conclude,
    create_deployment,
    current_owner,
    finish_instance,
    get_deployment,
    get_group,
    get_target,
    get_targets,
    list_audit,
    list_deployments,
    record_event,
    stop_deployment,
    stop_requested,
    takes_part,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, StoreError


def overview(store: Store, deployment_id: str) -> dict[str, int]:
    return {name: n for name, n in get_deployment(store, deployment_id).deployment_overview.items() if n}


def health(store: Store) -> dict[str, tuple[bool | None, str]]:
    group = get_group(store, GROUP_ID)
    assert group
    return group.instances


def test_a_new_deployment(store: Store) -> None:
    wanted = request("abcde", "HalfAtATime", description="first", file_exists_behavior="RETAIN", options={"x": [1]})
    deployment = create_deployment(store, wanted)
    assert re.fullmatch(r"d-[A-Z0-9]{9}", deployment.deployment_id)
    assert deployment.order == list("abcde")
    assert (deployment.total, deployment.minimum_healthy_hosts, deployment.window, deployment.batch_size) == (
        5,
        3,
        2,
        2,
    )
    assert (deployment.status, deployment.start_time, deployment.complete_time) == ("Created", None, None)
    assert deployment.deployment_overview == {
        "Pending": 5, "InProgress": 0, "Succeeded": 0, "Failed": 0, "Skipped": 0, "Ready": 0,
    }  # fmt: skip
    assert deployment.deployment_config_name == "CodeDeployDefault.HalfAtATime"
    assert (deployment.creator, deployment.description, deployment.options) == ("user", "first", {"x": [1]})
    assert (deployment.file_exists_behavior, deployment.revision) == ("RETAIN", revision(1))
    assert (deployment.previous_revision, deployment.rollback_info, deployment.error_information) == (None, None, None)
    assert deployment.owner == current_owner()
    assert get_deployment(store, deployment.deployment_id) == deployment == active_deployment(store, GROUP_ID)
    assert get_group(store, GROUP_ID).last_attempted_deployment["deployment_id"] == deployment.deployment_id


def test_a_deployment_read_for_one_of_its_instances(store: Store) -> None:
    deployment = create_deployment(store, request("abcde", "HalfAtATime", limited_to=["a"]))
    read = get_deployment(store, deployment.deployment_id, with_order=False)
    assert read == replace(deployment, order=[])
    assert read.batch_size == 1
    assert [takes_part(store, deployment.deployment_id, name) for name in "abz"] == [True, False, False]


def test_the_course_of_a_deployment(store: Store) -> None:
    deployment_id = create_deployment(store, request("abc", {"type": "HOST_COUNT", "value": 1})).deployment_id
    assert [ask_to_start(store, deployment_id, name).action for name in "abc"] == ["go", "go", "wait"]
    assert get_deployment(store, deployment_id).status == "InProgress"
    assert get_deployment(store, deployment_id).start_time is not None
    assert overview(store, deployment_id) == {"Pending": 1, "InProgress": 2}
    assert finish_instance(store, deployment_id, "a", "Failed", message="unreachable") == "InProgress"
    assert ask_to_start(store, deployment_id, "c").action == "wait"
    assert finish_instance(store, deployment_id, "b", "Succeeded") == "InProgress"
    assert ask_to_start(store, deployment_id, "c").action == "go"
    assert finish_instance(store, deployment_id, "c", "Failed") == "Succeeded"
    ended = get_deployment(store, deployment_id)
    assert (ended.status, ended.error_information, ended.active) == ("Succeeded", None, False)
    assert overview(store, deployment_id) == {"Succeeded": 1, "Failed": 2}
    assert get_target(store, deployment_id, "a").message == "unreachable"
    assert active_deployment(store, GROUP_ID) is None
    decision = ask_to_start(store, deployment_id, "c")
    assert decision.action == "stop"
    assert "has ended: Succeeded" in decision.reason


def test_the_last_in_work_ends_a_deployment_that_failed(store: Store) -> None:
    deployment_id = create_deployment(store, request("abcdef", "HalfAtATime")).deployment_id
    for name in "abc":
        ask_to_start(store, deployment_id, name)
    for name in "ab":
        assert finish_instance(store, deployment_id, name, "Failed") == "InProgress"
    assert ask_to_start(store, deployment_id, "d").action == "wait"
    assert finish_instance(store, deployment_id, "c", "Failed") == "Failed"
    ended = get_deployment(store, deployment_id)
    assert ended.error_information
    assert ended.error_information["code"] == "HEALTH_CONSTRAINTS"
    assert "3 of 6 instances failed and 3 must stay healthy" in ended.error_information["message"]
    assert overview(store, deployment_id) == {"Failed": 3, "Skipped": 3}
    assert [target.status for target in get_targets(store, deployment_id)] == ["Failed"] * 3 + ["Skipped"] * 3


def test_an_ask_that_finds_the_stop_rule_met_ends_the_deployment(store: Store) -> None:
    deploy(store, request("abcd"), failing="ab")
    # Two of four are healthy and three must be: nothing healthy may be taken out, and the others are left alone.
    wanted = request("abcd", {"type": "HOST_COUNT", "value": 3}, number=2, limited_to=["c", "d"])
    deployment_id = create_deployment(store, wanted).deployment_id
    assert ask_to_start(store, deployment_id, "c").action == "stop"
    ended = get_deployment(store, deployment_id)
    assert (ended.status, ended.error_information["code"]) == ("Failed", "HEALTH_CONSTRAINTS")
    assert overview(store, deployment_id) == {"Skipped": 2}
    assert health(store)["c"] == (True, "Current")


@pytest.mark.parametrize(("in_play_of_user", "limit"), [(True, 60), (False, 3600)])
def test_unhealthy_instances_that_are_late_are_waited_for_and_not_for_ever(
    store: Store, in_play_of_user: bool, limit: int
) -> None:
    deploy(store, request("abcd"), failing="ab")
    wanted = request("abcd", {"type": "HOST_COUNT", "value": 2}, 2, options={"in_play_of_user": in_play_of_user})
    deployment_id = create_deployment(store, wanted).deployment_id
    now = store.clock()
    store.clock = lambda: now
    assert ask_to_start(store, deployment_id, "c").action == "wait"
    now += limit - 1
    assert ask_to_start(store, deployment_id, "c").action == "wait"
    assert ask_to_start(store, deployment_id, "a").action == "go"
    assert finish_instance(store, deployment_id, "a", "Failed") == "InProgress"
    now += limit - 1
    assert ask_to_start(store, deployment_id, "c").action == "wait"
    now += limit + 1
    assert ask_to_start(store, deployment_id, "d").action == "stop"
    assert get_deployment(store, deployment_id).status == "Failed"


def test_events_and_diagnostics(store: Store) -> None:
    deployment_id = create_deployment(store, request("a", "OneAtATime")).deployment_id
    ask_to_start(store, deployment_id, "a")
    start = {"lifecycle_event_name": "ApplicationStart", "status": "InProgress", "start_time": 3.25}
    record_event(store, deployment_id, "a", start)
    assert get_target(store, deployment_id, "a").lifecycle_events == [
        {**start, "end_time": None, "diagnostics": None},
    ]
    diagnostics = {
        "error_code": "ScriptFailed",
        "script_name": "scripts/start.sh",
        "message": "Script at specified location: scripts/start.sh failed with exit code 1",
        "log_tail": "é" * 3000 + "last line\n",
    }
    failed = {**start, "status": "Failed", "end_time": 4.5, "diagnostics": diagnostics}
    assert finish_instance(store, deployment_id, "a", "Failed", [failed, install_event()]) == "Failed"
    target = get_target(store, deployment_id, "a")
    assert [event["lifecycle_event_name"] for event in target.lifecycle_events] == ["Install", "ApplicationStart"]
    assert target.lifecycle_events[0] == install_event()
    kept = target.lifecycle_events[1]["diagnostics"]
    assert {**kept, "log_tail": None} == {**diagnostics, "log_tail": None}
    assert kept["log_tail"].endswith("ééélast line\n")
    assert 4090 < len(kept["log_tail"].encode()) <= 4096
    assert get_targets(store, deployment_id) == [target]
    assert get_targets(store, deployment_id, ["Succeeded"]) == []


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"description": "x" * 257}, InvalidInput, "DescriptionTooLong"),
        ({"file_exists_behavior": "overwrite"}, InvalidInput, "InvalidFileExistsBehavior"),
        ({"instances": ""}, NoInstances, "NO_INSTANCES"),
        ({"limited_to": []}, NoInstances, "NO_INSTANCES"),
        ({"limited_to": ["z"]}, NoInstances, "NO_INSTANCES"),
        ({"instances": "a"}, HealthConstraintsInvalid, "HEALTH_CONSTRAINTS_INVALID"),
    ],
)
def test_what_cannot_be_deployed_leaves_only_an_audit_row(
    store: Store, change: dict[str, Any], error: type[CodeDeployError], code: str
) -> None:
    wanted = request(**{"instances": "abc", "config": "HalfAtATime", **change})
    with pytest.raises(error) as caught:
        create_deployment(store, wanted)
    assert caught.value.code == code
    assert list_deployments(store) == []
    assert get_group(store, GROUP_ID) is None
    assert [entry.result["error_code"] for entry in list_audit(store)] == [code]


def test_what_the_audit_trail_has_of_a_creation_does_not_grow_with_the_zones(store: Store) -> None:
    create_deployment(store, request("abc", zone_of=dict.fromkeys("abc", "1"), zone_order=["1"]))
    (entry,) = list_audit(store)
    assert (entry.parameters["instances"], entry.parameters["zone_order"]) == (3, ["1"])
    assert "zone_of" not in entry.parameters


@pytest.mark.parametrize(("limited_to", "said"), [([], "no host of it is left"), (["z"], "none of z is in it")])
def test_a_limit_that_leaves_nothing(store: Store, limited_to: list[str], said: str) -> None:
    with pytest.raises(NoInstances, match=f"Deployment group 'production': {said}"):
        create_deployment(store, request("abc", limited_to=limited_to))


def test_one_active_deployment_per_group(store: Store) -> None:
    first = create_deployment(store, request("ab"))
    with pytest.raises(ActiveDeployment, match=f"production.*{first.deployment_id}.*{first.owner.user}") as caught:
        create_deployment(store, request("ab", number=2))
    assert (caught.value.code, caught.value.owner) == ("DeploymentLimitExceeded", first.owner)
    assert caught.value.deployment_id == first.deployment_id
    other = create_deployment(store, request("ab", deployment_group_id="another"))
    assert [deployment.deployment_id for deployment in list_deployments(store, ["Created"])] == [
        other.deployment_id,
        first.deployment_id,
    ]


def test_the_database_itself_refuses_a_second_active_deployment(store: Store) -> None:
    deployment_id = create_deployment(store, request("ab")).deployment_id
    ended = deploy(store, request("ab", deployment_group_id="another")).deployment_id
    change = "UPDATE deployments SET deployment_group_id = %s, complete_time = NULL WHERE deployment_id = %s"
    with pytest.raises(StoreError, match="UNIQUE|one_active_deployment"), store.transaction() as tx:
        tx.execute(change, (GROUP_ID, ended))
    assert active_deployment(store, GROUP_ID).deployment_id == deployment_id


def test_instances_that_never_arrive_fail_as_silent_agents_do(store: Store) -> None:
    deployment_id = create_deployment(store, request("abcdef", {"type": "HOST_COUNT", "value": 3})).deployment_id
    for name in "abc":
        ask_to_start(store, deployment_id, name)
        finish_instance(store, deployment_id, name, "Succeeded")
    ended = conclude(store, deployment_id)
    assert ended.status == "Succeeded"
    assert overview(store, deployment_id) == {"Succeeded": 3, "Failed": 3}
    assert "never arrived" in get_target(store, deployment_id, "f").message
    assert conclude(store, deployment_id) == ended

    deployment_id = create_deployment(store, request("abcdef", {"type": "HOST_COUNT", "value": 4})).deployment_id
    ask_to_start(store, deployment_id, "d")
    ended = conclude(store, deployment_id)
    assert (ended.status, ended.error_information["code"]) == ("Failed", "HEALTH_CONSTRAINTS")
    assert [(target.target_id, target.status) for target in get_targets(store, deployment_id)] == [
        ("d", "Unknown"), ("e", "Failed"), ("f", "Skipped"), ("a", "Skipped"), ("b", "Skipped"), ("c", "Skipped"),
    ]  # fmt: skip
    assert overview(store, deployment_id) == {"Failed": 2, "Skipped": 4}


def test_an_instance_may_fail_before_it_starts(store: Store) -> None:
    deployment_id = create_deployment(store, request("ab")).deployment_id
    assert finish_instance(store, deployment_id, "a", "Failed", message="no such user") == "Created"
    assert ask_to_start(store, deployment_id, "b").action == "go"
    assert finish_instance(store, deployment_id, "b", "Succeeded") == "Succeeded"


def test_a_healthy_instance_that_fails_before_it_starts_is_one_healthy_instance_less(store: Store) -> None:
    deploy(store, request("abcde"), failing="de")
    wanted = request("abcde", {"type": "HOST_COUNT", "value": 2}, 2, limited_to=["a", "b", "c"])
    deployment_id = create_deployment(store, wanted).deployment_id
    assert finish_instance(store, deployment_id, "a", "Failed") == "Failed"
    message = get_deployment(store, deployment_id).error_information["message"]
    assert message.startswith("2 of 5 instances are healthy and not in work, and 2 must stay healthy")


def test_steps_out_of_order_are_refused(store: Store) -> None:
    deployment_id = create_deployment(store, request("abc")).deployment_id
    with pytest.raises(InstanceNotPending, match="'a'.*Pending"):
        finish_instance(store, deployment_id, "a", "Succeeded")
    ask_to_start(store, deployment_id, "a")
    with pytest.raises(InstanceNotPending, match="'a'.*InProgress already"):
        ask_to_start(store, deployment_id, "a")
    finish_instance(store, deployment_id, "a", "Succeeded")
    assert finish_instance(store, deployment_id, "a", "Succeeded") == "InProgress"
    with pytest.raises(InstanceNotPending, match="Succeeded.*Failed"):
        finish_instance(store, deployment_id, "a", "Failed")
    assert overview(store, deployment_id) == {"Pending": 2, "Succeeded": 1}
    for call in (
        lambda: ask_to_start(store, deployment_id, "z"),
        lambda: ask_to_start(store, "d-000000000", "a"),
        lambda: record_event(store, deployment_id, "z", install_event()),
        lambda: get_deployment(store, "d-000000000"),
        lambda: get_target(store, deployment_id, "z"),
        lambda: get_targets(store, "d-000000000"),
    ):
        with pytest.raises(DoesNotExist):
            call()


def test_stop(store: Store) -> None:
    deployment_id = create_deployment(store, request("abc")).deployment_id
    ask_to_start(store, deployment_id, "a")
    assert not stop_requested(store, deployment_id)
    assert stop_deployment(store, deployment_id, current_owner()) == "Pending"
    assert stop_requested(store, deployment_id)
    assert ask_to_start(store, deployment_id, "b").action == "stop"
    assert finish_instance(store, deployment_id, "a", "Failed") == "Stopped"
    ended = get_deployment(store, deployment_id)
    assert ended.error_information["code"] == "MANUAL_STOP"
    assert overview(store, deployment_id) == {"Failed": 1, "Skipped": 2}
    with pytest.raises(CodeDeployError, match="Stopped") as caught:
        stop_deployment(store, deployment_id, current_owner())
    assert caught.value.code == "DeploymentAlreadyCompleted"
    pending = create_deployment(store, request("abc")).deployment_id
    assert stop_deployment(store, pending, current_owner()) == "Succeeded"
    assert get_deployment(store, pending).status == "Stopped"


def test_every_operation_is_audited(store: Store) -> None:
    deployment = deploy(store, request("ab", limited_to=["a"], options={"appspec": {"files": []}, "rollout": "window"}))
    created, ended = list_audit(store, deployment.deployment_id)
    assert (created.event_name, created.principal) == ("CreateDeployment", deployment.owner.user)
    assert f"{deployment.owner.host} process {deployment.owner.pid}" == created.source
    assert created.parameters["limited_to"] == ["a"]
    assert (created.parameters["instances"], created.parameters["options"]) == (2, {"rollout": "window"})
    assert created.result == {"deployment_id": deployment.deployment_id}
    assert (ended.event_name, ended.result) == ("DeploymentEnded", {"status": "Succeeded", "error_code": None})
