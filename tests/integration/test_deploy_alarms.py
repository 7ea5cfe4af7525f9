# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments of a group with alarms and triggers, by the deploy playbook: stopped, rolled back, refused, and told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.alarms import alarm_configuration, put_alarm
from support.applications import Application, installed_version
from support.aws_server import AwsServer
from support.controller import Controller, Result
from support.local_fleet import LocalFleet

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import get_targets, list_deployments
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

DEPLOY = "agentless.codedeploy.deploy"
RINGS = """{python} - <<'PYTHON'
import boto3
cloudwatch = boto3.client("cloudwatch", **{arguments})
cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="the new version")
PYTHON"""


def ringing(server: AwsServer) -> str:
    """Commands of a script that let the alarm "errors" ring."""
    given = server.arguments
    arguments = {
        "endpoint_url": given["endpoint_url"],
        "region_name": given["region"],
        "aws_access_key_id": given["access_key"],
        "aws_secret_access_key": given["secret_key"],
    }
    return RINGS.format(python=sys.executable, arguments=arguments)


def topic_with_queue(server: AwsServer) -> tuple[str, Callable[[], list[dict[str, Any]]]]:
    """Make a topic; returns its ARN, and what takes the messages that it has got."""
    sqs, sns = server.client("sqs"), server.client("sns")
    queue = sqs.create_queue(QueueName="deployments")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="deployments")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def take() -> list[dict[str, Any]]:
        taken = []
        while batch := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for one in batch:
                taken.append(json.loads(json.loads(one["Body"])["Message"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return taken

    return topic, take


def test_alarm_that_the_new_version_sets_off(
    controller: Controller, local_fleet: Callable[..., LocalFleet], aws_server: AwsServer, tmp_path: Path
) -> None:
    put_alarm(aws_server, "errors", "OK")
    topic, take = topic_with_queue(aws_server)
    events = ["DeploymentStart", "DeploymentSuccess", "DeploymentStop", "DeploymentRollback", "InstanceSuccess"]
    group = {
        "alarm_configuration": alarm_configuration("errors"),
        "alarm_poll_interval": 0,
        "auto_rollback_configuration": {"enabled": True, "events": ["DEPLOYMENT_STOP_ON_ALARM"]},
        "trigger_configurations": [{"trigger_name": "all", "trigger_target_arn": topic, "trigger_events": events}],
    }
    fleet = local_fleet(2, codedeploy_deployment_groups={"web": group})
    controller.environment.update(aws_server.environment)

    def deploy(folder: Path, **variables: object) -> Result:
        return controller.playbook(DEPLOY, fleet.inventory(), deploy_group="web", deploy_revision=folder, **variables)

    good = Application(tmp_path / "good", "1")
    bad = Application(tmp_path / "bad", "2", ValidateService=ringing(aws_server))
    first = deploy(good.folder)
    assert first.rc == 0, str(first)
    assert [message.get("status") or message["instanceStatus"] for message in take()] == [
        "Created",
        "Succeeded",
        "Succeeded",
        "Succeeded",
    ]

    stopped = deploy(bad.folder)
    assert stopped.rc == 2, str(stopped)
    assert "Activated alarms: <errors>" in stopped.stdout
    store = open_store(str(controller.store))
    rollback, failed, _first = list_deployments(store)
    assert failed.status == "Stopped"
    assert failed.error_information is not None
    assert failed.error_information["code"] == "ALARM_ACTIVE"
    targets = get_targets(store, failed.deployment_id)
    assert [target.status for target in targets] == ["Succeeded", "Skipped"]
    assert rollback.status == "Succeeded"
    assert [installed_version(fleet.files(name)) for name in fleet.names] == ["1", "1"]
    told = [(message["deploymentId"], message.get("status") or message["instanceStatus"]) for message in take()]
    assert told == [
        (failed.deployment_id, "Created"),
        (failed.deployment_id, "Succeeded"),
        (failed.deployment_id, "Stopped"),
        (failed.deployment_id, "Stopped"),
        (rollback.deployment_id, "Created"),
        (rollback.deployment_id, "Succeeded"),
        (rollback.deployment_id, "Succeeded"),
    ]

    refused = deploy(good.folder)
    assert refused.rc == 2
    assert "ALARM_ACTIVE: in ALARM now: errors" in refused.stdout
    assert len(list_deployments(store)) == 3
