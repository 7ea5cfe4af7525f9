# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL server for stores: of its own, in a temporary folder, reached through a socket in there."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.debian_packages import install_packages, installable

START_SECONDS = 300.0
DATABASE = "codedeploy"
ADMINISTRATOR = "administrator"
PASSWORD_USER, PASSWORD = "ada", "correct horse"


def available() -> bool:
    """Whether there is a server to start, or this is Debian and root may install it."""
    return bool(_programs()) or installable()


class PostgreSQLServer:
    """A running server; ends with :meth:`stop`, and with this process whatever becomes of it.

    :param durable: sync every commit to disk, as servers do unless told otherwise.
    """

    def __init__(self, durable: bool = False) -> None:
        if not _programs():
            install_packages({"/usr/lib/postgresql": "postgresql"})
        self._programs = _programs()
        self._as_user = _as_user()
        self.directory = Path(tempfile.mkdtemp(prefix="postgresql-"))
        self._schemas = itertools.count(1)
        self._settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "on" if durable else "off",
            "max_connections": "100",
            "shared_buffers": "32MB",
            "lc_messages": "C",
        }
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self._make()
            self.start()
        except BaseException:
            self.stop()
            raise

    def _make(self) -> None:
        if self._as_user:
            shutil.chown(self.directory, "postgres", "postgres")
        data = str(self.directory / "data")
        command = [self._program("initdb"), "--pgdata", data, "--username", ADMINISTRATOR, "--encoding", "UTF8"]
        command += ["--locale", "C.UTF-8", "--auth", "trust", "--no-sync"]
        subprocess.run([*self._as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")
        access = f"local all {PASSWORD_USER} scram-sha-256\nlocal all all trust\n"
        (self.directory / "data" / "pg_hba.conf").write_text(access)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [self._program("postgres"), "-D", str(self.directory / "data"), *options]
        with open(self.directory / "log", "ab") as log:
            # SIGINT ends it in an orderly way, also when this process dies.
            dying = ["setpriv", *self._as_user[1:], "--pdeathsig", "INT"]
            self._server = subprocess.Popen([*dying, *command], stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run([self._program("pg_isready"), "-q", "-h", str(self.directory)], check=False).returncode:
            ended = self._server.poll() is not None
            assert not ended and time.monotonic() < deadline, (self.directory / "log").read_text()
            time.sleep(0.05)
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = %s", DATABASE):
            self.execute(f"CREATE DATABASE {DATABASE}")
            self.execute(f"CREATE ROLE {PASSWORD_USER} LOGIN PASSWORD '{PASSWORD}'")

    def halt(self) -> None:
        """End the server, keeping what is in its databases."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(START_SECONDS)
            self._server = None

    def stop(self) -> None:
        """End the server and remove its folder."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.halt()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        shutil.rmtree(self.directory)

    def execute(self, statement: str, *parameters: Any, database: str = "postgres") -> list[Any]:
        """Run a statement as the server's administrator; returns its rows."""
        import psycopg

        address = self.location(database, ADMINISTRATOR)
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def location(self, database: str = DATABASE, user: str = ADMINISTRATOR, **options: str) -> str:
        """Return a location with libpq's options."""
        pairs = {"host": str(self.directory), **options}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs.items())
        return f"postgresql://{user}@/{database}?{query}"

    def new_location(self) -> str:
        """Return the location of an empty store, in a schema of its own."""
        schema = f"store{next(self._schemas)}_{os.getpid()}"
        self.execute(f"CREATE SCHEMA {schema}", database=DATABASE)
        return self.location(options=f"-csearch_path={schema}")

    def end_connections(self) -> None:
        """Cut all connections to the stores, as a network does that was away for long."""
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", DATABASE)

    def _program(self, name: str) -> str:
        return os.path.join(self._programs, name)


def _programs() -> str:
    """The folder of the newest server's programs, empty when there is none."""
    debian = Path("/usr/lib/postgresql")
    found = sorted(debian.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    return os.path.dirname(os.path.realpath(initdb)) if initdb else ""


def _as_user() -> list[str]:
    """What runs a program as the package's user where this process is root: the server refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
