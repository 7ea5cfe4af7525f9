# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of an Auto Scaling group are suspended by a run that may, and resumed after one that was killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support.applications import Application, installed_version
from support.aws_server import IMAGE, AwsServer
from support.controller import Controller
from support.local_fleet import LocalFleet
from support.waiting import wait_until

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import list_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

DEPLOY = "agentless.codedeploy.deploy"


def test_suspended_refused_and_killed(
    aws_server: AwsServer, controller: Controller, local_fleet: Callable[..., LocalFleet], tmp_path: Path
) -> None:
    autoscaling = aws_server.client("autoscaling")
    autoscaling.create_launch_configuration(LaunchConfigurationName="web", ImageId=IMAGE, InstanceType="t3.micro")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="web",
        LaunchConfigurationName="web",
        MinSize=0,
        MaxSize=0,
        AvailabilityZones=["us-east-1a"],
    )
    controller.environment.update(aws_server.environment)
    fleet = local_fleet(1)
    hold = f"touch {tmp_path}/started; while [ ! -e {tmp_path}/release ]; do sleep 0.1; done"
    application = Application(tmp_path / "application", "1", AfterInstall=hold)
    options = {"auto_scaling_group_processes_to_suspend": ["AZRebalance", "Terminate"]}
    variables = {
        "deploy_group": "web",
        "deploy_revision": application.folder,
        "deploy_auto_scaling_groups": ["web"],
        "deploy_ec2_deployment_options": options,
    }
    arguments = controller.playbook_arguments(DEPLOY, fleet.inventory(), **variables)

    def suspended() -> set[str]:
        (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["web"])["AutoScalingGroups"]
        return {process["ProcessName"] for process in group["SuspendedProcesses"]}

    aws_server.fail("SuspendProcesses", "AccessDenied", "no", status=403, times=1)
    refused = controller.run("ansible-playbook", *arguments)
    assert refused.rc == 2
    assert "allow autoscaling:SuspendProcesses" in " ".join(refused.stdout.split())
    (failed,) = list_deployments(open_store(str(controller.store)))
    assert failed.status == "Failed"
    assert (failed.error_information or {})["code"] == "AUTO_SCALING_IAM_ROLE_PERMISSIONS"
    assert installed_version(fleet.files("web1")) is None

    killed = controller.start("ansible-playbook", *arguments)
    try:
        wait_until((tmp_path / "started").exists, "the script runs", killed)
        assert suspended() == {"AZRebalance", "Terminate"}
    finally:
        killed.kill()
        (tmp_path / "release").touch()
    killed.wait()
    # What is left of the killed run resumes them, or the next one does, which suspends nothing itself.
    del variables["deploy_ec2_deployment_options"]
    following = controller.playbook(DEPLOY, fleet.inventory(), **variables)
    assert following.rc == 0, str(following)
    assert suspended() == set()
    actions = [call["action"] for call in aws_server.calls]
    assert "ResumeProcesses" in actions
    assert actions.count("SuspendProcesses") == 2
