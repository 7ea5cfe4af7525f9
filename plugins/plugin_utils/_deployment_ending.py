# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""End a deployment before its instances do: conclude, stop, or abandon what a dead controller left."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import append_audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_queries import (
    no_deployment,
    owner_of,
    read_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rows import (
    conclude_if,
    count_end,
    end_target,
    keep_hooks,
    locked_deployment,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_zones import verdict_of
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import lock_group
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import Verdict
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner, is_dead
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import Abandoned, Deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import (
    Row,
    Store,
    Transaction,
    run_again_if_undone,
)


@run_again_if_undone
def conclude(store: Store, deployment_id: str) -> Deployment:
    """End a deployment to which no instance will come any more; does nothing to one that has ended.

    An instance still in work is Unknown, which counts as failed. Those that never arrived fail one after the other in
    the deployment's order, as instances do whose agent does not answer, until nothing pending may start; the rest is
    Skipped.
    """
    with store.transaction() as tx:
        row = locked_deployment(tx, deployment_id)
        if row["complete_time"] is None:
            _lose_unfinished(tx, row)
            verdict = _lose_pending(tx, row)
            conclude_if(tx, row, verdict)
        return read_deployment(tx, deployment_id)


@run_again_if_undone
def stop_deployment(
    store: Store,
    deployment_id: str,
    owner: Owner,
    rollback: bool | None = None,
    code: str = "MANUAL_STOP",
    message: str = "The deployment was stopped by a user.",
) -> t.Literal["Pending", "Succeeded"]:
    """Start nothing any more in a deployment (StopDeployment); what is in work goes on to its next event.

    Asked again, it keeps the first reason; a rollback may still be asked for.

    :param owner: who asks.
    :param rollback: autoRollbackEnabled; None leaves it to the deployment's settings.
    :param code: of the errorInformation that the deployment ends with, MANUAL_STOP or ALARM_ACTIVE, and its message.
    :returns: ``Succeeded`` when the deployment has ended, ``Pending`` while instances are in work.
    :raises CodeDeployError: DeploymentAlreadyCompleted.
    """
    with store.transaction() as tx:
        row = locked_deployment(tx, deployment_id)
        if row["complete_time"] is not None:
            ended = f"Deployment {deployment_id} has ended already: {row['status']}."
            raise CodeDeployError(ended, "DeploymentAlreadyCompleted")
        if row["stop_requested_time"] is None:
            row.update(stop_requested_time=tx.now, stop_code=code, stop_message=message)
        if rollback is not None:
            row["stop_rollback"] = rollback
        names = ("stop_requested_time", "stop_code", "stop_message", "stop_rollback")
        tx.execute(
            f"UPDATE deployments SET {', '.join(f'{name} = %s' for name in names)} WHERE deployment_id = %s",
            (*(row[name] for name in names), deployment_id),
        )
        status: t.Literal["Pending", "Succeeded"] = "Pending" if row["in_progress"] else "Succeeded"
        parameters = {"deployment_id": deployment_id, "auto_rollback_enabled": rollback}
        append_audit(tx, owner, "StopDeployment", parameters, {"status": status, "code": code}, deployment_id)
        conclude_if(tx, row, verdict_of(tx, row))
        return status


@run_again_if_undone
def fail_deployment(store: Store, deployment_id: str, code: str, message: str) -> None:
    """End a deployment as Failed before any of its instances was touched; does nothing to one that has ended.

    There is nothing to roll back, which is recorded as its rollbackMessage.

    :param code: of the errorInformation that it ends with, and its message.
    """
    with store.transaction() as tx:
        row = locked_deployment(tx, deployment_id)
        if row["complete_time"] is None:
            tx.execute(
                "UPDATE deployments SET rollback_message = %s WHERE deployment_id = %s",
                (f"Deployment {deployment_id} has touched no instance: there is nothing to roll back.", deployment_id),
            )
            conclude_if(tx, row, Verdict("Failed", code, message))


def stop_requested(store: Store, deployment_id: str) -> bool:
    """Whether somebody asked the deployment to stop.

    :raises DoesNotExist: there is no such deployment.
    """
    with store.reading() as tx:
        row = tx.row("SELECT stop_requested_time FROM deployments WHERE deployment_id = %s", (deployment_id,))
    if row is None:
        raise no_deployment(tx, deployment_id)
    return row["stop_requested_time"] is not None


def dead_deployment(store: Store, deployment_group_id: str) -> Abandoned | None:
    """The group's active deployment if its controller is dead, with the instances to reconcile before abandon()."""
    with store.reading() as tx:
        row = tx.row(
            "SELECT * FROM deployments WHERE deployment_group_id = %s AND complete_time IS NULL", (deployment_group_id,)
        )
        if row is None or not is_dead(owner_of(row), row["heartbeat"], tx.now):
            return None
        return Abandoned(row["deployment_id"], owner_of(row), _unfinished(tx, row))


@run_again_if_undone
def abandon(store: Store, deployment_id: str, owner: Owner) -> Deployment:
    """End a deployment whose controller is dead; does nothing to one that has ended.

    Instances in work become Unknown and pending ones Skipped. It has the result that the rules give when every instance
    was finished or in work, else it Failed. In a play of the user's the pending ones fail as in conclude(): tasks of
    that play failed there before, or facts could not be gathered, and no task came after that would have said so.

    :param owner: who asks.
    :raises CodeDeployError: its controller lives.
    """
    with store.transaction() as tx:
        row = locked_deployment(tx, deployment_id)
        if row["complete_time"] is None:
            if not is_dead(owner_of(row), row["heartbeat"], tx.now):
                raise CodeDeployError(
                    f"Deployment {deployment_id} is run by {owner_of(row)}, which lives: stop the deployment instead.",
                    "DeploymentLimitExceeded",
                )
            abandon_row(tx, row, owner)
        return read_deployment(tx, deployment_id)


def active_row(tx: Transaction, deployment_group_id: str) -> Row | None:
    """The group's active deployment, locked."""
    return tx.locked_row(
        "SELECT * FROM deployments WHERE deployment_group_id = %s AND complete_time IS NULL", (deployment_group_id,)
    )


def abandon_if_dead(tx: Transaction, row: Row, owner: Owner) -> Abandoned | None:
    """End an active deployment inside a transaction when its controller is dead; None when it lives."""
    return abandon_row(tx, row, owner) if is_dead(owner_of(row), row["heartbeat"], tx.now) else None


def abandon_row(tx: Transaction, row: Row, owner: Owner) -> Abandoned:
    """End a dead controller's deployment inside a transaction; see abandon()."""
    abandoned = Abandoned(row["deployment_id"], owner_of(row), _unfinished(tx, row))
    _lose_unfinished(tx, row)
    if json.loads(row["options"]).get("in_play_of_user"):
        _lose_pending(tx, row)
    verdict = verdict_of(tx, row) or Verdict(
        "Failed", "INTERNAL_ERROR", f"The controller that ran the deployment ended before it did: {owner_of(row)}."
    )
    result = {"status": verdict.status, "unfinished": abandoned.unfinished}
    append_audit(tx, owner, "AbandonDeployment", {"deployment_id": row["deployment_id"]}, result, row["deployment_id"])
    conclude_if(tx, row, verdict)
    return abandoned


def _lose_unfinished(tx: Transaction, row: Row) -> None:
    lock_group(tx, row["deployment_group_id"])
    for target in tx.rows(
        "SELECT * FROM targets WHERE deployment_id = %s AND status = 'InProgress'", (row["deployment_id"],)
    ):
        count_end(row, target, "Unknown")
        end_target(tx, row, target, "Unknown", "The controller ended before the instance did.")
        keep_hooks(tx, row, target["instance"], "Unknown", (), None)


def _lose_pending(tx: Transaction, row: Row) -> Verdict:
    """Let the instances that never arrived fail one after the other until there is a verdict."""
    while (verdict := verdict_of(tx, row)) is None:
        target = tx.only_row(
            "SELECT * FROM targets WHERE deployment_id = %s AND status = 'Pending' ORDER BY position LIMIT 1",
            (row["deployment_id"],),
        )
        count_end(row, target, "Failed")
        end_target(tx, row, target, "Failed", "The instance never arrived at the deployment.")
    return verdict


def _unfinished(tx: Transaction, row: Row) -> list[str]:
    rows = tx.rows(
        "SELECT instance FROM targets WHERE deployment_id = %s AND status = 'InProgress' ORDER BY position",
        (row["deployment_id"],),
    )
    return [target["instance"] for target in rows]
