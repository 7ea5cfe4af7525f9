# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit trail: one row for every operation on the record."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, Transaction


@dataclass(frozen=True)
class AuditEntry:
    """Who did what, when (epoch seconds), from which host, with which parameters and which result."""

    event_time: float
    event_name: str
    principal: str
    source: str
    deployment_id: str | None
    parameters: dict[str, t.Any]
    result: dict[str, t.Any]


def append_audit(
    tx: Transaction,
    owner: Owner,
    event_name: str,
    parameters: t.Mapping[str, t.Any],
    result: t.Mapping[str, t.Any],
    deployment_id: str | None = None,
) -> None:
    """Append an audit row inside the transaction of the operation itself."""
    source = f"{owner.host} process {owner.pid}" + (f" run {owner.run_id}" if owner.run_id else "")
    tx.execute(
        "INSERT INTO audit (event_time, event_name, principal, source, deployment_id, parameters, result)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (tx.now, event_name, owner.user, source, deployment_id, json.dumps(parameters), json.dumps(result)),
    )


def audit(
    store: Store,
    owner: Owner,
    event_name: str,
    parameters: t.Mapping[str, t.Any],
    result: t.Mapping[str, t.Any],
    deployment_id: str | None = None,
) -> None:
    """Append an audit row for an operation that changes nothing else in the store.

    :param event_name: the API's name of the operation (CreateDeployment, StopDeployment, ...).
    :param parameters: its input, JSON-able and without secrets.
    """
    with store.transaction() as tx:
        append_audit(tx, owner, event_name, parameters, result, deployment_id)


def list_audit(store: Store, deployment_id: str | None = None, limit: int = 1000) -> list[AuditEntry]:
    """The newest audit rows, oldest first; those of one deployment when its id is given."""
    where, parameters = ("WHERE deployment_id = %s", [deployment_id]) if deployment_id else ("", [])
    with store.reading() as tx:
        rows = tx.rows(f"SELECT * FROM audit {where} ORDER BY audit_id DESC LIMIT %s", [*parameters, limit])
    return [
        AuditEntry(
            row["event_time"],
            row["event_name"],
            row["principal"],
            row["source"],
            row["deployment_id"],
            json.loads(row["parameters"]),
            json.loads(row["result"]),
        )
        for row in reversed(rows)
    ]
