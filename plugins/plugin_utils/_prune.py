# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove old deployments from the record, except those that a group still needs. Nothing is removed by itself."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._audit import append_audit
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._groups import (
    OPTION_OF_RESTART,
    last_installation,
    lock_group,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Row, Store, Transaction

OPERATION = "PruneDeployments"


@dataclass(frozen=True)
class Retention:
    """What is kept.

    :param before: deployments that ended before this time may go; epoch seconds.
    :param keep_last: how many of each group's newest deployments stay, whatever their age.
    :param audit: whether entries of the audit trail that are as old go too.
    """

    before: float
    keep_last: int
    audit: bool = False


def removable(
    rows: t.Sequence[Row], group: Row, last_of_instances: t.Collection[str], retention: Retention
) -> list[str]:
    """Return the deployments of one group that may go.

    These stay: those that have not ended; the newest ones; the group's last successful and last attempted one; the one
    with the revision C(previous); those by which the health of an instance is known; and of two that name each other as
    rollback both when one of them stays.

    :param rows: all deployments of the group, newest first.
    :param group: its row.
    :param last_of_instances: the last deployments of the group's instances.
    :returns: their ids, newest first.
    """
    pointers = {group["last_successful_deployment_id"], group["last_attempted_deployment_id"]}
    kept = {row["deployment_id"] for row in rows[: retention.keep_last]} | pointers | set(last_of_instances)
    kept |= {
        row["deployment_id"] for row in rows if row["complete_time"] is None or row["complete_time"] >= retention.before
    }
    succeeded = [row for row in rows if row["status"] == "Succeeded" and not row["limited"]]
    others = (row["deployment_id"] for row in succeeded if row["revision_id"] != group["target_revision_id"])
    kept |= {next(others, None)}
    for row in rows:
        if row["deployment_id"] in kept:
            kept |= {row["rollback_deployment_id"], row["rollback_triggering_deployment_id"]}
    return [row["deployment_id"] for row in rows if row["deployment_id"] not in kept]


def prune(
    store: Store,
    owner: Owner,
    retention: Retention,
    application_name: str | None = None,
    deployment_group_name: str | None = None,
    check_mode: bool = False,
) -> dict[str, t.Any]:
    """Remove old deployments with their instances, events and zones, each group's in one transaction.

    Applications, revisions and groups stay, as in CodeDeploy.

    :param owner: who asks.
    :param application_name: only those of this application; of this group, ``deployment_group_name``.
    :param check_mode: only say which.
    :returns: C(deployments), the ids of what was removed, C(groups), how many of which group, and C(audit_entries).
    """
    given = {"application_name": application_name, "deployment_group_name": deployment_group_name}
    conditions = [f"{name} = %s" for name, value in given.items() if value is not None]
    groups = "SELECT deployment_group_id FROM deployment_groups JOIN applications USING (application_id)"
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    with store.reading() as tx:
        order = " ORDER BY application_name, deployment_group_name, deployment_group_id"
        found = tx.rows(groups + where + order, [value for value in given.values() if value is not None])
    result: dict[str, t.Any] = {"deployments": [], "groups": [], "audit_entries": 0}
    for one in found:
        removed = _prune_group(store, owner, one["deployment_group_id"], retention, check_mode)
        if removed.deployments:
            result["deployments"] += removed.deployments
            result["groups"].append({**removed.names, "removed": len(removed.deployments), "kept": removed.kept})
    # The trail of everything is not a part of any application.
    if retention.audit and not conditions:
        with store.reading() if check_mode else store.transaction() as tx:
            old = tx.only_row("SELECT COUNT(*) AS entries FROM audit WHERE event_time < %s", (retention.before,))
            result["audit_entries"] = int(old["entries"])
            if not check_mode and result["audit_entries"]:
                tx.execute("DELETE FROM audit WHERE event_time < %s", (retention.before,))
                append_audit(tx, owner, OPERATION, _parameters(retention), {"audit_entries": result["audit_entries"]})
    return result


@dataclass(frozen=True)
class _Removable:
    """The deployments of one group that may go, newest first; C(kept) counts the others."""

    names: dict[str, str]
    deployments: list[str]
    kept: int


def _prune_group(store: Store, owner: Owner, group_id: str, retention: Retention, check_mode: bool) -> _Removable:
    with store.reading() as tx:
        found = _removable(tx, group_id, retention)
    if check_mode or not found.deployments:
        return found
    with store.transaction() as tx:
        # Deployments are locked before their group (see _deployment_rows), and whoever creates one locks the group.
        for one in sorted(found.deployments):
            tx.locked_row("SELECT 1 FROM deployments WHERE deployment_id = %s", (one,))
        lock_group(tx, group_id)
        now = _removable(tx, group_id, retention)
        old = [one for one in now.deployments if one in set(found.deployments)]
        for table in ("lifecycle_events", "targets", "zones", "deployments"):
            tx.execute_many(f"DELETE FROM {table} WHERE deployment_id = %s", [(one,) for one in old])
        if old:
            append_audit(tx, owner, OPERATION, {**now.names, **_parameters(retention)}, {"deployments": old})
    return _Removable(now.names, old, now.kept + len(now.deployments) - len(old))


def _removable(tx: Transaction, group_id: str, retention: Retention) -> _Removable:
    group = tx.row("SELECT * FROM deployment_groups WHERE deployment_group_id = %s", (group_id,))
    columns = "deployment_id, application_name, status, limited, revision_id, complete_time, rollback_deployment_id"
    rows = tx.rows(
        f"SELECT {columns}, rollback_triggering_deployment_id FROM deployments WHERE deployment_group_id = %s"
        " ORDER BY create_time DESC, deployment_id",
        (group_id,),
    )
    if group is None or not rows:
        return _Removable({}, [], 0)
    old = removable(rows, group, _last_of_instances(tx, group_id), retention)
    names = {
        "application_name": rows[0]["application_name"],
        "deployment_group_name": group["deployment_group_name"],
    }
    return _Removable(names, old, len(rows) - len(old))


def _last_of_instances(tx: Transaction, group_id: str) -> set[str]:
    """Return the last deployment of each instance, and of one that was restarted since the last that installed."""
    last = tx.rows("SELECT DISTINCT last_deployment_id FROM instances WHERE deployment_group_id = %s", (group_id,))
    restarted = tx.rows(
        "SELECT instance FROM instances JOIN deployments ON deployments.deployment_id = last_deployment_id"
        " WHERE instances.deployment_group_id = %s AND REPLACE(options, %s, '') <> options",
        (group_id, OPTION_OF_RESTART),
    )
    before = [last_installation(tx, group_id, row["instance"]) for row in restarted]
    return {row["last_deployment_id"] for row in last} | {row["deployment_id"] for row in before if row is not None}


def _parameters(retention: Retention) -> dict[str, t.Any]:
    return {"before": retention.before, "keep_last": retention.keep_last}


def digests_in_use(store: Store, since: float, without: t.Collection[str] = ()) -> set[str]:
    """Return the digests of the bundles that something in the record may ask for again.

    That are those of the revisions of all deployments that are recorded, of the groups and of their instances, and of
    revisions that were registered since a time, or last of their application.

    :param since: epoch seconds.
    :param without: deployments that are taken as removed already (check mode).
    """
    with store.reading() as tx:
        used = tx.rows("SELECT target_revision_id FROM deployment_groups")
        used += tx.rows("SELECT DISTINCT revision_id FROM instances")
        gone = set(without)
        for row in tx.rows("SELECT deployment_id, revision_id, previous_revision_id FROM deployments"):
            if row.pop("deployment_id") not in gone:
                used.append(row)
        needed = {revision_id for row in used for revision_id in row.values()}
        newest = tx.rows("SELECT application_id, MAX(register_time) AS newest FROM revisions GROUP BY application_id")
        latest = {row["application_id"]: row["newest"] for row in newest}
        revisions = tx.rows("SELECT revision_id, application_id, register_time, revision FROM revisions")
    return {
        str(json.loads(row["revision"]).get("digest"))
        for row in revisions
        if row["revision_id"] in needed or row["register_time"] >= min(since, latest[row["application_id"]])
    }
