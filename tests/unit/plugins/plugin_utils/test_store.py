# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the store lies, who may read it, and what is said when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest
from support.deployments import GROUP_ID, request

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    create_deployment,
    get_deployment,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import StoreError, open_store
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


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "s.sqlite"))
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.execute("INSERT INTO applications VALUES (%s, %s, %s)", ("1", "a", 1.0))
        raise KeyError
    with store.transaction() as tx:
        assert tx.rows("SELECT * FROM applications") == []


def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = open_store(str(path))
    list_deployments(store)
    with store.transaction() as tx:
        tx.execute("UPDATE schema_version SET version = %s", (SCHEMA_VERSION + 1,))
    store.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"newer version.*schema {SCHEMA_VERSION + 1}.*upgrade the collection"):
        list_deployments(open_store(str(path)))
    assert path.read_bytes() == before


def test_a_store_that_lost_the_race_to_make_the_tables_uses_them(tmp_path: Path) -> None:
    first, second = (open_store(str(tmp_path / "s.sqlite")) for _store in range(2))
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
    monkeypatch.setattr("ansible_collections.agentless.codedeploy.plugins.plugin_utils._store.BUSY_SECONDS", 0.1)
    with pytest.raises(StoreError, match="another process has kept it locked"):
        list_deployments(open_store(str(path)))
    other.execute("ROLLBACK")
    other.close()


def test_kinds_of_store_that_are_not_supported_are_named_without_their_password() -> None:
    with pytest.raises(StoreError, match="postgresql:// is not supported") as caught:
        open_store("postgresql://deploy:secret@db.example/codedeploy")
    assert "secret" not in str(caught.value)


def test_a_child_process_does_not_use_the_connection_it_inherited(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "s.sqlite"))
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
