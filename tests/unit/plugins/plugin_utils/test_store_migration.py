# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that former versions of the collection wrote are brought up to date and go on, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.deployments import ELSEWHERE, GROUP_ID, deploy, request, revision

from ansible_collections.agentless.codedeploy.plugins.plugin_utils import _store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    create_deployment,
    get_group,
    get_targets,
    last_successful_revision,
    list_audit,
    list_deployments,
    list_revisions,
    stop_deployment,
    waiting_controllers,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_schema import SCHEMA_VERSION

RECORDS = Path(__file__).parents[3] / "support" / "old_records"
# A day after the records were written.
LATER = 1795410000.0
# In an order in which each row finds those that it refers to.
TABLES = (
    "applications",
    "revisions",
    "deployment_groups",
    "instances",
    "deployments",
    "targets",
    "lifecycle_events",
    "audit",
)
NUMBERED = ("audit_id",)


def old_rows(version: int) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript((RECORDS / f"version{version}.sql").read_text())
    connection.row_factory = sqlite3.Row
    return connection


def booleans(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row["name"] for row in connection.execute(f"PRAGMA table_info({table})") if row["type"] == "BOOLEAN"}


def write_on_postgresql(location: str, version: int, patch: pytest.MonkeyPatch) -> None:
    """Let the statements of that version make the tables, and put the old rows into them."""
    rows = old_rows(version)
    patch.setattr(_store, "SCHEMA_VERSION", version)
    store = open_store(location)
    with store.transaction() as tx:
        for table in TABLES:
            flags = booleans(rows, table)
            for row in rows.execute(f"SELECT * FROM {table}"):
                values = {
                    name: bool(value) if name in flags and value is not None else value
                    for name, value in dict(row).items()
                    if name not in NUMBERED
                }
                marks = ", ".join(["%s"] * len(values))
                tx.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))
    store.close()


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def old_store(request: pytest.FixtureRequest, store_location: str) -> Iterator[Store]:
    """Give a store in which a former version has recorded deployments."""
    if "://" in store_location:
        with pytest.MonkeyPatch.context() as patch:
            write_on_postgresql(store_location, request.param, patch)
    else:
        with sqlite3.connect(store_location) as connection:
            connection.executescript((RECORDS / f"version{request.param}.sql").read_text())
        connection.close()
    store = open_store(store_location)
    store.clock = lambda: LATER
    yield store
    store.close()


def test_an_old_record_is_all_there(old_store: Store) -> None:
    active, failed, succeeded = list_deployments(old_store)
    assert [one.status for one in (succeeded, failed, active)] == ["Succeeded", "Failed", "InProgress"]
    assert [one.revision for one in (succeeded, failed, active)] == [revision(number) for number in (1, 2, 3)]
    assert active.owner.user == ELSEWHERE.user
    assert failed.error_information["code"] == "HEALTH_CONSTRAINTS"
    assert last_successful_revision(old_store, GROUP_ID) == revision(1)
    group = get_group(old_store, GROUP_ID)
    assert group.last_attempted_deployment["deployment_id"] == active.deployment_id
    assert {name: healthy for name, (healthy, _revision) in group.instances.items()} == {
        "a": False,
        "b": True,
        "c": True,
    }
    (target,) = [target for target in get_targets(old_store, failed.deployment_id) if target.target_id == "a"]
    assert target.lifecycle_events[0]["diagnostics"]["error_code"] == "UnknownError"
    assert [entry.event_name for entry in list_audit(old_store)].count("CreateDeployment") == 3
    assert len(list_revisions(old_store)) == 3
    with old_store.reading() as tx:
        assert tx.only_row("SELECT version FROM schema_version") == {"version": SCHEMA_VERSION}


def test_an_old_record_goes_on(old_store: Store) -> None:
    killed = list_deployments(old_store, limit=1)[0]
    created = deploy(old_store, request("abc", number=2))
    assert created.status == "Succeeded"
    assert list_deployments(old_store, statuses=["InProgress"]) == []
    unknown = get_targets(old_store, killed.deployment_id, ["Unknown"])
    assert [target.target_id for target in unknown] == ["a"]
    assert last_successful_revision(old_store, GROUP_ID) == revision(2)
    assert waiting_controllers(old_store, GROUP_ID) == []
    following = create_deployment(old_store, request("abc", number=3))
    assert stop_deployment(old_store, following.deployment_id, ELSEWHERE) == "Succeeded"
    assert list_audit(old_store)[-1].deployment_id == following.deployment_id


@pytest.mark.parametrize("version", [1, 2])
def test_the_statements_still_make_the_tables_of_that_version(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_store, "SCHEMA_VERSION", version)
    path = tmp_path / "made.sqlite"
    with open_store(str(path)).transaction():
        pass
    statement = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"

    def tables(connection: sqlite3.Connection) -> list[tuple[str, list[str]]]:
        return [(name, sql.split()) for name, sql in connection.execute(statement)]

    made = sqlite3.connect(path)
    written = old_rows(version)
    written.row_factory = None
    assert tables(made) == tables(written)
    made.close()
