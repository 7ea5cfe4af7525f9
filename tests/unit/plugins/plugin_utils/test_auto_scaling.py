# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of Auto Scaling groups are suspended for a deployment, and resumed by whoever comes after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.aws_server import AwsServer
from support.deployments import GONE, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _auto_scaling
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import (
    ec2_options_problems,
    resume_left,
    resume_when_ended,
    suspend,
    suspend_or_end,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError, AwsSettings
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import rollback_due
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Deployment,
    conclude,
    create_deployment,
    current_owner,
    get_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store


@pytest.fixture
def record(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store.sqlite"))


@pytest.fixture
def suspended(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[str]]:
    """Make the Auto Scaling group C(web), in which somebody has suspended C(Terminate); give what is suspended."""
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    autoscaling = aws_server.client("autoscaling")
    image = aws_server.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    autoscaling.create_launch_configuration(LaunchConfigurationName="web", ImageId=image, InstanceType="t3.micro")
    add_group(aws_server, "web")
    autoscaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Terminate"])

    def now() -> set[str]:
        found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]
        return {one["ProcessName"] for one in found["SuspendedProcesses"]}

    return now


def add_group(aws_server: AwsServer, name: str) -> None:
    """Make an Auto Scaling group without instances."""
    aws_server.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName="web",
        MinSize=0,
        MaxSize=0,
        AvailabilityZones=["us-east-1a"],
    )


def error_of_failed(store: Store, made: Deployment) -> str:
    """Return the error code that a deployment has failed with."""
    ended = get_deployment(store, made.deployment_id)
    assert ended.status == "Failed"
    return str((ended.error_information or {})["code"])


def deployment(store: Store, groups: list[str], owner: Owner | None = None, events: Sequence[str] = ()) -> Deployment:
    """Record a deployment that suspends two processes, and that these events have rolled back."""
    processes = {"auto_scaling_group_processes_to_suspend": ["Terminate", "AZRebalance"]}
    options = {"auto_scaling_groups": groups, "ec2_deployment_options": processes}
    options["auto_rollback_configuration"] = {"enabled": True, "events": list(events)}
    return create_deployment(store, request("a", options=options, owner=owner or current_owner()))


def test_suspended_and_resumed_once(record: Store, suspended: Callable[[], set[str]]) -> None:
    made = deployment(record, ["web"])
    assert suspend(record, made, current_owner()) == {"web": ["AZRebalance"]}
    assert suspended() == {"Terminate", "AZRebalance"}
    assert resume_when_ended(record, made.deployment_id) is None
    assert suspended() == {"Terminate", "AZRebalance"}
    conclude(record, made.deployment_id)
    assert resume_when_ended(record, made.deployment_id) is None
    assert suspended() == {"Terminate"}


def test_what_a_killed_run_left_is_resumed_by_the_next_one(
    record: Store, suspended: Callable[[], set[str]], aws_server: AwsServer
) -> None:
    made = deployment(record, ["web"], GONE)
    suspend(record, made, GONE)
    resume_left(record, made.deployment_group_id, current_owner())
    assert suspended() == {"Terminate"}
    aws_server.client("autoscaling").suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["AZRebalance"])
    resume_left(record, made.deployment_group_id, current_owner())
    assert suspended() == {"Terminate", "AZRebalance"}


def test_a_group_that_does_not_exist_fails_the_deployment(record: Store, suspended: Callable[[], set[str]]) -> None:
    made = deployment(record, ["web", "other"])
    with pytest.raises(AwsError, match="no Auto Scaling group other"):
        suspend_or_end(record, made, current_owner())
    assert error_of_failed(record, made) == "AUTO_SCALING_CONFIGURATION"
    assert suspended() == {"Terminate"}


@pytest.mark.parametrize(
    ("refusal", "status", "code", "said"),
    [
        ("AccessDenied", 403, "AUTO_SCALING_IAM_ROLE_PERMISSIONS", "allow autoscaling:SuspendProcesses for these"),
        ("Throttling", 400, "THROTTLED", "was throttled, 6 attempts in all"),
        ("ResourceInUse", 400, "AUTO_SCALING_CONFIGURATION", "autoscaling:SuspendProcesses of web in us-east-1 failed"),
    ],
)
def test_processes_that_cannot_be_suspended_fail_the_deployment(
    record: Store,
    suspended: Callable[[], set[str]],
    aws_server: AwsServer,
    monkeypatch: pytest.MonkeyPatch,
    refusal: str,
    status: int,
    code: str,
    said: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    made = deployment(record, ["web"], events=["DEPLOYMENT_FAILURE"])
    aws_server.fail("SuspendProcesses", refusal, status=status)
    with pytest.raises(AwsError, match=said):
        suspend_or_end(record, made, current_owner())
    assert error_of_failed(record, made) == code
    ended = get_deployment(record, made.deployment_id)
    assert {name for name, count in ended.deployment_overview.items() if count} == {"Skipped"}
    assert not rollback_due(ended), "no instance was touched"
    assert resume_left(record, made.deployment_group_id, current_owner()) == []
    assert suspended() == {"Terminate"}


def test_what_was_suspended_before_a_refusal_is_resumed(
    record: Store, suspended: Callable[[], set[str]], aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_group(aws_server, "workers")
    made = deployment(record, ["web", "workers"])
    taken: list[str] = []
    call = _auto_scaling._call

    def second_refused(settings: AwsSettings, operation: str, name: str, processes: Sequence[str]) -> None:
        if operation == "suspend_processes":
            taken.append(name)
            if len(taken) == 2:
                aws_server.fail("SuspendProcesses", "AccessDenied", status=403, times=1)
        call(settings, operation, name, processes)

    monkeypatch.setattr(_auto_scaling, "_call", second_refused)
    with pytest.raises(AwsError, match="SuspendProcesses of workers"):
        suspend_or_end(record, made, current_owner())
    assert taken == ["web", "workers"]
    assert suspended() == {"Terminate"}


def test_a_group_that_is_gone_needs_no_resuming(
    record: Store, suspended: Callable[[], set[str]], aws_server: AwsServer
) -> None:
    add_group(aws_server, "workers")
    made = deployment(record, ["web", "workers"])
    suspend(record, made, current_owner())
    aws_server.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName="workers", ForceDelete=True)
    conclude(record, made.deployment_id)
    assert resume_when_ended(record, made.deployment_id) is None
    assert suspended() == {"Terminate"}


def test_what_cannot_be_resumed_is_said_and_tried_again(
    record: Store, suspended: Callable[[], set[str]], aws_server: AwsServer
) -> None:
    made = deployment(record, ["web"])
    suspend(record, made, current_owner())
    conclude(record, made.deployment_id)
    aws_server.fail("ResumeProcesses", "AccessDenied", status=403, times=1)
    problem = resume_when_ended(record, made.deployment_id)
    assert problem is not None
    assert "autoscaling:ResumeProcesses" in problem
    aws_server.fail("ResumeProcesses", "AccessDenied", status=403, times=1)
    (problem,) = resume_left(record, made.deployment_group_id, current_owner())
    assert made.deployment_id in problem
    assert resume_left(record, made.deployment_group_id, current_owner()) == []
    assert suspended() == {"Terminate"}


def test_processes_that_cannot_be_suspended() -> None:
    assert ec2_options_problems({"auto_scaling_group_processes_to_suspend": ["Terminate"]}) == []
    (problem,) = ec2_options_problems({"auto_scaling_group_processes_to_suspend": ["Launch"]})
    assert "Launch: the processes are Terminate, AZRebalance" in problem
