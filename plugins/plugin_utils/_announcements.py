# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the record announces of its changes, once they are on disk; nothing for deployments that tell nobody."""

from __future__ import annotations

import functools
import json
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._notifications import Announcement
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, Transaction

_EVENT_OF_STATUS = {"Succeeded": "Success", "Failed": "Failure", "Unknown": "Failure", "Stopped": "Stop"}


def announce(tx: Transaction, row: t.Mapping[str, t.Any], event: str, instance: str | None = None) -> None:
    """Have an event of a deployment told, by this process, when its transaction is on disk.

    To be called after the statements of the change itself, which happens in one transaction: each event is told once.

    :param row: the deployment's row; of it C(deployment_id) and C(options) are looked at.
    :param event: as of _notifications.
    :param instance: for an instance's event, its name.
    """
    options = json.loads(row["options"])
    if not options.get("event_bus_name") and not any(
        event in (trigger.get("trigger_events") or []) for trigger in options.get("trigger_configurations") or []
    ):
        return
    deployment_id = row["deployment_id"]
    current = tx.only_row("SELECT * FROM deployments WHERE deployment_id = %s", (deployment_id,))
    target, events = None, []
    if instance is not None:
        key = (deployment_id, instance)
        target = tx.only_row("SELECT * FROM targets WHERE deployment_id = %s AND instance = %s", key)
        events = tx.rows(
            "SELECT * FROM lifecycle_events WHERE deployment_id = %s AND instance = %s"
            " ORDER BY start_time, lifecycle_event_name",
            key,
        )
    announcement = Announcement(event, current, options, target, tuple(events))
    tx.after_commit.append(functools.partial(_tell, announcement=announcement))


def announce_end(tx: Transaction, row: t.Mapping[str, t.Any], status: str, instance: str | None = None) -> None:
    """Announce how a deployment, or one of its instances, has ended; see announce().

    :param status: of the deployment or the instance.
    """
    kind = "Deployment" if instance is None else "Instance"
    announce(tx, row, f"{kind}{_EVENT_OF_STATUS[status]}", instance)


def _tell(store: Store, announcement: Announcement) -> None:
    # What sends is needed by few deployments.
    from ansible_collections.agentless.codedeploy.plugins.plugin_utils._notify import notify

    notify(store, announcement)
