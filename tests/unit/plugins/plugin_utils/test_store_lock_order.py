# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order transactions lock the rows of the record: in one, so that no two wait for each other for ever."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from support.deployments import request
from support.random_steps import one_step

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    CodeDeployError,
    conclude,
    create_deployment,
    current_owner,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._prune import Retention, prune
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import open_store

ORDER = ["applications", "deployments", "deployment_groups", "instances", "waiting_controllers", "revisions"]
LOCKING = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM|SELECT .* FROM) (\w+)", re.DOTALL)


def locked_tables(statements: list[str]) -> list[str]:
    """The tables whose rows a transaction locks, each where it is locked first."""
    tables: dict[str, None] = {}
    for statement in statements:
        found = LOCKING.match(statement)
        reads = statement.startswith("SELECT") and not statement.endswith("(locked)")
        # Nobody waits for a deployment that is new; the group's lock comes before.
        if found and not reads and not statement.startswith("INSERT INTO deployments"):
            tables.setdefault(found[1])
    return [table for table in tables if table in ORDER]


def test_every_transaction_locks_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path / "deployments.sqlite"))
    transactions: list[list[str]] = []
    dialect = store._dialect
    begin, placeholders = store.transaction, dialect.placeholders

    def noted(statement: str) -> str:
        transactions[-1].append(statement.strip())
        return placeholders(statement).replace("(locked)", "")

    def transaction() -> object:
        transactions.append([])
        return begin()

    create_deployment(store, request("abcdef", "HalfAtATime"))
    transactions.append([])
    monkeypatch.setattr(dialect, "lock_row", "(locked)")
    monkeypatch.setattr(dialect, "placeholders", noted)
    monkeypatch.setattr(store, "transaction", transaction)
    chance, me = random.Random(20), current_owner()
    for _step in range(600):
        try:
            one_step(store, chance, me)
        except CodeDeployError:
            continue
    conclude(store, list_deployments(store, limit=1)[0].deployment_id)
    prune(store, me, Retention(store.clock() + 3600, 1))
    store.close()
    orders = {tuple(locked_tables(statements)) for statements in transactions}
    assert {tuple(sorted(tables, key=ORDER.index)) for tables in orders} == orders
    assert ("deployments", "deployment_groups", "instances") in orders
    assert any("waiting_controllers" in tables and "revisions" in tables for tables in orders)
