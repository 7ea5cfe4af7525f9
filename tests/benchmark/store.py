# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the record of deployments costs: transactions a second, and CPU per instance of a small and a large fleet.

Transactions are counted in a deployment on which many processes work at once, every commit synced to disk. The CPU is
that of the controller's process and, on PostgreSQL, of the server's process that works for it; it covers an instance's
part of creating the deployment and everything that is recorded while the instance is worked on. The instances are
simulated: nothing but that happens.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmark.figures import Measurement, MeasurementError
from support.deployments import install_event, request
from support.postgresql import PostgreSQLServer, available
from support.processes import in_processes

from ansible_collections.agentless.codedeploy.plugins.plugin_utils._deployments import (
    ask_to_start,
    create_deployment,
    finish_instance,
    get_deployment,
    record_event,
    takes_part,
)
from ansible_collections.agentless.codedeploy.plugins.plugin_utils._store import Store, open_store

PROCESSES = 16
INSTANCES_A_PROCESS = 12
EVENTS = ("ApplicationStop", "DownloadBundle", "BeforeInstall", "Install", "AfterInstall", "ApplicationStart",
          "ValidateService")  # fmt: skip
#: What work_on() does, in transactions on disk; reading is not counted.
TRANSACTIONS = 2 + len(EVENTS)
SMALL, LARGE, SAMPLE = 100, 10_000, 300
LIMIT = 2.0
TICK = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def stores(durable: bool) -> Iterator[Iterator[tuple[str, Iterator[str]]]]:
    """Give each database's name with locations of ever new stores on it.

    :param durable: PostgreSQL syncs to disk, as SQLite always does.
    :raises MeasurementError: there is no PostgreSQL server to start, once it is its turn.
    """
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="codedeploy-benchmark-"))

        def each() -> Iterator[tuple[str, Iterator[str]]]:
            yield "SQLite", (str(Path(work, f"{number}.sqlite")) for number in itertools.count())
            if not available():
                raise MeasurementError("there is no PostgreSQL server: install Debian's package postgresql")
            server = PostgreSQLServer(durable)
            stack.callback(server.stop)
            yield "PostgreSQL", (server.new_location() for _number in itertools.count())

        yield each()


def work_on(store: Store, deployment_id: str, instance: str) -> None:
    """Record everything of an instance that is recorded while it is deployed to."""
    get_deployment(store, deployment_id, with_order=False)
    if not takes_part(store, deployment_id, instance) or ask_to_start(store, deployment_id, instance).action != "go":
        raise MeasurementError(f"instance {instance} may not start")
    for name in EVENTS:
        record_event(store, deployment_id, instance, {**install_event(), "lifecycle_event_name": name})
    finish_instance(store, deployment_id, instance, "Succeeded")


def instances(count: int) -> list[str]:
    """Return names of instances."""
    return [f"instance{number:05}" for number in range(count)]


def transactions_a_second(location: str) -> float:
    """Let processes work on the instances of one deployment and return how many transactions they had a second."""
    names = instances(PROCESSES * INSTANCES_A_PROCESS)
    deployment_id = create_deployment(open_store(location), request(names)).deployment_id

    def work(mine: list[str]) -> None:
        store = open_store(location)
        for instance in mine:
            work_on(store, deployment_id, instance)

    begin = time.monotonic()
    in_processes(work, [(names[number::PROCESSES],) for number in range(PROCESSES)])
    seconds = time.monotonic() - begin
    ended = get_deployment(open_store(location), deployment_id)
    if ended.deployment_overview["Succeeded"] != len(names):
        raise MeasurementError(f"not all instances are recorded: {ended.deployment_overview}")
    return len(names) * TRANSACTIONS / seconds


class Meter:
    """CPU of this process and, where the store is on a server, of the server's process that works for it."""

    def __init__(self, store: Store) -> None:
        self._server_process: int | None = None
        if "://" in store.location:
            with store.reading() as tx:
                self._server_process = tx.only_row("SELECT pg_backend_pid() AS pid")["pid"]

    def seconds(self) -> float:
        """Return user and system seconds until now."""
        own = time.process_time()
        if self._server_process is None:
            return own
        fields = Path(f"/proc/{self._server_process}/stat").read_text().rpartition(")")[2].split()
        return own + (int(fields[11]) + int(fields[12])) / TICK


def cost_per_instance(location: str, size: int) -> float:
    """Return milliseconds of CPU per instance of a deployment of this size, from a sample of its instances."""
    store = open_store(location)
    meter = Meter(store)
    sample = min(size, SAMPLE)
    spent = {"create": 0.0, "work": 0.0}
    deployments = SAMPLE // sample
    for number in range(deployments):
        names = instances(size)
        begin = meter.seconds()
        created = create_deployment(store, request(names, deployment_group_id=f"group {number}"))
        middle = meter.seconds()
        for instance in names[:: size // sample][:sample]:
            work_on(store, created.deployment_id, instance)
        spent["create"] += middle - begin
        spent["work"] += meter.seconds() - middle
    store.close()
    return 1000 * (spent["create"] / (size * deployments) + spent["work"] / (sample * deployments))


def measure_transactions(rounds: int) -> Iterator[Measurement]:
    """Measure transactions a second on each database."""
    measurements = []
    with stores(durable=True) as databases:
        for database, locations in databases:
            measured = [transactions_a_second(next(locations)) for _round in range(rounds)]
            name = f"store: {database}, {PROCESSES} processes, one deployment, transactions a second"
            measurements.append(Measurement(name, statistics.median(measured), None))
    return iter(measurements)


def measure_cost(rounds: int) -> Iterator[Measurement]:
    """Measure the CPU per instance of a large fleet as a multiple of a small one's."""
    measurements = []
    with stores(durable=False) as databases:
        for database, locations in databases:
            measured = [
                [cost_per_instance(next(locations), size) for size in (SMALL, LARGE)] for _round in range(rounds)
            ]
            small, large = (statistics.median(costs) for costs in zip(*measured, strict=True))
            name = f"ledger: {database}, {SMALL} instances, ms of CPU per instance"
            measurements.append(Measurement(name, small, None))
            name = f"ledger: {database}, {LARGE} instances, as a multiple of that"
            measurements.append(Measurement(name, large / small, LIMIT))
    return iter(measurements)
