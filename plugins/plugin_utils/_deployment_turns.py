# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose turn it is in the record: of the instances that ask to start, the first in the deployment's order.

Each function works inside a transaction that has locked the deployment's row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_zones import (
    bakes,
    state_of_group,
    state_of_zone,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import Candidate, Decision, decide_in_order
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Row, Transaction

ASKING_SECONDS = 30.0
"""For how long an instance counts as one that asks, since it did so last: its task may have ended otherwise."""

RENEW_SECONDS = 5.0
"""How old the time of the last question is before another one is written."""


def wait_for_earlier(tx: Transaction, row: Row, target: Row) -> Decision | None:
    """Let a pending instance that may start wait when those before it, which ask too, take the places that are free.

    In the playbook deploy instances come in the deployment's order. There, one that has not asked yet is waited for,
    too: its task has begun before this one's.
    """
    earlier = _earlier(tx, row, target)
    if not earlier:
        return None
    states = [state_of_group(tx, row)]
    if target["zone"] is not None:
        states.append(state_of_zone(tx, row, target["zone"]))
    return decide_in_order(states, earlier, Candidate(target["instance"], bool(target["healthy_before"])))


@dataclass(frozen=True)
class Coming:
    """What the play of an instance that asks still brings before this one has ended.

    :param instances: those of its batch.
    :param at_once: how many of them can ask at the same time, by forks and the window.
    """

    instances: frozenset[str]
    at_once: int


def nobody_frees(tx: Transaction, row: Row, target: Row, coming: Coming) -> bool:
    """Say whether no unhealthy instance comes whose success could free a healthy one that has to wait."""
    if row["in_progress"] or not row["unhealthy_pending"] or bakes(row, tx.now):
        return False
    pending = tx.rows(
        "SELECT instance, healthy_before, asked_time FROM targets WHERE deployment_id = %s AND status = 'Pending'",
        (row["deployment_id"],),
    )
    if not any(one["instance"] in coming.instances for one in pending if not one["healthy_before"]):
        return True
    # Nothing is in work, so that an unhealthy one that asks is started: all those that ask now are healthy.
    asking = {one["instance"] for one in pending if (one["asked_time"] or 0.0) >= tx.now - ASKING_SECONDS}
    return len(asking | {target["instance"]}) >= coming.at_once


def come_too_late(row: Row, message: str | None) -> str:
    """Say that unhealthy instances would have to come first in a play of somebody's own."""
    return (
        f"{message} The unhealthy ones of this deployment, {row['unhealthy_pending']}, come after them in this play: "
        "let them come first, or use the playbook agentless.codedeploy.deploy, which takes them in the right order."
    )


def note_question(tx: Transaction, row: Row, target: Row) -> None:
    """Note that an instance asks, and has to wait."""
    if target["asked_time"] is None or tx.now - target["asked_time"] >= RENEW_SECONDS:
        tx.execute(
            "UPDATE targets SET asked_time = %s, waiting_since = COALESCE(waiting_since, %s)"
            " WHERE deployment_id = %s AND instance = %s",
            (tx.now, tx.now, row["deployment_id"], target["instance"]),
        )


def _give_up(tx: Transaction, row: Row, target: Row) -> None:
    """Wait no more for what was to ask long before this instance, which nobody else has to find out again."""
    tx.execute(
        "UPDATE targets SET asked_time = 0 WHERE deployment_id = %s AND status = 'Pending' AND position < %s"
        " AND asked_time IS NULL",
        (row["deployment_id"], target["position"]),
    )


def _earlier(tx: Transaction, row: Row, target: Row) -> list[Candidate]:
    """Give the pending instances before one that are to start first, as many as there are places at most."""
    asks, since = "asked_time >= %s", [tx.now - ASKING_SECONDS]
    waited = tx.now - target["waiting_since"] if target["waiting_since"] is not None else 0.0
    if json.loads(row["options"]).get("in_play_of_user") is False:
        if waited < ASKING_SECONDS:
            asks = f"({asks} OR asked_time IS NULL)"
        else:
            _give_up(tx, row, target)
    zone = [] if target["zone"] is None else [target["zone"]]
    places = row["total"] - row["minimum_healthy"] - row["in_progress"] - row["failed"]
    rows = tx.rows(
        "SELECT instance, healthy_before FROM targets WHERE deployment_id = %s AND status = 'Pending'"
        f" AND position < %s AND {asks}{' AND zone = %s' if zone else ''} ORDER BY position LIMIT %s",
        [row["deployment_id"], target["position"], *since, *zone, max(places, 0)],
    )
    return [Candidate(one["instance"], bool(one["healthy_before"])) for one in rows]
