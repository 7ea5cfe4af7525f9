# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of deployments in a PostgreSQL database, for several controllers."""

from __future__ import annotations

import os
import re
import sys
import time
import typing as t
from urllib.parse import unquote

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store_dialect import BUSY_SECONDS, StoreError

SCHEMES = ("postgresql", "postgres")
OLDEST_PSYCOPG = (3, 1)
OLDEST_SERVER = 10

_FORM = "postgresql://[user@]host[:port]/database[?option=value]"
_SECRETS = {"password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"}
# The same number in every release: it is what keeps two of them from changing the tables at once.
_MIGRATION_LOCK = 0x636F6465706C
_SESSION = f"""
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
SET lock_timeout = '{BUSY_SECONDS}s';
SET idle_in_transaction_session_timeout = '{BUSY_SECONDS}s';
"""

# deadlock_detected and serialization_failure.
_UNDONE = ("40P01", "40001")

# By the server's code for the error, and by the words of the library where it gives none: before a connection exists.
_BY_CODE = {
    "25006": "the server is a standby that cannot be written: name the primary, or several servers and "
    "?target_session_attrs=read-write",
    "3F000": "the database has no schema to put tables into: create one, or name it in ?options=-csearch_path%3DNAME",
    "40001": "another process wrote the same at the same time and this one was ended: run it again",
    "40P01": "two processes waited for each other and this one was ended: run it again",
    "42501": "this user may not make or use the tables: GRANT it CREATE on the schema and make it the tables' owner",
    "42P01": "its tables are gone: restore the database, or name an empty one",
    "53100": "the server's disk is full: make room there",
    "55P03": f"another process has kept it locked for {BUSY_SECONDS} seconds: find and end that process",
}
_BY_WORDS = (
    (r"password authentication failed|no password supplied",
     "the server does not take the password: set PGPASSWORD, or write a line into ~/.pgpass (PGPASSFILE)"),
    (r"no pg_hba.conf entry|Peer authentication failed|Ident authentication failed",
     "the server does not let this user in from this host: allow it in the server's pg_hba.conf"),
    (r"database .* does not exist", "there is no such database on the server: create it, ENCODING 'UTF8'"),
    (r"role .* does not exist", "there is no such user on the server: create it, or name another as user@ in front of "
     "the host"),
    (r"could not translate host name|Name or service not known|No address associated|failed to resolve host",
     "the name of the server cannot be resolved: correct it"),
    (r"Connection refused|No such file or directory|No route to host|Network is unreachable",
     "no server answers there: correct host and port, or start it"),
    (r"timeout expired|timed out", "the server does not answer: check the network and its firewall"),
    (r"too many clients|remaining connection slots",
     "the server has no connection left: raise its max_connections above the number of forks of all controllers"),
    (r"starting up|shutting down|recovery mode", "the server is starting or stopping: try again in a moment"),
)  # fmt: skip


class PostgreSQLDialect:
    """A database of a PostgreSQL server, reached through psycopg 3.

    Rows that a decision depends on are locked; queries that only read see one state of all tables.

    :param location: ``postgresql://[user@]host[:port]/database``, with any of libpq's options but a secret one.
    :raises StoreError: the location holds a secret or cannot be read, or psycopg is missing or too old.
    """

    identity = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
    begin_reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    begin_migration = f"{begin}; SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"
    # No key ever changes, so that rows which refer to this one need not wait for it.
    lock_row = "FOR NO KEY UPDATE"

    def __init__(self, location: str) -> None:
        _refuse_secrets(location)
        self._psycopg = _psycopg()
        self.errors: tuple[type[Exception], ...] = (self._psycopg.Error,)
        try:
            self._parameters = self._psycopg.conninfo.conninfo_to_dict(location)
        except self._psycopg.Error:
            # What is wrong with it is not quoted: a password may have ended up where it does not belong.
            raise StoreError(
                f"The location of the store cannot be read: write {_FORM}, special characters as %XX."
            ) from None
        self._location = location

    def connect(self) -> t.Any:
        """Open a connection whose commits are on the server's disk when they return."""
        given = {
            "fallback_application_name": "agentless.codedeploy",
            "tcp_user_timeout": BUSY_SECONDS * 1000,
            "keepalives_idle": BUSY_SECONDS,
            **({} if os.environ.get("PGCONNECT_TIMEOUT") else {"connect_timeout": 10}),
            **self._parameters,
            "client_encoding": "UTF8",
        }
        # Statements are not prepared, so that a pooler may stand between.
        connection = self._psycopg.connect(autocommit=True, prepare_threshold=None, **given)
        try:
            self._check_server(connection)
            connection.execute(_SESSION)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_server(self, connection: t.Any) -> None:
        if connection.info.server_version < OLDEST_SERVER * 10000:
            raise StoreError(
                f"Store {self._location}: its server is older than PostgreSQL {OLDEST_SERVER}: upgrade it."
            )
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"Store {self._location}: the database is encoded as {encoding}: use one made with ENCODING 'UTF8'."
            )

    def clock_offset(self, connection: t.Any) -> float:
        """Seconds by which the server's clock is ahead: controllers judge each other's signs of life by it."""
        before = time.time()
        now = float(connection.execute("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8").fetchone()[0])
        # Between the two moments the clocks may agree: the query itself takes time.
        return now - min(max(now, before), time.time())

    def undone(self, error: Exception) -> bool:
        """Whether two processes waited for each other and this one was ended, or the server asks for another try."""
        return getattr(error, "sqlstate", None) in _UNDONE

    def lost(self, connection: t.Any) -> bool:
        """Whether the server or the network ended the connection."""
        return bool(connection.closed)

    def commit(self, connection: t.Any) -> None:
        """Commit, or raise when the server rolled back because a statement had failed before."""
        if connection.execute("COMMIT").statusmessage != "COMMIT":
            raise self._psycopg.errors.InFailedSqlTransaction("a statement had failed before, nothing was written")

    def placeholders(self, statement: str) -> str:
        """The driver takes ``%s`` as it is."""
        return statement

    def explain(self, error: Exception) -> str:
        """Say what went wrong and what to do."""
        code = getattr(error, "sqlstate", None)
        if code in _BY_CODE:
            return _BY_CODE[code]
        # The library may add hints in further lines.
        text = " ".join(str(error).split()).rstrip(".")
        for words, explanation in _BY_WORDS:
            if re.search(words, text):
                return f"{explanation} ({text})"
        if isinstance(error, self._psycopg.OperationalError):
            return f"the connection to the server was lost ({text}): look with the status playbook what was recorded"
        return text

    def schema_version(self, connection: t.Any) -> int | None:
        """The version of the tables, None when there are none."""
        # Read from the catalog's rows: what the server caches of names may be older than the lock of a migration.
        known = connection.execute(
            "SELECT 1 FROM pg_catalog.pg_tables"
            " WHERE tablename = 'schema_version' AND schemaname = ANY (current_schemas(false))"
        ).fetchone()
        return connection.execute("SELECT version FROM schema_version").fetchone()[0] if known else None


def _refuse_secrets(location: str) -> None:
    # Not left to libpq: whatever stands where a password may stand is one, also in what it could not read.
    rest = location.partition("://")[2]
    options = {unquote(option.partition("=")[0]) for option in rest.partition("?")[2].split("&")}
    if ":" in rest.rpartition("@")[0] or options & _SECRETS:
        raise StoreError(
            "The location of the store contains a password, which others could read in the list of processes: leave "
            "it out, and set PGPASSWORD or write a line into ~/.pgpass (PGPASSFILE)."
        )


def _psycopg() -> t.Any:
    wanted = ".".join(map(str, OLDEST_PSYCOPG))
    advice = f"{sys.executable} -m pip install 'psycopg[binary]>={wanted}'"
    try:
        import psycopg
    except ImportError as error:
        reason = "" if error.name == "psycopg" else f" ({' '.join(str(error).split())})"
        raise StoreError(f"A store on PostgreSQL needs psycopg, which cannot be imported{reason}: {advice}") from error
    found = tuple(int(number) for number in re.findall(r"\d+", psycopg.__version__)[:2])
    if found < OLDEST_PSYCOPG:
        raise StoreError(f"A store on PostgreSQL needs psycopg {wanted}, this is {psycopg.__version__}: {advice}")
    return psycopg
