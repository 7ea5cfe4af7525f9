# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU of a whole deployment to twenty instances, as a part of what a playbook written by hand takes for the same.

Both sides deploy the same bundle to instances on this machine with the same ansible-core, forks, batches, pipelining
and interpreter, without facts; each round has a revision of its own, so both bring it to every instance. Counted is
the CPU of every process from the start of ansible-playbook to the end of the last one that it started.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import collection_loader
from benchmark.figures import Measurement, MeasurementError
from benchmark.meter import usage_of_tree
from support.controller import Controller
from support.local_fleet import LocalFleet

INSTANCES = 20
FILES = 10
FORKS = 10
LIMIT = 0.20
BY_HAND = Path(__file__).parent / "by_hand" / "deploy.yml"
BUNDLE = Path(__file__).parent / "bundle"
#: The same for both.
SETTINGS = {"ANSIBLE_FORKS": str(FORKS), "ANSIBLE_PIPELINING": "true"}


def write_bundle(folder: Path, version: str) -> Path:
    """Write a revision and return its archive.

    :param version: content of one of its files, which the scripts compare with what is installed.
    """
    revision = folder / version
    shutil.copytree(BUNDLE, revision)
    content = revision / "content"
    content.mkdir()
    (content / "version").write_text(f"{version}\n")
    for number in range(FILES - 1):
        (content / f"page{number}.html").write_text(f"<p>Page {number} of version {version}.</p>\n" * 20)
    archive = folder / f"{version}.tar.gz"
    with tarfile.open(archive, "w:gz") as stream:
        stream.add(revision, arcname=".")
    return archive


def last_lines(output: Path) -> str:
    """Return the end of what a command wrote."""
    return "\n".join(output.read_text(errors="replace").splitlines()[-40:])


class Side:
    """A controller with instances of its own.

    :param name: what is measured there.
    :param playbook: what it runs.
    :param variables: further variables of the playbook.
    """

    def __init__(self, work: Path, name: str, playbook: str, **variables: object) -> None:
        self.name = name
        self._work = work / name
        self._playbook = playbook
        self._variables = variables
        (self._work / "controller").mkdir(parents=True)
        collections = self._work / "collections"
        collections.mkdir()
        collection_loader.link_collection(str(collections))
        self.controller = Controller(self._work / "controller", collections, shortcuts=False)
        self._fleet = LocalFleet(INSTANCES, self._work / "fleet")
        for instance in self._fleet.names:
            (self._fleet.files(instance) / "srv").mkdir()
        self._inventory = self._fleet.inventory()
        self._version: str | None = None

    def deploy(self, archive: Path, version: str) -> float:
        """Deploy a revision and return the seconds of CPU.

        :raises MeasurementError: unless every instance has it then, and its scripts and those before have run.
        """
        arguments = self.controller.playbook_arguments(
            self._playbook, self._inventory, deploy_group=self._fleet.group, deploy_revision=archive, **self._variables
        )
        output = self._work / "output"
        command = [str(Path(sys.prefix) / "bin" / "ansible-playbook"), *arguments]
        used = usage_of_tree(command, {**self.controller.environment, **SETTINGS}, output)
        if used.status != 0:
            raise MeasurementError(f"{self.name}: ansible-playbook ended with {used.status}:\n{last_lines(output)}")
        for name in self._fleet.names:
            self._check(self._fleet.files(name), version)
        self._version = version
        return used.seconds

    def _check(self, instance: Path, version: str) -> None:
        application = instance / "srv" / "application"
        wanted = {"version"} | {f"page{number}.html" for number in range(FILES - 1)}
        found = {path.name for path in application.iterdir() if path.stat().st_mode & 0o777 == 0o644}
        running = (instance / "srv" / "running").read_text().strip()
        stopped = instance / "srv" / "stopped"
        before = stopped.read_text().strip() if stopped.exists() else None
        if (found, running, before) != (wanted, version, self._version):
            problem = f"{sorted(found)} are installed, {running} was started, {before} was stopped"
            raise MeasurementError(f"{self.name} {version} over {self._version}: {problem} in {instance}")


def measure_in(work: Path, rounds: int) -> Measurement:
    """Measure both sides in turns below a directory, after a first deployment of each that is not counted."""
    sides = (
        Side(work, "collection", "agentless.codedeploy.deploy", deploy_config="CodeDeployDefault.HalfAtATime"),
        Side(work, "by-hand", str(BY_HAND)),
    )
    used: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(rounds + 1):
        version = f"version{number}"
        archive = write_bundle(work, version)
        for side in sides:
            seconds = side.deploy(archive, version)
            if number > 0:
                used[side.name].append(seconds)
    ratio = statistics.median(used["collection"]) / statistics.median(used["by-hand"])
    return Measurement("fleet: 20 instances, CPU as a part of a playbook of 7 tasks", ratio, LIMIT)


def measure(rounds: int) -> Iterator[Measurement]:
    """Measure the deployment to a fleet; :func:`measure_in` has what is done."""
    work = Path(tempfile.mkdtemp(prefix="codedeploy-benchmark-"))
    try:
        yield measure_in(work, rounds)
    finally:
        shutil.rmtree(work)
