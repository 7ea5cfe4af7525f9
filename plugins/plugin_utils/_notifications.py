# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The events of a deployment, and what SNS and EventBridge are told of them, in CodeDeploy's own shapes."""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

JSONObject = dict[str, t.Any]

DEPLOYMENT_EVENTS = (
    "DeploymentStart",
    "DeploymentSuccess",
    "DeploymentFailure",
    "DeploymentStop",
    "DeploymentRollback",
    "DeploymentReady",
)
INSTANCE_EVENTS = ("InstanceStart", "InstanceSuccess", "InstanceFailure", "InstanceReady")
TRIGGER_LIMIT = 10
# AWS refuses events whose source begins with "aws".
EVENT_SOURCE = "agentless.codedeploy"
# A rollback has no state of its own there: the rolled back deployment's end and the new one's start tell it.
_STATES = {"Start": "START", "Success": "SUCCESS", "Failure": "FAILURE", "Stop": "STOP", "Ready": "READY"}
_TOPIC = re.compile(r"arn:(?P<partition>[a-z-]+):sns:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):[A-Za-z0-9_-]+\Z")
_BUS = re.compile(r"arn:(?P<partition>[a-z-]+):events:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):event-bus/.+\Z")
_EC2_INSTANCE = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})\Z")


@dataclass(frozen=True)
class Place:
    """The AWS account and region that names (ARN) are made for."""

    region: str
    account: str
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        """Return the Amazon Resource Name of something in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class Announcement:
    """One event, with what the record said when it happened.

    :param event: one of DEPLOYMENT_EVENTS or INSTANCE_EVENTS.
    :param deployment: the deployment's row.
    :param options: its options, read.
    :param target: the instance's row, for an instance's event.
    :param lifecycle_events: rows of the instance's lifecycle events, in their order.
    """

    event: str
    deployment: JSONObject
    options: JSONObject
    target: JSONObject | None = None
    lifecycle_events: tuple[JSONObject, ...] = ()

    @property
    def triggers(self) -> list[JSONObject]:
        """The triggers of the deployment that ask for this event."""
        configured = self.options.get("trigger_configurations") or []
        return [trigger for trigger in configured if self.event in (trigger.get("trigger_events") or [])]


def trigger_problems(configurations: t.Any) -> list[tuple[str, str]]:
    """Check ``trigger_configurations`` as the API does.

    :returns: for each problem CodeDeploy's error code and a sentence.
    """
    if not isinstance(configurations, (list, tuple)):
        return [("InvalidTriggerConfig", "it must be a list")]
    problems = []
    if len(configurations) > TRIGGER_LIMIT:
        problems.append(("TriggerTargetsLimitExceeded", f"{len(configurations)} triggers, at most {TRIGGER_LIMIT}"))
    for number, trigger in enumerate(configurations, 1):
        problems.extend(("InvalidTriggerConfig", problem) for problem in _problems_of_one(number, trigger))
    return problems


def _problems_of_one(number: int, trigger: t.Any) -> t.Iterator[str]:
    if not isinstance(trigger, t.Mapping):
        yield f"trigger {number} must have trigger_name, trigger_target_arn and trigger_events"
        return
    name = trigger.get("trigger_name")
    if not name:
        yield f"trigger {number} has no trigger_name"
    if not _TOPIC.match(str(trigger.get("trigger_target_arn"))):
        yield (
            f"trigger {name or number}: trigger_target_arn must be the ARN of a standard SNS topic, "
            f"not {trigger.get('trigger_target_arn')!r}"
        )
    events = trigger.get("trigger_events")
    known = DEPLOYMENT_EVENTS + INSTANCE_EVENTS
    if not events or not isinstance(events, (list, tuple)):
        yield f"trigger {name or number}: trigger_events must be a list of {', '.join(known)}"
        return
    unknown = [str(event) for event in events if event not in known]
    if unknown:
        yield f"trigger {name or number}: {', '.join(unknown)}: the events are {', '.join(known)}"


def place_of(arn: str) -> Place:
    """Return the account and region of an SNS topic or an event bus, which what it is told is made for.

    :raises ValueError: the text is no ARN of such.
    """
    match = _TOPIC.match(arn) or _BUS.match(arn)
    if match is None:
        raise ValueError(f"{arn!r} is not the ARN of an SNS topic or an event bus")
    return Place(match["region"], match["account"], match["partition"])


def subject(announcement: Announcement, place: Place) -> str:
    """Return the subject of a message, which e-mail shows (at most 100 characters)."""
    deployment = announcement.deployment
    status = deployment["status"] if announcement.target is None else announcement.event
    text = (
        f"{status.upper()}: agentless.codedeploy {deployment['deployment_id']} in {place.region} "
        f"to {deployment['application_name']}"
    )
    return text[:100]


def message(announcement: Announcement, trigger_name: str, place: Place) -> JSONObject:
    """Return what a trigger sends: the format that CodeDeploy's guide documents for its triggers, all values texts."""
    head = {"region": place.region, "accountId": place.account, "eventTriggerName": trigger_name}
    if announcement.target is not None:
        return {**head, **_instance_fields(announcement, announcement.target, place)}
    return {**head, **_deployment_fields(announcement)}


def _deployment_fields(announcement: Announcement) -> JSONObject:
    row = announcement.deployment
    overview = {"Failed": "failed", "InProgress": "in_progress", "Pending": "pending"}
    overview.update({"Skipped": "skipped", "Succeeded": "succeeded"})
    fields = {
        "applicationName": row["application_name"],
        "deploymentId": row["deployment_id"],
        "deploymentGroupName": row["deployment_group_name"],
        "createTime": _seconds(row["create_time"]),
        "completeTime": _seconds(row["complete_time"]),
        "deploymentOverview": {name: str(row[column]) for name, column in overview.items()},
        "status": row["status"],
    }
    if row["error_code"]:
        fields["errorInformation"] = {"ErrorCode": row["error_code"], "ErrorMessage": row["error_message"] or ""}
    if row["rollback_message"]:
        fields["rollbackInformation"] = {
            name: row[column]
            for name, column in (
                ("RollbackDeploymentId", "rollback_deployment_id"),
                ("RollbackTriggeringDeploymentId", "rollback_triggering_deployment_id"),
                ("RollbackMessage", "rollback_message"),
            )
            if row[column]
        }
    return {name: value for name, value in fields.items() if value is not None}


def _instance_fields(announcement: Announcement, target: JSONObject, place: Place) -> JSONObject:
    events = []
    for row in announcement.lifecycle_events:
        event = {
            "LifecycleEvent": row["lifecycle_event_name"],
            "LifecycleEventStatus": row["status"],
            "StartTime": _seconds(row["start_time"]),
            "EndTime": _seconds(row["end_time"]),
        }
        events.append({name: value for name, value in event.items() if value is not None})
    return {
        "deploymentId": target["deployment_id"],
        "instanceId": instance_arn(target["instance"], place),
        "lastUpdatedAt": _seconds(target["last_updated_at"]),
        "instanceStatus": target["status"],
        "lifecycleEvents": events,
    }


def instance_arn(name: str, place: Place) -> str:
    """Return the ARN of an instance: EC2's own when it is named by its id, else one as of an on-premises instance."""
    return place.arn("ec2" if _EC2_INSTANCE.match(name) else "codedeploy", f"instance/{name}")


def bus_entry(announcement: Announcement, event_bus: str, place: Place) -> JSONObject | None:
    """Return an EventBridge event as CodeDeploy's state-change notifications are: an entry of PutEvents.

    None for an event that CodeDeploy has no such notification for.

    :param event_bus: name or ARN.
    """
    kind = "Instance" if announcement.target is not None else "Deployment"
    state = _STATES.get(announcement.event.removeprefix(kind))
    if state is None:
        return None
    row = announcement.deployment
    application, group = row["application_name"], row["deployment_group_name"]
    detail = {
        "instanceGroupId": row["deployment_group_id"],
        "region": place.region,
        "application": application,
        "deploymentId": row["deployment_id"],
        "state": state,
        "deploymentGroup": group,
    }
    resources = [
        place.arn("codedeploy", f"application:{application}"),
        place.arn("codedeploy", f"deploymentgroup:{application}/{group}"),
    ]
    if announcement.target is not None:
        name = announcement.target["instance"]
        detail["instanceId"] = name
        resources.append(instance_arn(name, place))
    return {
        "EventBusName": event_bus,
        "Source": EVENT_SOURCE,
        "DetailType": f"CodeDeploy {kind} State-change Notification",
        "Resources": resources,
        "Detail": json.dumps(detail),
    }


def _seconds(time: float | None) -> str | None:
    return None if time is None else f"{time:.3f}"
