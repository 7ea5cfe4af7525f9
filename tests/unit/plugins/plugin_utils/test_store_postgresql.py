# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores on a PostgreSQL server: locations, passwords, servers that refuse, connections that drop."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.deployments import ELSEWHERE, GROUP_ID, deploy, request
from support.postgresql import DATABASE, PASSWORD, PASSWORD_USER, PostgreSQLServer
from support.waiting import LONGEST, wait_until

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    conclude,
    create_deployment,
    finish_instance,
    get_deployment,
    get_targets,
    list_deployments,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import (
    TRIES,
    Store,
    StoreError,
    open_store,
    run_again_if_undone,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_postgresql import PostgreSQLDialect

UTILS = "ansible_collections.agentless.codedeploy.plugins.plugin_utils"


@pytest.fixture
def location(postgresql_server: PostgreSQLServer) -> str:
    return postgresql_server.new_location()


@pytest.fixture
def own_server() -> Iterator[PostgreSQLServer]:
    """A server that the test may stop."""
    server = PostgreSQLServer()
    yield server
    server.stop()


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://ada:s3cret@db.example/codedeploy",
        "postgres://ada:s3cret@db.example/codedeploy",
        "postgresql://ada:s3/cret@db.example/codedeploy",
        "postgresql://ada:s3?cret@db.example/codedeploy",
        "postgresql://:s3cret@db.example,other.example:5433/codedeploy",
        "postgresql://db.example/codedeploy?password=s3cret",
        "postgresql://db.example/codedeploy?sslmode=require&pass%77ord=s3cret",
        "postgresql://db.example/codedeploy?sslpassword=s3cret",
        "postgresql://db.example/codedeploy#?password=s3cret",
    ],
)
def test_a_location_with_a_password_is_refused(given: str) -> None:
    with pytest.raises(StoreError, match=r"contains a password.*PGPASSWORD.*~/\.pgpass") as caught:
        open_store(given)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("given", ["postgresql://[::1/codedeploy", "postgresql://h/d?no_such_option=s3cret"])
def test_a_location_that_cannot_be_read(given: str) -> None:
    with pytest.raises(StoreError, match=r"cannot be read: write postgresql://\[user@\]host") as caught:
        open_store(given)
    assert "cret" not in str(caught.value)


def test_the_location_is_shown_as_it_was_given(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_store(location).location == location
    monkeypatch.setenv("CODEDEPLOY_STORE", location)
    assert open_store().location == location
    without_options = "postgres://[2001:db8::1]:5433/codedeploy"
    assert open_store(without_options).location == without_options


def test_passwords_come_from_the_environment_or_the_password_file(
    postgresql_server: PostgreSQLServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = "of_the_password_user"
    postgresql_server.execute(f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {PASSWORD_USER}", database=DATABASE)
    given = postgresql_server.location(user=PASSWORD_USER, options=f"-csearch_path={schema}")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    with pytest.raises(StoreError, match="does not take the password: set PGPASSWORD, or write a line into"):
        list_deployments(open_store(given))
    monkeypatch.setenv("PGPASSWORD", "wr0ng")
    with pytest.raises(StoreError, match="does not take the password: set PGPASSWORD") as caught:
        list_deployments(open_store(given))
    assert "wr0ng" not in str(caught.value)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert list_deployments(open_store(given)) == []
    monkeypatch.delenv("PGPASSWORD")
    (tmp_path / "pgpass").write_text(f"*:*:*:{PASSWORD_USER}:{PASSWORD}\n")
    (tmp_path / "pgpass").chmod(0o600)
    assert list_deployments(open_store(given)) == []


def test_what_cannot_be_reached_or_used(
    postgresql_server: PostgreSQLServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = postgresql_server
    server.execute(
        f"CREATE SCHEMA not_for_all; GRANT USAGE ON SCHEMA not_for_all TO {PASSWORD_USER}", database=DATABASE
    )
    server.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    for given, explained in (
        (server.location(database="nowhere"), "no such database on the server: create it"),
        (server.location(user="nobody"), "no such user on the server"),
        (server.location(database="latin"), "encoded as LATIN1: use one made with ENCODING 'UTF8'"),
        (server.location(options="-csearch_path=nowhere"), "no schema to put tables into"),
        (server.location(user=PASSWORD_USER, options="-csearch_path=not_for_all"), "may not make or use the tables"),
        (f"postgresql:///codedeploy?host={tmp_path}", "no server answers there"),
        ("postgresql://127.0.0.1:1/codedeploy", "no server answers there: correct host and port"),
        ("postgresql://no-such-host.invalid/codedeploy", "the name of the server cannot be resolved"),
    ):
        with pytest.raises(StoreError, match=explained) as caught:
            create_deployment(open_store(given), request("a"))
        assert str(caught.value).startswith(f"Store {given}: ")


def test_every_commit_is_synced_to_disk(postgresql_server: PostgreSQLServer, location: str) -> None:
    # As the store is the server's, its administrator may have chosen otherwise.
    careless = f"{location}%20-csynchronous_commit%3Doff"
    with open_store(careless).transaction() as tx:
        assert tx.only_row("SHOW synchronous_commit") == {"synchronous_commit": "on"}


def test_psycopg_is_missing_or_too_old(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import collection_loader; collection_loader.register_collection()\n"
        f"from {UTILS}._store import StoreError, open_store\n"
        "open_store('~/s.sqlite')\n"
        "try: open_store('postgresql://db.example/codedeploy')\n"
        "except StoreError as error: print(error)\n"
    )

    def say(package: str) -> str:
        (tmp_path / "psycopg.py").write_text(package)
        command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parents[3])]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    advice = f"{sys.executable} -m pip install 'psycopg[binary]>=3.1'\n"
    missing = "raise ModuleNotFoundError(\"No module named 'psycopg'\", name='psycopg')"
    assert say(missing) == f"A store on PostgreSQL needs psycopg, which cannot be imported: {advice}"
    without_library = "raise ImportError('no pq wrapper available.\\n- libpq library not found')"
    assert "cannot be imported (no pq wrapper available. - libpq library not found)" in say(without_library)
    assert say("__version__ = '3.0.18'") == f"A store on PostgreSQL needs psycopg 3.1, this is 3.0.18: {advice}"


def test_a_dropped_connection_is_opened_anew(postgresql_server: PostgreSQLServer, location: str) -> None:
    store = open_store(location)
    deployment_id = create_deployment(store, request("ab")).deployment_id
    postgresql_server.end_connections()
    assert ask_to_start(store, deployment_id, "a").action == "go"
    postgresql_server.end_connections()
    assert get_deployment(store, deployment_id).deployment_overview["InProgress"] == 1


def test_what_a_transaction_had_done_when_its_connection_dropped_is_undone(
    postgresql_server: PostgreSQLServer, location: str
) -> None:
    store = open_store(location)
    deployment_id = create_deployment(store, request("ab")).deployment_id
    with pytest.raises(StoreError, match="connection to the server was lost"), store.transaction() as tx:
        tx.execute("UPDATE deployments SET in_progress = 7")
        postgresql_server.end_connections()
        tx.execute("UPDATE deployments SET in_progress = 8")
    assert get_deployment(store, deployment_id).deployment_overview["InProgress"] == 0


def test_a_server_that_is_started_again_is_waited_for(
    own_server: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(own_server.new_location())
    deployment_id = create_deployment(store, request("ab")).deployment_id
    own_server.halt()
    with pytest.raises(StoreError, match="no server answers there"):
        list_deployments(open_store(store.location))
    # However long the server takes.
    monkeypatch.setattr(f"{UTILS}._store.RECONNECT_SECONDS", LONGEST)
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(ask_to_start(store, deployment_id, "a").action))
    asking.start()
    own_server.start()
    asking.join()
    assert answers == ["go"]


def test_a_server_that_stays_away_is_given_up(own_server: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(own_server.new_location())
    list_deployments(store)
    own_server.halt()
    monkeypatch.setattr(f"{UTILS}._store.RECONNECT_SECONDS", 0.5)
    with pytest.raises(StoreError, match="no server answers there"):
        list_deployments(store)


def test_a_statement_that_failed_is_never_taken_for_a_commit(location: str) -> None:
    store = open_store(location)
    deployment_id = create_deployment(store, request("ab")).deployment_id
    with pytest.raises(StoreError, match="nothing was written"), store.transaction() as tx:
        tx.execute("UPDATE deployments SET in_progress = 7")
        with pytest.raises(psycopg.Error):
            tx.execute("UPDATE no_such_table SET no_such_column = 1")
    assert get_deployment(store, deployment_id).deployment_overview["InProgress"] == 0


def test_a_store_that_is_locked_for_long(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(location)
    deployment_id = create_deployment(store, request("ab")).deployment_id
    with psycopg.connect(location) as other:
        other.execute("SELECT * FROM deployments FOR UPDATE")
        impatient = f"{UTILS}._store_postgresql._SESSION"
        monkeypatch.setattr(impatient, "SET lock_timeout = '0.1s'")
        with pytest.raises(StoreError, match="another process has kept it locked"):
            ask_to_start(open_store(location), deployment_id, "a")
        assert get_deployment(open_store(location), deployment_id).deployment_overview["Pending"] == 2


def test_controllers_whose_clocks_differ_have_the_time_of_the_server(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = PostgreSQLDialect(location)
    connection = dialect.connect()
    assert dialect.clock_offset(connection) == 0
    fast = time.time() + 5000
    monkeypatch.setattr(f"{UTILS}._store_postgresql.time.time", lambda: fast)
    assert -5001 < dialect.clock_offset(connection) < -4900
    connection.close()
    store = open_store(location)
    store.clock = lambda: fast
    created = create_deployment(store, request("ab", owner=ELSEWHERE)).create_time
    assert fast - 5001 < created < fast - 4900


def test_the_end_of_a_deployment_and_the_next_one_do_not_wait_for_each_other(location: str) -> None:
    """One holds the deployment's row and comes to the group's; the other must not come from there."""
    ending, creating = open_store(location), open_store(location)
    deployment_id = create_deployment(ending, request("a")).deployment_id
    ask_to_start(ending, deployment_id, "a")
    created: list[object] = []

    def create() -> None:
        created.append(deploy(creating, request("a", number=2)).status)

    with ending.transaction() as tx:
        tx.row("SELECT * FROM deployments WHERE deployment_id = %s FOR UPDATE", (deployment_id,))
        following = threading.Thread(target=create)
        following.start()
        _until_waiting(location)
        tx.execute("UPDATE deployment_groups SET last_successful_deployment_id = %s", (deployment_id,))
        tx.execute("UPDATE deployments SET complete_time = 1.0, status = 'Succeeded'")
    following.join()
    assert created == ["Succeeded"]


def test_a_late_result_and_the_next_deployment_do_not_wait_for_each_other(location: str) -> None:
    """Who creates a deployment holds the group and comes to its instances; the other must not come from there."""
    store = open_store(location)
    deployment_id = create_deployment(store, request("ab")).deployment_id
    ask_to_start(store, deployment_id, "a")
    conclude(store, deployment_id)
    reporting = threading.Thread(
        target=finish_instance, args=(open_store(location), deployment_id, "a", "Succeeded"), kwargs={"hooks": {}}
    )
    with psycopg.connect(location) as creating:
        creating.execute("SELECT * FROM deployment_groups FOR UPDATE")
        reporting.start()
        _until_waiting(location)
        creating.execute("UPDATE instances SET hooks = NULL")
    reporting.join()
    assert [target.status for target in get_targets(store, deployment_id)] == ["Succeeded", "Failed"]


def test_a_transaction_that_the_server_undid_is_run_again(postgresql_server: PostgreSQLServer) -> None:
    location = postgresql_server.new_location()
    deployment_id = create_deployment(open_store(location), request("ab")).deployment_id
    # Who waits last finds the circle; the other one never looks for it.
    own = open_store(f"{location}%20-cdeadlock_timeout%3D10ms")
    tries: list[int] = []
    with psycopg.connect(f"{location}%20-cdeadlock_timeout%3D1h") as other:
        other.execute("SELECT * FROM targets FOR UPDATE")
        waiting = threading.Thread(
            target=lambda: (other.execute("UPDATE deployments SET description = 'theirs'"), other.commit())
        )

        @run_again_if_undone
        def work() -> int:
            tries.append(1)
            if len(tries) > 1:
                # Either may get the row first, now that nobody has it; this one would close the circle again.
                waiting.join()
            with own.transaction() as tx:
                tx.execute("UPDATE deployments SET owner_run_id = 'mine'")
                if len(tries) == 1:
                    waiting.start()
                    _until_waiting(location)
                return tx.execute("UPDATE targets SET message = 'mine'")

        assert work() == 2
    assert len(tries) == 2
    deployment = get_deployment(own, deployment_id)
    assert (deployment.description, deployment.owner.run_id) == ("theirs", "mine")


def test_a_transaction_that_is_undone_again_and_again_is_given_up(location: str) -> None:
    store = open_store(location)
    deployment_id = create_deployment(store, request("ab")).deployment_id
    tries: list[int] = []

    @run_again_if_undone
    def work() -> None:
        tries.append(1)
        with store.transaction() as tx:
            tx.execute("UPDATE deployments SET description = 'mine'")
            tx.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    with pytest.raises(StoreError, match="run it again"):
        work()
    assert len(tries) == TRIES
    assert get_deployment(store, deployment_id).description is None


def _until_waiting(location: str) -> None:
    """Wait until a process waits for a row that another one holds."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with psycopg.connect(location, autocommit=True) as connection:
        wait_until(lambda: connection.execute(query).fetchone()[0], "a process waits for a row")


def test_a_finished_instance_is_recorded_once(location: str) -> None:
    """Two workers that report the same end at once, as after a take-over, count it once."""
    store = open_store(location)
    deployment_id = create_deployment(store, request("ab")).deployment_id
    ask_to_start(store, deployment_id, "a")

    def finish(own: Store) -> None:
        finish_instance(own, deployment_id, "a", "Succeeded")

    with psycopg.connect(location) as holding:
        holding.execute("SELECT * FROM deployments FOR UPDATE")
        workers = [threading.Thread(target=finish, args=(open_store(location),)) for _worker in range(3)]
        for worker in workers:
            worker.start()
        _until_waiting(location)
    for worker in workers:
        worker.join()
    overview = get_deployment(store, deployment_id).deployment_overview
    assert (overview["Succeeded"], overview["Pending"], overview["InProgress"]) == (1, 1, 0)
    assert get_deployment(store, deployment_id).deployment_group_id == GROUP_ID
