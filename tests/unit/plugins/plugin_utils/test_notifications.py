# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What triggers and event buses are told: the samples of CodeDeploy's guide, and what the API refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._notifications import (
    Announcement,
    bus_entry,
    message,
    place_of,
    subject,
    trigger_problems,
)

TOPIC = "arn:aws:sns:us-west-1:111222333444:deployments"
PLACE = place_of(TOPIC)
# The row of a deployment whose message the guide shows.
FAILED = {
    "deployment_id": "d-75I7MBT7C",
    "deployment_group_id": "8c1a5c4e-0000-4000-8000-000000000001",
    "application_name": "ProductionApp-us-west-3",
    "deployment_group_name": "dep-group-def-456",
    "create_time": 1446744188.595,
    "complete_time": 1446744190.402,
    "status": "Failed",
    "error_code": "IAM_ROLE_MISSING",
    "error_message": "IAM Role is missing for deployment group: dep-group-def-456",
    "failed": 10,
    "in_progress": 0,
    "pending": 0,
    "skipped": 0,
    "succeeded": 0,
    "rollback_message": None,
    "rollback_deployment_id": None,
    "rollback_triggering_deployment_id": None,
}
CREATED = {**FAILED, "status": "Created", "complete_time": None, "error_code": None, "error_message": None}
TARGET = {
    "deployment_id": "d-75I7MBT7C",
    "instance": "i-496589f7",
    "status": "Succeeded",
    "last_updated_at": 1446744207.564,
}
EVENTS = (
    {
        "lifecycle_event_name": "ApplicationStop",
        "status": "Succeeded",
        "start_time": 1446744188.595,
        "end_time": 1446744188.711,
    },
    {
        "lifecycle_event_name": "BeforeInstall",
        "status": "Succeeded",
        "start_time": 1446744189.827,
        "end_time": 1446744190.402,
    },
    {"lifecycle_event_name": "Install", "status": "InProgress", "start_time": 1446744190.5, "end_time": None},
)


def trigger(**fields: Any) -> dict[str, Any]:
    """A trigger that is in order, but for what is given."""
    return {"trigger_name": "tell", "trigger_target_arn": TOPIC, "trigger_events": ["DeploymentStart"], **fields}


def test_deployment_message_is_the_one_of_the_guide() -> None:
    told = message(Announcement("DeploymentFailure", FAILED, {}), "Trigger-group-us-west-3-deploy-failed", PLACE)
    assert told == {
        "region": "us-west-1",
        "accountId": "111222333444",
        "eventTriggerName": "Trigger-group-us-west-3-deploy-failed",
        "applicationName": "ProductionApp-us-west-3",
        "deploymentId": "d-75I7MBT7C",
        "deploymentGroupName": "dep-group-def-456",
        "createTime": "1446744188.595",
        "completeTime": "1446744190.402",
        "deploymentOverview": {"Failed": "10", "InProgress": "0", "Pending": "0", "Skipped": "0", "Succeeded": "0"},
        "status": "Failed",
        "errorInformation": {
            "ErrorCode": "IAM_ROLE_MISSING",
            "ErrorMessage": "IAM Role is missing for deployment group: dep-group-def-456",
        },
    }


def test_instance_message_is_the_one_of_the_guide() -> None:
    announcement = Announcement("InstanceSuccess", CREATED, {}, TARGET, EVENTS)
    told = message(announcement, "trigger-group-us-east-instance-succeeded", PLACE)
    assert told == {
        "region": "us-west-1",
        "accountId": "111222333444",
        "eventTriggerName": "trigger-group-us-east-instance-succeeded",
        "deploymentId": "d-75I7MBT7C",
        "instanceId": "arn:aws:ec2:us-west-1:111222333444:instance/i-496589f7",
        "lastUpdatedAt": "1446744207.564",
        "instanceStatus": "Succeeded",
        "lifecycleEvents": [
            {
                "LifecycleEvent": "ApplicationStop",
                "LifecycleEventStatus": "Succeeded",
                "StartTime": "1446744188.595",
                "EndTime": "1446744188.711",
            },
            {
                "LifecycleEvent": "BeforeInstall",
                "LifecycleEventStatus": "Succeeded",
                "StartTime": "1446744189.827",
                "EndTime": "1446744190.402",
            },
            {"LifecycleEvent": "Install", "LifecycleEventStatus": "InProgress", "StartTime": "1446744190.500"},
        ],
    }


def test_what_has_not_happened_is_not_told() -> None:
    told = message(Announcement("DeploymentStart", CREATED, {}), "start", PLACE)
    assert "completeTime" not in told
    assert "errorInformation" not in told
    assert "rollbackInformation" not in told


def test_rollback_is_told_with_its_deployment() -> None:
    row = {**FAILED, "rollback_deployment_id": "d-QA4G4F9EX", "rollback_message": "Deployment d-75I7MBT7C terminated."}
    told = message(Announcement("DeploymentRollback", row, {}), "back", PLACE)
    assert told["rollbackInformation"] == {
        "RollbackDeploymentId": "d-QA4G4F9EX",
        "RollbackMessage": "Deployment d-75I7MBT7C terminated.",
    }


def test_subject_names_the_deployment_and_keeps_to_the_limit_of_sns() -> None:
    short = subject(Announcement("DeploymentFailure", FAILED, {}), PLACE)
    assert short == "FAILED: agentless.codedeploy d-75I7MBT7C in us-west-1 to ProductionApp-us-west-3"
    assert len(subject(Announcement("DeploymentFailure", {**FAILED, "application_name": "a" * 100}, {}), PLACE)) == 100


@pytest.mark.parametrize(
    ("event", "state"),
    [("Start", "START"), ("Success", "SUCCESS"), ("Failure", "FAILURE"), ("Stop", "STOP")],
)
def test_event_of_a_deployment(event: str, state: str) -> None:
    bus = "arn:aws:events:us-west-1:111222333444:event-bus/default"
    entry = bus_entry(Announcement(f"Deployment{event}", FAILED, {}), bus, place_of(bus))
    assert entry is not None
    assert json.loads(entry.pop("Detail")) == {
        "instanceGroupId": "8c1a5c4e-0000-4000-8000-000000000001",
        "region": "us-west-1",
        "application": "ProductionApp-us-west-3",
        "deploymentId": "d-75I7MBT7C",
        "state": state,
        "deploymentGroup": "dep-group-def-456",
    }
    assert entry == {
        "EventBusName": bus,
        "Source": "agentless.codedeploy",
        "DetailType": "CodeDeploy Deployment State-change Notification",
        "Resources": [
            "arn:aws:codedeploy:us-west-1:111222333444:application:ProductionApp-us-west-3",
            "arn:aws:codedeploy:us-west-1:111222333444:deploymentgroup:ProductionApp-us-west-3/dep-group-def-456",
        ],
    }


def test_event_of_an_instance_that_is_not_of_ec2() -> None:
    entry = bus_entry(Announcement("InstanceFailure", FAILED, {}, {**TARGET, "instance": "web1"}), "default", PLACE)
    assert entry is not None
    assert entry["DetailType"] == "CodeDeploy Instance State-change Notification"
    assert entry["Resources"][2] == "arn:aws:codedeploy:us-west-1:111222333444:instance/web1"
    assert json.loads(entry["Detail"])["instanceId"] == "web1"


def test_rollback_has_no_event_of_its_own() -> None:
    assert bus_entry(Announcement("DeploymentRollback", FAILED, {}), "default", PLACE) is None


def test_trigger_gets_the_events_that_it_asks_for() -> None:
    options = {"trigger_configurations": [trigger(trigger_name="a"), trigger(trigger_name="b", trigger_events=["x"])]}
    assert [one["trigger_name"] for one in Announcement("DeploymentStart", CREATED, options).triggers] == ["a"]


@pytest.mark.parametrize(
    ("configurations", "code", "text"),
    [
        ("all", "InvalidTriggerConfig", "must be a list"),
        (["all"], "InvalidTriggerConfig", "trigger 1 must have trigger_name"),
        ([trigger(trigger_name="")], "InvalidTriggerConfig", "trigger 1 has no trigger_name"),
        ([trigger(trigger_target_arn="deployments")], "InvalidTriggerConfig", "not 'deployments'"),
        ([trigger(trigger_events=[])], "InvalidTriggerConfig", "must be a list of DeploymentStart"),
        ([trigger(trigger_events=["DeploymentDone"])], "InvalidTriggerConfig", "trigger tell: DeploymentDone"),
        ([trigger()] * 11, "TriggerTargetsLimitExceeded", "11 triggers, at most 10"),
    ],
)
def test_what_the_api_refuses_is_refused(configurations: Any, code: str, text: str) -> None:
    problems = trigger_problems(configurations)
    assert any(found == code and text in sentence for found, sentence in problems), problems


def test_what_the_api_takes_is_taken() -> None:
    every = trigger(trigger_events=["DeploymentStart", "InstanceFailure", "DeploymentReady"])
    assert trigger_problems([every] * 10) == []
    assert place_of("arn:aws-cn:sns:cn-north-1:123456789012:t").arn("ec2", "instance/i-1") == (
        "arn:aws-cn:ec2:cn-north-1:123456789012:instance/i-1"
    )
