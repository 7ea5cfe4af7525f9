# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell SNS and EventBridge of a deployment's events. What cannot be told is recorded, and fails nothing."""

from __future__ import annotations

import json
import typing as t
from functools import partial

from ansible.utils.display import Display

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._aws import AwsSettings, aws_errors, client
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_queries import owner_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._notifications import (
    Announcement,
    bus_entry,
    message,
    place_of,
    subject,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store

# A service that does not answer must not hold up the instance whose event this is.
PATIENCE = {"connect_timeout": 5, "read_timeout": 10}


def notify(store: Store, announcement: Announcement) -> None:
    """Send an event to all that its deployment's settings name: SNS triggers and an event bus.

    Never raises. What failed is in the audit trail as ``NotificationFailed``, and a warning on the screen.
    """
    receivers: list[tuple[str, t.Callable[[], None]]] = [
        (str(trigger.get("trigger_name")), partial(_publish, announcement, trigger))
        for trigger in announcement.triggers
    ]
    if announcement.options.get("event_bus_name"):
        receivers.append(("EventBridge", partial(_put_event, announcement)))
    for receiver, send in receivers:
        try:
            send()
        except Exception as error:
            _note_failure(store, announcement, receiver, error)


def _settings(announcement: Announcement) -> AwsSettings:
    recorded = announcement.options.get("aws") or {}
    return AwsSettings.from_arguments({**recorded, "aws_config": {**PATIENCE, **(recorded.get("aws_config") or {})}})


def _publish(announcement: Announcement, trigger: t.Mapping[str, t.Any]) -> None:
    topic = str(trigger["trigger_target_arn"])
    place = place_of(topic)
    body = json.dumps(message(announcement, str(trigger["trigger_name"]), place))
    with aws_errors():
        sns = client(_settings(announcement), "sns", place.region)
        sns.publish(TopicArn=topic, Subject=subject(announcement, place), Message=body)


def _put_event(announcement: Announcement) -> None:
    bus = str(announcement.options["event_bus_name"])
    place = place_of(bus)
    entry = bus_entry(announcement, bus, place)
    if entry is None:
        return
    with aws_errors():
        answer = client(_settings(announcement), "events", place.region).put_events(Entries=[entry])
    for refused in answer["Entries"]:
        if refused.get("ErrorCode"):
            raise ValueError(f"{refused['ErrorCode']}: {refused.get('ErrorMessage')}")


def _note_failure(store: Store, announcement: Announcement, receiver: str, error: Exception) -> None:
    text = str(error) or type(error).__name__
    instance = announcement.target["instance"] if announcement.target else None
    deployment_id = str(announcement.deployment["deployment_id"])
    parameters = {"event": announcement.event, "instance": instance, "receiver": receiver}
    try:
        owner = owner_of(announcement.deployment)
        audit(store, owner, "NotificationFailed", parameters, {"error_message": text}, deployment_id)
        Display().warning(f"Deployment {deployment_id}: {receiver} was not told of {announcement.event}: {text}")
    except Exception:
        # Neither record nor screen can be written; the deployment finds that out by itself.
        return
