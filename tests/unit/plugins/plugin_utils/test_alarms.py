# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alarms of a deployment group: what is refused, what CloudWatch says, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from support.alarms import alarm_configuration, put_alarm
from support.aws_server import AwsServer

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._alarms import (
    AlarmState,
    alarm_problems,
    alarm_state,
    check_before_start,
    stop_message,
    watched_alarms,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings


def settings(server: AwsServer) -> AwsSettings:
    """How the test's AWS is reached."""
    return AwsSettings.from_arguments(server.arguments)


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ("errors", "InvalidAlarmConfig", "must be a mapping"),
        ({"enabled": True, "alarms": "errors"}, "InvalidAlarmConfig", "list of mappings"),
        ({"enabled": True, "alarms": ["errors"]}, "InvalidAlarmConfig", "list of mappings"),
        ({"enabled": True}, "InvalidAlarmConfig", "names no alarms"),
        (alarm_configuration("a", ""), "InvalidAlarmConfig", "has no name"),
        (alarm_configuration("a", "b", "a"), "InvalidAlarmConfig", "a is there twice"),
        (alarm_configuration("a" * 256), "InvalidAlarmConfig", "more than 255"),
        (alarm_configuration(*(str(number) for number in range(51))), "AlarmsLimitExceeded", "51 alarms, at most 50"),
    ],
)
def test_what_the_api_refuses_is_refused(given: Any, code: str, text: str) -> None:
    problems = alarm_problems(given)
    assert any(found == code and text in sentence for found, sentence in problems), problems


@pytest.mark.parametrize("given", [{}, {"enabled": False, "alarms": []}, alarm_configuration("a", "b")])
def test_what_the_api_takes_is_taken(given: Any) -> None:
    assert alarm_problems(given) == []


def test_alarms_that_are_switched_off_are_not_watched() -> None:
    assert watched_alarms(alarm_configuration("a", enabled=False)) == []
    assert watched_alarms(None) == []
    assert watched_alarms(alarm_configuration("a", "b")) == ["a", "b"]


def test_what_rings_is_found_in_the_order_of_the_alarm_configuration(aws_server: AwsServer) -> None:
    for name, state in (("quiet", "OK"), ("new", "INSUFFICIENT_DATA"), ("loud", "ALARM"), ("angry", "ALARM")):
        put_alarm(aws_server, name, state)
    aws_server.forget_calls()
    assert alarm_state(settings(aws_server), alarm_configuration("quiet", "loud", "new", "angry")) == AlarmState(
        ["loud", "angry"]
    )
    assert len(aws_server.calls) == 1


def test_alarm_that_does_not_exist_is_one_that_cannot_be_read(aws_server: AwsServer) -> None:
    put_alarm(aws_server, "quiet", "OK")
    state = alarm_state(settings(aws_server), alarm_configuration("quiet", "gone"))
    assert state.active == []
    assert "no alarm gone" in str(state.unreadable)


def test_alarm_that_may_not_be_read(aws_server: AwsServer) -> None:
    aws_server.fail("DescribeAlarms", "AccessDenied", "no", status=403)
    state = alarm_state(settings(aws_server), alarm_configuration("quiet"))
    assert "cloudwatch:DescribeAlarms" in str(state.unreadable)
    problems, warnings = check_before_start(settings(aws_server), alarm_configuration("quiet"))
    assert "ignore_poll_alarm_failure" in problems[0]
    assert warnings == []
    problems, warnings = check_before_start(
        settings(aws_server), alarm_configuration("quiet", ignore_poll_alarm_failure=True)
    )
    assert problems == []
    assert "cloudwatch:DescribeAlarms" in warnings[0]


def test_deployment_does_not_start_while_an_alarm_rings(aws_server: AwsServer) -> None:
    put_alarm(aws_server, "loud", "ALARM")
    problems, warnings = check_before_start(settings(aws_server), alarm_configuration("loud"))
    assert problems[0].startswith("ALARM_ACTIVE: in ALARM now: loud")
    assert "deploy_alarm_configuration" in problems[0]
    assert warnings == []
    assert check_before_start(settings(aws_server), alarm_configuration("loud", enabled=False)) == ([], [])


def test_message_is_the_one_of_codedeploy() -> None:
    message = stop_message(alarm_configuration("a", "b"), AlarmState(["a", "b"]))
    assert message is not None
    assert message.endswith("Activated alarms: <a b>")
    assert stop_message(alarm_configuration("a"), AlarmState([])) is None
    assert "could not" in str(stop_message(alarm_configuration("a"), AlarmState([], "it could not be read")))
    ignoring = alarm_configuration("a", ignore_poll_alarm_failure=True)
    assert stop_message(ignoring, AlarmState([], "it could not be read")) is None
