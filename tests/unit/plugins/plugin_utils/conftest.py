# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stores for tests, on every database that can hold one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.postgresql import PostgreSQLServer, available

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

DATABASES = ("sqlite", "postgresql")
LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs PostgreSQL where there is none, except in CI, where nothing is left out."""
    if available() or "CI" in os.environ:
        return
    left_out = [item for item in items if _needs_server(item)]
    config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT_OUT] = len(left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out."""
    if config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"LEFT OUT: {config.stash[LEFT_OUT]} tests; they need a PostgreSQL server")


def _needs_server(item: pytest.Item) -> bool:
    specification = getattr(item, "callspec", None)
    parameters = specification.params.values() if specification else ()
    return "postgresql" in parameters or "postgresql_server" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def running_server() -> Iterator[Callable[[], PostgreSQLServer]]:
    """Give what starts the session's PostgreSQL server when it is called for the first time."""
    started: list[PostgreSQLServer] = []

    def server() -> PostgreSQLServer:
        if not started:
            started.append(PostgreSQLServer())
        return started[0]

    yield server
    for server_of_session in started:
        server_of_session.stop()


@pytest.fixture
def postgresql_server(running_server: Callable[[], PostgreSQLServer]) -> PostgreSQLServer:
    """Give the session's PostgreSQL server."""
    return running_server()


@pytest.fixture(params=DATABASES)
def store_location(
    request: pytest.FixtureRequest, tmp_path: Path, running_server: Callable[[], PostgreSQLServer]
) -> str:
    """Give the location of a store that does not exist yet, once on each database."""
    if request.param == "sqlite":
        return str(tmp_path / "deployments.sqlite")
    return running_server().new_location()


@pytest.fixture
def store(store_location: str) -> Iterator[Store]:
    """Give an empty store, once on each database."""
    store = open_store(store_location)
    yield store
    store.close()
