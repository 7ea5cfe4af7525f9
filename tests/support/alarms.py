# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CloudWatch alarms that tests have in common."""

from __future__ import annotations

from typing import Any

from support.aws_server import AwsServer


def alarm_configuration(*names: str, **more: Any) -> dict[str, Any]:
    """An alarm_configuration that is switched on."""
    return {"enabled": True, "alarms": [{"name": name} for name in names], **more}


def put_alarm(server: AwsServer, name: str, state: str) -> None:
    """Make an alarm that is in a state."""
    cloudwatch = server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        MetricName="5xx",
        Namespace="HollowWeb",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")
