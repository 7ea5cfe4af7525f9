# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start and finish the instances of a deployment and record their lifecycle events. One transaction each."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._announcements import announce
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rows import (
    beat,
    beat_if_due,
    conclude_if,
    count_end,
    end_target,
    keep_hooks,
    locked_deployment,
    save_counts,
    target_row,
    write_events,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_turns import (
    Coming,
    come_too_late,
    nobody_frees,
    note_question,
    wait_for_earlier,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_zones import (
    bakes,
    begin_baking,
    decide_with_zones,
    is_zonal,
    state_of_group,
    verdict_of,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InstanceNotPending
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import (
    heal_restarted,
    installs_nothing,
    lock_group,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import (
    Candidate,
    Decision,
    decide,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import FinishStatus
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import (
    Row,
    Store,
    Transaction,
    run_again_if_undone,
)


@run_again_if_undone
def ask_to_start(store: Store, deployment_id: str, instance: str, coming: Coming | None = None) -> Decision:
    """Ask whether a pending instance may start now; on go it is InProgress already.

    Places go to those that ask in the deployment's order. ``stop`` ends the deployment in the same transaction when
    nothing is in work any more.

    :param coming: in a play of somebody's own, what may come to the deployment before this instance has ended.
    :raises DoesNotExist: the deployment has no such instance.
    :raises InstanceNotPending: the instance was started before.
    """
    with store.transaction() as tx:
        row = locked_deployment(tx, deployment_id)
        target = target_row(tx, deployment_id, instance)
        if row["complete_time"] is not None:
            reason = f"Deployment {deployment_id} has ended: {row['status']}. {row['error_message'] or ''}"
            return Decision("stop", reason.rstrip())
        if target["status"] != "Pending":
            raise InstanceNotPending(
                f"Instance {instance!r} of deployment {deployment_id} is {target['status']} already."
            )
        decision = _decide(tx, row, target)
        if decision.action == "wait" and coming is not None and nobody_frees(tx, row, target, coming):
            decision = _decide_without_unhealthy(tx, row, target, decision)
        earlier = wait_for_earlier(tx, row, target) if decision.action == "go" else None
        if earlier is not None:
            note_question(tx, row, target)
            return earlier
        if decision.action == "go":
            _start(tx, row, target)
        elif decision.action == "stop":
            if row["complete_time"] is None:
                conclude_if(tx, row, verdict_of(tx, row))
        else:
            note_question(tx, row, target)
            _note_wait(tx, row)
        return decision


@run_again_if_undone
def record_event(store: Store, deployment_id: str, instance: str, event: t.Mapping[str, t.Any]) -> None:
    """Record one lifecycle event of an instance in work, replacing what was known of that event.

    :param event: ``{lifecycle_event_name, status, start_time, end_time, diagnostics: {error_code, script_name, message,
        log_tail}}``, times in epoch seconds; of the log tail the last 4 KB are kept.
    """
    with store.transaction() as tx:
        target_row(tx, deployment_id, instance)
        # In the order in which the end of an instance locks its rows.
        beat_if_due(tx, deployment_id)
        write_events(tx, deployment_id, instance, [event])


@run_again_if_undone
def finish_instance(
    store: Store,
    deployment_id: str,
    instance: str,
    status: FinishStatus,
    events: t.Sequence[t.Mapping[str, t.Any]] = (),
    message: str | None = None,
    hooks: t.Mapping[str, int] | None = None,
) -> str:
    """Record how an instance ended; ends the deployment when it was the last, or the last in work after the stop rule.

    A pending instance may fail without having started (it could not be reached). An instance that was Unknown when its
    deployment ended takes a later result; the deployment's own status stays.

    :param hooks: number of scripts of each event of the revision that the instance has installed now, None: unknown.
    :returns: the deployment's status after this.
    :raises InstanceNotPending: the instance has ended otherwise already, or never started and cannot have succeeded.
    """
    with store.transaction() as tx:
        row = locked_deployment(tx, deployment_id)
        target = target_row(tx, deployment_id, instance)
        write_events(tx, deployment_id, instance, events)
        if target["status"] == status:
            return str(row["status"])
        if row["complete_time"] is not None:
            return _late_result(tx, row, target, status, message, events, hooks)
        if target["status"] not in ("InProgress", "Pending") or (target["status"], status) == ("Pending", "Succeeded"):
            raise _cannot_finish(row, target, status)
        count_end(row, target, status)
        end_target(tx, row, target, status, message)
        row["blocked_since"] = None
        save_counts(tx, row)
        verdict = verdict_of(tx, row)
        if verdict is None and is_zonal(row):
            begin_baking(tx, row, target["zone"])
        status_now = conclude_if(tx, row, verdict)
        # Last, since the end of a deployment locks its group before the group's instances.
        keep_hooks(tx, row, instance, status, events, hooks)
        return status_now


@run_again_if_undone
def heartbeat(store: Store, deployment_id: str) -> None:
    """Show that the deployment's controller lives; to be called while an instance works for long without an event."""
    with store.transaction() as tx:
        beat(tx, deployment_id)


def _decide(tx: Transaction, row: Row, target: Row) -> Decision:
    decision = decide(state_of_group(tx, row), Candidate(target["instance"], bool(target["healthy_before"])))
    return decide_with_zones(tx, row, target, decision)


def _decide_without_unhealthy(tx: Transaction, row: Row, target: Row, waiting: Decision) -> Decision:
    """Decide as if unhealthy instances had been waited for long enough; end the deployment when that is its end."""
    blocked_since, row["blocked_since"] = row["blocked_since"], 0.0
    if _decide(tx, row, target).action == "stop":
        verdict = verdict_of(tx, row)
        if verdict is not None:
            message = come_too_late(row, verdict.message)
            conclude_if(tx, row, replace(verdict, message=message))
            return Decision("stop", message)
    row["blocked_since"] = blocked_since
    return waiting


def _start(tx: Transaction, row: Row, target: Row) -> None:
    row["pending"] -= 1
    row["in_progress"] += 1
    row["healthy_available" if target["healthy_before"] else "unhealthy_pending"] -= 1
    save_counts(tx, row)
    tx.execute(
        "UPDATE deployments SET status = 'InProgress', start_time = COALESCE(start_time, %s) WHERE deployment_id = %s",
        (tx.now, row["deployment_id"]),
    )
    tx.execute(
        "UPDATE targets SET status = 'InProgress', start_time = %s, last_updated_at = %s"
        " WHERE deployment_id = %s AND instance = %s",
        (tx.now, tx.now, row["deployment_id"], target["instance"]),
    )
    tx.execute(
        "UPDATE instances SET last_deployment_id = %s WHERE deployment_group_id = %s AND instance = %s",
        (row["deployment_id"], row["deployment_group_id"], target["instance"]),
    )
    announce(tx, row, "InstanceStart", target["instance"])


def _note_wait(tx: Transaction, row: Row) -> None:
    if not row["in_progress"] and row["blocked_since"] is None and not bakes(row, tx.now):
        tx.execute("UPDATE deployments SET blocked_since = %s WHERE deployment_id = %s", (tx.now, row["deployment_id"]))
    beat_if_due(tx, row["deployment_id"])


def _late_result(
    tx: Transaction,
    row: Row,
    target: Row,
    status: str,
    message: str | None,
    events: t.Sequence[t.Mapping[str, t.Any]],
    hooks: t.Mapping[str, int] | None,
) -> str:
    if target["status"] != "Unknown":
        raise _cannot_finish(row, target, status)
    end_target(tx, row, target, status, message)
    lock_group(tx, row["deployment_group_id"])
    latest = "deployment_group_id = %s AND instance = %s AND last_deployment_id = %s"
    key = (row["deployment_group_id"], target["instance"], row["deployment_id"])
    if status == "Succeeded":
        row["failed"] -= 1
        row["succeeded"] += 1
        save_counts(tx, row)
        if installs_nothing(row):
            heal_restarted(tx, row["deployment_group_id"], target["instance"])
            return str(row["status"])
        tx.execute(f"UPDATE instances SET healthy = TRUE, revision_id = %s WHERE {latest}", (row["revision_id"], *key))
    if tx.row(f"SELECT 1 FROM instances WHERE {latest}", key):
        keep_hooks(tx, row, target["instance"], status, events, hooks)
    return str(row["status"])


def _cannot_finish(row: Row, target: Row, status: str) -> InstanceNotPending:
    return InstanceNotPending(
        f"Instance {target['instance']!r} of deployment {row['deployment_id']} is {target['status']}, "
        f"it cannot become {status}."
    )
