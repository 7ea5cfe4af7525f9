# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What AWS is asked before a deployment is made: its alarms, and whom its events are told to."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._alarms import check_before_start
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import (
    AwsError,
    AwsSettings,
    aws_errors,
    client,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._preflight import Findings

_BUS_ARN = re.compile(r"arn:[a-z-]+:events:[a-z0-9-]+:\d{12}:event-bus/.+\Z")


def check_aws(recorded: dict[str, Any], findings: Findings, heed_alarms: bool = True) -> None:
    """Look at the alarms of a deployment that is to be made, and find the event bus that it names.

    :param recorded: settings that the record will have; an event bus is replaced by its ARN, and left out when it
        cannot be found: what only tells of a deployment does not keep it from being made.
    :param heed_alarms: whether an alarm keeps it from starting; none does so with a rollback.
    """
    name = recorded.get("event_bus_name")
    if not name and not recorded.get("alarm_configuration"):
        return
    settings = AwsSettings.from_arguments(recorded.get("aws") or {})
    if heed_alarms:
        problems, warnings = check_before_start(settings, recorded.get("alarm_configuration"))
        findings.problems.extend(problems)
        findings.warnings.extend(warnings)
    if name and not _BUS_ARN.match(name):
        try:
            recorded["event_bus_name"] = _arn_of_bus(settings, name)
        except AwsError as error:
            del recorded["event_bus_name"]
            findings.warnings.append(f"deploy_event_bus_name: no events are sent to {name}: {error.message}")


def _arn_of_bus(settings: AwsSettings, name: str) -> str:
    with aws_errors():
        return str(client(settings, "events").describe_event_bus(Name=name)["Arn"])
