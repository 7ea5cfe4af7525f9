# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Controllers that wait for a deployment group: first come, first served, and who died is passed over.

CodeDeploy refuses a second deployment of a group at once (DeploymentLimitExceeded). Here a controller may wait for its
turn instead. What create_deployment() checks holds on its own: the queue only settles who is next.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_queries import owner_of, read_deployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rollback import rollback_due
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner, is_dead
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._records import ActiveDeployment
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import (
    Row,
    Store,
    Transaction,
    run_again_if_undone,
)

WAITING_LIMIT = 120.0
"""Seconds without asking after which a controller has lost its place: it has died, or does something else."""

HEARTBEAT_SECONDS = 15.0
"""How old a controller's sign of life is before it writes another."""


class GroupAwaited(CodeDeployError):
    """The deployment group is free, or will be, and other controllers were there first."""

    code = "DeploymentLimitExceeded"

    def __init__(self, deployment_group_name: str, owner: Owner) -> None:
        super().__init__(
            f"The deployment group {deployment_group_name!r} is next for {owner}, who waits for it. Wait as well, with "
            "deploy_wait_for_group, or try again later."
        )
        self.owner = owner


@dataclass(frozen=True)
class Waiting:
    """A controller in the queue of a group; ``since`` and ``heartbeat``, its last sign of life, are epoch seconds."""

    owner: Owner
    since: float
    heartbeat: float


@dataclass(frozen=True)
class Obstacle:
    """Why it is not a controller's turn.

    ``deployment_id`` and ``owner`` are the active deployment and who runs it, or None and who is next; ``ahead`` is the
    number of controllers that came before.
    """

    deployment_id: str | None
    owner: Owner
    ahead: int


def wait_for_group(
    store: Store,
    deployment_group_id: str,
    deployment_group_name: str,
    owner: Owner,
    seconds: float,
    tell: t.Callable[[Obstacle], None] | None = None,
    pause: float = 1.0,
) -> None:
    """Wait until it is this controller's turn to deploy to a group; returns at once when it is.

    Then call create_deployment() with the same owner, which takes the place out of the queue. Until it does, others
    stay behind for WAITING_LIMIT seconds; ask_for_group() in between starts these anew. What was read of the group
    before the wait is out of date after it: resolve the revision and check the request afterwards. Whoever does not
    go on calls leave_group_queue(); an exception here has done so already.

    :param owner: the process that lasts as long as the run, as for create_deployment().
    :param seconds: how long to wait; with 0 it is asked once.
    :param tell: called at first and whenever something changed, to tell the user what is waited for.
    :param pause: seconds from one question to the next, less than WAITING_LIMIT.
    :raises ActiveDeployment: at the end of the time a deployment is active; names it and its owner.
    :raises GroupAwaited: at the end of the time others are ahead; names who is next.
    """
    deadline = time.monotonic() + seconds
    told: Obstacle | None = None
    try:
        while (obstacle := ask_for_group(store, deployment_group_id, owner)) is not None:
            if tell is not None and obstacle != told:
                tell(obstacle)
            told = obstacle
            left = deadline - time.monotonic()
            if left <= 0:
                raise _too_late(deployment_group_name, obstacle)
            time.sleep(min(pause, left))
    except BaseException:
        leave_group_queue(store, deployment_group_id, owner)
        raise


@run_again_if_undone
def ask_for_group(store: Store, deployment_group_id: str, owner: Owner) -> Obstacle | None:
    """Ask once whether it is this controller's turn, keeping its place in the queue or taking the last one.

    :returns: None when it is its turn: no deployment is active, or one whose controller is dead, and nobody is ahead.
    """
    # Most questions change nothing, and need not wait for those who write.
    with store.reading() as tx:
        queue = _queue(tx, deployment_group_id)
        if any(_same_controller(row, owner) and tx.now - row["heartbeat"] < HEARTBEAT_SECONDS for row in queue):
            return _obstacle(tx, deployment_group_id, queue, owner)
    with store.transaction() as tx:
        # One at a time, so that places are taken in the order of their numbers.
        tx.locked_row("SELECT version FROM schema_version")
        _keep_place(tx, deployment_group_id, owner)
        return _obstacle(tx, deployment_group_id, _queue(tx, deployment_group_id), owner)


@run_again_if_undone
def leave_group_queue(store: Store, deployment_group_id: str, owner: Owner) -> None:
    """Give up the place of a controller in the queue of a group; does nothing when it has none."""
    with store.transaction() as tx:
        leave(tx, deployment_group_id, owner)


def waiting_controllers(store: Store, deployment_group_id: str) -> list[Waiting]:
    """The controllers that wait for a group, the next one first."""
    with store.reading() as tx:
        rows = tx.rows(_QUEUE, (deployment_group_id,))
        return [
            Waiting(owner_of(row), row["waiting_since"], row["heartbeat"]) for row in rows if not _gone(row, tx.now)
        ]


def next_waiting(tx: Transaction, deployment_group_id: str) -> Owner | None:
    """The controller whose turn is next, inside a transaction; None when nobody waits."""
    queue = _queue(tx, deployment_group_id)
    return owner_of(queue[0]) if queue else None


def leave(tx: Transaction, deployment_group_id: str, owner: Owner) -> None:
    """leave_group_queue() inside a transaction."""
    tx.execute(f"DELETE FROM waiting_controllers WHERE {_CONTROLLER}", _controller(deployment_group_id, owner))


def same_controller(one: Owner, other: Owner) -> bool:
    """Are these the same process? One process may run several plays, each with a run_id of its own."""
    return (one.host, one.pid, one.pid_start) == (other.host, other.pid, other.pid_start)


_QUEUE = "SELECT * FROM waiting_controllers WHERE deployment_group_id = %s ORDER BY waiting_id"
_CONTROLLER = "deployment_group_id = %s AND owner_host = %s AND owner_pid = %s AND owner_pid_start = %s"


def _controller(group_id: str, owner: Owner) -> tuple[t.Any, ...]:
    return (group_id, owner.host, owner.pid, owner.pid_start)


def _keep_place(tx: Transaction, group_id: str, owner: Owner) -> None:
    # A place that was lost is not taken up again: others have been told that it is their turn.
    for row in tx.rows(_QUEUE, (group_id,)):
        if _gone(row, tx.now):
            tx.execute(
                "DELETE FROM waiting_controllers WHERE waiting_id = %s AND heartbeat = %s",
                (row["waiting_id"], row["heartbeat"]),
            )
    condition, key = _CONTROLLER, _controller(group_id, owner)
    if tx.execute(f"UPDATE waiting_controllers SET heartbeat = %s WHERE {condition}", (tx.now, *key)):
        return
    columns = ("deployment_group_id", "owner_host", "owner_pid", "owner_pid_start")
    more = {"owner_user": owner.user, "owner_run_id": owner.run_id, "waiting_since": tx.now, "heartbeat": tx.now}
    tx.execute(
        f"INSERT INTO waiting_controllers ({', '.join((*columns, *more))}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (*key, *more.values()),
    )


def _obstacle(tx: Transaction, group_id: str, queue: list[Row], owner: Owner) -> Obstacle | None:
    ahead = [_same_controller(row, owner) for row in queue].index(True)
    active = tx.row("SELECT * FROM deployments WHERE deployment_group_id = %s AND complete_time IS NULL", (group_id,))
    if active is not None and not is_dead(owner_of(active), active["heartbeat"], tx.now):
        return Obstacle(active["deployment_id"], owner_of(active), ahead)
    if ahead:
        return Obstacle(None, owner_of(queue[0]), ahead)
    return _rollback_to_come(tx, group_id)


def _rollback_to_come(tx: Transaction, group_id: str) -> Obstacle | None:
    """A rollback is a part of the deployment before it: wait for it while the run that makes it lives."""
    latest = tx.row(
        "SELECT * FROM deployments WHERE deployment_group_id = %s ORDER BY create_time DESC, deployment_id LIMIT 1",
        (group_id,),
    )
    if latest is None or latest["status"] not in ("Failed", "Stopped"):
        return None
    deployment = read_deployment(tx, latest["deployment_id"], with_order=False)
    if not deployment.options.get("automatic_rollback") or not rollback_due(deployment):
        return None
    if is_dead(deployment.owner, deployment.heartbeat, tx.now):
        return None
    return Obstacle(deployment.deployment_id, deployment.owner, 0)


def _queue(tx: Transaction, group_id: str) -> list[Row]:
    return [row for row in tx.rows(_QUEUE, (group_id,)) if not _gone(row, tx.now)]


def _gone(row: Row, now: float) -> bool:
    return now - row["heartbeat"] > WAITING_LIMIT or is_dead(owner_of(row), row["heartbeat"], now)


def _same_controller(row: Row, owner: Owner) -> bool:
    return same_controller(owner_of(row), owner)


def _too_late(group_name: str, obstacle: Obstacle) -> CodeDeployError:
    if obstacle.deployment_id is None:
        return GroupAwaited(group_name, obstacle.owner)
    return ActiveDeployment(group_name, obstacle.deployment_id, obstacle.owner)
