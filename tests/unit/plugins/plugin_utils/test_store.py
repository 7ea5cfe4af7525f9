# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the store lies, who may read it, and what is said when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from support.deployments import GROUP_ID, deploy, install_event, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    finish_instance,
    get_deployment,
    get_target,
    list_deployments,
    list_revisions,
    record_event,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, StoreError, open_store
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_schema import SCHEMA_VERSION


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CODEDEPLOY_STORE", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    name = "agentless.codedeploy/deployments.sqlite"
    assert open_store().location == f"{tmp_path}/.local/state/{name}"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert open_store(None).location == f"{tmp_path}/state/{name}"
    monkeypatch.setenv("CODEDEPLOY_STORE", "~/from-environment.sqlite")
    assert open_store("").location == f"{tmp_path}/from-environment.sqlite"
    assert open_store("~/given.sqlite").location == f"{tmp_path}/given.sqlite"
    assert open_store(f"sqlite://{tmp_path}/url.sqlite").location == f"{tmp_path}/url.sqlite"
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(str(tmp_path / "state" / "ours" / "deployments.sqlite"))
        assert list_deployments(store) == []
    finally:
        os.umask(before)
    for directory in (tmp_path / "state", tmp_path / "state" / "ours"):
        assert mode(directory) == 0o700
    files = sorted((tmp_path / "state" / "ours").iterdir())
    assert [path.name for path in files] == [f"deployments.sqlite{suffix}" for suffix in ("", "-shm", "-wal")]
    assert {mode(path) for path in files} == {0o600}


def test_an_existing_directory_and_file_keep_their_modes(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(0o775)
    shared.chmod(0o775)
    path = shared / "deployments.sqlite"
    path.touch()
    path.chmod(0o660)
    list_deployments(open_store(str(path)))
    assert (mode(shared), mode(path)) == (0o775, 0o660)


def test_every_commit_is_synced_to_disk(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "s.sqlite")).transaction() as tx:
        assert tx.row("PRAGMA journal_mode") == {"journal_mode": "wal"}
        assert tx.row("PRAGMA synchronous") == {"synchronous": 2}
        assert tx.row("PRAGMA foreign_keys") == {"foreign_keys": 1}


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.execute("INSERT INTO applications VALUES (%s, %s, %s)", ("1", "a", 1.0))
        raise KeyError
    with store.transaction() as tx:
        assert tx.rows("SELECT * FROM applications") == []


def test_a_database_of_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    deployment = create_deployment(store, request("a"))
    with store.transaction() as tx:
        tx.execute("UPDATE schema_version SET version = %s", (SCHEMA_VERSION + 1,))
    with pytest.raises(StoreError, match=f"newer version.*schema {SCHEMA_VERSION + 1}.*upgrade the collection"):
        list_deployments(open_store(store.location))
    with store.transaction() as tx:
        assert tx.only_row("SELECT version FROM schema_version") == {"version": SCHEMA_VERSION + 1}
    assert list_deployments(store) == [deployment]


def test_a_database_of_an_older_version_keeps_its_record(store_location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("ansible_collections.agentless.codedeploy.plugins.plugin_utils._store.SCHEMA_VERSION", 1)
        older = open_store(store_location)
        with older.transaction() as tx:
            tx.execute("INSERT INTO applications VALUES (%s, %s, %s)", ("1", "a", 1.0))
        with pytest.raises(StoreError), older.reading() as tx:
            tx.rows("SELECT * FROM waiting_controllers")
        older.close()
    with open_store(store_location).transaction() as tx:
        assert tx.rows("SELECT * FROM waiting_controllers") == []
        assert tx.only_row("SELECT application_name FROM applications") == {"application_name": "a"}
        assert tx.only_row("SELECT version FROM schema_version") == {"version": SCHEMA_VERSION}


def test_a_store_that_lost_the_race_to_make_the_tables_uses_them(store_location: str) -> None:
    first, second = (open_store(store_location) for _store in range(2))
    deployment = create_deployment(first, request("a"))
    assert get_deployment(second, deployment.deployment_id) == deployment
    with second.transaction() as tx:
        assert tx.rows("SELECT version FROM schema_version") == [{"version": SCHEMA_VERSION}]


def test_what_is_not_a_store(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database, but long enough to have the header of one; " * 40)
    with pytest.raises(StoreError, match=f"Store {text}: file is not a database: choose another file"):
        list_deployments(open_store(str(text)))
    below = text / "deployments.sqlite"
    with pytest.raises(StoreError, match=f"Store {below} cannot be written.*CODEDEPLOY_STORE"):
        list_deployments(open_store(str(below)))
    directory = tmp_path / "directory"
    directory.mkdir()
    with pytest.raises(StoreError, match=f"Store {directory}: it cannot be written"):
        list_deployments(open_store(str(directory)))


def test_a_store_that_is_locked_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.sqlite"
    list_deployments(open_store(str(path)))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr("ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_sqlite.BUSY_SECONDS", 0.1)
    with pytest.raises(StoreError, match="another process has kept it locked"):
        create_deployment(open_store(str(path)), request("a"))
    assert list_deployments(open_store(str(path))) == []
    other.execute("ROLLBACK")
    other.close()


def test_kinds_of_store_that_are_not_supported_are_named_without_their_password() -> None:
    with pytest.raises(StoreError, match="mysql:// is not supported.*postgresql://") as caught:
        open_store("mysql://deploy:secret@db.example/codedeploy")
    assert "secret" not in str(caught.value)


def test_what_reads_sees_one_state_and_keeps_nobody_waiting(store: Store) -> None:
    create_deployment(store, request("a"))
    other = open_store(store.location)
    with store.reading() as tx:
        before = tx.rows("SELECT * FROM deployments")
        create_deployment(other, request("a", deployment_group_id="another"))
        assert tx.rows("SELECT * FROM deployments") == before
    assert len(list_deployments(store)) == 2
    with pytest.raises(StoreError), store.reading() as tx:
        tx.execute("UPDATE no_such_table SET no_such_column = 1")
    assert len(list_deployments(store)) == 2


def test_texts_that_no_database_takes_as_they_are(store: Store) -> None:
    message = "caf\xe9 \N{SNOWMAN} \0 \udcff \ud800"
    deployment_id = create_deployment(store, request("a", description=message)).deployment_id
    ask_to_start(store, deployment_id, "a")
    record_event(store, deployment_id, "a", install_event("Failed"))
    finish_instance(store, deployment_id, "a", "Failed", message=message)
    kept = "caf\xe9 \N{SNOWMAN} \N{SYMBOL FOR NULL} \\udcff \\ud800"
    assert get_deployment(store, deployment_id).description == kept
    assert get_target(store, deployment_id, "a").message == kept


def test_a_location_of_any_length(store: Store) -> None:
    revisions = [{"revision_type": "URL", "url_location": {"url": f"https://h/{'x' * 5000}{n}"}} for n in range(2)]
    for revision in (*revisions, revisions[0]):
        deploy(store, replace(request("a"), revision=revision))
    assert [known.revision for known in list_revisions(store)] == revisions


def test_a_child_process_does_not_use_the_connection_it_inherited(store: Store) -> None:
    deployment_id = create_deployment(store, request("a")).deployment_id
    inherited = store._connection
    child = os.fork()
    if not child:
        result = 1
        try:
            group = get_deployment(store, deployment_id).deployment_group_id
            result = 0 if group == GROUP_ID and store._connection is not inherited else 2
        finally:
            os._exit(result)
    assert os.waitpid(child, 0)[1] == 0
    assert get_deployment(store, deployment_id).deployment_id == deployment_id
    assert store._connection is inherited


@pytest.mark.parametrize(
    "variables",
    [
        {"JOB_ID": "12", "AWX_HOST": "https://awx.example"},
        {"JOB_ID": "12", "AWX_PRIVATE_DATA_DIR": "/tmp/awx_12_x"},
        {"AWX_JOB_ID": "12"},
        {"AWX_ISOLATED_DATA_DIR": "/runner/artifacts/12"},
    ],
    ids=" ".join,
)
def test_a_file_in_the_container_of_a_job_is_refused_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CODEDEPLOY_STORE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="would be lost.*CODEDEPLOY_STORE or deploy_store to postgresql://"):
        open_store()
    assert open_store("/volume/deployments.sqlite").location == "/volume/deployments.sqlite"
    monkeypatch.setenv("CODEDEPLOY_STORE", "/volume/deployments.sqlite")
    assert open_store().location == "/volume/deployments.sqlite"
    assert list(tmp_path.iterdir()) == []


def test_a_job_number_of_something_else_is_not_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODEDEPLOY_STORE", raising=False)
    monkeypatch.setenv("JOB_ID", "12")
    assert open_store().location.endswith("deployments.sqlite")
    monkeypatch.setenv("AWX_ISOLATED_DATA_DIR", "/home/ada/project/artifacts/1")
    monkeypatch.delenv("JOB_ID")
    assert open_store().location.endswith("deployments.sqlite")
