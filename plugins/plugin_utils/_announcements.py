# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the record announces of its changes, once they are on disk; nothing for deployments that tell nobody.

What is to be told is written with the change itself and removed when it was told, so that a process that is killed in
between leaves it for the next deployment of the group. Then somebody may be told twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import typing as t
import uuid

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._notifications import Announcement
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner, current_owner, is_dead
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, StoreError, Transaction

_EVENT_OF_STATUS = {"Succeeded": "Success", "Failed": "Failure", "Unknown": "Failure", "Stopped": "Stop"}


def announce(tx: Transaction, row: t.Mapping[str, t.Any], event: str, instance: str | None = None) -> None:
    """Have an event of a deployment told, by this process, when its transaction is on disk.

    To be called after the statements of the change itself, which happens in one transaction: no event is told that did
    not happen.

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
    identifier, process = str(uuid.uuid4()), current_owner()
    tx.execute(
        "INSERT INTO announcements (announcement_id, deployment_group_id, announced_time, owner_host, owner_pid,"
        " owner_pid_start, announcement) VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            identifier,
            current["deployment_group_id"],
            tx.now,
            process.host,
            process.pid,
            process.pid_start,
            json.dumps(dataclasses.asdict(announcement)),
        ),
    )
    tx.after_commit.append(functools.partial(_tell, announcement=announcement, identifier=identifier))


def announce_end(tx: Transaction, row: t.Mapping[str, t.Any], status: str, instance: str | None = None) -> None:
    """Announce how a deployment, or one of its instances, has ended; see announce().

    :param status: of the deployment or the instance.
    """
    kind = "Deployment" if instance is None else "Instance"
    announce(tx, row, f"{kind}{_EVENT_OF_STATUS[status]}", instance)


def tell_left(store: Store, deployment_group_id: str) -> int:
    """Tell what processes that were killed have not told of a group's deployments, oldest first.

    :returns: how many events that were.
    """
    with store.reading() as tx:
        rows = tx.rows(
            "SELECT * FROM announcements WHERE deployment_group_id = %s ORDER BY announced_time", (deployment_group_id,)
        )
        left = [row for row in rows if is_dead(_process_of(row), row["announced_time"], tx.now)]
    for row in left:
        fields = json.loads(row["announcement"])
        announcement = Announcement(**{**fields, "lifecycle_events": tuple(fields["lifecycle_events"])})
        _tell(store, announcement, row["announcement_id"])
    return len(left)


def _process_of(row: t.Mapping[str, t.Any]) -> Owner:
    return Owner(row["owner_host"], row["owner_pid"], row["owner_pid_start"], "")


def _tell(store: Store, announcement: Announcement, identifier: str) -> None:
    # What sends is needed by few deployments.
    from ansible_collections.agentless.codedeploy.plugins.plugin_utils._notify import notify

    notify(store, announcement)
    # What cannot be removed is told again by the next deployment.
    with contextlib.suppress(StoreError), store.transaction() as tx:
        tx.execute("DELETE FROM announcements WHERE announcement_id = %s", (identifier,))
