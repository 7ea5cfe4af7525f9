# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The audit trail: one row for every operation on the record."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import InvalidInput
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._owner import Owner
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Row, Store, Transaction

# Whether a column has a text in it, the same for all databases.
_HAS = "REPLACE({0}, %s, '') <> {0}"
# A deployment that succeeded has an error code that is null.
_FAILED = ('"error_code": ', '"error_code": null')


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


def list_audit(
    store: Store,
    deployment_id: str | None = None,
    limit: int = 1000,
    application_name: str | None = None,
    deployment_group_name: str | None = None,
    principal: str | None = None,
    event_names: t.Sequence[str] | None = None,
    created_from: float | None = None,
    created_to: float | None = None,
    failed_only: bool = False,
) -> list[AuditEntry]:
    """The newest audit rows that all given filters let through, oldest first.

    :param deployment_group_name: only what names this group, and what was done with its deployments; the same for
        ``application_name``.
    :param event_names: names of operations.
    :param created_from: earliest time, epoch seconds; ``created_to`` the latest.
    :param failed_only: only what was denied or refused.
    :raises InvalidInput: ``limit`` is less than 1.
    """
    if limit < 1:
        raise InvalidInput("limit must be at least 1.")
    filters: list[tuple[str, list[t.Any]]] = [
        (condition, [value])
        for condition, value in (
            ("deployment_id = %s", deployment_id),
            ("principal = %s", principal),
            ("event_time >= %s", created_from),
            ("event_time <= %s", created_to),
        )
        if value is not None
    ]
    for column, name in (("application_name", application_name), ("deployment_group_name", deployment_group_name)):
        if name is not None:
            own = f"deployment_id IN (SELECT deployment_id FROM deployments WHERE {column} = %s)"
            filters.append((f"({_HAS.format('parameters')} OR {own})", [json.dumps({column: name})[1:-1], name]))
    if event_names:
        filters.append((f"event_name IN ({', '.join(['%s'] * len(event_names))})", list(event_names)))
    if failed_only:
        filters.append((f"({_HAS.format('result')} AND NOT {_HAS.format('result')})", list(_FAILED)))
    where = f"WHERE {' AND '.join(condition for condition, _values in filters)}" if filters else ""
    parameters = [value for _condition, values in filters for value in values]
    with store.reading() as tx:
        rows = tx.rows(f"SELECT * FROM audit {where} ORDER BY audit_id DESC LIMIT %s", [*parameters, limit])
    return [_entry(row) for row in reversed(rows)]


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        row["event_time"],
        row["event_name"],
        row["principal"],
        row["source"],
        row["deployment_id"],
        json.loads(row["parameters"]),
        json.loads(row["result"]),
    )
