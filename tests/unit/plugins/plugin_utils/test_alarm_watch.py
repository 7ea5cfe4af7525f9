# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments that look at their alarms: when they are stopped, by which worker, and how often CloudWatch is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.alarms import alarm_configuration, put_alarm
from support.aws_server import AwsServer
from support.deployments import deploy, install_event, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._alarm_watch import AlarmWatch
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import CREATOR, rollback_due
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    Deployment,
    ask_to_start,
    create_deployment,
    finish_instance,
    get_deployment,
    stop_requested,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store


@pytest.fixture
def record(tmp_path: Path, aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Give an empty store, in a process that has credentials."""
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(str(tmp_path / "deployments.sqlite"))


def deployment_with(store: Store, instances: str = "ab", interval: int = 0, **more: Any) -> Deployment:
    """Create a deployment that heeds the alarm "errors"."""
    options = {"alarm_configuration": alarm_configuration("errors", **more), "alarm_poll_interval": interval}
    return create_deployment(store, request(instances, "OneAtATime", options=options))


def test_alarm_between_two_instances_stops_the_deployment(record: Store, aws_server: AwsServer) -> None:
    put_alarm(aws_server, "errors", "OK")
    deployment = deployment_with(record)
    watch = AlarmWatch(record, deployment)
    watch.look()
    assert ask_to_start(record, deployment.deployment_id, "a").action == "go"
    finish_instance(record, deployment.deployment_id, "a", "Succeeded", [install_event()])
    put_alarm(aws_server, "errors", "ALARM")
    watch.look()
    assert ask_to_start(record, deployment.deployment_id, "b").action == "stop"
    ended = get_deployment(record, deployment.deployment_id)
    assert ended.status == "Stopped"
    assert ended.error_information is not None
    assert ended.error_information["code"] == "ALARM_ACTIVE"
    assert ended.error_information["message"].endswith("Activated alarms: <errors>")


def test_alarm_while_an_instance_is_in_work_keeps_it_from_its_next_event(record: Store, aws_server: AwsServer) -> None:
    put_alarm(aws_server, "errors", "ALARM")
    deployment = deployment_with(record)
    ask_to_start(record, deployment.deployment_id, "a")
    AlarmWatch(record, deployment).look()
    assert stop_requested(record, deployment.deployment_id)


def test_deployment_that_an_alarm_has_stopped_is_rolled_back_when_asked_for(
    record: Store, aws_server: AwsServer
) -> None:
    put_alarm(aws_server, "errors", "ALARM")
    deploy(record, request("ab"))
    due = {}
    for event in ("DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"):
        options = {
            "alarm_configuration": alarm_configuration("errors"),
            "alarm_poll_interval": 0,
            "auto_rollback_configuration": {"enabled": True, "events": [event]},
        }
        deployment = create_deployment(record, request("ab", number=2, options=options))
        AlarmWatch(record, deployment).look()
        due[event] = rollback_due(get_deployment(record, deployment.deployment_id))
    assert due == {"DEPLOYMENT_STOP_ON_ALARM": True, "DEPLOYMENT_STOP_ON_REQUEST": False}


def test_alarms_that_cannot_be_read_stop_it_unless_that_is_ignored(record: Store, aws_server: AwsServer) -> None:
    strict = deployment_with(record)
    AlarmWatch(record, strict).look()
    ended = get_deployment(record, strict.deployment_id)
    assert ended.error_information is not None
    assert ended.error_information["code"] == "ALARM_ACTIVE"
    assert "no alarm errors" in ended.error_information["message"]
    lenient = deployment_with(record, ignore_poll_alarm_failure=True)
    AlarmWatch(record, lenient).look()
    assert get_deployment(record, lenient.deployment_id).active


def test_many_workers_ask_once_in_an_interval(record: Store, aws_server: AwsServer) -> None:
    put_alarm(aws_server, "errors", "OK")
    deployment = deployment_with(record, "abcdefgh", interval=3600)
    aws_server.forget_calls()
    for _worker in range(20):
        AlarmWatch(record, deployment).look()
    assert len(aws_server.calls) == 1


def test_alarms_are_asked_for_again_after_the_interval(
    tmp_path: Path, aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws_server.environment.items():
        monkeypatch.setenv(name, value)
    put_alarm(aws_server, "errors", "OK")
    record = open_store(str(tmp_path / "deployments.sqlite"))
    start = record.clock()
    record.clock = lambda: start
    deployment = deployment_with(record, interval=10)
    AlarmWatch(record, deployment).look()
    put_alarm(aws_server, "errors", "ALARM")
    record.clock = lambda: start + 9
    AlarmWatch(record, deployment).look()
    assert not stop_requested(record, deployment.deployment_id)
    record.clock = lambda: start + 10
    AlarmWatch(record, deployment).look()
    assert stop_requested(record, deployment.deployment_id)


def test_nothing_is_asked_when_no_alarm_is_heeded(record: Store, aws_server: AwsServer) -> None:
    put_alarm(aws_server, "errors", "ALARM")
    aws_server.forget_calls()
    for options in ({}, {"alarm_configuration": alarm_configuration("errors", enabled=False)}):
        deployment = create_deployment(record, request("a", options=options))
        AlarmWatch(record, deployment).look()
        ask_to_start(record, deployment.deployment_id, "a")
        finish_instance(record, deployment.deployment_id, "a", "Succeeded", [install_event()])
    options = {"alarm_configuration": alarm_configuration("errors"), "alarm_poll_interval": 0}
    AlarmWatch(record, create_deployment(record, request("a", creator=CREATOR, options=options))).look()
    assert aws_server.calls == []
