# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of Auto Scaling groups are suspended for a deployment, and resumed by whoever comes after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.aws_server import AwsServer
from support.deployments import GONE, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._auto_scaling import (
    ec2_options_problems,
    resume_left,
    resume_when_ended,
    suspend,
    suspend_or_end,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsError
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
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchConfigurationName="web",
        MinSize=0,
        MaxSize=0,
        AvailabilityZones=["us-east-1a"],
    )
    autoscaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Terminate"])

    def now() -> set[str]:
        found = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"][0]
        return {one["ProcessName"] for one in found["SuspendedProcesses"]}

    return now


def deployment(store: Store, groups: list[str], owner: Owner | None = None) -> Deployment:
    """Record a deployment that suspends two processes."""
    processes = {"auto_scaling_group_processes_to_suspend": ["Terminate", "AZRebalance"]}
    options = {"auto_scaling_groups": groups, "ec2_deployment_options": processes}
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


def test_a_group_that_does_not_exist_ends_the_deployment(record: Store, suspended: Callable[[], set[str]]) -> None:
    made = deployment(record, ["web", "other"])
    with pytest.raises(AwsError, match="no Auto Scaling group other"):
        suspend_or_end(record, made, current_owner())
    ended = get_deployment(record, made.deployment_id)
    assert not ended.active
    assert (ended.error_information or {})["code"] == "AUTO_SCALING_CONFIGURATION"
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
    resume_left(record, made.deployment_group_id, current_owner())
    assert suspended() == {"Terminate"}


def test_processes_that_cannot_be_suspended() -> None:
    assert ec2_options_problems({"auto_scaling_group_processes_to_suspend": ["Terminate"]}) == []
    (problem,) = ec2_options_problems({"auto_scaling_group_processes_to_suspend": ["Launch"]})
    assert "Launch: the processes are Terminate, AZRebalance" in problem
