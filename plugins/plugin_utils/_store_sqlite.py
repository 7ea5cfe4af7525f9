# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of deployments in an SQLite file, for one controller."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_dialect import BUSY_SECONDS, StoreError


class SQLiteDialect:
    """SQLite of the standard library: one file, write-ahead log, every transaction synced to disk."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    identity = "INTEGER PRIMARY KEY AUTOINCREMENT"
    begin = "BEGIN IMMEDIATE"
    begin_reading = "BEGIN"
    begin_migration = "BEGIN IMMEDIATE"
    lock_row = ""

    def __init__(self, path: str) -> None:
        self.path = path

    def connect(self) -> sqlite3.Connection:
        """Open the file, making it and its directories for this user alone when they are missing."""
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

    def clock_offset(self, connection: t.Any) -> float:
        """Every process that opens the file has this host's clock."""
        return 0.0

    def undone(self, error: Exception) -> bool:
        """There is one writer at a time, which takes its turn before it reads."""
        return False

    def lost(self, connection: t.Any) -> bool:
        """A file does not go away as a server does."""
        return False

    def commit(self, connection: t.Any) -> None:
        """Commit."""
        connection.execute("COMMIT")

    def placeholders(self, statement: str) -> str:
        """Write a statement's ``%s`` as ``?``."""
        return statement.replace("%s", "?")

    def explain(self, error: Exception) -> str:
        """Say what went wrong and what to do."""
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
        """The version of the tables, None when there are none."""
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
        return connection.execute("SELECT version FROM schema_version").fetchone()[0] if known else None


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
