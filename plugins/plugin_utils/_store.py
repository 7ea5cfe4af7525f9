# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of deployments: a database reached through DB-API, opened once per process."""

from __future__ import annotations

import contextlib
import functools
import os
import time
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_dialect import (
    Dialect,
    StoreError,
    TransactionUndone,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_postgresql import SCHEMES, PostgreSQLDialect
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_schema import MIGRATIONS, SCHEMA_VERSION
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_sqlite import SQLiteDialect

__all__ = ["Parameters", "Row", "Store", "StoreError", "Transaction", "open_store", "run_again_if_undone"]

Row = dict[str, t.Any]
Parameters = t.Sequence[t.Any]
_Given = t.ParamSpec("_Given")
_Result = t.TypeVar("_Result")

RECONNECT_SECONDS = 30.0
"""How long a database server that was reached before may be away (it is started again, or another takes over)."""

TRIES = 5
"""How often a transaction is tried that the server undoes for the sake of others."""

# A connection must neither be used nor closed by a process that inherited it, so that the child keeps it referenced.
_inherited: list[t.Any] = []


class Transaction:
    """Statements of one transaction; see Store.transaction().

    ``after_commit`` is called with the store, in this process, once the transaction is on disk; it must not raise.
    """

    def __init__(self, location: str, connection: t.Any, dialect: Dialect, clock: t.Callable[[], float]) -> None:
        self.location = location
        self._connection = connection
        self._dialect = dialect
        self._clock = clock
        self.now = clock()
        self.after_commit: list[t.Callable[[Store], None]] = []

    def execute(self, statement: str, parameters: Parameters = ()) -> int:
        """Run a statement; returns the number of rows it changed."""
        cursor = self._connection.cursor()
        cursor.execute(self._dialect.placeholders(statement), _storable(parameters))
        return int(cursor.rowcount)

    def execute_many(self, statement: str, rows: t.Iterable[Parameters]) -> None:
        """Run a statement once for each row of parameters."""
        parameters = [_storable(row) for row in rows]
        self._connection.cursor().executemany(self._dialect.placeholders(statement), parameters)

    def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """Run a query; returns its rows by column name."""
        cursor = self._connection.cursor()
        cursor.execute(self._dialect.placeholders(statement), _storable(parameters))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, statement: str, parameters: Parameters = ()) -> Row | None:
        """Run a query for at most one row."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

    def locked_row(self, statement: str, parameters: Parameters = ()) -> Row | None:
        """Run a query for at most one row, which stays as it is until the transaction ends.

        Time has passed while another transaction held the row: ``now`` is later than whatever that one did.
        """
        row = self.row(f"{statement} {self._dialect.lock_row}", parameters)
        self.now = self._clock()
        return row

    def only_row(self, statement: str, parameters: Parameters = ()) -> Row:
        """Run a query for the first of the rows that the transaction knows to be there."""
        return self.rows(statement, parameters)[0]


class Store:
    """The database of one location. Connects at the first transaction of each process, also after a fork."""

    def __init__(self, location: str, dialect: Dialect, clock: t.Callable[[], float] = time.time) -> None:
        self.location = location
        self.clock = clock
        self._dialect = dialect
        self._connection: t.Any = None
        self._clock_offset = 0.0
        self._pid = 0

    def transaction(self) -> contextlib.AbstractContextManager[Transaction]:
        """One transaction on disk: committed when the block ends, rolled back when it raises.

        A connection that was lost since the last transaction is opened anew.

        :raises StoreError: the database cannot be reached or written.
        """
        return self._between(self._dialect.begin)

    def reading(self) -> contextlib.AbstractContextManager[Transaction]:
        """Queries that all see the same state of the record, and keep nobody waiting who writes.

        :raises StoreError: the database cannot be reached.
        """
        return self._between(self._dialect.begin_reading)

    def close(self) -> None:
        """Close this process's connection, if it has one."""
        if self._connection is not None and self._pid == os.getpid():
            self._connection.close()
            self._connection = None

    def version(self) -> int | None:
        """Return the version of the schema as it is, None when there is none; nothing is changed, unlike by a reading.

        :raises StoreError: the database cannot be reached.
        """
        with self._explained():
            connection = self._dialect.connect()
            try:
                return self._dialect.schema_version(connection)
            finally:
                connection.close()

    @contextlib.contextmanager
    def _between(self, begin: str) -> t.Iterator[Transaction]:
        with self._explained():
            connection = self._begin(begin)
        try:
            with self._explained():
                transaction = Transaction(self.location, connection, self._dialect, self._time)
                yield transaction
                self._dialect.commit(connection)
        except BaseException:
            with contextlib.suppress(*self._dialect.errors):
                connection.cursor().execute("ROLLBACK")
            raise
        for tell in transaction.after_commit:
            tell(self)

    def _time(self) -> float:
        return self.clock() + self._clock_offset

    def _begin(self, statement: str) -> t.Any:
        connection = self._connect()
        try:
            connection.cursor().execute(statement)
        except self._dialect.errors:
            if not self._dialect.lost(connection):
                raise
            connection = self._connect_again()
            connection.cursor().execute(statement)
        return connection

    def _connect_again(self) -> t.Any:
        self._connection = None
        deadline = time.monotonic() + RECONNECT_SECONDS
        while True:
            try:
                return self._connect()
            except self._dialect.errors:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def _connect(self) -> t.Any:
        if self._connection is not None and self._pid != os.getpid():
            _inherited.append(self._connection)
            self._connection = None
        if self._connection is None:
            connection = self._dialect.connect()
            try:
                self._migrate(connection)
                self._clock_offset = self._dialect.clock_offset(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._pid = connection, os.getpid()
        return self._connection

    def _migrate(self, connection: t.Any) -> None:
        if self._dialect.schema_version(connection) == SCHEMA_VERSION:
            return
        connection.cursor().execute(self._dialect.begin_migration)
        try:
            version = self._dialect.schema_version(connection) or 0
            if version > SCHEMA_VERSION:
                raise StoreError(
                    f"Store {self.location} was written by a newer version of agentless.codedeploy (schema {version}, "
                    f"this version knows {SCHEMA_VERSION}): upgrade the collection on this controller, or use another "
                    "store."
                )
            if version == 0:
                connection.cursor().execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
                connection.cursor().execute("INSERT INTO schema_version (version) VALUES (0)")
            for step in range(version + 1, SCHEMA_VERSION + 1):
                for statement in MIGRATIONS[step]:
                    connection.cursor().execute(statement.replace("{identity}", self._dialect.identity))
            statement = self._dialect.placeholders("UPDATE schema_version SET version = %s")
            connection.cursor().execute(statement, (SCHEMA_VERSION,))
            self._dialect.commit(connection)
        except BaseException:
            with contextlib.suppress(*self._dialect.errors):
                connection.cursor().execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _explained(self) -> t.Iterator[None]:
        try:
            yield
        except self._dialect.errors as error:
            kind = TransactionUndone if self._dialect.undone(error) else StoreError
            raise kind(f"Store {self.location}: {self._dialect.explain(error)}.") from error
        except OSError as error:
            raise StoreError(
                f"Store {self.location} cannot be written ({error.strerror or error}): choose another location with "
                "deploy_store or CODEDEPLOY_STORE."
            ) from error


def run_again_if_undone(work: t.Callable[_Given, _Result]) -> t.Callable[_Given, _Result]:
    """Decorate a function that is one transaction: it is called again when the database undid it, up to TRIES times.

    What is locked in one order (see _deployment_rows) is not undone; this is for what no order rules out.
    """

    @functools.wraps(work)
    def repeated(*args: _Given.args, **kwargs: _Given.kwargs) -> _Result:
        for _try in range(TRIES - 1):
            with contextlib.suppress(TransactionUndone):
                return work(*args, **kwargs)
        return work(*args, **kwargs)

    return repeated


def open_store(location: str | None = None) -> Store:
    """Give the store of a location; nothing is opened or created before its first transaction.

    :param location: path of an SQLite file (``~`` is the home directory), or
        ``postgresql://[user@]host[:port]/database`` without a password, which comes from PGPASSWORD or ~/.pgpass.
        Without a location the environment's CODEDEPLOY_STORE, else ``agentless.codedeploy/deployments.sqlite`` in
        ``$XDG_STATE_HOME`` (``~/.local/state``).
    :raises StoreError: the location names a kind of database that is not supported or holds a password, or there is
        none and the process runs in a container that ends with the job.
    """
    chosen = location or os.environ.get("CODEDEPLOY_STORE") or _default_location()
    scheme, separator, rest = chosen.partition("://")
    if separator and scheme in SCHEMES:
        return Store(chosen, PostgreSQLDialect(chosen))
    if separator and scheme != "sqlite":
        # A location with a scheme may hold a password, so that no more than the scheme is shown.
        raise StoreError(
            f"A store of kind {scheme}:// is not supported: give the path of an SQLite file, or postgresql://."
        )
    path = os.path.abspath(os.path.expanduser(rest if separator else chosen))
    return Store(path, SQLiteDialect(path))


def _default_location() -> str:
    if _in_job_container():
        raise StoreError(
            "This run is a job in an execution environment, and a file in there would be lost with it: set "
            "CODEDEPLOY_STORE or deploy_store to postgresql://user@host/database (the password in PGPASSWORD), or to "
            "a file on a volume that outlives the job."
        )
    state = os.environ.get("XDG_STATE_HOME") or os.path.join("~", ".local", "state")
    return os.path.join(state, "agentless.codedeploy", "deployments.sqlite")


def _in_job_container() -> bool:
    """AWX tells a job its number; ansible-runner keeps its files below /runner in every execution environment."""
    environment = os.environ
    awx = any(name in environment for name in ("AWX_HOST", "AWX_PRIVATE_DATA_DIR", "AWX_ISOLATED_DATA_DIR"))
    in_container = environment.get("AWX_ISOLATED_DATA_DIR", "").startswith("/runner/")
    return "AWX_JOB_ID" in environment or ("JOB_ID" in environment and awx) or in_container


def _storable(parameters: Parameters) -> tuple[t.Any, ...]:
    return tuple(_storable_text(value) if isinstance(value, str) else value for value in parameters)


def _storable_text(text: str) -> str:
    """What scripts print may hold characters that not every database takes; each has a visible substitute."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "backslashreplace").decode("utf-8")
