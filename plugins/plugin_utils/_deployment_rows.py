# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of deployments and their instances: what starting, finishing and ending a deployment have in common.

Transactions lock rows in one order, so that no two wait for each other: the application, deployments (one that is
rolled back before the active one), the deployment group, the group's instances, the controllers that wait for it,
revisions. A deployment's targets, zones and events belong to whoever holds the deployment, or are all that a
transaction locks.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._announcements import announce_end
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import append_audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_queries import (
    no_deployment,
    owner_of,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import DoesNotExist
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import apply_results, installs_nothing
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import LedgerState, Verdict
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import JSONObject
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Row, Transaction

ARRIVAL_SECONDS = 60.0
"""How long a healthy instance that may not start waits, while nothing is in work, for an unhealthy one to ask first.

In a play of somebody's own, or with zones, that one may come only after this one has ended, which is then never.
"""

ARRIVAL_SECONDS_IN_ORDER = 3600.0
"""The same where unhealthy instances come first and so are on their way: CodeDeploy's agents have as long."""

HEARTBEAT_SECONDS = 15.0
"""How old a sign of life is before events write another."""

LOG_TAIL_BYTES = 4096

_COUNTS = ("pending", "in_progress", "succeeded", "failed", "skipped", "healthy_available", "unhealthy_pending")


def locked_deployment(tx: Transaction, deployment_id: str) -> Row:
    """Give a deployment's row, locked until the transaction ends.

    :raises DoesNotExist: there is no such deployment.
    """
    row = tx.locked_row("SELECT * FROM deployments WHERE deployment_id = %s", (deployment_id,))
    if row is None:
        raise no_deployment(tx, deployment_id)
    return row


def target_row(tx: Transaction, deployment_id: str, instance: str) -> Row:
    """Give the row of one instance of a deployment.

    :raises DoesNotExist: the deployment has no such instance.
    """
    row = tx.row("SELECT * FROM targets WHERE deployment_id = %s AND instance = %s", (deployment_id, instance))
    if row is None:
        raise DoesNotExist(f"Deployment {deployment_id} has no instance {instance!r}.", "DeploymentTargetDoesNotExist")
    return row


def ledger_state(row: Row, now: float) -> LedgerState:
    """Give the counts that the rules decide by, from a deployment's row."""
    still_expected = row["blocked_since"] is None or now - row["blocked_since"] < _arrival_seconds(row)
    return LedgerState(
        total=row["total"],
        minimum_healthy=row["minimum_healthy"],
        pending=row["pending"],
        in_progress=row["in_progress"],
        succeeded=row["succeeded"],
        failed=row["failed"],
        healthy_available=row["healthy_available"],
        unhealthy_pending=row["unhealthy_pending"] if still_expected else 0,
        stop_requested=row["stop_requested_time"] is not None,
    )


def _arrival_seconds(row: Row) -> float:
    out_of_order = row.get("bake_until") is not None or json.loads(row["options"]).get("in_play_of_user")
    return ARRIVAL_SECONDS if out_of_order else ARRIVAL_SECONDS_IN_ORDER


def count_end(row: Row, target: Row, status: str) -> None:
    """Count one instance that ends now in its deployment's row."""
    if target["status"] == "Pending":
        row["pending"] -= 1
        row["healthy_available" if target["healthy_before"] else "unhealthy_pending"] -= 1
    else:
        row["in_progress"] -= 1
    if status == "Succeeded":
        row["succeeded"] += 1
        row["healthy_available"] += 1
    else:
        row["failed"] += 1


def end_target(tx: Transaction, row: Row, target: Row, status: str, message: str | None) -> None:
    """Write the final status of one instance."""
    tx.execute(
        "UPDATE targets SET status = %s, message = %s, last_updated_at = %s WHERE deployment_id = %s AND instance = %s",
        (status, message, tx.now, row["deployment_id"], target["instance"]),
    )
    announce_end(tx, row, status, target["instance"])


def keep_hooks(
    tx: Transaction,
    row: Row,
    instance: str,
    status: str,
    events: t.Sequence[t.Mapping[str, t.Any]],
    hooks: t.Mapping[str, int] | None,
) -> None:
    """Note the hooks of the revision that an instance has installed now, or that they are not known."""
    installed = any(
        event.get("lifecycle_event_name") == "Install" and event.get("status") == "Succeeded" for event in events
    )
    # An instance that failed before its Install still runs the revision that it ran before, as after a restart.
    if installs_nothing(row) or (hooks is None and status == "Failed" and not installed):
        return
    tx.execute(
        "UPDATE instances SET hooks = %s WHERE deployment_group_id = %s AND instance = %s",
        (None if hooks is None else json.dumps(dict(hooks)), row["deployment_group_id"], instance),
    )


def save_counts(tx: Transaction, row: Row) -> None:
    """Write the counts of a deployment's row, and a sign of life."""
    tx.execute(
        f"UPDATE deployments SET {', '.join(f'{name} = %s' for name in _COUNTS)}, blocked_since = %s, heartbeat = %s"
        " WHERE deployment_id = %s",
        [*(row[name] for name in _COUNTS), row["blocked_since"], tx.now, row["deployment_id"]],
    )


def conclude_if(tx: Transaction, row: Row, verdict: Verdict | None) -> str:
    """End the deployment when there is a verdict; returns its status after that."""
    if verdict is None:
        return str(row["status"])
    if verdict.status == "Stopped" and row["stop_code"]:
        verdict = Verdict("Stopped", row["stop_code"], row["stop_message"])
    row["skipped"] += tx.execute(
        "UPDATE targets SET status = 'Skipped', last_updated_at = %s WHERE deployment_id = %s AND status = 'Pending'",
        (tx.now, row["deployment_id"]),
    )
    row["pending"] = row["unhealthy_pending"] = 0
    save_counts(tx, row)
    tx.execute(
        "UPDATE deployments SET status = %s, error_code = %s, error_message = %s, complete_time = %s"
        " WHERE deployment_id = %s",
        (verdict.status, verdict.code, verdict.message, tx.now, row["deployment_id"]),
    )
    row["complete_time"] = tx.now
    apply_results(tx, row, verdict.status == "Succeeded")
    result: JSONObject = {"status": verdict.status, "error_code": verdict.code}
    append_audit(tx, owner_of(row), "DeploymentEnded", {}, result, row["deployment_id"])
    announce_end(tx, row, verdict.status)
    return verdict.status


def beat(tx: Transaction, deployment_id: str) -> None:
    """Note a sign of life of the deployment's controller."""
    tx.execute("UPDATE deployments SET heartbeat = %s WHERE deployment_id = %s", (tx.now, deployment_id))


def beat_if_due(tx: Transaction, deployment_id: str) -> None:
    """Note a sign of life unless there was one just now; then other instances' workers need not wait for each other."""
    tx.execute(
        "UPDATE deployments SET heartbeat = %s WHERE deployment_id = %s AND heartbeat < %s",
        (tx.now, deployment_id, tx.now - HEARTBEAT_SECONDS),
    )


def write_events(tx: Transaction, deployment_id: str, instance: str, events: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    """Record lifecycle events, each replacing what was known of it."""
    columns = ("status", "start_time", "end_time", "error_code", "script_name", "message", "log_tail")
    tx.execute_many(
        f"INSERT INTO lifecycle_events (deployment_id, instance, lifecycle_event_name, {', '.join(columns)})"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (deployment_id, instance, lifecycle_event_name)"
        f" DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in columns)}",
        [(deployment_id, instance, *_event_values(event)) for event in events],
    )


def _event_values(event: t.Mapping[str, t.Any]) -> tuple[t.Any, ...]:
    diagnostics = event.get("diagnostics") or {}
    tail = diagnostics.get("log_tail")
    if tail is not None:
        tail = tail.encode("utf-8", "replace")[-LOG_TAIL_BYTES:].decode("utf-8", "ignore")
    return (
        event["lifecycle_event_name"],
        event["status"],
        event.get("start_time"),
        event.get("end_time"),
        diagnostics.get("error_code"),
        diagnostics.get("script_name"),
        diagnostics.get("message"),
        tail,
    )
