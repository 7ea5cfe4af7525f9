# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read deployments, their instances and lifecycle events."""

from __future__ import annotations

import json
import typing as t
from collections import Counter

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import DoesNotExist
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import (
    LIFECYCLE_EVENTS,
    Deployment,
    DeploymentStatus,
    JSONObject,
    Target,
    TargetStatus,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Row, Store, Transaction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import Zone

_DEPLOYMENT = (
    "SELECT deployments.*, used.revision, previous.revision AS previous_revision FROM deployments"
    " JOIN revisions AS used ON used.revision_id = deployments.revision_id"
    " LEFT JOIN revisions AS previous ON previous.revision_id = deployments.previous_revision_id"
)
_EVENT_POSITION = {name: position for position, name in enumerate(LIFECYCLE_EVENTS)}


def read_deployment(tx: Transaction, deployment_id: str, with_order: bool = True) -> Deployment:
    """Read one deployment inside a transaction; see get_deployment().

    :raises DoesNotExist: there is no such deployment.
    """
    row = tx.row(f"{_DEPLOYMENT} WHERE deployment_id = %s", (deployment_id,))
    if row is None:
        raise no_deployment(tx, deployment_id)
    return _deployment(tx, row, with_order)


def no_deployment(tx: Transaction, deployment_id: str) -> DoesNotExist:
    """The error for an unknown deployment id."""
    return DoesNotExist(f"There is no deployment {deployment_id} in the store {tx.location}.")


def owner_of(row: Row) -> Owner:
    """The controller process that a deployment's row names."""
    return Owner(row["owner_host"], row["owner_pid"], row["owner_pid_start"], row["owner_user"], row["owner_run_id"])


def get_deployment(store: Store, deployment_id: str, with_order: bool = True) -> Deployment:
    """One deployment (GetDeployment).

    :param with_order: read the names of its instances too. Who works on one instance does without: then the cost does
        not depend on the size of the fleet, and ``order`` is empty.
    :raises DoesNotExist: there is no such deployment.
    """
    with store.reading() as tx:
        return read_deployment(tx, deployment_id, with_order)


def takes_part(store: Store, deployment_id: str, instance: str) -> bool:
    """Whether an instance is one of a deployment's, at a cost that does not depend on their number."""
    with store.reading() as tx:
        key = (deployment_id, instance)
        return tx.row("SELECT 1 FROM targets WHERE deployment_id = %s AND instance = %s", key) is not None


def list_deployments(
    store: Store,
    statuses: t.Sequence[DeploymentStatus] | None = None,
    application_name: str | None = None,
    deployment_group_name: str | None = None,
    deployment_group_id: str | None = None,
    created_from: float | None = None,
    created_to: float | None = None,
    limit: int = 100,
    group: str | None = None,
    creator: str | None = None,
    after: tuple[float, str] | None = None,
    with_order: bool = True,
) -> list[Deployment]:
    """Deployments by the filters of ListDeployments, newest first.

    :param created_from: earliest creation time, epoch seconds; ``created_to`` the latest.
    :param group: a group's own name, or that of the inventory's group.
    :param after: creation time and id of the last deployment of the page before.
    :param with_order: read the names of their instances too.
    """
    filters: list[tuple[str, list[t.Any]]] = [
        (condition, [value])
        for condition, value in (
            ("application_name = %s", application_name),
            ("deployment_group_name = %s", deployment_group_name),
            ("deployment_group_id = %s", deployment_group_id),
            ("create_time >= %s", created_from),
            ("create_time <= %s", created_to),
            ("creator = %s", creator),
        )
        if value is not None
    ]
    if statuses:
        filters.append((f"status IN ({', '.join(['%s'] * len(statuses))})", list(statuses)))
    if group is not None:
        # Databases disagree on how to look for a text in another one, and on letter case, but not on this.
        condition = "(deployment_group_name = %s OR REPLACE(options, %s, '') <> options)"
        filters.append((condition, [group, _option(group)]))
    if after is not None:
        filters.append(("(create_time < %s OR (create_time = %s AND deployment_id > %s))", [after[0], *after]))
    where = f" WHERE {' AND '.join(condition for condition, _values in filters)}" if filters else ""
    parameters = [value for _condition, values in filters for value in values]
    with store.reading() as tx:
        rows = tx.rows(f"{_DEPLOYMENT}{where} ORDER BY create_time DESC, deployment_id LIMIT %s", [*parameters, limit])
        return [_deployment(tx, row, with_order) for row in rows]


def _option(group: str) -> str:
    """What is in a deployment's options when it was made for this group of the inventory.

    In a text within the options the quotes would have backslashes before them.
    """
    return json.dumps({"deployment_group": group})[1:-1]


def active_deployment(store: Store, deployment_group_id: str) -> Deployment | None:
    """The deployment that holds the group now, also when its controller is dead."""
    with store.reading() as tx:
        row = tx.row(f"{_DEPLOYMENT} WHERE deployment_group_id = %s AND complete_time IS NULL", (deployment_group_id,))
        return _deployment(tx, row) if row else None


def last_successful_deployment(store: Store, deployment_group_id: str) -> Deployment | None:
    """The group's last successful deployment (not a limited one): what a rollback goes back to."""
    with store.reading() as tx:
        row = tx.row(
            f"{_DEPLOYMENT} WHERE deployment_id ="
            " (SELECT last_successful_deployment_id FROM deployment_groups WHERE deployment_group_id = %s)",
            (deployment_group_id,),
        )
        return _deployment(tx, row) if row else None


def last_successful_revision(store: Store, deployment_group_id: str) -> JSONObject | None:
    """The revision of the group's last successful deployment; None before the first one."""
    deployment = last_successful_deployment(store, deployment_group_id)
    return deployment.revision if deployment else None


def get_targets(store: Store, deployment_id: str, statuses: t.Sequence[TargetStatus] | None = None) -> list[Target]:
    """The instances of a deployment in its order, with their lifecycle events (BatchGetDeploymentTargets).

    :raises DoesNotExist: there is no such deployment.
    """
    with store.reading() as tx:
        if tx.row("SELECT 1 FROM deployments WHERE deployment_id = %s", (deployment_id,)) is None:
            raise no_deployment(tx, deployment_id)
        targets = tx.rows("SELECT * FROM targets WHERE deployment_id = %s ORDER BY position", (deployment_id,))
        events = tx.rows("SELECT * FROM lifecycle_events WHERE deployment_id = %s", (deployment_id,))
    of_instance: dict[str, list[Row]] = {}
    for event in events:
        of_instance.setdefault(event["instance"], []).append(event)
    return [
        _target(target, of_instance.get(target["instance"], []))
        for target in targets
        if not statuses or target["status"] in statuses
    ]


def get_target(store: Store, deployment_id: str, instance: str) -> Target:
    """One instance of a deployment with its lifecycle events (GetDeploymentTarget).

    :raises DoesNotExist: the deployment has no such instance.
    """
    with store.reading() as tx:
        key = (deployment_id, instance)
        target = tx.row("SELECT * FROM targets WHERE deployment_id = %s AND instance = %s", key)
        events = tx.rows("SELECT * FROM lifecycle_events WHERE deployment_id = %s AND instance = %s", key)
    if target is None:
        raise DoesNotExist(f"Deployment {deployment_id} has no instance {instance!r}.", "DeploymentTargetDoesNotExist")
    return _target(target, events)


def up_to_date_instances(store: Store, deployment_id: str) -> set[str]:
    """The group's instances that are healthy and run a deployment's revision, as of the deployments that have ended."""
    with store.reading() as tx:
        rows = tx.rows(
            "SELECT instances.instance FROM instances JOIN deployments"
            " ON deployments.deployment_group_id = instances.deployment_group_id"
            " AND deployments.revision_id = instances.revision_id"
            " WHERE deployments.deployment_id = %s AND instances.healthy",
            (deployment_id,),
        )
    return {row["instance"] for row in rows}


def unfinished_deployments(store: Store, deployment_group_id: str, instance: str, limit: int = 5) -> list[str]:
    """The group's deployments of which nobody knows how they ended on an instance, newest first."""
    with store.reading() as tx:
        rows = tx.rows(
            "SELECT deployments.deployment_id FROM targets JOIN deployments"
            " ON deployments.deployment_id = targets.deployment_id"
            " WHERE deployments.deployment_group_id = %s AND targets.instance = %s AND targets.status = 'Unknown'"
            " ORDER BY deployments.create_time DESC LIMIT %s",
            (deployment_group_id, instance, limit),
        )
    return [row["deployment_id"] for row in rows]


def _deployment(tx: Transaction, row: Row, with_order: bool = True) -> Deployment:
    instances = "SELECT instance, zone FROM targets WHERE deployment_id = %s ORDER BY position"
    order = tx.rows(instances, (row["deployment_id"],)) if with_order else []
    zones = _zones(tx, row["deployment_id"]) if row["bake_until"] is not None and with_order else []
    window = row["total"] - row["minimum_healthy"]
    targets = sum(row[state] for state in ("pending", "in_progress", "succeeded", "failed", "skipped"))
    return Deployment(
        deployment_id=row["deployment_id"],
        deployment_group_id=row["deployment_group_id"],
        application_name=row["application_name"],
        deployment_group_name=row["deployment_group_name"],
        deployment_config_name=row["deployment_config_name"],
        status=row["status"],
        error_information={"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None,
        revision=json.loads(row["revision"]),
        previous_revision=json.loads(row["previous_revision"]) if row["previous_revision"] else None,
        create_time=row["create_time"],
        start_time=row["start_time"],
        complete_time=row["complete_time"],
        deployment_overview={
            "Pending": row["pending"],
            "InProgress": row["in_progress"],
            "Succeeded": row["succeeded"],
            "Failed": row["failed"],
            "Skipped": row["skipped"],
            "Ready": 0,
        },
        description=row["description"],
        creator=row["creator"],
        file_exists_behavior=row["file_exists_behavior"],
        ignore_application_stop_failures=bool(row["ignore_application_stop_failures"]),
        update_outdated_instances_only=bool(row["update_outdated_instances_only"]),
        limited=bool(row["limited"]),
        options=json.loads(row["options"]),
        rollback_info=_rollback_info(row),
        total=row["total"],
        minimum_healthy_hosts=row["minimum_healthy"],
        window=window,
        batch_size=max(1, min(window, targets)),
        order=[target["instance"] for target in order],
        zones=zones,
        zone_instances=dict(Counter(target["zone"] for target in order if target["zone"] is not None)),
        owner=owner_of(row),
        heartbeat=row["heartbeat"],
        read_time=tx.now,
        stop_rollback=None if row["stop_rollback"] is None else bool(row["stop_rollback"]),
        stopping=row["stop_requested_time"] is not None,
    )


def _zones(tx: Transaction, deployment_id: str) -> list[Zone]:
    rows = tx.rows("SELECT * FROM zones WHERE deployment_id = %s ORDER BY position", (deployment_id,))
    return [Zone(row["zone"], row["total"], row["minimum_healthy"], row["monitor_seconds"]) for row in rows]


def _rollback_info(row: Row) -> JSONObject | None:
    names = ("rollback_deployment_id", "rollback_triggering_deployment_id", "rollback_message")
    info = {name: row[name] for name in names if row[name] is not None}
    return info or None


def _target(target: Row, events: list[Row]) -> Target:
    events = sorted(events, key=lambda event: _EVENT_POSITION.get(event["lifecycle_event_name"], len(_EVENT_POSITION)))
    return Target(
        deployment_id=target["deployment_id"],
        target_id=target["instance"],
        status=target["status"],
        start_time=target["start_time"],
        last_updated_at=target["last_updated_at"],
        message=target["message"],
        lifecycle_events=[_event(event) for event in events],
        zone=target["zone"],
    )


def _event(row: Row) -> JSONObject:
    diagnostics = {name: row[name] for name in ("error_code", "script_name", "message", "log_tail")}
    return {
        "lifecycle_event_name": row["lifecycle_event_name"],
        "status": row["status"],
        "start_time": row["start_time"],
        "end_time": row["end_time"],
        "diagnostics": diagnostics if any(diagnostics.values()) else None,
    }
