# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that tell SNS and EventBridge: who is told what, once, and that nothing fails when nobody can be told."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.aws_server import AwsServer
from support.deployments import deploy, install_event, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._announcements import tell_left
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    conclude,
    create_deployment,
    current_owner,
    finish_instance,
    list_audit,
    stop_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._notifications import (
    DEPLOYMENT_EVENTS,
    INSTANCE_EVENTS,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

EVERY_EVENT = (*DEPLOYMENT_EVENTS, *INSTANCE_EVENTS)
ACCOUNT = "123456789012"


class Listener:
    """A topic, an event bus, and the queue that both deliver to."""

    def __init__(self, server: AwsServer) -> None:
        self._sqs = server.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="deployments")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        sns, events = server.client("sns"), server.client("events")
        self.topic = sns.create_topic(Name="deployments")["TopicArn"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        self.bus = events.describe_event_bus()["Arn"]
        events.put_rule(Name="all", EventPattern=json.dumps({"source": ["agentless.codedeploy"]}), State="ENABLED")
        events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])

    def messages(self) -> list[dict[str, Any]]:
        """Take what has arrived since the last time, in its order."""
        received = []
        while batch := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for one in batch:
                received.append(json.loads(one["Body"]))
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=one["ReceiptHandle"])
        return received


@pytest.fixture
def listener(aws_server: AwsServer) -> Listener:
    """Give a topic and a bus that can be listened to."""
    return Listener(aws_server)


@pytest.fixture
def record(tmp_path: Path, aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Give an empty store, in a process that has credentials."""
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(str(tmp_path / "deployments.sqlite"))


def triggers(topic: str, events: Sequence[str] = EVERY_EVENT, name: str = "tell") -> dict[str, Any]:
    """Options of a deployment with one trigger."""
    trigger = {"trigger_name": name, "trigger_target_arn": topic, "trigger_events": list(events)}
    return {"trigger_configurations": [trigger]}


def told(listener: Listener) -> list[tuple[str, str]]:
    """What the topic was told: the deployment's or instance's name, and its status."""
    bodies = [json.loads(message["Message"]) for message in listener.messages()]
    return [
        (body.get("instanceId", "").rpartition("/")[2] or "deployment", body.get("status") or body["instanceStatus"])
        for body in bodies
    ]


def test_every_change_is_told_once(listener: Listener, record: Store) -> None:
    deploy(record, request("ab", options=triggers(listener.topic)), failing="b")
    assert told(listener) == [
        ("deployment", "Created"),
        ("a", "InProgress"),
        ("a", "Succeeded"),
        ("b", "InProgress"),
        ("b", "Failed"),
        ("deployment", "Succeeded"),
    ]


def test_message_is_what_codedeploy_sends(listener: Listener, record: Store) -> None:
    deployment = deploy(record, request(["i-0123456789abcdef0"], options=triggers(listener.topic)))
    messages = listener.messages()
    assert [message["Subject"] for message in messages] == [
        f"{word}: agentless.codedeploy {deployment.deployment_id} in us-east-1 to HollowWeb"
        for word in ("CREATED", "INSTANCESTART", "INSTANCESUCCESS", "SUCCEEDED")
    ]
    assert json.loads(messages[3]["Message"]) == {
        "region": "us-east-1",
        "accountId": ACCOUNT,
        "eventTriggerName": "tell",
        "applicationName": "HollowWeb",
        "deploymentId": deployment.deployment_id,
        "deploymentGroupName": "production",
        "createTime": f"{deployment.create_time:.3f}",
        "completeTime": f"{deployment.complete_time:.3f}",
        "deploymentOverview": {"Failed": "0", "InProgress": "0", "Pending": "0", "Skipped": "0", "Succeeded": "1"},
        "status": "Succeeded",
    }
    instance = json.loads(messages[2]["Message"])
    assert instance["instanceId"] == f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-0123456789abcdef0"
    assert instance["lifecycleEvents"] == [
        {"LifecycleEvent": "Install", "LifecycleEventStatus": "Succeeded", "StartTime": "1.500", "EndTime": "2.500"}
    ]


def test_trigger_is_told_what_it_asks_for(listener: Listener, record: Store) -> None:
    options = triggers(listener.topic, ["DeploymentFailure", "InstanceFailure"])
    deploy(record, request("abc", "OneAtATime", options=options), failing="a")
    assert told(listener) == [("a", "Failed"), ("deployment", "Failed")]


def test_stop_and_rollback_are_told(listener: Listener, record: Store) -> None:
    wanted = request("ab", options=triggers(listener.topic, [*DEPLOYMENT_EVENTS]))
    stopped = create_deployment(record, wanted)
    ask_to_start(record, stopped.deployment_id, "a")
    stop_deployment(record, stopped.deployment_id, current_owner())
    finish_instance(record, stopped.deployment_id, "a", "Failed", [install_event("Failed")])
    assert told(listener) == [("deployment", "Created"), ("deployment", "Stopped")]
    back = create_deployment(
        record, request("ab", only=["a"], rollback_of=stopped.deployment_id, options=wanted.options)
    )
    first, second = (json.loads(message["Message"]) for message in listener.messages())
    assert first["deploymentId"] == stopped.deployment_id
    assert first["rollbackInformation"]["RollbackDeploymentId"] == back.deployment_id
    assert second["deploymentId"] == back.deployment_id
    assert second["rollbackInformation"]["RollbackTriggeringDeploymentId"] == stopped.deployment_id


def test_instances_that_never_arrive_are_told(listener: Listener, record: Store) -> None:
    deployment = create_deployment(record, request("ab", options=triggers(listener.topic, ["InstanceFailure"])))
    conclude(record, deployment.deployment_id)
    assert told(listener) == [("a", "Failed"), ("b", "Failed")]


def test_deployment_of_nothing_is_told_as_one_that_succeeded(listener: Listener, record: Store) -> None:
    options = triggers(listener.topic)
    deploy(record, request("a", options=options))
    listener.messages()
    create_deployment(record, request("a", options=options, update_outdated_instances_only=True))
    assert told(listener) == [("deployment", "Succeeded"), ("deployment", "Succeeded")]


def test_event_bus_is_told_in_the_shape_of_codedeploy(listener: Listener, record: Store) -> None:
    wanted = request(["web1"], options={"event_bus_name": listener.bus})
    deployment = deploy(record, wanted)
    events = listener.messages()
    kinds = [(event["detail-type"].split()[1], event["detail"]["state"]) for event in events]
    assert kinds == [
        ("Deployment", "START"),
        ("Instance", "START"),
        ("Instance", "SUCCESS"),
        ("Deployment", "SUCCESS"),
    ]
    event = events[2]
    assert (event["source"], event["region"]) == ("agentless.codedeploy", "us-east-1")
    assert event["resources"] == [
        f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:application:HollowWeb",
        f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:deploymentgroup:HollowWeb/production",
        f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:instance/web1",
    ]
    assert event["detail"] == {
        "instanceGroupId": wanted.deployment_group_id,
        "region": "us-east-1",
        "application": "HollowWeb",
        "deploymentId": deployment.deployment_id,
        "state": "SUCCESS",
        "deploymentGroup": "production",
        "instanceId": "web1",
    }


def test_what_cannot_be_told_fails_nothing_and_is_recorded(
    listener: Listener, record: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = listener.topic.replace(":deployments", ":gone")
    deployment = deploy(record, request("a", options=triggers(gone, ["DeploymentStart", "InstanceSuccess"])))
    assert deployment.status == "Succeeded"
    failures = [entry for entry in list_audit(record) if entry.event_name == "NotificationFailed"]
    assert [entry.parameters for entry in failures] == [
        {"event": "DeploymentStart", "instance": None, "receiver": "tell"},
        {"event": "InstanceSuccess", "instance": "a", "receiver": "tell"},
    ]
    assert all("sns:Publish" in entry.result["error_message"] for entry in failures)
    assert {entry.deployment_id for entry in failures} == {deployment.deployment_id}
    assert "tell was not told of DeploymentStart" in " ".join(capsys.readouterr().err.split())


def test_one_that_cannot_be_told_does_not_keep_it_from_the_others(listener: Listener, record: Store) -> None:
    broken = triggers(listener.topic.replace(":deployments", ":gone"), ["DeploymentSuccess"])
    whole = triggers(listener.topic, ["DeploymentSuccess"], "whole")
    both = {"trigger_configurations": broken["trigger_configurations"] + whole["trigger_configurations"]}
    deploy(record, request("a", options=both))
    assert told(listener) == [("deployment", "Succeeded")]


def test_refused_event_is_recorded(listener: Listener, record: Store, aws_server: AwsServer) -> None:
    aws_server.fail("PutEvents", "AccessDeniedException", "not allowed")
    deploy(record, request("a", options={"event_bus_name": listener.bus}))
    failures = [entry for entry in list_audit(record) if entry.event_name == "NotificationFailed"]
    assert len(failures) == 4
    assert all("events:PutEvents" in entry.result["error_message"] for entry in failures)


def test_nobody_is_told_of_a_change_that_was_undone(listener: Listener, record: Store) -> None:
    deployment = create_deployment(record, request("a", options=triggers(listener.topic)))
    listener.messages()
    with pytest.raises(ZeroDivisionError), record.transaction() as tx:
        tx.after_commit.append(lambda _store: pytest.fail("told"))
        tx.execute("UPDATE deployments SET description = %s WHERE deployment_id = %s", ("x", deployment.deployment_id))
        raise ZeroDivisionError
    assert listener.messages() == []


def test_what_a_killed_process_has_not_told_is_told_later(
    listener: Listener, record: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = request("a", options=triggers(listener.topic))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(120)
        child = os.fork()
        if child == 0:
            # Takes the place of AWS and never answers.
            try:
                monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
                create_deployment(open_store(record.location), wanted)
            finally:
                os._exit(1)
        try:
            silent.accept()
            # Who lives tells it himself.
            assert tell_left(record, wanted.deployment_group_id) == 0
        finally:
            os.kill(child, signal.SIGKILL)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert told(listener) == []
    assert tell_left(record, "another group") == 0
    assert tell_left(record, wanted.deployment_group_id) == 1
    assert told(listener) == [("deployment", "Created")]
    assert tell_left(record, wanted.deployment_group_id) == 0
    assert told(listener) == []
