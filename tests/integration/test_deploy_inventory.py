# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment to a group whose instances the inventory plugin finds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from support.applications import Application
from support.aws_server import REGION, AwsServer
from support.controller import Controller
from support.record import deployments, statuses

PLUGIN = "agentless.codedeploy.deployment_group"


def test_deploy_to_instances_by_tag(controller: Controller, aws_server: AwsServer, tmp_path: Path) -> None:
    """The instances are this machine; their addresses are no matter of the test."""
    instances = sorted(aws_server.run_instances(2, App="HollowWeb"))
    aws_server.run_instances(1, App="Other")
    inventory = tmp_path / "hollowweb.codedeploy.yml"
    group = {
        "deployment_group_name": "production",
        "ec2_tag_filters": [{"key": "App", "value": "HollowWeb", "type": "KEY_AND_VALUE"}],
        "deployment_config_name": "CodeDeployDefault.HalfAtATime",
    }
    compose = {
        "ansible_connection": "'local'",
        "ansible_python_interpreter": repr(sys.executable),
        "ansible_remote_tmp": repr(str(tmp_path / "tmp")),
        "deploy_become": "false",
        "deploy_root": f"'{tmp_path}/' ~ instance_id ~ '/root'",
        "deploy_destination_root": f"'{tmp_path}/' ~ instance_id",
    }
    content = {"plugin": PLUGIN, "application_name": "HollowWeb", "regions": [REGION], "compose": compose}
    inventory.write_text(yaml.safe_dump({**content, "deployment_groups": [group]}))
    application = Application(tmp_path / "application", "1", ValidateService='echo "$DEPLOYMENT_GROUP_NAME"')
    arguments = controller.playbook_arguments(
        "agentless.codedeploy.deploy",
        inventory,
        deploy_group="HollowWeb_production",
        deploy_revision=str(application.folder),
    )
    result = controller.run("ansible-playbook", *arguments, **aws_server.environment)
    assert result.rc == 0, str(result)
    (deployment,) = deployments(controller)
    assert (deployment["applicationName"], deployment["deploymentGroupName"]) == ("HollowWeb", "production")
    assert deployment["deploymentConfigName"] == "CodeDeployDefault.HalfAtATime"
    assert statuses(controller, deployment["deploymentId"]) == dict.fromkeys(instances, "Succeeded")
    listed = controller.run("ansible-inventory", "-i", str(inventory), "--list", **aws_server.environment)
    variables = json.loads(listed.stdout)["_meta"]["hostvars"][instances[0]]
    assert variables["codedeploy_health"] == {"HollowWeb_production": {"healthy": True, "revision": "Current"}}
