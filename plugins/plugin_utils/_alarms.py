# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CloudWatch alarms of a deployment group: one that rings keeps a deployment from starting, and stops one that runs."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import (
    AwsError,
    AwsSettings,
    aws_errors,
    client,
)

ALARM_LIMIT = 50
"""The newer of the two limits that CodeDeploy's guide names; the older one is 10."""

NAME_LENGTH = 255
NAMES_A_CALL = 100


@dataclass(frozen=True)
class AlarmState:
    """What CloudWatch says of the alarms of a configuration.

    :param active: names of those in ALARM.
    :param unreadable: why the state of one of them is not known.
    """

    active: list[str]
    unreadable: str | None = None


def alarm_problems(configuration: t.Any) -> list[tuple[str, str]]:
    """Check an ``alarm_configuration`` as the API does.

    :returns: for each problem CodeDeploy's error code and a sentence.
    """
    if not isinstance(configuration, t.Mapping):
        return [("InvalidAlarmConfig", "it must be a mapping with enabled and alarms")]
    alarms = configuration.get("alarms") or []
    if not isinstance(alarms, (list, tuple)) or not all(isinstance(alarm, t.Mapping) for alarm in alarms):
        return [("InvalidAlarmConfig", "alarms must be a list of mappings with a name")]
    names = [str(alarm.get("name") or "") for alarm in alarms]
    problems = []
    if configuration.get("enabled") and not names:
        problems.append(("InvalidAlarmConfig", "it is enabled and names no alarms"))
    if not all(names):
        problems.append(("InvalidAlarmConfig", "an alarm has no name"))
    problems += [("InvalidAlarmConfig", f"{name} is there twice") for name in set(names) if names.count(name) > 1]
    problems += [
        ("InvalidAlarmConfig", f"the name {name[:40]}... has more than {NAME_LENGTH} characters")
        for name in names
        if len(name) > NAME_LENGTH
    ]
    if len(names) > ALARM_LIMIT:
        problems.append(("AlarmsLimitExceeded", f"{len(names)} alarms, at most {ALARM_LIMIT}"))
    return problems


def watched_alarms(configuration: t.Mapping[str, t.Any] | None) -> list[str]:
    """Return the names of the alarms that a deployment has to heed; none when the configuration is switched off."""
    if not configuration or not configuration.get("enabled"):
        return []
    return [str(alarm["name"]) for alarm in configuration.get("alarms") or []]


def alarm_state(settings: AwsSettings, configuration: t.Mapping[str, t.Any] | None) -> AlarmState:
    """Ask CloudWatch for the alarms of a configuration, one call for up to 100 of them."""
    names = watched_alarms(configuration)
    states: dict[str, str] = {}
    try:
        with aws_errors():
            cloudwatch = client(settings, "cloudwatch") if names else None
            for start in range(0, len(names), NAMES_A_CALL):
                states.update(_states(cloudwatch, names[start : start + NAMES_A_CALL]))
    except AwsError as error:
        return AlarmState([], f"the alarms {', '.join(names)} could not be read: {error.message}")
    active = [name for name in names if states.get(name) == "ALARM"]
    missing = [name for name in names if name not in states]
    if not missing:
        return AlarmState(active)
    return AlarmState(active, f"CloudWatch has no alarm {', '.join(missing)} in this account and region")


def _states(cloudwatch: t.Any, names: list[str]) -> dict[str, str]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    return {
        alarm["AlarmName"]: alarm["StateValue"]
        for page in pages
        for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]
    }


def stop_message(configuration: t.Mapping[str, t.Any], state: AlarmState) -> str | None:
    """Return why the alarms end a deployment, as CodeDeploy says it; None when they do not."""
    if state.active:
        return (
            "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the "
            f"affected deployments have been stopped. Activated alarms: <{' '.join(state.active)}>"
        )
    if state.unreadable and not configuration.get("ignore_poll_alarm_failure"):
        return f"The deployment cannot go on without its alarms: {state.unreadable}"
    return None


def check_before_start(
    settings: AwsSettings, configuration: t.Mapping[str, t.Any] | None
) -> tuple[list[str], list[str]]:
    """Look at the alarms before a deployment is made.

    :returns: what prevents it, and what is worth a warning.
    """
    if not watched_alarms(configuration):
        return [], []
    configuration = configuration or {}
    state = alarm_state(settings, configuration)
    message = stop_message(configuration, state)
    if state.active:
        return [
            f"ALARM_ACTIVE: in ALARM now: {', '.join(state.active)}; to deploy all the same, a repair for example: "
            """-e '{"deploy_alarm_configuration": {"enabled": false}}'"""
        ], []
    if message is not None:
        return [
            f"deploy_alarm_configuration: {state.unreadable}; correct it, or set ignore_poll_alarm_failure in it"
        ], []
    return [], [state.unreadable] if state.unreadable else []
