# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between the databases that can hold the record of deployments."""

from __future__ import annotations

import typing as t

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._errors import CodeDeployError

BUSY_SECONDS = 60
"""How long a transaction waits for that of another process; each is a few milliseconds long."""


class StoreError(CodeDeployError):
    """The store cannot be opened, read or written; the message names the store and what to do."""

    code = "StoreError"


class TransactionUndone(StoreError):
    """The database undid a transaction because of another process's; nothing of it was written."""


class Dialect(t.Protocol):
    """One kind of database. Statements are written with ``%s`` for a parameter."""

    errors: tuple[type[Exception], ...]
    """Everything that the driver raises."""
    identity: str
    """Type of a column that counts up by itself and is the primary key."""
    begin: str
    """Begins a transaction that reads and writes."""
    begin_reading: str
    """Begins a transaction that reads one state of all tables and keeps nobody from writing."""
    begin_migration: str
    """Begins a transaction beside which no other process changes the tables themselves."""
    lock_row: str
    """Ends a query for rows that are to stay as they are until the transaction ends."""

    def connect(self) -> t.Any:
        """Open a connection that is in autocommit mode, so that BEGIN and COMMIT are statements."""

    def clock_offset(self, connection: t.Any) -> float:
        """Seconds by which the clock that all controllers of the store share is ahead of this host's."""

    def undone(self, error: Exception) -> bool:
        """Whether the server undid the whole transaction for the sake of another one, so that it may be run again."""

    def lost(self, connection: t.Any) -> bool:
        """Whether the connection has gone, so that a new one may help."""

    def commit(self, connection: t.Any) -> None:
        """Commit, or raise when that did not happen."""

    def placeholders(self, statement: str) -> str:
        """Write a statement's ``%s`` as the driver wants it."""

    def explain(self, error: Exception) -> str:
        """Say what went wrong and what to do."""

    def schema_version(self, connection: t.Any) -> int | None:
        """The version of the tables, None when there are none."""
