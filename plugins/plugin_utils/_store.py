# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the record of deployments is kept: a database reached through DB-API, opened once per process."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_schema import MIGRATIONS, SCHEMA_VERSION

Row = dict[str, t.Any]
Parameters = t.Sequence[t.Any]

BUSY_SECONDS = 60
"""How long a transaction waits for that of another process; each is a few milliseconds long."""

# A connection must neither be used nor closed by a process that inherited it, so that the child keeps it referenced.
_inherited: list[t.Any] = []


class StoreError(CodeDeployError):
    """The store cannot be opened, read or written; the message names the store and what to do."""

    code = "StoreError"


class Dialect(t.Protocol):
    """What differs between databases. Statements are written with ``%s`` for a parameter."""

    errors: tuple[type[Exception], ...]
    integrity_error: type[Exception]
    identity: str
    begin: str
    lock_row: str

    def connect(self) -> t.Any:
        """Open a connection that is in autocommit mode, so that BEGIN and COMMIT are statements."""

    def placeholders(self, statement: str) -> str:
        """Write a statement's ``%s`` as the driver wants it."""

    def explain(self, error: Exception) -> str:
        """Say what went wrong and what to do."""

    def schema_version(self, connection: t.Any) -> int | None:
        """The version of the tables, None when there are none."""


class SQLiteDialect:
    """SQLite of the standard library: one file, write-ahead log, every transaction synced to disk."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    integrity_error: type[Exception] = sqlite3.IntegrityError
    identity = "INTEGER PRIMARY KEY AUTOINCREMENT"
    begin = "BEGIN IMMEDIATE"
    lock_row = ""

    def __init__(self, path: str) -> None:
        self.path = path

    def connect(self) -> sqlite3.Connection:
        _create_private(self.path)
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            self._use_write_ahead_log(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_write_ahead_log(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal":
                    return
            except sqlite3.OperationalError as error:
                # Changing the mode does not wait for other processes by itself.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
                continue
            raise StoreError(
                f"The file system of store {self.path} cannot hold a write-ahead log (a network file system?): "
                "put the store on a local disk with deploy_store or CODEDEPLOY_STORE."
            )

    def placeholders(self, statement: str) -> str:
        return statement.replace("%s", "?")

    def explain(self, error: Exception) -> str:
        text = str(error)
        if "locked" in text:
            return f"another process has kept it locked for {BUSY_SECONDS} seconds: find and end that process"
        if "readonly" in text or "unable to open" in text:
            return "it cannot be written: make the file and its directory writable for this user, or choose another"
        if "not a database" in text or "malformed" in text:
            return f"{text}: choose another file, or restore this one"
        if "full" in text:
            return "the disk is full: make room there"
        return text

    def schema_version(self, connection: t.Any) -> int | None:
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
        return connection.execute("SELECT version FROM schema_version").fetchone()[0] if known else None


class Transaction:
    """Statements of one transaction; see Store.transaction()."""

    def __init__(self, connection: t.Any, dialect: Dialect, now: float) -> None:
        self._connection = connection
        self._dialect = dialect
        self.now = now
        self.lock_row = dialect.lock_row
        self.integrity_error = dialect.integrity_error

    def execute(self, statement: str, parameters: Parameters = ()) -> int:
        """Run a statement; returns the number of rows it changed."""
        cursor = self._connection.cursor()
        cursor.execute(self._dialect.placeholders(statement), tuple(parameters))
        return int(cursor.rowcount)

    def execute_many(self, statement: str, rows: t.Iterable[Parameters]) -> None:
        """Run a statement once for each row of parameters."""
        self._connection.cursor().executemany(self._dialect.placeholders(statement), rows)

    def rows(self, statement: str, parameters: Parameters = ()) -> list[Row]:
        """Run a query; returns its rows by column name."""
        cursor = self._connection.cursor()
        cursor.execute(self._dialect.placeholders(statement), tuple(parameters))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, statement: str, parameters: Parameters = ()) -> Row | None:
        """Run a query for at most one row."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None


class Store:
    """The database of one location. Connects at the first transaction of each process, also after a fork."""

    def __init__(self, location: str, dialect: Dialect, clock: t.Callable[[], float] = time.time) -> None:
        self.location = location
        self.clock = clock
        self._dialect = dialect
        self._connection: t.Any = None
        self._pid = 0

    @contextlib.contextmanager
    def transaction(self) -> t.Iterator[Transaction]:
        """One transaction on disk: committed when the block ends, rolled back when it raises.

        :raises StoreError: the database cannot be reached or written.
        """
        with self._explained():
            connection = self._connect()
            connection.cursor().execute(self._dialect.begin)
        try:
            with self._explained():
                yield Transaction(connection, self._dialect, self.clock())
                connection.cursor().execute("COMMIT")
        except BaseException:
            with contextlib.suppress(*self._dialect.errors):
                connection.cursor().execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close this process's connection, if it has one."""
        if self._connection is not None and self._pid == os.getpid():
            self._connection.close()
            self._connection = None

    def _connect(self) -> t.Any:
        if self._connection is not None and self._pid != os.getpid():
            _inherited.append(self._connection)
            self._connection = None
        if self._connection is None:
            connection = self._dialect.connect()
            try:
                self._migrate(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._pid = connection, os.getpid()
        return self._connection

    def _migrate(self, connection: t.Any) -> None:
        if self._dialect.schema_version(connection) == SCHEMA_VERSION:
            return
        connection.cursor().execute(self._dialect.begin)
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
            connection.cursor().execute("COMMIT")
        except BaseException:
            with contextlib.suppress(*self._dialect.errors):
                connection.cursor().execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _explained(self) -> t.Iterator[None]:
        try:
            yield
        except self._dialect.errors as error:
            raise StoreError(f"Store {self.location}: {self._dialect.explain(error)}.") from error
        except OSError as error:
            raise StoreError(
                f"Store {self.location} cannot be written ({error.strerror or error}): choose another location with "
                "deploy_store or CODEDEPLOY_STORE."
            ) from error


def open_store(location: str | None = None) -> Store:
    """Give the store of a location; nothing is opened or created before its first transaction.

    :param location: path of an SQLite file (``~`` is the home directory). Without one the environment's
        CODEDEPLOY_STORE, else ``agentless.codedeploy/deployments.sqlite`` in ``$XDG_STATE_HOME`` (``~/.local/state``).
    :raises StoreError: the location names a kind of database that is not supported.
    """
    chosen = location or os.environ.get("CODEDEPLOY_STORE") or _default_location()
    scheme, separator, _rest = chosen.partition("://")
    if separator and scheme != "sqlite":
        # A location with a scheme may hold a password, so that no more than the scheme is shown.
        raise StoreError(
            f"A store of kind {scheme}:// is not supported by this version: give the path of an SQLite file."
        )
    path = os.path.abspath(os.path.expanduser(chosen[len("sqlite://") :] if separator else chosen))
    return Store(path, SQLiteDialect(path))


def _default_location() -> str:
    state = os.environ.get("XDG_STATE_HOME") or os.path.join("~", ".local", "state")
    return os.path.join(state, "agentless.codedeploy", "deployments.sqlite")


def _create_private(path: str) -> None:
    missing = []
    directory = os.path.dirname(path)
    while not os.path.isdir(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    for directory in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
    if not os.path.exists(path):
        # SQLite gives its write-ahead log the mode of the database. An existing file is left to SQLite: closing a
        # descriptor of it would drop the locks that this process holds through another connection.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
