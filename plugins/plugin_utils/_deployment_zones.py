# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Zones in the record: which one is deployed to, whether it bakes, and what that means for a deployment's end.

Each function works inside a transaction that has locked the deployment's row.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployment_rows import (
    ARRIVAL_SECONDS,
    conclude_if,
    count_end,
    end_target,
    ledger_state,
    save_counts,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._ledger import (
    Candidate,
    Decision,
    LedgerState,
    Verdict,
    conclusion,
    decide,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Row, Transaction
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._zones import Zone, decide_in_zone, zone_verdict


def is_zonal(row: Row) -> bool:
    """Say whether a deployment's row is one with a zonal configuration."""
    return row["bake_until"] is not None


def bakes(row: Row, now: float) -> bool:
    """Say whether the deployment waits after a zone."""
    return is_zonal(row) and row["bake_until"] > now


def insert_zones(
    tx: Transaction, deployment_id: str, zones: t.Sequence[Zone], zone_of: t.Mapping[str, str], outside: t.Iterable[str]
) -> None:
    """Write the zones of a new deployment.

    :param zone_of: instance -> zone.
    :param outside: the healthy instances of the group that the deployment leaves alone.
    """
    left_alone = [zone_of[name] for name in outside]
    tx.execute_many(
        "INSERT INTO zones (deployment_id, position, zone, total, minimum_healthy, healthy_outside, monitor_seconds)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [
            (deployment_id, position, zone.name, zone.total, zone.minimum_healthy, left_alone.count(zone.name), seconds)
            for position, zone in enumerate(zones)
            for seconds in [zone.monitor_seconds]
        ],
    )


def verdict_of(tx: Transaction, row: Row) -> Verdict | None:
    """Say whether a deployment has ended, and how; a zone that came below its minimum fails all of it."""
    state = state_of_group(tx, row)
    if not is_zonal(row) or state.in_progress or state.stop_requested:
        return conclusion(state)
    for zone in _zones(tx, row):
        counts = _zone_state(tx, row, zone)
        verdict = zone_verdict(counts, zone["zone"])
        if verdict is not None:
            return verdict
        if counts.pending:
            break
    return conclusion(state)


def decide_with_zones(tx: Transaction, row: Row, target: Row, whole: Decision) -> Decision:
    """May this pending instance start, when the rule of the whole group has answered?

    Its zone's turn comes when no instance of the zones before is pending or in work, and the last of them has baked.
    """
    if whole.action == "stop" or not is_zonal(row):
        return whole
    zone = _current_zone(tx, row)
    counts = _zone_state(tx, row, zone)
    if zone["zone"] != target["zone"]:
        if counts.in_progress or not _passed(row, tx.now):
            return Decision("wait", f"Zone {zone['zone']} is deployed to first.")
        if _lose(tx, row, zone) is not None:
            return Decision("stop", f"Zone {zone['zone']} came below its minimum of healthy instances.")
        return decide_with_zones(tx, row, target, decide(state_of_group(tx, row), _candidate(target)))
    if bakes(row, tx.now):
        return Decision("wait", "The zone before bakes.")
    return decide_in_zone(whole, counts, zone["zone"], _candidate(target))


def begin_baking(tx: Transaction, row: Row, name: str) -> None:
    """Let the deployment bake when all instances of a zone have ended and others are pending."""
    zone = tx.only_row("SELECT * FROM zones WHERE deployment_id = %s AND zone = %s", (row["deployment_id"], name))
    counts = _zone_state(tx, row, zone)
    if counts.pending or counts.in_progress or not row["pending"] or not zone["monitor_seconds"]:
        return
    row.update(status="Baking", bake_until=tx.now + zone["monitor_seconds"])
    tx.execute(
        "UPDATE deployments SET status = %s, bake_until = %s WHERE deployment_id = %s",
        (row["status"], row["bake_until"], row["deployment_id"]),
    )


def state_of_group(tx: Transaction, row: Row) -> LedgerState:
    """Give the counts of the whole group that the rules decide by.

    With zones only unhealthy instances of the zone that is deployed to are expected to start: those of later zones come
    after the healthy ones of this zone, and so free none of them.
    """
    state = ledger_state(row, tx.now)
    if not is_zonal(row) or not state.unhealthy_pending:
        return state
    counted = tx.only_row(
        "SELECT COUNT(*) AS instances FROM targets WHERE deployment_id = %s AND zone = %s AND status = 'Pending'"
        " AND NOT healthy_before",
        (row["deployment_id"], _current_zone(tx, row)["zone"]),
    )
    return dataclasses.replace(state, unhealthy_pending=counted["instances"])


def state_of_zone(tx: Transaction, row: Row, name: str) -> LedgerState:
    """Give the counts of one zone that the rules decide by."""
    zone = tx.only_row("SELECT * FROM zones WHERE deployment_id = %s AND zone = %s", (row["deployment_id"], name))
    return _zone_state(tx, row, zone)


def _zones(tx: Transaction, row: Row) -> list[Row]:
    return tx.rows("SELECT * FROM zones WHERE deployment_id = %s ORDER BY position", (row["deployment_id"],))


def _current_zone(tx: Transaction, row: Row) -> Row:
    """Give the first zone with instances that have not ended."""
    return tx.only_row(
        "SELECT zones.* FROM zones JOIN targets ON targets.deployment_id = zones.deployment_id"
        " AND targets.zone = zones.zone WHERE zones.deployment_id = %s AND targets.status IN ('Pending', 'InProgress')"
        " ORDER BY zones.position LIMIT 1",
        (row["deployment_id"],),
    )


def _zone_state(tx: Transaction, row: Row, zone: Row) -> LedgerState:
    counted = tx.rows(
        "SELECT status, healthy_before, COUNT(*) AS instances FROM targets WHERE deployment_id = %s AND zone = %s"
        " GROUP BY status, healthy_before",
        (row["deployment_id"], zone["zone"]),
    )

    def count(*statuses: str, healthy: tuple[bool, ...] = (True, False)) -> int:
        return sum(
            one["instances"] for one in counted if one["status"] in statuses and bool(one["healthy_before"]) in healthy
        )

    whole = ledger_state(row, tx.now)
    succeeded, serving = count("Succeeded"), count("Pending", healthy=(True,))
    return LedgerState(
        total=zone["total"],
        minimum_healthy=zone["minimum_healthy"],
        pending=count("Pending"),
        in_progress=count("InProgress"),
        succeeded=succeeded,
        failed=count("Failed", "Unknown"),
        healthy_available=zone["healthy_outside"] + succeeded + serving,
        # Whether unhealthy ones are still expected is said of the whole group.
        unhealthy_pending=count("Pending", healthy=(False,)) if whole.unhealthy_pending else 0,
    )


def _passed(row: Row, now: float) -> bool:
    """Say whether what is pending in the zone before will not come any more.

    A play of somebody's own has been checked to come to one zone after the other. In others an instance has some time.
    """
    if json.loads(row["options"]).get("in_play_of_user"):
        return True
    return row["blocked_since"] is not None and now - row["blocked_since"] >= ARRIVAL_SECONDS


def _lose(tx: Transaction, row: Row, zone: Row) -> Verdict | None:
    """Let the pending instances of a zone fail, one after the other, unless that ends the deployment."""
    of_zone = "SELECT * FROM targets WHERE deployment_id = %s AND zone = %s AND status = 'Pending' ORDER BY position"
    for target in tx.rows(of_zone, (row["deployment_id"], zone["zone"])):
        count_end(row, target, "Failed")
        end_target(tx, row, target, "Failed", "The instance never arrived at the deployment.")
        save_counts(tx, row)
        verdict = verdict_of(tx, row)
        if verdict is not None:
            conclude_if(tx, row, verdict)
            return verdict
    begin_baking(tx, row, zone["zone"])
    return None


def _candidate(target: Row) -> Candidate:
    return Candidate(target["instance"], bool(target["healthy_before"]))
